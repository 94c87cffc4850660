//! What an implementation is asked to be: one virtual router, in the words that all of them share.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use anyhow::Result;

use crate::lab::addresses::VIP;
use crate::lab::agent_config::{Instance, far_peer, with_prefix};
use crate::lab::hmac;
use crate::lab::host::Host;

/// A virtual router in the words that all implementations share.
#[derive(Clone, Debug)]
pub struct Router {
    /// 2 or 3.
    pub version: u8,
    /// Its number.
    pub vrid: u8,
    /// 1 to 254.
    pub priority: u8,
    /// Between adverts: whole seconds in version 2, hundredths of a second in version 3.
    pub interval: Duration,
    /// Of one family; for IPv6 the first is link-local.
    pub addresses: Vec<IpAddr>,
    /// Version 2: the PASS authentication's.
    pub password: Option<&'static str>,
    /// The virtual router has a hardware address of its own at the agent as well.
    pub virtual_mac: bool,
    /// None: adverts go to the group.
    pub unicast: Option<Ends>,
    /// A byte of the secret that adverts are signed with.
    pub signed: Option<u8>,
}

/// From where to where adverts go by unicast.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The router's own address.
    pub own: IpAddr,
    /// The other one's.
    pub peer: IpAddr,
}

impl Router {
    /// Version 2 over IPv4, which knows whole seconds only.
    pub fn version_2() -> Self {
        Self {
            version: 2,
            interval: Duration::from_secs(1),
            ..Self::version_3()
        }
    }

    /// Version 3 over IPv4.
    pub fn version_3() -> Self {
        Self {
            version: 3,
            vrid: 51,
            priority: 100,
            interval: Duration::from_millis(200),
            addresses: vec![VIP],
            password: None,
            signed: None,
            virtual_mac: false,
            unicast: None,
        }
    }

    /// Version 3 over IPv6.
    pub fn version_3_over_ipv6() -> Self {
        let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
        let global = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 0x100);
        Self {
            addresses: vec![link_local.into(), global.into()],
            ..Self::version_3()
        }
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(mut self, password: &'static str) -> Self {
        self.password = Some(password);
        self
    }

    /// The same with the virtual router's own hardware address at the agent.
    #[must_use]
    pub fn with_virtual_mac(mut self) -> Self {
        self.virtual_mac = true;
        self
    }

    /// The same with another priority.
    #[must_use]
    pub fn with_priority(&self, priority: u8) -> Self {
        Self {
            priority,
            ..self.clone()
        }
    }

    /// The same with signed adverts.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.signed = Some(0xa7);
        self
    }

    /// The same between two addresses.
    #[must_use]
    pub fn between(mut self, own: IpAddr, peer: IpAddr) -> Self {
        self.unicast = Some(Ends { own, peer });
        self
    }

    /// Whether it is one of IPv6 addresses.
    pub fn is_ipv6(&self) -> bool {
        self.addresses.iter().any(IpAddr::is_ipv6)
    }

    /// The agent's configuration of it on a host.
    pub fn for_agent(&self, host: &Host) -> Result<Instance> {
        let mut instance = Instance {
            vrid: self.vrid,
            version: self.version,
            priority: self.priority,
            advert_interval: self.interval,
            addresses: self.addresses.iter().copied().map(with_prefix).collect(),
            ..Instance::default()
        };
        if self.virtual_mac {
            instance = instance.with("virtual_mac", true);
        }
        if let Some(password) = self.password {
            let auth = [("type", "pass"), ("password", password)];
            let auth = auth.map(|(key, value)| (key.to_owned(), value.into()));
            instance = instance.with("auth", toml::Table::from_iter(auth));
        }
        if let Some(byte) = self.signed {
            let keys = vec![hmac::key(host, 1, byte)?];
            instance = instance.with("hmac", hmac::hmac(keys, 1, "enforce"));
        }
        Ok(match self.unicast {
            None => instance,
            Some(Ends { peer, .. }) if peer.is_ipv4() => instance.to_peers(&[peer]),
            // keepalived 2.2.7 sends its unicast over IPv6 with the hop limit of any other packet.
            Some(Ends { peer, .. }) => instance.with("peers", vec![far_peer(peer, 64, 255)]),
        })
    }
}
