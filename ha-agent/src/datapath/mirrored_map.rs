//! A hash map of the kernel half that only this process writes, so that what stands in it is known here too.

use std::collections::HashMap as StdHashMap;
use std::hash::Hash;

use aya::maps::{HashMap, Map, MapData, MapError};

use super::error::{KernelError, map_error};
use super::raw::Raw;
use super::reader::second_handle;

/// Entries in groups, each of which has one owner, such as a slot.
pub(super) struct MirroredMap<O, K, V> {
    name: &'static str,
    map: HashMap<MapData, Raw<K>, Raw<V>>,
    held: StdHashMap<O, Vec<(K, V)>>,
}

impl<O, K, V> MirroredMap<O, K, V>
where
    O: Copy + Eq + Hash,
    K: bytemuck::Pod + Eq,
    V: bytemuck::Pod,
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
        for (key, value) in map.iter().flatten() {
            held.entry(owner(&key.0, &value.0))
                .or_default()
                .push((key.0, value.0));
        }
        Ok(Self { name, map, held })
    }

    /// Makes an owner's entries these; what is there already is not written again. `ENOSPC` or `E2BIG` if all
    /// together are too many: then some of the new ones are missing, and none is there that should not be.
    pub(super) fn replace(&mut self, owner: O, wanted: &[(K, V)]) -> Result<(), KernelError> {
        let mut outcome = Ok(());
        let mut stays = Vec::new();
        for (key, value) in self.held.remove(&owner).unwrap_or_default() {
            if wanted.iter().any(|(other, _)| *other == key) {
                stays.push((key, value));
            } else {
                outcome = outcome.and(gone(self.map.remove(&Raw(key))));
            }
        }
        for (key, value) in wanted {
            let old = stays.iter_mut().find(|(other, _)| other == key);
            if let Some((_, old)) = &old
                && bytemuck::bytes_of(old) == bytemuck::bytes_of(value)
            {
                continue;
            }
            match self.map.insert(Raw(*key), Raw(*value), 0) {
                Ok(()) => match old {
                    Some((_, old)) => *old = *value,
                    None => stays.push((*key, *value)),
                },
                Err(source) => outcome = outcome.and(Err(source)),
            }
        }
        if !stays.is_empty() {
            self.held.insert(owner, stays);
        }
        outcome.map_err(map_error(self.name))
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

/// That it was not there is as good as removed.
pub(super) fn gone(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}
