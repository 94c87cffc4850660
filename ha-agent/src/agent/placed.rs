//! Which addresses this agent may have put on the host, for the next one: kernels before 5.18 keep no mark on an address, and
//! a plain socket no list of what a master holds, so that after a crash nobody else would know.
//!
//! It is written while an instance is a backup, before it adds anything: what is configured and was there by nobody else's
//! hand. The file is in the runtime directory, which no reboot outlives, and goes with an orderly end.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::warn;

use crate::driver::published::{PublishedStatus, StatusPublisher};

/// The file's name in the runtime directory, and that of the one that takes its place.
const NAME: &str = "placed.json";
const NEW_NAME: &str = "placed.json.new";

/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(10);

/// What one interface may have of us.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Placed {
    interface: String,
    ifindex: u32,
    addresses: BTreeSet<IpAddr>,
}

impl Placed {
    /// Whether it is about this interface: names and indices are used again.
    pub(super) fn is_on(&self, interface: &str, ifindex: u32) -> bool {
        self.interface == interface && self.ifindex == ifindex
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().copied()
    }
}

/// What the last agent has written; nothing if it ended in order. Fails if there is a file that cannot be read, or that is
/// not whole; the error says what that means.
pub(super) fn read(runtime_dir: &Path) -> io::Result<Vec<Placed>> {
    let file = runtime_dir.join(NAME);
    let found = match fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    found.map_err(|error| {
        let text = format!(
            "cannot read {}: {error}; on a kernel before 5.18 addresses that a dead agent has left count as somebody else's: \
             remove them by hand if there are any, and then this file",
            file.display()
        );
        io::Error::new(error.kind(), text)
    })
}

/// The agent has taken away all that it had placed.
pub(super) fn remove(runtime_dir: &Path) {
    // Where there is none nothing was placed.
    let _ = fs::remove_file(runtime_dir.join(NAME));
}

/// Keeps the file up to date for as long as the agent runs.
pub(super) async fn keep(
    runtime_dir: PathBuf,
    published: Arc<StatusPublisher>,
    mut changes: watch::Receiver<u64>,
) {
    let mut written = Vec::new();
    let mut failed = false;
    loop {
        let placed = all_placed(&published.picture());
        if placed != written {
            let (dir, list) = (runtime_dir.clone(), placed.clone());
            let done = tokio::task::spawn_blocking(move || write(&dir, &list)).await;
            match done.map_err(io::Error::other).flatten() {
                Ok(()) => (written, failed) = (placed, false),
                Err(error) if !failed => {
                    failed = true;
                    warn!(
                        "cannot write {NAME} in {}: {error}; after a crash the next agent would take this one's addresses for \
                         somebody else's; it is tried again",
                        runtime_dir.display()
                    );
                }
                Err(_) => {}
            }
        }
        let pause = async {
            if failed {
                tokio::time::sleep(AGAIN).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            news = changes.changed() => if news.is_err() { return },
            () = pause => {}
        }
    }
}

/// In one step: a reader finds the old list or the new one.
fn write(runtime_dir: &Path, placed: &[Placed]) -> io::Result<()> {
    let new = runtime_dir.join(NEW_NAME);
    fs::write(&new, serde_json::to_vec(placed)?)?;
    fs::rename(new, runtime_dir.join(NAME))
}

fn all_placed(picture: &PublishedStatus) -> Vec<Placed> {
    let views = picture.views.iter();
    let of_one = views
        .filter(|view| !view.placed.is_empty())
        .filter_map(|view| {
            Some(Placed {
                interface: view.config.interface.clone(),
                ifindex: view.ifindex?,
                addresses: view.placed.iter().copied().collect(),
            })
        });
    of_one.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_by_the_next_agent_and_not_after_an_orderly_end() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), []);
        let placed = Placed {
            interface: "eth0".to_owned(),
            ifindex: 7,
            addresses: ["10.99.0.100", "fe80::1"]
                .map(|it| it.parse().unwrap())
                .into(),
        };
        let all = [placed.clone()];
        write(dir.path(), &all).unwrap();
        assert_eq!(read(dir.path()).unwrap(), all);
        assert!(placed.is_on("eth0", 7) && !placed.is_on("eth0", 8) && !placed.is_on("eth1", 7));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::write(dir.path().join(NAME), "[{\"interface\":").unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("remove them by hand"), "{error}");
        remove(dir.path());
        assert_eq!(read(dir.path()).unwrap(), []);
    }
}
