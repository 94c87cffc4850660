//! The HMAC keys of the kernel half's slots, and the marks that their senders left.

use std::collections::HashMap as StdHashMap;

use aya::maps::{HashMap, Map, MapData, MapError};
use ha_common::hmac::freshness::Mark;
use ha_common::hmac::{Key, Keyed};
use ha_common::layout::{PeerKey, SlotKey, names};

use super::kernel::{KernelError, map_error};
use super::raw::Raw;
use super::reader::second_handle;

/// The keys. Only this writes them, so what stands in the map is known here too.
pub(super) struct Keyring {
    keys: HashMap<MapData, Raw<Keyed>, Raw<Key>>,
    marks: HashMap<MapData, Raw<PeerKey>, Raw<Mark>>,
    held: StdHashMap<SlotKey, Vec<u8>>,
}

impl Keyring {
    /// Takes up what an earlier agent left in the maps.
    pub(super) fn of(object: &aya::Ebpf) -> Result<Self, KernelError> {
        // Second handles: the maps stay with the object, for others to take.
        let keys: HashMap<MapData, Raw<Keyed>, Raw<Key>> = second_handle(object, names::MAP_KEYS)
            .and_then(|map| HashMap::try_from(Map::HashMap(map)))
            .map_err(map_error(names::MAP_KEYS))?;
        let marks = second_handle(object, names::MAP_MARKS)
            .and_then(|map| HashMap::try_from(Map::LruHashMap(map)))
            .map_err(map_error(names::MAP_MARKS))?;
        let mut held: StdHashMap<SlotKey, Vec<u8>> = StdHashMap::new();
        for key in keys.keys().flatten() {
            held.entry(key.0.slot).or_default().push(key.0.key_id);
        }
        Ok(Self { keys, marks, held })
    }

    /// Makes a slot's keys these. `ENOSPC` or `E2BIG` if all together are too many; then adverts by some are
    /// refused, and none is believed that should not be.
    pub(super) fn set(&mut self, slot: SlotKey, keys: &[(u8, Key)]) -> Result<(), KernelError> {
        let mut outcome = Ok(());
        for old in self.held.remove(&slot).unwrap_or_default() {
            if !keys.iter().any(|(id, _)| *id == old) {
                outcome = outcome.and(gone(self.keys.remove(&Raw(Keyed::new(slot, old)))));
            }
        }
        let mut held = Vec::new();
        for (id, key) in keys {
            match self.keys.insert(Raw(Keyed::new(slot, *id)), Raw(*key), 0) {
                Ok(()) => held.push(*id),
                Err(source) => outcome = outcome.and(Err(source)),
            }
        }
        if !held.is_empty() {
            self.held.insert(slot, held);
        }
        outcome.map_err(map_error(names::MAP_KEYS))
    }

    /// Forgets the senders of a slot: the next virtual router in it is another one.
    pub(super) fn forget_senders(&mut self, slot: SlotKey) -> Result<(), KernelError> {
        let senders: Vec<_> = self.marks.keys().flatten().collect();
        let mut outcome = Ok(());
        for sender in senders.into_iter().filter(|it| it.0.slot == slot) {
            outcome = outcome.and(gone(self.marks.remove(&sender)));
        }
        outcome.map_err(map_error(names::MAP_MARKS))
    }
}

fn gone(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}
