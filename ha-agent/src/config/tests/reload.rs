//! What a reload changes.

use super::super::diff::{CheckField, InstanceField, NodeField, diff};
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

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_key_of_an_instance_shows_as_itself_and_says_whether_it_applies_live() {
    use InstanceField as F;
    for (was, is, fields, live) in [
        ("name = \"a\"", "name = \"b\"", vec![F::Name], true),
        ("vrid = 1", "vrid = 1\nversion = 2", vec![F::Version], false),
        (
            "vrid = 1",
            "vrid = 1\npriority = 9",
            vec![F::Priority],
            true,
        ),
        ("\"1s\"", "\"2s\"", vec![F::AdvertInterval], true),
        ("10.0.0.1/24", "10.0.0.1/25", vec![F::Addresses], true),
        (
            "\"10.0.0.1/24\"",
            "{ address = \"10.0.0.1/24\", label = \"eth0:1\" }",
            vec![F::Addresses],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\nexcluded = [\"10.0.0.2\"]",
            vec![F::Excluded],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\nroutes = [{ to = \"default\", via = \"10.0.0.9\" }]",
            vec![F::Routes],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\nrules = [{ from = \"10.0.0.1\", table = 1, priority = 1 }]",
            vec![F::Rules],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\npreempt = false",
            vec![F::Preempt],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\nsource = \"10.0.0.9\"",
            vec![F::Source],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\npeers = [\"10.0.0.2\"]",
            vec![F::Transport],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\ngroup = \"224.0.0.77\"",
            vec![F::Transport],
            true,
        ),
        (
            "check = \"c\"",
            "check = \"c\", weight = -5",
            vec![F::Track],
            true,
        ),
        (
            "check = \"c\"",
            "check = \"c\", reverse = true",
            vec![F::Track],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\ncarrier = \"ignore\"",
            vec![F::Carrier],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\ndatapath = \"socket\"",
            vec![F::Datapath],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\nvirtual_mac = true",
            vec![F::VirtualMac],
            false,
        ),
        (
            "vrid = 1",
            "vrid = 1\nconsume = true",
            vec![F::Consume],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\nchecksum = \"payload\"",
            vec![F::Checksum],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\ngarp = { count = 1 }",
            vec![F::Garp],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\ndown_multiplier = 5",
            vec![F::DownMultiplier],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\npreempt_delay = \"30s\"",
            vec![F::PreemptDelay],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\nstart_delay = \"1s\"",
            vec![F::StartDelay],
            true,
        ),
        (
            "vrid = 1",
            "vrid = 1\nversion = 2\nauth = { type = \"pass\", password = \"x\" }",
            vec![F::Version, F::Auth],
            false,
        ),
    ] {
        let (old, new) = (accepted(BASE), accepted(&BASE.replacen(was, is, 1)));
        let diff = diff(&old, &new);
        assert_eq!(diff.instances.changed.len(), 1, "{is}");
        let change = &diff.instances.changed[0];
        assert_eq!(
            (&change.fields, change.applies_live()),
            (&fields, live),
            "{is}"
        );
        assert!(diff.instances.added.is_empty() && diff.instances.removed.is_empty());
        assert!(diff.checks.is_empty() && diff.node_needs_restart.is_empty());
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
        let diff = diff(&old, &new);
        assert_eq!(diff.instances.added, [&new.instances[0]], "{is}");
        assert_eq!(diff.instances.removed, [&old.instances[0]], "{is}");
        assert!(diff.instances.changed.is_empty());
    }
}

#[test]
fn each_key_of_a_check_shows_as_itself_and_another_name_is_another_check() {
    use CheckField as F;
    let tcp = "tcp = \"127.0.0.1:80\"";
    for (with, fields, live) in [
        ("tcp = \"127.0.0.1:81\"".to_owned(), vec![F::Probe], false),
        (format!("{tcp}\ninterval = \"2s\""), vec![F::Interval], true),
        (format!("{tcp}\ntimeout = \"1ms\""), vec![F::Timeout], true),
        (
            format!("{tcp}\nfall = 3\nrise = 3"),
            vec![F::Fall, F::Rise],
            true,
        ),
        (
            format!("{tcp}\nrestart = {{ command = [\"x\"] }}"),
            vec![F::Restart],
            true,
        ),
    ] {
        let (old, new) = (accepted(BASE), accepted(&BASE.replacen(tcp, &with, 1)));
        let diff = diff(&old, &new);
        assert_eq!(diff.checks.changed.len(), 1, "{with}");
        let change = &diff.checks.changed[0];
        assert_eq!(
            (&change.fields, change.applies_live()),
            (&fields, live),
            "{with}"
        );
    }
    let (old, new) = (accepted(BASE), accepted(&BASE.replace("\"c\"", "\"d\"")));
    let diff = diff(&old, &new);
    assert_eq!(diff.checks.added, [&new.checks[0]]);
    assert_eq!(diff.checks.removed, [&old.checks[0]]);
    assert_eq!(diff.instances.changed[0].fields, [InstanceField::Track]);
}

#[test]
fn the_node_changes_only_with_a_restart() {
    let node = "name = \"m\"\nlog_format = \"json\"\nmax_slots = 7";
    let (old, new) = (
        accepted(BASE),
        accepted(&BASE.replacen("name = \"n\"", node, 1)),
    );
    assert_eq!(
        diff(&old, &new).node_needs_restart,
        [NodeField::Name, NodeField::LogFormat, NodeField::MaxSlots]
    );
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
    assert!(diff(&old, &new).is_empty());
}
