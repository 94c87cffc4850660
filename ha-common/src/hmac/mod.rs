//! Adverts with a keyed digest behind them, as keepalived 2.4.2 and later send and check them.
//!
//! Behind the message stand 28 bytes, the [`Trailer`]: which key, when it was sent, and the first half of an
//! HMAC-SHA256 (RFC 2104, FIPS 180-4). The digest covers whom the advert claims to come from and for which
//! virtual router, all of the message but its checksum, and the time. A receiver holds the time against what
//! it knows of the sender ([`freshness`]), so that an advert that was recorded is worth nothing later.
//!
//! The kernel half and the agent make the digest by the same functions; what differs is where they keep the
//! bytes.

pub mod budget;
pub mod freshness;
pub mod key;
pub mod sha256;
pub mod stamp;
pub mod trailer;

use bytemuck::{Pod, Zeroable};

use self::freshness::Freshness;

pub use self::key::{KEY_MAX, KEY_MIN, Key, Keyed};
pub use self::stamp::Stamp;
pub use self::trailer::{TRAILER, Trailer};

/// What a slot asks of an advert's trailer: values of [`Gate::mode`].
///
/// The order is that of a roll-out: each router in turn can be taken one step on, and at no moment does one
/// refuse another that is a step behind.
pub mod mode {
    /// No key is configured: a trailer is padding to us.
    pub const OFF: u8 = 0;
    /// Send none; verify one that is there, and take adverts without.
    pub const RECEIVE_ONLY: u8 = 1;
    /// Send one; verify one that is there, and take adverts without.
    pub const PERMISSIVE: u8 = 2;
    /// Send one, and refuse adverts without.
    pub const ENFORCE: u8 = 3;
}

/// The part of a slot that decides about trailers. All zeros: none is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Gate {
    /// By what the time of a trailer is judged.
    pub freshness: Freshness,
    /// One of [`mode`].
    pub mode: u8,
    /// Zero.
    pub pad: [u8; 7],
}

impl Gate {
    /// Whether trailers are looked at.
    #[inline(always)]
    pub const fn is_on(&self) -> bool {
        self.mode != mode::OFF
    }

    /// Whether an advert without a trailer counts.
    #[inline(always)]
    pub const fn takes_bare(&self) -> bool {
        self.mode != mode::ENFORCE
    }

    /// Whether our own adverts carry one.
    pub const fn signs(&self) -> bool {
        matches!(self.mode, mode::PERMISSIVE | mode::ENFORCE)
    }
}
