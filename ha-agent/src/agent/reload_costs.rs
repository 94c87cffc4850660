//! What a reload would cost an instance that takes part: its part, because the new configuration names something that this
//! host does not have. A misspelt name is far likelier than such a wish.

use std::net::IpAddr;

use crate::config::model::{Instance, Subject, Track};
use crate::config::plan::Plan;
use crate::config::replaced::replaced;
use crate::net::links::LinkTable;
use crate::suggest::nearest;

/// One sentence for each thing that is newly named and is not there, of instances for which `takes_part` holds now.
pub(super) fn costs(
    plan: &Plan<'_>,
    links: &LinkTable,
    takes_part: impl Fn(&Instance) -> bool,
) -> Vec<String> {
    let replaced = replaced(&plan.routers);
    let changes = plan.routers.changes().chain(&replaced);
    changes
        .filter(|it| takes_part(it.old))
        .flat_map(|it| lacking(it.old, it.new, links))
        .collect()
}

fn lacking(old: &Instance, new: &Instance, links: &LinkTable) -> Vec<String> {
    let cost = |lack: String| format!("instance {} would be in FAULT: {lack}", old.name);
    let mut lacks = Vec::new();
    if new.interface != old.interface {
        let change = format!("interface {} -> {}", old.interface, new.interface);
        lacks.extend(missing(&new.interface, links).map(|it| format!("{change}, and {it}")));
    }
    for name in faulting(new) {
        if !faulting(old).any(|it| it == name) {
            lacks.extend(missing(name, links).map(|it| format!("it tracks {name}, and {it}")));
        }
    }
    if let Some(source) = new.source.filter(|it| old.source != Some(*it)) {
        lacks.extend(source_missing(source, &new.interface, links));
    }
    lacks.into_iter().map(cost).collect()
}

/// The interfaces that an instance tracks and that fault it where they are not there.
fn faulting(instance: &Instance) -> impl Iterator<Item = &str> {
    instance.track.iter().filter_map(|track| match track {
        Track {
            subject: Subject::Interface { name, .. },
            weight: None,
            reverse: false,
            ..
        } => Some(name.as_str()),
        _ => None,
    })
}

fn missing(name: &str, links: &LinkTable) -> Option<String> {
    if links.by_name(name).is_some() {
        return None;
    }
    let meant = nearest(name, links.iter().map(|link| link.name.as_str()));
    let meant = meant.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
    Some(format!("there is no interface {name}{meant}"))
}

/// Nothing is said of an interface that is missing itself.
fn source_missing(source: IpAddr, interface: &str, links: &LinkTable) -> Option<String> {
    let link = links.by_name(interface)?;
    let is_there = link.addresses.iter().any(|it| it.net.addr() == source);
    (!is_there).then(|| format!("source {source} is not an address of {interface}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, parse, plan};
    use crate::net::links::tests::{link, present, table};

    const BASE: &str = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
                        addresses = [\"10.99.0.100/24\"]\ntrack = [{ interface = \"wg0\" }]\n";

    fn config(was: &str, is: &str) -> Config {
        let text = BASE.replacen(was, is, 1);
        assert!(was == is || text != BASE, "no {was}");
        parse("test.toml", &text).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn costs_of(was: &str, is: &str, takes_part: bool) -> Vec<String> {
        let links = table(&[
            link(1, "eth0", &[present("10.99.0.1/24")]),
            link(2, "eth1", &[present("10.98.0.1/24")]),
        ]);
        let (old, new) = (config("", ""), config(was, is));
        costs(&plan(&old, &new), &links, |_| takes_part)
    }

    #[test]
    fn what_is_newly_named_and_not_there_costs_an_instance_its_part() {
        for (was, is, expected) in [
            (
                "eth0",
                "eht0",
                "interface eth0 -> eht0, and there is no interface eht0; did you mean eth0?",
            ),
            // Also where the name goes with it.
            (
                "\"web\"\ninterface = \"eth0\"",
                "\"www\"\ninterface = \"bond7\"",
                "interface eth0 -> bond7, and there is no interface bond7",
            ),
            (
                "{ interface = \"wg0\" }",
                "{ interface = \"wg0\" }, { interface = \"ppp9\" }",
                "it tracks ppp9, and there is no interface ppp9",
            ),
            (
                "vrid = 51",
                "vrid = 51\nsource = \"10.99.0.7\"",
                "source 10.99.0.7 is not an address of eth0",
            ),
        ] {
            let expected = format!("instance web would be in FAULT: {expected}");
            assert_eq!(costs_of(was, is, true), [expected], "{is}");
            // It has no part to lose.
            assert_eq!(costs_of(was, is, false), [""; 0], "{is}");
        }
    }

    #[test]
    fn what_is_there_or_faults_nothing_or_is_new_costs_nothing() {
        let second = "[[instance]]\nname = \"mail\"\ninterface = \"ppp9\"\nvrid = 52\n\
                      addresses = [\"10.97.0.100/24\"]\n[[instance]]\nname = \"web\"";
        for (was, is) in [
            ("", ""),
            ("eth0", "eth1"),
            ("vrid = 51", "vrid = 52"),
            ("vrid = 51", "vrid = 51\npriority = 90"),
            ("vrid = 51", "vrid = 51\nsource = \"10.99.0.1\""),
            (
                "{ interface = \"wg0\" }",
                "{ interface = \"ppp9\", weight = -9 }, { interface = \"ppp8\", reverse = true }",
            ),
            ("[[instance]]\nname = \"web\"", second),
        ] {
            assert_eq!(costs_of(was, is, true), [""; 0], "{is}");
        }
    }
}
