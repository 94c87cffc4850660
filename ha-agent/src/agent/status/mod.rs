//! `status`, put together from what the driver publishes, the maps, the interfaces and the checks.

mod check;
pub(super) mod datapath;
mod group;
mod host;
mod instance;
mod now;
mod rejected;
mod routing;
mod tracked;
mod transport;

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use ha_common::election::Role;

use crate::agent::descriptors;
use crate::agent::running::Agent;
use crate::config::Problem;
use crate::driver::published;
use crate::driver::published::PublishedStatus;
use crate::os::{clock, realtime};
use crate::status::agent::{
    Ability, LastReload, Lease, LeaseState, Node, Pins, Sender, Status, Wakeups,
};
use crate::status::watches::{Unwatched, Watches};

use check::checks;
use group::groups;
use host::Host;
use instance::instance;
use now::Now;

pub(super) fn status(agent: &Agent) -> Status {
    let now = Now {
        wall: SystemTime::now(),
        monotonic: clock::now(),
    };
    let picture = agent.published.picture();
    let host = Host::read(agent, &picture);
    let (config, loaded) = agent.config();
    Status {
        node: Node {
            name: config.node.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: now.moment(agent.started),
            config: agent.file.clone(),
            loaded: now.moment(loaded),
            last_reload: last_reload(agent, now),
            pins: match &agent.pins {
                Ok(dir) => Pins::Pinned { dir: dir.clone() },
                Err(why) => Pins::Unpinned { why: why.clone() },
            },
        },
        instances: picture
            .views
            .iter()
            .map(|view| instance(agent, view, &host, now))
            .collect(),
        checks: checks(agent, &config.checks, now),
        groups: groups(&config.groups, &picture),
        wakeups: wakeups(&agent.published.wakeups),
        sender: sender(agent, &picture, now),
        leftovers: picture.leftovers.iter().map(|it| now.missing(it)).collect(),
        watches: watches(agent, now),
        warnings: config
            .warnings
            .iter()
            .map(Problem::one_line)
            .chain(descriptors::warning(&config))
            .chain(agent.same_host.warnings())
            .collect(),
    }
}

fn last_reload(agent: &Agent, now: Now) -> Option<LastReload> {
    let last = agent
        .last_reload
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let (at, error) = last?;
    Some(LastReload {
        at: now.moment(at),
        error: error.as_ref().map(|it| it.message.clone()),
        details: error.map(|it| it.details).unwrap_or_default(),
    })
}

fn wakeups(counted: &published::Wakeups) -> Wakeups {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Wakeups {
        ring_events: read(&counted.events),
        timers: read(&counted.timers),
        watchdog: read(&counted.watchdog),
        commands: read(&counted.commands),
        checks: read(&counted.checks),
        netlink: read(&counted.links),
    }
}

fn sender(agent: &Agent, picture: &PublishedStatus, now: Now) -> Sender {
    let held = agent.sender_stats.lease_until() > now.monotonic;
    let is_master = picture.views.iter().any(|view| view.role == Role::Master);
    Sender {
        realtime: ability(&agent.realtime.1),
        memory_locked: ability(&agent.memory),
        lease: Lease {
            // Nobody renews a lease that nobody needs.
            state: if held || !is_master {
                LeaseState::Held
            } else {
                LeaseState::Lapsed
            },
            left_us: agent.sender_stats.lease_until().since(now.monotonic).0 / 1000,
            lapses: agent.sender_stats.lapses(),
        },
        late_sends: agent.sender_stats.late(),
        worst_late_us: agent.sender_stats.worst().0 / 1000,
    }
}

fn watches(agent: &Agent, now: Now) -> Watches {
    let [interfaces, routes] = agent.watch_troubles.each_ref().map(|trouble| {
        trouble.get().map(|trouble| Unwatched {
            since: now.moment(trouble.since),
            why: trouble.why,
            attempts: trouble.attempts,
            next: now.ahead(trouble.next),
        })
    });
    Watches { interfaces, routes }
}

fn ability(ability: &realtime::Ability) -> Ability {
    Ability {
        active: ability.active,
        why: ability.why.clone(),
    }
}
