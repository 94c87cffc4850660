//! A loaded object with its maps open, frames sent into it, and events awaited from it.

use std::collections::HashMap as StdHashMap;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant as StdInstant};

use aya::maps::{Array, HashMap, Map, MapData, MapInfo, PerCpuArray};
use aya::programs::{ProgramError, ProgramInfo, TestRun as _, TestRunOptions, TestRunResult};
use bytemuck::Zeroable as _;
use ha_agent::datapath::kernel::{Kernel, Timer};
use ha_agent::datapath::object::{self, LoadOptions, Programs, Rings};
use ha_common::accept::TtlRange;
use ha_common::address::RawAddress;
use ha_common::layout::{
    Command, Counter, Event, FenceKey, Meta, PeerKey, PeerStats, Slot, SlotKey, flags, names, op,
};
use ha_common::timing::DEFAULT_DOWN_MULTIPLIER;
use ha_tests::vectors::build::Frame;
use ha_tests::vectors::{Receiver, VRID, raw};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::{HOOK, Hook};

/// The loopback device of every network namespace.
pub(crate) const LOOPBACK: u32 = 1;
/// How long an event may take to come, on a machine that does other things besides.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Long enough for an event that must not come to have come, since events are pushed synchronously.
pub(crate) const NOTHING: Duration = Duration::ZERO;

const PEER_KEY: usize = size_of::<PeerKey>();
const PEER_STATS: usize = size_of::<PeerStats>();
const META: usize = size_of::<Meta>();
const FENCE_KEY: usize = size_of::<FenceKey>();

/// The frame ends here.
pub(crate) const DROP: u32 = 1;
/// The frame goes on.
pub(crate) const PASS: u32 = 2;

/// What the programs of the hooks return for the two: `enum xdp_action` of `linux/bpf.h`, `TC_ACT_SHOT` and
/// `TC_ACT_UNSPEC` of `linux/pkt_cls.h`.
fn verdict(hook: Hook, returned: u32) -> u32 {
    match (hook, returned) {
        (Hook::Xdp, 1) | (Hook::Tc | Hook::TcLayer3, 2) => DROP,
        (Hook::Xdp, 2) | (Hook::Tc | Hook::TcLayer3, u32::MAX) => PASS,
        (hook, other) => panic!("{hook:?} returned {other}"),
    }
}

/// The object in the kernel.
pub(crate) struct Lab {
    pub(crate) kernel: Kernel,
    pub(crate) programs: Programs,
    rings: Rings,
    counters: PerCpuArray<MapData, u64>,
    peers: HashMap<MapData, [u8; PEER_KEY], [u8; PEER_STATS]>,
    meta: Array<MapData, [u8; META]>,
    fence: HashMap<MapData, [u8; FENCE_KEY], u32>,
}

impl Lab {
    /// Room for 512 virtual routers.
    pub(crate) fn new() -> Self {
        Self::with_slots(512)
    }

    pub(crate) fn with_slots(max_slots: u32) -> Self {
        let loaded = object::load(LoadOptions {
            pin_dir: None,
            max_slots,
            max_held: 4096,
            debug: false,
            no_timer: false,
        })
        .unwrap_or_else(|error| panic!("{error}\n{error:?}"));
        let mut programs = loaded.programs;
        let mut open = |name, kind| open(&mut programs, name, kind);
        Self {
            counters: open(names::MAP_COUNTERS, Map::PerCpuArray)
                .try_into()
                .expect("counters"),
            peers: open(names::MAP_PEERS, Map::LruHashMap)
                .try_into()
                .expect("peers"),
            meta: open(names::MAP_META, Map::Array).try_into().expect("meta"),
            fence: open(names::MAP_FENCE, Map::HashMap)
                .try_into()
                .expect("fence"),
            rings: loaded.rings,
            kernel: loaded.kernel,
            programs,
        }
    }

    /// A virtual router of the corpus in slot 0, idle.
    pub(crate) fn receive_as(&mut self, receiver: Receiver) -> Timer {
        self.list_peers(receiver, &receiver.peers());
        self.configure(&command_for(receiver, 0, VRID))
    }

    /// Makes the list of a receiver's unicast peers this one.
    pub(crate) fn list_peers(&mut self, receiver: Receiver, peers: &[(RawAddress, TtlRange)]) {
        let key = SlotKey::new(LOOPBACK, receiver.family(), VRID);
        self.kernel.list_peers(key, peers).expect("list peers");
    }

    /// Configures a slot and publishes it.
    pub(crate) fn configure(&mut self, command: &Command) -> Timer {
        let timer = self.kernel.configure(command).expect("configure");
        let key = key_of(command);
        self.kernel.publish(key, command.slot).expect("publish");
        timer
    }

    /// Frees slot 0 of the receiver and forgets its peers.
    pub(crate) fn forget(&mut self, receiver: Receiver) {
        let key = SlotKey::new(LOOPBACK, receiver.family(), VRID);
        self.kernel.release(key, 0).expect("release");
        let peers: Vec<_> = self.peers.keys().flatten().collect();
        for peer in peers {
            self.peers.remove(&peer).expect("remove a peer");
        }
    }

    /// Runs a command that must succeed.
    pub(crate) fn command(&self, command: &Command) {
        self.kernel.command(command).expect("command");
    }

    /// Sets slot 0's state.
    pub(crate) fn set_state(&self, command: &Command, state: u8, arm_for: Duration) {
        self.command(&Command {
            op: op::SET_STATE,
            state,
            arm_for: u64::try_from(arm_for.as_nanos()).expect("short"),
            ..*command
        });
    }

    /// The verdict on a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) -> u32 {
        self.send_many(frame, 1).0
    }

    /// The verdict, and the time for each of many runs.
    pub(crate) fn send_many(&mut self, frame: &[u8], repeat: u32) -> (u32, Duration) {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.repeat = repeat;
        let result = program(&mut self.programs)(options);
        (verdict(HOOK, result.return_value), result.duration)
    }

    /// Sends each frame from two CPUs at once.
    pub(crate) fn send_twice_at_once(&mut self, frames: &[Vec<u8>]) {
        let program = program(&mut self.programs);
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for cpu in 0..2 {
                let start = &start;
                let run = &program;
                scope.spawn(move || {
                    let mut only = CpuSet::new();
                    only.set(cpu).expect("one of the first two");
                    sched_setaffinity(Pid::from_raw(0), &only).expect("two CPUs");
                    for frame in frames {
                        let mut options = TestRunOptions::new();
                        options.data_in = Some(frame);
                        start.wait();
                        run(options);
                    }
                });
            }
        });
    }

    /// The verdict on a frame that leaves.
    #[allow(dead_code, reason = "the XDP hook has no egress")]
    pub(crate) fn send_out(&mut self, frame: &[u8]) -> u32 {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        let program = self.programs.tc(names::PROG_EGRESS).expect("the program");
        let result = program.test_run(options).expect("a test run");
        verdict(Hook::Tc, result.return_value)
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot_at(0)
    }

    pub(crate) fn slot_at(&self, slot: u32) -> Slot {
        self.kernel.slot(slot).expect("slot")
    }

    /// Host-wide counters, summed over the CPUs.
    pub(crate) fn counters(&self) -> [u64; Counter::COUNT as usize] {
        let mut out = [0; Counter::COUNT as usize];
        for (index, total) in (0..).zip(&mut out) {
            let values = self.counters.get(&index, 0).expect("counter");
            *total = values.iter().sum();
        }
        out
    }

    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        self.counters()[counter as usize]
    }

    pub(crate) fn peers(&self) -> StdHashMap<PeerKey, PeerStats> {
        self.peers
            .iter()
            .flatten()
            .map(|(key, value)| {
                (
                    bytemuck::pod_read_unaligned(&key),
                    bytemuck::pod_read_unaligned(&value),
                )
            })
            .collect()
    }

    pub(crate) fn peer(&self, key: SlotKey, address: IpAddr) -> Option<PeerStats> {
        let key = PeerKey {
            slot: key,
            address: raw(address),
        };
        let key = <[u8; PEER_KEY]>::try_from(bytemuck::bytes_of(&key)).expect("its size");
        let value = self.peers.get(&key, 0).ok()?;
        Some(bytemuck::pod_read_unaligned(&value))
    }

    /// The next event, if one comes in time.
    pub(crate) fn event(&mut self, within: Duration) -> Option<Event> {
        let until = StdInstant::now() + within;
        loop {
            for ring in [&mut self.rings.deadlines, &mut self.rings.events] {
                if let Some(item) = ring.next() {
                    return Some(bytemuck::pod_read_unaligned(&item));
                }
            }
            let left = until.saturating_duration_since(StdInstant::now());
            if left.is_zero() {
                return None;
            }
            let rings = [self.rings.deadlines.as_fd(), self.rings.events.as_fd()];
            let mut fds = rings.map(|ring| PollFd::new(ring, PollFlags::POLLIN));
            let timeout = PollTimeout::try_from(left.as_millis() + 1).expect("short");
            poll(&mut fds, timeout).expect("poll");
        }
    }

    /// Everything that lies in the ring.
    pub(crate) fn drain(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.event(NOTHING)).collect()
    }

    /// Lists an address as fenced by a slot.
    pub(crate) fn fence(&mut self, address: IpAddr, slot: u32) {
        let key = FenceKey {
            ifindex: LOOPBACK,
            family: if address.is_ipv4() { 4 } else { 6 },
            pad: [0; 3],
            address: raw(address),
        };
        let key = <[u8; FENCE_KEY]>::try_from(bytemuck::bytes_of(&key)).expect("its size");
        self.fence.insert(key, slot, 0).expect("insert");
    }

    /// Takes every address off the list.
    pub(crate) fn unfence(&mut self) {
        let keys: Vec<_> = self.fence.keys().flatten().collect();
        for key in keys {
            self.fence.remove(&key).expect("remove");
        }
    }

    /// Says when the driver last turned.
    pub(crate) fn set_turned_at(&mut self, turned_at: u64) {
        self.edit_meta(|meta| meta.turned_at = turned_at);
    }

    fn edit_meta(&mut self, edit: impl FnOnce(&mut Meta)) {
        let mut meta: Meta = bytemuck::pod_read_unaligned(&self.meta.get(&0, 0).expect("meta"));
        edit(&mut meta);
        let meta = <[u8; META]>::try_from(bytemuck::bytes_of(&meta)).expect("its size");
        self.meta.set(0, meta, 0).expect("set");
    }

    /// The maps that the command program uses, by name.
    #[allow(dead_code, reason = "asked for at one hook only")]
    pub(crate) fn command_maps(&mut self) -> StdHashMap<String, MapInfo> {
        let program = self.programs.tc(names::PROG_COMMAND).expect("loaded");
        by_name(program.info())
    }

    /// The maps that the receive program uses, by name.
    #[allow(dead_code, reason = "asked for at one hook only")]
    pub(crate) fn maps(&mut self) -> StdHashMap<String, MapInfo> {
        maps(&mut self.programs)
    }
}

/// A slot's configuration for a receiver of the corpus, priority 90 and preempting.
pub(crate) fn command_for(receiver: Receiver, slot: u32, vrid: u8) -> Command {
    let like = receiver.slot();
    Command {
        slot,
        generation: 1,
        flags: flags::PREEMPT,
        own_address: like.own_address,
        channel: like.channel,
        auth_data: like.auth_data,
        ifindex: LOOPBACK,
        own_interval: like.own_interval,
        vrid,
        family: receiver.family() as u8,
        version: like.version,
        own_priority: 90,
        auth_type: like.auth_type,
        down_multiplier: DEFAULT_DOWN_MULTIPLIER,
        own_count: 1,
        ..Command::zeroed()
    }
}

pub(crate) fn key_of(command: &Command) -> SlotKey {
    SlotKey {
        ifindex: command.ifindex,
        family: command.family,
        vrid: command.vrid,
        pad: [0; 2],
    }
}

/// A valid frame, edited.
pub(crate) fn advert(receiver: Receiver, edit: impl FnOnce(&mut Frame)) -> Vec<u8> {
    let mut frame = receiver.valid();
    edit(&mut frame);
    frame.bytes()
}

/// Whether a test run of the hook takes this frame. At tc hooks the kernel refuses IP packets that end within their
/// header, which are never handed to the stack; whatever the hook, it takes nothing shorter than an Ethernet header.
pub(crate) fn is_runnable(frame: &[u8]) -> bool {
    let header = match (HOOK, frame.get(12..14)) {
        (_, None) => return false,
        (Hook::Tc | Hook::TcLayer3, Some([0x08, 0x00])) => 20,
        (Hook::Tc | Hook::TcLayer3, Some([0x86, 0xdd])) => 40,
        (_, Some(_)) => 0,
    };
    frame.len() >= 14 + header
}

/// `CLOCK_MONOTONIC`, as the kernel half reads it.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the clock");
    u64::try_from(Duration::from(time).as_nanos()).expect("this century")
}

/// Runs a program.
type Run<'a> = Box<dyn Fn(TestRunOptions<'_>) -> TestRunResult + Sync + 'a>;

/// The receive program of the hook under test.
fn program(programs: &mut Programs) -> Run<'_> {
    let name = match HOOK {
        Hook::Xdp => {
            let program = programs.xdp().unwrap_or_else(|error| panic!("{error:?}"));
            return Box::new(|options| program.test_run(options).expect("a test run"));
        }
        Hook::Tc => names::PROG_INGRESS,
        Hook::TcLayer3 => names::PROG_INGRESS_L3,
    };
    let program = programs
        .tc(name)
        .unwrap_or_else(|error| panic!("{error:?}"));
    Box::new(|options| program.test_run(options).expect("a test run"))
}

fn maps(programs: &mut Programs) -> StdHashMap<String, MapInfo> {
    let info = match HOOK {
        Hook::Xdp => programs
            .xdp()
            .unwrap_or_else(|error| panic!("{error:?}"))
            .info(),
        Hook::Tc => programs
            .tc(names::PROG_INGRESS)
            .unwrap_or_else(|error| panic!("{error:?}"))
            .info(),
        Hook::TcLayer3 => programs
            .tc(names::PROG_INGRESS_L3)
            .unwrap_or_else(|error| panic!("{error:?}"))
            .info(),
    };
    by_name(info)
}

fn by_name(info: Result<ProgramInfo, ProgramError>) -> StdHashMap<String, MapInfo> {
    info.expect("program info")
        .map_ids()
        .expect("map ids")
        .expect("Linux 4.15")
        .into_iter()
        .map(|id| {
            let info = MapInfo::from_id(id).expect("map info");
            (info.name_as_str().unwrap_or_default().to_owned(), info)
        })
        .collect()
}

fn open(programs: &mut Programs, name: &'static str, kind: fn(MapData) -> Map) -> Map {
    let maps = maps(programs);
    let info = maps
        .get(name)
        .unwrap_or_else(|| panic!("the receive program uses no {name}"));
    kind(MapData::from_id(info.id()).expect("the map"))
}
