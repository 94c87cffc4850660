//! The `process` probe: a process exists, by pid file or by name; and the process beside an `http`
//! probe that is watched for death.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use procfs::process::all_processes;
use tokio::sync::Mutex;

use crate::checks::listener::read_bounded;
use crate::checks::pidfd::{Held, ProcessId};
use crate::config::model::ProcessProbe;

/// The kernel keeps 15 bytes of a process's name.
pub(super) const COMM_LENGTH: usize = 15;
/// A pid and a line end; more is not a pid file.
const PID_FILE_LIMIT: u64 = 64;

/// Finds the process that a configuration names.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    probe: ProcessProbe,
    /// What the pid file said last. Locked while somebody looks: a file on a hung disk is asked once.
    seen: Arc<Mutex<Option<Seen>>>,
}

/// A process that a pid file led to, and which writing of the file it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Seen {
    id: ProcessId,
    stamp: Stamp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    inode: u64,
    seconds: i64,
    nanos: i64,
}

impl Finder {
    pub(crate) fn new(probe: &ProcessProbe) -> Self {
        Self {
            probe: probe.clone(),
            seen: Arc::default(),
        }
    }

    /// A hold on the process, or why there is none.
    pub(crate) async fn find(&self) -> Result<Held, String> {
        let Ok(mut seen) = Arc::clone(&self.seen).try_lock_owned() else {
            return Err("the previous look-up still hangs".into());
        };
        let probe = self.probe.clone();
        let look = tokio::task::spawn_blocking(move || match &probe {
            ProcessProbe::PidFile(path) => by_pid_file(path, &mut seen),
            ProcessProbe::Name(name) => by_name(name),
        });
        look.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

fn by_pid_file(path: &Path, seen: &mut Option<Seen>) -> Result<Held, String> {
    let shown = path.display();
    let unreadable = |error: io::Error| format!("cannot read the pid file {shown}: {error}");
    let metadata = fs::metadata(path).map_err(unreadable)?;
    let stamp = Stamp {
        inode: metadata.ino(),
        seconds: metadata.mtime(),
        nanos: metadata.mtime_nsec(),
    };
    let text = read_bounded(path, PID_FILE_LIMIT).map_err(unreadable)?;
    let pid: u32 = text
        .trim()
        .parse()
        .ok()
        .filter(|pid| *pid > 0)
        .ok_or_else(|| format!("the pid file {shown} does not hold a pid"))?;
    let held = Held::open(pid).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("the pid file {shown} is stale: pid {pid} does not exist")
        }
        _ => format!("cannot watch pid {pid} of {shown}: {error}"),
    })?;
    // The same writing of the file meant another process before: that one died, and its number was
    // given to a stranger. Wall clocks could tell more, and would be wrong after each clock step.
    let reused = seen.is_some_and(|seen| seen.stamp == stamp && seen.id != held.id());
    if reused {
        return Err(format!(
            "the pid file {shown} is stale: pid {pid} is another process now"
        ));
    }
    *seen = Some(Seen {
        id: held.id(),
        stamp,
    });
    Ok(held)
}

fn by_name(name: &str) -> Result<Held, String> {
    let comm = name.get(..COMM_LENGTH).unwrap_or(name);
    let unreadable = |error| format!("cannot read /proc: {error}");
    let mut found: Vec<(u64, i32)> = all_processes()
        .map_err(unreadable)?
        .filter_map(Result::ok)
        .filter_map(|process| process.stat().ok())
        .filter(|stat| stat.comm == comm && stat.state != 'Z')
        .map(|stat| (stat.starttime, stat.pid))
        .collect();
    found.sort_unstable();
    found
        .into_iter()
        .filter_map(|(_, pid)| u32::try_from(pid).ok())
        .find_map(|pid| Held::open(pid).ok())
        .ok_or_else(|| format!("no process is named {name:?}"))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper(program: &Path) -> Child {
        Command::new(program).arg("600").spawn().unwrap()
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_pid_file_may_appear_later_be_stale_and_be_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let finder = Finder::new(&ProcessProbe::PidFile(path.clone()));
        assert!(
            finder
                .find()
                .await
                .unwrap_err()
                .contains("cannot read the pid file")
        );

        let first = sleeper(Path::new("sleep"));
        fs::write(&path, format!("{}\n", first.id())).unwrap();
        assert_eq!(finder.find().await.unwrap().id().pid, first.id());
        end(first);
        assert!(finder.find().await.unwrap_err().contains("is stale"));

        let second = sleeper(Path::new("sleep"));
        fs::write(&path, format!("{}\n", second.id())).unwrap();
        assert_eq!(finder.find().await.unwrap().id().pid, second.id());
        end(second);

        for junk in ["", "abc", "-1", "0", "1 2", "99999999999999999999"] {
            fs::write(&path, junk).unwrap();
            assert!(
                finder
                    .find()
                    .await
                    .unwrap_err()
                    .contains("does not hold a pid"),
                "{junk}"
            );
        }
    }

    #[tokio::test]
    async fn a_number_that_was_given_to_another_process_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let child = sleeper(Path::new("sleep"));
        fs::write(&path, child.id().to_string()).unwrap();
        let mut seen = None;
        let held = by_pid_file(&path, &mut seen).unwrap();
        // As if the number had belonged to a process that started earlier.
        let started = held.id().started - 1;
        seen.as_mut().unwrap().id.started = started;
        assert!(
            by_pid_file(&path, &mut seen)
                .unwrap_err()
                .contains("is another process now")
        );
        end(child);
    }

    #[tokio::test]
    async fn of_several_processes_of_a_name_the_oldest_is_held() {
        let dir = tempfile::tempdir().unwrap();
        // A name of our own, longer than what the kernel keeps of it.
        let program = dir.path().join("ha-test-sleeper-x");
        let sleep = String::from_utf8(
            Command::new("sh")
                .args(["-c", "command -v sleep"])
                .output()
                .unwrap()
                .stdout,
        );
        fs::copy(sleep.unwrap().trim(), &program).unwrap();
        let finder = Finder::new(&ProcessProbe::Name("ha-test-sleeper-x".into()));
        assert!(
            finder
                .find()
                .await
                .unwrap_err()
                .contains("no process is named")
        );
        let (old, young) = (sleeper(&program), sleeper(&program));
        assert_eq!(finder.find().await.unwrap().id().pid, old.id());
        end(old);
        assert_eq!(finder.find().await.unwrap().id().pid, young.id());
        end(young);
    }
}
