//! Where labs keep their files, and what is kept of them.

use std::fs;
use std::path::Path;

/// Where all labs keep their files.
pub(super) const ROOT: &str = "/run/ha-lab";

/// Copies the files of a directory into another, which is made.
pub(super) fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
