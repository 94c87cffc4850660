//! Cleaning up: one script that removes a lab, run by a process that outlives the lab's owner.
//!
//! Dropping a lab is not enough: a test can be killed, and programs that make themselves daemons
//! (nginx does) escape the parent-death signal. So each lab has a janitor, a shell that waits for the
//! end of its standard input. That end comes when the lab is dropped, and just as well when its owner
//! dies in whatever way; then the janitor kills every process in the lab's namespaces, unmounts, and
//! removes namespaces, control groups and files. If even the janitor was killed, the next lab to be made sweeps up.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result};

use super::directory::ROOT;
use super::netns::output_of;

/// Removes lab `$1` under directory `$2`; waits for the end of its input first.
const SWEEP: &str = r#"
while read -r _; do :; done
lab=$1 root=$2
namespaces() { for path in /run/netns/"$lab"-*; do [ -e "$path" ] && echo "${path##*/}"; done; }
inhabitants() { for ns in $(namespaces); do ip netns pids "$ns"; done; }
tries=0
while pids=$(inhabitants 2>/dev/null); [ -n "$pids" ] && [ $tries -lt 300 ]; do
    kill -KILL $pids 2>/dev/null
    sleep 0.01
    tries=$((tries + 1))
done
# Innermost first; a mount point occurs as often as it was mounted on.
awk -v dir="$root/$lab/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while read -r point; do umount "$point" 2>/dev/null || umount --lazy "$point"; done
for ns in $(namespaces); do ip netns del "$ns" 2>/dev/null; done
# Innermost first again. A group is busy until the last process in it has been reaped.
groups() {
    for group in /sys/fs/cgroup/"$lab"-* /sys/fs/cgroup/*/"$lab"-*; do
        [ -d "$group" ] && find "$group" -depth -type d
    done
}
tries=0
while [ -n "$(groups)" ] && [ $tries -lt 300 ]; do
    groups | while read -r group; do rmdir "$group" 2>/dev/null || sleep 0.01; done
    tries=$((tries + 1))
done
rm -rf --one-file-system "${root:?}/${lab:?}"
[ -z "$(namespaces)$(groups)" ] && [ ! -e "$root/$lab" ]
"#;

/// The process that removes a lab after its owner; dropping this makes it do so and waits for it.
#[derive(Debug)]
pub struct Janitor {
    lab: String,
    // `None` only while dropping.
    input: Option<ChildStdin>,
    child: Child,
}

impl Janitor {
    /// Starts a janitor for a lab that does not exist yet.
    pub fn start(lab: &str) -> Result<Self> {
        let mut child = script(lab)
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start sh, the lab's janitor")?;
        Ok(Self {
            lab: lab.to_owned(),
            input: child.stdin.take(),
            child,
        })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.input.take());
        match self.child.wait() {
            Ok(status) if status.success() => {}
            Ok(_) => eprintln!("lab {}: something is left behind, see above", self.lab),
            Err(error) => eprintln!("lab {}: lost its janitor: {error}", self.lab),
        }
    }
}

/// Removes the labs whose owners are dead. Call with the labs' lock held.
pub(super) fn sweep_abandoned() -> Result<()> {
    for entry in fs::read_dir(ROOT).with_context(|| format!("cannot list {ROOT}"))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(lab) = name.to_str().filter(|name| owner_of(name).is_some()) else {
            continue;
        };
        if !is_locked(&entry.path()) {
            output_of(script(lab)).with_context(|| format!("cannot remove dead lab {lab}"))?;
        }
    }
    // Namespaces without a directory: somebody removed the files by hand.
    let Ok(namespaces) = fs::read_dir("/run/netns") else {
        return Ok(());
    };
    for entry in namespaces {
        let name = entry?.file_name();
        let Some((lab, _)) = name.to_str().and_then(|name| name.rsplit_once('-')) else {
            continue;
        };
        let dead = owner_of(lab).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if dead && !Path::new(ROOT).join(lab).exists() {
            output_of(script(lab)).with_context(|| format!("cannot remove dead lab {lab}"))?;
        }
    }
    Ok(())
}

fn script(lab: &str) -> Command {
    let mut command = Command::new("sh");
    // A process group of its own, so that Ctrl-C reaches the owner only.
    command
        .args(["-c", SWEEP, "janitor", lab, ROOT])
        .process_group(0);
    command
}

/// The pid in a lab's name, `ha-<pid>-<n>`; `None` for any other name.
fn owner_of(lab: &str) -> Option<u32> {
    let (pid, number) = lab.strip_prefix("ha-")?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

fn is_locked(lab_dir: &Path) -> bool {
    match File::open(lab_dir.join("lock")) {
        Ok(file) => matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_labs_have_are_ever_swept() {
        assert_eq!(owner_of("ha-123-0"), Some(123));
        for other in [
            "ha-",
            "ha-x-1",
            "ha-1",
            "ha-1-x",
            "lock",
            "ha-1-2-switch",
            "web",
        ] {
            assert_eq!(owner_of(other), None, "{other}");
        }
    }
}
