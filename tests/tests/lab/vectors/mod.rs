//! The whole corpus of frames, sent over the wire to a running agent: each frame moves the counter that it
//! must, the peer's and the virtual router's, and no other.
//!
//! What the corpus holds, field by field, stands in `ha_tests::vectors`. There the parsers are called; here
//! the frames go through a network card's driver, or the host's whole IP stack.

mod path;
mod stand;
mod tally;

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use ha_tests::vectors::{Receiver, corpus};

use path::Path;
use stand::Stand;
use tally::Moved;

/// A packet socket sends no frame without an Ethernet header.
const SHORTEST: usize = 14;

macro_rules! every_frame_gets_its_verdict {
    ($($path:ident: $value:expr;)*) => {$(
        mod $path {
            use super::*;

            /// RFC 9568 sections 5.1.1.3 (ttl-heard), 5.2.2 (type), 5.2.5 (no-addresses),
            /// 5.2.6 (reserve-heard), 7.1 (ttl, version, type, complete, checksum, interval, vrid, discard).
            #[test]
            fn gives_every_frame_its_verdict_in_version_3_over_ipv4() -> Result<()> {
                every_frame($value, Receiver::V3Ipv4)
            }

            /// RFC 9568 section 5.1.2.3 (hops-heard).
            #[test]
            fn gives_every_frame_its_verdict_in_version_3_over_ipv6() -> Result<()> {
                every_frame($value, Receiver::V3Ipv6)
            }

            /// RFC 3768 sections 5.2.3 (ttl-heard), 5.3.2 (type), 5.3.6 (auth-type), 5.3.10 (unused),
            /// 7.1 (ttl, version, complete, checksum, vrid, interval, discard).
            #[test]
            fn gives_every_frame_its_verdict_in_version_2() -> Result<()> {
                every_frame($value, Receiver::V2Plain)
            }

            /// RFC 3768 section 7.1 (auth).
            #[test]
            fn gives_every_frame_its_verdict_in_version_2_with_a_password() -> Result<()> {
                every_frame($value, Receiver::V2Password)
            }
        }
    )*};
}

every_frame_gets_its_verdict! {
    native_xdp: Path::Native;
    generic_xdp: Path::Generic;
    a_plain_socket: Path::Socket;
}

/// All mistakes at once, for each run of the corpus is long.
fn every_frame(path: Path, receiver: Receiver) -> Result<()> {
    let mut stand = Stand::new(path, receiver)?;
    let (mut sent, mut wrong) = (0, String::new());
    for vector in corpus() {
        if vector.receiver != receiver || vector.frame.len() < SHORTEST || !path.carries(&vector) {
            continue;
        }
        let moved = stand.send(&vector.frame)?;
        let expected = Moved::by(path, &vector);
        if moved != expected {
            let _ = writeln!(
                wrong,
                "{}:\n  it moved {moved:?}\n  and must {expected:?}",
                vector.name
            );
        }
        sent += 1;
    }
    println!("{sent} frames");
    ensure!(sent > 100, "only {sent} frames were sent");
    ensure!(wrong.is_empty(), "\n{wrong}");
    stand.has_stayed_backup()
}
