//! What the kernel has counted for a daemon and for the whole machine.

use std::time::Duration;

use anyhow::{Context as _, Result};
use procfs::process::Process;
use procfs::{CurrentSI as _, KernelStats};

/// A daemon's process and the children that belong to it.
pub(super) struct Daemon(Vec<Process>);

impl Daemon {
    /// As it is now, with all its children.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid).context("a pid that is none")?;
        let first = Process::new(pid).with_context(|| format!("process {pid} is gone"))?;
        let mut found = vec![first];
        let mut ahead = vec![pid];
        while let Some(parent) = ahead.pop() {
            // Others may end while they are looked at.
            let all = procfs::process::all_processes()?.filter_map(Result::ok);
            let children = all.filter(|it| it.stat().is_ok_and(|stat| stat.ppid == parent));
            for child in children {
                ahead.push(child.pid());
                found.push(child);
            }
        }
        Ok(Self(found))
    }

    /// CPU time so far, user and system, of all threads: the scheduler's own account in nanoseconds.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let mut nanos = 0_u64;
        for process in &self.0 {
            for task in process.tasks()? {
                nanos += task?.schedstat()?.sum_exec_runtime;
            }
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Resident memory in bytes.
    pub(super) fn resident(&self) -> Result<u64> {
        let mut kilobytes = 0;
        for process in &self.0 {
            kilobytes += process.status()?.vmrss.context("no VmRSS")?;
        }
        Ok(kilobytes * 1024)
    }

    /// Kernel memory of the BPF maps that it holds, in bytes, by the kernel's own account (`memlock` in
    /// `/proc/PID/fdinfo`, Linux 4.10). It is nobody's resident memory.
    pub(super) fn bpf_maps(&self) -> Result<u64> {
        let mut maps = std::collections::BTreeMap::new();
        for process in &self.0 {
            for entry in std::fs::read_dir(format!("/proc/{}/fdinfo", process.pid()))? {
                // One that was closed meanwhile holds nothing.
                let Ok(text) = std::fs::read_to_string(entry?.path()) else {
                    continue;
                };
                let value = |key: &str| {
                    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
                    line.trim().parse::<u64>().ok()
                };
                if let (Some(id), Some(bytes)) = (value("map_id:"), value("memlock:")) {
                    maps.insert(id, bytes);
                }
            }
        }
        Ok(maps.values().sum())
    }

    /// How many packets its raw sockets had no room for, and how many frames its host has sent.
    pub(super) fn lost_and_sent(&self, interface: &str) -> Result<(u64, u64)> {
        let process = self.0.first().context("no process")?;
        let raw = std::fs::read_to_string(format!("/proc/{}/net/raw", process.pid()))?;
        let lost = raw
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .sum();
        let devices = process.dev_status()?;
        let device = devices.get(interface).context("no such interface")?;
        Ok((lost, device.sent_packets))
    }
}

/// For how long the machine's cores have been idle in sum. Busy time itself is only sampled by the tick,
/// and misses work that comes at the tick's own rhythm; idle time is measured.
pub(super) fn idle() -> Result<Duration> {
    let total = KernelStats::current()?.total;
    Ok(ticks(total.idle + total.iowait.unwrap_or(0)))
}

/// For how long the machine's cores had work but the hypervisor ran somebody else's.
pub(super) fn stolen() -> Result<Duration> {
    let total = KernelStats::current()?.total;
    Ok(ticks(total.steal.unwrap_or(0)))
}

fn ticks(count: u64) -> Duration {
    let rate = procfs::ticks_per_second().max(1);
    Duration::from_nanos(count.saturating_mul(1_000_000_000 / rate))
}
