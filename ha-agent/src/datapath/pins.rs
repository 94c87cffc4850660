//! The directory in which maps and links outlive the agent.
//!
//! It must lie on a bpffs. Inside `ip netns exec` /sys is mounted anew and has none, so one is
//! mounted on the directory if need be. What another version of the agent left there is removed.
//!
//! One agent at a time may use it: a second one would take the first one's slots for leftovers.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use aya::maps::{Array, Map, MapData, MapInfo};
use ha_common::layout::{FenceKey, LAYOUT_VERSION, META_MAGIC, Meta, names};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{FsType, statfs};
use thiserror::Error;

use super::attach::{XdpLinks, close_filter, is_xdp_pin, pinned_interface};
use super::object::{self, Shape};
use super::raw::Raw;
use super::reader;
use crate::net::mac_filter;

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS: FsType = FsType(0xcafe_4a11);

/// Why nothing is pinned.
#[derive(Debug, Error)]
pub enum PinError {
    /// The directory is not there and cannot be made.
    #[error(
        "cannot create {path}: {source}; mount a bpffs above it (`mount -t bpf bpf /sys/fs/bpf`), or choose another \
         directory with --pin-dir"
    )]
    Create { path: PathBuf, source: io::Error },
    /// There is no bpffs and none can be mounted.
    #[error("{path} is not on a bpffs and none can be mounted there: {source}")]
    Mount { path: PathBuf, source: io::Error },
    /// Another process has the directory.
    #[error("another ha-agent uses the pins in {dir} and runs the virtual routers there")]
    Taken { dir: PathBuf },
    /// It cannot be told whether another process has the directory.
    #[error("cannot lock {path}: {source}")]
    Lock { path: PathBuf, source: io::Error },
    /// Pins of another version cannot be removed.
    #[error("cannot remove the stale pin {path}: {source}")]
    Stale { path: PathBuf, source: io::Error },
}

/// What was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// Nothing of ours.
    Nothing,
    /// The maps of this version.
    Ours,
    /// Pins of another version, or damaged ones: removed.
    Replaced,
}

/// A directory of pins that is ours until this is dropped.
///
/// The kernel keeps the lock, on the directory itself, and drops it with the process, however that dies.
#[derive(Debug)]
pub struct Claim {
    _dir: File,
}

/// How large the maps are to be.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Virtual routers: exactly this many.
    pub slots: u32,
    /// Addresses of masters: at least this many.
    pub held: u32,
}

/// A directory that is ready for pins.
#[derive(Debug)]
pub struct Prepared {
    pub claim: Claim,
    pub found: Found,
    /// The addresses that the pins listed which were removed.
    pub held: Vec<FenceKey>,
}

/// Makes the directory ready for pins, for this process alone.
pub fn prepare(dir: &Path, room: Room) -> Result<Prepared, PinError> {
    let create = |source| PinError::Create {
        path: dir.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(create)?;
    let claim = claim_on_bpffs(dir)?;
    let prepared = |found, held| Prepared { claim, found, held };
    if !names::PINNED.iter().any(|name| dir.join(name).exists()) {
        return Ok(prepared(Found::Nothing, Vec::new()));
    }
    if is_current(dir, room) {
        return Ok(prepared(Found::Ours, Vec::new()));
    }
    let held = held_before(dir);
    // A card resets when its program goes. The next one takes its place at once, with the new maps.
    remove_all(dir, XdpLinks::Keep)?;
    Ok(prepared(Found::Replaced, held))
}

/// What the pins in a directory list that is about to be emptied: nobody else would know of it. A list of another layout
/// cannot be read, and tells nothing.
pub fn held_before(dir: &Path) -> Vec<FenceKey> {
    reader::held(dir).unwrap_or_default()
}

/// Claims a directory of pins that is there already; `None` if there is none.
pub fn claim(dir: &Path) -> Result<Option<Claim>, PinError> {
    is_bpffs(dir).then(|| lock(dir)).transpose()
}

fn claim_on_bpffs(dir: &Path) -> Result<Claim, PinError> {
    // Held while mounting, so that of two agents only one mounts.
    let below = lock(dir)?;
    if is_bpffs(dir) {
        return Ok(below);
    }
    mount(
        Some("bpf"),
        dir,
        Some("bpf"),
        MsFlags::empty(),
        Some("mode=0700"),
    )
    .map_err(|errno| PinError::Mount {
        path: dir.to_owned(),
        source: errno.into(),
    })?;
    lock(dir)
}

fn lock(dir: &Path) -> Result<Claim, PinError> {
    let failed = |source| PinError::Lock {
        path: dir.to_owned(),
        source,
    };
    let file = File::open(dir).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Claim { _dir: file }),
        Err(TryLockError::WouldBlock) => Err(PinError::Taken {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Where links are pinned.
#[derive(Clone, Debug)]
pub struct PinnedLinks {
    pub dir: PathBuf,
    /// What becomes of programs in XDP that earlier agents left on interfaces that are not in use.
    pub strangers: XdpLinks,
}

impl PinnedLinks {
    /// Those in a directory in which this was found. A program of another version still has the maps of its agent,
    /// which may have died as a master: it would fence addresses that are no longer that agent's.
    pub fn of(dir: &Path, found: Found) -> Self {
        Self {
            dir: dir.to_owned(),
            strangers: match found {
                Found::Replaced => XdpLinks::Remove,
                Found::Nothing | Found::Ours => XdpLinks::Keep,
            },
        }
    }
}

/// Removes every pin of ours, and says how many there were; links go with their programs.
pub fn remove_all(dir: &Path, xdp: XdpLinks) -> Result<usize, PinError> {
    // A directory that cannot be read has nothing of ours.
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(0);
    };
    for (ifindex, group) in reader::groups(dir) {
        // An interface that is gone, or has no filter, has nothing to close.
        let _ = mac_filter::close_group(ifindex, group);
    }
    let mut removed = 0;
    for path in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_pin(path) && !(xdp == XdpLinks::Keep && is_xdp_pin(path)))
    {
        if let Some(ifindex) = pinned_interface(&path) {
            close_filter(ifindex);
        }
        fs::remove_file(&path).map_err(|source| PinError::Stale { path, source })?;
        removed += 1;
    }
    Ok(removed)
}

/// Whether the directory lies on a bpffs.
fn is_bpffs(dir: &Path) -> bool {
    statfs(dir).is_ok_and(|stat| stat.filesystem_type() == BPF_FS)
}

/// Only what we name is ours to remove.
fn is_pin(path: &Path) -> bool {
    pinned_interface(path).is_some()
        || path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| names::PINNED.contains(&name))
}

fn is_current(dir: &Path, room: Room) -> bool {
    let meta = read_meta(&dir.join(names::MAP_META));
    meta.is_some_and(|meta| meta.magic == META_MAGIC && meta.version == LAYOUT_VERSION)
        && has_shapes(dir)
        && entries(dir, names::MAP_SLOTS) == room.slots
        && entries(dir, names::MAP_FENCE) >= room.held
}

/// Whether every map is there, and of the type and the sizes that the object declares. Whoever opens a pin is given
/// whatever lies there.
fn has_shapes(dir: &Path) -> bool {
    let Ok(shapes) = object::shapes() else {
        return false;
    };
    names::PINNED.iter().all(|name| {
        let found = pinned(dir, name).and_then(|info| {
            Some(Shape {
                kind: info.map_type().ok()? as u32,
                key: info.key_size(),
                value: info.value_size(),
            })
        });
        found.is_some() && found == shapes.get(*name).copied()
    })
}

fn entries(dir: &Path, name: &str) -> u32 {
    pinned(dir, name).map_or(0, |info| info.max_entries())
}

fn pinned(dir: &Path, name: &str) -> Option<MapInfo> {
    MapInfo::from_pin(dir.join(name)).ok()
}

fn read_meta(path: &Path) -> Option<Meta> {
    let map = Map::Array(MapData::from_pin(path).ok()?);
    let array: Array<MapData, Raw<Meta>> = Array::try_from(map).ok()?;
    array.get(&0, 0).ok().map(|raw| raw.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_pins_has_one_user_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let second = lock(dir.path()).unwrap_err();
        assert!(matches!(second, PinError::Taken { .. }), "{second}");
        drop(first);
        lock(dir.path()).unwrap();
    }

    #[test]
    fn where_there_is_no_bpffs_there_is_nothing_to_claim() {
        let dir = tempfile::tempdir().unwrap();
        assert!(claim(dir.path()).unwrap().is_none());
        assert!(claim(&dir.path().join("missing")).unwrap().is_none());
    }
}
