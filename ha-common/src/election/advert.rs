//! What the election is told of an advert.

use core::net::IpAddr;

use crate::units::{Centiseconds, Priority};

/// What a valid advertisement says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Advert {
    /// Source address of the packet.
    pub source: IpAddr,
    /// Priority.
    pub priority: Priority,
    /// The sender's interval (v3), or the configured one that it was found equal to (v2).
    pub interval: Centiseconds,
}
