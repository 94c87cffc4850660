//! What aya has no words for: what another administrator's tools do to pinned links, and a program of two
//! instructions to measure others by.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// `bpf(2)` commands and their numbers (linux/bpf.h).
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_PROG_TEST_RUN: libc::c_long = 10;
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

/// A program that returns a number and does nothing else.
#[derive(Debug)]
pub struct PassOnly(OwnedFd);

/// The first attributes of `BPF_PROG_LOAD`; those behind them are zero.
#[repr(C)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
}

/// The first attributes of `BPF_PROG_TEST_RUN`.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    returned: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    /// Nanoseconds for each run.
    duration: u32,
}

impl PassOnly {
    /// One of type `BPF_PROG_TYPE_XDP`, which returns `XDP_PASS`.
    pub fn xdp() -> Result<Self> {
        Self::load(6, 2)
    }

    /// One of type `BPF_PROG_TYPE_SCHED_CLS`, which returns `TC_ACT_UNSPEC`.
    pub fn tc() -> Result<Self> {
        Self::load(3, -1)
    }

    fn load(kind: u32, returned: i32) -> Result<Self> {
        // r0 = returned; exit
        let [a, b, c, d] = returned.to_le_bytes();
        let code: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, a, b, c, d], [0x95, 0, 0, 0, 0, 0, 0, 0]];
        let license = c"GPL";
        let load = Load {
            kind,
            instructions: 2,
            code: code.as_ptr() as u64,
            license: license.as_ptr() as u64,
        };
        // SAFETY: the attributes are of the command's layout, and what they point to outlives the call.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_PROG_LOAD,
                &raw const load,
                size_of::<Load>(),
            )
        };
        ensure!(fd >= 0, "{}", io::Error::last_os_error());
        let fd = RawFd::try_from(fd).context("no descriptor")?;
        // SAFETY: the call has just made it, for nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The time that each of so many runs over a frame takes.
    pub fn time(&self, frame: &[u8], repeat: u32) -> Result<Duration> {
        let mut run = TestRun {
            program: self.0.as_raw_fd().cast_unsigned(),
            size_in: u32::try_from(frame.len())?,
            data_in: frame.as_ptr() as u64,
            repeat,
            ..TestRun::default()
        };
        // SAFETY: the attributes are of the command's layout, and the frame outlives the call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_PROG_TEST_RUN,
                &raw mut run,
                size_of::<TestRun>(),
            )
        };
        ensure!(done == 0, "{}", io::Error::last_os_error());
        Ok(Duration::from_nanos(run.duration.into()))
    }
}
