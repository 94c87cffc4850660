//! keepalived as a peer.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Ends, Peer, Router, Running};
use crate::lab::host::Host;
use crate::lab::keepalived::{Instance, PROGRAM};

/// Debian's keepalived.
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
        let instance = Instance {
            version: router.version,
            vrid: router.vrid,
            priority: router.priority,
            interval: router.interval,
            vips: router.addresses.clone(),
            extra,
            ..Instance::default()
        };
        Ok(Running::new(instance.start(host)?, Vec::new()))
    }
}
