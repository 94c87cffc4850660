//! Captured frames as a file that other programs read.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use ha_common::units::NANOS_PER_SECOND;

use super::capture::Frame;

/// Time stamps in nanoseconds, in this machine's byte order.
const MAGIC: u32 = 0xa1b2_3c4d;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
/// No frame of the lab is longer.
const LONGEST: u32 = 65_535;

/// Writes a file of the classic format, version 2.4. Its times are those of the lab's clock.
pub fn write(path: &Path, frames: &[Frame]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    file.write_all(&MAGIC.to_ne_bytes())?;
    file.write_all(&2_u16.to_ne_bytes())?;
    file.write_all(&4_u16.to_ne_bytes())?;
    for word in [0, 0, LONGEST, ETHERNET] {
        file.write_all(&word.to_ne_bytes())?;
    }
    for frame in frames {
        let seconds = u32::try_from(frame.at.0 / NANOS_PER_SECOND)?;
        let nanoseconds = u32::try_from(frame.at.0 % NANOS_PER_SECOND)?;
        let length = u32::try_from(frame.bytes.len())?;
        for word in [seconds, nanoseconds, length, length] {
            file.write_all(&word.to_ne_bytes())?;
        }
        file.write_all(&frame.bytes)?;
    }
    file.flush()
        .with_context(|| format!("cannot write {}", path.display()))
}
