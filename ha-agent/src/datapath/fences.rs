//! What the kernel half knows of this host as a master: which addresses each slot holds, and when the
//! driver last turned. The fence is raised by it, and after a crash it says what was held.

use std::collections::{HashMap as StdHashMap, HashSet};
use std::net::IpAddr;

use aya::maps::{Array, HashMap, Map, MapData, MapError};
use bytemuck::Zeroable as _;
use ha_common::layout::{FenceKey, LAYOUT_VERSION, META_MAGIC, Meta, SlotKey, names};
use ha_common::units::{Family, Instant};

use super::kernel::{KernelError, map_error};
use super::raw::Raw;
use super::reader::second_handle;

/// The list and the stamp. Only this writes them, so what stands in the map is known here too.
pub(super) struct Fences {
    map: HashMap<MapData, Raw<FenceKey>, u32>,
    meta: Array<MapData, Raw<Meta>>,
    stamp: Meta,
    held: StdHashMap<u32, Vec<FenceKey>>,
}

impl Fences {
    /// Takes up what an earlier agent left in the maps.
    pub(super) fn of(object: &aya::Ebpf) -> Result<Self, KernelError> {
        // Second handles: these maps stay with the object, for others to take.
        let meta: Array<MapData, Raw<Meta>> = second_handle(object, names::MAP_META)
            .and_then(|map| Array::try_from(Map::Array(map)))
            .map_err(map_error(names::MAP_META))?;
        let map: HashMap<MapData, Raw<FenceKey>, u32> = second_handle(object, names::MAP_FENCE)
            .and_then(|map| HashMap::try_from(Map::HashMap(map)))
            .map_err(map_error(names::MAP_FENCE))?;
        let mut held: StdHashMap<u32, Vec<FenceKey>> = StdHashMap::new();
        for (key, slot) in map.iter().flatten() {
            held.entry(slot).or_default().push(key.0);
        }
        let left = meta.get(&0, 0).map_or(Meta::zeroed(), |raw| raw.0);
        let mut fences = Self {
            map,
            meta,
            stamp: Meta {
                magic: META_MAGIC,
                version: LAYOUT_VERSION,
                fences: 0,
                pad: 0,
                // Until we have turned ourselves, what the earlier agent said of itself counts.
                turned_at: left.turned_at,
            },
            held,
        };
        fences.write_stamp()?;
        Ok(fences)
    }

    /// Makes the list of a slot that is master this one. While the fence is up, what comes for them is
    /// dropped.
    pub(super) fn set(
        &mut self,
        key: SlotKey,
        slot: u32,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<(), KernelError> {
        let mut wanted: HashSet<FenceKey> = addresses
            .map(|address| fence_key(key.ifindex, address))
            .collect();
        let mut held = self.held.remove(&slot).unwrap_or_default();
        let mut outcome = Ok(());
        held.retain(|old| {
            let stays = wanted.remove(old);
            if !stays {
                outcome = std::mem::replace(&mut outcome, Ok(())).and(remove(&mut self.map, old));
            }
            stays
        });
        for new in wanted {
            match self.map.insert(Raw(new), slot, 0) {
                Ok(()) => held.push(new),
                Err(source) => outcome = Err(source),
            }
        }
        if !held.is_empty() {
            self.held.insert(slot, held);
        }
        self.write_stamp()?;
        outcome.map_err(map_error(names::MAP_FENCE))
    }

    /// The addresses that a slot's master holds, or held when its agent died.
    pub(super) fn held(&self, slot: u32) -> Vec<IpAddr> {
        let held = self.held.get(&slot).into_iter().flatten();
        held.map(address).collect()
    }

    /// The driver turns.
    pub(super) fn turned(&mut self, now: Instant) -> Result<(), KernelError> {
        self.stamp.turned_at = now.0;
        // Without a listed address nobody asks; the next list takes it along.
        if self.held.is_empty() {
            return Ok(());
        }
        self.write_stamp()
    }

    fn write_stamp(&mut self) -> Result<(), KernelError> {
        let count: usize = self.held.values().map(Vec::len).sum();
        self.stamp.fences = u32::try_from(count).unwrap_or(u32::MAX);
        self.meta
            .set(0, Raw(self.stamp), 0)
            .map_err(map_error(names::MAP_META))
    }
}

fn remove(map: &mut HashMap<MapData, Raw<FenceKey>, u32>, key: &FenceKey) -> Result<(), MapError> {
    match map.remove(&Raw(*key)) {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(source) => Err(source),
    }
}

/// The addresses of one router may be of both families: its excluded ones need not be of its own.
fn fence_key(ifindex: u32, address: IpAddr) -> FenceKey {
    let (family, address) = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            (Family::V4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        IpAddr::V6(v6) => (Family::V6, v6.octets()),
    };
    FenceKey {
        ifindex,
        family: family as u8,
        pad: [0; 3],
        address,
    }
}

/// The reverse.
fn address(key: &FenceKey) -> IpAddr {
    let [a, b, c, d, ..] = key.address;
    if key.family == Family::V4 as u8 {
        IpAddr::from([a, b, c, d])
    } else {
        IpAddr::from(key.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_either_family_is_known_again_by_its_key() {
        for text in ["10.99.0.100", "a63:64::", "2001:db8::7"] {
            let it: IpAddr = text.parse().unwrap();
            assert_eq!(address(&fence_key(7, it)), it);
        }
    }
}
