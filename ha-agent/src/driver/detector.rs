//! A virtual router's detector: its slot, in the kernel or in the agent, and what it is told.

use std::net::IpAddr;

use bytemuck::Zeroable as _;
use ha_common::accept::{AcceptFrom, TtlRange};
use ha_common::address::RawAddress;
use ha_common::address::raw;
use ha_common::election::{Detector as Part, Rules};
use ha_common::hmac::HmacPolicy;
use ha_common::layout::{Command, Slot, SlotKey, flags, op, state};
use ha_common::units::{Instant, Version};
use ha_common::wire::message_sum::AddressHash;
use ha_common::wire::numbers::{AUTH_NONE, AUTH_PASS};

use super::counted::Counted;
use crate::config::model::{Auth, Hmac, Instance as Config, Transport};
use crate::datapath::error::KernelError;
use crate::datapath::kernel::{Kernel, Timer};
use crate::datapath::socket_slot::SocketSlot;

use crate::os::clock;

/// Where the slot is.
#[derive(Debug)]
pub(crate) enum SlotBackend {
    /// In the kernel's map, at this index.
    KernelMap(u32),
    /// Here.
    Socket(Box<SocketSlot>),
}

/// The detector of one instance.
#[derive(Debug)]
pub(crate) struct Detector {
    /// Where its slot is.
    pub(crate) backend: SlotBackend,
    /// Which virtual router.
    pub(crate) key: SlotKey,
    /// Who keeps the deadline.
    pub(crate) timer: Timer,
    /// Of the slot's present life: events of another are stale.
    pub(crate) generation: u32,
    /// The next event's sequence, to see gaps.
    pub(crate) sequence: u64,
    /// What it was configured with last, and told since.
    pub(crate) configured: Command,
    /// The part that it was told last (`state`), or that it had.
    pub(crate) told: u8,
    /// When this use of the slot began: what happened before is another life's, whatever its generation.
    pub(crate) since: Instant,
    /// Since when this agent counts by the slot, and what it had counted before.
    pub(crate) counted_since: (Instant, Counted),
    /// The own priority that stood in the slot before this use configured it: an earlier life's if that was master.
    pub(crate) earlier_priority: u8,
    /// Whether the kernel half has made a master of the slot before the election has said so.
    pub(crate) taken_over: bool,
    /// The MAC that answers for our addresses; zeros: none.
    pub(crate) own_mac: [u8; 6],
    /// Whether adverts end in the program.
    pub(crate) consume: bool,
}

impl Detector {
    /// Goes on counting from where the detector counted that this one replaces, if both have the same slot.
    pub(crate) fn counts_on(&mut self, replaced: &Self) {
        if let (SlotBackend::KernelMap(slot), SlotBackend::KernelMap(old)) =
            (&self.backend, &replaced.backend)
            && slot == old
        {
            self.counted_since = replaced.counted_since;
        }
    }

    /// The slot as it stands.
    pub(crate) fn slot(&self, kernel: Option<&Kernel>) -> Option<Slot> {
        match (&self.backend, kernel) {
            (SlotBackend::KernelMap(slot), Some(kernel)) => kernel.slot(*slot).ok(),
            (SlotBackend::KernelMap(_), None) => None,
            (SlotBackend::Socket(soft), _) => Some(*soft.slot()),
        }
    }

    /// Configures the slot by the detector's rules; its state stays.
    pub(crate) fn configure(
        &mut self,
        kernel: Option<&mut Kernel>,
        config: &Config,
        rules: &Rules,
        now: Instant,
    ) -> Result<(), KernelError> {
        let command = Command {
            op: op::CONFIGURE,
            generation: self.generation,
            flags: self.flags(rules),
            own_mac: self.own_mac,
            gate: config
                .hmac
                .as_ref()
                .map_or_else(HmacPolicy::default, |hmac| hmac.gate(clock::utc_at_zero())),
            ..configuration(self.key, config, rules)
        };
        self.configured = command;
        let keys = config.hmac.as_ref().map(Hmac::ring).unwrap_or_default();
        // Before the slot: it must not be unicast and know no peer, nor ask for a key that it lacks.
        let peers = listed(config);
        match (&mut self.backend, kernel) {
            (SlotBackend::KernelMap(slot), Some(kernel)) => {
                let lists = kernel
                    .list_peers(self.key, &peers)
                    .and(kernel.set_keys(self.key, &keys));
                // Also if a list is incomplete: a gate that stays open, or an old priority, would be worse.
                self.timer = kernel.configure(&Command {
                    slot: *slot,
                    ..command
                })?;
                self.sequence = kernel.slot(*slot)?.events;
                return lists;
            }
            (SlotBackend::KernelMap(_), None) => {}
            (SlotBackend::Socket(soft), _) => {
                soft.list_peers(&peers);
                soft.set_keys(&keys);
                soft.command(&command, now.0);
            }
        }
        Ok(())
    }

    /// Sets the part that it plays.
    pub(crate) fn set(
        &mut self,
        kernel: Option<&Kernel>,
        part: Part,
        rules: &Rules,
        now: Instant,
    ) -> Result<(), KernelError> {
        if std::mem::take(&mut self.taken_over) && part == Part::Master {
            return Ok(());
        }
        self.generation = self.generation.wrapping_add(1);
        let (part, arm_for) = match part {
            Part::Idle => (state::IDLE, 0),
            Part::Backup { arm_for } => (state::BACKUP, arm_for.0),
            Part::Master => (state::MASTER, 0),
        };
        let command = Command {
            op: op::SET_STATE,
            generation: self.generation,
            state: part,
            arm_for,
            flags: self.flags(rules),
            own_priority: rules.priority.0,
            ..Command::zeroed()
        };
        match (&mut self.backend, kernel) {
            (SlotBackend::KernelMap(slot), Some(kernel)) => kernel.command(&Command {
                slot: *slot,
                ..command
            })?,
            (SlotBackend::KernelMap(_), None) => {}
            (SlotBackend::Socket(soft), _) => {
                soft.command(&command, now.0);
            }
        }
        self.told = part;
        (self.configured.flags, self.configured.own_priority) =
            (command.flags, command.own_priority);
        Ok(())
    }

    /// Makes a master of a slot in the kernel whose own master is dead, unless that was heard since `judged_at`, the
    /// slot's `last_heard` as it was when it was found dead: then false, and the slot is what it was. Anywhere else
    /// nothing can come between.
    pub(crate) fn take_over(
        &mut self,
        kernel: Option<&Kernel>,
        rules: &Rules,
        judged_at: u64,
    ) -> Result<bool, KernelError> {
        let (SlotBackend::KernelMap(slot), Some(kernel)) = (&self.backend, kernel) else {
            return Ok(true);
        };
        let generation = self.generation.wrapping_add(1);
        let command = Command {
            op: op::TAKE_OVER,
            slot: *slot,
            generation,
            judged_at,
            flags: self.flags(rules),
            own_priority: rules.priority.0,
            ..Command::zeroed()
        };
        let taken_over = kernel.take_over(&command)?;
        if taken_over {
            (self.configured.flags, self.configured.own_priority) =
                (command.flags, command.own_priority);
            self.generation = generation;
            self.taken_over = true;
            self.told = state::MASTER;
        }
        Ok(taken_over)
    }

    /// Lists these addresses for the fence: they pass only while the slot is master.
    pub(crate) fn fence(
        &self,
        kernel: Option<&mut Kernel>,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<(), KernelError> {
        match (&self.backend, kernel) {
            (SlotBackend::KernelMap(slot), Some(kernel)) => {
                kernel.fence(self.key, *slot, self.is_master(), addresses)
            }
            (SlotBackend::KernelMap(_) | SlotBackend::Socket(_), _) => Ok(()),
        }
    }

    /// Whether a slot in the kernel's map has another configuration than it was given.
    pub(crate) fn is_overwritten(&self, slot: &Slot) -> bool {
        let in_kernel = matches!(self.backend, SlotBackend::KernelMap(_));
        in_kernel && !ha_common::slot::is_configured(slot, &self.configured)
    }

    /// Looks whether what the slot needs beside it is in the kernel's maps, and writes again what is not: what was not.
    pub(crate) fn audit(
        &self,
        kernel: Option<&mut Kernel>,
        turn: usize,
    ) -> Result<Vec<&'static str>, KernelError> {
        match (&self.backend, kernel) {
            (SlotBackend::KernelMap(slot), Some(kernel)) => kernel.audit(self.key, *slot, turn),
            (SlotBackend::KernelMap(_) | SlotBackend::Socket(_), _) => Ok(Vec::new()),
        }
    }

    /// Whether the slot was told to be a master's.
    pub(crate) fn is_master(&self) -> bool {
        self.told == state::MASTER
    }

    fn flags(&self, rules: &Rules) -> u32 {
        let mut bits = flags::FENCE;
        if self.consume {
            bits |= flags::CONSUME;
        }
        if rules.preempt {
            bits |= flags::PREEMPT;
        }
        bits
    }

    /// The addresses that the kernel half has listed: after a crash, those of the earlier agent.
    pub(crate) fn held(&self, kernel: Option<&Kernel>) -> Vec<IpAddr> {
        match (&self.backend, kernel) {
            (SlotBackend::KernelMap(slot), Some(kernel)) => kernel.fenced(*slot),
            (SlotBackend::KernelMap(_) | SlotBackend::Socket(_), _) => Vec::new(),
        }
    }

    /// True if the deadline is kept by the kernel.
    pub(crate) fn has_kernel_timer(&self) -> bool {
        matches!(
            (&self.backend, self.timer),
            (SlotBackend::KernelMap(_), Timer::Kernel)
        )
    }
}

/// What a slot is configured with; operation, generation and flags are the caller's.
pub fn configuration(key: SlotKey, config: &Config, rules: &Rules) -> Command {
    let (auth_type, auth_data) = match (config.version, config.auth) {
        (Version::V2, Auth::Pass(password)) => (AUTH_PASS, password),
        (Version::V2, Auth::None) | (Version::V3, _) => (AUTH_NONE, [0; 8]),
    };
    Command {
        ifindex: key.ifindex,
        vrid: key.vrid,
        family: key.family,
        version: config.version as u8,
        own_priority: rules.priority.0,
        own_interval: rules.interval.0,
        own_hash: list_hash(config),
        own_address: raw(rules.own_address),
        own_count: u8::try_from(config.addresses.len()).unwrap_or(u8::MAX),
        channel: channel(config),
        auth_type,
        auth_data,
        down_multiplier: rules.down_multiplier,
        ..Command::zeroed()
    }
}

fn channel(config: &Config) -> AcceptFrom {
    match &config.transport {
        Transport::Multicast { group } => AcceptFrom::multicast(raw(*group)),
        Transport::Unicast(unicast) => AcceptFrom::unicast(unicast.peer_ttl, unicast.check_source),
    }
}

/// The peers that a unicast slot hears, as the maps hold them.
fn listed(config: &Config) -> Vec<(RawAddress, TtlRange)> {
    match &config.transport {
        Transport::Multicast { .. } => Vec::new(),
        Transport::Unicast(unicast) => unicast
            .peers
            .iter()
            .map(|peer| (raw(peer.address), peer.ttl))
            .collect(),
    }
}

/// The hash of the configured list, to compare with what peers list.
pub(crate) fn list_hash(config: &Config) -> u64 {
    let addresses = config.virtual_addresses().map(raw);
    AddressHash::of(config.family, addresses).0
}

/// The addresses as the wire and the maps hold them.
pub(crate) fn raw_list(config: &Config) -> Vec<RawAddress> {
    config.virtual_addresses().map(raw).collect()
}
