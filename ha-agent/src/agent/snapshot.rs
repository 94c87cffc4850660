//! `status`, put together from the driver's board, the maps, the interfaces and the checks.

use std::time::SystemTime;

use ha_common::election::Role;
use ha_common::layout::{PeerStats, Slot};
use ha_common::reject::Reject;
use ha_common::units::{Centiseconds, Instant, Version};
use ha_common::wire::vrrp::TTL;

use super::handler::Agent;
use super::peers::address;
use crate::checks::{CheckStatus, Verdict};
use crate::config::Diff;
use crate::config::model;
use crate::control::checks::{Check, CheckKind, CheckResult, CheckState};
use crate::control::instance::{
    Address, Checksum, Consume, ConsumeChoice, Counters, Datapath, DatapathKind, Difference,
    Family, Instance, Interval, Master, Notice, PrioritySum, Refusal, Rejected, State, Term, Timer,
    TimerKind, Transition,
};
use crate::control::moment::Moment;
use crate::control::rejects::RejectCounts;
use crate::control::status::{Ability, Lease, LeaseState, Node, Pins, Sender, Status, Wakeups};
use crate::driver::board::{DatapathView, Picture, View};
use crate::driver::{clock, priority, realtime};

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

fn instance(agent: &Agent, view: &View, now: Now) -> Instance {
    let config = &view.config;
    let slot = slot(agent, view);
    Instance {
        name: config.name.clone(),
        interface: config.interface.clone(),
        ifindex: view.ifindex,
        family: Family::from(config.family),
        vrid: config.vrid.get(),
        version: config.version as u8,
        state: state(view.role),
        since: now.moment(if view.since == Instant(0) {
            agent.started
        } else {
            view.since
        }),
        reason: view
            .reason
            .clone()
            .filter(|_| !matches!(view.role, Role::Master | Role::Backup)),
        priority: priority_sum(view),
        preempt: config.preempt,
        master: master(view, slot.as_ref(), now),
        addresses: addresses(agent, view),
        datapath: datapath(view.datapath.as_ref()),
        consume: consume(view),
        interval: interval(view, slot.as_ref()),
        timer: timer(view.datapath.as_ref()),
        last_transition: view.last.as_ref().map(|(last, cause, latency)| Transition {
            from: state(last.from),
            to: state(last.to),
            cause: cause.clone(),
            at: now.moment(last.at),
            latency_us: latency.map(|span| span.0 / 1000),
        }),
        transitions: view.transitions,
        counters: counters(agent, view, slot.as_ref()),
        last_rejected: slot.as_ref().and_then(|slot| rejected(view, slot, now)),
        notices: view
            .notices
            .iter()
            .map(|(at, text)| Notice {
                at: now.moment(*at),
                text: text.clone(),
            })
            .collect(),
    }
}

fn slot(agent: &Agent, view: &View) -> Option<Slot> {
    let datapath = view.datapath.as_ref()?;
    if let Some(soft) = &datapath.soft {
        return Some(soft.slot);
    }
    agent.reader.as_ref()?.slot(datapath.kernel_slot?)
}

const fn state(role: Role) -> State {
    match role {
        Role::Initialize | Role::Hold | Role::Stopped => State::Initialize,
        Role::Backup => State::Backup,
        Role::Master => State::Master,
        Role::Fault => State::Fault,
    }
}

fn priority_sum(view: &View) -> PrioritySum {
    let weighted = view.terms.iter().filter_map(|term| {
        Some(Term {
            check: term.check.clone(),
            weight: term.weight?,
            applied: term.applied() != 0,
        })
    });
    PrioritySum {
        base: view.config.priority.0,
        terms: weighted.collect(),
        effective: priority::effective(view.config.priority, &view.terms).0,
    }
}

fn master(view: &View, slot: Option<&Slot>, now: Now) -> Option<Master> {
    let config = &view.config;
    if view.role == Role::Master {
        return Some(Master {
            is_self: true,
            address: view.source?,
            priority: priority::effective(config.priority, &view.terms).0,
            interval_us: micros(config.advert_interval),
            last_heard_us: None,
            checksum: own_checksum(config),
        });
    }
    let slot = slot.filter(|slot| slot.master_address != [0; 16])?;
    let silent = now.monotonic.since(Instant(slot.last_heard));
    // One that has been silent for longer than any master may be is none.
    if silent > ha_common::follow::down_interval(slot) {
        return None;
    }
    Some(Master {
        is_self: false,
        address: address(slot.family, slot.master_address),
        priority: slot.master_priority,
        interval_us: micros(Centiseconds(slot.master_interval)),
        last_heard_us: Some(silent.0 / 1000),
        checksum: match (own_checksum(config).is_some(), slot.master_checksum) {
            (true, 1) => Some(Checksum::PseudoHeader),
            (true, 2) => Some(Checksum::Payload),
            _ => None,
        },
    })
}

/// There are two ways only in v3 over IPv4.
fn own_checksum(config: &model::Instance) -> Option<Checksum> {
    use ha_common::units::Family::V4;
    match (config.version, config.family, config.checksum) {
        (Version::V3, V4, model::ChecksumFlavour::PseudoHeader) => Some(Checksum::PseudoHeader),
        (Version::V3, V4, model::ChecksumFlavour::Payload) => Some(Checksum::Payload),
        _ => None,
    }
}

fn addresses(agent: &Agent, view: &View) -> Vec<Address> {
    let links = agent.links.borrow();
    let link = links.by_name(&view.config.interface);
    view.config
        .addresses
        .iter()
        .map(|net| Address {
            address: *net,
            present: link.is_some_and(|link| link.has_address(net.addr())),
        })
        .collect()
}

fn datapath(view: Option<&DatapathView>) -> Datapath {
    let Some(view) = view else {
        return Datapath {
            kind: None,
            why: Vec::new(),
        };
    };
    let why = view.refusals.iter().map(|(kind, reason)| Refusal {
        kind: datapath_kind(kind),
        reason: reason.clone(),
    });
    Datapath {
        kind: Some(datapath_kind(view.kind)),
        why: why.collect(),
    }
}

fn datapath_kind(name: &str) -> DatapathKind {
    match name {
        "native" => DatapathKind::Native,
        "generic" => DatapathKind::Generic,
        _ => DatapathKind::Socket,
    }
}

fn consume(view: &View) -> Consume {
    let effective = view
        .datapath
        .as_ref()
        .is_some_and(|datapath| datapath.consume);
    let in_kernel = view
        .datapath
        .as_ref()
        .is_some_and(|datapath| datapath.kernel_slot.is_some());
    let (configured, why) = match view.config.consume {
        model::Consume::Always => (ConsumeChoice::Always, "configured".to_owned()),
        model::Consume::Never => (ConsumeChoice::Never, "configured".to_owned()),
        model::Consume::Auto if effective => (
            ConsumeChoice::Auto,
            "the interface's instances add up to more than 100 adverts a second".to_owned(),
        ),
        model::Consume::Auto => (
            ConsumeChoice::Auto,
            "the interface's instances add up to at most 100 adverts a second".to_owned(),
        ),
    };
    if in_kernel {
        Consume {
            configured,
            effective,
            why,
        }
    } else {
        Consume {
            configured,
            effective: false,
            why: "no XDP program runs".to_owned(),
        }
    }
}

fn interval(view: &View, slot: Option<&Slot>) -> Interval {
    let learned = slot
        .filter(|slot| view.role == Role::Backup && slot.version == Version::V3 as u8)
        .map(|slot| slot.master_interval)
        .filter(|interval| *interval != 0);
    Interval {
        own_us: micros(view.config.advert_interval),
        learned_us: learned.map(|interval| micros(Centiseconds(interval))),
    }
}

fn timer(view: Option<&DatapathView>) -> Timer {
    match view {
        Some(view) if view.kernel_timer => Timer {
            kind: TimerKind::Kernel,
            why: None,
        },
        Some(view) if view.kernel_slot.is_some() => Timer {
            kind: TimerKind::Watchdog,
            why: Some("the kernel gave no timer".to_owned()),
        },
        Some(_) => Timer {
            kind: TimerKind::Watchdog,
            why: Some("the plain-socket datapath keeps its deadlines in the agent".to_owned()),
        },
        None => Timer {
            kind: TimerKind::Watchdog,
            why: Some("nothing is attached".to_owned()),
        },
    }
}

fn counters(agent: &Agent, view: &View, slot: Option<&Slot>) -> Counters {
    let slot = slot.copied().unwrap_or_default();
    Counters {
        adverts_received: slot.adverts,
        rejects: rejects(agent, view),
        events: slot.events,
        wakeups: view.wakeups,
        suppressed: slot.suppressed,
        dropped: slot.dropped,
        timer_fired: slot.fired,
        adverts_sent: view.sent.adverts,
        garp_sent: view.announced,
        vip_restored: view.restored,
    }
}

/// The sum over the peers of this virtual router.
fn rejects(agent: &Agent, view: &View) -> RejectCounts {
    let mut counts = RejectCounts::default();
    let mut add = |stats: &PeerStats| {
        for (reject, count) in Reject::ALL.into_iter().zip(stats.rejects) {
            counts.add(reject, count);
        }
    };
    let Some(datapath) = &view.datapath else {
        return counts;
    };
    if let Some(soft) = &datapath.soft {
        soft.peers.iter().for_each(|(_, stats)| add(stats));
    } else if let (Some(reader), Some(ifindex)) = (&agent.reader, view.ifindex) {
        let config = &view.config;
        let key = ha_common::layout::SlotKey::new(ifindex, config.family, config.vrid.get());
        reader
            .peers()
            .iter()
            .filter(|(peer, _)| peer.slot == key)
            .for_each(|(_, stats)| add(stats));
    }
    counts
}

fn rejected(view: &View, slot: &Slot, now: Now) -> Option<Rejected> {
    let last = slot.last_reject;
    if last.at == 0 {
        return None;
    }
    let reject = Reject::from_index(usize::from(last.reason))?;
    Some(Rejected {
        reason: reject.name().to_owned(),
        source: address(slot.family, last.source),
        at: now.moment(Instant(last.at)),
        differences: differences(view, slot),
    })
}

/// Field by field, what the rejected message says and what it should.
fn differences(view: &View, slot: &Slot) -> Vec<Difference> {
    let last = slot.last_reject;
    let [version_type, _, _, count, fourth, fifth, _, _] = last.header;
    let config = &view.config;
    let mut found = Vec::new();
    let mut compare = |field: &str, expected: String, got: String| {
        if expected != got {
            found.push(Difference {
                field: field.to_owned(),
                expected,
                got,
            });
        }
    };
    compare("ttl", TTL.to_string(), last.ttl.to_string());
    compare(
        "version",
        slot.version.to_string(),
        (version_type >> 4).to_string(),
    );
    compare("type", "1".to_owned(), (version_type & 0x0f).to_string());
    compare(
        "address count",
        config.addresses.len().to_string(),
        count.to_string(),
    );
    if config.version == Version::V2 {
        compare("auth type", slot.auth_type.to_string(), fourth.to_string());
        let seconds = |centis: u16| format!("{} s", centis / 100);
        compare("interval", seconds(slot.own_interval), format!("{fifth} s"));
    } else {
        let theirs = u16::from_be_bytes([fourth & 0x0f, fifth]);
        let millis = |centis: u16| format!("{} ms", u32::from(centis) * 10);
        compare("interval", millis(slot.own_interval), millis(theirs));
    }
    if last.reason == Reject::Checksum as u8 {
        compare(
            "checksum",
            "a right one".to_owned(),
            "a wrong one".to_owned(),
        );
    }
    if last.reason == Reject::AuthData as u8 {
        compare(
            "password",
            "the configured one".to_owned(),
            "another one".to_owned(),
        );
    }
    found
}

fn checks(agent: &Agent, configured: &[model::Check], now: Now) -> Vec<Check> {
    let running = agent.check_status();
    running
        .iter()
        .filter_map(|status| {
            let config = configured.iter().find(|check| check.name == status.name)?;
            Some(check(status, config, now))
        })
        .collect()
}

fn check(status: &CheckStatus, config: &model::Check, now: Now) -> Check {
    let ago = |millis: u64| Moment::before(now.wall, ha_common::units::Nanos::from_millis(millis));
    Check {
        name: status.name.clone(),
        kind: match config.probe {
            model::Probe::Http(_) => CheckKind::Http,
            model::Probe::Tcp(_) => CheckKind::Tcp,
            model::Probe::Process(_) => CheckKind::Process,
            model::Probe::Command(_) => CheckKind::Command,
        },
        target: status.target.clone(),
        state: match (status.restarting, status.verdict) {
            (true, _) => CheckState::Restarting,
            (false, None) => CheckState::Pending,
            (false, Some(Verdict::Up)) => CheckState::Up,
            (false, Some(Verdict::Down)) => CheckState::Down,
        },
        since: ago(status.verdict_for_ms),
        last: status.last.as_ref().map(|last| CheckResult {
            ok: last.passed,
            text: last.text.clone(),
            latency_us: last.latency_us,
            at: ago(last.ago_ms),
        }),
        runs: status.runs,
        failures: status.failures,
        restarts: status.restarts,
        notice: status.notice.clone(),
    }
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
