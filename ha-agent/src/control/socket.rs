//! The claim on a runtime directory: its lock and the control socket in it.
//!
//! The lock decides whether another agent lives: the kernel drops it with the process, however that
//! dies. The socket file cannot tell, since it outlives a killed agent.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;

/// The socket's name in the runtime directory.
pub const SOCKET_NAME: &str = "control.sock";
/// The lock's name in the runtime directory; the file holds the agent's pid.
pub const LOCK_NAME: &str = "agent.lock";

/// Connections that wait to be accepted; more have to wait in `connect`.
const BACKLOG: i32 = 32;

/// Why the runtime directory cannot be had.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// The lock is held.
    #[error("another ha-agent runs{} in {dir}", pid.map(|pid| format!(" with pid {pid}")).unwrap_or_default())]
    Taken {
        /// The process that holds it, if it wrote its pid.
        pid: Option<u32>,
        /// The runtime directory.
        dir: PathBuf,
    },
    /// Others could put a socket of their own into it.
    #[error("the runtime directory {dir} is writable by users other than its owner")]
    OpenToOthers {
        /// The runtime directory.
        dir: PathBuf,
    },
    /// Something else has the socket's name; it is left alone.
    #[error("{path} exists and is not a socket")]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        source: io::Error,
    },
}

impl ClaimError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// A runtime directory that is ours until this is dropped, and the socket that listens in it.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    // Held for its lock.
    _lock: File,
}

impl ControlSocket {
    /// Makes the directory if it is missing, takes its lock, and listens in it.
    ///
    /// A socket that a dead agent left is replaced. From here on clients can connect; they are
    /// answered once the socket is served.
    pub fn claim(dir: &Path) -> Result<Self, ClaimError> {
        prepare_dir(dir)?;
        let lock = take_lock(dir)?;
        let path = dir.join(SOCKET_NAME);
        remove_stale(&path)?;
        let listener = listen(&path).map_err(ClaimError::io("listen on", &path))?;
        Ok(Self {
            listener,
            path,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The listening socket, non-blocking.
    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // The lock is still held, so this cannot be a successor's socket. The lock file stays:
        // removing it would let two agents hold a lock of the same name.
        let _ = fs::remove_file(&self.path);
    }
}

fn prepare_dir(dir: &Path) -> Result<(), ClaimError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(ClaimError::io("create the runtime directory", dir))?;
    let meta = fs::metadata(dir).map_err(ClaimError::io("inspect", dir))?;
    if meta.mode() & 0o022 != 0 {
        return Err(ClaimError::OpenToOthers {
            dir: dir.to_owned(),
        });
    }
    Ok(())
}

fn take_lock(dir: &Path) -> Result<File, ClaimError> {
    let path = dir.join(LOCK_NAME);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(ClaimError::io("open the lock", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(ClaimError::Taken {
                pid: read_pid(&mut file),
                dir: dir.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => {
            return Err(ClaimError::io("lock", &path)(error));
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(ClaimError::io("write the pid to", &path))?;
    Ok(file)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn remove_stale(path: &Path) -> Result<(), ClaimError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {
            fs::remove_file(path).map_err(ClaimError::io("remove the stale", path))
        }
        Ok(_) => Err(ClaimError::NotASocket {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ClaimError::io("inspect", path)(error)),
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the file the mode of the unbound socket (unix_bind_bsd), so there is no moment
    // in which the file exists with other permissions, and the process's umask is left alone.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_socket_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let socket = ControlSocket::claim(&dir.path().join("new/ha-agent")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(socket.path()), 0o600);
        assert_eq!(mode(socket.path().parent().unwrap()), 0o700);
    }

    #[test]
    fn a_second_agent_is_told_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = ControlSocket::claim(dir.path()).unwrap();
        let error = ControlSocket::claim(dir.path()).unwrap_err();
        let pid = std::process::id();
        assert_eq!(
            error.to_string(),
            format!(
                "another ha-agent runs with pid {pid} in {}",
                dir.path().display()
            )
        );
        assert!(first.path().exists(), "the live socket was left alone");
    }

    #[test]
    fn a_socket_left_by_a_dead_agent_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SOCKET_NAME);
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file behind");
        fs::write(dir.path().join(LOCK_NAME), "999999999\n").unwrap();

        let socket = ControlSocket::claim(dir.path()).unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join(LOCK_NAME)).unwrap(),
            format!("{}\n", std::process::id())
        );
        drop(socket);
        assert!(!path.exists(), "a clean end leaves no socket");
    }

    #[test]
    fn a_file_that_is_not_a_socket_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SOCKET_NAME);
        fs::write(&path, "precious").unwrap();
        let error = ControlSocket::claim(dir.path()).unwrap_err();
        assert!(matches!(error, ClaimError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_lock_that_is_a_symbolic_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        fs::write(&target, "precious").unwrap();
        symlink(&target, dir.path().join(LOCK_NAME)).unwrap();
        assert!(ControlSocket::claim(dir.path()).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        for (mode, refused) in [(0o755, false), (0o775, true), (0o757, true), (0o1777, true)] {
            let dir = tempfile::tempdir().unwrap();
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = ControlSocket::claim(dir.path()).err();
            let open = matches!(error, Some(ClaimError::OpenToOthers { .. }));
            assert_eq!(open, refused, "{mode:o}: {error:?}");
        }
    }
}
