//! Removing what an agent has left behind: by a new one whatever it does not want, by `cleanup` all of it.

use std::fmt::Display;

use crate::net::address::{AddressSpec, AddressTable, Outcome};
use crate::net::netlink::NetlinkError;
use crate::net::observed::ObservedAddress;
use crate::net::routing::{RoutingEntry, RoutingTable};
use crate::net::virtual_mac::{Left, MacvlanTable};

/// What came of it.
#[derive(Debug)]
pub struct Removed<T> {
    /// Those that were there and are gone.
    pub done: Vec<T>,
    /// Why others are still there, the first reason.
    pub failure: Option<String>,
}

impl<T> Default for Removed<T> {
    fn default() -> Self {
        Self {
            done: Vec::new(),
            failure: None,
        }
    }
}

impl<T> Removed<T> {
    /// Of these, each with its outcome.
    fn of<E: Display>(these: Vec<T>, outcomes: Vec<Result<Outcome, E>>) -> Self {
        let mut removed = Self::default();
        for (it, outcome) in these.into_iter().zip(outcomes) {
            match outcome {
                Ok(Outcome::Done) => removed.done.push(it),
                Ok(Outcome::Already) => {}
                Err(error) => removed.fail(&error),
            }
        }
        removed
    }

    fn fail(&mut self, why: &dyn Display) {
        self.failure.get_or_insert_with(|| why.to_string());
    }
}

/// Routes and rules carry the agent's protocol number.
pub fn remove_routing(
    table: &mut RoutingTable,
    is_wanted: impl Fn(&RoutingEntry) -> bool,
) -> Result<Removed<RoutingEntry>, NetlinkError> {
    let mut left = table.list()?;
    left.retain(|entry| !is_wanted(entry));
    // A rule goes before the table that it leads to.
    left.sort_by_key(|entry| matches!(entry, RoutingEntry::Route(_)));
    let outcomes = table.remove(&left)?;
    Ok(Removed::of(left, outcomes))
}

/// The devices of virtual MACs are known by their alias; their addresses and the settings of the interface beneath
/// go with them.
pub fn remove_devices(
    table: &mut MacvlanTable,
    is_wanted: impl Fn(&Left) -> bool,
) -> Result<Removed<Left>, NetlinkError> {
    let mut removed = Removed::default();
    for device in table.left()? {
        if is_wanted(&device) {
            continue;
        }
        match table.delete(device.index, device.parent.unwrap_or(0)) {
            Ok(()) => removed.done.push(device),
            Err(error) => removed.fail(&error),
        }
    }
    Ok(removed)
}

/// Addresses of one interface, of which the caller knows whose they are.
pub fn remove_addresses(
    table: &mut AddressTable,
    ifindex: u32,
    present: &[ObservedAddress],
    is_meant: impl Fn(&ObservedAddress) -> bool,
) -> Result<Removed<AddressSpec>, NetlinkError> {
    let meant: Vec<AddressSpec> = present
        .iter()
        .filter(|found| is_meant(found))
        .map(|found| AddressSpec::found(ifindex, found))
        .collect();
    let outcomes =
        table.remove_beside(&meant, |index| if index == ifindex { present } else { &[] })?;
    Ok(Removed::of(meant, outcomes))
}
