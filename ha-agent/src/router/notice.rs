//! What is worth telling people: state changes, and oddities once for as long as they stay the same.

use std::net::IpAddr;

use ha_common::election::{self, Transition};
use ha_common::units::Instant;
use ipnet::IpNet;

use crate::config::model::Datapath;

/// Something to tell people of a router.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Its state changed.
    Transition {
        /// From where to where.
        transition: Transition,
        /// Why, with names in place of numbers.
        cause: String,
        /// The effective priority, with its reasons.
        priority: String,
    },
    /// Its election found something remarkable.
    Election(election::Notice),
    /// Another router lists other addresses (RFC 9568 section 7.1).
    ListDiffers {
        /// The other one.
        source: IpAddr,
        /// How many it lists.
        theirs: u8,
        /// How many are configured here.
        ours: usize,
    },
    /// Adverts of a source are rejected.
    Rejected {
        reason: &'static str,
        /// From where.
        source: IpAddr,
    },
    /// Something else removed an address; it is back.
    Restored(IpNet),
    /// An address that an earlier life left behind was removed.
    Leftover(IpNet),
    /// It receives adverts by this from now on.
    Attached {
        /// By what.
        datapath: Datapath,
        because: String,
        /// Why not by others.
        refusals: Vec<String>,
        /// Whether the kernel keeps the deadline.
        kernel_timer: bool,
    },
    /// For the record.
    Info(String),
    /// A person should look at this.
    Warning(String),
    /// Something did not work.
    Failed(String),
}

/// How many oddities are remembered for `status`.
const MOST: usize = 32;

/// What has been told already.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    remembered: Vec<(Instant, String)>,
    rejects: Vec<(u8, [u8; 16])>,
    lists: Vec<IpAddr>,
    clocks: Vec<IpAddr>,
}

impl Notices {
    /// What `status` shows, oldest first.
    pub fn remembered(&self) -> &[(Instant, String)] {
        &self.remembered
    }

    pub(super) fn remember(&mut self, now: Instant, text: String) {
        if self.remembered.len() < MOST {
            self.remembered.push((now, text));
        }
    }

    /// True the first time, as long as there is room to remember it.
    pub(super) fn is_new(&self, text: &str) -> bool {
        !self.remembered.iter().any(|(_, told)| told == text)
    }

    /// Whether adverts of this source that are rejected for this reason have not been told of yet.
    pub(super) fn is_new_reject(&mut self, reason: u8, source: [u8; 16]) -> bool {
        first_of(&mut self.rejects, (reason, source))
    }

    /// Whether it has not been told yet that the clock of this source is another one.
    pub(super) fn is_new_clock(&mut self, source: IpAddr) -> bool {
        first_of(&mut self.clocks, source)
    }

    /// Whether it has not been told yet that this source lists other addresses.
    pub(super) fn is_new_list(&mut self, source: IpAddr) -> bool {
        first_of(&mut self.lists, source)
    }
}

/// Takes it in, if it is new and there is room; true if so. Others could fill any memory.
fn first_of<T: PartialEq>(known: &mut Vec<T>, it: T) -> bool {
    let is_new = known.len() < MOST && !known.contains(&it);
    if is_new {
        known.push(it);
    }
    is_new
}
