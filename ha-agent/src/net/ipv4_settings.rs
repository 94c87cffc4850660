//! IPv4 settings of a device (`net.ipv4.conf.*`) by netlink, which needs `CAP_NET_ADMIN` and no writable /proc/sys.

use netlink_packet_core::{DefaultNla, Emitable as _};
use netlink_packet_route::link::{AfSpecInet, AfSpecUnspec, LinkAttribute, LinkMessage};

/// `IFLA_INET_CONF` of `linux/if_link.h`: settings by their number, each with 32 bits.
const INET_CONF: u16 = 1;

/// A setting that netlink can change, with its number (`IPV4_DEVCONF_*`, linux/ip.h).
#[derive(Clone, Copy, Debug)]
pub(super) enum Setting {
    /// `rp_filter`.
    ReversePathFilter = 8,
    /// `arp_announce`.
    ArpAnnounce = 18,
    /// `arp_ignore`.
    ArpIgnore = 19,
    /// `promote_secondaries`.
    PromoteSecondaries = 20,
}

/// Changes settings of a device; a value of zero is one like any other.
pub(super) fn changing(index: u32, settings: &[(Setting, i32)]) -> LinkMessage {
    let nested: Vec<DefaultNla> = settings
        .iter()
        .map(|(setting, value)| DefaultNla::new(*setting as u16, value.to_ne_bytes().to_vec()))
        .collect();
    let mut bytes = vec![0; nested.as_slice().buffer_len()];
    nested.as_slice().emit(&mut bytes);
    let conf = AfSpecInet::Other(DefaultNla::new(INET_CONF, bytes));
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
        .attributes
        .push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![
            conf,
        ])]));
    message
}
