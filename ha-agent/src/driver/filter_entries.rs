//! The groups beside the standard's that cards let in for pinned programs, also when nobody is a member any
//! more: the standard's are opened and closed together with the program (see [`filter`]).

use std::collections::HashSet;
use std::net::IpAddr;

use ha_common::units::Family;

use crate::net::mac_filter;
use crate::net::multicast::group;

/// An interface and a group that it lets in.
pub(crate) type FilterEntry = (u32, IpAddr);

/// Those that are open.
#[derive(Debug, Default)]
pub(crate) struct FilterEntries {
    open: HashSet<FilterEntry>,
}

impl FilterEntries {
    /// One that an earlier agent has opened.
    pub(crate) fn adopt(&mut self, entry: FilterEntry) {
        if !is_standard(entry.1) {
            self.open.insert(entry);
        }
    }

    /// Opens one, unless it is open.
    pub(crate) fn open(&mut self, entry: FilterEntry) {
        if !is_standard(entry.1) && self.open.insert(entry) {
            // What refuses has no filter.
            let _ = mac_filter::open_group(entry.0, entry.1);
        }
    }

    /// Closes those that are not wanted any more.
    pub(crate) fn keep_only(&mut self, wanted: impl Fn(&FilterEntry) -> bool) {
        for (ifindex, group) in self.open.extract_if(|entry| !wanted(entry)) {
            // An interface that is gone has no filter either.
            let _ = mac_filter::close_group(ifindex, group);
        }
    }
}

fn is_standard(address: IpAddr) -> bool {
    [Family::V4, Family::V6].map(group).contains(&address)
}
