//! The alias by which a device is known to be ours, and in which the interface's own settings are kept.
//!
//! `ha-agent: virtual MAC of web; eth0 had arp_ignore=0 arp_announce=0`

use std::fmt;
use std::str::FromStr;

/// How the alias begins.
const MARK: &str = "ha-agent: virtual MAC of ";

/// What an interface answers and asks: sysctls `arp_ignore` and `arp_announce`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Arp {
    /// From 1 on it answers for its own addresses only.
    pub(super) ignore: i32,
    /// With 2 it asks from its own addresses only.
    pub(super) announce: i32,
}

impl Arp {
    /// As a device above needs them; never lower than an administrator set them.
    pub(super) fn raised(self) -> Self {
        Self {
            ignore: self.ignore.max(1),
            announce: self.announce.max(2),
        }
    }

    /// As they were before, except what somebody has changed meanwhile.
    pub(super) fn restored(self, original: Self) -> Self {
        let raised = original.raised();
        let back = |present, raised, original| {
            if present == raised { original } else { present }
        };
        Self {
            ignore: back(self.ignore, raised.ignore, original.ignore),
            announce: back(self.announce, raised.announce, original.announce),
        }
    }
}

/// What the alias says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Marker {
    pub(super) instance: String,
    /// The interface beneath, as it was called then.
    pub(super) interface: String,
    /// Its settings before the first device came above it.
    pub(super) original: Arp,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            instance,
            interface,
            original: Arp { ignore, announce },
        } = self;
        write!(
            f,
            "{MARK}{instance}; {interface} had arp_ignore={ignore} arp_announce={announce}"
        )
    }
}

/// An alias that is not ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NotOurs;

impl FromStr for Marker {
    type Err = NotOurs;

    fn from_str(alias: &str) -> Result<Self, NotOurs> {
        let read = || {
            let (instance, rest) = alias.strip_prefix(MARK)?.split_once("; ")?;
            let (interface, rest) = rest.split_once(" had arp_ignore=")?;
            let (ignore, announce) = rest.split_once(" arp_announce=")?;
            let original = Arp {
                ignore: ignore.parse().ok()?,
                announce: announce.parse().ok()?,
            };
            Some(Self {
                instance: instance.to_owned(),
                interface: interface.to_owned(),
                original,
            })
        };
        read().ok_or(NotOurs)
    }
}

/// Whether an alias is ours.
pub(super) fn is_mark(alias: &str) -> bool {
    alias.parse::<Marker>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arp(ignore: i32, announce: i32) -> Arp {
        Arp { ignore, announce }
    }

    #[test]
    fn an_alias_says_what_the_interface_had() {
        let marker = Marker {
            instance: "web".to_owned(),
            interface: "eth0".to_owned(),
            original: arp(0, 1),
        };
        let alias = "ha-agent: virtual MAC of web; eth0 had arp_ignore=0 arp_announce=1";
        assert_eq!(marker.to_string(), alias);
        assert_eq!(alias.parse(), Ok(marker));
        for other in [
            "",
            "uplink to the core",
            "ha-agent: virtual MAC of web",
            "ha-agent: virtual MAC of web; eth0 had arp_ignore=0 arp_announce=x",
            "ha-agent: virtual MAC of web; eth0 had arp_ignore=99999999999 arp_announce=0",
        ] {
            assert!(!is_mark(other), "{other}");
        }
    }

    #[test]
    fn settings_are_raised_and_come_back_unless_somebody_changed_them() {
        for (original, raised) in [
            (arp(0, 0), arp(1, 2)),
            (arp(0, 1), arp(1, 2)),
            (arp(1, 2), arp(1, 2)),
            (arp(8, 2), arp(8, 2)),
        ] {
            assert_eq!(original.raised(), raised);
            assert_eq!(raised.restored(original), original);
        }
        assert_eq!(arp(2, 2).restored(arp(0, 0)), arp(2, 0));
        assert_eq!(arp(1, 0).restored(arp(0, 1)), arp(0, 0));
    }
}
