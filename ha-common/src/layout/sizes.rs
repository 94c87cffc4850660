//! Sizes and places that both halves' compilers must agree on: what differs does not compile.

use core::mem::{align_of, offset_of, size_of};

use super::{
    Command, Event, FenceKey, LastReject, Meta, PeerKey, PeerStats, Slot, SlotKey, bpf_timer,
};

const _: () = {
    assert!(size_of::<bpf_timer>() == 16 && align_of::<bpf_timer>() == 8);
    assert!(offset_of!(Slot, timer) == 0);
    assert!(size_of::<SlotKey>() == 8);
    assert!(size_of::<LastReject>() == 56);
    assert!(size_of::<Slot>() == 744);
    assert!(offset_of!(Slot, deadline) % 8 == 0);
    assert!(size_of::<PeerKey>() == 24);
    assert!(size_of::<PeerStats>() == 336);
    assert!(size_of::<Event>() == 72);
    assert!(size_of::<Command>() == 136);
    assert!(size_of::<FenceKey>() == 24);
    assert!(size_of::<Meta>() == 16);
};
