//! The table of transitions: every state against every input, and what must come of it.
//!
//! Own address 10.0.0.2, priority 100, v3, 1 s adverts, preempt, start hold of 5 s.
//! A cell is `-` for nothing, else the role after and the actions in order.

use core::net::IpAddr;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::units::{Centiseconds, Nanos, Version};

pub(super) const NOW: Instant = Instant(100_000_000_000);

fn params() -> Params {
    Params {
        rules: Rules {
            version: Version::V3,
            own_address: IpAddr::from([10, 0, 0, 2]),
            priority: Priority(100),
            interval: Centiseconds(100),
            preempt: true,
            down_multiplier: 3,
        },
        start_hold: Nanos::from_millis(5000),
        preempt_delay: Nanos(0),
        grouped: false,
    }
}

pub(super) fn with(change: impl FnOnce(&mut Rules)) -> Params {
    let mut params = params();
    params.start_hold = Nanos(0);
    change(&mut params.rules);
    params
}

pub(super) fn advert(last_octet: u8, priority: u8) -> Advert {
    Advert {
        source: IpAddr::from([10, 0, 0, last_octet]),
        priority: Priority(priority),
        interval: Centiseconds(100),
    }
}

const COLUMNS: [Role; 6] = [
    Role::Initialize,
    Role::Hold,
    Role::Backup,
    Role::Master,
    Role::Fault,
    Role::Stopped,
];

/// An election in each state, reached the way it is reached in life.
fn in_role(role: Role) -> Election {
    let mut election = Election::new(params());
    let (hold_begins, hold_over) = (Instant(80_000_000_000), Instant(90_000_000_000));
    let path: &[(Instant, Input)] = match role {
        Role::Initialize => &[],
        // The hold is due at 101 s, so that a tick at 100 s is early.
        Role::Hold => &[(Instant(96_000_000_000), Input::Ready)],
        Role::Backup => &[(hold_begins, Input::Ready), (hold_over, Input::Tick)],
        Role::Master => &[
            (hold_begins, Input::Ready),
            (hold_over, Input::Tick),
            (
                Instant(93_609_375_000),
                Input::MasterDown { last_heard: None },
            ),
        ],
        Role::Fault => &[(hold_begins, Input::Fault(FaultCause::Check(CheckId(0))))],
        Role::Stopped => &[(hold_begins, Input::Shutdown)],
    };
    for (at, input) in path {
        election.handle(*at, *input);
    }
    assert_eq!(election.state().role(), role);
    election
}

fn input(name: &str) -> (Instant, Input) {
    let input = match name {
        "ready" => Input::Ready,
        "check fails" => Input::Fault(FaultCause::Check(CheckId(7))),
        "link fails" => Input::Fault(FaultCause::InterfaceDown),
        "higher priority" => Input::Advert(advert(1, 150)),
        "equal, higher address" => Input::Advert(advert(3, 100)),
        "equal, lower address" => Input::Advert(advert(1, 100)),
        "lower priority" => Input::Advert(advert(3, 50)),
        "priority 0" => Input::Advert(advert(3, 0)),
        "own address heard" => Input::Advert(advert(2, 100)),
        "master down" => Input::MasterDown {
            last_heard: Some(Instant(96_390_625_000)),
        },
        "tick, early" => Input::Tick,
        "tick, due" => return (Instant(101_000_000_000), Input::Tick),
        "priority 120" => Input::Priority(Priority(120)),
        "priority as before" => Input::Priority(Priority(100)),
        "other own address" => Input::OwnAddress(IpAddr::from([10, 0, 0, 9])),
        "other configuration" => Input::Configure(with(|r| r.interval = Centiseconds(50))),
        "resume" => Input::Resume,
        "taken over by equal" => Input::TakenOver(advert(1, 100)),
        "taken over by lower" => Input::TakenOver(advert(3, 50)),
        "taken over and released" => Input::TakenOver(advert(3, 0)),
        "sender stopped" => Input::SenderStopped,
        "events lost" => Input::EventsLost,
        "claimed" => Input::Claimed(Claim {
            address: IpAddr::from([10, 0, 0, 100]),
            mac: [2, 0, 0, 0, 0, 9],
        }),
        "group leads" => Input::GroupLeads,
        "group joins" => Input::GroupJoins(MemberId(1)),
        "group leaves" => Input::GroupLeaves(Departure {
            by: MemberId(1),
            stagger: 0,
        }),
        "group waits" => Input::GroupWaits,
        "shutdown" => Input::Shutdown,
        other => panic!("no such input: {other}"),
    };
    (NOW, input)
}

/// Rows in the order of [`COLUMNS`]: INIT, HOLD, BACKUP, MASTER, FAULT, STOPPED.
#[rustfmt::skip]
const TABLE: &[(&str, [&str; 6])] = &[
    // RFC 9568 section 6.4.1 (listen), RFC 3768 section 6.4.1 (listen)
    ("ready", [
        "HOLD detect-idle report(ready, start hold of 5.000 s)", "-", "-", "-",
        "BACKUP detect-backup(3609375000) report(ready)", "-"]),
    ("check fails", [
        "FAULT detect-idle report(check number 7 failed)",
        "FAULT detect-idle report(check number 7 failed)",
        "FAULT detect-idle report(check number 7 failed)",
        "FAULT farewell remove detect-idle report(check number 7 failed)", "-", "-"]),
    ("link fails", [
        "FAULT detect-idle report(interface is down)",
        "FAULT detect-idle report(interface is down)",
        "FAULT detect-idle report(interface is down)",
        "FAULT farewell remove detect-idle report(interface is down)", "-", "-"]),
    // RFC 9568 section 6.4.3 (yield), RFC 3768 section 6.4.3 (yield)
    ("higher priority", ["-", "-", "-",
        "BACKUP last-word remove detect-backup(3609375000) report(better master 10.0.0.1 with priority 150)",
        "-", "-"]),
    ("equal, higher address", ["-", "-", "-",
        "BACKUP last-word remove detect-backup(3609375000) report(better master 10.0.0.3 with priority 100)",
        "-", "-"]),
    // RFC 9568 section 6.4.3 (assert), RFC 3768 section 6.4.3 (discard)
    ("equal, lower address", ["-", "-", "-", "MASTER advert announce", "-", "-"]),
    ("lower priority", ["-", "-", "-", "MASTER advert announce", "-", "-"]),
    // RFC 9568 section 6.4.3 (released), RFC 3768 section 6.4.3 (released)
    ("priority 0", ["-", "-", "-", "MASTER advert announce", "-", "-"]),
    ("own address heard", ["-", "-", "BACKUP notice(own)", "MASTER notice(own)", "-", "-"]),
    // RFC 9568 sections 6.4.2 (expiry), 8.1.2 (order), 8.2.2 (order); RFC 3768 section 6.4.2 (expiry)
    ("master down", ["-", "-",
        "MASTER start add announce detect-master report(no advert for 3.609 s)", "-", "-", "-"]),
    ("tick, early", ["-", "-", "-", "-", "-", "-"]),
    ("tick, due", ["-", "BACKUP detect-backup(3609375000) report(start hold over)", "-", "-", "-", "-"]),
    ("priority 120", ["INIT rules", "HOLD rules", "BACKUP rules", "MASTER update rules", "FAULT rules", "-"]),
    ("priority as before", ["-", "-", "-", "-", "-", "-"]),
    ("other own address", ["INIT rules", "HOLD rules", "BACKUP rules", "MASTER update rules", "FAULT rules", "-"]),
    ("other configuration", ["INIT rules", "HOLD rules", "BACKUP rules", "MASTER update rules", "FAULT rules", "-"]),
    ("resume", ["MASTER start adopt announce detect-master notice(resumed)", "-", "-", "-", "-", "-"]),
    ("taken over by equal", ["-", "-", "-",
        "BACKUP silence remove detect-backup(3609375000) report(10.0.0.1 with priority 100 took over during a stall)",
        "-", "-"]),
    ("taken over by lower", ["-", "-", "-", "MASTER advert announce", "-", "-"]),
    ("taken over and released", ["-", "-", "-", "MASTER advert", "-", "-"]),
    ("sender stopped", ["-", "-", "-", "MASTER start announce notice(sending again)", "-", "-"]),
    ("events lost", ["-", "-", "-", "MASTER advert announce", "-", "-"]),
    ("claimed", ["-", "-", "-", "MASTER announce", "-", "-"]),
    // Its timer has not run out.
    ("group leads", ["-", "-", "-", "-", "-", "-"]),
    ("group waits", ["-", "-", "-", "-", "-", "-"]),
    ("group joins", ["-", "-",
        "MASTER start add announce detect-master report(member number 1 of its group takes over)",
        "-", "-", "-"]),
    ("group leaves", ["-", "-", "-",
        "BACKUP farewell remove detect-backup(3609375000) report(member number 1 of its group cannot be master)",
        "-", "-"]),
    // RFC 9568 sections 6.4.2 (shutdown), 6.4.3 (shutdown);
    // RFC 3768 sections 6.4.2 (shutdown), 6.4.3 (shutdown)
    ("shutdown", [
        "STOPPED detect-idle report(shutdown)", "STOPPED detect-idle report(shutdown)",
        "STOPPED detect-idle report(shutdown)", "STOPPED farewell remove detect-idle report(shutdown)",
        "STOPPED detect-idle report(shutdown)", "-"]),
];

fn word(action: Action) -> String {
    match action {
        Action::StartAdverts(_) => "start".into(),
        Action::UpdateAdverts(_) => "update".into(),
        Action::AdvertNow => "advert".into(),
        Action::StopAdverts(LastAdvert::Release) => "farewell".into(),
        Action::StopAdverts(LastAdvert::Own) => "last-word".into(),
        Action::StopAdverts(LastAdvert::None) => "silence".into(),
        Action::AddAddresses => "add".into(),
        Action::AdoptAddresses => "adopt".into(),
        Action::RemoveAddresses => "remove".into(),
        Action::Announce => "announce".into(),
        Action::Detect { detector, .. } => match detector {
            Detector::Idle => "detect-idle".into(),
            Detector::Backup { arm_for } => format!("detect-backup({})", arm_for.0),
            Detector::Master => "detect-master".into(),
        },
        Action::UpdateDetector(_) => "rules".into(),
        Action::Report(transition) => format!("report({})", transition.cause),
        Action::Notice(Notice::TwoOwners { .. }) => "notice(two owners)".into(),
        Action::Notice(Notice::OwnAddressHeard(_)) => "notice(own)".into(),
        Action::Notice(Notice::IntervalDiffers { .. }) => "notice(interval)".into(),
        Action::Notice(Notice::Resumed) => "notice(resumed)".into(),
        Action::Notice(Notice::SendingAgain) => "notice(sending again)".into(),
    }
}

pub(super) fn words(actions: &Actions) -> String {
    actions.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_input_in_every_state_does_what_the_table_says() {
    for (name, cells) in TABLE {
        for (role, expected) in COLUMNS.into_iter().zip(cells) {
            let mut election = in_role(role);
            let (now, input) = input(name);
            let actions = election.handle(now, input);
            let after = election.state().role();
            let found = if after == role && actions.is_empty() {
                "-".into()
            } else {
                format!("{after} {}", words(&actions))
            };
            assert_eq!(&found, expected, "{name} in {role}");
        }
    }
}

/// RFC 9568 section 6.4.1 (owner), RFC 3768 section 6.4.1 (owner).
#[test]
fn an_owner_does_not_wait() {
    let mut election = Election::new(with(|r| r.priority = Priority::OWNER));
    let actions = election.handle(NOW, Input::Ready);
    assert_eq!(
        words(&actions),
        "start add announce detect-master report(owner of the addresses (priority 255))"
    );
}

/// RFC 9568 section 8.3.2 (owner-log).
#[test]
fn of_two_owners_the_lower_address_steps_down_and_both_report_it_once() {
    let owner = with(|r| r.priority = Priority::OWNER);
    let mut lower = Election::new(owner);
    lower.handle(NOW, Input::Ready);
    let actions = lower.handle(NOW, Input::Advert(advert(3, 255)));
    assert!(words(&actions).starts_with("notice(two owners) last-word remove detect-backup("));

    let mut higher = Election::new(owner);
    higher.handle(NOW, Input::Ready);
    let actions = higher.handle(NOW, Input::Advert(advert(1, 255)));
    assert_eq!(words(&actions), "notice(two owners) advert announce");
    let later = NOW + Nanos::from_millis(1000);
    let actions = higher.handle(later, Input::Advert(advert(1, 255)));
    assert_eq!(words(&actions), "advert announce");
}

/// RFC 9568 section 6.1 (owner-preempts), RFC 3768 section 6.1 (owner-preempts).
#[test]
fn an_owner_preempts_although_it_is_told_not_to() {
    let mut election = Election::new(with(|r| {
        r.priority = Priority::OWNER;
        r.preempt = false;
    }));
    election.handle(NOW, Input::Ready);
    let actions = election.handle(NOW, Input::TakenOver(advert(3, 254)));
    assert_eq!(words(&actions), "advert announce");
    // Backup of another owner.
    election.handle(NOW, Input::Advert(advert(3, 255)));
    assert_eq!(election.state().role(), Role::Backup);
    assert!(election.detector_rules().preempt);
}

/// RFC 9568 sections 6.4.3 (yield), 7.1 (interval-equal, interval-log).
#[test]
fn a_yielding_v3_master_learns_the_interval_and_says_once_that_it_differs() {
    let mut election = in_role(Role::Master);
    let mut fast = advert(3, 200);
    fast.interval = Centiseconds(1);
    let actions = election.handle(NOW, Input::Advert(fast));
    // 3 * 10 ms + (256 - 100) * 10 ms / 256 (RFC 9568 section 6.1)
    assert!(
        words(&actions)
            .starts_with("notice(interval) last-word remove detect-backup(36093750) report(")
    );
    assert!(election.handle(NOW, Input::Advert(fast)).is_empty());
}

#[test]
fn a_v2_master_that_yields_keeps_its_configured_interval() {
    let mut election = Election::new(with(|r| r.version = Version::V2));
    election.handle(NOW, Input::Ready);
    election.handle(NOW, Input::MasterDown { last_heard: None });
    let mut other = advert(3, 200);
    other.interval = Centiseconds(500);
    let actions = election.handle(NOW, Input::Advert(other));
    // 3 s + (256 - 100) / 256 s (RFC 3768 section 6.1)
    assert!(words(&actions).contains("detect-backup(3609375000)"));
}

fn cause_after(election: &mut Election, inputs: &[Input], last_heard: Instant) -> Cause {
    for input in inputs {
        election.handle(NOW, *input);
    }
    let down = Input::MasterDown {
        last_heard: Some(last_heard),
    };
    let actions = election.handle(NOW + Nanos::from_millis(700), down);
    actions
        .iter()
        .find_map(|action| match action {
            Action::Report(transition) => Some(transition.cause),
            _ => None,
        })
        .expect("a take-over is reported")
}

#[test]
fn a_take_over_names_its_cause() {
    let released = [Input::Advert(advert(3, 200)), Input::Advert(advert(3, 0))];
    let cause = cause_after(&mut in_role(Role::Backup), &released, NOW);
    assert!(matches!(cause, Cause::Released { by } if by == IpAddr::from([10, 0, 0, 3])));

    let later = NOW + Nanos::from_millis(600);
    let cause = cause_after(&mut in_role(Role::Backup), &released, later);
    assert!(matches!(cause, Cause::NoAdvert { silence } if silence == Nanos::from_millis(100)));

    // One that was lower all the time, and one that fell.
    let worse = [Input::Advert(advert(3, 50))];
    let fell = [Input::Advert(advert(3, 200)), Input::Advert(advert(3, 50))];
    for heard in [&worse[..], &fell] {
        let cause = cause_after(&mut in_role(Role::Backup), heard, NOW);
        assert!(matches!(
            cause,
            Cause::Outranks {
                priority: Priority(50),
                ..
            }
        ));
    }
    // It died before its place could be taken.
    let long_ago = NOW - Nanos::from_millis(2500);
    let cause = cause_after(&mut in_role(Role::Backup), &worse, long_ago);
    assert!(matches!(cause, Cause::NoAdvert { silence } if silence == Nanos::from_millis(3200)));
}

pub(super) fn preempts_after(election: &mut Election, input: Input) -> Option<bool> {
    election
        .handle(NOW, input)
        .iter()
        .find_map(|action| match action {
            Action::UpdateDetector(rules) => Some(rules.preempt),
            _ => None,
        })
}

#[test]
fn nopreempt_leaves_a_healthy_master_alone_but_not_one_that_dropped() {
    let mut election = Election::new(with(|r| r.preempt = false));
    election.handle(NOW, Input::Ready);
    // A lower one that has always been lower is healthy.
    assert_eq!(
        preempts_after(&mut election, Input::Advert(advert(3, 90))),
        None
    );
    // Our own check came back: still no reason to take its place.
    assert_eq!(
        preempts_after(&mut election, Input::Priority(Priority(120))),
        Some(false)
    );
    // Its weights dropped.
    assert_eq!(
        preempts_after(&mut election, Input::Advert(advert(3, 70))),
        Some(true)
    );
    // It recovered before we took over.
    assert_eq!(
        preempts_after(&mut election, Input::Advert(advert(3, 90))),
        Some(false)
    );
    // Another master is another story.
    election.handle(NOW, Input::Advert(advert(3, 70)));
    assert_eq!(
        preempts_after(&mut election, Input::Advert(advert(4, 60))),
        Some(false)
    );
}

#[test]
fn nopreempt_yields_to_whoever_took_over_during_a_stall() {
    let mut election = Election::new(with(|r| r.preempt = false));
    election.handle(NOW, Input::Ready);
    election.handle(NOW, Input::MasterDown { last_heard: None });
    let actions = election.handle(NOW, Input::TakenOver(advert(3, 50)));
    assert!(words(&actions).starts_with("silence remove detect-backup("));
}

#[test]
fn the_start_hold_is_due_again_after_a_link_loss_and_not_after_a_failed_check() {
    let mut election = in_role(Role::Fault);
    election.handle(NOW, Input::Fault(FaultCause::InterfaceDown));
    election.handle(NOW, Input::Fault(FaultCause::Check(CheckId(0))));
    election.handle(NOW, Input::Ready);
    let until = NOW + Nanos::from_millis(5000);
    assert_eq!(*election.state(), State::Hold { until });
    assert_eq!(election.next_deadline(), Some(until));
}

/// RFC 9568 section 5.2.4 (backup), RFC 3768 section 5.3.4 (backup).
#[test]
fn own_priority_0_is_taken_for_1() {
    let mut election = in_role(Role::Backup);
    election.handle(NOW, Input::Priority(Priority(0)));
    assert_eq!(election.rules().priority, Priority(1));
    let election = Election::new(with(|r| r.priority = Priority(0)));
    assert_eq!(election.rules().priority, Priority(1));
}

/// RFC 9568 section 6.4.3 (assert).
#[test]
fn claims_one_upon_the_other_are_answered_by_one_advert_an_interval_and_ever_rarer_announcements() {
    let mut election = in_role(Role::Master);
    let mut after = |millis, input| {
        let now = NOW + Nanos::from_millis(millis);
        let actions = words(&election.handle(now, input));
        let owed = election
            .next_deadline()
            .map(|at| at.since(NOW).0 / 1_000_000);
        (actions, owed)
    };
    let lower = Input::Advert(advert(3, 50));
    let (_, claimed) = input("claimed");
    let says = |actions: &str, owed| (String::from(actions), owed);
    assert_eq!(after(0, lower), says("advert announce", None));
    assert_eq!(after(10, lower), says("", Some(100)));
    assert_eq!(after(30, Input::EventsLost), says("", Some(100)));
    assert_eq!(after(99, Input::Tick), says("", Some(100)));
    assert_eq!(after(100, Input::Tick), says("announce", None));
    assert_eq!(after(101, Input::Tick), says("", None));
    assert_eq!(after(600, lower), says("announce", None));
    assert_eq!(after(999, lower), says("", Some(2200)));
    assert_eq!(after(1000, lower), says("advert", Some(2200)));
    // Each of these may make another backup take over.
    assert_eq!(
        after(1001, Input::Advert(advert(3, 0))),
        says("advert", Some(2200))
    );
    assert_eq!(
        after(1002, Input::Advert(advert(3, 0))),
        says("advert", Some(2200))
    );
    // This has misled the neighbours already.
    assert_eq!(after(1010, claimed), says("announce", None));
    assert_eq!(after(1020, claimed), says("", Some(1110)));
    assert_eq!(after(1110, Input::Tick), says("announce", None));
}

#[test]
fn what_a_master_owes_its_neighbours_it_owes_no_longer_as_a_backup() {
    let mut election = in_role(Role::Master);
    for _ in 0..2 {
        election.handle(NOW, Input::Advert(advert(3, 50)));
    }
    assert!(election.next_deadline().is_some());
    election.handle(NOW, Input::Advert(advert(3, 150)));
    assert_eq!(election.next_deadline(), None);
    let (_, claimed) = input("claimed");
    assert!(election.handle(NOW, claimed).is_empty());
    // And as a master again it answers at once.
    let later = NOW + Nanos::from_millis(50);
    election.handle(later, Input::MasterDown { last_heard: None });
    assert_eq!(words(&election.handle(later, claimed)), "announce");
}
