//! What the kernel half knows of this host's addresses: which of them each slot has on interfaces, or is about to have, and when
//! the driver last turned. The fence goes by it, and after a crash it says what was held.

use std::collections::HashSet;
use std::net::IpAddr;

use aya::maps::{Array, Map, MapData};
use bytemuck::Zeroable as _;
use ha_common::address::{family_of, raw, to_ip};
use ha_common::layout::{FenceKey, LAYOUT_VERSION, META_MAGIC, Meta, SlotKey, names};
use ha_common::units::Instant;

use super::error::{KernelError, map_error};
use super::mirrored_map::MirroredMap;
use super::raw::Raw;
use super::reader::second_handle;

/// The list and the stamp.
pub(super) struct Masters {
    list: MirroredMap<u32, FenceKey, u32>,
    meta: Array<MapData, Raw<Meta>>,
    stamp: Meta,
    /// The slots with listed addresses that are not master: what comes for these is dropped.
    closed: HashSet<u32>,
}

impl Masters {
    /// Takes up what an earlier agent left in the maps.
    pub(super) fn of(object: &aya::Ebpf) -> Result<Self, KernelError> {
        // A second handle: the map stays with the object, for others to take.
        let meta: Array<MapData, Raw<Meta>> = second_handle(object, names::MAP_META)
            .and_then(|map| Array::try_from(Map::Array(map)))
            .map_err(map_error(names::MAP_META))?;
        let left = meta.get(&0, 0).map_or(Meta::zeroed(), |raw| raw.0);
        let mut masters = Self {
            list: MirroredMap::of(object, names::MAP_FENCE, |_, slot| *slot)?,
            meta,
            stamp: Meta {
                magic: META_MAGIC,
                version: LAYOUT_VERSION,
                // Until we have turned ourselves, what the earlier agent said of itself counts.
                turned_at: left.turned_at,
            },
            closed: HashSet::new(),
        };
        masters.write_stamp()?;
        Ok(masters)
    }

    /// Makes the list of a slot this one. Unless it is master, what comes for them is dropped, and what leaves in their
    /// name; while it is, as long as the fence is up.
    pub(super) fn list(
        &mut self,
        key: SlotKey,
        slot: u32,
        is_master: bool,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<(), KernelError> {
        let entries: Vec<_> = addresses
            .map(|address| (fence_key(key.ifindex, address), slot))
            .collect();
        let listed = self.list.replace(slot, &entries);
        self.set_master(slot, is_master);
        listed
    }

    /// Whether a slot is master now.
    pub(super) fn set_master(&mut self, slot: u32, is_master: bool) {
        if is_master || self.list.held(slot).is_empty() {
            self.closed.remove(&slot);
        } else {
            self.closed.insert(slot);
        }
    }

    /// Whether addresses are listed whose slot is not master.
    pub(super) fn is_any_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    /// [`MirroredMap::audit`] of a slot's addresses.
    pub(super) fn audit(&mut self, slot: u32, turn: usize) -> Result<usize, KernelError> {
        self.list.audit(slot, turn)
    }

    /// [`MirroredMap::remove_strangers`].
    pub(super) fn remove_strangers(&mut self) -> Result<usize, KernelError> {
        self.list.remove_strangers()
    }

    /// The slots with listed addresses.
    pub(super) fn slots(&self) -> Vec<u32> {
        self.list.owners().collect()
    }

    /// The addresses that a slot has listed, or had when its agent died.
    pub(super) fn held(&self, slot: u32) -> Vec<IpAddr> {
        let held = self.list.held(slot).iter();
        held.map(|(key, _)| to_ip(key.family, key.address))
            .collect()
    }

    /// The driver has turned.
    pub(super) fn turned(&mut self, now: Instant) -> Result<(), KernelError> {
        self.stamp.turned_at = now.0;
        // Without a listed address nobody asks.
        if self.list.is_empty() {
            return Ok(());
        }
        self.write_stamp()
    }

    /// When the driver, or that of an earlier agent, last turned.
    pub(super) fn turned_at(&self) -> Instant {
        Instant(self.stamp.turned_at)
    }

    fn write_stamp(&mut self) -> Result<(), KernelError> {
        self.meta
            .set(0, Raw(self.stamp), 0)
            .map_err(map_error(names::MAP_META))
    }
}

/// The addresses of one router may be of both families: its excluded ones need not be of its own.
fn fence_key(ifindex: u32, address: IpAddr) -> FenceKey {
    FenceKey {
        ifindex,
        family: family_of(address) as u8,
        pad: [0; 3],
        address: raw(address),
    }
}
