//! The LLVM libraries that bpf-linker links.

use std::path::PathBuf;
use std::process::Command;

use super::apt;
use crate::process;

/// The folder of an installed LLVM with this major version, fit for `LLVM_PREFIX`.
pub(crate) fn prefix(major: u32) -> Option<PathBuf> {
    let packaged = PathBuf::from(format!("/usr/lib/llvm-{major}"));
    if packaged.join("bin/llvm-config").exists() && packaged.join("include/llvm-c").exists() {
        return Some(packaged);
    }
    let version = process::output(Command::new("llvm-config").arg("--version")).ok()?;
    if version.split('.').next() != Some(major.to_string().as_str()) {
        return None;
    }
    let prefix = process::output(Command::new("llvm-config").arg("--prefix")).ok()?;
    Some(PathBuf::from(prefix.trim()))
}

/// The Debian package that has it.
pub(crate) fn package(major: u32) -> String {
    format!("llvm-{major}-dev")
}

/// Whether it is installed or can be.
pub(crate) fn is_obtainable(major: u32) -> bool {
    prefix(major).is_some() || (apt::exists() && apt::offers(&package(major)))
}
