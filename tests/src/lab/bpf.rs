//! What another administrator's tools do to pinned links.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// `bpf(2)` commands and their numbers (linux/bpf.h).
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_LINK_DETACH: libc::c_long = 34;

/// The attributes of `BPF_OBJ_GET`.
#[repr(C)]
struct Get {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Detaches a pinned link, as `bpftool link detach` does.
pub fn detach_link(pin: &Path) -> Result<()> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let get = Get {
        path: path.as_ptr() as u64,
        fd: 0,
        flags: 0,
    };
    // SAFETY: the attributes are of the command's layout, and the path outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET, &raw const get, size_of::<Get>()) };
    ensure!(fd >= 0, "{}: {}", pin.display(), io::Error::last_os_error());
    let fd = RawFd::try_from(fd).context("no descriptor")?;
    // SAFETY: the call has just made it, for nobody else.
    let link = unsafe { OwnedFd::from_raw_fd(fd) };
    let attributes = link.as_raw_fd();
    // SAFETY: the attributes are the link's descriptor alone.
    let done = unsafe { libc::syscall(libc::SYS_bpf, BPF_LINK_DETACH, &raw const attributes, 4) };
    ensure!(done == 0, "{}", io::Error::last_os_error());
    Ok(())
}
