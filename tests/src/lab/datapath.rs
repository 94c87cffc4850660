//! The ways by which an agent can receive, by their names in the configuration, and how each shows on a host.

use anyhow::{Result, ensure};

use super::agent::Agent;
use super::host::Host;

/// A device on which XDP in its driver cannot be had.
pub const MACVLAN: &str = "mv0";

/// What becomes of a configured datapath on an interface of a lab.
pub fn chosen(configured: &str) -> &str {
    match configured {
        "auto" => "tc",
        named => named,
    }
}

/// What [`Host::xdp_mode`] is on an interface whose agent receives by it.
pub fn xdp_mode(datapath: &str) -> Option<u64> {
    match datapath {
        "native" => Some(1),
        "generic" => Some(2),
        _ => None,
    }
}

impl Agent {
    /// Fails unless its only instance receives by what becomes of this datapath, and its interface shows that.
    pub fn receives_by(&self, configured: &str) -> Result<()> {
        let found = self.only()?;
        ensure!(found.receives_by(chosen(configured)), "{found:?}");
        let mode = self.host().xdp_mode(Host::INTERFACE)?;
        ensure!(mode == xdp_mode(configured), "{configured}: {mode:?}");
        Ok(())
    }
}

impl Host {
    /// Gives its address to [`MACVLAN`], a device above its interface.
    pub fn move_to_macvlan(&self) -> Result<()> {
        self.ns().batch(&format!(
            "addr del {0}/24 dev eth0\n\
             link add {MACVLAN} link eth0 type macvlan mode bridge\n\
             link set {MACVLAN} addrgenmode none\n\
             addr add {0}/24 dev {MACVLAN}\n\
             link set {MACVLAN} up\n",
            self.ipv4()
        ))
    }
}
