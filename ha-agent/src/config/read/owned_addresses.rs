//! What a master owns: the lists of an instance's addresses, routes and rules.

use ha_common::units::Family;

use super::address;
use super::table::{At, Field, Table};

use super::{virtual_route, virtual_rule};
use crate::config::model::virtual_address::VirtualAddress;
use crate::config::model::virtual_route::VirtualRoute;
use crate::config::model::virtual_rule::VirtualRule;

const AN_ADDRESS: &str = "[\"10.99.0.100/24\"]";
const A_ROUTE: &str = "[{ to = \"default\", via = \"10.99.0.1\" }]";
const A_RULE: &str = "[{ from = \"10.99.0.100\", table = 100, priority = 100 }]";

/// What of the lists could be read.
#[derive(Default)]
pub(crate) struct OwnedAddresses {
    /// The instance's family: the first address's.
    pub(crate) family: Option<Family>,
    pub(crate) addresses: Vec<At<VirtualAddress>>,
    pub(crate) excluded: Vec<At<VirtualAddress>>,
    pub(crate) routes: Vec<At<VirtualRoute>>,
    pub(crate) rules: Vec<At<VirtualRule>>,
    /// False if there are entries that could not be read.
    pub(crate) complete: bool,
}

impl OwnedAddresses {
    /// Reads them; the labels of addresses are held against the interface's name.
    pub(crate) fn read(t: &mut Table<'_>, interface: Option<&At<String>>) -> Self {
        let address = |f: &Field<'_>| address::read_entry(f, interface);
        let mut owned = Self {
            complete: true,
            ..Self::default()
        };
        let all = t.required("addresses", |f| read_list(f, AN_ADDRESS, address));
        owned.addresses = owned.take(all);
        let all = t.optional("excluded", List::default(), |f| {
            read_list(f, AN_ADDRESS, address)
        });
        owned.excluded = owned.take(all);
        let first = owned.addresses.first();
        let family = first.map(|first| address::family(&first.get_ref().net));
        owned.family = family;
        let all = t.optional("routes", List::default(), |f| {
            read_list(f, A_ROUTE, |f| virtual_route::read(f, family))
        });
        owned.routes = owned.take(all);
        let all = t.optional("rules", List::default(), |f| {
            read_list(f, A_RULE, |f| virtual_rule::read(f, family))
        });
        owned.rules = owned.take(all);
        owned
    }

    /// Those entries that could be read are worth a look even if others could not.
    fn take<T>(&mut self, list: Option<At<List<T>>>) -> Vec<At<T>> {
        let list = list.map(At::into_inner);
        self.complete &= list.as_ref().is_some_and(|list| !list.lacks_some);
        list.map(|list| list.entries).unwrap_or_default()
    }
}

/// The entries that could be read, and whether others could not.
struct List<T> {
    entries: Vec<At<T>>,
    lacks_some: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            lacks_some: false,
        }
    }
}

fn read_list<'t, T>(
    field: &Field<'t>,
    such_as: &str,
    read: impl Fn(&Field<'t>) -> Option<T>,
) -> Option<List<T>> {
    let fields = field.list(format_args!("a list such as {such_as}"))?;
    let entries: Vec<_> = fields
        .iter()
        .filter_map(|entry| Some(entry.at(read(entry)?)))
        .collect();
    let lacks_some = entries.len() < fields.len();
    Some(List {
        entries,
        lacks_some,
    })
}

/// The values without their places.
pub(crate) fn values<T: Clone>(list: &[At<T>]) -> Vec<T> {
    list.iter().map(|at| at.get_ref().clone()).collect()
}
