//! The typed units of the protocol: no bare integer crosses a module border.

pub mod text;

use core::fmt;
use core::num::NonZeroU8;
use core::ops::{Add, Sub};

/// Nanoseconds in one centisecond, the unit of `VRRPv3` intervals on the wire.
pub const NANOS_PER_CENTISECOND: u64 = 10_000_000;
/// Nanoseconds in one second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A virtual router identifier, 1 to 255 (RFC 9568 section 5.2.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// `None` for 0, which names no virtual router.
    pub const fn new(value: u8) -> Option<Self> {
        match NonZeroU8::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The value as it stands on the wire, 1 to 255.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A priority as it stands on the wire, 0 to 255 (RFC 9568 section 5.2.4).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Priority(pub u8);

impl Priority {
    /// 0: the master leaves.
    pub const RELEASE: Self = Self(0);
    /// 255: the owner of the addresses.
    pub const OWNER: Self = Self(255);

    /// True for 255.
    pub const fn is_owner(self) -> bool {
        self.0 == 255
    }

    /// True for 0.
    pub const fn is_release(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An advertisement interval in hundredths of a second: 1 to 4095 in v3, whole seconds up to
/// 25500 in v2.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Nanos", into = "Nanos"))]
pub struct Centiseconds(pub u16);

impl Centiseconds {
    /// The same span in nanoseconds.
    pub const fn nanos(self) -> Nanos {
        Nanos(self.0 as u64 * NANOS_PER_CENTISECOND)
    }
}

/// A span of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Nanos(pub u64);

impl Nanos {
    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The same span as the standard library's type.
    pub const fn to_duration(self) -> core::time::Duration {
        core::time::Duration::from_nanos(self.0)
    }
}

impl From<core::time::Duration> for Nanos {
    /// The standard library's span; 584 years at most.
    fn from(span: core::time::Duration) -> Self {
        Self(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A point in time: nanoseconds of `CLOCK_MONOTONIC`, the clock of `bpf_ktime_get_ns`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "Nanos", into = "Nanos"))]
pub struct Instant(pub u64);

impl Instant {
    /// The span since `earlier`, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Nanos> for Instant {
    type Output = Self;
    fn add(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Nanos> for Instant {
    type Output = Self;
    fn sub(self, span: Nanos) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// The address family of a virtual router; v4 and v6 routers of one VRID are two routers
/// (RFC 9568 section 5.2.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Family {
    /// IPv4.
    V4 = 4,
    /// IPv6.
    V6 = 6,
}

/// The protocol version that an instance speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[repr(u8)]
pub enum Version {
    /// RFC 3768.
    V2 = 2,
    /// RFC 9568.
    V3 = 3,
}
