//! `hmac`: adverts with a keyed digest behind them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ha_common::hmac::replay::ReplayWindow;
use ha_common::hmac::{HmacPolicy, Key, Stamp, mode};

/// `hmac = { keys = [...], active = 1, ... }`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hmac {
    /// `keys`, 1 to 8; their numbers are unique.
    pub keys: Vec<HmacKey>,
    /// `active`: the number of the key that our own adverts are signed with; default the only one.
    pub active: u8,
    /// `mode`; default enforce.
    pub mode: Mode,
    /// `replay` and `window`: by how much the time of an advert may differ, 1 s to 300 s, default three
    /// intervals and 5 s at least; `None` with replay = "monotonic": it need only grow.
    pub window: Option<Duration>,
}

/// A key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HmacKey {
    /// `id`: 1 to 255.
    pub id: u8,
    /// `file` or `credential`.
    pub source: KeySource,
    /// What was read there.
    pub key: Key,
}

/// `mode`: the steps of a roll-out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// `receive-only`: verify what is signed, sign nothing.
    ReceiveOnly,
    /// `permissive`: sign, and take unsigned adverts as well.
    Permissive,
    /// `enforce`: sign, and refuse unsigned adverts.
    Enforce,
}

impl Mode {
    /// As it is written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReceiveOnly => "receive-only",
            Self::Permissive => "permissive",
            Self::Enforce => "enforce",
        }
    }
}

impl Hmac {
    /// The slot's gate; `utc_at_zero` is UTC when `CLOCK_MONOTONIC` was zero.
    pub fn gate(&self, utc_at_zero: Stamp) -> HmacPolicy {
        HmacPolicy {
            freshness: ReplayWindow {
                window: self.window_span(),
                utc_at_zero: utc_at_zero.0,
            },
            mode: match self.mode {
                Mode::ReceiveOnly => mode::RECEIVE_ONLY,
                Mode::Permissive => mode::PERMISSIVE,
                Mode::Enforce => mode::ENFORCE,
            },
            ..HmacPolicy::default()
        }
    }

    /// The window as a span of stamps; 0: none.
    pub fn window_span(&self) -> u64 {
        let nanos = self.window.map_or(0, |window| window.as_nanos());
        Stamp::span(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The keys by their numbers.
    pub fn ring(&self) -> Vec<(u8, Key)> {
        self.keys.iter().map(|it| (it.id, it.key)).collect()
    }

    /// The key that our adverts are signed with, if they are.
    pub fn signing_key(&self) -> Option<Key> {
        let active = || self.keys.iter().find(|it| it.id == self.active);
        match self.mode {
            Mode::ReceiveOnly => None,
            Mode::Permissive | Mode::Enforce => active().map(|it| it.key),
        }
    }
}

/// Where a secret is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// `file`.
    File(PathBuf),
    /// `credential`: a unit's, by name.
    Credential(String),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Credential(name) => write!(f, "the credential {name}"),
        }
    }
}
