//! Files that are right, and what becomes of them.

use std::path::PathBuf;
use std::time::Duration;

use ha_common::units::{Centiseconds, Family, Priority, Version, Vrid};
use ipnet::IpNet;

use super::super::model::*;
use super::*;

#[test]
fn the_documented_first_config_becomes_this_model() {
    let instance = Instance {
        name: "web".into(),
        interface: "eth0".into(),
        vrid: Vrid::new(51).unwrap(),
        family: Family::V4,
        version: Version::V3,
        priority: Priority(100),
        advert_interval: Centiseconds(100),
        down_multiplier: 3,
        addresses: vec!["10.99.0.100/24".parse::<IpNet>().unwrap().into()],
        excluded: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        source: None,
        transport: Transport::standard(Family::V4),
        virtual_mac: None,
        hmac: None,
        preempt: true,
        preempt_delay: Duration::ZERO,
        auth: Auth::None,
        track: vec![Track::check("nginx")],
        last_resort: None,
        carrier: Carrier::Fault,
        carrier_delay: Duration::ZERO,
        address_delay: Duration::from_secs(3),
        datapath: DatapathChoice::Auto,
        consume: Consume::Auto,
        checksum: ChecksumFlavour::PseudoHeader,
        garp: Garp::default(),
        start_delay: Duration::ZERO,
    };
    let check = Check {
        name: "nginx".into(),
        probe: Probe::Http(HttpProbe {
            address: "127.0.0.1:80".parse().unwrap(),
            path: "/".into(),
            host: "127.0.0.1:80".into(),
            status: 200..=399,
            body: None,
            process: None,
        }),
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        fall: 2,
        rise: 2,
        restart: Some(Restart {
            command: ["systemctl", "start", "nginx"].map(String::from).to_vec(),
            attempts: 1,
            settle: Duration::from_secs(2),
            backoff: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
        }),
    };
    let expected = Config {
        node: Node {
            name: "web-1".into(),
            log_format: LogFormat::Text,
            max_slots: 4096,
        },
        instances: vec![instance],
        checks: vec![check],
        groups: Vec::new(),
        warnings: Vec::new(),
    };
    assert_eq!(accepted(FIRST_CONFIG), expected);
}

fn the_instance(lines: &str) -> Instance {
    accepted(&instance(lines)).instances.remove(0)
}

fn the_check(lines: &str) -> Check {
    accepted(&tracked(lines)).checks.remove(0)
}

#[test]
fn every_key_of_an_instance_reaches_the_model() {
    let instance = the_instance(
        "version = 2\npriority = 255\nadvert_interval = \"255s\"\n\
         addresses = [\"10.0.0.1/24\", \"10.0.0.2\"]\n\
         auth = { type = \"pass\", password = \"secret\" }\ndatapath = \"generic\"\n\
         garp = { count = 1, repeat_after = \"0s\", repeat_count = 0, refresh = \"1m\", gap = \"20ms\" }\n\
         start_delay = \"1m 30s\"\ncarrier_delay = \"200ms\"\naddress_delay = \"1m\"",
    );
    assert_eq!(instance.version, Version::V2);
    assert_eq!(instance.priority, Priority(255));
    assert_eq!(instance.advert_interval, Centiseconds(25500));
    let addresses: Vec<_> = instance.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.1/24", "10.0.0.2/32"]);
    assert_eq!(instance.auth, Auth::Pass(*b"secret\0\0"));
    assert_eq!(instance.datapath, DatapathChoice::Only(Datapath::Generic));
    let garp = Garp {
        count: 1,
        repeat_after: Duration::ZERO,
        repeat_count: 0,
        refresh: Duration::from_mins(1),
        gap: Duration::from_millis(20),
    };
    assert_eq!(instance.garp, garp);
    assert_eq!(instance.start_delay, Duration::from_secs(90));
    assert_eq!(instance.carrier_delay, Duration::from_millis(200));
    assert_eq!(instance.address_delay, Duration::from_mins(1));

    let instance = the_instance("last_resort = 10\ntrack = [{ interface = \"eth1\" }]");
    assert_eq!(instance.last_resort, Some(Priority(10)));

    let instance = the_instance("down_multiplier = 10\npreempt_delay = \"1h\"");
    assert_eq!(instance.down_multiplier, 10);
    assert_eq!(instance.preempt_delay, Duration::from_hours(1));

    let instance = the_instance(
        "preempt = false\nconsume = true\nchecksum = \"payload\"\ndatapath = \"native\"",
    );
    assert!(!instance.preempt);
    assert_eq!(instance.consume, Consume::Always);
    assert_eq!(instance.checksum, ChecksumFlavour::Payload);
    assert_eq!(instance.datapath, DatapathChoice::Only(Datapath::Native));
    assert_eq!(the_instance("consume = false").consume, Consume::Never);
    assert_eq!(
        the_instance("datapath = \"socket\"").datapath,
        DatapathChoice::Only(Datapath::Socket)
    );
}

#[test]
fn intervals_may_have_decimals() {
    for (text, centiseconds) in [
        ("10ms", 1),
        ("0.01s", 1),
        ("40.95s", 4095),
        ("40s 950ms", 4095),
        ("1.5s", 150),
        ("0.5m", 3000),
    ] {
        let interval = the_instance(&format!("advert_interval = \"{text}\"")).advert_interval;
        assert_eq!(interval, Centiseconds(centiseconds), "{text}");
    }
}

#[test]
fn an_ipv6_address_makes_an_ipv6_instance() {
    let instance = the_instance("addresses = [\"fe80::51\", \"2001:db8::51/64\"]");
    assert_eq!(instance.family, Family::V6);
    assert_eq!(instance.addresses[0].to_string(), "fe80::51/128");
}

#[test]
fn a_link_local_address_may_be_on_two_links_and_a_vrid_in_two_families() {
    let both = instance("addresses = [\"fe80::1/64\"]")
        + &instance("name = \"b\"\ninterface = \"eth1\"\naddresses = [\"fe80::1/64\"]")
        + &instance("name = \"c\"");
    assert_eq!(accepted(&both).instances.len(), 3);
}

#[test]
fn every_kind_of_check_reaches_the_model() {
    let http = the_check(
        "http = \"http://[::1]:8080/health?x=1\"\nhost = \"example.org\"\nstatus = 204\n\
         body = \"ok\"\npid_file = \"/run/nginx.pid\"",
    );
    let expected = HttpProbe {
        address: "[::1]:8080".parse().unwrap(),
        path: "/health?x=1".into(),
        host: "example.org".into(),
        status: 204..=204,
        body: Some("ok".into()),
        process: Some(ProcessProbe::PidFile("/run/nginx.pid".into())),
    };
    assert_eq!(http.probe, Probe::Http(expected));
    assert_eq!(
        the_check("tcp = \"localhost:80\"").probe,
        Probe::Tcp("127.0.0.1:80".parse().unwrap())
    );
    assert_eq!(
        the_check("process = { pid_file = \"/p\" }").probe,
        Probe::Process(ProcessProbe::PidFile(PathBuf::from("/p")))
    );
    assert_eq!(
        the_check("process = { name = \"nginx\" }").probe,
        Probe::Process(ProcessProbe::Name("nginx".into()))
    );
    let command = CommandProbe {
        argv: vec!["/bin/true".into(), "-x".into()],
        user: "www".into(),
    };
    assert_eq!(
        the_check("command = [\"/bin/true\", \"-x\"]\nuser = \"www\"").probe,
        Probe::Command(command)
    );
}

#[test]
fn urls_give_address_path_and_host_header() {
    for (url, address, path, host) in [
        ("http://127.0.0.1", "127.0.0.1:80", "/", "127.0.0.1"),
        (
            "HTTP://LocalHost:8/a/b",
            "127.0.0.1:8",
            "/a/b",
            "LocalHost:8",
        ),
        ("http://[::1]", "[::1]:80", "/", "[::1]"),
        ("http://10.0.0.1?q=/", "10.0.0.1:80", "/?q=/", "10.0.0.1"),
    ] {
        let Probe::Http(http) = the_check(&format!("http = \"{url}\"")).probe else {
            panic!("{url} is not http");
        };
        assert_eq!(
            (http.address.to_string(), &*http.path, &*http.host),
            (address.to_owned(), path, host)
        );
    }
}

#[test]
fn a_short_interval_shortens_the_default_timeout() {
    assert_eq!(
        the_check("interval = \"100ms\"").timeout,
        Duration::from_millis(100)
    );
    assert_eq!(
        the_check("interval = \"5s\"").timeout,
        Duration::from_millis(500)
    );
}

#[test]
fn a_command_may_take_longer_than_its_interval() {
    let check = the_check("command = [\"/bin/true\"]\ntimeout = \"10m\"");
    assert_eq!(check.timeout, Duration::from_mins(10));
}

#[test]
fn the_node_is_named_by_the_host_unless_the_file_does() {
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    assert_eq!(accepted(&instance("")).node.name, host);
    let node = accepted(&format!(
        "[node]\nlog_format = \"json\"\nmax_slots = 1\n{}",
        instance("")
    ))
    .node;
    assert_eq!(node.name, host);
    assert_eq!((node.log_format, node.max_slots), (LogFormat::Json, 1));
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_are_accepted() {
    let text = format!("\u{feff}{}", FIRST_CONFIG.replace('\n', "\r\n"));
    assert_eq!(accepted(&text), accepted(FIRST_CONFIG));
}

#[test]
fn a_thousand_instances_take_no_more_memory_than_they_need() {
    let instance = |number: usize| {
        let (interface, vrid) = (number / 250, number % 250 + 1);
        format!(
            "[[instance]]\nname = \"web{number}\"\ninterface = \"eth{interface}\"\nvrid = {vrid}\naddresses = \
             [\"10.{interface}.0.{vrid}/32\"]\n"
        )
    };
    let file: String = (0..1000).map(instance).collect();
    let config = parse("test.toml", &file).unwrap();
    assert_eq!(config.instances.len(), 1000);
    assert_eq!(config.instances.capacity(), 1000);
}
