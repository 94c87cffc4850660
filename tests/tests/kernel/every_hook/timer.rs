//! The master-down timer, on the real clock.

use std::time::Duration;

use ha_agent::datapath::kernel::Timer;
use ha_common::layout::{Command, event, flags, op, state};
use ha_common::units::NANOS_PER_CENTISECOND;
use ha_tests::vectors::{Receiver, VRID};

use super::harness::{Lab, NOTHING, PATIENCE, advert, command_for, now};

/// A slot that listens, with a timer.
fn lab() -> (Lab, Command) {
    let mut lab = Lab::new();
    let command = command_for(Receiver::V3Ipv4, 0, VRID);
    assert_eq!(lab.configure(&command), Timer::Kernel);
    (lab, command)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn the_timer_fires_once_past_its_deadline_and_says_which() {
    let (mut lab, command) = lab();
    let mut lateness = Vec::new();
    for generation in 1..=40 {
        let command = Command {
            generation,
            ..command
        };
        let before = now();
        lab.set_state(&command, state::BACKUP, millis(10));
        let after = now();
        let event = lab.event(PATIENCE).expect("the timer fires");
        assert_eq!((event.kind, event.slot), (event::MASTER_DOWN, 0));
        assert_eq!(event.generation, generation);
        assert!((before..=after).contains(&(event.deadline - 10_000_000)));
        assert!(event.at >= event.deadline, "early");
        lateness.push(event.at - event.deadline);
        assert_eq!(lab.event(millis(1)), None, "once");
    }
    let slot = lab.slot();
    assert_eq!((slot.fired, slot.vetoed, slot.timer_errors), (40, 0, 0));
    assert_eq!(slot.expiry_unsent, 0);
    lateness.sort_unstable();
    let (median, worst) = (lateness[20], lateness[39]);
    println!(
        "timer lateness: median {} us, worst {} us",
        median / 1000,
        worst / 1000
    );
    assert!(median < 5_000_000, "median lateness {median} ns");
}

#[test]
fn adverts_hold_the_timer_and_their_end_lets_it_fire() {
    let (mut lab, command) = lab();
    lab.set_state(&command, state::BACKUP, millis(300));
    // 3 * 100 ms + (256 - 90) * 100 ms / 256
    let frame = advert(Receiver::V3Ipv4, |f| f.message.word = [0, 10]);
    let start = now();
    lab.send(&frame);
    assert_eq!(
        lab.event(NOTHING).map(|event| event.kind),
        Some(event::ADVERT)
    );
    while now() - start < 800_000_000 {
        lab.send(&frame);
        assert_eq!(lab.event(millis(10)), None, "a living master");
    }
    let last = lab.slot().last_heard;
    let event = lab.event(PATIENCE).expect("the timer fires");
    assert_eq!(event.kind, event::MASTER_DOWN);
    assert_eq!(event.deadline - last, 36_484_375 * 10);
    assert!(event.at >= event.deadline);
}

/// `bpf_timer_cancel` takes the callback away with the timer's wait: a slot that had been master
/// never fired again.
#[test]
fn a_slot_that_was_master_fires_again_as_backup() {
    let (mut lab, command) = lab();
    for between in [state::MASTER, state::IDLE] {
        lab.set_state(&command, state::BACKUP, millis(5));
        assert_eq!(
            lab.event(PATIENCE).map(|event| event.kind),
            Some(event::MASTER_DOWN)
        );
        lab.set_state(&command, between, millis(0));
        lab.set_state(&command, state::BACKUP, millis(5));
        assert_eq!(
            lab.event(PATIENCE).map(|event| event.kind),
            Some(event::MASTER_DOWN)
        );
    }
    assert_eq!(lab.slot().timer_errors, 0);
}

#[test]
fn priority_zero_fires_after_the_skew() {
    let (mut lab, command) = lab();
    lab.set_state(&command, state::BACKUP, PATIENCE * 10);
    lab.send(&advert(Receiver::V3Ipv4, |_| {}));
    lab.send(&advert(Receiver::V3Ipv4, |f| f.message.priority = 0));
    let released = lab.drain().pop().expect("the release is told");
    let event = lab.event(PATIENCE).expect("the timer fires");
    assert_eq!(event.kind, event::MASTER_DOWN);
    let skew = (256 - 90) * 100 * NANOS_PER_CENTISECOND / 256;
    assert_eq!(event.deadline - released.at, skew);
}

#[test]
fn every_state_but_backup_stops_the_timer() {
    let (mut lab, command) = lab();
    for next in [state::IDLE, state::MASTER] {
        lab.set_state(&command, state::BACKUP, millis(20));
        lab.set_state(&command, next, NOTHING);
        assert_eq!(lab.slot().deadline, 0);
        assert_eq!(lab.event(millis(60)), None);
    }
    lab.set_state(&command, state::BACKUP, millis(20));
    lab.forget(Receiver::V3Ipv4);
    assert_eq!(lab.event(millis(60)), None, "a free slot fires nothing");
    assert_eq!(lab.slot().fired, 0);
    // Its timer works on in the next life.
    assert_eq!(lab.configure(&command), Timer::Kernel);
    lab.set_state(&command, state::BACKUP, millis(10));
    assert!(lab.event(PATIENCE).is_some());
}

/// Starting a timer is most of what an advert costs: one that fires early sees for itself that it did.
#[test]
fn adverts_move_the_deadline_and_leave_the_timer_alone() {
    let (mut lab, command) = lab();
    lab.set_state(&command, state::BACKUP, millis(300));
    let armed = lab.slot().armed_until;
    assert_eq!(armed, lab.slot().deadline);
    let frame = advert(Receiver::V3Ipv4, |f| f.message.word = [0, 20]);
    for _ in 0..10 {
        lab.send(&frame);
        let slot = lab.slot();
        assert_eq!(slot.armed_until, armed);
        assert!(slot.deadline > armed);
    }
    lab.drain();
    // A nearer deadline must start it.
    lab.send(&advert(Receiver::V3Ipv4, |f| {
        f.message.word = [0, 20];
        f.message.priority = 0;
    }));
    let slot = lab.slot();
    assert_eq!(slot.armed_until, slot.deadline);
    assert!(slot.deadline < armed);
    lab.drain();
    let event = lab.event(PATIENCE).expect("the timer fires");
    assert_eq!(
        (event.kind, event.deadline),
        (event::MASTER_DOWN, slot.deadline)
    );
    assert_eq!(lab.slot().armed_until, 0);
}

#[test]
fn a_backup_takes_over_in_the_kernel_unless_it_has_heard_somebody_since() {
    let (mut lab, command) = lab();
    lab.set_state(&command, state::BACKUP, PATIENCE);
    let frame = advert(Receiver::V3Ipv4, |_| {});
    lab.send(&frame);
    let judged_at = lab.slot().last_heard;
    lab.send(&frame);
    let take_over = |judged_at| Command {
        op: op::TAKE_OVER,
        judged_at,
        ..command
    };
    assert!(!lab.kernel.take_over(&take_over(judged_at)).expect("judged"));
    let slot = lab.slot();
    assert_eq!(slot.state, state::BACKUP);
    assert_ne!(slot.deadline, 0, "it goes on listening");
    let taken = take_over(slot.last_heard);
    assert!(lab.kernel.take_over(&taken).expect("taken over"));
    let slot = lab.slot();
    assert_eq!((slot.state, slot.deadline), (state::MASTER, 0));
}

/// The timer fires at the old deadline while an advert has set a later one: what a race on two CPUs
/// does, made certain here by taking the timer from the slot while the advert comes.
#[test]
fn a_timer_that_fires_before_a_moved_deadline_is_vetoed_and_waits_for_the_rest() {
    let (mut lab, command) = lab();
    lab.set_state(&command, state::BACKUP, millis(300));
    let without = Command {
        flags: command.flags | flags::NO_TIMER,
        ..command
    };
    assert_eq!(lab.configure(&without), Timer::Watchdog);
    lab.send(&advert(Receiver::V3Ipv4, |f| f.message.word = [0, 20]));
    assert_eq!(lab.configure(&command), Timer::Kernel);
    lab.drain();
    let deadline = lab.slot().deadline;
    let event = lab.event(PATIENCE).expect("the timer fires");
    assert_eq!((event.kind, event.deadline), (event::MASTER_DOWN, deadline));
    assert!(event.at >= deadline);
    let slot = lab.slot();
    assert_eq!((slot.vetoed, slot.fired), (1, 1));
}

#[test]
fn a_slot_without_a_timer_says_so_and_keeps_its_deadline_for_the_watchdog() {
    let mut lab = Lab::new();
    let command = Command {
        flags: flags::NO_TIMER,
        ..command_for(Receiver::V3Ipv4, 0, VRID)
    };
    assert_eq!(lab.configure(&command), Timer::Watchdog);
    lab.set_state(&command, state::BACKUP, millis(10));
    let slot = lab.slot();
    assert_eq!((slot.flags & flags::TIMER, slot.timer_errors), (0, 0));
    assert!(slot.deadline > 0);
    assert_eq!(lab.event(millis(50)), None);
    // Adverts are followed all the same.
    lab.send(&advert(Receiver::V3Ipv4, |_| {}));
    assert_eq!(lab.slot().deadline - lab.slot().last_heard, 3_648_437_500);
}

#[test]
fn every_slot_gets_its_timer_though_the_kernel_refuses_memory_at_times() {
    const SLOTS: u32 = 4096;
    let lab = Lab::with_slots(SLOTS);
    let mut refused = 0;
    let mut worst = 0;
    for slot in 0..SLOTS {
        let command = command_for(Receiver::V3Ipv4, slot, 1);
        assert_eq!(
            lab.kernel.configure(&command).expect("configure"),
            Timer::Kernel
        );
        let slot = lab.slot_at(slot);
        assert_ne!(slot.flags & flags::TIMER, 0);
        refused += u32::from(slot.timer_errors > 0);
        worst = worst.max(slot.timer_errors);
    }
    println!(
        "{refused} of {SLOTS} first initialisations had no memory, at most {worst} times each"
    );
}

#[test]
fn every_one_of_many_timers_fires() {
    const SLOTS: u32 = 500;
    let mut lab = Lab::with_slots(SLOTS);
    for slot in 0..SLOTS {
        let command = command_for(Receiver::V3Ipv4, slot, 1);
        lab.kernel.configure(&command).expect("configure");
        lab.set_state(&command, state::BACKUP, millis(30));
    }
    let mut fired: Vec<u32> = (0..SLOTS)
        .map(|_| lab.event(PATIENCE).expect("each fires").slot)
        .collect();
    fired.sort_unstable();
    assert!(fired.into_iter().eq(0..SLOTS));
}

#[test]
fn a_command_with_another_generation_marks_the_events_after_it() {
    let (mut lab, command) = lab();
    lab.set_state(&command, state::BACKUP, millis(50));
    lab.command(&Command {
        op: op::TUNE,
        generation: 5,
        ..command
    });
    assert_eq!(lab.event(PATIENCE).map(|event| event.generation), Some(5));
}
