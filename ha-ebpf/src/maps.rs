//! The maps, as `ha_common::layout` names and shapes them.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use aya_ebpf::macros::btf_map;
use ha_common::accept::TtlRange;
use ha_common::hmac::replay::ReplayState;
use ha_common::hmac::{Key, Keyed};
use ha_common::layout::{
    Counter, DEFAULT_SLOTS, Event, FenceKey, MAX_KEYS, MAX_PEERS, MAX_UNICAST, Meta, PeerKey,
    PeerStats, RING_BYTES, Slot, SlotKey,
};

use crate::digest::Scratch;

#[btf_map]
pub(crate) static HA_INDEX: HashMap<SlotKey, u32, { DEFAULT_SLOTS as usize }> = HashMap::new();

#[btf_map]
pub(crate) static HA_SLOTS: Array<Slot, { DEFAULT_SLOTS as usize }> = Array::new();

#[btf_map]
pub(crate) static HA_PEERS: LruHashMap<PeerKey, PeerStats, { MAX_PEERS as usize }> =
    LruHashMap::new();

#[btf_map]
pub(crate) static HA_COUNTERS: PerCpuArray<u64, { Counter::COUNT as usize }> = PerCpuArray::new();

#[btf_map]
pub(crate) static HA_EVENTS: RingBuf<Event, { RING_BYTES as usize }> = RingBuf::new();

#[btf_map]
pub(crate) static HA_DEADLINES: RingBuf<Event, { RING_BYTES as usize }> = RingBuf::new();

#[btf_map]
pub(crate) static HA_META: Array<Meta, 1> = Array::new();

#[btf_map]
pub(crate) static HA_ZERO_PEER: Array<PeerStats, 1> = Array::new();

#[btf_map]
pub(crate) static HA_FENCE: HashMap<FenceKey, u32, { DEFAULT_SLOTS as usize }> = HashMap::new();

/// The kernel takes memory for an entry when it is made, not for all that there may ever be: for maps that are large,
/// nearly always empty and written by the agent alone.
const ON_DEMAND: usize = BPF_F_NO_PREALLOC as usize;

#[btf_map]
pub(crate) static HA_UNICAST: HashMap<PeerKey, TtlRange, { MAX_UNICAST as usize }, ON_DEMAND> =
    HashMap::new();

#[btf_map]
pub(crate) static HA_KEYS: HashMap<Keyed, Key, { MAX_KEYS as usize }, ON_DEMAND> = HashMap::new();

#[btf_map]
pub(crate) static HA_MARKS: LruHashMap<PeerKey, ReplayState, { MAX_PEERS as usize }> =
    LruHashMap::new();

#[btf_map]
pub(crate) static HA_SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();
