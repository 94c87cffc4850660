//! Every key with every kind of wrong value: where it is blamed and what is said.

use super::*;

/// Each case is one line with a bar in front of the place to be blamed, and what must be said.
type Case = (&'static str, &'static [&'static str]);

const INSTANCE_CASES: &[Case] = &[
    // name
    ("name = |7", &["`name` must be 1 to 64 letters", "not 7"]),
    ("name = |\"\"", &["1 to 64", "not \"\""]),
    ("name = |\"a b\"", &["not \"a b\""]),
    ("name = |\"-a\"", &["starting with a letter or digit"]),
    ("name = |\"a\\u001bb\"", &["not \"a\\u{1b}b\""]),
    // interface
    (
        "interface = |true",
        &["`interface` must be the name of an interface", "not true"],
    ),
    ("interface = |\"\"", &["1 to 127 bytes"]),
    (
        "interface = |\"enp3s0f0np0-enp3s0f0np0-enp3s0f0np0-enp3s0f0np0-enp3s0f0np0-enp3s0f0np0-enp3s0f0np0-enp3s0f0np0-enp3s0f0np0-enp3s0f0np0-12345678\"",
        &["1 to 127 bytes", "enp3s0f0np0-"],
    ),
    ("interface = |\"a/b\"", &["without space, '/'"]),
    ("interface = |\"a b\"", &["without space"]),
    ("interface = |\"..\"", &["not \"..\""]),
    // vrid
    (
        "vrid = |0",
        &["`vrid` must be a whole number from 1 to 255, not 0"],
    ),
    ("vrid = |256", &["from 1 to 255, not 256"]),
    ("vrid = |-1", &["not -1"]),
    (
        "vrid = |99999999999999999999999",
        &["not 99999999999999999999999"],
    ),
    ("vrid = |\"51\"", &["not \"51\"; write it without quotes"]),
    ("vrid = |5.1", &["not the fraction 5.1"]),
    ("vrid = |0x100", &["not 0x100"]),
    ("vrid = |1979-05-27", &["not a date or time"]),
    // version
    (
        "version = |4",
        &["`version` must be a whole number from 2 to 3", "not 4"],
    ),
    ("version = |\"3\"", &["without quotes"]),
    // priority
    (
        "priority = |0",
        &["`priority` must be a whole number from 1 to 255, not 0"],
    ),
    ("priority = |300", &["not 300"]),
    ("priority = |true", &["not true"]),
    ("priority = |\"high\"", &["not \"high\""]),
    ("priority = |[100]", &["not a list"]),
    ("priority = |{ a = 1 }", &["not a table"]),
    // advert_interval
    (
        "advert_interval = |1",
        &[
            "10ms to 40.95s in steps of 10ms",
            "in quotes and with a unit",
            "not 1",
        ],
    ),
    (
        "advert_interval = |0.5",
        &["in quotes and with a unit", "not the fraction 0.5"],
    ),
    (
        "advert_interval = |true",
        &["a duration from 10ms", "not true"],
    ),
    (
        "advert_interval = |\"\"",
        &["a duration from 10ms", "not \"\""],
    ),
    ("advert_interval = |\"1\"", &["not \"1\""]),
    ("advert_interval = |\"1 parsec\"", &["not \"1 parsec\""]),
    ("advert_interval = |\"-1s\"", &["not \"-1s\""]),
    ("advert_interval = |\"0s\"", &["from 10ms to 40.95s"]),
    ("advert_interval = |\"5ms\"", &["from 10ms to 40.95s"]),
    (
        "advert_interval = |\"15ms\"",
        &["in steps of 10ms, not \"15ms\""],
    ),
    ("advert_interval = |\"10.5ms\"", &["in steps of 10ms"]),
    ("advert_interval = |\"40.96s\"", &["from 10ms to 40.95s"]),
    ("advert_interval = |\"1h\"", &["from 10ms to 40.95s"]),
    (
        "advert_interval = |\"18446744073709551615s 1000000000ns\"",
        &["from 10ms to 40.95s"],
    ),
    // addresses
    (
        "addresses = |\"10.0.0.1/24\"",
        &["`addresses` must be a list such as", "not \"10.0.0.1/24\""],
    ),
    (
        "addresses = |[]",
        &["must have 1 to 255 entries, and it has 0"],
    ),
    (
        "addresses = [|7]",
        &["an entry of `addresses` must be an IP address", "not 7"],
    ),
    (
        "addresses = [\"10.0.0.1/24\", |\"10.0.0\"]",
        &["not \"10.0.0\""],
    ),
    ("addresses = [|\"example.org\"]", &["must be an IP address"]),
    (
        "addresses = [|\"10.0.0.1/33\"]",
        &["prefix length from 1 to 32"],
    ),
    (
        "addresses = [|\"10.0.0.1/0\"]",
        &["prefix length from 1 to 32"],
    ),
    (
        "addresses = [|\"10.0.0.1/\"]",
        &["prefix length from 1 to 32"],
    ),
    (
        "addresses = [|\"fe80::1/129\"]",
        &["prefix length from 1 to 128"],
    ),
    ("addresses = [|\"fe80::1%eth0/64\"]", &["without a zone"]),
    (
        "addresses = [|\"0.0.0.0/24\"]",
        &["the unspecified address"],
    ),
    ("addresses = [|\"::/64\"]", &["the unspecified address"]),
    ("addresses = [|\"127.0.0.1/8\"]", &["a loopback address"]),
    ("addresses = [|\"::1\"]", &["a loopback address"]),
    ("addresses = [|\"224.0.0.18/24\"]", &["a multicast address"]),
    ("addresses = [|\"ff02::12/64\"]", &["a multicast address"]),
    (
        "addresses = [|\"255.255.255.255/24\"]",
        &["the broadcast address"],
    ),
    (
        "addresses = [|\"::ffff:10.0.0.1\"]",
        &["write the IPv4 address"],
    ),
    (
        // RFC 9568 section 5.2.9 (family)
        "addresses = [\"10.0.0.1/24\", |\"fe80::1/64\"]",
        &["of one family", "10.0.0.1/24"],
    ),
    (
        "addresses = [\"10.0.0.1/24\", |\"10.0.0.1/32\"]",
        &["10.0.0.1 is in this list already"],
    ),
    // preempt
    ("preempt = |1", &["`preempt` must be true or false, not 1"]),
    ("preempt = |\"false\"", &["true or false without quotes"]),
    // auth
    (
        "auth = |\"none\"",
        &["`auth` must be a table, such as { type = \"none\" }, not a text"],
    ),
    ("auth = |{}", &["`auth` has no `type`; add type = \"none\""]),
    (
        "auth = { type = |\"ah\" }",
        &["`type` must be \"none\" or \"pass\", not \"ah\""],
    ),
    (
        "auth = { type = |1 }",
        &["`type` must be \"none\" or \"pass\", not 1"],
    ),
    (
        "auth = { type = \"none\", password = |\"x\" }",
        &["goes with type = \"pass\""],
    ),
    ("auth = |{ type = \"pass\" }", &["must have a password"]),
    (
        "auth = |{ type = \"pass\", password = \"x\" }",
        &["version = 3 has no authentication"],
    ),
    (
        "auth = { type = \"none\", |pasword = \"x\" }",
        &["unknown key `pasword` in `auth`", "`password`"],
    ),
    // track
    (
        "track = |\"nginx\"",
        &["`track` must be a list such as [{ check = \"nginx\" }]"],
    ),
    (
        "track = [|\"nginx\"]",
        &["an entry of `track` must be a table"],
    ),
    ("track = [|{}]", &["an entry of `track` has no `check`"]),
    (
        "track = [{ check = |5 }]",
        &["`check` must be 1 to 64 letters"],
    ),
    (
        "track = [{ check = \"nginx\", weight = |0 }]",
        &["`weight` must not be 0"],
    ),
    (
        "track = [{ check = \"nginx\", weight = |254 }]",
        &["from -253 to 253", "not 254"],
    ),
    (
        "track = [{ check = \"nginx\", weight = |-254 }]",
        &["not -254"],
    ),
    (
        "track = [{ check = \"nginx\", weight = |\"-20\" }]",
        &["write it without quotes"],
    ),
    (
        "track = [{ check = \"nginx\", |wieght = 2 }]",
        &["unknown key `wieght` in an entry of `track`", "`weight`"],
    ),
    (
        "track = [{ check = \"nginx\" }, { check = |\"nginx\" }]",
        &["check `nginx` is in this list already"],
    ),
    // datapath, consume, checksum
    (
        "datapath = |\"xdp\"",
        &[
            "`datapath` must be \"auto\" or \"tc\" or \"native\" or \"generic\" or \"socket\", not \"xdp\"",
        ],
    ),
    ("datapath = |false", &["not false"]),
    (
        "consume = |\"yes\"",
        &["`consume` must be \"auto\", or true or false without quotes"],
    ),
    (
        "consume = |1",
        &["`consume` must be \"auto\", true or false, not 1"],
    ),
    (
        "checksum = |\"none\"",
        &["`checksum` must be \"pseudo-header\" or \"payload\""],
    ),
    // garp
    ("garp = |5", &["`garp` must be a table", "not 5"]),
    (
        "garp = { count = |0 }",
        &["`count` must be a whole number from 1 to 100 announcements, not 0"],
    ),
    ("garp = { count = |101 }", &["not 101"]),
    (
        "garp = { repeat_after = |\"61s\" }",
        &["a duration from 0s to 1m, not \"61s\""],
    ),
    (
        "garp = { repeat_after = |5 }",
        &["in quotes and with a unit"],
    ),
    (
        "garp = { repeat_count = |-1 }",
        &["from 0 to 100 announcements, not -1"],
    ),
    (
        "garp = { refresh = |\"25h\" }",
        &["a duration from 0s to 1day"],
    ),
    (
        "garp = { gap = |\"11s\" }",
        &["`gap` must be a duration from 0s to 10s"],
    ),
    (
        "garp = { |refesh = \"1h\" }",
        &["unknown key `refesh` in `garp`; did you mean `refresh`?"],
    ),
    // last_resort
    (
        "last_resort = |254",
        &["`last_resort` must be a whole number from 1 to 253, not 254"],
    ),
    // carrier_delay, address_delay
    (
        "carrier_delay = |\"61s\"",
        &["`carrier_delay` must be a duration from 0s to 1m, not \"61s\""],
    ),
    (
        "address_delay = |\"61s\"",
        &["`address_delay` must be a duration from 0s to 1m, not \"61s\""],
    ),
    // start_delay
    (
        "start_delay = |\"11m\"",
        &["`start_delay` must be a duration from 0s to 10m, not \"11m\""],
    ),
    ("start_delay = |3", &["in quotes and with a unit"]),
    // down_multiplier, preempt_delay
    (
        "down_multiplier = |0",
        &["`down_multiplier` must be a whole number from 1 to 10 intervals, not 0"],
    ),
    ("down_multiplier = |11", &["from 1 to 10 intervals, not 11"]),
    (
        "|down_timer_adverts = 3",
        &["did you mean `down_multiplier`?"],
    ),
    (
        "preempt_delay = |\"61m\"",
        &["`preempt_delay` must be a duration from 0s to 1h, not \"61m\""],
    ),
    ("preempt_delay = |30", &["in quotes and with a unit"]),
    (
        "preempt = false\npreempt_delay = |\"30s\"",
        &[
            "`preempt_delay` goes with preempt = true",
            "leave one of them out",
        ],
    ),
    // unknown keys
    (
        "|prioritty = 5",
        &["unknown key `prioritty` in [[instance]]; did you mean `priority`?"],
    ),
    ("|virtual_router_id = 5", &["did you mean `vrid`?"]),
    ("|nopreempt = true", &["did you mean `preempt = false`?"]),
    (
        "|colour = 5",
        &["unknown key `colour` in [[instance]]; its keys are `name`, `interface`"],
    ),
    ("|\"\\u001b\" = 5", &["unknown key `\\u{1b}`"]),
];

#[test]
fn every_wrong_value_of_an_instance_is_blamed_at_its_place() {
    for (line, fragments) in INSTANCE_CASES {
        one_error(&(instance(line) + &check("")), fragments);
    }
}

#[test]
fn every_rule_of_version_2_is_blamed_at_its_place() {
    for (lines, fragments) in [
        (
            "advert_interval = |\"500ms\"",
            &["whole seconds from 1s to 255s, because version = 2"][..],
        ),
        ("advert_interval = |\"1.5s\"", &["whole seconds"]),
        ("advert_interval = |\"256s\"", &["from 1s to 255s"]),
        ("advert_interval = |\"0s\"", &["from 1s to 255s"]),
        (
            "auth = { type = \"pass\", password = |\"\" }",
            &["1 to 8 bytes long, and it has 0"],
        ),
        (
            "auth = { type = \"pass\", password = |\"123456789\" }",
            &["1 to 8 bytes long, and it has 9"],
        ),
        (
            "auth = { type = \"pass\", password = |\"ääääx\" }",
            &["and it has 9"],
        ),
        (
            "auth = { type = \"pass\", password = |12345678 }",
            &["in quotes, not an integer"],
        ),
    ] {
        one_error(&instance(&format!("version = 2\n{lines}")), fragments);
    }
    one_error(
        &instance("version = |2\naddresses = [\"fe80::1/64\"]"),
        &["`version` must be 3 for IPv6"],
    );
}

const CHECK_CASES: &[Case] = &[
    (
        "name = |[]",
        &["`name` must be 1 to 64 letters", "not a list"],
    ),
    // http
    ("http = |80", &["`http` must be a URL such as", "not 80"]),
    ("http = |\"\"", &["a URL such as"]),
    (
        "http = |\"127.0.0.1:80\"",
        &["a URL such as \"http://127.0.0.1:80/\""],
    ),
    (
        "http = |\"https://127.0.0.1/\"",
        &["must start with http:// because checks do not speak TLS"],
    ),
    ("http = |\"ftp://127.0.0.1/\"", &["a URL such as"]),
    (
        "http = |\"http://example.org/\"",
        &["whose host is an IP address or localhost"],
    ),
    ("http = |\"http:///x\"", &["whose host is an IP address"]),
    ("http = |\"http://127.0.0.1:0/\"", &["port is 1 to 65535"]),
    (
        "http = |\"http://127.0.0.1:70000/\"",
        &["port is 1 to 65535"],
    ),
    ("http = |\"http://127.0.0.1:+80/\"", &["port is 1 to 65535"]),
    ("http = |\"http://127.0.0.1:/\"", &["port is 1 to 65535"]),
    ("http = |\"http://::1/\"", &["whose host is an IP address"]),
    (
        "http = |\"http://user:x@127.0.0.1/\"",
        &["must not hold a user"],
    ),
    ("http = |\"http://127.0.0.1/#a\"", &["must not hold '#'"]),
    ("http = |\"http://127.0.0.1/a b\"", &["a URL such as"]),
    (
        "http = |\"http://127.0.0.1/\\r\\nX: y\"",
        &["a URL such as"],
    ),
    // tcp
    (
        "tcp = |80",
        &[
            "`tcp` must be an IP address or localhost, and a port",
            "not 80",
        ],
    ),
    (
        "tcp = |\"127.0.0.1\"",
        &["and a port, such as \"127.0.0.1:80\""],
    ),
    ("tcp = |\"example.org:80\"", &["an IP address or localhost"]),
    ("tcp = |\"127.0.0.1:0\"", &["and a port"]),
    ("tcp = |\"::1:80\"", &["\"[::1]:80\""]),
    // process
    ("process = |\"nginx\"", &["`process` must be a table"]),
    ("process = |{}", &["must have one of `pid_file` and `name`"]),
    (
        "process = |{ name = \"a\", pid_file = \"/b\" }",
        &["not both"],
    ),
    (
        "process = { name = |\"\" }",
        &["1 to 15 bytes as in /proc/PID/comm"],
    ),
    (
        "process = { name = |\"systemd-networkd\" }",
        &["longer than the 15 bytes", "write \"systemd-network\""],
    ),
    (
        "process = { name = |\"/usr/bin/x\" }",
        &["the name of a process"],
    ),
    (
        "process = { pid_file = |\"nginx.pid\" }",
        &["a path that starts with '/'"],
    ),
    (
        "process = { pid_file = |1 }",
        &["a path that starts with '/', not 1"],
    ),
    (
        "process = { |pidfile = \"/a\", name = \"b\" }",
        &["unknown key `pidfile` in `process`", "`pid_file`"],
    ),
    // command
    (
        "command = |\"/bin/true\"",
        &["`command` must be a list of program and arguments such as"],
    ),
    (
        "command = |[]",
        &["must have 1 to 256 entries, and it has 0"],
    ),
    (
        "command = [|\"true\"]",
        &["the program's absolute path", "not \"true\""],
    ),
    ("command = [|\"\"]", &["absolute path"]),
    (
        "command = [|7]",
        &["an entry of `command` must be a text in quotes, not 7"],
    ),
    (
        "command = [\"/bin/true\", |7]",
        &["must be a text in quotes, not 7"],
    ),
    ("command = [\"/bin/true\", |\"a\\u0000\"]", &["zero byte"]),
    (
        "command = [\"/bin/true\"]\nuser = |\"\"",
        &["`user` must be the name of a user"],
    ),
    (
        "command = [\"/bin/true\"]\nuser = |0",
        &["`user` must be the name of a user", "not 0"],
    ),
    (
        "command = [\"/bin/true\"]\nuser = |\"a b\"",
        &["not \"a b\""],
    ),
    // companions of http
    (
        "http = \"http://[::1]\"\nstatus = |99",
        &["`status` must be a whole number from 100 to 599", "not 99"],
    ),
    (
        "http = \"http://[::1]\"\nstatus = |\"399-200\"",
        &["a range of them such as \"200-399\""],
    ),
    (
        "http = \"http://[::1]\"\nstatus = |\"2xx\"",
        &["not \"2xx\""],
    ),
    ("http = \"http://[::1]\"\nstatus = |[200]", &["not a list"]),
    (
        "http = \"http://[::1]\"\nbody = |\"\"",
        &["`body` must be the text to look for"],
    ),
    ("http = \"http://[::1]\"\nbody = |1", &["not 1"]),
    (
        "http = \"http://[::1]\"\nhost = |\"a\\r\\nb\"",
        &["`host` must be the value of the Host header"],
    ),
    (
        "http = \"http://[::1]\"\nhost = |\"\"",
        &["1 to 255 visible"],
    ),
    (
        "http = \"http://[::1]\"\npid_file = |\"x\"",
        &["`pid_file` must be a path that starts with '/'"],
    ),
    (
        "|status = 200",
        &["`status` goes with `http`, and this is a `tcp` check"],
    ),
    ("|body = \"x\"", &["`body` goes with `http`"]),
    ("|host = \"x\"", &["`host` goes with `http`"]),
    (
        "|pid_file = \"/x\"",
        &["`pid_file` goes with `http`", "add a `process` check"],
    ),
    (
        "process = { name = \"x\" }\n|pid_file = \"/x\"",
        &["write process = { pid_file = ... }"],
    ),
    ("|user = \"x\"", &["`user` goes with `command`"]),
    // one probe
    (
        "http = \"http://[::1]\"\n|tcp = \"[::1]:80\"",
        &["this one has `http` already (line 9)"],
    ),
    // interval, timeout
    (
        "interval = |\"9ms\"",
        &["`interval` must be a duration from 10ms to 1h, not \"9ms\""],
    ),
    ("interval = |\"61m\"", &["from 10ms to 1h"]),
    ("interval = |1", &["in quotes and with a unit"]),
    (
        "timeout = |\"0s\"",
        &["`timeout` must be a duration from 1ms to 10m"],
    ),
    ("timeout = |true", &["not true"]),
    (
        "timeout = |\"2s\"",
        &["`timeout` must be at most the `interval` of 1s, not 2s"],
    ),
    // fall, rise
    (
        "fall = |0",
        &["`fall` must be a whole number from 1 to 100 in a row, not 0"],
    ),
    ("fall = |\"2\"", &["write it without quotes"]),
    (
        "rise = |101",
        &["`rise` must be a whole number from 1 to 100 in a row, not 101"],
    ),
    // restart
    ("restart = |\"x\"", &["`restart` must be a table"]),
    (
        "restart = |{ attempts = 1 }",
        &["`restart` has no `command`; add command = [\"systemctl\""],
    ),
    (
        "restart = { command = |[] }",
        &["must have 1 to 256 entries"],
    ),
    (
        "restart = { command = [|\"bin/x\"] }",
        &["a name without '/' that is found in PATH"],
    ),
    ("restart = { command = [|\"/bin/\"] }", &["absolute path"]),
    (
        "restart = { command = [\"x\"], attempts = |0 }",
        &["from 1 to 100 for each outage, not 0"],
    ),
    (
        "restart = { command = [\"x\"], settle = |\"11m\" }",
        &["`settle` must be a duration from 0s to 10m"],
    ),
    (
        "restart = { command = [\"x\"], backoff = |1 }",
        &["`backoff` must be a duration", "with a unit"],
    ),
    (
        "restart = { command = [\"x\"], timeout = |\"0s\" }",
        &["`timeout` must be a duration from 1ms to 10m"],
    ),
    (
        "restart = { command = [\"x\"], |attempt = 1 }",
        &["unknown key `attempt` in `restart`", "`attempts`"],
    ),
    // unknown keys
    (
        "|intervall = \"1s\"",
        &["unknown key `intervall` in [[check]]; did you mean `interval`?"],
    ),
    (
        "|weight = 1",
        &["unknown key `weight` in [[check]]; its keys are"],
    ),
];

#[test]
fn every_wrong_value_of_a_check_is_blamed_at_its_place() {
    let tracker = instance("track = [{ check = \"nginx\" }]");
    for (lines, fragments) in CHECK_CASES {
        one_error(&(tracker.clone() + &check(lines)), fragments);
    }
}

#[test]
fn every_wrong_value_of_the_node_is_blamed_at_its_place() {
    for (lines, fragments) in [
        (
            "name = |7",
            &["`name` must be 1 to 64 letters", "not 7"][..],
        ),
        ("name = |\"a b\"", &["not \"a b\""]),
        (
            "log_format = |\"xml\"",
            &["`log_format` must be \"text\" or \"json\", not \"xml\""],
        ),
        ("log_format = |1", &["not 1"]),
        (
            "max_slots = |0",
            &["from 1 to 65536 virtual routers, not 0"],
        ),
        ("max_slots = |65537", &["not 65537"]),
        ("max_slots = |\"7\"", &["write it without quotes"]),
        (
            "|log_fromat = \"json\"",
            &["unknown key `log_fromat` in [node]; did you mean `log_format`?"],
        ),
    ] {
        one_error(&format!("[node]\n{lines}\n{}", instance("")), fragments);
    }
}
