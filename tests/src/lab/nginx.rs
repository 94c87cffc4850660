//! A real nginx in a host, with files of its own, which can be stopped, crashed, broken and mended.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::host::Host;
use super::require::require_tools;

/// Debian's nginx.
pub const PROGRAM: &str = "/usr/sbin/nginx";

/// How long nginx may take to end when told to.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The nginx of one host. Its page is `host <name>`, on port 80 of every address.
#[derive(Clone, Debug)]
pub struct Nginx {
    host: Host,
    dir: PathBuf,
}

impl Nginx {
    /// Writes a good configuration; starts nothing yet.
    pub fn prepare(host: &Host) -> Result<Self> {
        require_tools(&[PROGRAM])?;
        let dir = host.dir().join("nginx");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let nginx = Self {
            host: host.clone(),
            dir,
        };
        nginx.mend()?;
        Ok(nginx)
    }

    /// [`Self::prepare`] and [`Self::start`].
    pub fn running(host: &Host) -> Result<Self> {
        let nginx = Self::prepare(host)?;
        nginx.start()?;
        Ok(nginx)
    }

    /// The page that it serves.
    pub fn page(host_name: &str) -> String {
        format!("host {host_name}\n")
    }

    /// What starts it, for an agent's configuration: to be run inside the host.
    pub fn start_command(&self) -> Vec<String> {
        let path = |file: &str| self.dir.join(file).display().to_string();
        vec![
            PROGRAM.to_owned(),
            "-p".to_owned(),
            path(""),
            "-c".to_owned(),
            path("nginx.conf"),
            "-e".to_owned(),
            path("error.log"),
        ]
    }

    /// Its pid file.
    pub fn pid_file(&self) -> PathBuf {
        self.dir.join("nginx.pid")
    }

    /// Starts it; returns when it listens.
    pub fn start(&self) -> Result<()> {
        let command = self.start_command();
        let argv: Vec<&str> = command.iter().map(String::as_str).collect();
        self.host.run(&argv).context("nginx does not start")?;
        Ok(())
    }

    /// The pid of the running master process.
    pub fn pid(&self) -> Option<u32> {
        let pid: u32 = fs::read_to_string(self.pid_file())
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        // A killed daemon is a zombie until pid 1 gets round to it.
        let lives = status.starts_with("Name:\tnginx\n") && !status.contains("\nState:\tZ");
        lives.then_some(pid)
    }

    /// Stops it (SIGTERM) and waits until it has ended.
    pub fn stop(&self) -> Result<()> {
        let pid = self
            .pid()
            .with_context(|| format!("no nginx runs on {}", self.host.name()))?;
        end(pid, Signal::TERM)
    }

    /// Kills the master process and its workers (SIGKILL), which leaves the pid file behind.
    pub fn crash(&self) -> Result<()> {
        let master = self
            .pid()
            .with_context(|| format!("no nginx runs on {}", self.host.name()))?;
        // The master first: it would replace a worker that dies.
        let workers = fs::read_to_string(format!("/proc/{master}/task/{master}/children"))
            .context("cannot list the workers of nginx")?;
        end(master, Signal::KILL)?;
        for worker in workers.split_whitespace() {
            end(worker.parse().context("a pid is a number")?, Signal::KILL)?;
        }
        Ok(())
    }

    /// Breaks it for good: stops it, and its configuration no longer lets it start.
    pub fn break_for_good(&self) -> Result<()> {
        self.write_config("this is not a directive of nginx;\n")?;
        self.stop()
    }

    /// Makes the configuration good again; starts nothing.
    pub fn mend(&self) -> Result<()> {
        let dir = self.dir.display();
        let page = format!("host {}", self.host.name());
        self.write_config(&format!(
            r#"user root;
worker_processes 1;
daemon on;
pid {dir}/nginx.pid;
error_log {dir}/error.log notice;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 0.0.0.0:80 default_server;
        listen [::]:80 ipv6only=on default_server;
        default_type text/plain;
        location / {{ return 200 "{page}\n"; }}
    }}
}}
"#
        ))
    }

    fn write_config(&self, text: &str) -> Result<()> {
        let path = self.dir.join("nginx.conf");
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Signals a process that is not our child and waits until it has ended.
fn end(pid: u32, signal: Signal) -> Result<()> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let number = number.with_context(|| format!("{pid} is no pid"))?;
    let handle = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => bail!("cannot get a handle on pid {pid}: {error}"),
    };
    match pidfd_send_signal(&handle, signal) {
        Ok(()) => {}
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => bail!("cannot signal pid {pid}: {error}"),
    }
    let timeout = Timespec::try_from(STOP_TIMEOUT)?;
    // A pidfd becomes readable when its process ends.
    let mut ended = [PollFd::new(&handle, PollFlags::IN)];
    if poll(&mut ended, Some(&timeout)).context("cannot wait for nginx")? == 0 {
        bail!("pid {pid} has not ended within {STOP_TIMEOUT:?} of {signal:?}");
    }
    Ok(())
}
