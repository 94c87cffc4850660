//! The plain sockets that adverts come in by where no program does it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use ha_common::units::Family;

use crate::net::links::Link;
use crate::net::receive::{ReceiveError, Receiver};

/// One for each interface and family, whichever instances share it.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    open: HashMap<(u32, Family), Receiver>,
}

impl Receivers {
    /// Opens that of an interface and family, if it is not open yet, and joins the group.
    pub(crate) fn listen(
        &mut self,
        link: &Link,
        family: Family,
        group: Option<IpAddr>,
    ) -> Result<(), ReceiveError> {
        let receiver = match self.open.entry((link.index, family)) {
            Entry::Occupied(place) => place.into_mut(),
            Entry::Vacant(place) => place.insert(Receiver::open(&link.name, link.index, family)?),
        };
        let Some(group) = group else { return Ok(()) };
        receiver.join(group).map_err(|source| ReceiveError {
            interface: link.name.clone(),
            source,
        })
    }

    /// All of them, by interface and family.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&(u32, Family), &mut Receiver)> {
        self.open.iter_mut()
    }

    /// All of them, for waiting.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.open.values().map(AsFd::as_fd)
    }

    /// Closes those of an interface that is gone.
    pub(crate) fn close(&mut self, ifindex: u32) {
        self.open.retain(|(interface, _), _| *interface != ifindex);
    }

    /// Keeps those that `listening` names the groups of, in these groups, and no others.
    pub(crate) fn keep_only(&mut self, listening: impl Fn(u32, Family) -> Option<Vec<IpAddr>>) {
        self.open.retain(|(ifindex, family), receiver| {
            let groups = listening(*ifindex, *family);
            if let Some(groups) = &groups {
                receiver.leave_others(|group| groups.contains(&group));
            }
            groups.is_some()
        });
    }
}
