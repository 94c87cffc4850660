//! How large an advert is, and how many addresses it can list.
//!
//! One advert lists all addresses of its instance in one packet that is never fragmented. Two things limit
//! it: what receivers take ([`MAX_LENGTH`]), which the configuration is held against here, and the MTU of
//! the interface, which only the running agent knows.

use ha_common::hmac::TRAILER;
use ha_common::units::{Family, Version};
use ha_common::wire::build;
use ha_common::wire::numbers::MAX_LENGTH;

use super::Instance;

/// What the size of an advert depends on, beside the number of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct AdvertSize {
    version: Version,
    family: Family,
    signed: bool,
}

impl AdvertSize {
    /// The size of the adverts of a configured instance.
    pub(crate) fn of(config: &Instance) -> Self {
        let hmac = config.hmac.as_ref();
        Self {
            version: config.version,
            family: config.family,
            signed: hmac.is_some_and(|hmac| hmac.signing_key().is_some()),
        }
    }

    /// The size of adverts that are signed or not.
    pub(crate) const fn new(version: Version, family: Family, signed: bool) -> Self {
        Self {
            version,
            family,
            signed,
        }
    }

    /// Bytes of the IP packet that lists so many addresses.
    pub(crate) fn packet(self, addresses: usize) -> usize {
        self.ip_header() + build::length(self.version, self.family, addresses) + self.trailer()
    }

    /// How many addresses fit an interface of this MTU and what receivers take.
    pub(crate) fn most_at(self, mtu: usize) -> usize {
        self.most(mtu.saturating_sub(self.ip_header()))
    }

    /// How many addresses a message of so many bytes can list, within what receivers take.
    pub(crate) fn most(self, room: usize) -> usize {
        let room = room.min(usize::from(MAX_LENGTH));
        build::capacity(
            self.version,
            self.family,
            room.saturating_sub(self.trailer()),
        )
    }

    const fn ip_header(self) -> usize {
        match self.family {
            Family::V4 => 20,
            Family::V6 => 40,
        }
    }

    const fn trailer(self) -> usize {
        if self.signed { TRAILER } else { 0 }
    }

    /// What limits the number beside the size, in words.
    pub(crate) fn in_words(self) -> String {
        let family = match self.family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let signed = if self.signed {
            ", beside the trailer of `hmac`"
        } else {
            ""
        };
        format!(
            "{family} addresses (VRRP version {}{signed})",
            self.version as u8
        )
    }
}
