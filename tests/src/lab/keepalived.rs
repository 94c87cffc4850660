//! A real keepalived in a host: the peer that ha-agent has to get along with.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::addresses::VIP;
use super::agent_config::with_prefix;
use super::host::Host;
use super::process::Process;
use super::require::require_tools;

/// Debian's keepalived.
pub const PROGRAM: &str = "/usr/sbin/keepalived";

/// One `vrrp_instance`.
#[derive(Clone, Debug)]
pub struct Instance {
    /// 2 or 3.
    pub version: u8,
    /// The virtual router.
    pub vrid: u8,
    /// 1 to 255.
    pub priority: u8,
    /// Version 2: whole seconds. Version 3: hundredths of a second.
    pub interval: Duration,
    /// The virtual addresses of one family, with prefix length 24 or 64.
    pub vips: Vec<IpAddr>,
    /// False: `nopreempt`.
    pub preempt: bool,
    /// Further lines for the instance, such as an authentication block or `unicast_peer`.
    pub extra: String,
    /// Further lines for `global_defs`, such as `vrrp_rt_priority 50`.
    pub global: String,
    /// Further blocks, such as a second instance or a `vrrp_sync_group`.
    pub more: String,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            version: 3,
            vrid: 51,
            priority: 100,
            interval: Duration::from_secs(1),
            vips: vec![VIP],
            preempt: true,
            extra: String::new(),
            global: String::new(),
            more: String::new(),
        }
    }
}

impl Instance {
    /// Starts a keepalived with this one instance. Its process ends cleanly on SIGTERM.
    pub fn start(&self, host: &Host) -> Result<Process> {
        self.start_as(host, PROGRAM)
    }

    /// The same by another keepalived than Debian's.
    pub fn start_as(&self, host: &Host, program: &str) -> Result<Process> {
        require_tools(&[program])?;
        let run = host.run_dir();
        let config = run.join("keepalived.conf");
        fs::write(&config, self.text(host.name()))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let mut command = Command::new(program);
        // In the foreground, VRRP only, logging to standard error at its normal level.
        command
            .args(["--dont-fork", "--vrrp", "--log-console", "--no-syslog"])
            .arg(format!("--use-file={}", config.display()))
            .arg(format!("--pid={}", run.join("keepalived.pid").display()))
            .arg(format!("--vrrp_pid={}", run.join("vrrp.pid").display()));
        host.spawn("keepalived", command)
    }

    fn text(&self, router: &str) -> String {
        let interval = self.interval.as_secs_f64();
        let vips: Vec<String> = self.vips.iter().copied().map(with_prefix).collect();
        let mut text = format!(
            "global_defs {{\n  router_id {router}\n  script_user root\n{}\n}}\n\
             vrrp_instance web {{\n  state BACKUP\n  interface {}\n  version {}\n  \
             virtual_router_id {}\n  priority {}\n  advert_int {interval}\n  \
             virtual_ipaddress {{\n    {}\n  }}\n",
            self.global,
            Host::INTERFACE,
            self.version,
            self.vrid,
            self.priority,
            vips.join("\n    "),
        );
        if !self.preempt {
            text.push_str("  nopreempt\n");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\n}}\n{}", self.extra, self.more);
        text
    }
}
