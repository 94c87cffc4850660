//! The numbers of the protocol.

/// The IP protocol number (RFC 9568 section 5.1.1.4).
pub const PROTOCOL: u8 = 112;
/// TTL and hop limit of every advert to a group (RFC 9568 section 5.1.1.3).
pub const TTL: u8 = 255;
/// 224.0.0.18 (RFC 9568 section 5.1.1.2).
pub const GROUP_V4: [u8; 4] = [224, 0, 0, 18];
/// `ff02::12` (RFC 9568 section 5.1.2.2).
pub const GROUP_V6: [u8; 16] = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12];
/// Type 1, the only one (RFC 9568 section 5.2.2).
pub(super) const ADVERTISEMENT: u8 = 1;
/// The longest message that is sent and that a receiver takes, in bytes, with any trailer: what an IPv4
/// packet of 1500 bytes holds. It bounds the loops that the kernel's verifier follows.
pub const MAX_LENGTH: u16 = 1480;
/// v2 authentication types (RFC 2338 section 5.3.6).
pub const AUTH_NONE: u8 = 0;
/// Simple text password.
pub const AUTH_PASS: u8 = 1;
