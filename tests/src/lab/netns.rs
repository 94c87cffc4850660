//! Named network namespaces: making them, and running programs and threads inside.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// A network namespace with a name that `ip netns` knows. Dropping it does not remove it: the lab's
/// janitor does, after the processes in it.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
    fd: Arc<OwnedFd>,
}

impl Namespace {
    /// Makes a namespace; an error if the name is taken.
    pub fn create(name: &str) -> Result<Self> {
        let mut ip = Command::new("ip");
        ip.args(["netns", "add", name]);
        output_of(ip)?;
        let path = Path::new("/run/netns").join(name);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self {
            name: name.to_owned(),
            fd: Arc::new(file.into()),
        })
    }

    /// The name, as in `ip netns exec NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` in this namespace on a thread of its own, so that the caller stays where it is.
    /// Sockets opened inside keep belonging to the namespace wherever they are used later.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let fd = &self.fd;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(fd.as_fd(), CloneFlags::CLONE_NEWNET)?;
                Ok::<T, nix::Error>(work())
            });
            match thread.join() {
                Ok(result) => {
                    result.with_context(|| format!("cannot enter namespace {}", self.name))
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Moves the calling thread into this namespace for good. For threads made for the purpose; the
    /// main thread must stay out, or the janitor takes the whole process for an inhabitant.
    pub fn enter(&self) -> Result<()> {
        setns(self.fd.as_fd(), CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("cannot enter namespace {}", self.name))
    }

    /// Makes a command run in this namespace, and die with the thread that starts it.
    pub fn confine(&self, command: &mut Command) {
        let fd = Arc::clone(&self.fd);
        // SAFETY: between fork and exec the closure makes one system call, setns, and touches no lock
        // and no heap; the descriptor is open for as long as the closure exists.
        unsafe {
            command.pre_exec(move || Ok(setns(fd.as_fd(), CloneFlags::CLONE_NEWNET)?));
        }
        tether(command);
    }

    /// Runs a program in this namespace to its end; its standard output. A status other than 0 is
    /// an error that carries what it wrote to standard error.
    pub fn run(&self, mut command: Command) -> Result<String> {
        self.confine(&mut command);
        output_of(command)
    }

    /// Runs lines of `ip -batch` in this namespace.
    pub fn batch(&self, lines: &str) -> Result<()> {
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"]).stdin(Stdio::piped());
        self.confine(&mut ip);
        ip.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = ip.spawn().context("cannot start ip")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(lines.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("ip -batch in {}: {}\n{lines}", self.name, complaint.trim());
        }
        Ok(())
    }

    /// Writes a value under /proc/sys/net of this namespace; `key` as `net/ipv6/conf/all/...`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(key);
        self.inside(|| -> io::Result<()> { std::fs::write(&path, value) })?
            .with_context(|| format!("cannot set {key} to {value}"))
    }
}

/// Makes a command die with the thread that starts it.
pub(crate) fn tether(command: &mut Command) {
    // Its own process group: Ctrl-C is for us, and we then take the lab down in order.
    command.process_group(0);
    // SAFETY: between fork and exec the closure makes one system call, prctl, and touches no lock and
    // no heap.
    unsafe {
        command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?));
    }
}

/// Runs a program to its end; its standard output, or an error with its standard error.
pub(crate) fn output_of(mut command: Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}: {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
