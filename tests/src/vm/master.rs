//! A scripted master on the guest's segment: adverts at an even pace until it is to fall silent.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Deadline};

use anyhow::{Result, anyhow};
use ha_common::units::Instant;

use super::segment::Segment;
use crate::lab::advert::Advert;
use crate::lab::clock;

/// From one advert of most masters to the next, and what they say of it.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// A master that lives; dropping it silences it as well.
#[derive(Debug)]
pub struct Master {
    stop: Sender<()>,
    thread: JoinHandle<Result<Instant>>,
}

impl Master {
    /// Starts to advertise at once, and goes on at an interval of one second.
    pub fn start(segment: &Segment, advert: &Advert) -> Self {
        Self::every(INTERVAL, segment, advert)
    }

    /// The same with another interval, which the advert must name itself.
    pub fn every(interval: Duration, segment: &Segment, advert: &Advert) -> Self {
        let (stop, stopped) = mpsc::channel();
        let (segment, frame) = (segment.clone(), advert.frame());
        let thread = std::thread::spawn(move || {
            let mut next = Deadline::now();
            loop {
                segment.send(&frame)?;
                let last = clock::now();
                next += interval;
                let pause = next.saturating_duration_since(Deadline::now());
                match stopped.recv_timeout(pause) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(last),
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends it without a word: when its last advert was sent.
    pub fn fall_silent(self) -> Result<Instant> {
        // If it has ended already, its thread says why.
        let _ = self.stop.send(());
        self.thread
            .join()
            .map_err(|_| anyhow!("the scripted master panicked"))?
    }
}
