//! One machine: a booted system in the network namespace of a host, and what can be done in it.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::readiness::Readiness;
use super::root;
use crate::lab::host::Said;
use crate::lab::{Host, Process};

/// A start takes about a second; the rest is for a machine that does other things as well.
const UP_WITHIN: Duration = Duration::from_mins(1);
/// A killed container takes some milliseconds.
const DOWN_WITHIN: Duration = Duration::from_secs(10);

/// Runs systemd-nspawn, `$3` and on, for the tree `$2` in the control group `$1`, where the names of two
/// machines do not meet. What nspawn puts down beside the tree and in /run and /tmp lies in memory that
/// goes with it, even when it is killed.
const ENTER: &str = r#"
set -e
echo $$ > "$1/cgroup.procs"
mkdir -p /run/systemd
mount -t tmpfs -o mode=0755 tmpfs /run/systemd
mkdir /run/systemd/tree
mount --bind "$2" /run/systemd/tree
mount -t tmpfs -o mode=1777 tmpfs /tmp
shift 2
exec "$@"
"#;
/// Where the tree is then.
const TREE: &str = "/run/systemd/tree";

/// A machine that is coming up; several can at once.
#[derive(Debug)]
pub struct Booting {
    host: Host,
    process: Process,
    readiness: Readiness,
}

/// A machine that is up; it ends when dropped.
#[derive(Debug)]
pub struct Machine {
    host: Host,
    leader: u32,
    // The pid may belong to somebody else once the machine has ended by itself.
    handle: OwnedFd,
    process: Process,
}

impl Machine {
    /// Switches a host of a lab on. Its bpffs is the machine's, so pins can be seen from outside.
    pub fn switch_on(host: &Host) -> Result<Booting> {
        let root = root::ensure()?;
        let group = control_group(host)?;
        let readiness = Readiness::listen(host.dir().join("ready"))?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation=private", "sh", "-c", ENTER, "sh"])
            .arg(group)
            .arg(root)
            .arg("systemd-nspawn")
            .args(["--quiet", "--boot", "--console=pipe", "--notify-ready=yes"])
            // Without a service manager on this machine there is nobody to register with.
            .args(["--register=no", "--keep-unit"])
            .args(["--capability=all", "--system-call-filter=bpf"])
            .args(["--volatile=overlay", "--resolv-conf=off", "--timezone=off"])
            .arg(format!("--directory={TREE}"))
            .arg(format!("--machine={}", host.ns().name()))
            .arg(format!("--hostname={}", host.name()))
            .arg(format!(
                "--network-namespace-path=/run/netns/{}",
                host.ns().name()
            ))
            .arg(format!("--bind={}:/sys/fs/bpf", host.bpf_dir().display()))
            .env("NOTIFY_SOCKET", readiness.path())
            // As on today's distributions, also where this machine still has the first version.
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        Ok(Booting {
            host: host.clone(),
            process: host.spawn("systemd", command)?,
            readiness,
        })
    }

    /// The host that it is.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The pid of its first process, as seen from here.
    pub fn leader(&self) -> u32 {
        self.leader
    }

    /// Where one of its files is, seen from here.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.leader))
    }

    /// Reads one of its files.
    pub fn read(&self, inside: &str) -> Result<String> {
        fs::read_to_string(self.path(inside)).with_context(|| self.about("read", inside))
    }

    /// Writes one of its files.
    pub fn write(&self, inside: &str, text: &str) -> Result<()> {
        fs::write(self.path(inside), text).with_context(|| self.about("write", inside))
    }

    /// Runs a program in it to its end, whatever that is.
    pub fn try_run(&self, argv: &[&str]) -> Result<Said> {
        let line = self.command_line(argv);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        self.host.try_run(&line)
    }

    /// Runs a program in it; its standard output, or an error with all that it said.
    pub fn run(&self, argv: &[&str]) -> Result<String> {
        let said = self.try_run(argv)?;
        ensure!(
            said.code == Some(0),
            "{} on {}: {said:#?}",
            argv.join(" "),
            self.host.name()
        );
        Ok(said.out)
    }

    /// Starts a program in it. Ending it early ends our end of it only; the rest goes with the machine.
    pub fn spawn(&self, label: &str, argv: &[&str]) -> Result<Process> {
        let line = self.command_line(argv);
        let (program, rest) = line.split_first().context("no program to run")?;
        let mut command = Command::new(program);
        command.args(rest);
        self.host.spawn(label, command)
    }

    /// A property of a unit, as `systemctl show` has it.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        let property = format!("--property={name}");
        let value = self.run(&["systemctl", "show", "--value", &property, unit])?;
        Ok(value.trim_end().to_owned())
    }

    fn command_line(&self, argv: &[&str]) -> Vec<String> {
        let leader = self.leader.to_string();
        let enter = ["nsenter", "--target", &leader, "--all", "--wd"];
        // Nothing of the test's surroundings: what an operator's root shell has.
        let clean = [
            "env",
            "--ignore-environment",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/",
            "LANG=C.UTF-8",
            "DEBIAN_FRONTEND=noninteractive",
        ];
        let words = enter.iter().chain(&clean).chain(argv);
        words.map(|word| (*word).to_owned()).collect()
    }

    fn about(&self, verb: &str, inside: &str) -> String {
        format!("cannot {verb} {inside} on {}", self.host.name())
    }
}

impl Booting {
    /// Waits until every service that starts by itself has started.
    pub fn wait(self) -> Result<Machine> {
        let leader = self
            .readiness
            .wait(&self.process, UP_WITHIN)
            .with_context(|| {
                let lines = self.process.lines();
                let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
                format!("it wrote:\n{}", texts.join("\n"))
            })?;
        let number = i32::try_from(leader).ok().and_then(Pid::from_raw);
        let number = number.with_context(|| format!("{leader} is no pid"))?;
        let handle = pidfd_open(number, PidfdFlags::empty())
            .with_context(|| format!("cannot get a handle on pid {leader}"))?;
        Ok(Machine {
            host: self.host,
            leader,
            handle,
            process: self.process,
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process a container ends as a whole, and nspawn tidies up and follows.
        let killed = match pidfd_send_signal(&self.handle, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => self.process.wait(DOWN_WITHIN).map(drop),
            Err(error) => Err(error).context("cannot kill the machine"),
        };
        if let Err(error) = killed {
            eprintln!("{}: {error:#}", self.host.name());
        }
    }
}

/// Makes the host's control group. The janitor removes it, by its name.
fn control_group(host: &Host) -> Result<PathBuf> {
    let group = hierarchy()?.join(host.ns().name());
    fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
    Ok(group)
}

/// Where control groups of the second version are.
fn hierarchy() -> Result<&'static Path> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .iter()
        .map(Path::new)
        .find(|path| path.join("cgroup.procs").exists())
        .context("no hierarchy of control groups version 2 is mounted under /sys/fs/cgroup")
}
