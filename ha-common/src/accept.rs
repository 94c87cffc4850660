//! How the adverts of a virtual router travel: to a multicast group, or by unicast between configured peers.
//!
//! Unicast is no part of the standards. Its rules are those of a group as far as they go: a list of peers
//! takes the place of the group, and an advert that came over routers counts only where that was configured.

use bytemuck::{Pod, Zeroable};

use crate::address::RawAddress;
use crate::address::same;
use crate::wire::numbers::TTL;

/// Which TTLs or hop limits are taken, both ends included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(C)]
pub struct TtlRange {
    /// The least.
    pub min: u8,
    /// The greatest.
    pub max: u8,
}

impl TtlRange {
    /// Only what comes from this link (RFC 5082: no router lets 255 through).
    pub const LINK: Self = Self { min: TTL, max: TTL };

    /// Whether a TTL lies in it.
    #[inline(always)]
    pub const fn contains(self, ttl: u8) -> bool {
        self.min <= ttl && ttl <= self.max
    }
}

/// Where a virtual router's adverts must have been sent, and by whom: part of its slot.
///
/// All zeros, as in a slot that was never configured, is unicast that nobody may send: no mistake turns
/// unicast into multicast.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct AcceptFrom {
    /// The multicast group; zero: unicast.
    pub group: RawAddress,
    /// The TTLs of a sender that is not listed as a peer.
    pub ttl: TtlRange,
    /// Unicast: 1 if senders that are not listed are heard as well.
    pub any_source: u8,
    /// Zero.
    pub pad: [u8; 5],
}

impl AcceptFrom {
    /// To a group, from this link only (RFC 9568 sections 5.1.1.3, 5.1.2.3; RFC 3768 section 5.2.3).
    pub const fn multicast(group: RawAddress) -> Self {
        Self {
            group,
            ttl: TtlRange::LINK,
            any_source: 0,
            pad: [0; 5],
        }
    }

    /// Between peers. `ttl` is that of senders which are not listed; with `check_source` their adverts are
    /// rejected all the same.
    pub const fn unicast(ttl: TtlRange, check_source: bool) -> Self {
        Self {
            group: [0; 16],
            ttl,
            any_source: !check_source as u8,
            pad: [0; 5],
        }
    }

    /// True without a group.
    #[inline(always)]
    pub const fn is_unicast(&self) -> bool {
        same(self.group, [0; 16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_both_its_ends_and_nothing_beyond() {
        let range = TtlRange { min: 250, max: 254 };
        let held = (0..=u8::MAX).filter(|ttl| range.contains(*ttl));
        assert!(held.eq(250..=254));
        assert!(
            (0..=u8::MAX)
                .filter(|ttl| TtlRange::LINK.contains(*ttl))
                .eq([255])
        );
    }

    #[test]
    fn a_slot_that_was_never_configured_is_no_multicast_one_and_hears_nobody() {
        let blank = AcceptFrom::zeroed();
        assert!(blank.is_unicast());
        assert_eq!(blank.any_source, 0);
    }

    #[test]
    fn a_group_is_all_that_makes_multicast() {
        let mut group = [0; 16];
        group[..4].copy_from_slice(&[224, 0, 0, 18]);
        assert!(!AcceptFrom::multicast(group).is_unicast());
        assert!(AcceptFrom::unicast(TtlRange::LINK, true).is_unicast());
        assert_eq!(AcceptFrom::unicast(TtlRange::LINK, false).any_source, 1);
    }
}
