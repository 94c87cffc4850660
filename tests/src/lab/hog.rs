//! A host whose CPUs are busy with soft interrupts, as a flood through a long list of firewall rules makes them.

use std::fmt::Write as _;
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::host::Host;
use super::wait::wait_until;

/// The discard service's.
const PORT: u16 = 9;
/// Chains, each of which jumps to the next one so often; the last one compares instead.
const DEPTH: u32 = 5;
const JUMPS: usize = 16;
/// What a packet must cost to be of use.
const LEAST: Duration = Duration::from_millis(6);
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends to a host, from each CPU without a pause, packets of which each costs the host's firewall milliseconds.
#[derive(Debug)]
pub struct SoftirqHog {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
    hold: Duration,
}

impl SoftirqHog {
    /// Starts it: from one host to the other.
    ///
    /// # Errors
    /// If there is no `iptables-restore`, or packets cost less than 6 ms.
    pub fn start(from: &Host, to: &Host) -> Result<Self> {
        let script = format!("iptables-restore --noflush <<'END'\n{}END\n", rules());
        to.run(&["sh", "-c", &script])?;
        let target = SocketAddrV4::new(to.ipv4(), PORT);
        let open = || -> Result<UdpSocket> { Ok(UdpSocket::bind("0.0.0.0:0")?) };
        let first = from.ns().inside(open)??;
        // The first one waits for the neighbour's address instead.
        first.send_to(b"x", target)?;
        let mut hold = Duration::ZERO;
        wait_until(PATIENCE, "a packet that costs milliseconds", || {
            let start = Instant::now();
            let sent = first.send_to(b"x", target);
            hold = start.elapsed();
            sent.is_ok() && hold >= LEAST
        })?;
        Self::hog(from, target, hold)
    }

    fn hog(from: &Host, target: SocketAddrV4, hold: Duration) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let cpus = thread::available_parallelism()?.get();
        let threads = (0..cpus)
            .map(|cpu| {
                let socket = from.ns().inside(|| UdpSocket::bind("0.0.0.0:0"))??;
                let stop = Arc::clone(&stop);
                Ok(thread::spawn(move || {
                    let mut only = CpuSet::new();
                    only.set(cpu)?;
                    sched_setaffinity(Pid::from_raw(0), &only)?;
                    while !stop.load(Ordering::Relaxed) {
                        // The rules are walked before this returns: on a veth device the receiver's soft interrupt
                        // follows at once.
                        socket.send_to(b"x", target)?;
                    }
                    Ok(())
                }))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            stop,
            threads,
            hold,
        })
    }

    /// For how long a packet holds a CPU.
    pub fn hold(&self) -> Duration {
        self.hold
    }

    /// Ends it.
    ///
    /// # Errors
    /// If one of its senders had ended before.
    pub fn stop(mut self) -> Result<()> {
        ensure!(!self.stop.swap(true, Ordering::Relaxed), "it has ended");
        for thread in self.threads.drain(..) {
            let ended = thread.join().map_err(|_| anyhow!("a sender panicked"))?;
            ended.context("a sender failed")?;
        }
        Ok(())
    }
}

impl Drop for SoftirqHog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn rules() -> String {
    let mut text = String::from("*filter\n");
    for chain in 0..DEPTH {
        let _ = writeln!(text, ":HOG{chain} - [0:0]");
    }
    let _ = writeln!(text, "-A INPUT -p udp --dport {PORT} -j HOG0");
    for chain in 0..DEPTH {
        let rule = if chain + 1 < DEPTH {
            format!("-A HOG{chain} -j HOG{}\n", chain + 1)
        } else {
            format!("-A HOG{chain} -s 192.0.2.1 -j DROP\n")
        };
        text.push_str(&rule.repeat(JUMPS));
    }
    text.push_str("COMMIT\n");
    text
}
