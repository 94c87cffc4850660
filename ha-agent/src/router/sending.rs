//! Whether adverts can leave: their size against the MTU of what they leave by, and what the kernel says of
//! those that were sent.

use std::fmt;
use std::net::IpAddr;

use ha_common::units::{Instant, Nanos};

use super::effect::Effects;
use super::notice::Notice;
use crate::config::model::Instance as Config;
use crate::config::model::advert_size::AdvertSize;

/// Between two lines that say that adverts do not leave, at the least.
const LINES_APART: Nanos = Nanos::from_millis(60_000);

/// For how long it is believed that adverts are too long for an MTU that has room for them by our count. A tunnel's
/// route may have had less for a while.
const TOO_LONG_WAIT: Nanos = Nanos::from_millis(60_000);

/// How long a master whose adverts did not leave stays out after it heard another one: at first, and at most. Each
/// time it comes back it may be a second master for as long as the others wait.
const MUTE_WAIT: Nanos = Nanos::from_millis(5_000);
const MUTE_WAIT_MAX: Nanos = Nanos::from_millis(320_000);

/// What adverts leave by: the interface, or the device of the virtual MAC above it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outlet {
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u32,
}

/// Adverts that have not left for long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unsent {
    /// Of the first of them.
    pub since: Instant,
    /// Where they were to go: with several peers, the first that gets none.
    pub to: IpAddr,
    /// Why not, in words.
    pub why: String,
    /// They are larger than the interface's MTU.
    pub too_long: bool,
}

/// What has changed about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SendingNews {
    /// Adverts have not left for long.
    Unsent(Unsent),
    /// They leave again.
    Leave,
}

/// What is known of it.
#[derive(Clone, Debug)]
pub struct Sending {
    outlet: Option<Outlet>,
    unsent: Option<Unsent>,
    told_at: Option<Instant>,
    told: bool,
    /// Adverts were too long for this MTU, which is believed until then.
    too_small: Option<(u32, Instant)>,
    /// It has yielded because its adverts do not leave, and stays out until then.
    mute: Option<Mute>,
    /// How long it stays out the next time.
    mute_wait: Nanos,
}

/// A master whose adverts did not leave, and that heard another one.
#[derive(Clone, Debug)]
struct Mute {
    until: Instant,
    why: String,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            outlet: None,
            unsent: None,
            told_at: None,
            told: false,
            too_small: None,
            mute: None,
            mute_wait: MUTE_WAIT,
        }
    }
}

impl Sending {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let too_small = self.too_small.map(|(_, until)| until);
        [too_small, self.mute_until()].into_iter().flatten().min()
    }

    /// How long it stays out once its adverts do not leave and it hears another master.
    pub fn would_stay_out(&self) -> Nanos {
        self.mute_wait
    }

    /// Until when it stays out because its adverts did not leave.
    pub(super) fn mute_until(&self) -> Option<Instant> {
        self.mute.as_ref().map(|mute| mute.until)
    }

    /// A master hears another one, which does not hear it if none of its adverts leaves, or none to that peer. Then it
    /// yields, and stays out for longer each time. True if so.
    pub(super) fn yields_to(&mut self, other: IpAddr, is_unicast: bool, now: Instant) -> bool {
        let Some(unsent) = &self.unsent else {
            return false;
        };
        if is_unicast && unsent.to != other {
            return false;
        }
        self.mute = Some(Mute {
            until: now + self.mute_wait,
            why: format!(
                "no advert was sent: {}; {other} is master, and this host leaves the addresses to it",
                unsent.why
            ),
        });
        self.mute_wait = Nanos(self.mute_wait.0 * 2).min(MUTE_WAIT_MAX);
        true
    }

    /// Adverts that do not leave.
    pub fn unsent(&self) -> Option<&Unsent> {
        self.unsent.as_ref()
    }

    /// They leave by this from now on.
    pub(super) fn set_outlet(&mut self, outlet: Option<Outlet>, now: Instant) {
        self.outlet = outlet;
        self.on_timeout(now);
    }

    /// Forgets that adverts were too long for an MTU, once that is another one or has been believed for long.
    pub(super) fn on_timeout(&mut self, now: Instant) {
        let present = self.outlet.as_ref().map(|outlet| outlet.mtu);
        let still = |(mtu, until): &(u32, Instant)| Some(*mtu) == present && now < *until;
        self.too_small = self.too_small.filter(still);
        self.mute = self.mute.take().filter(|mute| now < mute.until);
    }

    /// A new master's adverts have not been refused yet.
    pub(super) fn begin(&mut self) {
        self.unsent = None;
        self.told = false;
    }

    /// Why no advert can leave, if so.
    pub(super) fn shortfall(&self, config: &Config) -> Option<String> {
        if let Some(mute) = &self.mute {
            return Some(mute.why.clone());
        }
        let outlet = self.outlet.as_ref()?;
        if let Some(shortfall) = Shortfall::of(config, outlet) {
            return Some(shortfall.to_string());
        }
        let (too_small, _) = self.too_small?;
        (too_small == outlet.mtu).then(|| {
            format!(
                "the kernel rejects an advert of {} bytes as too long for {}, whose MTU is {}",
                AdvertSize::of(config).packet(config.addresses.len()),
                outlet.name,
                outlet.mtu
            )
        })
    }

    /// Takes in what the sender says of a master's adverts. True if that may be a fault.
    pub(super) fn on_news(&mut self, news: SendingNews, now: Instant, fx: &mut Effects) -> bool {
        let unsent = match news {
            SendingNews::Unsent(unsent) => unsent,
            SendingNews::Leave => {
                self.unsent = None;
                self.mute_wait = MUTE_WAIT;
                if std::mem::take(&mut self.told) {
                    fx.say(Notice::Info("adverts are sent again".to_owned()));
                }
                return false;
            }
        };
        self.tell(&unsent, now, fx);
        let too_long = unsent.too_long;
        self.unsent = Some(unsent);
        if too_long {
            let mtu = self.outlet.as_ref().map(|outlet| outlet.mtu);
            self.too_small = mtu.map(|mtu| (mtu, now + TOO_LONG_WAIT));
        }
        too_long
    }

    fn tell(&mut self, unsent: &Unsent, now: Instant, fx: &mut Effects) {
        let recent = |at: Instant| now.since(at) < LINES_APART;
        if unsent.too_long || self.told_at.is_some_and(recent) {
            // The FAULT has a line of its own.
            return;
        }
        (self.told_at, self.told) = (Some(now), true);
        fx.say(Notice::Warning(format!(
            "no advert to {} was sent for {:.1} s: {}; the other hosts have no master, and one of them becomes \
             a second one",
            unsent.to,
            now.since(unsent.since).to_duration().as_secs_f64(),
            unsent.why
        )));
    }
}

/// An advert of all addresses is larger than the MTU.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Shortfall {
    packet: usize,
    listed: usize,
    fitting: usize,
    outlet: Outlet,
}

impl Shortfall {
    fn of(config: &Config, outlet: &Outlet) -> Option<Self> {
        let (size, listed) = (AdvertSize::of(config), config.addresses.len());
        let (packet, room) = (size.packet(listed), usize::try_from(outlet.mtu).ok()?);
        (packet > room).then(|| Self {
            packet,
            listed,
            fitting: size.most_at(room),
            outlet: outlet.clone(),
        })
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            packet,
            listed,
            fitting,
            outlet: Outlet { name, mtu },
        } = self;
        write!(
            f,
            "an advert of {listed} addresses has {packet} bytes, but the MTU of {name} is {mtu}, which fits \
             {fitting} addresses: raise the MTU, or move addresses to `excluded` or to other instances"
        )
    }
}
