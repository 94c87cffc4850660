//! The layouts that the kernel half and the agent share: map values, ring records, commands.
//!
//! `repr(C)`, explicit padding, no `bool`, no enum: every bit pattern is a value. Names of maps and
//! programs exist once, here; a test compares the loaded object with them.

mod counter;
pub mod names;
mod sizes;

use bytemuck::{Pod, Zeroable};

pub use counter::Counter;

use crate::accept::AcceptFrom;
use crate::address::RawAddress;
use crate::hmac::budget::Budget;
use crate::hmac::policy::HmacPolicy;
use crate::hmac::untimely::Untimely;
use crate::reject::Reject;
use crate::units::Family;

/// Changes whenever a layout below changes, so that pins of another version are recognised.
pub const LAYOUT_VERSION: u32 = 10;
/// First word of [`Meta`]: `HAgt` in memory.
pub const META_MAGIC: u32 = 0x7467_4148;

/// Virtual routers that the slot maps have room for unless configured otherwise.
pub const DEFAULT_SLOTS: u32 = 4096;
/// Peers whose statistics are kept; the least recently seen goes first.
pub const MAX_PEERS: u32 = 8192;
/// Unicast peers of all virtual routers together.
pub const MAX_UNICAST: u32 = 16384;
/// HMAC keys of all virtual routers together.
pub const MAX_KEYS: u32 = 16384;
/// Size of each ring in bytes: 1638 events.
pub const RING_BYTES: u32 = 128 * 1024;

/// The kernel's `struct bpf_timer`: found in a map's value by this name in the BTF.
// The verifier looks for this name.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct bpf_timer {
    opaque: [u64; 2],
}

/// Names a virtual router on this host.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct SlotKey {
    /// Interface index.
    pub ifindex: u32,
    /// 4 or 6 ([`Family`]).
    pub family: u8,
    /// 1 to 255.
    pub vrid: u8,
    /// Zero.
    pub pad: [u8; 2],
}

impl SlotKey {
    /// The key of a virtual router.
    pub const fn new(ifindex: u32, family: Family, vrid: u8) -> Self {
        Self {
            ifindex,
            family: family as u8,
            vrid,
            pad: [0; 2],
        }
    }
}

/// What a slot's owner is doing: [`Slot::state`].
pub mod state {
    /// The slot is free.
    pub const FREE: u8 = 0;
    /// Configured, taking no part: adverts are counted and the master is noted.
    pub const IDLE: u8 = 1;
    /// Backup: valid adverts re-arm the timer.
    pub const BACKUP: u8 = 2;
    /// Master: every advert is news.
    pub const MASTER: u8 = 3;
}

/// Bits of [`Slot::flags`].
pub mod flags {
    /// End adverts for this slot in the BPF program.
    pub const CONSUME: u32 = 1;
    /// Adverts of a lower priority do not re-arm the timer.
    pub const PREEMPT: u32 = 1 << 1;
    /// The timer was initialised and its callback set.
    pub const TIMER: u32 = 1 << 2;
    /// The timer is wanted but must not be had: for tests of the watchdog.
    pub const NO_TIMER: u32 = 1 << 3;
    /// Drop what comes for our listed addresses, and what leaves in their name: unless the slot is master, and while
    /// it is, once another master is heard and the agent has left an event unanswered for the grace.
    pub const FENCE: u32 = 1 << 4;
}

/// One virtual router in the kernel.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Slot {
    /// The master-down timer.
    pub timer: bpf_timer,
    /// Interface index.
    pub ifindex: u32,
    /// 1 to 255.
    pub vrid: u8,
    /// 4 or 6.
    pub family: u8,
    /// 2 or 3.
    pub version: u8,
    /// One of [`state`].
    pub state: u8,
    /// Changes with every command, so that events of an earlier life are recognised.
    pub generation: u32,
    /// [`flags`].
    pub flags: u32,
    /// Own effective priority.
    pub own_priority: u8,
    /// v2 authentication type: 0 none, 1 password.
    pub auth_type: u8,
    /// How many intervals make a master dead.
    pub down_multiplier: u8,
    /// Addresses in our list.
    pub own_count: u8,
    /// Own advertisement interval, centiseconds.
    pub own_interval: u16,
    /// Interval of the master we follow, centiseconds.
    pub master_interval: u16,
    /// v2 password.
    pub auth_data: [u8; 8],
    /// Own primary address: the tie-breaker.
    pub own_address: RawAddress,
    /// The MAC that answers for our addresses: the interface's, or the virtual one. Zero: none.
    pub own_mac: [u8; 6],
    /// Zero.
    pub pad_mac: [u8; 2],
    /// [`crate::wire::message_sum::AddressHash`] of our list.
    pub own_hash: u64,
    /// Where adverts must have been sent, and by whom.
    pub channel: AcceptFrom,
    /// What is asked of an HMAC trailer.
    pub gate: HmacPolicy,

    /// The master that we follow; while master ourselves, the last one that beats us. Zero: none.
    pub master_address: RawAddress,
    /// Its address list.
    pub master_hash: u64,
    /// When it was last heard.
    pub last_heard: u64,
    /// When a better master was first heard while we are master; zero: not contested.
    pub contested_since: u64,
    /// When another master, better or worse, was first heard while we are master; zero: nobody claims it.
    pub claimed_since: u64,
    /// When the first event was pushed that the agent has not answered by a turn since; zero: none. An answer
    /// does not clear it: it counts while it is later than [`Meta::turned_at`].
    pub unanswered_since: u64,
    /// When the master is down unless it is heard before; zero: no deadline.
    pub deadline: u64,
    /// When the kernel's timer fires; zero: it is not running. Never later than the deadline, but earlier after
    /// adverts: the timer starts itself anew then.
    pub armed_until: u64,
    /// How often the event for a deadline that passed could not be put into the ring; zero: it could, or none passed.
    pub expiry_unsent: u32,
    /// Zero.
    pub pad_expiry: u32,
    /// Its priority.
    pub master_priority: u8,
    /// Its address count.
    pub master_count: u8,
    /// Its checksum flavour: 0 unknown, 1 with pseudo-header, 2 without.
    pub master_checksum: u8,
    /// Zero.
    pub pad: u8,
    /// Events in the running window.
    pub window_events: u32,
    /// Start of the running window of the event limit.
    pub window_start: u64,
    /// When the last peer entry was made for a rejected frame.
    pub last_new_peer: u64,
    /// Wrong digests in the running window.
    pub budget: Budget,
    /// Adverts with a right digest and a wrong time.
    pub untimely: Untimely,

    /// Valid adverts.
    pub adverts: u64,
    /// Times the timer was armed by an advert.
    pub rearms: u64,
    /// Events put into the ring, or that should have been: the next event's sequence.
    pub events: u64,
    /// Events not made, for the limit.
    pub suppressed: u64,
    /// Events lost, the ring being full.
    pub dropped: u64,
    /// Times the timer fired in time.
    pub fired: u64,
    /// Times the timer fired although an advert had moved the deadline.
    pub vetoed: u64,
    /// Timer helper calls that failed.
    pub timer_errors: u64,
    /// Times it fired late ([`crate::lateness`]).
    pub late: u64,
    /// When it last did; zero: never.
    pub late_at: u64,
    /// By how many nanoseconds it was late at the worst, of the last times that came close together.
    pub latest: u64,
    /// Rejected adverts by [`Reject`].
    pub rejects: [u64; Reject::COUNT],
    /// Frames for our addresses dropped by the fence.
    pub fenced: u64,
    /// Frames in the name of our addresses kept from leaving by the fence.
    pub fenced_out: u64,
    /// When the fence dropped its first frame since it last went up; zero: it never did.
    pub fenced_since: u64,
    /// When it dropped its last.
    pub fenced_at: u64,
    /// Frames for our addresses dropped because the slot was not master.
    pub closed: u64,
    /// Frames in the name of our addresses kept from leaving because the slot was not master.
    pub closed_out: u64,
    /// When the last of these was dropped; zero: none ever was.
    pub closed_at: u64,
    /// Frames of foreign MACs that claimed one of our addresses while we were master.
    pub claims: u64,
    /// Start of the running window of the limit of events of claims.
    pub claim_window_start: u64,
    /// Events of claims in it.
    pub claim_window_events: u32,
    /// Zero.
    pub pad_claims: u32,

    /// The last advert that was rejected.
    pub last_reject: LastReject,
}

/// What is kept of a rejected advert.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct LastReject {
    /// When; zero: never.
    pub at: u64,
    /// Its source address.
    pub source: RawAddress,
    /// Its destination.
    pub destination: RawAddress,
    /// Its first eight bytes.
    pub header: [u8; 8],
    /// [`Reject`] as a number.
    pub reason: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Message length in bytes.
    pub length: u16,
    /// Zero.
    pub pad: u32,
}

/// Names a peer: one sender of adverts for one virtual router.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct PeerKey {
    /// The virtual router.
    pub slot: SlotKey,
    /// Source address.
    pub address: RawAddress,
}

/// Buckets of the histogram of gaps between adverts.
pub const GAP_BUCKETS: usize = 12;

/// What a peer sent.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct PeerStats {
    /// Valid adverts.
    pub adverts: u64,
    /// Bytes of their messages.
    pub bytes: u64,
    /// First frame, `CLOCK_MONOTONIC` nanoseconds.
    pub first_seen: u64,
    /// Last frame.
    pub last_seen: u64,
    /// Last valid advert.
    pub last_advert: u64,
    /// Shortest gap between valid adverts in nanoseconds; zero: none yet.
    pub gap_min: u64,
    /// Longest gap.
    pub gap_max: u64,
    /// Gaps by size: bucket n holds those below `2^n` milliseconds and not in n-1; the last one the rest.
    pub gaps: [u64; GAP_BUCKETS],
    /// Rejects by [`Reject`].
    pub rejects: [u64; Reject::COUNT],
    /// Adverts of priority 0.
    pub releases: u64,
    /// Last priority.
    pub priority: u8,
    /// Last version.
    pub version: u8,
    /// Last checksum flavour, as in [`Slot::master_checksum`].
    pub checksum: u8,
    /// Last address count.
    pub count: u8,
    /// Last interval, centiseconds.
    pub interval: u16,
    /// Zero.
    pub pad: u16,
}

/// Kinds of [`Event`].
pub mod event {
    /// The timer fired: nobody was heard until the deadline.
    pub const MASTER_DOWN: u32 = 1;
    /// A valid advert that may change a decision.
    pub const ADVERT: u32 = 2;
    /// A frame of a foreign MAC claims one of our addresses.
    pub const CLAIM: u32 = 4;
}

/// A ring record.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Event {
    /// One of [`event`].
    pub kind: u32,
    /// Index of the slot.
    pub slot: u32,
    /// The slot's generation when it happened.
    pub generation: u32,
    /// Zero.
    pub pad: u32,
    /// The slot's sequence: a gap means lost events.
    pub sequence: u64,
    /// When it happened, `CLOCK_MONOTONIC` nanoseconds.
    pub at: u64,
    /// `MASTER_DOWN`: the deadline that passed.
    pub deadline: u64,
    /// `ADVERT`: the source. `CLAIM`: the claimed address.
    pub source: RawAddress,
    /// `ADVERT`: hash of the address list. `CLAIM`: the claimant's MAC, a number in the lower 48 bits.
    pub hash: u64,
    /// `ADVERT`: interval in centiseconds.
    pub interval: u16,
    /// `ADVERT`: priority.
    pub priority: u8,
    /// `ADVERT`: address count. `CLAIM`: the address' family, 4 or 6.
    pub count: u8,
    /// `ADVERT`: checksum flavour.
    pub checksum: u8,
    /// `ADVERT`: not zero if the slot followed another master when it took the advert in
    /// ([`crate::master_tracking::follows_another`]).
    pub is_overheard: u8,
    /// Zero.
    pub pad2: [u8; 2],
}

/// Operations of [`Command`].
pub mod op {
    /// Take a slot into use: the configuration fields, timer initialisation, state `IDLE`.
    /// On a slot that is in use: update the configuration fields, keep state and counters.
    pub const CONFIGURE: u32 = 1;
    /// Set state, flags and own priority; `BACKUP` arms the timer `arm_for` from now, the others stop it.
    pub const SET_STATE: u32 = 2;
    /// As `SET_STATE` to `MASTER`, of a backup that has heard nobody since [`Command::judged_at`] only.
    pub const TAKE_OVER: u32 = 5;
    /// Cancel the timer and free the slot.
    pub const RELEASE: u32 = 3;
    /// Update flags and own priority only.
    pub const TUNE: u32 = 4;
    /// Whether some listed address has a slot that is not master ([`Command::is_any_closed`]): then all traffic is looked at.
    /// A slot that stops being master says so by itself; only this takes it back.
    pub const CLOSE: u32 = 6;
}

/// Values that the command program returns.
pub mod status {
    /// Done.
    pub const OK: u32 = 0;
    /// The command buffer is too short or the operation is unknown.
    pub const BAD_COMMAND: u32 = 1;
    /// No such slot.
    pub const BAD_SLOT: u32 = 2;
    /// `bpf_timer_init` had no memory: allocate something and try again.
    pub const TIMER_NO_MEMORY: u32 = 3;
    /// Another timer helper failed: the slot works without a timer.
    pub const TIMER_FAILED: u32 = 4;
    /// `TAKE_OVER`: a master was heard since, or the slot is no backup; nothing was changed.
    pub const HEARD_SINCE: u32 = 5;
}

/// A command buffer: the "packet" of a test run of the command program.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Command {
    /// One of [`op`].
    pub op: u32,
    /// Index of the slot.
    pub slot: u32,
    /// The slot's new generation.
    pub generation: u32,
    /// `CONFIGURE`, `SET_STATE`, `TUNE`: new flags (`TIMER` is kept by the kernel half).
    pub flags: u32,
    /// `SET_STATE` to `BACKUP`: nanoseconds from now to the deadline.
    pub arm_for: u64,
    /// `TAKE_OVER`: [`Slot::last_heard`] as it was when the master was found dead.
    pub judged_at: u64,
    /// `CONFIGURE`: hash of our address list.
    pub own_hash: u64,
    /// `CONFIGURE`: own primary address.
    pub own_address: RawAddress,
    /// `CONFIGURE`: the MAC that answers for our addresses.
    pub own_mac: [u8; 6],
    /// Zero.
    pub pad_mac: [u8; 2],
    /// `CONFIGURE`: where adverts must have been sent, and by whom.
    pub channel: AcceptFrom,
    /// `CONFIGURE`: what is asked of an HMAC trailer.
    pub gate: HmacPolicy,
    /// `CONFIGURE`: v2 password.
    pub auth_data: [u8; 8],
    /// `CONFIGURE`: interface index.
    pub ifindex: u32,
    /// `CONFIGURE`: own interval, centiseconds.
    pub own_interval: u16,
    /// `CONFIGURE`.
    pub vrid: u8,
    /// `CONFIGURE`.
    pub family: u8,
    /// `CONFIGURE`.
    pub version: u8,
    /// `SET_STATE`: one of [`state`].
    pub state: u8,
    /// `CONFIGURE`, `SET_STATE`, `TUNE`: own effective priority.
    pub own_priority: u8,
    /// `CONFIGURE`.
    pub auth_type: u8,
    /// `CONFIGURE`.
    pub down_multiplier: u8,
    /// `CONFIGURE`.
    pub own_count: u8,
    /// `CLOSE`: zero for no.
    pub is_any_closed: u8,
    /// Zero.
    pub pad: u8,
}

/// Names an address on an interface, for the fence.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct FenceKey {
    /// Interface index.
    pub ifindex: u32,
    /// 4 or 6.
    pub family: u8,
    /// Zero.
    pub pad: [u8; 3],
    /// The virtual address.
    pub address: RawAddress,
}

/// Who wrote the pinned maps, and how far they can be trusted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Meta {
    /// [`META_MAGIC`].
    pub magic: u32,
    /// [`LAYOUT_VERSION`].
    pub version: u32,
    /// The last turn of the driver while it was master of anything, `CLOCK_MONOTONIC` nanoseconds; zero:
    /// there was none.
    pub turned_at: u64,
}
