//! Adverts with a keyed digest behind them, as keepalived 2.4.2 and later send and check them.
//!
//! Behind the message stand 28 bytes, the [`Trailer`]: which key, when it was sent, and the first half of an
//! HMAC-SHA256 (RFC 2104, FIPS 180-4). The digest covers whom the advert claims to come from and for which
//! virtual router, all of the message but its checksum, and the time. A receiver holds the time against what
//! it knows of the sender ([`replay`]), so that an advert that was recorded is worth nothing later.
//!
//! The kernel half and the agent make the digest by the same functions; what differs is where they keep the
//! bytes.

pub mod budget;
pub mod key;
pub mod policy;
pub mod replay;
pub mod sha256;
pub mod signing_clock;
pub mod stamp;
pub mod trailer;
pub mod untimely;

pub use self::key::{KEY_MAX, KEY_MIN, Key, Keyed};
pub use self::policy::{HmacPolicy, Timing, mode};
pub use self::signing_clock::SigningClock;
pub use self::stamp::Stamp;
pub use self::trailer::{TRAILER, Trailer};
pub use self::untimely::Untimely;
