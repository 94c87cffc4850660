//! The loaded object against the shared layouts: names and sizes.

use std::collections::BTreeSet;

use aya::programs::{ProgramError, ProgramInfo, Xdp};
use ha_common::accept::TtlRange;
use ha_common::hmac::replay::ReplayState;
use ha_common::hmac::{Key, Keyed};
use ha_common::layout::{
    Counter, Event, FenceKey, MAX_KEYS, MAX_PEERS, MAX_UNICAST, Meta, PeerKey, PeerStats,
    RING_BYTES, Slot, SlotKey, names,
};

use super::every_hook::harness::Lab;

/// Key and value size, and number of entries.
type Shape = (usize, usize, u32);

const SLOTS: u32 = 64;

fn shapes() -> [(&'static str, Shape); 13] {
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
        (names::MAP_DEADLINES, (0, 0, RING_BYTES)),
        (names::MAP_META, (4, size_of::<Meta>(), 1)),
        (names::MAP_ZERO_PEER, (4, size_of::<PeerStats>(), 1)),
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
            (size_of::<PeerKey>(), size_of::<ReplayState>(), MAX_PEERS),
        ),
        // 512 words of input, the rounds', the state, a digest, a mark, and what the advert says: the program's own.
        (
            names::MAP_SCRATCH,
            (
                4,
                2048 + 96 + 32 + 16 + size_of::<ReplayState>() + size_of::<PeerKey>() + 8,
                1,
            ),
        ),
    ]
}

#[test]
fn the_maps_have_the_names_and_sizes_of_the_shared_layouts() {
    let mut lab = Lab::with_slots(SLOTS);
    let mut maps = lab.maps();
    // The timers' callback, which alone has the ring of deadlines, is the command program's.
    maps.extend(lab.command_maps());
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

const TC_PROGRAMS: [&str; 4] = [
    names::PROG_INGRESS,
    names::PROG_INGRESS_L3,
    names::PROG_EGRESS,
    names::PROG_COMMAND,
];

#[test]
fn the_programs_have_the_names_of_the_shared_layouts() {
    let mut lab = Lab::with_slots(SLOTS);
    let found: BTreeSet<String> = lab
        .programs
        .object_mut()
        .programs()
        .map(|(name, _)| name.to_owned())
        .collect();
    let xdp = [names::PROG_RECEIVE, names::PROG_RECEIVE_LINEAR];
    let ours = TC_PROGRAMS.into_iter().chain(xdp).map(str::to_owned);
    assert_eq!(found, ours.collect());
}

/// The verifier gives up at a million instructions. Kernels before 6.2 prune less than newer ones, and the
/// one that runs this may be new: `cargo xtask vm` loads the same object on Debian 12's.
#[test]
fn the_verifier_is_done_with_each_program_long_before_its_limit() {
    const MOST: u32 = 200_000;
    let mut lab = Lab::with_slots(SLOTS);
    let info = |name: &str, info: Result<ProgramInfo, ProgramError>| {
        // Kernels before 5.16 do not say.
        let info = info.expect("loaded");
        let followed = info.verified_instruction_count().unwrap_or(0);
        println!("{name}: {followed} instructions followed");
        assert!(followed < MOST, "{name}: {followed}");
    };
    info(
        names::PROG_RECEIVE,
        lab.programs.xdp().expect("loads").info(),
    );
    for name in TC_PROGRAMS {
        info(name, lab.programs.tc(name).expect("loads").info());
    }
}

/// Kernels before 5.18 refuse the other one.
#[test]
fn the_program_that_takes_linear_frames_only_loads_as_well() {
    let mut lab = Lab::with_slots(SLOTS);
    let program: &mut Xdp = lab
        .programs
        .object_mut()
        .program_mut(names::PROG_RECEIVE_LINEAR)
        .expect("it is in the object")
        .try_into()
        .expect("an XDP program");
    program.load().expect("loads");
}

#[test]
fn all_programs_work_on_the_same_slots() {
    let mut lab = Lab::with_slots(SLOTS);
    let receive = lab.maps();
    let slots = receive[names::MAP_SLOTS].id();
    for name in [names::PROG_INGRESS, names::PROG_EGRESS, names::PROG_COMMAND] {
        let info = lab
            .programs
            .tc(name)
            .expect("loads")
            .info()
            .expect("loaded");
        let maps = info.map_ids().expect("map ids").expect("Linux 4.15");
        assert!(maps.contains(&slots), "{name}");
    }
}

#[test]
fn events_are_whole_records() {
    assert_eq!(size_of::<Event>() % 8, 0, "the ring keeps 8-byte alignment");
}
