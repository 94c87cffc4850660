//! The counting `process` probe: as many processes of a name as there should be.

use std::sync::Arc;

use procfs::process::{Process, all_processes};
use tokio::sync::Mutex;

use super::process::COMM_LENGTH;
use crate::checks::pidfd::Held;
use crate::config::model::CountProbe;

/// How many processes are watched for death: with more of them, one less seldom matters.
const MOST_HELD: usize = 64;

/// What a count came to.
#[derive(Debug)]
pub(super) struct Count {
    /// Whether it is as many as there should be.
    pub(super) fits: bool,
    /// In words.
    pub(super) text: String,
    /// Some of those that were counted, so that a death is noticed at once.
    pub(super) held: Vec<Held>,
}

/// Counts again and again, but never twice at once: /proc/PID/cmdline waits for the memory of its process, which may hang
/// in the kernel, and each look that is abandoned keeps a thread.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    probe: CountProbe,
    /// Locked while somebody looks.
    looking: Arc<Mutex<()>>,
}

impl Counter {
    pub(super) fn new(probe: &CountProbe) -> Self {
        Self {
            probe: probe.clone(),
            looking: Arc::default(),
        }
    }

    /// Counts, or says why that cannot be.
    pub(super) async fn count(&self) -> Result<Count, String> {
        let Ok(looking) = Arc::clone(&self.looking).try_lock_owned() else {
            return Err("the previous count still hangs".to_owned());
        };
        let probe = self.probe.clone();
        let look = tokio::task::spawn_blocking(move || {
            let counted = count(&probe);
            drop(looking);
            counted
        });
        look.await.map_err(|error| error.to_string())
    }
}

/// Counts. It blocks: for a thread of the runtime that may.
fn count(probe: &CountProbe) -> Count {
    let comm = probe.name.get(..COMM_LENGTH).unwrap_or(&probe.name);
    let found: Vec<i32> = match all_processes() {
        Ok(all) => all
            .filter_map(Result::ok)
            .filter(|process| counts(process, comm, &probe.args))
            .map(|process| process.pid)
            .collect(),
        Err(error) => {
            return Count {
                fits: false,
                text: format!("cannot read /proc: {error}"),
                held: Vec::new(),
            };
        }
    };
    let (fits, text) = judge(probe, u32::try_from(found.len()).unwrap_or(u32::MAX));
    Count {
        fits,
        text,
        held: found
            .into_iter()
            .filter_map(|pid| Held::open(u32::try_from(pid).ok()?).ok())
            .take(MOST_HELD)
            .collect(),
    }
}

/// One that ends while it is looked at does not count, nor does a dead one that waits for its parent.
fn counts(process: &Process, comm: &str, args: &[String]) -> bool {
    let alive = process
        .stat()
        .is_ok_and(|stat| stat.comm == comm && stat.state != 'Z');
    alive
        && (args.is_empty()
            || process
                .cmdline()
                .is_ok_and(|line| args.iter().all(|wanted| line.contains(wanted))))
}

fn judge(probe: &CountProbe, found: u32) -> (bool, String) {
    let fits = found >= probe.min && probe.max.is_none_or(|max| found <= max);
    let wanted = match (probe.min, probe.max) {
        (min, None) => format!("at least {min}"),
        (min, Some(max)) if min == max => format!("exactly {min}"),
        (min, Some(max)) => format!("{min} to {max}"),
    };
    let noun = if found == 1 { "process" } else { "processes" };
    let text = format!("{found} {noun} named {:?}, {wanted} wanted", probe.name);
    (fits, text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Child, Command};

    use nix::sys::wait::{Id, WaitPidFlag, waitid};

    use super::*;

    fn probe(min: u32, max: Option<u32>) -> CountProbe {
        CountProbe {
            name: "haproxy".to_owned(),
            args: Vec::new(),
            min,
            max,
        }
    }

    #[test]
    fn a_count_fits_from_the_least_to_the_most_and_says_what_was_wanted() {
        for (min, max, found, fits, text) in [
            (
                2,
                None,
                1,
                false,
                "1 process named \"haproxy\", at least 2 wanted",
            ),
            (
                2,
                None,
                2,
                true,
                "2 processes named \"haproxy\", at least 2 wanted",
            ),
            (
                2,
                Some(4),
                4,
                true,
                "4 processes named \"haproxy\", 2 to 4 wanted",
            ),
            (
                2,
                Some(4),
                5,
                false,
                "5 processes named \"haproxy\", 2 to 4 wanted",
            ),
            (
                0,
                Some(0),
                0,
                true,
                "0 processes named \"haproxy\", exactly 0 wanted",
            ),
            (
                0,
                Some(0),
                1,
                false,
                "1 process named \"haproxy\", exactly 0 wanted",
            ),
        ] {
            let text = text.to_owned();
            assert_eq!(judge(&probe(min, max), found), (fits, text));
        }
    }

    #[tokio::test]
    async fn while_a_count_hangs_no_other_is_begun() {
        let counter = Counter::new(&probe(0, None));
        let hanging = Arc::clone(&counter.looking).lock_owned().await;
        let said = counter.clone().count().await.unwrap_err();
        assert_eq!(said, "the previous count still hangs");
        drop(hanging);
        assert!(counter.count().await.unwrap().fits);
    }

    fn sleeper(program: &Path, seconds: &str) -> Child {
        Command::new(program).arg(seconds).spawn().unwrap()
    }

    // Holding a process takes a runtime.
    #[tokio::test]
    async fn processes_are_counted_by_name_and_arguments_and_dead_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("ha-test-count");
        let sleep = Command::new("sh").args(["-c", "command -v sleep"]).output();
        let sleep = String::from_utf8(sleep.unwrap().stdout).unwrap();
        std::fs::copy(sleep.trim(), &program).unwrap();
        let found = |args: &[&str], expected: &str| {
            let args = args.iter().map(ToString::to_string).collect();
            let probe = CountProbe {
                name: "ha-test-count".to_owned(),
                args,
                min: 0,
                max: None,
            };
            let text = count(&probe).text;
            assert!(text.starts_with(expected), "{text}");
        };
        found(&[], "0 processes");
        let mut children = [sleeper(&program, "600"), sleeper(&program, "601")];
        // Between fork and exec a child has its parent's name: `spawn` comes back after exec.
        found(&[], "2 processes");
        found(&["601"], "1 process ");
        found(&["600", "601"], "0 processes");
        for child in &mut children {
            child.kill().unwrap();
        }
        // Dead, and not waited for.
        for child in &children {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
            waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        }
        found(&[], "0 processes");
        for child in &mut children {
            child.wait().unwrap();
        }
    }
}
