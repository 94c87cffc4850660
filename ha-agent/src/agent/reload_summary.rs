//! The answer to `ha-agent reload`: the plan of the reload, one phrase for each section that differs, in the
//! configuration's own words.

use crate::config::plan::{Change, Plan, Restart, Sections};

/// One phrase for each section that differs.
pub(super) fn phrases(plan: &Plan<'_>) -> Vec<String> {
    let mut phrases = sections("instance", &plan.routers, |it| &it.name, restart);
    // A check that differs always starts anew, and nobody notices but those who read its counters.
    phrases.extend(sections("check", &plan.checks, |it| &it.name, |_| ""));
    phrases.extend(sections("group", &plan.groups, |it| &it.name, |_| ""));
    let node = plan.node.iter().map(|it| &it.words);
    phrases.extend(node.map(|words| format!("[node]: {words}; takes effect at the next restart")));
    phrases
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
    let changed = sections.changes().map(|it| {
        let restart = restart(it.restart);
        format!("{kind} {}: {}{restart}", name(it.new), words(it))
    });
    added.chain(removed).chain(changed).collect()
}

fn words<T>(change: &Change<'_, T>) -> String {
    let words: Vec<&str> = change
        .differences
        .iter()
        .map(|it| it.words.as_str())
        .collect();
    words.join(", ")
}

const fn restart(restart: Option<Restart>) -> &'static str {
    match restart {
        None => "",
        Some(Restart::Key(_)) => "; it restarts",
        Some(Restart::Ipv6OfDevice) => {
            "; it restarts, because the device of its virtual MAC depends on whether it has IPv6 addresses"
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
        for (old, new) in [(device, excluded), (excluded, device)] {
            let said = said([old, "", ""], [new, "", ""]);
            assert_eq!(
                said,
                [
                    "instance web: excluded changed; it restarts, because the device of its virtual MAC depends \
                     on whether it has IPv6 addresses"
                ]
            );
        }
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
