//! A service manager's ear: the socket that `NOTIFY_SOCKET` names, as systemd listens on it.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::agent::Launch;
use super::host::Host;

/// Hears what a service says of itself.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl ServiceManager {
    /// Listens in the host's directory.
    pub fn listen(host: &Host) -> Result<Self> {
        let path = host.dir().join("notify.sock");
        let socket = UnixDatagram::bind(&path)
            .with_context(|| format!("cannot listen on {}", path.display()))?;
        Ok(Self { socket, path })
    }

    /// What an agent has to be started with to speak to it, and to say that it lives at least this often.
    pub fn launch(&self, watchdog: Duration) -> Launch {
        Launch {
            environment: vec![
                ("NOTIFY_SOCKET", self.path.clone().into()),
                ("WATCHDOG_USEC", watchdog.as_micros().to_string().into()),
            ],
            ..Launch::default()
        }
    }

    /// The next message; `None` if there is none in that time.
    pub fn next(&self, timeout: Duration) -> Result<Option<String>> {
        // Zero would mean to wait for ever.
        let timeout = timeout.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(timeout))?;
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Ok(Some(
                String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned(),
            )),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error).context("the service manager cannot hear"),
        }
    }

    /// Waits for a message with this line, and returns what came before it.
    pub fn wait_for(&self, line: &str, timeout: Duration) -> Result<Vec<String>> {
        let deadline = Instant::now() + timeout;
        let mut before = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left)? {
                Some(message) if message.lines().any(|it| it == line) => return Ok(before),
                Some(message) => before.push(message),
                None => bail!("no {line} within {timeout:?}, but {before:?}"),
            }
        }
    }
}
