//! Loading the object: its maps, over pinned ones if there are any; its command program; and the programs for
//! hooks, which are loaded when an interface first needs them.

use std::collections::HashMap;
use std::path::Path;

use aya::maps::{MapData, RingBuf};
use aya::programs::{SchedClassifier, Xdp};
use aya::{Ebpf, EbpfError, EbpfLoader};
use aya_obj::Object;
use ha_common::layout::names;

use super::error::{KernelError, errno, map_error, program_error};
use super::kernel::Kernel;
use super::programs::{tc_mut, xdp_mut};

/// The object that `cargo xtask build-ebpf` made.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ha-ebpf.o"));

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions<'a> {
    /// Where maps are pinned, and found again; a bpffs. `None`: they die with the agent.
    pub pin_dir: Option<&'a Path>,
    /// Room for this many virtual routers.
    pub max_slots: u32,
    /// Room for this many addresses of masters.
    pub max_held: u32,
    /// Whether the programs log rejected adverts through aya-log.
    pub debug: bool,
    /// No kernel timers: to try the watchdog.
    pub no_timer: bool,
}

/// The kernel half, in parts that go to different owners.
pub struct Loaded {
    /// Maps and commands.
    pub kernel: Kernel,
    /// Events.
    pub rings: Rings,
    /// What is attached to interfaces.
    pub programs: Programs,
}

/// The rings of `ha_common::layout::Event`.
pub struct Rings {
    /// Deadlines that passed. Nothing that others send gets in here.
    pub deadlines: RingBuf<MapData>,
    /// Adverts and claims.
    pub events: RingBuf<MapData>,
}

/// What a map is made of: its type's number (`enum bpf_map_type` of `linux/bpf.h`), and the sizes of its keys and values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    pub kind: u32,
    /// Bytes of a key.
    pub key: u32,
    /// Bytes of a value.
    pub value: u32,
}

/// The object's maps, by name.
///
/// # Errors
/// If the object cannot be read.
pub fn shapes() -> Result<HashMap<String, Shape>, KernelError> {
    let object = Object::parse(OBJECT).map_err(EbpfError::ParseError)?;
    let shape = |map: &aya_obj::Map| Shape {
        kind: map.map_type(),
        key: map.key_size(),
        value: map.value_size(),
    };
    let maps = object.maps.iter();
    Ok(maps.map(|(name, map)| (name.clone(), shape(map))).collect())
}

/// Loads it. That works only where the command program, which has the timers, is accepted.
pub fn load(options: LoadOptions<'_>) -> Result<Loaded, KernelError> {
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
    let kernel = Kernel::of(&mut object, options.no_timer)?;
    let rings = Rings {
        deadlines: take_ring(&mut object, names::MAP_DEADLINES)?,
        events: take_ring(&mut object, names::MAP_EVENTS)?,
    };
    Ok(Loaded {
        kernel,
        rings,
        programs: Programs { object },
    })
}

mod aya_log_level {
    pub(super) const OFF: &u8 = &0;
    pub(super) const DEBUG: &u8 = &4;
}

fn take_ring(object: &mut Ebpf, name: &'static str) -> Result<RingBuf<MapData>, KernelError> {
    let map = object.take_map(name).ok_or(KernelError::Missing(name))?;
    RingBuf::try_from(map).map_err(map_error(name))
}

/// The programs for hooks.
#[derive(Debug)]
pub struct Programs {
    object: Ebpf,
}

impl Programs {
    /// A program for the tc hooks, loaded.
    pub fn tc(&mut self, name: &'static str) -> Result<&mut SchedClassifier, KernelError> {
        let program = tc_mut(&mut self.object, name)?;
        // A file descriptor is there if it is loaded.
        if program.fd().is_err() {
            program.load().map_err(program_error(name))?;
        }
        Ok(program)
    }

    /// The receive program for XDP, loaded: the one that takes frames of several buffers, where the kernel has them.
    pub fn xdp(&mut self) -> Result<&mut Xdp, KernelError> {
        let mut name = names::PROG_RECEIVE;
        if let Err(error) = self.load_xdp(name) {
            // What kernels before 5.18 say of the flag; anything else is another's fault.
            if errno(&error) != Some(libc::EINVAL) {
                return Err(error);
            }
            name = names::PROG_RECEIVE_LINEAR;
            self.load_xdp(name)?;
        }
        xdp_mut(&mut self.object, name)
    }

    fn load_xdp(&mut self, name: &'static str) -> Result<(), KernelError> {
        let program = xdp_mut(&mut self.object, name)?;
        if program.fd().is_err() {
            program.load().map_err(program_error(name))?;
        }
        Ok(())
    }

    /// The loaded object, for what has no method here.
    pub fn object_mut(&mut self) -> &mut Ebpf {
        &mut self.object
    }
}
