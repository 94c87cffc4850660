//! Adverts with an HMAC trailer, made by a library and by the letter of the format.
//!
//! The format is keepalived's (2.4.2 and later): 28 bytes of scheme, key, two reserved bytes, seconds, their
//! fraction in 2^-16, a counter, and half an HMAC-SHA256.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::build::{Checksum, Frame};

/// Length of a trailer in bytes.
pub const TRAILER: usize = 28;
/// Length of the digest in it.
const TAG: usize = 16;

/// Who signs, and when.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'s> {
    /// The secret that all share.
    pub secret: &'s [u8],
    /// Its number.
    pub key_id: u8,
    /// Seconds of UTC, their fraction and a counter, in 32, 16 and 16 bits.
    pub stamp: u64,
}

impl Frame {
    /// Puts a trailer behind the message. Over IPv4 the checksum does not cover it.
    pub fn sign(&mut self, signer: Signer<'_>) {
        let message = self.message_without_checksum();
        let mut trailer = vec![1, signer.key_id, 0, 0];
        trailer.extend(signer.stamp.to_be_bytes());
        let mut covered = match self.source {
            IpAddr::V4(source) => {
                let mut head = vec![4, self.message.version, self.message.vrid, 0];
                head.extend(source.octets());
                head.extend([0; 12]);
                head
            }
            IpAddr::V6(source) => {
                let mut head = vec![6, self.message.version, self.message.vrid, 0];
                head.extend(source.octets());
                head
            }
        };
        covered.extend(&message);
        covered.extend(&trailer);
        covered.extend([0; TAG]);
        let mut mac = Hmac::<Sha256>::new_from_slice(signer.secret).expect("any length");
        mac.update(&covered);
        trailer.extend(&mac.finalize().into_bytes()[..TAG]);
        self.message.trailer.extend(trailer);
        if self.source.is_ipv4() {
            self.message.checksum = match self.message.checksum {
                Checksum::PseudoHeader => Checksum::PseudoHeaderOf(message.len()),
                Checksum::Payload => Checksum::PayloadOf(message.len()),
                other => other,
            };
        }
    }
}
