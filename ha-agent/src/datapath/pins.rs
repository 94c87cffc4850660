//! The directory in which maps and links outlive the agent.
//!
//! It must lie on a bpffs. Inside `ip netns exec` /sys is mounted anew and has none, so one is
//! mounted on the directory if need be. What another version of the agent left there is removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{Array, Map, MapData};
use ha_common::layout::{LAYOUT_VERSION, META_MAGIC, Meta, names};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{FsType, statfs};
use thiserror::Error;

use super::raw::Raw;

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS: FsType = FsType(0xcafe_4a11);

/// Why nothing is pinned.
#[derive(Debug, Error)]
pub enum PinError {
    /// The directory is not there and cannot be made.
    #[error("cannot create {path}: {source}; choose another with --pin-dir")]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no bpffs and none can be mounted.
    #[error("{path} is not on a bpffs and none can be mounted there: {source}")]
    Mount {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Pins of another version cannot be removed.
    #[error("cannot remove the stale pin {path}: {source}")]
    Stale {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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

/// Makes the directory ready for pins.
pub fn prepare(dir: &Path, max_slots: u32) -> Result<Found, PinError> {
    let create = |source| PinError::Create {
        path: dir.to_owned(),
        source,
    };
    fs::create_dir_all(dir).map_err(create)?;
    if !is_bpffs(dir) {
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
    }
    if !names::PINNED.iter().any(|name| dir.join(name).exists()) {
        return Ok(Found::Nothing);
    }
    if is_current(dir, max_slots) {
        return Ok(Found::Ours);
    }
    remove_all(dir)?;
    Ok(Found::Replaced)
}

/// Removes every pin of ours; links go with their programs.
pub fn remove_all(dir: &Path) -> Result<(), PinError> {
    // A directory that cannot be read has nothing of ours.
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(());
    };
    for path in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_pin(path))
    {
        fs::remove_file(&path).map_err(|source| PinError::Stale { path, source })?;
    }
    Ok(())
}

/// Whether the directory lies on a bpffs.
pub fn is_bpffs(dir: &Path) -> bool {
    statfs(dir).is_ok_and(|stat| stat.filesystem_type() == BPF_FS)
}

/// Only what we name is ours to remove.
fn is_pin(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| {
            names::PINNED.contains(&name) || name.starts_with(super::attach::PIN_PREFIX)
        })
}

fn is_current(dir: &Path, max_slots: u32) -> bool {
    let Some(meta) = read_meta(&dir.join(names::MAP_META)) else {
        return false;
    };
    let slots = MapData::from_pin(dir.join(names::MAP_SLOTS)).and_then(|map| map.info());
    let right_size = slots.is_ok_and(|info| info.max_entries() == max_slots);
    let complete = names::PINNED.iter().all(|name| dir.join(name).exists());
    meta.magic == META_MAGIC && meta.version == LAYOUT_VERSION && right_size && complete
}

fn read_meta(path: &Path) -> Option<Meta> {
    let map = Map::Array(MapData::from_pin(path).ok()?);
    let array: Array<MapData, Raw<Meta>> = Array::try_from(map).ok()?;
    array.get(&0, 0).ok().map(|raw| raw.0)
}
