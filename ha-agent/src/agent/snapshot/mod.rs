//! `status`, put together from the driver's board, the maps, the interfaces and the checks.

mod check;
mod datapath;
mod instance;
mod rejected;

use std::time::SystemTime;

use ha_common::election::Role;
use ha_common::units::{Centiseconds, Instant};

use super::handler::Agent;
use crate::config::Diff;
use crate::control::moment::Moment;
use crate::control::status::{Ability, Lease, LeaseState, Node, Pins, Sender, Status, Wakeups};
use crate::driver::board::Picture;
use crate::driver::{clock, realtime};

use check::checks;
use instance::instance;

/// When the snapshot is taken, on both clocks.
#[derive(Clone, Copy)]
struct Now {
    wall: SystemTime,
    monotonic: Instant,
}

impl Now {
    fn moment(self, at: Instant) -> Moment {
        Moment::before(self.wall, self.monotonic.since(at))
    }
}

pub(super) fn status(agent: &Agent) -> Status {
    let now = Now {
        wall: SystemTime::now(),
        monotonic: clock::now(),
    };
    let picture = agent.board.picture();
    let (config, loaded) = agent.config();
    Status {
        node: Node {
            name: config.node.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: now.moment(agent.started),
            config: agent.file.clone(),
            loaded: now.moment(loaded),
            pins: match &agent.pins {
                Ok(dir) => Pins::Pinned { dir: dir.clone() },
                Err(why) => Pins::Unpinned { why: why.clone() },
            },
        },
        instances: picture
            .views
            .iter()
            .map(|view| instance(agent, view, now))
            .collect(),
        checks: checks(agent, &config.checks, now),
        wakeups: wakeups(&picture),
        sender: sender(agent, &picture, now),
        warnings: config.warnings.iter().map(ToString::to_string).collect(),
    }
}

/// What a reload changed, one phrase each.
pub(super) fn changes(diff: &Diff<'_>) -> Vec<String> {
    let mut phrases = Vec::new();
    phrases.extend(
        diff.instances
            .added
            .iter()
            .map(|new| format!("instance {} added", new.name)),
    );
    phrases.extend(
        diff.instances
            .removed
            .iter()
            .map(|old| format!("instance {} removed", old.name)),
    );
    phrases.extend(
        diff.instances
            .changed
            .iter()
            .map(|change| format!("instance {}: {:?} changed", change.new.name, change.fields)),
    );
    phrases.extend(
        diff.checks
            .added
            .iter()
            .map(|new| format!("check {} added", new.name)),
    );
    phrases.extend(
        diff.checks
            .removed
            .iter()
            .map(|old| format!("check {} removed", old.name)),
    );
    phrases.extend(
        diff.checks
            .changed
            .iter()
            .map(|change| format!("check {}: {:?} changed", change.new.name, change.fields)),
    );
    phrases.extend(
        diff.node_needs_restart.iter().map(|field| {
            format!("[node] {field:?} is different: takes effect at the next restart")
        }),
    );
    phrases
}

fn wakeups(picture: &Picture) -> Wakeups {
    let counted = picture.wakeups;
    Wakeups {
        ring_events: counted.events,
        timers: counted.timers,
        watchdog: counted.watchdog,
        commands: counted.commands,
        checks: counted.checks,
        netlink: counted.links,
    }
}

fn sender(agent: &Agent, picture: &Picture, now: Now) -> Sender {
    let held = picture.lease_until > now.monotonic;
    let is_master = picture.views.iter().any(|view| view.role == Role::Master);
    Sender {
        realtime: ability(picture.realtime.as_ref().map(|(_, sender)| sender)),
        memory_locked: ability(Some(&agent.memory)),
        lease: Lease {
            // Nobody renews a lease that nobody needs.
            state: if held || !is_master {
                LeaseState::Held
            } else {
                LeaseState::Lapsed
            },
            left_us: picture.lease_until.since(now.monotonic).0 / 1000,
            lapses: picture.punctuality.lapses,
        },
        late_sends: picture.punctuality.late,
        worst_late_us: picture.punctuality.worst.0 / 1000,
    }
}

fn ability(ability: Option<&realtime::Ability>) -> Ability {
    ability.map_or_else(
        || Ability {
            active: false,
            why: "not started yet".to_owned(),
        },
        |ability| Ability {
            active: ability.active,
            why: ability.why.clone(),
        },
    )
}

const fn micros(interval: Centiseconds) -> u64 {
    interval.nanos().0 / 1000
}
