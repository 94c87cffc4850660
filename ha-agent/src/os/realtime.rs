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

/// `SCHED_FIFO` priority of the driver: above ordinary work, below the kernel's interrupt threads (50).
pub const DRIVER: i32 = 40;
/// Of the sender: above the driver. Of two equals on one processor the one that runs goes on, and while the driver
/// takes over hundreds of virtual routers the adverts of all others would wait.
pub const SENDER: i32 = DRIVER + 1;

/// Puts the calling thread under `SCHED_FIFO`, at this priority. Threads that it starts do not inherit it.
pub fn schedule(priority: i32) -> Ability {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the parameters live for the call, and 0 means the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result == 0 {
        return Ability {
            active: true,
            why: format!("SCHED_FIFO priority {priority}"),
        };
    }
    let error = io::Error::last_os_error();
    Ability {
        active: false,
        why: format!("{error}: needs CAP_SYS_NICE or LimitRTPRIO={SENDER}"),
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
