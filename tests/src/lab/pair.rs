//! Two hosts with an agent each, settled: the stage of most lab tests.

use std::time::Duration;

use anyhow::{Result, ensure};
use ha_common::units::Instant;

use super::addresses::VIP;
use super::agent::{Agent, Launch, State};
use super::agent_config::Instance;
use super::capture::{Capture, Takeover, Timing};
use super::clock::now;
use super::host::Host;
use super::vip_watch::VipWatch;
use super::world::Lab;

pub use super::wait::PATIENCE;

/// How far a measured wait may fall short of the protocol's: capture and host stamp the same frame at
/// slightly different times.
pub const EARLINESS: Duration = Duration::from_millis(1);
/// What is allowed past a deadline, on a machine that does other things as well.
pub const LATENESS: Duration = Duration::from_millis(60);

/// Host 1 with priority 100 is master, host 2 with priority 90 listens to it.
pub struct Pair {
    /// On host 1.
    pub master: Agent,
    /// On host 2.
    pub backup: Agent,
    /// The address on host 1.
    pub on_master: VipWatch,
    /// The address on host 2.
    pub on_backup: VipWatch,
    /// Every port.
    pub capture: Capture,
    /// The segment.
    pub lab: Lab,
}

/// The usual instance, with a short interval.
pub fn instance(priority: u8) -> Instance {
    Instance {
        priority,
        advert_interval: INTERVAL,
        ..Instance::default()
    }
}

/// Between the adverts of [`instance`].
pub const INTERVAL: Duration = Duration::from_millis(100);

/// The wait of the backup of a pair with the usual interval.
pub const TIMING: Timing = Timing {
    interval: INTERVAL,
    priority: 90,
};

/// The same by `auto`, whatever datapath is under test: for what holds at tc alone.
pub fn by_auto(priority: u8) -> Instance {
    instance(priority).by("auto")
}

impl Pair {
    /// With the usual instances.
    pub fn start() -> Result<Self> {
        Self::of(instance(100), instance(90))
    }

    /// With these instances; the first must win.
    pub fn of(first: Instance, second: Instance) -> Result<Self> {
        Self::launched(first, second, &Launch::default())
    }

    /// With these instances, the backup started in this way.
    pub fn launched(first: Instance, second: Instance, backup: &Launch) -> Result<Self> {
        Self::settle(Lab::new(2)?, first, second, backup)
    }

    /// With these instances in a lab that is there already.
    pub fn in_lab(lab: Lab, first: Instance, second: Instance) -> Result<Self> {
        Self::settle(lab, first, second, &Launch::default())
    }

    /// The same, the backup started in this way.
    pub fn settle(lab: Lab, first: Instance, second: Instance, backup: &Launch) -> Result<Self> {
        let (h1, h2) = (lab.host(1).clone(), lab.host(2).clone());
        let capture = lab.capture()?;
        let (on_master, on_backup) = (h1.vip_watch(VIP)?, h2.vip_watch(VIP)?);
        let master = Agent::master(&h1, first)?;
        Agent::write_config(&h2, second)?;
        let backup = Agent::launch(&h2, backup)?;
        backup.wait_follows()?;
        let pair = Self {
            master,
            backup,
            on_master,
            on_backup,
            capture,
            lab,
        };
        pair.is_settled()?;
        Ok(pair)
    }

    /// The usual pair by `auto`, whatever datapath is under test: for what holds at tc alone.
    pub fn auto() -> Result<Self> {
        Self::of(by_auto(100), by_auto(90))
    }

    /// Host 1.
    pub fn h1(&self) -> &Host {
        self.lab.host(1)
    }

    /// Host 2.
    pub fn h2(&self) -> &Host {
        self.lab.host(2)
    }

    /// Fails unless host 1 alone has the address.
    pub fn is_settled(&self) -> Result<()> {
        ensure!(self.on_master.present(), "host 1 has no address");
        ensure!(!self.on_backup.present(), "host 2 has the address");
        Ok(())
    }

    /// Fails if the address came or went on either host since then.
    pub fn undisturbed_since(&self, since: Instant) -> Result<()> {
        self.on_master.undisturbed_since(since)?;
        self.on_backup.undisturbed_since(since)
    }

    /// Waits until host 2 has the address, and host 1 has not; when it came.
    pub fn moved_away(&self) -> Result<Instant> {
        let taken = self.on_backup.wait_present(PATIENCE)?;
        self.on_master.wait_absent(PATIENCE)?;
        Ok(taken)
    }

    /// Waits until host 1 has the address again, and host 2 has not; when it came.
    pub fn moved_back(&self) -> Result<Instant> {
        let taken = self.on_master.wait_present(PATIENCE)?;
        self.on_backup.wait_absent(PATIENCE)?;
        Ok(taken)
    }

    /// Cuts host 1 off and waits for the take-over, which must come at the protocol's deadline.
    pub fn cut_and_take_over(&self, lateness: Duration) -> Result<Takeover> {
        let cut = now();
        self.lab.block(self.h1())?;
        let takeover = self.takeover_since(cut)?;
        at_deadline(&takeover, lateness)?;
        self.on_backup.wait_present(PATIENCE)?;
        Ok(takeover)
    }

    /// The take-over by host 2 after that moment, with the usual interval.
    pub fn takeover_since(&self, since: Instant) -> Result<Takeover> {
        self.capture
            .takeover(self.h2(), VIP, TIMING, since, PATIENCE)
    }

    /// Undoes [`Self::cut_and_take_over`] and waits until host 1 alone has the address again.
    pub fn heal(&self) -> Result<()> {
        self.lab.unblock(self.h1())?;
        self.on_backup.wait_absent(PATIENCE)?;
        self.backup.wait_state(State::Backup, PATIENCE)?;
        self.is_settled()
    }
}

/// Fails unless the first advert came at the deadline, or no later than this past it.
pub fn at_deadline(takeover: &Takeover, lateness: Duration) -> Result<()> {
    let waited = takeover.first_advert.since(takeover.last_advert);
    let rule = takeover.deadline.since(takeover.last_advert);
    let (waited, rule) = (waited.to_duration(), rule.to_duration());
    ensure!(
        waited + EARLINESS >= rule && waited <= rule + lateness,
        "the backup waited {waited:?}, where the protocol says {rule:?}"
    );
    Ok(())
}
