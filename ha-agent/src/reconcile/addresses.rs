//! The virtual addresses of one virtual router: which of those that are there are ours, and what differs from what
//! is wanted.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ha_common::units::{Instant, Nanos};
use ipnet::IpNet;

use super::lookup::Lookup;
use super::missing::Missing;
use super::restores::Restores;
use super::retry::Retry;
use crate::net::address::{AddressSpec, Outcome};
use crate::net::observed::ObservedAddress;
use crate::router::Wanted;

/// How soon the interfaces' table must show what was done; until then it may be behind.
const SHOWN_WITHIN: Nanos = Nanos::from_millis(1_000);

/// The addresses of interfaces, by index.
#[derive(Clone, Debug, Default)]
pub struct Present<'a>(Vec<(u32, Cow<'a, [ObservedAddress]>)>);

impl<'a> Present<'a> {
    /// What is on an interface.
    pub fn put(&mut self, ifindex: u32, found: impl Into<Cow<'a, [ObservedAddress]>>) {
        self.0.push((ifindex, found.into()));
    }

    /// The addresses of one interface.
    pub fn on(&self, ifindex: u32) -> &[ObservedAddress] {
        let mut interfaces = self.0.iter();
        let found = interfaces.find(|(index, _)| *index == ifindex);
        found.map(|(_, found)| &**found).unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &ObservedAddress)> {
        let interfaces = self.0.iter();
        interfaces.flat_map(|(index, found)| found.iter().map(|found| (*index, found)))
    }
}

/// What is known of the addresses of one virtual router.
#[derive(Debug, Default)]
pub struct Addresses {
    /// What this life has put there, and has not removed, by interface and network.
    placed: HashMap<(u32, IpNet), AddressSpec>,
    /// What an earlier life is known to have held.
    recorded: HashSet<IpAddr>,
    /// What was there and nobody knows to be ours: an administrator's, and to stay.
    foreign: HashSet<IpAddr>,
    /// What the kernel refuses though the router is master without it, and since when.
    refused: BTreeMap<IpAddr, (AddressSpec, String, Instant)>,
    /// Whether this mastership has had its addresses in place.
    in_place: bool,
    last_change: Option<LastChange>,
    restores: Restores,
    /// What is put back no sooner than this.
    put_off_until: Option<Instant>,
    retry: Retry,
    /// Why the last look failed, or something that it led to.
    failure: Option<String>,
    /// The kernel did not say what it did: only a look tells what is there.
    unsure: bool,
    restored: u64,
}

/// The last thing that was done to the addresses of an interface. Its table is told of all of them in their order:
/// before it shows this one, nothing can be said of the others.
#[derive(Clone, Copy, Debug)]
struct LastChange {
    address: IpAddr,
    is_there: bool,
    /// When the table is believed all the same.
    until: Instant,
}

/// What is there and what should be.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub wanted: Wanted,
    /// Where each virtual address belongs, those of the adverts first.
    pub places: &'a [AddressSpec],
    /// What is on the interfaces that may hold them.
    pub present: &'a Present<'a>,
    /// Whether the kernel keeps the mark of ours.
    pub marks: bool,
}

/// What has to be done.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Difference {
    /// First.
    pub remove: Vec<AddressSpec>,
    pub add: Vec<AddressSpec>,
    /// What is lacking is to be added then, since something else removes it again and again.
    pub put_off_until: Option<Instant>,
}

/// What came of adding addresses.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Added {
    /// Those that were not there.
    pub new: Vec<AddressSpec>,
    /// Those that were, and not by this life's doing.
    pub was_there: Vec<AddressSpec>,
    /// Those that the kernel refuses, with its words.
    pub refused: Vec<(AddressSpec, String)>,
}

impl Addresses {
    /// What an earlier life held, by the kernel's maps or by what that has left in writing.
    pub fn add_recorded(&mut self, held: impl IntoIterator<Item = IpAddr>) {
        self.recorded.extend(held);
    }

    /// Addresses of somebody else, by the last look.
    pub fn foreign(&self) -> &HashSet<IpAddr> {
        &self.foreign
    }

    /// How many were put back.
    pub fn restored(&self) -> u64 {
        self.restored
    }

    /// Whether this mastership has had its addresses in place.
    pub fn is_in_place(&self) -> bool {
        self.in_place
    }

    /// They are, all that had to be.
    pub fn set_in_place(&mut self) {
        self.in_place = true;
    }

    /// Those that a master lacks, and why others may not be as they should.
    pub fn missing(&self) -> impl Iterator<Item = Missing> + '_ {
        let of_one = |what, why: &String, since| Missing {
            what,
            why: why.clone(),
            since,
            next_try: self.retry.next_deadline(),
        };
        let refused = self.refused.values();
        let refused = refused
            .map(move |(place, why, since)| of_one(format!("address {}", place.net), why, *since));
        let since = self.retry.since().unwrap_or_default();
        let failed = self.failure.iter();
        refused.chain(failed.map(move |why| of_one("addresses as wanted".to_owned(), why, since)))
    }

    /// When to look again.
    pub fn next_deadline(&self) -> Option<Instant> {
        let settles = self.last_change.map(|it| it.until);
        [settles, self.put_off_until, self.retry.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether it is time to ask the kernel itself.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next_deadline().is_some_and(|at| at <= now)
    }

    /// Whether the table has yet to show what was done here.
    pub fn awaits_table(&self) -> bool {
        self.last_change.is_some()
    }

    /// Whether a table with these addresses shows all that was done here.
    pub fn is_shown(&mut self, present: &Present<'_>, now: Instant) -> bool {
        let is_there =
            |address: IpAddr| present.iter().any(|(_, found)| found.net.addr() == address);
        let behind = self
            .last_change
            .is_some_and(|it| now < it.until && is_there(it.address) != it.is_there);
        if !behind {
            self.last_change = None;
        }
        !behind
    }

    /// The kernel has not said what it did to some of them.
    pub fn lost_track(&mut self) {
        self.unsure = true;
    }

    /// Whether only a look tells what of ours is there.
    pub fn must_look(&self) -> bool {
        self.unsure || self.placed.is_empty()
    }

    /// The kernel was asked: the table is not waited for any more.
    pub fn looked(&mut self) {
        self.last_change = None;
        self.unsure = false;
    }

    fn known<'a>(&self, look: &'a Look<'a>) -> Known<'a> {
        Known {
            look,
            configured: look.places.iter().map(|it| it.net.addr()).collect(),
            placed: self.placed.keys().copied().collect(),
        }
    }

    fn is_ours(&self, known: &Known<'_>, ifindex: u32, found: &ObservedAddress) -> bool {
        let address = found.net.addr();
        let is_known =
            || self.recorded.contains(&address) || known.placed.contains(&(ifindex, found.net));
        // Kernels before 5.18 keep no marks, and then what is known is all there is. With marks, an address that was
        // removed and that somebody else has added since is theirs.
        if known.look.marks {
            found.ours && (known.configured.contains(&address) || is_known())
        } else {
            is_known()
        }
    }

    /// What has to be done. Of those that are refused only what is due is tried again.
    pub fn difference(&self, look: &Look<'_>, now: Instant) -> Difference {
        let known = self.known(look);
        let ours = look
            .present
            .iter()
            .filter(|(index, found)| self.is_ours(&known, *index, found));
        let spec = |(index, found): (u32, &ObservedAddress)| AddressSpec::found(index, found);
        match look.wanted {
            Wanted::Undecided => Difference::default(),
            Wanted::Nothing => Difference {
                remove: ours.map(spec).collect(),
                ..Difference::default()
            },
            Wanted::Everything => {
                let places: Lookup<_> = look.places.iter().map(form_of).collect();
                let remove = ours
                    .filter(|(index, found)| !places.contains(&(*index, found.net, found.peer)))
                    .map(spec)
                    .collect();
                let add = self.lacking(look, now);
                match self.restores.paused_until(now).filter(|_| !add.is_empty()) {
                    Some(until) => Difference {
                        remove,
                        add: Vec::new(),
                        put_off_until: Some(until),
                    },
                    None => Difference {
                        remove,
                        add,
                        put_off_until: None,
                    },
                }
            }
        }
    }

    fn lacking(&self, look: &Look<'_>, now: Instant) -> Vec<AddressSpec> {
        let place = |place: &AddressSpec| (place.ifindex, place.net.addr());
        let wanted: Lookup<_> = look.places.iter().map(place).collect();
        let present = look.present.iter();
        let present: Lookup<_> = present
            .map(|(index, found)| (index, found.net.addr()))
            .filter(|found| wanted.contains(found))
            .collect();
        let is_there = |place: &AddressSpec| present.contains(&(place.ifindex, place.net.addr()));
        let waits = |place: &AddressSpec| {
            self.refused.contains_key(&place.net.addr()) && !self.retry.is_due(now)
        };
        let places = look.places.iter();
        places
            .filter(|place| !is_there(place) && !waits(place))
            .copied()
            .collect()
    }

    /// Configured addresses that are there and are not ours, in the kernel's order. One that is there in two forms
    /// is named twice.
    pub fn look_for_foreign(&self, look: &Look<'_>) -> Vec<IpAddr> {
        let known = self.known(look);
        let present = look.present.iter();
        present
            .filter(|(index, found)| !found.ours && !self.is_ours(&known, *index, found))
            .map(|(_, found)| found.net.addr())
            .filter(|address| known.configured.contains(address))
            .collect()
    }

    /// Of addresses that were there when they were to be added: these are somebody else's, and stay when we leave. The
    /// others are ours from an earlier life.
    pub fn sort_out(&mut self, was_there: &[AddressSpec], theirs: &[IpAddr]) {
        for place in was_there {
            let address = place.net.addr();
            if theirs.contains(&address) {
                self.foreign.insert(address);
            } else {
                self.put(*place);
            }
        }
    }

    /// Takes in what the kernel answered to adding these.
    pub fn added<E: ToString>(
        &mut self,
        asked: &[AddressSpec],
        outcomes: Vec<Result<Outcome, E>>,
        now: Instant,
    ) -> Added {
        let mut added = Added::default();
        for (place, outcome) in asked.iter().zip(outcomes) {
            match outcome {
                Ok(Outcome::Done) => {
                    self.put(*place);
                    added.new.push(*place);
                }
                Ok(Outcome::Already) => {
                    if !self.placed.contains_key(&key(place)) {
                        added.was_there.push(*place);
                    }
                }
                Err(error) => {
                    added.refused.push((*place, error.to_string()));
                    continue;
                }
            }
            self.refused.remove(&place.net.addr());
        }
        if let Some(last) = added.new.last() {
            self.changed(last.net.addr(), true, now);
        }
        added
    }

    /// The router goes on without this one, which is tried again. True if that is news.
    pub fn go_without(&mut self, place: AddressSpec, why: &str, now: Instant) -> bool {
        let known = self.refused.get(&place.net.addr());
        let news = known.is_none_or(|(_, told, _)| told != why);
        let since = known.map_or(now, |(_, _, since)| *since);
        let entry = (place, why.to_owned(), since);
        self.refused.insert(place.net.addr(), entry);
        news
    }

    /// A look has shown these: what is there is missed no more, whoever put it there.
    pub fn found(&mut self, present: &Present<'_>) {
        self.refused.retain(|_, (place, ..)| {
            let mut there = present.on(place.ifindex).iter();
            !there.any(|found| found.net.addr() == place.net.addr())
        });
    }

    /// Whether the router has been going on without this one.
    pub fn goes_without(&self, place: &AddressSpec) -> bool {
        self.refused.contains_key(&place.net.addr())
    }

    /// Something that was put back, or could not be: whether that is worth a line.
    pub fn put_back(&mut self, now: Instant) -> bool {
        self.restored += 1;
        self.restores.restored(now)
    }

    /// What is there in spite of us, and is ours: it is to go, and ours until it has.
    pub fn keep_track(&mut self, left: &[AddressSpec]) {
        for place in left {
            self.put(*place);
        }
    }

    /// A look at the interfaces of a router that wants nothing there: what is gone is nobody's to remove any more, and
    /// somebody else's if it comes again. True if anything of ours is.
    pub fn forget_gone(&mut self, look: &Look<'_>) -> bool {
        let before = self.placed.len() + self.recorded.len();
        let known = self.known(look);
        let mut ours = HashSet::new();
        let mut addresses = HashSet::new();
        for (index, found) in look.present.iter() {
            if self.is_ours(&known, index, found) {
                ours.insert((index, found.net));
                addresses.insert(found.net.addr());
            }
        }
        self.placed.retain(|place, _| ours.contains(place));
        self.recorded.retain(|address| addresses.contains(address));
        self.placed.len() + self.recorded.len() != before
    }

    /// What of ours may be there, as far as this life knows.
    pub fn left(&self) -> HashSet<IpAddr> {
        let placed = self.placed.keys().map(|(_, net)| net.addr());
        placed.chain(self.recorded.iter().copied()).collect()
    }

    /// What this life has put there, to remove it.
    pub fn placed(&self) -> Vec<AddressSpec> {
        let mut placed: Vec<_> = self.placed.values().copied().collect();
        placed.sort_unstable();
        placed
    }

    /// Takes in what the kernel answered to removing these. The first failure, if there is one.
    pub fn removed<E: ToString>(
        &mut self,
        asked: &[AddressSpec],
        outcomes: Vec<Result<Outcome, E>>,
        now: Instant,
    ) -> Option<String> {
        let mut failure = None;
        let mut last = None;
        for (place, outcome) in asked.iter().zip(outcomes) {
            match outcome {
                Ok(_) => {
                    self.placed.remove(&key(place));
                    self.recorded.remove(&place.net.addr());
                    last = Some(place.net.addr());
                }
                Err(error) => {
                    failure.get_or_insert_with(|| error.to_string());
                }
            }
        }
        if let Some(last) = last {
            self.changed(last, false, now);
        }
        failure
    }

    /// The addresses are given up: nothing is missed any more.
    pub fn give_up(&mut self) {
        self.in_place = false;
        self.refused.clear();
        self.failure = None;
        self.retry.clear();
        self.restores = Restores::default();
        self.put_off_until = None;
    }

    /// What of the last difference is still to be dealt with, and why.
    pub fn failure(&self) -> Option<String> {
        self.failure.clone()
    }

    /// A difference was dealt with, or could not be.
    pub fn settle(
        &mut self,
        put_off_until: Option<Instant>,
        failure: Option<String>,
        now: Instant,
    ) {
        self.put_off_until = put_off_until;
        self.failure = failure;
        if self.failure.is_some() || !self.refused.is_empty() {
            if self.retry.next_deadline().is_none_or(|at| at <= now) {
                self.retry.failed(now);
            }
        } else {
            self.retry.clear();
        }
    }

    fn put(&mut self, place: AddressSpec) {
        self.placed.insert(key(&place), place);
        self.foreign.remove(&place.net.addr());
    }

    fn changed(&mut self, address: IpAddr, is_there: bool, now: Instant) {
        self.last_change = Some(LastChange {
            address,
            is_there,
            until: now + SHOWN_WITHIN,
        });
    }
}

/// A look, and what is asked of it again and again.
struct Known<'a> {
    look: &'a Look<'a>,
    configured: Lookup<IpAddr>,
    /// What this life has put there.
    placed: Lookup<(u32, IpNet)>,
}

fn key(place: &AddressSpec) -> (u32, IpNet) {
    (place.ifindex, place.net)
}

/// As far as the kernel tells addresses apart.
fn form_of(place: &AddressSpec) -> (u32, IpNet, Option<IpAddr>) {
    (place.ifindex, place.net, place.form.peer)
}

mod left;
mod stock;
#[cfg(test)]
mod tests;
