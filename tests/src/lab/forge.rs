//! Sending frames of one's own making, singly or as a storm.

use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{LinkAddr, MsgFlags, MultiHeaders, send, sendmmsg};

use super::host::Host;
use super::packet;

/// How many frames go to the kernel in one call at most.
const BATCH: usize = 64;
/// How often a storm's debt is paid.
const TICK: Duration = Duration::from_millis(1);

/// What a storm came to.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Frames that the kernel took.
    pub sent: u64,
    /// How long it lasted.
    pub elapsed: Duration,
}

impl Storm {
    /// Frames per second.
    pub fn rate(&self) -> f64 {
        // Exact below 2^53 frames.
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 frames")]
        let sent = self.sent as f64;
        sent / self.elapsed.as_secs_f64()
    }
}

/// A sender of arbitrary frames from a host's interface.
#[derive(Debug)]
pub struct Forger {
    socket: OwnedFd,
}

impl Host {
    /// A sender of arbitrary frames from this host.
    pub fn forger(&self) -> Result<Forger> {
        let socket = self.ns().inside(|| -> Result<OwnedFd> {
            let interface = if_nametoindex(Self::INTERFACE).context("no interface to send on")?;
            packet::open_sender(interface).context("cannot open a packet socket")
        })??;
        Ok(Forger { socket })
    }
}

impl Forger {
    /// Sends one frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty())
            .context("cannot send a frame")?;
        if sent != frame.len() {
            bail!("only {sent} of {} bytes of a frame were sent", frame.len());
        }
        Ok(())
    }

    /// Sends the frames in turn, `rate` a second for `duration`. Returns when it is over; a tick that
    /// comes late is made up for by the next.
    pub fn storm(&self, frames: &[Vec<u8>], rate: u32, duration: Duration) -> Result<Storm> {
        if frames.is_empty() {
            bail!("a storm needs a frame");
        }
        let total = u128::from(rate) * duration.as_nanos() / 1_000_000_000;
        let total = u64::try_from(total).context("the storm is too long")?;
        let mut turn = frames.iter().cycle();
        let begin = Instant::now();
        let mut next_tick = begin;
        let mut sent = 0;
        while sent < total {
            let due = begin.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000;
            let due = u64::try_from(due).unwrap_or(total).min(total);
            while sent < due {
                let size = usize::try_from(due - sent).unwrap_or(BATCH).min(BATCH);
                let batch: Vec<[IoSlice<'_>; 1]> = turn
                    .by_ref()
                    .take(size)
                    .map(|frame| [IoSlice::new(frame)])
                    .collect();
                let taken = self.send_batch(&batch)?;
                if taken == 0 {
                    break;
                }
                sent += taken;
            }
            next_tick += TICK;
            std::thread::sleep(next_tick.saturating_duration_since(Instant::now()));
        }
        Ok(Storm {
            sent,
            elapsed: begin.elapsed(),
        })
    }

    /// Sends a batch; how many of its frames the kernel took.
    fn send_batch(&self, batch: &[[IoSlice<'_>; 1]]) -> Result<u64> {
        let mut headers = MultiHeaders::<LinkAddr>::preallocate(batch.len(), None);
        let nowhere = vec![None; batch.len()];
        let result = sendmmsg(
            self.socket.as_raw_fd(),
            &mut headers,
            batch,
            &nowhere,
            [],
            MsgFlags::empty(),
        );
        match result {
            Ok(sent) => Ok(sent.count() as u64),
            // The device's queue is full: the rest is still due at the next tick.
            Err(nix::Error::ENOBUFS | nix::Error::EINTR) => Ok(0),
            Err(error) => Err(error).context("cannot send frames"),
        }
    }
}
