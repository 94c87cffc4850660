//! The master that the contestants stand by for: proper adverts at the exact interval from a thread
//! under real-time scheduling, which falls silent and comes back when told.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use anyhow::{Context as _, Result, bail};
use ha_agent::os::realtime;
use ha_common::units::Instant;

use super::contestant::{INTERVAL, Router};
use crate::lab::Host;
use crate::lab::advert::Advert;
use crate::lab::clock::now;
use crate::lab::forge::Forger;

/// Above every contestant's.
const PRIORITY: u8 = 200;

/// A good advert for each router, in this host's name.
pub(super) fn adverts(host: &Host, routers: &[Router]) -> Vec<Vec<u8>> {
    let interval = u16::try_from(INTERVAL.as_millis() / 10).unwrap_or(1);
    let frame = |router: &Router| {
        Advert {
            ethernet_source: host.mac(),
            source: host.ipv4().into(),
            vrid: router.vrid,
            priority: PRIORITY,
            interval,
            addresses: vec![router.address],
            ..Advert::default()
        }
        .frame()
    };
    routers.iter().map(frame).collect()
}

#[derive(Debug, Default)]
struct State {
    speaking: bool,
    quit: bool,
    failure: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A master; ends when dropped.
pub(super) struct Master {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Master {
    /// Speaks from the start.
    pub(super) fn start(host: &Host, router: &[Router]) -> Result<Self> {
        let forger = host.forger()?;
        let frames = adverts(host, router);
        let shared = Arc::new(Shared::default());
        shared.lock().speaking = true;
        let own = Arc::clone(&shared);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            // The starter waits for it.
            let _ = tell.send(realtime::schedule(realtime::DRIVER));
            own.speak(&forger, &frames);
        });
        let ability = told.recv().context("the master's thread has gone")?;
        if !ability.active {
            bail!(
                "a master that is not punctual measures nothing: {}",
                ability.why
            );
        }
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Falls silent, without a word; no advert leaves after this returns.
    pub(super) fn silence(&self) -> Result<Instant> {
        let mut state = self.shared.lock();
        if let Some(failure) = &state.failure {
            bail!("the master cannot send: {failure}");
        }
        state.speaking = false;
        Ok(now())
    }

    /// Comes back at once.
    pub(super) fn speak(&self) -> Instant {
        self.shared.lock().speaking = true;
        self.shared.changed.notify_one();
        now()
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.shared.lock().quit = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, which has been said on standard error.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn speak(&self, forger: &Forger, frames: &[Vec<u8>]) {
        let mut state = self.lock();
        let mut due = Clock::now();
        while !state.quit {
            if !state.speaking {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                due = Clock::now();
                continue;
            }
            let wait = due.saturating_duration_since(Clock::now());
            if wait > Duration::ZERO {
                state = self
                    .changed
                    .wait_timeout(state, wait)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                continue;
            }
            for frame in frames {
                if let Err(error) = forger.send(frame) {
                    state.failure = Some(format!("{error:#}"));
                    return;
                }
            }
            // Never a burst to catch up.
            due = (due + INTERVAL).max(Clock::now());
        }
    }
}
