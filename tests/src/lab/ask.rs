//! Asking the segment who has an address, as any neighbour does: whatever a program says of itself,
//! traffic goes to whoever answers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::advert::checksum_of;
use super::capture::{Capture, Direction, Frame};
use super::clock::now;
use super::decode::Kind;
use super::forge::Forger;
use super::host::Host;
use super::wait::wait_until;
use super::world::Lab;

/// How long an answer may take. Who holds an address answers from the kernel, within microseconds.
const ANSWER: Duration = Duration::from_millis(300);
/// How long until the question is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// The protocol number of `ICMPv6`.
const ICMPV6: u8 = 58;

/// The client, asking on behalf of a test.
#[derive(Debug)]
pub struct Asker<'l> {
    client: &'l Host,
    hosts: &'l [Host],
    capture: &'l Capture,
    forger: Forger,
}

impl Lab {
    /// Somebody who asks for addresses, heard by this capture.
    pub fn asker<'l>(&'l self, capture: &'l Capture) -> Result<Asker<'l>> {
        Ok(Asker {
            client: self.client_host(),
            hosts: self.hosts(),
            capture,
            forger: self.client_host().forger()?,
        })
    }
}

impl Asker<'_> {
    /// Waits until this host, and nobody else, answers for the address.
    pub fn wait_held_by(&self, host: &Host, address: IpAddr, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let holders = self.holders(address)?;
            if holders.len() == 1 && holders.contains(host.name()) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "{address} is not {}'s alone within {timeout:?}: it is {holders:?}'s",
                    host.name()
                );
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    /// Every host that answers for the address now.
    pub fn holders(&self, address: IpAddr) -> Result<BTreeSet<String>> {
        let asked = now();
        self.forger.send(&self.question(address))?;
        // Each host takes the questions in order: once it has answered for its own address, it has
        // answered for the other one as well, or never will. Who is cut off answers nothing.
        for host in self.hosts {
            let own = own_address(host, address);
            self.forger.send(&self.question(own))?;
        }
        let settled = || {
            let frames = self.capture.frames_since(asked);
            self.hosts.iter().all(|host| {
                let own = own_address(host, address);
                frames.iter().any(|it| answers(it, own))
            })
        };
        // Not an error: a host that is cut off holds nothing as far as the client can tell.
        let _ = wait_until(ANSWER, "every host answers", settled);
        let frames = self.capture.frames_since(asked);
        let holders = frames.iter().filter(|it| answers(it, address));
        Ok(holders.map(|it| it.port.to_string()).collect())
    }

    fn question(&self, target: IpAddr) -> Vec<u8> {
        match target {
            IpAddr::V4(target) => {
                arp_request(EVERYBODY, self.client.mac(), self.client.ipv4(), target)
            }
            IpAddr::V6(target) => solicitation(self.client.mac(), self.client.ipv6(), target),
        }
    }
}

/// Of the family that is asked for, and on the interface in any lab.
fn own_address(host: &Host, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => host.ipv4().into(),
        IpAddr::V6(_) => host.ipv6().into(),
    }
}

fn answers(frame: &Frame, address: IpAddr) -> bool {
    let says_so = match (&frame.kind, address) {
        (Kind::Arp(arp), IpAddr::V4(address)) => {
            arp.operation == 2 && arp.sender == address && !arp.is_gratuitous()
        }
        (Kind::NeighbourAdvert(advert), IpAddr::V6(address)) => {
            advert.target == address && !advert.is_unsolicited()
        }
        (Kind::Vrrp(_) | Kind::Arp(_) | Kind::NeighbourAdvert(_), _) => false,
    };
    says_so && frame.direction == Direction::FromHost
}

/// The broadcast address of Ethernet.
pub const EVERYBODY: [u8; 6] = [0xff; 6];

/// Who has `target`? (RFC 826) From `mac` and its address `own`, for whoever takes frames to `to`.
pub fn arp_request(to: [u8; 6], mac: [u8; 6], own: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::from(to);
    frame.extend(mac);
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(own.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

/// Who has `target`? (RFC 4861 section 4.3)
fn solicitation(mac: [u8; 6], own: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let low = u16::from_be_bytes([b, c]);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low);
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    // Option 1, one unit of eight bytes: where the answer goes.
    message.extend([1, 1]);
    message.extend(mac);
    let sum = checksum_of(ICMPV6, Some((own.into(), group.into())), &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    let mut frame = vec![0x33, 0x33, 0xff, a, b, c];
    frame.extend(mac);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, ICMPV6, 255]);
    frame.extend(own.octets());
    frame.extend(group.octets());
    frame.extend(message);
    frame
}
