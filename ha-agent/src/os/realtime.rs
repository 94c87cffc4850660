//! What keeps the protocol's threads on time: real-time scheduling and locked memory, where allowed.

use std::io;

/// Whether a thing is in force, and how, or why not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ability {
    /// In force.
    pub active: bool,
    /// In words.
    pub why: String,
}

/// `SCHED_FIFO` priority of the sender and the driver: above ordinary work, below the kernel's
/// interrupt threads (50).
pub const PRIORITY: i32 = 40;

/// Puts the calling thread under `SCHED_FIFO`. Threads that it starts do not inherit it.
pub fn schedule() -> Ability {
    let parameters = libc::sched_param {
        sched_priority: PRIORITY,
    };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the parameters live for the call, and 0 means the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result == 0 {
        return Ability {
            active: true,
            why: format!("SCHED_FIFO priority {PRIORITY}"),
        };
    }
    let error = io::Error::last_os_error();
    Ability {
        active: false,
        why: format!("{error}: needs CAP_SYS_NICE or LimitRTPRIO={PRIORITY}"),
    }
}

/// Locks the process's memory, present and future, so that no page fault waits for a disk.
pub fn lock_memory() -> Ability {
    // On fault: what was touched stays, but stacks and heaps are not filled in advance.
    let all = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: takes flags only, and changes nothing but residency.
    if unsafe { libc::mlockall(all) } == 0 {
        return Ability {
            active: true,
            why: "mlockall".to_owned(),
        };
    }
    let error = io::Error::last_os_error();
    Ability {
        active: false,
        why: format!("{error}: needs CAP_IPC_LOCK or LimitMEMLOCK=infinity"),
    }
}
