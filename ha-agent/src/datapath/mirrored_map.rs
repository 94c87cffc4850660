//! A hash map of the kernel half that only this process writes, so that what stands in it is known here too.

use std::collections::{HashMap as StdHashMap, HashSet};
use std::hash::Hash;
use std::os::fd::AsFd as _;

use aya::maps::{HashMap, IterableMap, Map, MapData, MapError};
use bytemuck::{Pod, bytes_of};

use super::error::{KernelError, map_error};
use super::raw::Raw;
use super::reader::second_handle;
use super::sys;

/// How many entries are compared at a time: each is a system call.
const AT_ONCE: usize = 512;

/// Fewer entries are written as quickly one by one.
const FEW: usize = 8;

/// Entries in groups, each of which has one owner, such as a slot.
pub(super) struct MirroredMap<O, K, V> {
    name: &'static str,
    map: HashMap<MapData, Raw<K>, Raw<V>>,
    held: StdHashMap<O, Vec<(K, V)>>,
    /// Whose each entry is: one may come to another owner before it is let go.
    owners: StdHashMap<K, O>,
}

impl<O, K, V> MirroredMap<O, K, V>
where
    O: Copy + Eq + Hash,
    K: Pod + Eq + Hash,
    V: Pod,
{
    /// Takes up what an earlier agent left in the map; `owner` tells whose an entry is.
    pub(super) fn of(
        object: &aya::Ebpf,
        name: &'static str,
        owner: impl Fn(&K, &V) -> O,
    ) -> Result<Self, KernelError> {
        // A second handle: the map stays with the object, for others to take.
        let map: HashMap<MapData, Raw<K>, Raw<V>> = second_handle(object, name)
            .and_then(|map| HashMap::try_from(Map::HashMap(map)))
            .map_err(map_error(name))?;
        let mut held: StdHashMap<O, Vec<(K, V)>> = StdHashMap::new();
        let mut owners = StdHashMap::new();
        for (key, value) in map.iter().flatten() {
            let owner = owner(&key.0, &value.0);
            held.entry(owner).or_default().push((key.0, value.0));
            owners.insert(key.0, owner);
        }
        Ok(Self {
            name,
            map,
            held,
            owners,
        })
    }

    /// Makes an owner's entries these; what is there already is not written again, and what another owner had is this one's.
    /// `ENOSPC` or `E2BIG` if all together are too many: then some of the new ones are missing. What cannot be removed
    /// stays an entry of the owner, so that it is tried again with the next call.
    pub(super) fn replace(&mut self, owner: O, wanted: &[(K, V)]) -> Result<(), KernelError> {
        let had = self.held.remove(&owner).unwrap_or_default();
        if is_same(&had, wanted) {
            if !had.is_empty() {
                self.held.insert(owner, had);
            }
            return Ok(());
        }
        let keys: HashSet<K> = wanted.iter().map(|(key, _)| *key).collect();
        let (stays, goes): (Vec<_>, Vec<_>) =
            had.into_iter().partition(|(key, _)| keys.contains(key));
        let (mut left, removed) = self.remove(goes);
        let (mut held, written) = self.write(owner, wanted, &stays.into_iter().collect());
        held.append(&mut left);
        if !held.is_empty() {
            self.held.insert(owner, held);
        }
        removed.and(written).map_err(map_error(self.name))
    }

    /// Those of these that could not be removed, and why.
    fn remove(&mut self, entries: Vec<(K, V)>) -> (Vec<(K, V)>, Result<(), MapError>) {
        let mut outcome = Ok(());
        let mut left = Vec::new();
        for (key, value) in entries {
            match gone(self.map.remove(&Raw(key))) {
                Ok(()) => drop(self.owners.remove(&key)),
                Err(source) => {
                    outcome = outcome.and(Err(source));
                    left.push((key, value));
                }
            }
        }
        (left, outcome)
    }

    /// Those of these that are there afterwards, and why others are not. Of those in `stays` the value alone is written.
    fn write(
        &mut self,
        owner: O,
        wanted: &[(K, V)],
        stays: &StdHashMap<K, V>,
    ) -> (Vec<(K, V)>, Result<(), MapError>) {
        let is_there = |(key, value): &(K, V)| {
            let old = stays.get(key);
            old.is_some_and(|old| bytes_of(old) == bytes_of(value))
        };
        let mut outcome = Ok(());
        let mut held = Vec::with_capacity(wanted.len());
        let mut written = if wanted.len() < FEW {
            0
        } else {
            self.write_together(wanted.iter().filter(|entry| !is_there(entry)))
        };
        for entry in wanted {
            let (key, value) = *entry;
            if is_there(entry) {
                held.push(*entry);
                continue;
            }
            let done = if written > 0 {
                written -= 1;
                Ok(())
            } else {
                self.map.insert(Raw(key), Raw(value), 0)
            };
            match done {
                Ok(()) => {
                    self.take_from_others(&key, owner);
                    held.push(*entry);
                }
                Err(source) => {
                    outcome = outcome.and(Err(source));
                    held.extend(stays.get(&key).map(|old| (key, *old)));
                }
            }
        }
        (held, outcome)
    }

    /// Writes many entries by one call: so many of them, from the first on.
    fn write_together<'e>(&self, entries: impl Iterator<Item = &'e (K, V)>) -> usize
    where
        K: 'e,
        V: 'e,
    {
        let (keys, values): (Vec<K>, Vec<V>) = entries.copied().unzip();
        let map = IterableMap::map(&self.map);
        sys::update_together(map.fd().as_fd(), &keys, &values)
    }

    /// Looks whether an owner's entries are in the map as they were written, at most [`AT_ONCE`] of them beginning with the one
    /// of the `turn`, and writes again what is not; how many were not.
    pub(super) fn audit(&mut self, owner: O, turn: usize) -> Result<usize, KernelError> {
        let held = self.held(owner);
        let first = (turn % held.len().div_ceil(AT_ONCE).max(1)) * AT_ONCE;
        let portion = held.iter().skip(first).take(AT_ONCE);
        let is_there = |key: &K, value: &V| match self.map.get(&Raw(*key), 0) {
            Ok(found) => Ok(bytes_of(&found.0) == bytes_of(value)),
            Err(MapError::KeyNotFound) => Ok(false),
            Err(source) => Err(source),
        };
        let mut differ = Vec::new();
        for (key, value) in portion {
            if !is_there(key, value).map_err(map_error(self.name))? {
                differ.push((*key, *value));
            }
        }
        for (key, value) in &differ {
            let written = self.map.insert(Raw(*key), Raw(*value), 0);
            written.map_err(map_error(self.name))?;
        }
        Ok(differ.len())
    }

    /// Removes entries that nobody here has written, where there are few enough to be looked through; how many they were.
    pub(super) fn remove_strangers(&mut self) -> Result<usize, KernelError> {
        if self.owners.len() > AT_ONCE {
            return Ok(0);
        }
        let keys = self.map.keys().flatten().take(2 * AT_ONCE);
        let strangers: Vec<_> = keys
            .filter(|key| !self.owners.contains_key(&key.0))
            .collect();
        for key in &strangers {
            gone(self.map.remove(key)).map_err(map_error(self.name))?;
        }
        Ok(strangers.len())
    }

    /// The entry is this owner's from here on: whoever had it must not remove it.
    fn take_from_others(&mut self, key: &K, owner: O) {
        let Some(before) = self.owners.insert(*key, owner).filter(|it| *it != owner) else {
            return;
        };
        if let Some(held) = self.held.get_mut(&before) {
            held.retain(|(other, _)| other != key);
            if held.is_empty() {
                self.held.remove(&before);
            }
        }
    }

    /// Who has entries.
    pub(super) fn owners(&self) -> impl Iterator<Item = O> + '_ {
        self.held.keys().copied()
    }

    /// An owner's entries.
    pub(super) fn held(&self, owner: O) -> &[(K, V)] {
        self.held.get(&owner).map_or(&[], Vec::as_slice)
    }

    /// Whether there is none at all.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

fn is_same<K: Pod + Eq, V: Pod>(had: &[(K, V)], wanted: &[(K, V)]) -> bool {
    let is_same = |((key, value), (other, new)): (&(K, V), &(K, V))| {
        key == other && bytes_of(value) == bytes_of(new)
    };
    had.len() == wanted.len() && had.iter().zip(wanted).all(is_same)
}

/// That it was not there is as good as removed.
pub(super) fn gone(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}
