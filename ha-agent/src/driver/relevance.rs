//! Which changes of the host's interfaces concern a virtual router. On a host where containers come and go, most
//! concern none, and each would have all of them looked over.

use std::collections::HashSet;

use crate::config::model::{Config, Subject, Transport};
use crate::net::links::{Link, LinkTable};

/// What the virtual routers of a configuration look at.
#[derive(Debug)]
pub(super) struct Relevance<'a> {
    names: HashSet<&'a str>,
    /// By unicast the host's routing says where adverts leave from, and any interface may change that.
    anything: bool,
}

impl<'a> Relevance<'a> {
    pub(super) fn of(config: &'a Config) -> Self {
        let mut names = HashSet::new();
        let mut anything = false;
        for instance in &config.instances {
            names.insert(instance.interface.as_str());
            let mac = instance.virtual_mac.as_ref();
            names.extend(mac.map(|mac| mac.device.as_str()));
            names.extend(instance.routes.iter().filter_map(|it| it.dev.as_deref()));
            names.extend(instance.track.iter().filter_map(|it| match &it.subject {
                Subject::Interface { name, .. } => Some(name.as_str()),
                Subject::Check(_) => None,
            }));
            let is_unicast = matches!(instance.transport, Transport::Unicast(_));
            anything |= is_unicast && instance.source.is_none();
        }
        Self { names, anything }
    }

    /// Whether something that a router looks at is another one in the newer table: its interface, what it tracks, and
    /// what is above, beneath or beside those. `bound` are the interfaces that routers are on, whatever they are called
    /// by now.
    pub(super) fn concerns(
        &self,
        before: &LinkTable,
        after: &LinkTable,
        bound: impl IntoIterator<Item = u32>,
    ) -> bool {
        if self.anything {
            return true;
        }
        let tables = [before, after];
        let named = tables.into_iter().flat_map(|table| {
            let names = self.names.iter();
            names.filter_map(|name| Some(table.by_name(name)?.index))
        });
        let ours: HashSet<u32> = named.chain(bound).collect();
        let related: HashSet<u32> = tables
            .into_iter()
            .flat_map(|table| ours.iter().filter_map(|index| table.get(*index)))
            .flat_map(|link| [Some(link.index), link.master, link.parent])
            .flatten()
            .collect();
        let is_related = |link: &Link| {
            let around = [Some(link.index), link.master, link.parent];
            // A master's own doing: of a thousand take-overs each would have all routers looked over.
            let (old, new) = (before.get(link.index), after.get(link.index));
            let is_own_doing = old
                .zip(new)
                .is_some_and(|(old, new)| new.has_only_gained_ours(old));
            !is_own_doing && around.into_iter().flatten().any(|it| related.contains(&it))
        };
        before.changes_to(after).any(is_related)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::net::links::tests::{link, present, table};
    use crate::net::observed::ObservedAddress;

    fn config(extra: &str) -> Config {
        let text = format!(
            "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"10.99.0.100/24\"]\n{extra}"
        );
        parse("test.toml", &text).unwrap()
    }

    fn down(link: Link) -> Link {
        Link {
            admin_up: false,
            ..link
        }
    }

    #[test]
    fn only_what_a_router_looks_at_and_what_is_around_it_concerns_it() {
        let eth0 = || Link {
            master: Some(4),
            ..link(2, "eth0", &[])
        };
        let base = || vec![eth0(), link(3, "eth1", &[]), link(4, "bond0", &[])];
        let vlan = Link {
            parent: Some(2),
            ..link(7, "eth0.10", &[])
        };
        let and = |more: Link| {
            let mut all = base();
            all.push(more);
            all
        };
        let changed = |number: usize| {
            let mut all = base();
            all[number] = down(all[number].clone());
            all
        };
        let tracks_eth1 = "track = [{ interface = \"eth1\" }]\n";
        for (extra, after, concerns) in [
            ("", base(), false),
            ("", changed(0), true),
            ("", changed(1), false),
            (tracks_eth1, changed(1), true),
            // What its interface is a port of, and what is above it.
            ("", changed(2), true),
            ("", and(vlan), true),
            ("", and(link(9, "veth9", &[])), false),
            (
                "peers = [\"10.99.0.2\"]\n",
                and(link(9, "veth9", &[])),
                true,
            ),
            ("", base()[1..].to_vec(), true),
        ] {
            let config = config(extra);
            let relevance = Relevance::of(&config);
            let (before, after) = (table(&base()), table(&after));
            assert_eq!(
                relevance.concerns(&before, &after, []),
                concerns,
                "{extra} {after:?}"
            );
        }
    }

    #[test]
    fn addresses_that_the_agent_has_added_itself_concern_nobody_and_lost_ones_do() {
        let own = present("10.99.0.1/24");
        let ours = ObservedAddress {
            ours: true,
            ..present("10.99.0.100/24")
        };
        let theirs = present("10.99.0.100/24");
        let config = config("");
        let relevance = Relevance::of(&config);
        let concerns = |before: &[ObservedAddress], after: &[ObservedAddress]| {
            let of = |addresses| table(&[link(2, "eth0", addresses)]);
            relevance.concerns(&of(before), &of(after), [2])
        };
        assert!(!concerns(&[own], &[own, ours]));
        assert!(concerns(&[own, ours], &[own]));
        assert!(concerns(&[own], &[own, theirs]));
        assert!(concerns(&[own], &[ours]));
    }

    #[test]
    fn an_interface_that_a_router_is_on_concerns_it_whatever_its_name() {
        let config = config("");
        let before = table(&[link(2, "was-eth0", &[])]);
        let after = table(&[down(link(2, "was-eth0", &[]))]);
        let relevance = Relevance::of(&config);
        assert!(relevance.concerns(&before, &after, [2]));
        assert!(!relevance.concerns(&before, &after, []));
    }
}
