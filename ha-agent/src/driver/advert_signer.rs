//! Signing adverts as they leave: each has its own time, and so its own digest.

use std::net::IpAddr;

use ha_common::address::RawAddress;
use ha_common::address::raw;
use ha_common::hmac::{Key, SigningClock, TRAILER};
use ha_common::units::Family;
use ha_common::wire::build;

use crate::config::plan::RouterId;
use crate::net::advert::Destination;
use crate::os::clock;

/// How the adverts of a virtual router are signed. Their messages end with room for the trailer.
#[derive(Clone, Debug)]
pub struct AdvertSigner {
    pub key: Key,
    pub key_id: u8,
    /// The family of the adverts.
    pub family: Family,
    /// Where they leave from.
    pub source: RawAddress,
    /// Whose time they have: what the router has signed counts for as long as this process lives.
    pub router: RouterId,
    /// How far their time may be off at a receiver, as a span of stamps; 0: it need only grow.
    pub window: u64,
}

impl AdvertSigner {
    /// Signs one advert, as it goes to each of its destinations, with the time that follows the last one's.
    /// Never allocates.
    pub fn close(
        &self,
        messages: &mut [Vec<u8>],
        destinations: &[Destination],
        time: &mut SigningClock,
    ) {
        let stamp = time.next(clock::now(), clock::utc_at_zero(), self.window);
        let Some((first, _)) = messages
            .first()
            .and_then(|it| it.split_last_chunk::<TRAILER>())
        else {
            return;
        };
        // What differs between destinations is the checksum, which is not signed.
        let trailer = self
            .key
            .sign(self.key_id, stamp, self.family, self.source, first);
        for (message, to) in messages.iter_mut().zip(destinations) {
            self.put(message, trailer, to.address);
        }
    }

    fn put(&self, message: &mut [u8], trailer: [u8; TRAILER], to: IpAddr) {
        if let Some(room) = message.last_chunk_mut::<TRAILER>() {
            *room = trailer;
        }
        if self.family == Family::V6 {
            build::sum_again_v6(message, self.source, raw(to));
        }
    }
}

#[cfg(test)]
mod tests {
    use ha_common::hmac::Stamp;
    use ha_common::units::Vrid;

    use super::*;

    #[test]
    fn each_advert_is_later_than_the_last_and_the_same_for_all_its_peers() {
        let signer = AdvertSigner {
            key: Key::new(&[7; 32]).unwrap(),
            key_id: 3,
            family: Family::V4,
            source: [1; 16],
            router: RouterId {
                interface: "eth0".to_owned(),
                family: Family::V4,
                vrid: Vrid::new(51).unwrap(),
            },
            window: 0,
        };
        let peers = ["10.99.0.2", "10.99.0.3"].map(|it| Destination::new(it.parse().unwrap(), 1));
        let mut messages = vec![vec![0x31; 12 + TRAILER]; 2];
        let mut time = SigningClock::default();
        let mut earlier = None;
        for _ in 0..1000 {
            signer.close(&mut messages, &peers, &mut time);
            let trailer = messages[0].last_chunk::<TRAILER>().unwrap();
            assert_eq!(trailer[..4], [1, 3, 0, 0]);
            let stamp = Stamp(u64::from_be_bytes(trailer[4..12].try_into().unwrap()));
            assert!(earlier.is_none_or(|earlier| stamp.is_after(earlier)));
            earlier = Some(stamp);
            assert_eq!(messages[0], messages[1]);
        }
    }
}
