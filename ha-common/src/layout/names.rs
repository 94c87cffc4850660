//! Names of maps, programs and globals in the object file.

/// XDP program: the receive path.
pub const PROG_RECEIVE: &str = "ha_vrrp";
/// XDP program: the same for kernels before 5.18, which know no frames of several buffers.
pub const PROG_RECEIVE_LINEAR: &str = "ha_vrrp_linear";
/// tc program: the receive path at ingress of a device with Ethernet headers.
pub const PROG_INGRESS: &str = "ha_ingress";
/// tc program: the receive path at ingress of a layer-3 device, whose frames begin with the IP header.
pub const PROG_INGRESS_L3: &str = "ha_ingress_l3";
/// tc program: the fence at egress, on devices of either kind.
pub const PROG_EGRESS: &str = "ha_egress";
/// tc program run by `BPF_PROG_TEST_RUN` only: configures slots, arms timers.
pub const PROG_COMMAND: &str = "ha_command";
/// Hash of [`super::SlotKey`] to the slot's index.
pub const MAP_INDEX: &str = "HA_INDEX";
/// Array of [`super::Slot`].
pub const MAP_SLOTS: &str = "HA_SLOTS";
/// LRU hash of [`super::PeerKey`] to [`super::PeerStats`].
pub const MAP_PEERS: &str = "HA_PEERS";
/// Per-CPU array of `u64`, indexed by [`super::Counter`].
pub const MAP_COUNTERS: &str = "HA_COUNTERS";
/// Ring of [`super::Event`]: what others send, and so can fill.
pub const MAP_EVENTS: &str = "HA_EVENTS";
/// Ring of [`super::Event`] for `MASTER_DOWN` alone.
pub const MAP_DEADLINES: &str = "HA_DEADLINES";
/// Array of one [`super::Meta`].
pub const MAP_META: &str = "HA_META";
/// Array of one zeroed [`super::PeerStats`]: the source of new entries (the BPF stack is 512 bytes).
pub const MAP_ZERO_PEER: &str = "HA_ZERO_PEER";
/// Hash of [`super::FenceKey`] to the index of the slot that owns the address: those that the agent is about to add, or has
/// added and has not seen removed.
pub const MAP_FENCE: &str = "HA_FENCE";
/// Hash of [`super::PeerKey`] to [`crate::accept::TtlRange`]: whom a unicast slot hears.
pub const MAP_UNICAST: &str = "HA_UNICAST";
/// Hash of [`crate::hmac::Keyed`] to [`crate::hmac::Key`].
pub const MAP_KEYS: &str = "HA_KEYS";
/// LRU hash of [`super::PeerKey`] to [`crate::hmac::replay::ReplayState`]: entries are made by adverts whose
/// digest was right, so that forged ones wash nothing out.
pub const MAP_MARKS: &str = "HA_MARKS";
/// Per-CPU array of one workbench for digests (the BPF stack is 512 bytes).
pub const MAP_SCRATCH: &str = "HA_SCRATCH";
/// The maps that are pinned.
pub const PINNED: [&str; 11] = [
    MAP_INDEX,
    MAP_SLOTS,
    MAP_PEERS,
    MAP_COUNTERS,
    MAP_EVENTS,
    MAP_DEADLINES,
    MAP_META,
    MAP_FENCE,
    MAP_UNICAST,
    MAP_KEYS,
    MAP_MARKS,
];
