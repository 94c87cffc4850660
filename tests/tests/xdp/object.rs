//! The loaded object against the shared layouts: names and sizes.

use std::collections::BTreeSet;

use aya::programs::Xdp;
use ha_common::channel::TtlRange;
use ha_common::hmac::freshness::Mark;
use ha_common::hmac::{Key, Keyed};
use ha_common::layout::{
    Counter, Event, FenceKey, MAX_KEYS, MAX_PEERS, MAX_UNICAST, Meta, PeerKey, PeerStats,
    RING_BYTES, Slot, SlotKey, names,
};

use crate::harness::Lab;

/// Key and value size, and number of entries.
type Shape = (usize, usize, u32);

const SLOTS: u32 = 64;

fn shapes() -> [(&'static str, Shape); 12] {
    let slot_key = size_of::<SlotKey>();
    [
        (names::MAP_INDEX, (slot_key, 4, SLOTS)),
        (names::MAP_SLOTS, (4, size_of::<Slot>(), SLOTS)),
        (
            names::MAP_PEERS,
            (size_of::<PeerKey>(), size_of::<PeerStats>(), MAX_PEERS),
        ),
        (names::MAP_COUNTERS, (4, 8, Counter::COUNT)),
        (names::MAP_EVENTS, (0, 0, RING_BYTES)),
        (names::MAP_META, (4, size_of::<Meta>(), 1)),
        (names::MAP_BLANK, (4, size_of::<PeerStats>(), 1)),
        (names::MAP_FENCE, (size_of::<FenceKey>(), 4, 4096)),
        (
            names::MAP_UNICAST,
            (size_of::<PeerKey>(), size_of::<TtlRange>(), MAX_UNICAST),
        ),
        (
            names::MAP_KEYS,
            (size_of::<Keyed>(), size_of::<Key>(), MAX_KEYS),
        ),
        (
            names::MAP_MARKS,
            (size_of::<PeerKey>(), size_of::<Mark>(), MAX_PEERS),
        ),
        // 512 words of input, the rounds', the state, and a digest: the program's own.
        (names::MAP_BENCH, (4, 2048 + 96 + 32 + 16, 1)),
    ]
}

#[test]
fn the_maps_have_the_names_and_sizes_of_the_shared_layouts() {
    let mut lab = Lab::with_slots(SLOTS);
    let maps = lab.maps(names::PROG_RECEIVE);
    for (name, shape) in shapes() {
        let info = maps.get(name).unwrap_or_else(|| panic!("no map {name}"));
        let found = (
            usize::try_from(info.key_size()).expect("small"),
            usize::try_from(info.value_size()).expect("small"),
            info.max_entries(),
        );
        assert_eq!(found, shape, "{name}");
    }
    let ours: BTreeSet<&str> = shapes().map(|(name, _)| name).into();
    let found: BTreeSet<&str> = maps
        .keys()
        .map(String::as_str)
        .filter(|name| name.starts_with("HA_"))
        .collect();
    assert_eq!(
        found, ours,
        "a map that the layouts do not name, or the reverse"
    );
    for name in names::PINNED {
        assert!(ours.contains(name), "{name} is pinned but unknown");
    }
}

#[test]
fn the_programs_have_the_names_of_the_shared_layouts() {
    let mut lab = Lab::with_slots(SLOTS);
    let found: BTreeSet<String> = lab
        .kernel
        .object_mut()
        .programs()
        .map(|(name, _)| name.to_owned())
        .collect();
    let ours = [names::PROG_RECEIVE, names::PROG_COMMAND].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(ours));
}

/// The verifier gives up at a million instructions. Kernels before 6.2 prune less than newer ones, and the
/// one that runs this may be new: `cargo xtask vm` loads the same object on Debian 12's.
#[test]
fn the_verifier_is_done_with_each_program_long_before_its_limit() {
    const MOST: u32 = 200_000;
    let mut lab = Lab::with_slots(SLOTS);
    for name in [names::PROG_RECEIVE, names::PROG_COMMAND] {
        let program: &mut Xdp = lab
            .kernel
            .object_mut()
            .program_mut(name)
            .unwrap_or_else(|| panic!("no program {name}"))
            .try_into()
            .expect("an XDP program");
        let info = program.info().expect("loaded");
        // Kernels before 5.16 do not say.
        let followed = info.verified_instruction_count().unwrap_or(0);
        println!("{name}: {followed} instructions followed");
        assert!(followed < MOST, "{name}: {followed}");
    }
}

#[test]
fn both_programs_work_on_the_same_slots() {
    let mut lab = Lab::with_slots(SLOTS);
    let receive = lab.maps(names::PROG_RECEIVE);
    let command = lab.maps(names::PROG_COMMAND);
    assert_eq!(
        receive[names::MAP_SLOTS].id(),
        command[names::MAP_SLOTS].id()
    );
}

#[test]
fn events_are_whole_records() {
    assert_eq!(size_of::<Event>() % 8, 0, "the ring keeps 8-byte alignment");
}
