//! What a reload changes.

use std::collections::BTreeSet;

use super::super::key_table::INSTANCE;
use super::super::plan::{Change, Difference, Plan, Restart, Step, plan};
use super::*;

const BASE: &str = r#"
[node]
name = "n"
[[instance]]
name = "a"
interface = "eth0"
vrid = 1
advert_interval = "1s"
addresses = ["10.0.0.1/24"]
track = [{ check = "c" }]
[[check]]
name = "c"
tcp = "127.0.0.1:80"
"#;

fn keys(differences: &[Difference]) -> Vec<&'static str> {
    differences.iter().map(|it| it.key).collect()
}

/// What a file and the same one with this in place of that differ in.
#[track_caller]
fn only_change<T>(found: &[Step<'_, T>]) -> (Vec<&'static str>, Option<Restart>) {
    match found {
        [
            Step::Change(Change {
                differences,
                restart,
                ..
            }),
        ] => (keys(differences), *restart),
        _ => panic!("no change of one section"),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_key_of_an_instance_is_told_by_its_name_and_applies_live_or_starts_it_anew() {
    let mut seen = BTreeSet::from(["interface", "vrid", "peer_ttl", "ttl", "check_source"]);
    for (was, is, changed, restart) in [
        ("name = \"a\"", "name = \"b\"", &["name"][..], None),
        (
            "vrid = 1",
            "vrid = 1\nversion = 2",
            &["version"][..],
            Some(Restart::Key("version")),
        ),
        (
            "vrid = 1",
            "vrid = 1\npriority = 9",
            &["priority"][..],
            None,
        ),
        ("\"1s\"", "\"2s\"", &["advert_interval"][..], None),
        ("10.0.0.1/24", "10.0.0.1/25", &["addresses"][..], None),
        (
            "\"10.0.0.1/24\"",
            "{ address = \"10.0.0.1/24\", label = \"eth0:1\" }",
            &["addresses"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\nexcluded = [\"10.0.0.2\"]",
            &["excluded"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\nroutes = [{ to = \"default\", via = \"10.0.0.9\" }]",
            &["routes"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\nrules = [{ from = \"10.0.0.1\", table = 1, priority = 1 }]",
            &["rules"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\npreempt = false",
            &["preempt"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\nsource = \"10.0.0.9\"",
            &["source"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\npeers = [\"10.0.0.2\"]",
            &["peers"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\ngroup = \"224.0.0.77\"",
            &["group"][..],
            None,
        ),
        (
            "check = \"c\"",
            "check = \"c\", weight = -5",
            &["track"][..],
            None,
        ),
        (
            "check = \"c\"",
            "check = \"c\", reverse = true",
            &["track"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\ncarrier = \"ignore\"",
            &["carrier"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\ndatapath = \"socket\"",
            &["datapath"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\nvirtual_mac = true",
            &["virtual_mac"][..],
            Some(Restart::Key("virtual_mac")),
        ),
        (
            "vrid = 1",
            "vrid = 1\nconsume = true",
            &["consume"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\nchecksum = \"payload\"",
            &["checksum"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\ngarp = { count = 1 }",
            &["garp"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\ndown_multiplier = 5",
            &["down_multiplier"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\npreempt_delay = \"30s\"",
            &["preempt_delay"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\nlast_resort = 5",
            &["last_resort"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\ncarrier_delay = \"1s\"\naddress_delay = \"0s\"",
            &["carrier_delay", "address_delay"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\nstart_delay = \"1s\"",
            &["start_delay"][..],
            None,
        ),
        (
            "vrid = 1",
            "vrid = 1\nversion = 2\nauth = { type = \"pass\", password = \"x\" }",
            &["version", "auth"][..],
            Some(Restart::Key("version")),
        ),
    ] {
        let (old, new) = (accepted(BASE), accepted(&BASE.replacen(was, is, 1)));
        let plan = plan(&old, &new);
        let found = only_change(&plan.routers.steps);
        seen.extend(&found.0);
        assert_eq!(found, (changed.to_vec(), restart), "{is}");
        assert_eq!(
            plan.routers.steps[0].carries_on(),
            restart.is_none(),
            "{is}"
        );
        assert!(plan.routers.leaving.is_empty());
        assert!(plan.checks.is_empty() && plan.groups.is_empty() && plan.node.is_empty());
    }
    // What identifies an instance, and what is told as `peers`, stand at the top.
    seen.insert("hmac");
    assert_eq!(seen, INSTANCE.names().collect());
}

#[test]
fn the_first_and_the_last_ipv6_address_start_an_instance_with_a_device_of_its_own_anew() {
    let with = |lines: &str| accepted(&BASE.replacen("vrid = 1", &format!("vrid = 1\n{lines}"), 1));
    let (device, v6) = ("virtual_mac = true", "excluded = [\"fe80::1/64\"]");
    for (old, new, restart) in [
        (
            device.to_owned(),
            format!("{device}\n{v6}"),
            Some(Restart::Ipv6OfDevice),
        ),
        (
            format!("{device}\n{v6}"),
            device.to_owned(),
            Some(Restart::Ipv6OfDevice),
        ),
        // One more of the same family, and addresses without such a device.
        (
            device.to_owned(),
            format!("{device}\nexcluded = [\"10.0.0.7\"]"),
            None,
        ),
        (String::new(), v6.to_owned(), None),
    ] {
        let (old, new) = (with(&old), with(&new));
        let plan = plan(&old, &new);
        assert_eq!(
            only_change(&plan.routers.steps),
            (vec!["excluded"], restart)
        );
    }
}

#[test]
fn another_interface_family_or_vrid_is_another_instance() {
    for (was, is) in [
        ("eth0", "eth1"),
        ("10.0.0.1/24", "fe80::1/64"),
        ("vrid = 1", "vrid = 2"),
    ] {
        let (old, new) = (accepted(BASE), accepted(&BASE.replacen(was, is, 1)));
        let plan = plan(&old, &new);
        assert_eq!(plan.routers.leaving, [&old.instances[0]], "{is}");
        assert_eq!(plan.routers.steps, [Step::Start(&new.instances[0])], "{is}");
    }
}

#[test]
fn a_check_that_differs_starts_anew_and_another_name_is_another_check() {
    let tcp = "tcp = \"127.0.0.1:80\"";
    for (with, changed) in [
        ("tcp = \"127.0.0.1:81\"".to_owned(), &["tcp"][..]),
        ("command = [\"/bin/true\"]".to_owned(), &["command"]),
        (format!("{tcp}\ninterval = \"2s\""), &["interval"]),
        (format!("{tcp}\ntimeout = \"1ms\""), &["timeout"]),
        (format!("{tcp}\nfall = 3\nrise = 3"), &["fall", "rise"]),
        (
            format!("{tcp}\nrestart = {{ command = [\"x\"] }}"),
            &["restart"],
        ),
    ] {
        let (old, new) = (accepted(BASE), accepted(&BASE.replacen(tcp, &with, 1)));
        let plan = plan(&old, &new);
        let expected = (changed.to_vec(), Some(Restart::Key(changed[0])));
        assert_eq!(only_change(&plan.checks.steps), expected, "{with}");
        assert!(plan.routers.is_empty());
    }
    let (old, new) = (accepted(BASE), accepted(&BASE.replace("\"c\"", "\"d\"")));
    let plan = plan(&old, &new);
    assert_eq!(plan.checks.leaving, [&old.checks[0]]);
    assert_eq!(plan.checks.steps, [Step::Start(&new.checks[0])]);
    assert_eq!(only_change(&plan.routers.steps), (vec!["track"], None));
}

#[test]
fn the_node_changes_only_with_a_restart() {
    let node = "name = \"m\"\nlog_format = \"json\"\nmax_slots = 7";
    let (old, new) = (
        accepted(BASE),
        accepted(&BASE.replacen("name = \"n\"", node, 1)),
    );
    let Plan { routers, node, .. } = plan(&old, &new);
    assert!(routers.is_empty());
    assert_eq!(keys(&node), ["name", "log_format", "max_slots"]);
}

#[test]
fn sections_that_stay_come_and_leave_are_told_apart_in_the_order_of_their_files() {
    let instance = |name: &str, vrid: u8| {
        format!(
            "[[instance]]\nname = \"{name}\"\ninterface = \"e\"\nvrid = {vrid}\naddresses = [\"10.0.1.{vrid}\"]\n"
        )
    };
    let of = |vrids: &[u8]| {
        let text: String = vrids
            .iter()
            .map(|it| instance(&format!("i{it}"), *it))
            .collect();
        accepted(&text)
    };
    let (old, new) = (of(&[1, 2, 3, 4]), of(&[5, 4, 2, 6]));
    let plan = plan(&old, &new);
    assert_eq!(plan.routers.leaving, [&old.instances[0], &old.instances[2]]);
    let [five, four, two, six] = &new.instances[..] else {
        panic!()
    };
    let expected = [
        Step::Start(five),
        Step::Keep(four),
        Step::Keep(two),
        Step::Start(six),
    ];
    assert_eq!(plan.routers.steps, expected);
}

#[test]
fn order_and_warnings_are_no_change() {
    let second = "[[instance]]\nname = \"b\"\ninterface = \"eth0\"\nvrid = 2\n\
                      addresses = [\"10.0.0.2/24\"]\n";
    let old = accepted(&format!("{BASE}{second}"));
    let mut new = old.clone();
    new.instances.reverse();
    let warned = "[[instance]]\nname = \"w\"\ninterface = \"e\"\nvrid = 2\n\
                      addresses = [\"10.0.0.0/24\"]\n";
    new.warnings = accepted(warned).warnings;
    assert!(!new.warnings.is_empty());
    assert!(plan(&old, &new).is_empty());
}
