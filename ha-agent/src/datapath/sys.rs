//! Two commands of bpf(2) as an agent can use them that is not root.
//!
//! aya looks programs up by their identifiers, which takes `CAP_SYS_ADMIN`, where a descriptor or the identifiers alone
//! do; and it runs a program only through the object that has it, which belongs to the thread that attaches.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use crate::net::tc_filter::Hook;

/// Commands and their numbers, and types of attachment (`linux/bpf.h`).
const BPF_PROG_TEST_RUN: libc::c_long = 10;
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;

/// The first attributes of `BPF_PROG_TEST_RUN`.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: i32,
    returned: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

/// The attributes of `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct Query {
    ifindex: u32,
    kind: u32,
    flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    pad: u32,
    program_flags: u64,
    links: u64,
    link_flags: u64,
    revision: u64,
}

/// Runs a program once over a packet: what it returned.
pub(super) fn test_run(program: BorrowedFd<'_>, packet: &[u8]) -> io::Result<u32> {
    let mut run = TestRun {
        program: program.as_raw_fd(),
        size_in: u32::try_from(packet.len()).map_err(io::Error::other)?,
        data_in: packet.as_ptr() as u64,
        repeat: 1,
        ..TestRun::default()
    };
    // SAFETY: the attributes are of the command's layout, and the packet, which the kernel only reads, outlives it.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_TEST_RUN,
            &raw mut run,
            size_of::<TestRun>(),
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(run.returned)
}

/// Identifiers of the programs of a tcx hook, in the order in which they run (kernel 6.6).
pub(super) fn tcx_programs(ifindex: u32, hook: Hook) -> io::Result<Vec<u32>> {
    // As many as the kernel lets a hook have.
    let mut identifiers = vec![0_u32; 64];
    let mut query = Query {
        ifindex,
        kind: match hook {
            Hook::Ingress => BPF_TCX_INGRESS,
            Hook::Egress => BPF_TCX_EGRESS,
        },
        programs: identifiers.as_mut_ptr() as u64,
        count: 64,
        ..Query::default()
    };
    // SAFETY: the attributes are of the command's layout, and the list has as much room as they say.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_QUERY,
            &raw mut query,
            size_of::<Query>(),
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    identifiers.truncate(usize::try_from(query.count).map_err(io::Error::other)?);
    Ok(identifiers)
}
