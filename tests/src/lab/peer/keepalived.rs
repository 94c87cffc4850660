//! keepalived as a peer.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use super::implementation::{Peer, Running};
use super::router::{Ends, Router};
use crate::lab::hmac;
use crate::lab::host::Host;
use crate::lab::keepalived::{Instance, PROGRAM};

/// Names a keepalived of 2.4.2 or later, which Debian has none of, for the tests of signed adverts.
const SIGNING: &str = "HA_KEEPALIVED";

/// Debian's keepalived; another one where adverts are signed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keepalived {
    /// `use_vmac`: the addresses and the adverts have the virtual router's own hardware address.
    pub virtual_mac: bool,
}

impl Peer for Keepalived {
    fn programs(&self) -> &'static [&'static str] {
        &[PROGRAM]
    }

    fn prepare(&self, _host: &Host, _router: &Router) -> Result<()> {
        Ok(())
    }

    fn start(&self, host: &Host, router: &Router) -> Result<Running> {
        let mut extra = String::new();
        if self.virtual_mac {
            extra.push_str("  use_vmac\n");
        }
        if let Some(password) = router.password {
            extra.push_str("  authentication {\n    auth_type PASS\n    auth_pass ");
            extra.push_str(password);
            extra.push_str("\n  }\n");
        }
        if let Some(Ends { own, peer }) = router.unicast {
            // Writing to a String cannot fail.
            let _ = write!(
                extra,
                "  unicast_src_ip {own}\n  unicast_peer {{\n    {peer}\n  }}\n  check_unicast_src\n"
            );
        }
        if let Some(byte) = router.signed {
            let secret = hmac::secret(byte);
            // Writing to a String cannot fail.
            let _ = write!(
                extra,
                "  auth_hmac {{\n    key 1 {secret}\n    active_key 1\n    mode enforce\n  }}\n"
            );
        }
        let instance = Instance {
            version: router.version,
            vrid: router.vrid,
            priority: router.priority,
            interval: router.interval,
            vips: router.addresses.clone(),
            extra,
            ..Instance::default()
        };
        let process = match router.signed {
            None => instance.start(host)?,
            Some(_) => instance.start_as(host, &signing_program()?)?,
        };
        Ok(Running::new(process, Vec::new()))
    }
}

fn signing_program() -> Result<String> {
    std::env::var(SIGNING).with_context(|| {
        format!(
            "set {SIGNING} to the path of a keepalived of 2.4.2 or later, built from its source"
        )
    })
}
