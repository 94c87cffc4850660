//! The kernel half, seen from here: its maps and its commands.
//!
//! Slots are read through the map and written through the command program only: a map update from
//! userspace would free the slot's timer.

use std::cell::Cell;
use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, MapError};
use aya::programs::ProgramFd;
use bytemuck::Zeroable as _;
use ha_common::accept::TtlRange;
use ha_common::address::RawAddress;
use ha_common::hmac::replay::ReplayState;
use ha_common::hmac::{Key, Keyed};
use ha_common::layout::{Command, PeerKey, Slot, SlotKey, flags, names, op, state, status};
use ha_common::units::Instant;

use super::error::{KernelError, map_error, program_error};
use super::masters::Masters;
use super::mirrored_map::{MirroredMap, gone};
use super::programs::tc_mut;
use super::raw::Raw;
use super::reader::{Reader, second_handle};
use super::sys;

/// How often `bpf_timer_init` is tried again. The kernel takes the timer's memory without waiting,
/// from what is already free; any ordinary system call that allocates brings it more.
const TIMER_ATTEMPTS: u32 = 64;

/// Whether a slot has a kernel timer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Timer {
    /// It was initialised.
    Kernel,
    /// It could not be had: deadlines are watched from here.
    Watchdog,
}

/// Maps and commands of the loaded object.
pub struct Kernel {
    command: ProgramFd,
    slots: Array<MapData, Raw<Slot>>,
    index: HashMap<MapData, Raw<SlotKey>, u32>,
    reader: Arc<Reader>,
    no_timer: bool,
    masters: Masters,
    /// Whether all traffic is looked at, for addresses whose slot is not master. A command that takes a slot's mastership
    /// says so by itself.
    is_looking: Cell<bool>,
    /// Whom the unicast slots hear.
    peers: MirroredMap<SlotKey, PeerKey, TtlRange>,
    keys: MirroredMap<SlotKey, Keyed, Key>,
    marks: HashMap<MapData, Raw<PeerKey>, Raw<ReplayState>>,
    used: HashSet<u32>,
    /// All slots below are in use.
    first_free: u32,
}

impl Kernel {
    /// Takes them from an object; `no_timer`: slots get no timers, to try the watchdog.
    pub(super) fn of(object: &mut Ebpf, no_timer: bool) -> Result<Self, KernelError> {
        let command = command_program(object)?;
        let reader = Arc::new(Reader::of(object).map_err(map_error("for reading"))?);
        let slots = Array::try_from(take(object, names::MAP_SLOTS)?)
            .map_err(map_error(names::MAP_SLOTS))?;
        let index = HashMap::try_from(take(object, names::MAP_INDEX)?)
            .map_err(map_error(names::MAP_INDEX))?;
        let marks = second_handle(object, names::MAP_MARKS)
            .and_then(|map| HashMap::try_from(Map::LruHashMap(map)))
            .map_err(map_error(names::MAP_MARKS))?;
        let mut kernel = Self {
            command,
            slots,
            index,
            reader,
            no_timer,
            masters: Masters::of(object)?,
            is_looking: Cell::new(false),
            peers: MirroredMap::of(object, names::MAP_UNICAST, |key: &PeerKey, _| key.slot)?,
            keys: MirroredMap::of(object, names::MAP_KEYS, |key: &Keyed, _| key.slot)?,
            marks,
            used: HashSet::new(),
            first_free: 0,
        };
        kernel.used = kernel.entries().map(|(_, slot)| slot).collect();
        kernel.adopt_listed()?;
        Ok(kernel)
    }

    /// What an earlier agent has listed is closed in this object's programs as well, before they are attached.
    fn adopt_listed(&mut self) -> Result<(), KernelError> {
        for slot in self.masters.slots() {
            let is_master = self.slot(slot)?.state == state::MASTER;
            self.masters.set_master(slot, is_master);
        }
        self.settle_closed()
    }

    /// Has traffic looked at while some listed address has a slot that is not master, and no longer.
    fn settle_closed(&self) -> Result<(), KernelError> {
        let is_any_closed = self.masters.is_any_closed();
        if is_any_closed == self.is_looking.get() {
            return Ok(());
        }
        self.command(&Command {
            op: op::CLOSE,
            is_any_closed: is_any_closed.into(),
            ..Command::zeroed()
        })?;
        self.is_looking.set(is_any_closed);
        Ok(())
    }

    /// Handles to the maps for those beside the driver.
    pub fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    /// A copy of a slot as it stands.
    pub fn slot(&self, slot: u32) -> Result<Slot, KernelError> {
        self.slots
            .get(&slot, 0)
            .map(|raw| raw.0)
            .map_err(|source| KernelError::Map {
                name: names::MAP_SLOTS,
                source,
            })
    }

    /// The slot of a virtual router, if it has one: also one that an earlier agent left.
    pub fn find(&self, key: SlotKey) -> Result<Option<u32>, KernelError> {
        match self.index.get(&Raw(key), 0) {
            Ok(slot) => Ok(Some(slot)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(source) => Err(KernelError::Map {
                name: names::MAP_INDEX,
                source,
            }),
        }
    }

    /// Every virtual router that has a slot.
    pub fn entries(&self) -> impl Iterator<Item = (SlotKey, u32)> + '_ {
        self.index.iter().flatten().map(|(key, slot)| (key.0, slot))
    }

    /// A slot that nobody uses.
    pub fn free_slot(&mut self) -> Result<u32, KernelError> {
        let slots = self.slots.len();
        let free = (self.first_free..slots).find(|slot| !self.used.contains(slot));
        self.first_free = free.unwrap_or(slots);
        free.ok_or(KernelError::Full(slots))
    }

    /// Makes the list of a slot's unicast peers this one; a multicast slot has none.
    pub fn list_peers(
        &mut self,
        key: SlotKey,
        peers: &[(RawAddress, TtlRange)],
    ) -> Result<(), KernelError> {
        let entry = |(address, ttl): &(RawAddress, TtlRange)| {
            let peer = PeerKey {
                slot: key,
                address: *address,
            };
            (peer, *ttl)
        };
        let entries: Vec<_> = peers.iter().map(entry).collect();
        self.peers.replace(key, &entries)
    }

    /// Makes the HMAC keys of a slot these, by their numbers.
    pub fn set_keys(&mut self, slot: SlotKey, keys: &[(u8, Key)]) -> Result<(), KernelError> {
        let entries: Vec<_> = keys
            .iter()
            .map(|(id, key)| (Keyed::new(slot, *id), *key))
            .collect();
        self.keys.replace(slot, &entries)
    }

    /// Configures a slot and gives it its timer.
    pub fn configure(&self, command: &Command) -> Result<Timer, KernelError> {
        let extra = if self.no_timer { flags::NO_TIMER } else { 0 };
        let command = Command {
            op: op::CONFIGURE,
            flags: command.flags | extra,
            ..*command
        };
        for _ in 0..TIMER_ATTEMPTS {
            match self.run(&command)? {
                status::OK => return Ok(Timer::Kernel),
                status::TIMER_NO_MEMORY => allocate_something(),
                status::TIMER_FAILED => return Ok(Timer::Watchdog),
                other => return Err(KernelError::Refused(other)),
            }
        }
        Ok(Timer::Watchdog)
    }

    /// Makes frames for the virtual router find the slot.
    pub fn publish(&mut self, key: SlotKey, slot: u32) -> Result<(), KernelError> {
        self.index
            .insert(Raw(key), slot, 0)
            .map_err(map_error(names::MAP_INDEX))?;
        self.used.insert(slot);
        Ok(())
    }

    /// Makes a master of a backup, unless a master was heard since its slot was copied to judge by; false if one was.
    pub fn take_over(&self, command: &Command) -> Result<bool, KernelError> {
        match self.run(command)? {
            status::OK => Ok(true),
            status::HEARD_SINCE => Ok(false),
            other => Err(KernelError::Refused(other)),
        }
    }

    /// Runs a command that sets no timer up.
    pub fn command(&self, command: &Command) -> Result<(), KernelError> {
        if command.op == op::SET_STATE && command.state != state::MASTER {
            self.is_looking.set(true);
        }
        match self.run(command)? {
            status::OK => Ok(()),
            other => Err(KernelError::Refused(other)),
        }
    }

    /// Lists these addresses for a slot, and no others: unless it is master, and while its fence is up, what comes for them
    /// is dropped. `is_master`: what the slot was told last.
    pub fn fence(
        &mut self,
        key: SlotKey,
        slot: u32,
        is_master: bool,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<(), KernelError> {
        let listed = self.masters.list(key, slot, is_master, addresses);
        listed.and(self.settle_closed())
    }

    /// Takes every address of a slot off the list.
    pub fn unfence(&mut self, key: SlotKey, slot: u32) -> Result<(), KernelError> {
        self.fence(key, slot, false, std::iter::empty())
    }

    /// The addresses that a slot has listed, or had when its agent died.
    pub fn fenced(&self, slot: u32) -> Vec<IpAddr> {
        self.masters.held(slot)
    }

    /// Looks whether what a slot needs beside it is in the maps as it was written here, a portion of long lists by the `turn`,
    /// and writes again what is not: the names of what was not.
    pub fn audit(
        &mut self,
        key: SlotKey,
        slot: u32,
        turn: usize,
    ) -> Result<Vec<&'static str>, KernelError> {
        let mut differ = Vec::new();
        if self.find(key)? != Some(slot) {
            self.publish(key, slot)?;
            differ.push("its place in the index");
        }
        for (name, count) in [
            ("its unicast peers", self.peers.audit(key, turn)?),
            ("its HMAC keys", self.keys.audit(key, turn)?),
            ("its addresses", self.masters.audit(slot, turn)?),
        ] {
            if count > 0 {
                differ.push(name);
            }
        }
        Ok(differ)
    }

    /// Removes unicast peers, keys and addresses from the maps that nobody here has put there; how many they were.
    pub fn remove_strangers(&mut self) -> Result<usize, KernelError> {
        let peers = self.peers.remove_strangers()?;
        let keys = self.keys.remove_strangers()?;
        Ok(peers + keys + self.masters.remove_strangers()?)
    }

    /// Says that the driver has turned at this moment.
    pub fn turned(&mut self, now: Instant) -> Result<(), KernelError> {
        self.masters.turned(now)
    }

    /// When the driver, or before it that of an earlier agent, last turned while it was master of anything.
    pub fn turned_at(&self) -> Instant {
        self.masters.turned_at()
    }

    /// Frees a slot.
    pub fn release(&mut self, key: SlotKey, slot: u32) -> Result<(), KernelError> {
        match self.index.remove(&Raw(key)) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(source) => {
                return Err(KernelError::Map {
                    name: names::MAP_INDEX,
                    source,
                });
            }
        }
        let unlisted = self.peers.replace(key, &[]);
        let locked = self.keys.replace(key, &[]);
        let forgotten = self.forget_senders(key);
        self.used.remove(&slot);
        self.first_free = self.first_free.min(slot);
        self.command(&Command {
            op: op::RELEASE,
            slot,
            ..Command::zeroed()
        })?;
        unlisted.and(locked).and(forgotten)
    }

    /// Remembers what this host has signed as a virtual router: a receiver's mark, under its own address. It outlives
    /// the agent as the maps do, and goes with the slot.
    pub fn remember_said(&mut self, own: PeerKey, said: ReplayState) -> Result<(), KernelError> {
        let outcome = self.marks.insert(Raw(own), Raw(said), 0);
        outcome.map_err(map_error(names::MAP_MARKS))
    }

    /// What an earlier agent has signed there, if anything is remembered.
    pub fn said(&self, own: PeerKey) -> Option<ReplayState> {
        self.marks.get(&Raw(own), 0).ok().map(|raw| raw.0)
    }

    /// Forgets who has signed adverts for a slot: the next virtual router in it is another one.
    fn forget_senders(&mut self, slot: SlotKey) -> Result<(), KernelError> {
        let senders: Vec<_> = self.marks.keys().flatten().collect();
        let mut outcome = Ok(());
        for sender in senders.into_iter().filter(|it| it.0.slot == slot) {
            outcome = outcome.and(gone(self.marks.remove(&sender)));
        }
        outcome.map_err(map_error(names::MAP_MARKS))
    }

    fn run(&self, command: &Command) -> Result<u32, KernelError> {
        sys::test_run(self.command.as_fd(), bytemuck::bytes_of(command)).map_err(|source| {
            KernelError::Command {
                name: names::PROG_COMMAND,
                source,
            }
        })
    }
}

/// A pipe is memory that the kernel must really find: it refills what `bpf_timer_init` looks at.
fn allocate_something() {
    drop(io::pipe());
}

/// Loads the command program. It is kept by a descriptor of its own, since the object goes to whoever attaches.
fn command_program(object: &mut Ebpf) -> Result<ProgramFd, KernelError> {
    let name = names::PROG_COMMAND;
    let program = tc_mut(object, name)?;
    program.load().map_err(program_error(name))?;
    let descriptor = program.fd().map_err(program_error(name))?;
    descriptor
        .try_clone()
        .map_err(|source| KernelError::Command { name, source })
}

fn take(object: &mut Ebpf, name: &'static str) -> Result<Map, KernelError> {
    object.take_map(name).ok_or(KernelError::Missing(name))
}
