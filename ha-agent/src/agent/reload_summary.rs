//! The answer to `ha-agent reload`: the plan of the reload, one phrase for each section that differs, in the
//! configuration's own words.

use crate::config::model::Instance;
use crate::config::plan::{Change, Plan, Restart, Sections};
use crate::config::replaced::replaced;

/// One phrase for each section that differs.
pub(super) fn phrases(plan: &Plan<'_>) -> Vec<String> {
    let mut phrases = instances(&plan.routers);
    // A check that differs always starts anew, and nobody notices but those who read its counters.
    phrases.extend(sections("check", &plan.checks, |it| &it.name, |_| ""));
    phrases.extend(sections("group", &plan.groups, |it| &it.name, |_| ""));
    let node = plan.node.iter().map(|it| &it.words);
    phrases.extend(node.map(|words| format!("[node]: {words}; takes effect at the next restart")));
    phrases
}

/// An instance that another virtual router takes the place of is said as what it is to people: one that changes.
fn instances(routers: &Sections<'_, Instance>) -> Vec<String> {
    let replaced = replaced(routers);
    let is_old = |it: &&Instance| replaced.iter().any(|change| std::ptr::eq(change.old, *it));
    let is_new = |it: &&Instance| replaced.iter().any(|change| std::ptr::eq(change.new, *it));
    let added = routers.starting().filter(|it| !is_new(it));
    let removed = routers.leaving.iter().copied().filter(|it| !is_old(it));
    let added = added.map(|it| format!("instance {} added", it.name));
    let removed = removed.map(|it| format!("instance {} removed", it.name));
    let changed = routers
        .changes()
        .chain(&replaced)
        .map(|it| changed("instance", &it.old.name, it, restart(it.restart)));
    added.chain(removed).chain(changed).collect()
}

fn sections<T>(
    kind: &str,
    sections: &Sections<'_, T>,
    name: impl Fn(&T) -> &str,
    restart: impl Fn(Option<Restart>) -> &'static str,
) -> Vec<String> {
    let added = sections
        .starting()
        .map(|it| format!("{kind} {} added", name(it)));
    let leaving = sections.leaving.iter();
    let removed = leaving.map(|it| format!("{kind} {} removed", name(it)));
    let changed = sections
        .changes()
        .map(|it| changed(kind, name(it.new), it, restart(it.restart)));
    added.chain(removed).chain(changed).collect()
}

fn changed<T>(kind: &str, name: &str, change: &Change<'_, T>, restart: &str) -> String {
    let words: Vec<&str> = change
        .differences
        .iter()
        .map(|it| it.words.as_str())
        .collect();
    format!("{kind} {name}: {}{restart}", words.join(", "))
}

const fn restart(restart: Option<Restart>) -> &'static str {
    match restart {
        None => "",
        Some(Restart::Key(_)) => "; it restarts",
        Some(Restart::Ipv6OfDevice) => {
            "; it restarts, because the device of its virtual MAC depends on whether it has IPv6 addresses"
        }
        Some(Restart::AnotherRouter) => {
            "; it restarts as another virtual router: a master gives its addresses up until it is master of that"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, plan};

    const NODE: &str = "[node]\nname = \"n\"\n";
    const INSTANCE: &str = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
                            addresses = [\"10.99.0.100/24\"]\ntrack = [{ check = \"nginx\" }]\n";
    const CHECK: &str = "[[check]]\nname = \"nginx\"\ntcp = \"127.0.0.1:80\"\n";

    /// What is said when these lines are added to an instance, a check and the node.
    fn said(old: [&str; 3], new: [&str; 3]) -> Vec<String> {
        let config = |[instance, check, node]: [&str; 3]| {
            let text = format!("{NODE}{node}\n{INSTANCE}{instance}\n{CHECK}{check}\n");
            parse("test.toml", &text).unwrap_or_else(|problems| panic!("{problems}"))
        };
        let (old, new) = (config(old), config(new));
        phrases(&plan(&old, &new))
    }

    #[test]
    fn a_change_is_said_with_the_keys_and_values_of_the_file() {
        for (old, new, expected) in [
            ("", "priority = 90", "priority 100 -> 90"),
            (
                "",
                "advert_interval = \"1.5s\"",
                "advert_interval 1s -> 1s 500ms",
            ),
            ("preempt = false", "", "preempt false -> true"),
            ("", "consume = true", "consume auto -> true"),
            ("", "carrier = \"ignore\"", "carrier fault -> ignore"),
            (
                "",
                "checksum = \"payload\"",
                "checksum pseudo-header -> payload",
            ),
            ("", "start_delay = \"5s\"", "start_delay 0s -> 5s"),
            ("", "down_multiplier = 5", "down_multiplier 3 -> 5"),
            ("", "preempt_delay = \"30s\"", "preempt_delay 0s -> 30s"),
            ("", "garp = { count = 1 }", "garp changed"),
            ("", "datapath = \"socket\"", "datapath auto -> socket"),
            (
                "",
                "virtual_mac = true",
                "virtual_mac false -> vrrp4-51; it restarts",
            ),
            (
                "",
                "version = 2\npriority = 1",
                "version 3 -> 2, priority 100 -> 1; it restarts",
            ),
        ] {
            let said = said([old, "", ""], [new, "", ""]);
            assert_eq!(said, [format!("instance web: {expected}")]);
        }
        for (new, expected) in [
            ("interval = \"2s\"", "interval 1s -> 2s"),
            (
                "timeout = \"100ms\"\nfall = 3\nrise = 1",
                "timeout 500ms -> 100ms, fall 2 -> 3, rise 2 -> 1",
            ),
            ("restart = { command = [\"x\"] }", "restart changed"),
        ] {
            let said = said(["", "", ""], ["", new, ""]);
            assert_eq!(said, [format!("check nginx: {expected}")]);
        }
        assert_eq!(
            said(["", "", ""], ["", "", "max_slots = 7"]),
            ["[node]: max_slots 4096 -> 7; takes effect at the next restart"]
        );
    }

    #[test]
    fn the_first_ipv6_address_on_a_device_of_its_own_starts_the_instance_anew_and_the_answer_says_so()
     {
        let device = "virtual_mac = true";
        let excluded = "virtual_mac = true\nexcluded = [\"fe80::1/64\"]";
        for (old, new, sign) in [(device, excluded, '+'), (excluded, device, '-')] {
            let said = said([old, "", ""], [new, "", ""]);
            assert_eq!(
                said,
                [format!(
                    "instance web: excluded {sign}fe80::1/64; it restarts, because the device of its virtual MAC \
                     depends on whether it has IPv6 addresses"
                )]
            );
        }
    }

    #[test]
    fn of_a_list_it_is_said_what_came_and_what_went() {
        let many = "excluded = [\"10.0.0.1\", \"10.0.0.2\", \"10.0.0.3\", \"10.0.0.4\", \"10.0.0.5\", \
                    \"10.0.0.6\", \"10.0.0.7\", \"10.0.0.8\"]";
        for (old, new, expected) in [
            ("", "excluded = [\"10.0.0.1\"]", "excluded +10.0.0.1/32"),
            (
                "excluded = [\"10.0.0.1\", \"10.0.0.2\"]",
                "excluded = [\"10.0.0.2\", \"10.0.0.3\"]",
                "excluded +10.0.0.3/32 -10.0.0.1/32",
            ),
            (
                "",
                many,
                "excluded +10.0.0.1/32 +10.0.0.2/32 +10.0.0.3/32 +10.0.0.4/32 +10.0.0.5/32 +10.0.0.6/32 and 2 more",
            ),
            (
                "excluded = [\"10.0.0.1\"]",
                "excluded = [{ address = \"10.0.0.1\", scope = \"link\" }]",
                "excluded changed",
            ),
            ("", "source = \"10.99.0.1\"", "source none -> 10.99.0.1"),
            (
                "peers = [\"10.99.0.2\"]",
                "peers = [\"10.99.0.3\"]",
                "peers +10.99.0.3 -10.99.0.2",
            ),
            (
                "peers = [\"10.99.0.2\"]",
                "peers = [\"10.99.0.2\"]\nttl = 9",
                "peers changed",
            ),
        ] {
            let said = said([old, "", ""], [new, "", ""]);
            assert_eq!(said, [format!("instance web: {expected}")]);
        }
    }

    #[test]
    fn another_interface_or_vrid_is_said_with_both_values_and_with_what_it_costs() {
        let config = |interface: &str, vrid: u8, name: &str| {
            let text = INSTANCE
                .replace("eth0", interface)
                .replace("51", &vrid.to_string())
                .replace("\"web\"", &format!("\"{name}\""));
            let text = format!("{NODE}{text}\n{CHECK}\n");
            parse("test.toml", &text).unwrap_or_else(|problems| panic!("{problems}"))
        };
        let old = config("eth0", 51, "web");
        for (new, expected) in [
            (config("eth5", 51, "web"), "interface eth0 -> eth5"),
            (config("eth0", 52, "web"), "vrid 51 -> 52"),
            (
                config("eth5", 52, "web"),
                "interface eth0 -> eth5, vrid 51 -> 52",
            ),
            (
                config("eth5", 51, "www"),
                "name web -> www, interface eth0 -> eth5",
            ),
        ] {
            assert_eq!(
                phrases(&plan(&old, &new)),
                [format!(
                    "instance web: {expected}; it restarts as another virtual router: a master gives its addresses \
                     up until it is master of that"
                )]
            );
        }
        assert_eq!(
            phrases(&plan(&old, &config("eth5", 52, "www"))),
            ["instance www added", "instance web removed"]
        );
    }

    #[test]
    fn what_comes_and_goes_is_said_by_its_name() {
        let second = "[[instance]]\nname = \"mail\"\ninterface = \"eth0\"\nvrid = 52\n\
                      addresses = [\"10.99.0.101/24\"]\n";
        let both = format!("\n{second}");
        assert_eq!(said(["", "", ""], [&both, "", ""]), ["instance mail added"]);
        assert_eq!(
            said([&both, "", ""], ["", "", ""]),
            ["instance mail removed"]
        );
    }

    #[test]
    fn a_group_is_said_with_its_members() {
        let second = "[[instance]]\nname = \"mail\"\ninterface = \"eth0\"\nvrid = 52\n\
                      addresses = [\"10.99.0.101/24\"]\n[[instance]]\nname = \"dns\"\n\
                      interface = \"eth0\"\nvrid = 53\naddresses = [\"10.99.0.102/24\"]\n";
        let with = |members: &str| {
            format!("\n{second}[[group]]\nname = \"pair\"\ninstances = [\"web\", {members}]\n")
        };
        let (two, three) = (with("\"mail\""), with("\"mail\", \"dns\""));
        let none = format!("\n{second}");
        assert_eq!(said([&none, "", ""], [&two, "", ""]), ["group pair added"]);
        assert_eq!(
            said([&two, "", ""], [&three, "", ""]),
            ["group pair: instances web, mail -> web, mail, dns"]
        );
    }

    #[test]
    fn a_password_is_never_said() {
        let with = |password: &str| {
            format!("version = 2\nauth = {{ type = \"pass\", password = \"{password}\" }}")
        };
        let (old, new) = (with("secret-1"), with("secret-2"));
        let said = said([&old, "", ""], [&new, "", ""]);
        assert_eq!(said, ["instance web: auth changed"]);
    }
}
