//! The kernel half, seen from here: the loaded object, its maps and its commands.
//!
//! Slots are read through the map and written through the command program only: a map update from
//! userspace would free the slot's timer.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use aya::maps::{Array, HashMap, Map, MapData, MapError, RingBuf};
use aya::programs::{ProgramError, TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfError, EbpfLoader};
use bytemuck::Zeroable as _;
use ha_common::channel::TtlRange;
use ha_common::hmac::Key;
use ha_common::layout::{Command, RawAddress, Slot, SlotKey, flags, names, op, status};
use ha_common::units::Instant;
use thiserror::Error;

use super::fences::Fences;
use super::keyring::Keyring;
use super::listed::Listed;
use super::raw::Raw;
use super::reader::Reader;

/// The object that `cargo xtask build-ebpf` made.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ha-ebpf.o"));

/// How often `bpf_timer_init` is tried again. The kernel takes the timer's memory without waiting,
/// from what is already free; any ordinary system call that allocates brings it more.
const TIMER_ATTEMPTS: u32 = 64;

/// Why the kernel half does not work.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The object was refused.
    #[error("loading the eBPF object: {0}")]
    Load(#[from] EbpfError),
    /// A program was refused, or could not be attached.
    #[error("eBPF program {name}: {source}")]
    Program {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: ProgramError,
    },
    /// A map could not be used.
    #[error("eBPF map {name}: {source}")]
    Map {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: MapError,
    },
    /// The object lacks a map or a program.
    #[error("the eBPF object has no {0}: rebuild it with `cargo xtask build-ebpf`")]
    Missing(&'static str),
    /// A command was refused by the command program.
    #[error("the kernel half refused a command: status {0}")]
    Refused(u32),
    /// The slots are all in use.
    #[error("all {0} slots are in use: raise max_slots")]
    Full(u32),
}

impl KernelError {
    /// The reason in one sentence, for `status` and the log; the verifier's own words are left out.
    pub fn in_words(&self) -> String {
        let mut deepest: &dyn std::error::Error = self;
        while let Some(source) = deepest.source() {
            deepest = source;
        }
        let cause = deepest.to_string();
        let code = deepest
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        let meaning = match code {
            Some(libc::EPERM) => " (needs root, or CAP_BPF and CAP_NET_ADMIN)",
            Some(libc::EOPNOTSUPP | libc::EACCES) if is_realtime() => {
                " (BPF timers do not work on a PREEMPT_RT kernel)"
            }
            Some(libc::E2BIG) => " (this kernel's verifier gave up on it: a newer kernel may not)",
            Some(libc::EINVAL) => " (BPF timers need kernel 5.15 or later, with the BPF JIT on)",
            _ => "",
        };
        let what = match self {
            Self::Program { name, .. } => format!("eBPF program {name}: "),
            Self::Map { name, .. } => format!("eBPF map {name}: "),
            Self::Load(_) | Self::Missing(_) | Self::Refused(_) | Self::Full(_) => String::new(),
        };
        format!(
            "{what}{}{meaning}",
            cause.lines().next().unwrap_or_default()
        )
    }
}

/// Whether a slot has a kernel timer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Timer {
    /// It was initialised.
    Kernel,
    /// It could not be had: deadlines are watched from here.
    Watchdog,
}

/// The loaded object.
pub struct Kernel {
    object: Ebpf,
    slots: Array<MapData, Raw<Slot>>,
    index: HashMap<MapData, Raw<SlotKey>, u32>,
    reader: Arc<Reader>,
    no_timer: bool,
    fences: Fences,
    listed: Listed,
    keyring: Keyring,
    used: HashSet<u32>,
    /// All slots below are in use.
    first_free: u32,
}

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions<'a> {
    /// Where maps are pinned, and found again; a bpffs. `None`: they die with the agent.
    pub pin_dir: Option<&'a Path>,
    /// Room for this many virtual routers.
    pub max_slots: u32,
    /// Room for this many addresses of masters.
    pub max_held: u32,
    /// Whether the XDP program logs rejected adverts through aya-log.
    pub debug: bool,
    /// No kernel timers: to try the watchdog.
    pub no_timer: bool,
}

impl Kernel {
    /// Loads the object, over the pinned maps if there are any.
    pub fn load(options: LoadOptions<'_>) -> Result<Self, KernelError> {
        let mut loader = EbpfLoader::new();
        let level = if options.debug {
            aya_log_level::DEBUG
        } else {
            aya_log_level::OFF
        };
        loader
            .override_global("AYA_LOG_LEVEL", level, true)
            .map_max_entries(names::MAP_SLOTS, options.max_slots)
            .map_max_entries(names::MAP_INDEX, options.max_slots)
            .map_max_entries(names::MAP_FENCE, options.max_held);
        if let Some(dir) = options.pin_dir {
            for name in names::PINNED {
                loader.map_pin_path(name, dir.join(name));
            }
        }
        let mut object = loader.load(OBJECT)?;
        load_program(&mut object, names::PROG_COMMAND)?;
        load_program(&mut object, names::PROG_RECEIVE)?;
        let reader = Arc::new(Reader::of(&object).map_err(|source| KernelError::Map {
            name: "for reading",
            source,
        })?);
        let slots = take_array(&mut object, names::MAP_SLOTS)?;
        let index = HashMap::try_from(take(&mut object, names::MAP_INDEX)?).map_err(|source| {
            KernelError::Map {
                name: names::MAP_INDEX,
                source,
            }
        })?;
        let fences = Fences::of(&object)?;
        let listed = Listed::of(&object)?;
        let keyring = Keyring::of(&object)?;
        let mut kernel = Self {
            object,
            slots,
            index,
            reader,
            no_timer: options.no_timer,
            fences,
            listed,
            keyring,
            used: HashSet::new(),
            first_free: 0,
        };
        kernel.used = kernel.entries().map(|(_, slot)| slot).collect();
        Ok(kernel)
    }

    /// Handles to the maps for those beside the driver.
    pub fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    /// The ring of events; once.
    pub fn take_ring(&mut self) -> Result<RingBuf<MapData>, KernelError> {
        RingBuf::try_from(take(&mut self.object, names::MAP_EVENTS)?).map_err(|source| {
            KernelError::Map {
                name: names::MAP_EVENTS,
                source,
            }
        })
    }

    /// The receive program, to attach and to test.
    pub fn receive_program(&mut self) -> Result<&mut Xdp, KernelError> {
        program_mut(&mut self.object, names::PROG_RECEIVE)
    }

    /// The loaded object, for what has no method here.
    pub fn object_mut(&mut self) -> &mut Ebpf {
        &mut self.object
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
        self.listed.set(key, peers)
    }

    /// Makes the HMAC keys of a slot these, by their numbers.
    pub fn set_keys(&mut self, slot: SlotKey, keys: &[(u8, Key)]) -> Result<(), KernelError> {
        self.keyring.set(slot, keys)
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

    /// Runs a command that sets no timer up.
    pub fn command(&self, command: &Command) -> Result<(), KernelError> {
        match self.run(command)? {
            status::OK => Ok(()),
            other => Err(KernelError::Refused(other)),
        }
    }

    /// Lists the addresses of a slot that is master, and no others: while the fence is up, what comes for
    /// them is dropped.
    pub fn fence(
        &mut self,
        key: SlotKey,
        slot: u32,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<(), KernelError> {
        self.fences.set(key, slot, addresses)
    }

    /// Takes every address of a slot off the list.
    pub fn unfence(&mut self, key: SlotKey, slot: u32) -> Result<(), KernelError> {
        self.fences.set(key, slot, std::iter::empty())
    }

    /// The addresses that a slot's master holds, or held when its agent died.
    pub fn fenced(&self, slot: u32) -> Vec<IpAddr> {
        self.fences.held(slot)
    }

    /// Says that the driver turns.
    pub fn turned(&mut self, now: Instant) -> Result<(), KernelError> {
        self.fences.turned(now)
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
        let unlisted = self.listed.set(key, &[]);
        let locked = self.keyring.set(key, &[]);
        let forgotten = self.keyring.forget_senders(key);
        self.used.remove(&slot);
        self.first_free = self.first_free.min(slot);
        self.command(&Command {
            op: op::RELEASE,
            slot,
            ..Command::zeroed()
        })?;
        unlisted.and(locked).and(forgotten)
    }

    fn run(&self, command: &Command) -> Result<u32, KernelError> {
        let program = program(&self.object, names::PROG_COMMAND)?;
        let mut options = TestRunOptions::new();
        options.data_in = Some(bytemuck::bytes_of(command));
        program
            .test_run(options)
            .map(|result| result.return_value)
            .map_err(|source| KernelError::Program {
                name: names::PROG_COMMAND,
                source,
            })
    }
}

mod aya_log_level {
    pub(super) const OFF: &u8 = &0;
    pub(super) const DEBUG: &u8 = &4;
}

/// Whether this is a `PREEMPT_RT` kernel, by its own word.
fn is_realtime() -> bool {
    fs::read_to_string("/sys/kernel/realtime").is_ok_and(|text| text.trim() == "1")
}

/// A pipe is memory that the kernel must really find: it refills what `bpf_timer_init` looks at.
fn allocate_something() {
    drop(io::pipe());
}

fn load_program(object: &mut Ebpf, name: &'static str) -> Result<(), KernelError> {
    program_mut(object, name)?
        .load()
        .map_err(|source| KernelError::Program { name, source })
}

fn program_mut<'a>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, KernelError> {
    object
        .program_mut(name)
        .ok_or(KernelError::Missing(name))?
        .try_into()
        .map_err(|source| KernelError::Program { name, source })
}

fn program<'a>(object: &'a Ebpf, name: &'static str) -> Result<&'a Xdp, KernelError> {
    object
        .program(name)
        .ok_or(KernelError::Missing(name))?
        .try_into()
        .map_err(|source| KernelError::Program { name, source })
}

pub(super) fn map_error(name: &'static str) -> impl Fn(MapError) -> KernelError {
    move |source| KernelError::Map { name, source }
}

fn take(object: &mut Ebpf, name: &'static str) -> Result<Map, KernelError> {
    object.take_map(name).ok_or(KernelError::Missing(name))
}

fn take_array<T: bytemuck::Pod>(
    object: &mut Ebpf,
    name: &'static str,
) -> Result<Array<MapData, Raw<T>>, KernelError> {
    Array::try_from(take(object, name)?).map_err(|source| KernelError::Map { name, source })
}
