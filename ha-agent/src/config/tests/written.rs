//! A configuration that is written out again is read as the same one, and tells no secret.

use crate::config::model::{Auth, Check, Config, Instance, Probe, ProcessProbe};
use crate::config::parse;

/// Every key of the file that a recording keeps, and every secret.
const FILE: &str = r#"
    [node]
    name = "n1"
    log_format = "json"
    max_slots = 8

    [[instance]]
    name = "web"
    interface = "eth0"
    vrid = 51
    version = 2
    priority = 120
    advert_interval = "2s"
    addresses = [
        "10.99.0.100/24",
        "10.99.0.101",
        { address = "10.99.0.102/24", label = "eth0:vip", scope = "link", broadcast = "auto" },
        { address = "10.99.0.103", peer = "10.99.1.1/30" },
    ]
    excluded = ["10.98.0.1/24"]
    routes = [
        { to = "default", via = "10.99.0.254", dev = "eth1", metric = 7, table = 100, source = "10.99.0.100", onlink = true },
        { to = "192.0.2.0/24", type = "blackhole" },
    ]
    rules = [{ from = "10.99.0.0/24", to = "192.0.2.0/24", iif = "lo", fwmark = 9, table = 100, priority = 77 }]
    source = "10.99.0.1"
    preempt = false
    start_delay = "1s 500ms"
    auth = { type = "pass", password = "hunter2" }
    virtual_mac = { device = "vrrp-web" }
    datapath = "socket"
    consume = true
    carrier = "ignore"
    garp = { count = 3, repeat_after = "1s", repeat_count = 2, refresh = "30s", gap = "5ms" }
    track = [
        { check = "nginx" },
        { check = "disk", weight = -20, reverse = true },
        { interface = "eth1", carrier = false, weight = -5, delay = { down = "1s", up = "2s" } },
    ]

    [[instance]]
    name = "fast"
    interface = "eth1"
    vrid = 7
    advert_interval = "10ms"
    down_multiplier = 5
    preempt_delay = "30s"
    addresses = ["fe80::7/64"]
    group = "ff02::99"
    consume = false

    [[instance]]
    name = "cloud"
    interface = "eth1"
    vrid = 8
    addresses = ["10.97.0.100/24"]
    peers = ["10.97.0.2", { address = "10.97.0.3", min_ttl = 250, max_ttl = 252 }]
    peer_ttl = { min = 254, max = 255 }
    ttl = 200
    check_source = false
    checksum = "payload"
    last_resort = 5
    track = [{ check = "nginx" }]

    [[instance]]
    name = "mate"
    interface = "eth1"
    vrid = 9
    addresses = ["10.96.0.100/24"]

    [[group]]
    name = "pair"
    instances = ["cloud", "mate"]

    [[check]]
    name = "nginx"
    http = "http://127.0.0.1:80/health?token=hunter2"
    interval = "2s"
    timeout = "1s"
    fall = 3
    rise = 4

    [[check]]
    name = "disk"
    command = ["/usr/bin/test", "hunter2"]
    user = "root"
    restart = { command = ["/usr/bin/mend", "hunter2"] }
"#;

#[test]
fn it_is_read_as_the_same_but_for_its_secrets() {
    let original = parse("original", FILE).unwrap();
    let text = original.to_toml().unwrap();
    let written = parse("written", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let instances = original.instances.iter().map(|it| Instance {
        auth: match it.auth {
            Auth::None => Auth::None,
            Auth::Pass(_) => Auth::Pass(*b"redacted"),
        },
        ..it.clone()
    });
    let checks = original.checks.iter().map(|it| Check {
        probe: Probe::Process(ProcessProbe::Name("redacted".to_owned())),
        restart: None,
        ..it.clone()
    });
    let expected = Config {
        instances: instances.collect(),
        checks: checks.collect(),
        ..original.clone()
    };
    assert_eq!(written, expected, "{text}");
}

#[test]
fn every_key_of_an_instance_is_written() {
    use crate::config::key_table::{
        ADDRESS, AUTH, DELAY, GARP, INSTANCE, PEER, PEER_TTL, ROUTE, RULE, Section, TRACK,
        VIRTUAL_MAC,
    };
    let text = parse("original", FILE).unwrap().to_toml().unwrap();
    let is_there = |key: &str| {
        [format!("{key} = "), format!(".{key}]")]
            .iter()
            .any(|it| text.contains(it))
    };
    let sections = [
        &INSTANCE,
        &VIRTUAL_MAC,
        &AUTH,
        &TRACK,
        &DELAY,
        &GARP,
        &ADDRESS,
        &ROUTE,
        &RULE,
        &PEER,
        &PEER_TTL,
    ];
    for key in sections.into_iter().flat_map(Section::names) {
        assert_eq!(is_there(key), key != "hmac", "{key} in\n{text}");
    }
}

#[test]
fn no_password_key_url_or_command_line_is_told() {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("hunter2");
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&path);
    file.unwrap().write_all(&b"hunter2".repeat(5)).unwrap();
    let signed = format!(
        "{FILE}\n[[instance]]\nname = 'signed'\ninterface = 'eth2'\nvrid = 1\naddresses = ['10.95.0.1']\n\
         hmac = {{ keys = [{{ id = 1, file = '{}' }}] }}\n",
        path.display()
    );
    let config = parse("original", &signed).unwrap_or_else(|error| panic!("{error}"));
    assert!(config.instances.iter().any(|it| it.hmac.is_some()));
    let text = config.to_toml().unwrap();
    assert!(text.contains("name = \"signed\""), "{text}");
    for secret in ["hunter2", "hmac", "http", "command"] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
}
