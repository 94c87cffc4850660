//! `[[instance]]`, and the tables inside it that are not lists of what a master holds.

use std::time::Duration;

use super::key::{Default, Format, HOUR, Key, NOTHING, Reload, Section, TEN_MINUTES};
use super::lists::{ADDRESS, ROUTE, RULE};
use super::transport::{self, PEER, PEER_TTL};

/// `[[instance]]`.
pub static INSTANCE: Section = Section {
    title: "[[instance]]",
    keys: &[
        Key::new(
            "name",
            Format::Words("1 to 64 letters, digits, '.', '-', '_'"),
            Default::Needed("\"web\""),
            "The name of the instance, unique among the instances.",
        ),
        Key::new(
            "interface",
            Format::Words("the name of an interface, or an alternative one, 1 to 127 bytes"),
            Default::Needed("\"eth0\""),
            "The network interface, by its name or an alternative one (`ip link property`). It may come later and go; \
             while it is not there, the instance is in FAULT.",
        )
        .reload(Reload::Identity),
        Key::new(
            "vrid",
            Format::Integer(1, 255),
            Default::Needed("51"),
            "The number of the virtual router, unique on the network segment.",
        )
        .reload(Reload::Identity)
        .foreign(&[("virtual_router_id", "vrid")]),
        Key::new(
            "version",
            Format::Integer(2, 3),
            Default::Value("3"),
            "VRRP's version. Version 2 knows only IPv4 and whole seconds.",
        )
        .reload(Reload::Anew),
        Key::new(
            "priority",
            Format::Integer(1, 255),
            Default::Value("100"),
            "The host with the highest priority holds the addresses. Give each host a different one. 255 makes the \
             host the owner of the addresses, whose priority never changes.",
        ),
        Key::new(
            "advert_interval",
            Format::Words("version 3: 10ms to 40.95s in steps of 10ms; version 2: whole seconds, 1s to 255s"),
            Default::Value("\"1s\""),
            "Interval between adverts of the master. Backups take over after a little more than three of these.",
        )
        .foreign(&[
            ("advert_int", "advert_interval"),
            ("advertisement_interval", "advert_interval"),
        ]),
        Key::new(
            "down_multiplier",
            Format::Integer(1, 10),
            Default::Value("3"),
            "How many intervals without an advert make the master dead. It has to be the same on all hosts: one with a \
             smaller number takes over from a master that the others still believe in.",
        )
        .foreign(&[("down_timer_adverts", "down_multiplier")]),
        // RFC 9568 section 5.2.5: the count is one byte.
        Key::new(
            "addresses",
            Format::List(1, 255, "addresses with their prefix lengths, all IPv4 or all IPv6"),
            Default::Needed("[\"10.99.0.100/24\"]"),
            "The addresses that move (without a prefix length: /32 or /128). The first IPv6 address should be \
             link-local.",
        )
        .inside(&ADDRESS)
        .foreign(&[
            ("virtual_ipaddress", "addresses"),
            ("vip", "addresses"),
            ("vips", "addresses"),
        ]),
        // No advert limits these; it bounds what one take-over does, and how long the others wait for it.
        Key::new(
            "excluded",
            Format::List(0, 4096, "addresses of either family, as in `addresses`"),
            Default::Value("[]"),
            "Addresses that move along but are not in the adverts, so that no peer needs to know them.",
        )
        .inside(&ADDRESS)
        .foreign(&[("virtual_ipaddress_excluded", "excluded")]),
        Key::new(
            "routes",
            Format::List(0, 1024, "tables"),
            Default::Value("[]"),
            "Routes that only the master has; they come after the addresses and go before them.",
        )
        .inside(&ROUTE)
        .foreign(&[("virtual_routes", "routes")]),
        Key::new(
            "rules",
            Format::List(0, 1024, "tables"),
            Default::Value("[]"),
            "Rules that only the master has; they come after the routes and go before them.",
        )
        .inside(&RULE)
        .foreign(&[("virtual_rules", "rules")]),
        transport::SOURCE,
        transport::GROUP,
        transport::PEERS.inside(&PEER),
        transport::PEER_TTLS.inside(&PEER_TTL),
        transport::TTL,
        transport::CHECK_SOURCE,
        Key::new(
            "virtual_mac",
            Format::Words("true, false or a table"),
            Default::Value("false"),
            "Whether the virtual router has a MAC of its own, 00:00:5e:00:01:VRID (IPv4) or 00:00:5e:00:02:VRID (IPv6), \
             as the RFCs specify.",
        )
        .reload(Reload::Anew)
        .inside(&VIRTUAL_MAC)
        .foreign(&[("use_vmac", "virtual_mac"), ("vmac_xmit_base", "virtual_mac")]),
        Key::new(
            "preempt",
            Format::Boolean,
            Default::Value("true"),
            "Whether this host takes the addresses back from a healthy master of lower priority.",
        )
        .foreign(&[("nopreempt", "preempt = false")]),
        Key::new(
            "preempt_delay",
            Format::Duration(NOTHING, HOUR),
            Default::Value("\"0s\""),
            "With preempt: how long a backup leaves a healthy master of lower priority alone, counted from when this \
             instance became backup.",
        ),
        Key::new(
            "auth",
            Format::Words("a table"),
            Default::Value("{ type = \"none\" }"),
            "version 2 only: a password that is sent in clear text.",
        )
        .inside(&AUTH),
        Key::new(
            "hmac",
            Format::Words("a table"),
            Default::Words("unsigned adverts"),
            "Signed adverts, as keepalived 2.4.2 and later has them by `auth_hmac`: an HMAC-SHA256 behind each, for \
             both versions and families.",
        )
        .inside(&HMAC)
        .foreign(&[("auth_hmac", "hmac")]),
        // Enough for every service of a host, and it keeps the sums of weights small.
        Key::new(
            "track",
            Format::List(0, 64, "tables"),
            Default::Value("[]"),
            "What else decides whether this instance may be master, beside its own interface.",
        )
        .inside(&TRACK)
        .foreign(&[
            ("track_script", "track"),
            ("track_interface", "track"),
            ("track_file", "track"),
            ("track_process", "track"),
        ]),
        // Below every usual priority, and above 0, which means leaving.
        Key::new(
            "last_resort",
            Format::Integer(1, 253),
            Default::Words("none: FAULT"),
            "The priority with which this instance takes part while something fails that it tracks without weight, in \
             place of FAULT: where that fails on all hosts, the best of them serves on.",
        ),
        Key::new(
            "carrier",
            Format::Choice(&["fault", "ignore"]),
            Default::Value("\"fault\""),
            "What it means that the own interface has no carrier: \"fault\", or \"ignore\", where only an interface \
             that is gone or switched off is a fault.",
        )
        .foreign(&[("dont_track_primary", "carrier = \"ignore\"")]),
        Key::new(
            "carrier_delay",
            Format::Duration(NOTHING, Duration::from_mins(1)),
            Default::Value("\"0s\""),
            "How long the own interface of a master may be without carrier, or switched off, until that is a fault.",
        ),
        Key::new(
            "address_delay",
            Format::Duration(NOTHING, Duration::from_mins(1)),
            Default::Value("\"3s\""),
            "How long a master, or a backup that receives by a BPF program, may miss the address that its adverts leave \
             from until that is a fault: network managers that apply the same configuration again, and some DHCP \
             clients, take it away for a moment.",
        ),
        Key::new(
            "datapath",
            Format::Choice(&["auto", "tc", "native", "generic", "socket"]),
            Default::Value("\"auto\""),
            "Where adverts are received.",
        ),
        Key::new(
            "consume",
            Format::Words("true, false or \"auto\""),
            Default::Value("\"auto\""),
            "Whether adverts for this vrid end in the BPF program, and the host's stack is spared them; \"auto\": \
             above 100 adverts a second on the interface.",
        ),
        Key::new(
            "checksum",
            Format::Choice(&["pseudo-header", "payload"]),
            Default::Value("\"pseudo-header\""),
            "version 3 over IPv4 only: \"pseudo-header\" as keepalived and FRR send, or \"payload\" as many routers do. \
             Both are accepted.",
        ),
        Key::new(
            "garp",
            Format::Words("a table"),
            Default::Value(
                "{ count = 5, repeat_after = \"5s\", repeat_count = 5, refresh = \"60s\", gap = \"0s\" }",
            ),
            "How the addresses are announced to the neighbours (gratuitous ARP, unsolicited NA) on take-over.",
        )
        .inside(&GARP)
        .foreign(&[
            ("garp_master_refresh", "garp = { refresh = ... }"),
            ("garp_master_repeat", "garp = { count = ... }"),
            ("garp_master_delay", "garp = { repeat_after = ... }"),
            ("garp_interval", "garp = { gap = ... }"),
            ("gna_interval", "garp = { gap = ... }"),
        ]),
        Key::new(
            "start_delay",
            Format::Duration(NOTHING, TEN_MINUTES),
            Default::Value("\"0s\""),
            "How long to only listen after the start and after the link came up, for ports that do not pass frames at \
             once. It counts from the link, whatever else keeps the instance out meanwhile.",
        )
        .foreign(&[("startup_delay", "start_delay")]),
    ],
};

/// `virtual_mac` as a table.
pub static VIRTUAL_MAC: Section = Section {
    title: "`virtual_mac`",
    keys: &[Key::new(
        "device",
        Format::Words("the name of an interface, 1 to 15 bytes"),
        Default::Needed("\"vrrp-web\""),
        "It lives on a macvlan device above the interface, `vrrp4-VRID` or `vrrp6-VRID`, or as named in \
         { device = \"NAME\" }.",
    )],
};

/// `auth`.
pub static AUTH: Section = Section {
    title: "`auth`",
    keys: &[
        Key::new(
            "type",
            Format::Choice(&["none", "pass"]),
            Default::Needed("\"none\""),
            "\"pass\" sends a password, \"none\" does not.",
        )
        .foreign(&[("auth_type", "type")]),
        Key::new(
            "password",
            Format::Words("1 to 8 bytes of text"),
            Default::Words("needed with type = \"pass\""),
            "The same on all hosts.",
        )
        .foreign(&[("auth_pass", "password")]),
    ],
};

/// `hmac`.
pub static HMAC: Section = Section {
    title: "`hmac`",
    keys: &[
        // More than a rotation has at once, and it bounds what is read.
        Key::new(
            "keys",
            Format::List(1, 8, "tables"),
            Default::Needed("[{ id = 1, file = \"/etc/ha-agent/keys/web\" }]"),
            "The keys that adverts are verified with.",
        )
        .inside(&HMAC_KEY),
        Key::new(
            "active",
            Format::Integer(1, 255),
            Default::Words("the only key"),
            "The id of the key that our own adverts are signed with.",
        )
        .foreign(&[("active_key", "active")]),
        Key::new(
            "mode",
            Format::Choice(&["receive-only", "permissive", "enforce"]),
            Default::Value("\"enforce\""),
            "A roll-out goes through all three, host by host: \"receive-only\" verifies signed adverts and signs none, \
             \"permissive\" signs and still takes unsigned ones, \"enforce\" rejects those.",
        ),
        Key::new(
            "replay",
            Format::Choice(&["time", "monotonic"]),
            Default::Value("\"time\""),
            "\"time\": an advert must be of now, by the wall clock or by what its sender said last; \"monotonic\": it \
             need only be later than its sender's last.",
        )
        .foreign(&[("anti_replay", "replay")]),
        // As keepalived has them.
        Key::new(
            "window",
            Format::Duration(Duration::from_secs(1), Duration::from_mins(5)),
            Default::Words("three intervals, at least 5s"),
            "With replay = \"time\": by how much its time may differ.",
        )
        .foreign(&[("time_window", "window")]),
    ],
};

/// An entry of `keys`.
pub static HMAC_KEY: Section = Section {
    title: "a key of `hmac`",
    keys: &[
        Key::new(
            "id",
            Format::Integer(1, 255),
            Default::Needed("1"),
            "The number of the key, the same on all hosts.",
        ),
        Key::new(
            "file",
            Format::Words("an absolute path"),
            Default::Words("needed without `credential`"),
            "The file with the secret, which only its owner may read (chmod 0600): one line of 32 to 64 bytes, or \
             `hex:` and their digits.",
        ),
        Key::new(
            "credential",
            Format::Words("a name"),
            Default::Words("needed without `file`"),
            "In place of a file, a credential of the unit (LoadCredential=).",
        ),
    ],
};

/// An entry of `track`.
pub static TRACK: Section = Section {
    title: "an entry of `track`",
    keys: &[
        Key::new(
            "check",
            Format::Words("a name"),
            Default::Words("needed without `interface`"),
            "A health check, by name; where it is a file with a number in it, the weight is a factor for that number.",
        ),
        Key::new(
            "interface",
            Format::Words("the name of an interface, or an alternative one, 1 to 127 bytes"),
            Default::Words("needed without `check`"),
            "Another interface, by its name or an alternative one: it fails if it is gone, switched off or without carrier.",
        ),
        Key::new(
            "weight",
            Format::Integer(-253, 253),
            Default::Words("none"),
            "Not 0: a negative one is added to the priority while it fails, a positive one while it succeeds. Without \
             weight a failure faults the instance: it gives the addresses up.",
        ),
        Key::new(
            "reverse",
            Format::Boolean,
            Default::Value("false"),
            "Failure counts as success, and success as failure.",
        ),
        Key::new(
            "carrier",
            Format::Boolean,
            Default::Words("true"),
            "With interface: false looks only at whether it is switched on.",
        ),
        Key::new(
            "delay",
            Format::Duration(NOTHING, TEN_MINUTES),
            Default::Words("0s"),
            "With interface: how long it must have failed, or worked again, until that counts; one duration for both, or a \
             table of two.",
        )
        .inside(&DELAY),
    ],
};

/// `delay` of an entry of `track`.
pub static DELAY: Section = Section {
    title: "`delay`",
    keys: &[
        Key::new(
            "down",
            Format::Duration(NOTHING, TEN_MINUTES),
            Default::Value("\"0s\""),
            "From the failure until it counts.",
        ),
        Key::new(
            "up",
            Format::Duration(NOTHING, TEN_MINUTES),
            Default::Value("\"0s\""),
            "From the recovery until it counts.",
        ),
    ],
};

/// `garp`.
pub static GARP: Section = Section {
    title: "`garp`",
    keys: &[
        Key::new(
            "count",
            Format::Integer(1, 100),
            Default::Value("5"),
            "How many times, for each address: once at once, the others 10 to 20 ms later.",
        ),
        Key::new(
            "repeat_after",
            Format::Duration(NOTHING, Duration::from_mins(1)),
            Default::Value("\"5s\""),
            "When they are announced again; 0s: never.",
        ),
        Key::new(
            "repeat_count",
            Format::Integer(0, 100),
            Default::Value("5"),
            "How many times then.",
        ),
        Key::new(
            "refresh",
            Format::Duration(NOTHING, Duration::from_hours(24)),
            Default::Value("\"60s\""),
            "One more every so often while master, for neighbours that believe a wrong answer for hours; 0s: never. \
             Spread over time, the first after half of it at the earliest.",
        ),
        Key::new(
            "gap",
            Format::Duration(NOTHING, Duration::from_secs(10)),
            Default::Value("\"0s\""),
            "From one announcement to the next; 0s: up to 256 in 2 ms.",
        ),
    ],
};
