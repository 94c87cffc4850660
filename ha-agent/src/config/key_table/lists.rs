//! The entries of the lists of what a master holds: `addresses`, `excluded`, `routes`, `rules`.

use super::key::{Default, Format, Key, Section};

/// The greatest number of 32 bits.
const MOST: i64 = 4_294_967_295;

/// An entry of `addresses` or `excluded` as a table.
pub static ADDRESS: Section = Section {
    title: "an address",
    keys: &[
        Key::new(
            "address",
            Format::Words("an IP address with a prefix length"),
            Default::Needed("\"10.99.0.100/24\""),
            "The address itself.",
        ),
        Key::new(
            "label",
            Format::Words("the interface's name, ':' and a text, at most 15 bytes"),
            Default::Words("none"),
            "IPv4: a name for the address, such as \"eth0:vip\".",
        ),
        Key::new(
            "scope",
            Format::Choice(&["global", "site", "link", "host"]),
            Default::Words("what the kernel finds"),
            "IPv4: how far the address reaches.",
        ),
        Key::new(
            "peer",
            Format::Words("an IP address with a prefix length"),
            Default::Words("none"),
            "The other end of a point-to-point link; its prefix length counts.",
        ),
        Key::new(
            "broadcast",
            Format::Words("an IPv4 address, \"auto\" or \"none\""),
            Default::Words("none"),
            "IPv4: the broadcast address; \"auto\": the network's last one.",
        ),
    ],
};

/// An entry of `routes`.
pub static ROUTE: Section = Section {
    title: "a route",
    keys: &[
        Key::new(
            "to",
            Format::Words("\"default\", a network or an address"),
            Default::Needed("\"default\""),
            "Where the route leads.",
        ),
        Key::new(
            "via",
            Format::Words("an IP address"),
            Default::Words("none"),
            "The gateway.",
        ),
        Key::new(
            "dev",
            Format::Words("the name of an interface, or an alternative one, 1 to 127 bytes"),
            Default::Words("the instance's"),
            "The interface.",
        ),
        Key::new(
            "metric",
            Format::Integer(0, MOST),
            Default::Words("0 for IPv4, 1024 for IPv6, which has no 0"),
            "Lower is preferred.",
        ),
        Key::new(
            "table",
            Format::Integer(1, MOST),
            Default::Words("254, the main one, or that of the interface's VRF"),
            "The routing table, not 255.",
        ),
        Key::new(
            "source",
            Format::Words("an IP address"),
            Default::Words("what the kernel finds"),
            "The address that the host's own packets along it start from.",
        ),
        Key::new(
            "onlink",
            Format::Boolean,
            Default::Words("false"),
            "Whether the gateway is on the link although no address says so.",
        ),
        Key::new(
            "type",
            Format::Choice(&["unicast", "blackhole", "unreachable", "prohibit"]),
            Default::Value("\"unicast\""),
            "All but \"unicast\" go without via and dev: nothing is sent along them.",
        ),
    ],
};

/// An entry of `rules`.
pub static RULE: Section = Section {
    title: "a rule",
    keys: &[
        Key::new(
            "from",
            Format::Words("a network or an address"),
            Default::Words("any"),
            "Where a packet comes from.",
        ),
        Key::new(
            "to",
            Format::Words("a network or an address"),
            Default::Words("any"),
            "Where it is going.",
        ),
        Key::new(
            "iif",
            Format::Words("the name of an interface, 1 to 15 bytes"),
            Default::Words("any"),
            "The interface that it came in by; \"lo\" for the host's own packets.",
        ),
        Key::new(
            "fwmark",
            Format::Integer(1, MOST),
            Default::Words("any"),
            "The mark that the firewall gave it.",
        ),
        Key::new(
            "table",
            Format::Integer(1, MOST),
            Default::Needed("100"),
            "The routing table that its route is looked up in, not 255.",
        ),
        // The kernel's rule for the main table stands behind it, at 32766 (ip-rule(8)).
        Key::new(
            "priority",
            Format::Integer(1, 32765),
            Default::Needed("100"),
            "Lower is looked up first.",
        ),
    ],
};
