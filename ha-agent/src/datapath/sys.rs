//! Commands of bpf(2) that aya does not have, or not for an agent that is not root.
//!
//! aya looks programs up by their identifiers, which takes `CAP_SYS_ADMIN`, where a descriptor or the identifiers alone
//! do; it runs a program only through the object that has it, which belongs to the thread that attaches; and it writes
//! one entry of a map at a time.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use bytemuck::Pod;

use crate::net::tc_filter::Hook;

/// Commands and their numbers, and types of attachment (`linux/bpf.h`).
const BPF_PROG_TEST_RUN: libc::c_long = 10;
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_MAP_UPDATE_BATCH: libc::c_long = 26;
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

/// The attributes of `BPF_MAP_UPDATE_BATCH`.
#[repr(C)]
#[derive(Default)]
struct Batch {
    first: u64,
    next: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: i32,
    element_flags: u64,
    flags: u64,
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

/// Writes entries of a hash map by one call (kernel 5.6): how many of them, from the first on. The next one was refused, or
/// the kernel cannot do this.
pub(super) fn update_together<K: Pod, V: Pod>(
    map: BorrowedFd<'_>,
    keys: &[K],
    values: &[V],
) -> usize {
    let Ok(count) = u32::try_from(keys.len().min(values.len())) else {
        return 0;
    };
    let mut batch = Batch {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count,
        map: map.as_raw_fd(),
        ..Batch::default()
    };
    // SAFETY: the attributes are of the command's layout. The map's keys and values have these types, which whoever has
    // its descriptor answers for; there are as many as the attributes say, and the kernel only reads them.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_UPDATE_BATCH,
            &raw mut batch,
            size_of::<Batch>(),
        )
    };
    // A call that is refused at once leaves the count as it was.
    if done != 0 && batch.count >= count {
        return 0;
    }
    usize::try_from(batch.count).unwrap_or(0)
}
