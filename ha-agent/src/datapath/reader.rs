//! Reading the maps from beside the driver: for `status` and `peers`, also while no agent runs.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray};
use ha_common::layout::{Counter, FenceKey, Meta, PeerKey, PeerStats, Slot, SlotKey, names};
use ha_common::units::Family;

use super::raw::Raw;

/// Handles of its own to the maps; it takes no part in the protocol and can hold nothing up.
pub struct Reader {
    room_for_held: u32,
    slots: Array<MapData, Raw<Slot>>,
    index: HashMap<MapData, Raw<SlotKey>, u32>,
    peers: HashMap<MapData, Raw<PeerKey>, Raw<PeerStats>>,
    counters: PerCpuArray<MapData, u64>,
    meta: Array<MapData, Raw<Meta>>,
}

impl Reader {
    /// The maps pinned in a directory.
    pub fn pinned(dir: &Path) -> Result<Self, MapError> {
        Self::from_maps(|name| MapData::from_pin(dir.join(name)))
    }

    /// Second handles to the maps of a loaded object.
    pub(super) fn of(object: &aya::Ebpf) -> Result<Self, MapError> {
        Self::from_maps(|name| second_handle(object, name))
    }

    fn from_maps(
        mut get: impl FnMut(&'static str) -> Result<MapData, MapError>,
    ) -> Result<Self, MapError> {
        Ok(Self {
            room_for_held: get(names::MAP_FENCE)?.info()?.max_entries(),
            slots: Array::try_from(Map::Array(get(names::MAP_SLOTS)?))?,
            index: HashMap::try_from(Map::HashMap(get(names::MAP_INDEX)?))?,
            peers: HashMap::try_from(Map::LruHashMap(get(names::MAP_PEERS)?))?,
            meta: Array::try_from(Map::Array(get(names::MAP_META)?))?,
            counters: PerCpuArray::try_from(Map::PerCpuArray(get(names::MAP_COUNTERS)?))?,
        })
    }

    /// How many addresses of masters there is room for.
    pub fn room_for_held(&self) -> u32 {
        self.room_for_held
    }

    /// A copy of a slot.
    pub fn slot(&self, slot: u32) -> Option<Slot> {
        self.slots.get(&slot, 0).ok().map(|raw| raw.0)
    }

    /// When the driver last turned while it was master of anything, `CLOCK_MONOTONIC` nanoseconds.
    pub fn turned_at(&self) -> u64 {
        self.meta.get(&0, 0).map_or(0, |raw| raw.0.turned_at)
    }

    /// Every virtual router that has a slot.
    pub fn entries(&self) -> Vec<(SlotKey, u32)> {
        self.index
            .iter()
            .flatten()
            .map(|(key, slot)| (key.0, slot))
            .collect()
    }

    /// Every peer. One that is evicted meanwhile may be missing.
    pub fn peers(&self) -> Vec<(PeerKey, PeerStats)> {
        self.peers
            .iter()
            .flatten()
            .map(|(key, stats)| (key.0, stats.0))
            .collect()
    }

    /// A host-wide counter, over all CPUs.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(&(counter as u32), 0).map_or(0, |values| {
            values
                .iter()
                .fold(0_u64, |sum, value| sum.saturating_add(*value))
        })
    }
}

/// The addresses that are listed in pinned maps as a master's.
pub fn held(dir: &Path) -> Result<Vec<FenceKey>, MapError> {
    let path = dir.join(names::MAP_FENCE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let map = Map::HashMap(MapData::from_pin(path)?);
    let fences: HashMap<MapData, Raw<FenceKey>, u32> = HashMap::try_from(map)?;
    Ok(fences.keys().flatten().map(|key| key.0).collect())
}

/// The multicast group of a slot; `None` for unicast.
pub fn group_of(slot: &Slot) -> Option<IpAddr> {
    let group = slot.channel.group;
    let [a, b, c, d, ..] = group;
    (!slot.channel.is_unicast()).then(|| {
        if slot.family == Family::V4 as u8 {
            IpAddr::from([a, b, c, d])
        } else {
            IpAddr::from(group)
        }
    })
}

/// The interfaces and groups that pinned slots hear; none where nothing of this version is pinned.
pub fn groups(dir: &Path) -> Vec<(u32, IpAddr)> {
    let Ok(reader) = Reader::pinned(dir) else {
        return Vec::new();
    };
    let entries = reader.entries().into_iter();
    entries
        .filter_map(|(key, slot)| Some((key.ifindex, group_of(&reader.slot(slot)?)?)))
        .collect()
}

/// Another handle to a map of a loaded object.
pub(super) fn second_handle(object: &aya::Ebpf, name: &str) -> Result<MapData, MapError> {
    let map = object.map(name).ok_or_else(|| MapError::InvalidName {
        name: name.to_owned(),
    })?;
    let (Map::Array(data) | Map::HashMap(data) | Map::LruHashMap(data) | Map::PerCpuArray(data)) =
        map
    else {
        return Err(MapError::InvalidMapType { map_type: 0 });
    };
    let fd = data
        .fd()
        .as_fd()
        .try_clone_to_owned()
        .map_err(MapError::IoError)?;
    MapData::from_fd(fd)
}
