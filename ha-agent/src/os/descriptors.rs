//! The limit of open files (`RLIMIT_NOFILE`, getrlimit(2)), and what running into it looks like.

use std::io;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::eventfd::EventFd;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The soft limit that the agent was started with.
static INHERITED: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit of this process to the hard one: the usual soft limit of 1024 is for programs that call
/// select(2). What cannot be raised stays; [`limit`] tells.
pub fn raise() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    INHERITED.get_or_init(|| soft);
    // Raising a soft limit to the hard one needs no privilege. If it fails all the same, the limit in force counts.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
}

/// Lowers the soft limit to what it was, for a program that this process becomes.
pub fn restore() {
    if let (Some(soft), Ok((_, hard))) = (inherited(), getrlimit(Resource::RLIMIT_NOFILE)) {
        // A program that finds it raised already does without.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
}

/// The soft limit for programs that the agent starts, which may call select(2); `None` if it was not raised.
pub fn inherited() -> Option<u64> {
    INHERITED.get().copied()
}

/// How many files may be open now.
pub fn limit() -> io::Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

/// Whether an error says that this process or the host lacks descriptors or memory. It says nothing of whom the call was
/// about.
pub fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS)
    )
}

/// Whether there is a shortage at this moment.
pub fn is_short() -> bool {
    EventFd::new().is_err_and(|errno| is_shortage(&errno.into()))
}
