//! Whom the unicast slots of the kernel half hear: the list of their peers.

use std::collections::HashMap as StdHashMap;

use aya::maps::{HashMap, Map, MapData, MapError};
use ha_common::channel::TtlRange;
use ha_common::layout::{PeerKey, RawAddress, SlotKey, names};

use super::kernel::{KernelError, map_error};
use super::raw::Raw;
use super::reader::second_handle;

/// The list. Only this writes it, so what stands in the map is known here too.
pub(super) struct Listed {
    map: HashMap<MapData, Raw<PeerKey>, Raw<TtlRange>>,
    held: StdHashMap<SlotKey, Vec<PeerKey>>,
}

impl Listed {
    /// Takes up what an earlier agent left in the map.
    pub(super) fn of(object: &aya::Ebpf) -> Result<Self, KernelError> {
        // A second handle: the map stays with the object, for others to take.
        let map: HashMap<MapData, Raw<PeerKey>, Raw<TtlRange>> =
            second_handle(object, names::MAP_UNICAST)
                .and_then(|map| HashMap::try_from(Map::HashMap(map)))
                .map_err(map_error(names::MAP_UNICAST))?;
        let mut held: StdHashMap<SlotKey, Vec<PeerKey>> = StdHashMap::new();
        for key in map.keys().flatten() {
            held.entry(key.0.slot).or_default().push(key.0);
        }
        Ok(Self { map, held })
    }

    /// Makes the list of a slot this one. `ENOSPC` or `E2BIG` if all lists together are too long; then the
    /// slot hears fewer than it should, and never more.
    pub(super) fn set(
        &mut self,
        slot: SlotKey,
        peers: &[(RawAddress, TtlRange)],
    ) -> Result<(), KernelError> {
        let mut held = self.held.remove(&slot).unwrap_or_default();
        let mut outcome = Ok(());
        held.retain(|old| {
            let stays = peers.iter().any(|(address, _)| *address == old.address);
            if !stays {
                let removed = self.remove(old);
                outcome = std::mem::replace(&mut outcome, Ok(())).and(removed);
            }
            stays
        });
        for (address, ttl) in peers {
            let key = PeerKey {
                slot,
                address: *address,
            };
            // Also one that is there: its range may be another.
            match self.map.insert(Raw(key), Raw(*ttl), 0) {
                Ok(()) if held.contains(&key) => {}
                Ok(()) => held.push(key),
                Err(source) => outcome = Err(source),
            }
        }
        if !held.is_empty() {
            self.held.insert(slot, held);
        }
        outcome.map_err(map_error(names::MAP_UNICAST))
    }

    fn remove(&mut self, key: &PeerKey) -> Result<(), MapError> {
        match self.map.remove(&Raw(*key)) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(source) => Err(source),
        }
    }
}
