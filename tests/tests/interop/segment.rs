//! The segment of an exercise: who sits where, and what everybody on it can see.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::State;
use ha_tests::lab::capture::{Frame, Timing};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::PATIENCE;
use ha_tests::lab::peer::{Peer, Router, Running};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Agent, Capture, Host, Lab, require_tools, wait_until};

/// A peer, and the virtual router that it shares with the agent.
pub(crate) struct Pairing {
    peer: &'static dyn Peer,
    router: Router,
    by_unicast: bool,
}

impl Pairing {
    pub(crate) fn new(peer: &'static dyn Peer, router: Router) -> Self {
        Self {
            peer,
            router,
            by_unicast: false,
        }
    }

    /// The same with adverts from host to host.
    pub(crate) fn by_unicast(self) -> Self {
        Self {
            by_unicast: true,
            ..self
        }
    }
}

/// Who sits on a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Party {
    Agent,
    Peer,
}

impl Party {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Agent => Self::Peer,
            Self::Peer => Self::Agent,
        }
    }

    /// How far it may miss the protocol's deadlines: too early, and too late. Only the agent is on trial.
    /// A peer may reckon in whole hundredths of a second, and FRR does: what it cuts off makes it early.
    fn tolerance(self) -> (Duration, Duration) {
        match self {
            Self::Agent => (Duration::from_millis(1), Duration::from_millis(100)),
            Self::Peer => (Duration::from_millis(11), Duration::from_millis(400)),
        }
    }
}

/// Two hosts, and a capture of all that they say.
pub(crate) struct Segment<'p> {
    pairing: &'p Pairing,
    lab: Lab,
    capture: Capture,
}

/// One of the two, running or not.
pub(crate) struct Seat<'p> {
    pairing: &'p Pairing,
    router: Router,
    host: Host,
    party: Party,
    is_prepared: bool,
    member: Option<Member>,
}

enum Member {
    Agent(Agent),
    Peer(Running),
}

impl<'p> Segment<'p> {
    pub(crate) fn new(pairing: &'p Pairing) -> Result<Self> {
        require_tools(pairing.peer.programs())?;
        let lab = Lab::new(2)?;
        let capture = lab.capture()?;
        let segment = Self {
            pairing,
            lab,
            capture,
        };
        if pairing.by_unicast {
            segment.introduce(1, 2)?;
            segment.introduce(2, 1)?;
        }
        Ok(segment)
    }

    /// Writes down where a host's peer lives. One that is cut off answers no question about that, and then
    /// no advert for it reaches the wire.
    fn introduce(&self, host: u8, peer: u8) -> Result<()> {
        let address = self.address_of(peer).to_string();
        let mac = self.lab.host(peer).mac().map(|byte| format!("{byte:02x}"));
        let (mac, interface) = (mac.join(":"), Host::INTERFACE);
        let neighbour = ["ip", "neighbour", "replace", &address, "lladdr", &mac];
        let place = ["dev", interface, "nud", "permanent"];
        self.lab
            .host(host)
            .run(&[&neighbour[..], &place[..]].concat())
            .map(drop)
    }

    /// One of the hosts is for somebody, who does not run yet.
    pub(crate) fn seat(&self, host: u8, party: Party, priority: u8) -> Seat<'p> {
        let mut router = self.pairing.router.with_priority(priority);
        if self.pairing.by_unicast {
            let [own, peer] = [host, 3 - host].map(|it| self.address_of(it));
            router = router.between(own, peer);
        }
        Seat {
            pairing: self.pairing,
            router,
            host: self.lab.host(host).clone(),
            party,
            is_prepared: false,
            member: None,
        }
    }

    fn address_of(&self, host: u8) -> IpAddr {
        let host = self.lab.host(host);
        if self.pairing.router.is_ipv6() {
            host.ipv6().into()
        } else {
            host.ipv4().into()
        }
    }

    /// Cuts a host off silently.
    pub(crate) fn cut_off(&self, seat: &Seat<'_>) -> Result<()> {
        self.lab.block(&seat.host)
    }

    /// Undoes [`Self::cut_off`].
    pub(crate) fn reconnect(&self, seat: &Seat<'_>) -> Result<()> {
        self.lab.unblock(&seat.host)
    }

    /// Waits for somebody's advert at its own priority.
    pub(crate) fn wait_advert(&self, seat: &Seat<'_>, since: Instant) -> Result<Frame> {
        let priority = seat.router.priority;
        self.capture
            .wait_advert(&seat.host, priority, since, PATIENCE)
    }

    /// Waits for somebody's advert of priority 0.
    pub(crate) fn wait_farewell(&self, seat: &Seat<'_>, since: Instant) -> Result<Frame> {
        self.capture.wait_advert(&seat.host, 0, since, PATIENCE)
    }

    /// The last advert that was delivered to somebody before then.
    pub(crate) fn last_heard(&self, seat: &Seat<'_>, before: Instant) -> Result<Instant> {
        let frames = self.capture.frames();
        let heard = frames
            .iter()
            .rev()
            .find(|it| it.at < before && it.is_to(&seat.host) && it.vrrp().is_some());
        Ok(heard.context("nothing was heard")?.at)
    }

    /// Waits until this one advertises and it alone answers for the addresses.
    pub(crate) fn wait_led_by(&self, seat: &Seat<'_>) -> Result<()> {
        self.wait_advert(seat, now())?;
        let asker = self.lab.asker(&self.capture)?;
        for address in self.addresses() {
            asker.wait_held_by(&seat.host, address, PATIENCE)?;
        }
        match &seat.member {
            Some(Member::Agent(agent)) => agent.wait_state(State::Master, PATIENCE),
            Some(Member::Peer(_)) | None => Ok(()),
        }
    }

    /// Fails unless for so many of its adverts this one leads without a break, and the other is content.
    pub(crate) fn is_steady(
        &self,
        leader: &Seat<'_>,
        other: &Seat<'_>,
        adverts: usize,
    ) -> Result<()> {
        // At a virtual MAC the kernel answers by a work queue: who answered nothing may still be about to
        // yield.
        if let Some(Member::Agent(agent)) = &other.member {
            agent.wait_state(State::Backup, PATIENCE)?;
        }
        let before = (leader.changes()?, other.changes()?);
        let begin = now();
        wait_until(
            leader.router.interval * 2 * u32::try_from(adverts)? + PATIENCE,
            "adverts of a steady master",
            || self.adverts_of(leader, begin).len() >= adverts,
        )?;
        let sent = self.adverts_of(leader, begin);
        let gaps = sent.windows(2).map(|pair| match pair {
            [first, second] => second.since(*first).to_duration(),
            _ => Duration::ZERO,
        });
        let longest = gaps.max().unwrap_or_default();
        ensure!(
            longest < leader.router.interval * 2,
            "{:?} said nothing for {longest:?}",
            leader.party
        );
        ensure!(self.adverts_of(other, begin).is_empty(), "both advertise");
        self.goes_where_it_should(leader, begin)?;
        for address in self.addresses() {
            let claims = self.capture.announcements(&other.host, address, begin);
            ensure!(claims == 0, "both claim {address}");
        }
        ensure!(self.capture.dropped() == 0, "the capture has gaps");
        let after = (leader.changes()?, other.changes()?);
        ensure!(before == after, "somebody flapped: {before:?}, {after:?}");
        self.wait_led_by(leader)
    }

    /// Every advert is for the group, or for the one peer and nobody else.
    fn goes_where_it_should(&self, leader: &Seat<'_>, since: Instant) -> Result<()> {
        let frames = self.capture.frames_since(since);
        let own = frames.iter().filter(|it| it.is_from(&leader.host));
        for vrrp in own.filter_map(Frame::vrrp) {
            let right = match leader.router.unicast {
                None => vrrp.destination.is_multicast(),
                Some(ends) => (vrrp.source, vrrp.destination) == (ends.own, ends.peer),
            };
            ensure!(right, "{:?} sent {vrrp:?}", leader.party);
        }
        Ok(())
    }

    fn adverts_of(&self, seat: &Seat<'_>, since: Instant) -> Vec<Instant> {
        let frames = self.capture.frames_since(since);
        let own = frames
            .iter()
            .filter(|it| it.is_from(&seat.host) && it.vrrp().is_some());
        own.map(|it| it.at).collect()
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.pairing.router.addresses.iter().copied()
    }
}

impl Seat<'_> {
    pub(crate) fn start(&mut self) -> Result<()> {
        // Not earlier: some peer's host answers for the addresses until its program forbids it.
        if self.party == Party::Peer && !self.is_prepared {
            self.pairing.peer.prepare(&self.host, &self.router)?;
            self.is_prepared = true;
        }
        self.member = Some(match self.party {
            Party::Agent => Member::Agent(Agent::start(
                &self.host,
                self.router.for_agent(&self.host)?,
            )?),
            Party::Peer => Member::Peer(self.pairing.peer.start(&self.host, &self.router)?),
        });
        Ok(())
    }

    /// Starts it and, where it can be asked, waits until it follows a master.
    pub(crate) fn join(&mut self) -> Result<()> {
        self.start()?;
        let Some(Member::Agent(agent)) = &self.member else {
            return Ok(());
        };
        agent.wait_follows().map(drop)
    }

    /// Ends it as an operator does.
    pub(crate) fn leave(&mut self) -> Result<()> {
        match self.member.take().context("nobody sits there")? {
            Member::Agent(agent) => {
                agent.process().signal(Signal::TERM)?;
                let exit = agent.process().wait(PATIENCE)?;
                ensure!(exit.status.success(), "the agent ended with {exit:?}");
                Ok(())
            }
            Member::Peer(running) => running.leave(),
        }
    }

    /// What its wait is made of.
    pub(crate) fn timing(&self) -> Timing {
        Timing {
            interval: self.router.interval,
            priority: self.router.priority,
        }
    }

    /// Fails if it waited longer or less long than the protocol says.
    pub(crate) fn is_punctual(&self, waited: Duration, rule: Duration) -> Result<()> {
        let (early, late) = self.party.tolerance();
        ensure!(
            waited + early >= rule && waited <= rule + late,
            "{:?} waited {waited:?}, where the protocol says {rule:?}",
            self.party
        );
        Ok(())
    }

    /// How often the agent changed its state, if it is one; it must not have refused anything.
    fn changes(&self) -> Result<Option<u64>> {
        let Some(Member::Agent(agent)) = &self.member else {
            return Ok(None);
        };
        let found = agent.only()?;
        let refused = &found.counters.rejects;
        ensure!(
            refused.values().all(|count| *count == 0),
            "the agent refuses the peer's adverts: {refused:?}"
        );
        Ok(Some(found.transitions))
    }
}
