//! Writing a cpio archive, the form in which a kernel takes its first file system.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// An archive in the making, of the format `newc` (Documentation/driver-api/early-userspace in Linux).
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    folders: Vec<String>,
    entries: u32,
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;

impl Archive {
    /// Adds a file, and the folders that it lies in.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let path = path.trim_start_matches('/');
        for (at, _) in path.match_indices('/') {
            self.folder(&path[..at])?;
        }
        self.entry(path, FILE | mode, content)
    }

    /// Adds a copy of a file of this machine.
    pub(super) fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let mode = fs::metadata(from)?.permissions().mode() & 0o777;
        self.file(path, mode, &content)
    }

    /// Adds an empty folder, once.
    pub(super) fn folder(&mut self, path: &str) -> Result<()> {
        let path = path.trim_start_matches('/').to_owned();
        if self.folders.contains(&path) {
            return Ok(());
        }
        self.entry(&path, FOLDER, &[])?;
        self.folders.push(path);
        Ok(())
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.bytes)
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entries += 1;
        let size = u32::try_from(content.len()).with_context(|| format!("{path} is too long"))?;
        let name_size = u32::try_from(path.len() + 1)?;
        // Inode, mode, owner, group, links, time, size, four device numbers, name size, checksum.
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            0,
            0,
            name_size,
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_brings_its_folders_along_once() {
        let mut archive = Archive::default();
        archive.file("/etc/a", 0o644, b"one").unwrap();
        archive.file("/etc/b", 0o644, b"two").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8(bytes).unwrap();
        let headers: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        let names = headers.iter().map(|at| {
            let name = &text[at + 110..];
            &name[..name.find('\0').unwrap()]
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["etc", "etc/a", "etc/b", "TRAILER!!!"]
        );
        // The mode of the first file, then the size of its content.
        let first = &text[headers[1]..];
        assert_eq!((&first[14..22], &first[54..62]), ("000081a4", "00000003"));
    }
}
