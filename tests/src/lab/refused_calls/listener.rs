//! The kernel's side: a seccomp filter whose calls wait for a verdict of the test.

use std::io;
use std::mem::{self, offset_of};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The descriptor by which a program that passes its calls by has the listener: above all that a test has open.
const LISTENER: i32 = 1000;

/// What asks the kernel for something that it may refuse, and what frames leave by.
const CALLS: [libc::c_long; 5] = [
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_setsockopt,
    libc::SYS_bpf,
];

/// Makes a command's system calls of these kinds wait for a verdict; [`Listener::of`] is who gives it.
pub(super) fn pass_by(command: &mut Command) {
    let filter = filter();
    // SAFETY: between fork and exec the closure makes two system calls and touches no lock and no heap; the filter was
    // made before and lives as long as the closure.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog {
                len: filter.len() as u16,
                filter: filter.as_ptr().cast_mut(),
            };
            let listener = libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const program,
            );
            // The copy outlives the exec, so that the test can take it.
            if listener < 0 || libc::dup2(listener as i32, LISTENER) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// A call that waits for its verdict.
pub(super) struct Call {
    id: u64,
    pub(super) number: libc::c_long,
    pub(super) arguments: [u64; 6],
}

/// Who is asked for the verdicts.
pub(super) struct Listener(OwnedFd);

impl Listener {
    /// That of a process which was started by a command of [`pass_by`].
    pub(super) fn of(pid: u32) -> Result<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.with_context(|| format!("{pid} is no pid"))?;
        let process = pidfd_open(number, PidfdFlags::empty())?;
        // SAFETY: pidfd_getfd takes three numbers and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), LISTENER, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error()).context("cannot take the listener");
        }
        // SAFETY: the kernel has just given it to us, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// The next call; none once the process is gone.
    pub(super) fn next(&self) -> Option<Call> {
        loop {
            let mut ready = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut ready, None) {
                Ok(_) if ready[0].revents().contains(PollFlags::IN) => {}
                Err(rustix::io::Errno::INTR) => continue,
                _ => return None,
            }
            // SAFETY: all fields are numbers; the kernel wants it zeroed and fills it in.
            let mut asked: libc::seccomp_notif = unsafe { mem::zeroed() };
            // SAFETY: the kernel writes one such value.
            let done = unsafe {
                libc::ioctl(
                    self.0.as_fd().as_raw_fd(),
                    libc::SECCOMP_IOCTL_NOTIF_RECV,
                    &raw mut asked,
                )
            };
            // Who asked may have been killed meanwhile.
            if done == 0 {
                return Some(Call {
                    id: asked.id,
                    number: asked.data.nr.into(),
                    arguments: asked.data.args,
                });
            }
        }
    }

    /// Lets the call go on, or fails it with this error.
    pub(super) fn answer(&self, call: &Call, error: Option<i32>) {
        let verdict = libc::seccomp_notif_resp {
            id: call.id,
            val: 0,
            error: error.map_or(0, |errno| -errno),
            flags: match error {
                Some(_) => 0,
                None => libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
            },
        };
        // SAFETY: the kernel reads one such value. Who asked may be dead, and then nobody waits for it.
        unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND,
                &raw const verdict,
            );
        }
    }
}

/// Those of [`CALLS`] wait, all others go on.
fn filter() -> Vec<libc::sock_filter> {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let end = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut filter = vec![step(load, 0, offset_of!(libc::seccomp_data, nr) as u32)];
    for (index, call) in CALLS.iter().enumerate() {
        // To the last step, over those that are left and the one that lets it go on.
        let over = (CALLS.len() - index) as u8;
        filter.push(step(equal, over, *call as u32));
    }
    filter.push(step(end, 0, libc::SECCOMP_RET_ALLOW));
    filter.push(step(end, 0, libc::SECCOMP_RET_USER_NOTIF));
    filter
}
