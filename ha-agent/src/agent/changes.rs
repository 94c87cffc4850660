//! What a reload changes, in the configuration's own words: the keys, and the values where they are short.
//! Of lists, tables and whatever may be secret it is only said that they changed.

use std::fmt::Display;
use std::time::Duration;

use ha_common::units::Centiseconds;

use crate::config::Diff;
use crate::config::diff::{
    Change, Changes, CheckField, GroupField, InstanceChange, InstanceField, NodeField,
};
use crate::config::model::{
    Carrier, Check, ChecksumFlavour, Config, Consume, Group, Instance, LogFormat, Node, Probe,
    Transport,
};

/// One phrase for each section that differs.
pub(super) fn phrases(diff: &Diff<'_>, old: &Config, new: &Config) -> Vec<String> {
    let instance = |change: &InstanceChange<'_>| {
        let anew = if change.applies_live() {
            ""
        } else {
            "; it starts anew"
        };
        words(change, instance) + anew
    };
    let mut phrases = sections("instance", &diff.instances, |it| &it.name, instance);
    let checks = sections("check", &diff.checks, |it| &it.name, |it| words(it, check));
    phrases.extend(checks);
    let groups = sections("group", &diff.groups, |it| &it.name, |it| words(it, group));
    phrases.extend(groups);
    phrases.extend(diff.node_needs_restart.iter().map(|field| {
        let words = node(*field, &old.node, &new.node);
        format!("[node]: {words}; takes effect at the next restart")
    }));
    phrases
}

fn sections<T, F>(
    kind: &str,
    changes: &Changes<'_, T, F>,
    name: impl Fn(&T) -> &str,
    words: impl Fn(&Change<'_, T, F>) -> String,
) -> Vec<String> {
    let mut phrases = Vec::new();
    for it in &changes.added {
        phrases.push(format!("{kind} {} added", name(it)));
    }
    for it in &changes.removed {
        phrases.push(format!("{kind} {} removed", name(it)));
    }
    for it in &changes.changed {
        phrases.push(format!("{kind} {}: {}", name(it.new), words(it)));
    }
    phrases
}

fn words<T, F: Copy>(change: &Change<'_, T, F>, word: impl Fn(F, &T, &T) -> String) -> String {
    let fields = change.fields.iter();
    let words: Vec<String> = fields
        .map(|field| word(*field, change.old, change.new))
        .collect();
    words.join(", ")
}

fn instance(field: InstanceField, old: &Instance, new: &Instance) -> String {
    use InstanceField as F;
    match field {
        F::Name => moved("name", &old.name, &new.name),
        F::Version => moved("version", old.version as u8, new.version as u8),
        F::Priority => moved("priority", old.priority, new.priority),
        F::AdvertInterval => moved(
            "advert_interval",
            interval(old.advert_interval),
            interval(new.advert_interval),
        ),
        F::DownMultiplier => moved("down_multiplier", old.down_multiplier, new.down_multiplier),
        F::Addresses => changed("addresses"),
        F::Source => changed("source"),
        F::Transport => transport(&old.transport, &new.transport),
        F::Excluded => changed("excluded"),
        F::Routes => changed("routes"),
        F::Rules => changed("rules"),
        F::Preempt => moved("preempt", old.preempt, new.preempt),
        F::PreemptDelay => moved(
            "preempt_delay",
            span(old.preempt_delay),
            span(new.preempt_delay),
        ),
        F::Auth => changed("auth"),
        F::Hmac => changed("hmac"),
        F::Track => changed("track"),
        F::Carrier => moved("carrier", carrier(old.carrier), carrier(new.carrier)),
        F::Datapath => moved("datapath", old.datapath.name(), new.datapath.name()),
        F::Consume => moved("consume", consume(old.consume), consume(new.consume)),
        F::Checksum => moved("checksum", checksum(old.checksum), checksum(new.checksum)),
        F::Garp => changed("garp"),
        F::StartDelay => moved("start_delay", span(old.start_delay), span(new.start_delay)),
        F::VirtualMac => moved("virtual_mac", virtual_mac(old), virtual_mac(new)),
    }
}

fn virtual_mac(instance: &Instance) -> &str {
    match &instance.virtual_mac {
        None => "false",
        Some(mac) => &mac.device,
    }
}

fn transport(old: &Transport, new: &Transport) -> String {
    match (old, new) {
        (Transport::Multicast { group: old }, Transport::Multicast { group: new }) => {
            moved("group", old, new)
        }
        (Transport::Unicast(_), Transport::Unicast(_)) => changed("peers"),
        (Transport::Multicast { .. }, Transport::Unicast(_)) => {
            "unicast to peers in place of multicast".to_owned()
        }
        (Transport::Unicast(_), Transport::Multicast { .. }) => {
            "multicast in place of unicast to peers".to_owned()
        }
    }
}

fn check(field: CheckField, old: &Check, new: &Check) -> String {
    use CheckField as F;
    match field {
        F::Probe => match (probe(&old.probe), probe(&new.probe)) {
            (old, new) if old == new => changed(old),
            (old, new) => format!("{new} in place of {old}"),
        },
        F::Interval => moved("interval", span(old.interval), span(new.interval)),
        F::Timeout => moved("timeout", span(old.timeout), span(new.timeout)),
        F::Fall => moved("fall", old.fall, new.fall),
        F::Rise => moved("rise", old.rise, new.rise),
        F::Restart => changed("restart"),
    }
}

fn group(field: GroupField, old: &Group, new: &Group) -> String {
    match field {
        GroupField::Instances => moved(
            "instances",
            old.instances.join(", "),
            new.instances.join(", "),
        ),
    }
}

fn node(field: NodeField, old: &Node, new: &Node) -> String {
    use NodeField as F;
    match field {
        F::Name => moved("name", &old.name, &new.name),
        F::LogFormat => moved(
            "log_format",
            log_format(old.log_format),
            log_format(new.log_format),
        ),
        F::MaxSlots => moved("max_slots", old.max_slots, new.max_slots),
    }
}

fn moved(key: &str, old: impl Display, new: impl Display) -> String {
    format!("{key} {old} -> {new}")
}

fn changed(key: &str) -> String {
    format!("{key} changed")
}

fn interval(interval: Centiseconds) -> impl Display {
    span(Duration::from_millis(u64::from(interval.0) * 10))
}

fn span(span: Duration) -> impl Display {
    humantime::format_duration(span)
}

const fn carrier(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Fault => "fault",
        Carrier::Ignore => "ignore",
    }
}

const fn consume(consume: Consume) -> &'static str {
    match consume {
        Consume::Auto => "auto",
        Consume::Always => "true",
        Consume::Never => "false",
    }
}

const fn checksum(flavour: ChecksumFlavour) -> &'static str {
    match flavour {
        ChecksumFlavour::PseudoHeader => "pseudo-header",
        ChecksumFlavour::Payload => "payload",
    }
}

const fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

const fn probe(probe: &Probe) -> &'static str {
    match probe {
        Probe::Http(_) => "http",
        Probe::Tcp(_) => "tcp",
        Probe::Process(_) | Probe::ProcessCount(_) => "process",
        Probe::File(_) => "file",
        Probe::Command(_) => "command",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{diff, parse};

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
        phrases(&diff(&old, &new), &old, &new)
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
                "virtual_mac false -> vrrp4-51; it starts anew",
            ),
            (
                "",
                "version = 2\npriority = 1",
                "version 3 -> 2, priority 100 -> 1; it starts anew",
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
