//! Which adverts a slot wants signed, and which it takes without.

use bytemuck::{Pod, Zeroable};

use super::replay::ReplayWindow;

/// What a slot asks of an advert's trailer: values of [`HmacPolicy::mode`].
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
pub struct HmacPolicy {
    /// By what the time of a trailer is judged.
    pub freshness: ReplayWindow,
    /// One of [`mode`].
    pub mode: u8,
    /// Zero.
    pub pad: [u8; 7],
}

impl HmacPolicy {
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
}
