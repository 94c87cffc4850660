//! What a command does not get of the agent: its real-time limits, its locked memory, its place before the
//! OOM killer, its capabilities and its user.
//!
//! `setuid` takes away none of these but capabilities, and not even those where the command's user is the
//! agent's own. So each command gives them up by itself, between fork and exec, before it becomes its user.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{read, setgid, setgroups, setuid, write};
use rustix::process::{
    DumpableBehavior, getpriority_process, set_dumpable_behavior, setpriority_process,
};
use rustix::thread::{CapabilitySet, capabilities, clear_ambient_capability_set, set_capabilities};

use super::user::Identity;
use crate::os::descriptors;

/// Bytes that a command may lock in memory: the kernel's own default (Linux 5.16).
const LOCKED: u64 = 8 << 20;

/// Makes `command` give up what is the agent's, and then become that user; `None` is the agent's own.
pub(super) fn confine(command: &mut Command, identity: Option<&Identity>) {
    let identity = identity.cloned();
    let descriptors = descriptors::inherited();
    let give_up = move || {
        leave_real_time()?;
        limit(descriptors)?;
        // While /proc/self is still this user's to write.
        be_killed_like_others()?;
        if let Some(Identity { uid, gid, groups }) = &identity {
            // Groups first: after setuid nobody may change them any more.
            setgroups(groups)?;
            setgid(*gid)?;
            setuid(*uid)?;
        }
        pass_no_capabilities()?;
        Ok::<(), io::Error>(())
    };
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed. All
    // that it makes are system calls, in a process of one thread, which the child is; it touches only values
    // that were moved into it, and neither allocates nor locks.
    unsafe { command.pre_exec(give_up) };
}

/// An ordinary thread of ordinary niceness, also where the whole agent was started as something better.
fn leave_real_time() -> io::Result<()> {
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: takes no pointer, and 0 means the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    // SAFETY: the parameters live for the call, and 0 means the calling thread.
    let set = || unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary) };
    let is_better = matches!(
        policy & !libc::SCHED_RESET_ON_FORK,
        libc::SCHED_FIFO | libc::SCHED_RR | libc::SCHED_DEADLINE
    );
    if policy < 0 || (is_better && set() != 0) {
        return Err(io::Error::last_os_error());
    }
    if getpriority_process(None)? < 0 {
        setpriority_process(None, 0)?;
    }
    Ok(())
}

/// No real-time priority, no core, little locked memory, and as many descriptors as the agent was started with. Limits only
/// ever become lower.
fn limit(descriptors: Option<u64>) -> nix::Result<()> {
    if let Some(inherited) = descriptors {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(inherited), hard)?;
    }
    setrlimit(Resource::RLIMIT_RTPRIO, 0, 0)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, soft.min(LOCKED), hard.min(LOCKED))
}

/// The agent is the last to be killed when memory is short (`OOMScoreAdjust=`); what it runs is not.
fn be_killed_like_others() -> nix::Result<()> {
    let file = open_score()?;
    let mut sign = [0];
    // The kernel reads a score below that of others as `-900`. One that is not is left alone: only lowering
    // it needs a capability.
    if read(&file, &mut sign)? == 1 && sign == *b"-" {
        write(file.as_fd(), b"0")?;
    }
    Ok(())
}

/// In a process that must not be dumped, /proc/self is root's: who is not root is let in for the moment of
/// opening. It has the agent's capabilities until exec, so that no check can look into it meanwhile (ptrace(2)).
fn open_score() -> nix::Result<std::os::fd::OwnedFd> {
    let opened = || {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        open(c"/proc/self/oom_score_adj", flags, Mode::empty())
    };
    match opened() {
        Err(Errno::EACCES) => {}
        other => return other,
    }
    let failed = |error: rustix::io::Errno| Errno::from_raw(error.raw_os_error());
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(failed)?;
    let file = opened();
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed)?;
    file
}

/// Exec takes an ordinary user's capabilities, but for the ambient ones and, where the program asks for
/// them, the inheritable ones. Root gets its own back, within the bounding set (`systemctl start` needs it).
fn pass_no_capabilities() -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    let mut sets = capabilities(None)?;
    sets.inheritable = CapabilitySet::empty();
    set_capabilities(None, sets)
}
