//! A virtual address, and how the interface is to have it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Serialize, Serializer};

/// The longest label: the kernel's `IFNAMSIZ` less its closing zero.
const MAX_LABEL_BYTES: usize = 15;

/// An entry of `addresses` or `excluded`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VirtualAddress {
    /// The address, with the prefix length that it has on the interface: the peer's where there is one.
    pub net: IpNet,
    /// What it has beside that.
    pub form: Form,
}

/// What an address has beside its prefix length. The default is what `ip address add` makes of the bare
/// address: no label but the interface's name, the scope that the kernel finds, no broadcast address.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Form {
    /// `label`: IPv4 only.
    pub label: Option<Label>,
    /// `scope`: IPv4 only; of an IPv6 address it is in the address itself.
    pub scope: Option<Scope>,
    /// `broadcast`: IPv4 only, worked out already if it was `"auto"`.
    pub broadcast: Option<Ipv4Addr>,
    /// `peer`: the other end of a point-to-point link; of the address's family.
    pub peer: Option<IpAddr>,
}

/// `scope`: how far an address reaches, by the kernel's names (rtnetlink(7), `rtm_scope`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// `"global"`: everywhere.
    Global,
    /// `"site"`: within the site.
    Site,
    /// `"link"`: on this link.
    Link,
    /// `"host"`: on this host.
    Host,
}

impl Scope {
    /// As it is written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Site => "site",
            Self::Link => "link",
            Self::Host => "host",
        }
    }
}

/// A name for an IPv4 address, 1 to [`MAX_LABEL_BYTES`] bytes, as old tools show it for an interface of its
/// own: `eth0:vip`.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Label {
    /// Filled up with zeros, of which the text has none.
    bytes: [u8; MAX_LABEL_BYTES],
}

impl Label {
    /// The label of this text, if it is none too long, not empty, and without a zero byte.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; MAX_LABEL_BYTES];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        (!text.is_empty() && !text.contains('\0')).then_some(Self { bytes })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let length = self.bytes.iter().position(|byte| *byte == 0);
        let text = self.bytes.get(..length.unwrap_or(MAX_LABEL_BYTES));
        // Made of a text whole, so it is one.
        text.and_then(|text| str::from_utf8(text).ok())
            .unwrap_or_default()
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<IpNet> for VirtualAddress {
    fn from(net: IpNet) -> Self {
        Self {
            net,
            form: Form::default(),
        }
    }
}

impl VirtualAddress {
    /// The address without its prefix length.
    pub fn addr(&self) -> IpAddr {
        self.net.addr()
    }
}

/// As the file has it. The kernel keeps one prefix length, so it is that of the other end as well.
impl Serialize for VirtualAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            address: IpNet,
            label: Option<&'a str>,
            scope: Option<Scope>,
            broadcast: Option<Ipv4Addr>,
            peer: Option<IpNet>,
        }
        let length = self.net.prefix_len();
        let peer = self.form.peer.map(|peer| IpNet::new(peer, length));
        Entry {
            address: self.net,
            label: self.form.label.as_ref().map(Label::as_str),
            scope: self.form.scope,
            broadcast: self.form.broadcast,
            peer: peer.transpose().map_err(serde::ser::Error::custom)?,
        }
        .serialize(serializer)
    }
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.net.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_holds_fifteen_bytes_and_gives_them_back() {
        for text in ["e", "eth0:vip", "fifteen-bytes:x", "wlan0:é"] {
            assert_eq!(Label::new(text).unwrap().as_str(), text);
        }
        for text in ["", "sixteen-bytes:xx", "a\0b"] {
            assert_eq!(Label::new(text), None, "{text:?}");
        }
    }
}
