//! The adverts of many masters at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use ha_agent::os::realtime;

use super::contestant::Router;
use super::master;
use crate::lab::Host;

/// One sender that plays the masters of all routers, their adverts spread over the interval.
pub(super) struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Flood {
    pub(super) fn start(host: &Host, routers: &[Router]) -> Result<Self> {
        let forger = host.forger()?;
        let frames = master::adverts(host, routers);
        let rate = u32::try_from(frames.len())? * 100;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            realtime::schedule(realtime::DRIVER);
            // Whole rounds, so that every router's turn comes at the exact interval throughout.
            while !stopped.load(Ordering::Relaxed) {
                forger.storm(&frames, rate, Duration::from_secs(1))?;
            }
            Ok(())
        });
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic has been said on standard error.
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the adverts ended too soon: {error:#}");
        }
    }
}
