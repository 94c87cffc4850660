//! The groups beside the standard's that cards let in for pinned programs, also when nobody is a member any
//! more: the standard's are opened and closed together with the program (see [`filter`]).

use std::collections::HashSet;
use std::net::IpAddr;

use ha_common::units::Family;

use crate::net::filter;
use crate::net::group::group;

/// An interface and a group that it lets in.
pub(crate) type Inlet = (u32, IpAddr);

/// Those that are open.
#[derive(Debug, Default)]
pub(crate) struct Inlets {
    open: HashSet<Inlet>,
}

impl Inlets {
    /// One that an earlier agent has opened.
    pub(crate) fn adopt(&mut self, inlet: Inlet) {
        if !is_standard(inlet.1) {
            self.open.insert(inlet);
        }
    }

    /// Opens one, unless it is open.
    pub(crate) fn open(&mut self, inlet: Inlet) {
        if !is_standard(inlet.1) && self.open.insert(inlet) {
            // What refuses has no filter.
            let _ = filter::open_group(inlet.0, inlet.1);
        }
    }

    /// Closes those that are not wanted any more.
    pub(crate) fn keep_only(&mut self, wanted: impl Fn(&Inlet) -> bool) {
        for (ifindex, group) in self.open.extract_if(|inlet| !wanted(inlet)) {
            // An interface that is gone has no filter either.
            let _ = filter::close_group(ifindex, group);
        }
    }
}

fn is_standard(address: IpAddr) -> bool {
    [Family::V4, Family::V6].map(group).contains(&address)
}
