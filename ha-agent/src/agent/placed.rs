//! Which addresses this agent may have put on the host, for the next one, where the BPF maps do not tell it: a plain socket has
//! no list of what a master holds, and kernels before 5.18 keep no mark on an address. After a crash nobody else would know,
//! and where addresses are marked, not which of them are this agent's once its configuration is another.
//!
//! Of a plain socket it is written while the instance is a backup, before it adds anything: what is configured and was there
//! by nobody else's hand. What an earlier agent has left stays in it until it is gone. The file is in the runtime directory,
//! which no reboot outlives, and goes with an orderly end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use crate::driver::published::{PublishedStatus, StatusPublisher};
use crate::reconcile::placed::Placed;

/// The file's name in the runtime directory, and that of the one that takes its place.
const NAME: &str = "placed.json";
const NEW_NAME: &str = "placed.json.new";

/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(10);

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
            "cannot read {}: {error}; addresses that a dead agent has left may count as somebody else's: remove \
             them by hand if there are any, and then this file",
            file.display()
        );
        io::Error::new(error.kind(), text)
    })
}

/// The agent has taken away all that it had placed but this.
pub(super) fn leave(runtime_dir: &Path, owed: &[Placed]) {
    let done = match owed {
        // Where there is none nothing was placed.
        [] => fs::remove_file(runtime_dir.join(NAME)).or_else(not_there),
        _ => write(runtime_dir, owed),
    };
    if let Err(error) = done {
        warn!(
            "cannot bring {NAME} in {} up to date: {error}",
            runtime_dir.display()
        );
    }
}

fn not_there(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

/// Keeps the file up to date for as long as the agent runs.
pub(super) async fn keep(
    runtime_dir: PathBuf,
    published: Arc<StatusPublisher>,
    mut changes: watch::Receiver<u64>,
) {
    let mut written = read(&runtime_dir).ok();
    let mut failed = false;
    // Until the driver has shown what it has taken over, the last agent's list is the right one.
    if changes.changed().await.is_err() {
        return;
    }
    loop {
        let placed = all_placed(&published.picture());
        if written.as_ref() != Some(&placed) {
            let (dir, list) = (runtime_dir.clone(), placed.clone());
            let done = tokio::task::spawn_blocking(move || write(&dir, &list)).await;
            match done.map_err(io::Error::other).flatten() {
                Ok(()) => (written, failed) = (Some(placed), false),
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
    let of_instances = picture.views.iter().filter_map(|view| view.placed.as_ref());
    of_instances.chain(&picture.owed).cloned().collect()
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
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::write(dir.path().join(NAME), "[{\"interface\":").unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("remove them by hand"), "{error}");
        leave(dir.path(), &all);
        assert_eq!(read(dir.path()).unwrap(), all, "some could not be removed");
        leave(dir.path(), &[]);
        assert_eq!(read(dir.path()).unwrap(), []);
        leave(dir.path(), &[]);
    }

    /// The last agent's list is the right one until the driver has shown what it made of it.
    #[tokio::test]
    async fn the_list_changes_with_what_the_driver_shows_and_no_sooner() {
        let dir = tempfile::tempdir().unwrap();
        let placed = Placed {
            interface: "eth0".to_owned(),
            ifindex: 7,
            addresses: ["10.99.0.100".parse().unwrap()].into(),
        };
        let all = [placed];
        write(dir.path(), &all).unwrap();
        let published = Arc::new(StatusPublisher::new().unwrap());
        let (change, changes) = watch::channel(0);
        let keeping = keep(dir.path().to_owned(), Arc::clone(&published), changes);
        let shown = async {
            tokio::task::yield_now().await;
            assert_eq!(read(dir.path()).unwrap(), all);
            change.send_replace(1);
            while !read(dir.path()).unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            drop(change);
        };
        tokio::join!(keeping, shown);
    }
}
