//! Rings that nobody empties: lost events are counted, deadlines have a ring of their own, and one that found it
//! full is told when there is room.

use std::time::{Duration, Instant};

use ha_common::layout::{Command, Counter, event, state};
use ha_tests::vectors::Receiver;

use super::harness::{Lab, NOTHING, PATIENCE, advert, command_for, now};

/// Masters enough to fill the ring of events at sixteen each.
const MASTERS: u8 = 128;
const WATCHED: u8 = 200;
/// Events that a ring has room for.
const ROOM: u32 = 1638;

/// A lab whose ring of events is full.
fn flooded() -> Lab {
    let mut lab = Lab::new();
    for vrid in 1..=MASTERS {
        let command = command_for(Receiver::V3Ipv4, u32::from(vrid), vrid);
        lab.configure(&command);
        lab.set_state(&command, state::MASTER, NOTHING);
        let frame = advert(Receiver::V3Ipv4, |f| f.message.vrid = vrid);
        for _ in 0..16 {
            lab.send(&frame);
        }
    }
    assert!(lab.counter(Counter::EventsDropped) > 0, "the ring is full");
    lab
}

/// A lab whose ring of deadlines is full, which nothing on the wire can make it, and a slot 0 whose timer has run
/// out since.
fn overflowed() -> (Lab, Command) {
    let mut lab = Lab::new();
    let filler = command_for(Receiver::V3Ipv4, 1, 1);
    lab.configure(&filler);
    let patience = Instant::now() + PATIENCE * 6;
    for made in 1..=u64::from(ROOM) {
        lab.set_state(&filler, state::BACKUP, Duration::from_nanos(1));
        while lab.slot_at(1).fired < made {
            assert!(Instant::now() < patience, "the filler never fired");
            std::thread::yield_now();
        }
    }
    let command = command_for(Receiver::V3Ipv4, 0, WATCHED);
    lab.configure(&command);
    lab.set_state(&command, state::BACKUP, Duration::from_millis(20));
    let patience = Instant::now() + PATIENCE;
    // Twice: it was tried again. Nothing can announce this, the ring being full.
    while lab.slot().dropped < 2 {
        assert!(Instant::now() < patience, "the timer never fired");
        std::thread::sleep(Duration::from_millis(1));
    }
    (lab, command)
}

#[test]
fn lost_events_are_counted_by_slot_and_by_host() {
    let lab = flooded();
    let slots = 0..=u32::from(MASTERS);
    let (mut made, mut lost) = (0, 0);
    for slot in slots.map(|slot| lab.slot_at(slot)) {
        made += slot.events;
        lost += slot.dropped;
    }
    assert!(lost > 0 && lost < made);
    assert_eq!(lab.counter(Counter::EventsDropped), lost);
}

/// What others send must not hold up the one event that makes a master.
#[test]
fn a_deadline_is_told_at_once_however_full_of_adverts_the_other_ring_is() {
    let mut lab = flooded();
    let command = command_for(Receiver::V3Ipv4, 0, WATCHED);
    lab.configure(&command);
    lab.set_state(&command, state::BACKUP, Duration::from_millis(20));
    let patience = Instant::now() + PATIENCE;
    while lab.slot().fired == 0 {
        assert!(Instant::now() < patience, "the timer never fired");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(lab.slot().dropped, 0);
    let first = lab.event(NOTHING).expect("it is in its ring");
    assert_eq!((first.kind, first.slot), (event::MASTER_DOWN, 0));
}

#[test]
fn a_deadline_that_found_its_ring_full_is_told_when_there_is_room() {
    let (mut lab, _) = overflowed();
    let slot = lab.slot();
    assert_eq!(u64::from(slot.expiry_unsent), slot.dropped);
    assert_eq!(slot.fired, 0);
    let drained_at = now();
    let last = lab.drain().into_iter().rfind(|event| event.slot == 0);
    let event = last.or_else(|| lab.event(PATIENCE)).expect("tried again");
    assert_eq!((event.kind, event.slot), (event::MASTER_DOWN, 0));
    assert_eq!(event.deadline, slot.deadline);
    let waited = event.at.saturating_sub(drained_at);
    println!("told {} us after the ring was emptied", waited / 1000);
    assert!(
        waited < 100_000_000,
        "retried within some 10 ms, yet it took {waited} ns"
    );
    let slot = lab.slot();
    assert_eq!((slot.expiry_unsent, slot.fired), (0, 1));
    assert_eq!(lab.event(Duration::from_millis(20)), None, "told once");
}

/// An agent that is dead reads nothing ever again.
#[test]
fn a_ring_that_stays_full_is_tried_less_and_less_often() {
    let (lab, _) = overflowed();
    let begin = now();
    let patience = Instant::now() + PATIENCE;
    while lab.slot().dropped < 7 {
        assert!(Instant::now() < patience, "it gave up");
        std::thread::sleep(Duration::from_millis(1));
    }
    // From the second to the seventh: 10, 20, 40, 80 and 160 ms, of which this host may have slept over the first ones.
    let took = now() - begin;
    assert!(took > 200_000_000, "five more tries in {took} ns");
}

#[test]
fn a_master_that_speaks_again_takes_the_untold_deadline_back() {
    let (mut lab, _) = overflowed();
    let frame = advert(Receiver::V3Ipv4, |f| f.message.vrid = WATCHED);
    lab.send(&frame);
    assert_eq!(lab.slot().expiry_unsent, 0);
    lab.drain();
    assert_eq!(lab.event(Duration::from_millis(20)), None);
    assert_eq!(lab.slot().fired, 0);
}

#[test]
fn the_events_of_a_full_ring_are_whole_and_in_order() {
    let mut lab = flooded();
    let mut next = vec![0; usize::from(MASTERS) + 1];
    let events = lab.drain();
    println!("{} events in a full ring", events.len());
    for event in events.iter().filter(|event| event.slot != 0) {
        let slot = usize::try_from(event.slot).expect("small");
        assert_eq!((event.kind, event.generation), (event::ADVERT, 1));
        assert_eq!(event.sequence, next[slot]);
        next[slot] += 1;
    }
}
