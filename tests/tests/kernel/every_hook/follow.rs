//! What a slot does with adverts in each state, and what reaches the agent.

use std::time::Duration;

use ha_agent::datapath::error::KernelError;
use ha_common::layout::{Command, Event, Slot, event, flags, op, state, status};
use ha_common::reject::Reject;
use ha_common::timing::{master_down, skew};
use ha_common::units::{Centiseconds, Priority, Version};
use ha_tests::vectors::build::Checksum;
use ha_tests::vectors::{Receiver, VRID, link_local, raw};

use super::harness::{DROP, Lab, PASS, advert, command_for, is_runnable};

/// Far enough for no timer to fire in a test that is about something else.
const LONG: Duration = Duration::from_mins(10);

/// A slot of priority 90 in a state, its timer far off.
fn lab_in(receiver: Receiver, state: u8) -> (Lab, Command) {
    let mut lab = Lab::new();
    let command = command_for(receiver, 0, VRID);
    lab.list_peers(receiver, &receiver.peers());
    lab.configure(&command);
    lab.set_state(&command, state, LONG);
    (lab, command)
}

/// The deadline that an advert must have set, in nanoseconds after it was heard.
fn armed_for(slot: &Slot) -> u64 {
    slot.deadline - slot.last_heard
}

fn version(receiver: Receiver) -> Version {
    if receiver.version() == 2 {
        Version::V2
    } else {
        Version::V3
    }
}

fn down(receiver: Receiver, interval: u16) -> u64 {
    master_down(version(receiver), Priority(90), Centiseconds(interval), 3).0
}

#[test]
fn an_unchanged_advert_rearms_and_wakes_nobody() {
    for receiver in Receiver::ALL {
        let (mut lab, _) = lab_in(receiver, state::BACKUP);
        let frame = advert(receiver, |_| {});
        assert_eq!(lab.send(&frame), PASS);
        let first = lab.drain();
        let [first] = first.as_slice() else {
            panic!("a new master is news once: {first:?}");
        };
        assert_eq!(
            (first.kind, first.slot, first.sequence),
            (event::ADVERT, 0, 0)
        );
        assert_eq!(first.generation, 1);
        assert_eq!((first.priority, first.interval, first.count), (100, 100, 1));
        assert_eq!(first.source, raw(receiver.valid().source));
        assert_eq!(first.hash, lab.slot().master_hash);
        let before = lab.slot();
        assert_eq!(first.at, before.last_heard);
        for _ in 0..50 {
            lab.send(&frame);
        }
        let after = lab.slot();
        assert!(lab.drain().is_empty(), "{receiver:?}: nothing changed");
        assert_eq!((after.adverts, after.rearms, after.events), (51, 51, 1));
        assert_eq!(
            (after.suppressed, after.dropped, after.timer_errors),
            (0, 0, 0)
        );
        assert!(after.deadline > before.deadline);
        assert_eq!(armed_for(&after), down(receiver, 100), "{receiver:?}");
        assert_eq!((after.state, after.generation), (state::BACKUP, 1));
    }
}

/// What came of one more advert to a backup that follows the usual master.
fn after_change(
    receiver: Receiver,
    edit: impl FnOnce(&mut ha_tests::vectors::build::Frame),
) -> (Vec<Event>, Slot) {
    let (mut lab, _) = lab_in(receiver, state::BACKUP);
    lab.send(&advert(receiver, |_| {}));
    lab.drain();
    lab.send(&advert(receiver, edit));
    (lab.drain(), lab.slot())
}

fn one(events: Vec<Event>, what: &str) -> Event {
    let [event] = <[Event; 1]>::try_from(events)
        .unwrap_or_else(|events| panic!("{what}: one event wanted, got {events:?}"));
    assert_eq!(event.kind, event::ADVERT, "{what}");
    event
}

#[test]
fn another_priority_of_the_master_is_news() {
    let (events, slot) = after_change(Receiver::V3Ipv4, |f| f.message.priority = 150);
    assert_eq!(one(events, "priority").priority, 150);
    assert_eq!((slot.master_priority, slot.rearms), (150, 2));
}

/// RFC 9568 section 6.4.2 (learn).
#[test]
fn another_interval_of_the_master_is_news_and_learned() {
    let (events, slot) = after_change(Receiver::V3Ipv6, |f| f.message.word = [0, 7]);
    assert_eq!(one(events, "interval").interval, 7);
    assert_eq!(armed_for(&slot), down(Receiver::V3Ipv6, 7));
}

#[test]
fn another_checksum_and_another_list_of_the_master_are_news() {
    let (events, slot) = after_change(Receiver::V3Ipv4, |f| {
        f.message.checksum = Checksum::Payload;
    });
    assert_eq!(one(events, "checksum").checksum, 2);
    assert_eq!(slot.master_checksum, 2);
    let (events, slot) = after_change(Receiver::V3Ipv4, |f| {
        f.message.addresses = vec![f.source];
    });
    assert_eq!(one(events, "list").hash, slot.master_hash);
}

#[test]
fn a_better_sender_is_news_and_followed() {
    let (events, slot) = after_change(Receiver::V3Ipv6, |f| f.source = link_local(3).into());
    let event = one(events, "source");
    assert_eq!(event.source, link_local(3).octets());
    assert_eq!(event.is_overheard, 0);
    assert_eq!(slot.master_address, link_local(3).octets());
}

#[test]
fn a_worse_sender_is_news_but_not_followed_while_the_master_lives() {
    let (events, slot) = after_change(Receiver::V3Ipv4, |f| {
        f.source = [10, 99, 0, 3].into();
        f.message.priority = 95;
    });
    let event = one(events, "source");
    assert_eq!((event.priority, event.is_overheard), (95, 1));
    assert_eq!(slot.master_address, raw(Receiver::V3Ipv4.valid().source));
    assert_eq!(slot.rearms, 2);
}

/// The best backup took over from a dead master before our own timer ran out.
#[test]
fn who_takes_over_from_a_silent_master_is_followed() {
    let receiver = Receiver::V3Ipv4;
    let (mut lab, _) = lab_in(receiver, state::BACKUP);
    lab.send(&advert(receiver, |f| {
        f.message.priority = 200;
        f.message.word = [0, 1];
    }));
    let expired = lab
        .event(super::harness::PATIENCE)
        .and_then(|_| lab.event(super::harness::PATIENCE))
        .expect("the timer of a silent master");
    assert_eq!(expired.kind, event::MASTER_DOWN);
    let successor = advert(receiver, |f| f.source = [10, 99, 0, 3].into());
    lab.send(&successor);
    assert_eq!(one(lab.drain(), "the successor").is_overheard, 0);
    assert_eq!(lab.slot().master_address, raw([10, 99, 0, 3].into()));
    lab.send(&successor);
    assert!(
        lab.drain().is_empty(),
        "from then on it is the usual master"
    );
}

/// RFC 9568 section 6.4.2 (released), RFC 3768 section 6.4.2 (released).
#[test]
fn priority_zero_of_the_master_arms_the_skew() {
    for receiver in [Receiver::V3Ipv4, Receiver::V2Plain] {
        let (events, slot) = after_change(receiver, |f| f.message.priority = 0);
        assert_eq!(one(events, "release").priority, 0);
        let skew = skew(version(receiver), Priority(90), Centiseconds(100)).0;
        assert_eq!(armed_for(&slot), skew, "{receiver:?}");
    }
}

#[test]
fn priority_zero_of_somebody_else_changes_nothing() {
    let (events, slot) = after_change(Receiver::V3Ipv4, |f| {
        f.source = [10, 99, 0, 3].into();
        f.message.priority = 0;
    });
    assert!(events.is_empty(), "{events:?}");
    assert_eq!((slot.rearms, slot.adverts), (1, 2));
    assert_eq!(slot.master_priority, 100);
}

/// RFC 9568 section 6.4.2 (ignore), RFC 3768 section 6.4.2 (ignore).
#[test]
fn a_lower_priority_is_ignored_by_who_may_preempt() {
    let (events, slot) = after_change(Receiver::V3Ipv4, |f| f.message.priority = 89);
    assert_eq!(one(events, "whom it replaces").priority, 89);
    assert_eq!((slot.rearms, slot.adverts), (1, 2));
    assert_eq!(slot.master_priority, 89);
    // Of somebody else, while the master lives, it is no news at all.
    let (events, slot) = after_change(Receiver::V3Ipv4, |f| {
        f.source = [10, 99, 0, 3].into();
        f.message.priority = 89;
    });
    assert!(events.is_empty(), "{events:?}");
    assert_eq!((slot.rearms, slot.master_priority), (1, 100));
}

/// RFC 9568 section 6.4.2 (follow), RFC 3768 section 6.4.2 (follow).
#[test]
fn a_lower_priority_rearms_who_may_not_preempt() {
    let (mut lab, command) = lab_in(Receiver::V3Ipv4, state::BACKUP);
    lab.command(&Command {
        op: op::TUNE,
        flags: 0,
        ..command
    });
    lab.send(&advert(Receiver::V3Ipv4, |f| f.message.priority = 1));
    assert_eq!(one(lab.drain(), "lower").priority, 1);
    assert_eq!(lab.slot().rearms, 1);
}

#[test]
fn a_master_tells_every_advert_up_to_sixteen_in_a_tenth_of_a_second() {
    let (mut lab, _) = lab_in(Receiver::V3Ipv4, state::MASTER);
    let frame = advert(Receiver::V3Ipv4, |f| f.message.priority = 10);
    let mut sent = 0_u64;
    // A pause of the machine may open a new window: then it is tried again.
    let (events, slot) = loop {
        for _ in 0..100 {
            lab.send(&frame);
        }
        sent += 100;
        let slot = lab.slot();
        let events = lab.drain();
        if slot.suppressed > 0 && slot.window_events >= 100 {
            break (events, slot);
        }
        assert!(sent < 10_000, "no burst fitted into a window");
    };
    assert_eq!(events.len(), 16);
    assert!(events.iter().all(|event| event.kind == event::ADVERT));
    let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    let first = sequences[0];
    assert!(sequences.iter().copied().eq(first..first + 16));
    assert_eq!(slot.events + slot.suppressed, sent);
    assert_eq!((slot.adverts, slot.rearms, slot.deadline), (sent, 0, 0));
    std::thread::sleep(Duration::from_millis(101));
    lab.send(&frame);
    assert_eq!(lab.drain().len(), 1, "the next window is open");
}

#[test]
fn a_master_is_contested_by_who_outranks_it_only() {
    let receiver = Receiver::V3Ipv4;
    let cases = [
        ("higher priority", 91, 2, true),
        ("equal priority, higher address", 90, 2, true),
        ("equal priority, lower address", 90, 0, false),
        ("lower priority", 89, 2, false),
        ("release", 0, 2, false),
    ];
    for (name, priority, host, contested) in cases {
        let (mut lab, command) = lab_in(receiver, state::MASTER);
        lab.send(&advert(receiver, |f| {
            f.source = [10, 99, 0, host].into();
            f.message.priority = priority;
        }));
        let slot = lab.slot();
        assert_eq!(slot.contested_since != 0, contested, "{name}");
        assert_eq!(lab.drain().len(), 1, "{name}");
        lab.set_state(&command, state::BACKUP, LONG);
        assert_eq!(lab.slot().contested_since, 0, "{name}: yielding ends it");
    }
}

#[test]
fn a_contest_is_dated_by_its_first_advert_and_ends_with_a_release() {
    let receiver = Receiver::V3Ipv4;
    let (mut lab, _) = lab_in(receiver, state::MASTER);
    let better = advert(receiver, |_| {});
    lab.send(&better);
    let since = lab.slot().contested_since;
    lab.send(&better);
    let slot = lab.slot();
    assert_eq!(slot.contested_since, since);
    assert!(slot.last_heard > since);
    lab.send(&advert(receiver, |f| f.message.priority = 0));
    assert_eq!(lab.slot().contested_since, 0);
}

#[test]
fn an_idle_slot_counts_and_notes_the_master_only() {
    let (mut lab, _) = lab_in(Receiver::V2Password, state::IDLE);
    for _ in 0..5 {
        assert_eq!(lab.send(&advert(Receiver::V2Password, |_| {})), PASS);
    }
    let slot = lab.slot();
    assert_eq!((slot.adverts, slot.rearms, slot.events), (5, 0, 0));
    assert_eq!(
        slot.master_address,
        raw(Receiver::V2Password.valid().source)
    );
    assert_eq!(slot.deadline, 0);
    assert!(lab.drain().is_empty());
}

#[test]
fn a_consuming_slot_ends_its_adverts_and_nothing_else() {
    let (mut lab, command) = lab_in(Receiver::V3Ipv4, state::BACKUP);
    lab.command(&Command {
        op: op::TUNE,
        flags: flags::CONSUME,
        ..command
    });
    let receiver = Receiver::V3Ipv4;
    assert_eq!(lab.send(&advert(receiver, |_| {})), DROP);
    assert_eq!(lab.send(&advert(receiver, |f| f.ttl = 1)), DROP);
    assert_eq!(lab.send(&advert(receiver, |f| f.message.vrid = 52)), PASS);
    assert_eq!(lab.send(&advert(Receiver::V3Ipv6, |_| {})), PASS);
    for vector in ha_tests::vectors::other::traffic() {
        if !is_runnable(&vector.frame) {
            continue;
        }
        assert_eq!(lab.send(&vector.frame), PASS, "{}", vector.name);
    }
    assert_eq!(lab.counter(ha_common::layout::Counter::Consumed), 2);
}

/// RFC 9568 section 7.1 (vrid), RFC 3768 section 7.1 (vrid).
#[test]
fn an_unknown_virtual_router_passes_and_leaves_no_peer() {
    let mut lab = Lab::new();
    assert_eq!(lab.send(&advert(Receiver::V3Ipv4, |_| {})), PASS);
    assert!(lab.peers().is_empty());
    // Nor does one that is configured but not published, or released.
    let command = command_for(Receiver::V3Ipv4, 0, VRID);
    lab.kernel.configure(&command).expect("configure");
    lab.send(&advert(Receiver::V3Ipv4, |_| {}));
    lab.configure(&command);
    lab.forget(Receiver::V3Ipv4);
    lab.send(&advert(Receiver::V3Ipv4, |_| {}));
    assert!(lab.peers().is_empty());
    assert_eq!(lab.counter(ha_common::layout::Counter::NotOurs), 3);
}

#[test]
fn a_flood_of_bad_frames_moves_counters_only() {
    let (mut lab, _) = lab_in(Receiver::V3Ipv4, state::BACKUP);
    lab.send(&advert(Receiver::V3Ipv4, |_| {}));
    lab.drain();
    let before = lab.slot();
    let bad = advert(Receiver::V3Ipv4, |f| {
        f.message.priority = 255;
        f.message.checksum = Checksum::OffBy(1);
    });
    lab.send_many(&bad, 20_000);
    let after = lab.slot();
    assert!(lab.drain().is_empty());
    assert_eq!(after.rejects.iter().sum::<u64>(), 20_000);
    assert_eq!(
        (after.deadline, after.adverts),
        (before.deadline, before.adverts)
    );
    assert_eq!(after.master_priority, 100);
}

#[test]
fn configuring_a_slot_in_use_keeps_its_state_and_its_counters() {
    let (mut lab, command) = lab_in(Receiver::V3Ipv4, state::BACKUP);
    lab.send(&advert(Receiver::V3Ipv4, |_| {}));
    let before = lab.slot();
    lab.configure(&Command {
        own_interval: 200,
        generation: 2,
        ..command
    });
    let after = lab.slot();
    assert_eq!((after.own_interval, after.generation), (200, 2));
    assert_eq!(
        (after.state, after.deadline),
        (before.state, before.deadline)
    );
    assert_eq!(
        (after.adverts, after.master_address),
        (1, before.master_address)
    );
}

#[test]
fn tuning_changes_priority_and_flags_but_not_the_kernels_own_flags() {
    let (lab, command) = lab_in(Receiver::V3Ipv4, state::BACKUP);
    let before = lab.slot();
    lab.command(&Command {
        op: op::TUNE,
        own_priority: 70,
        generation: 9,
        flags: flags::CONSUME,
        ..command
    });
    let after = lab.slot();
    assert_eq!((after.own_priority, after.generation), (70, 9));
    assert_eq!(after.flags, flags::CONSUME | flags::TIMER);
    assert_eq!(
        (after.state, after.deadline),
        (before.state, before.deadline)
    );
}

#[test]
fn a_released_slot_brings_nothing_into_its_next_life() {
    let receiver = Receiver::V3Ipv4;
    let (mut lab, command) = lab_in(receiver, state::BACKUP);
    lab.send(&advert(receiver, |f| {
        f.message.priority = 254;
        f.message.word = [0x0f, 0xff];
    }));
    lab.send(&advert(receiver, |f| f.ttl = 1));
    lab.forget(receiver);
    lab.drain();
    let slot = lab.slot();
    assert_eq!(
        (slot.state, slot.deadline, slot.adverts),
        (state::FREE, 0, 0)
    );
    assert_eq!((slot.events, slot.last_reject.at), (0, 0));
    assert_eq!(slot.rejects, [0; Reject::COUNT]);
    lab.configure(&command);
    lab.set_state(&command, state::BACKUP, LONG);
    lab.send(&advert(receiver, |_| {}));
    let slot = lab.slot();
    assert_eq!(slot.master_priority, 100, "the first master is followed");
    assert_eq!(armed_for(&slot), down(receiver, 100));
}

#[test]
fn commands_that_make_no_sense_are_refused_and_change_nothing() {
    let (lab, command) = lab_in(Receiver::V3Ipv4, state::BACKUP);
    let before = lab.slot();
    let refused = |command: &Command| match lab.kernel.command(command) {
        Err(KernelError::Refused(status)) => status,
        other => panic!("not refused: {other:?}"),
    };
    let base = Command {
        generation: 77,
        own_priority: 1,
        ..command
    };
    for op in [0, op::CLOSE + 1, u32::MAX] {
        assert_eq!(refused(&Command { op, ..base }), status::BAD_COMMAND);
    }
    for state in [state::FREE, 4, 255] {
        let command = Command {
            op: op::SET_STATE,
            state,
            ..base
        };
        assert_eq!(refused(&command), status::BAD_COMMAND, "state {state}");
    }
    for slot in [512, u32::MAX] {
        let command = Command {
            op: op::TUNE,
            slot,
            ..base
        };
        assert_eq!(refused(&command), status::BAD_SLOT, "slot {slot}");
    }
    let after = lab.slot();
    assert_eq!(
        (after.generation, after.own_priority),
        (before.generation, 90)
    );
    assert_eq!(
        (after.state, after.deadline),
        (before.state, before.deadline)
    );
}
