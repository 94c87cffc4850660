//! What an implementation can do, and one that runs.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::router::Router;
use crate::lab::host::Host;
use crate::lab::process::{Process, Signal};

/// How long a program may take to end after SIGTERM.
const ENDING: Duration = Duration::from_secs(15);

/// An implementation of VRRP that is not ours.
pub trait Peer {
    /// The programs that it needs, by name or path.
    fn programs(&self) -> &'static [&'static str];

    /// Makes a host ready for it; once, before the first start.
    fn prepare(&self, host: &Host, router: &Router) -> Result<()>;

    /// Starts it with this one virtual router.
    fn start(&self, host: &Host, router: &Router) -> Result<Running>;
}

/// A running peer; killed when dropped.
#[derive(Debug)]
pub struct Running {
    speaker: Process,
    // In the order in which they end after it.
    helpers: Vec<Process>,
}

impl Running {
    /// Of the program that speaks VRRP, and those that it needs.
    pub(super) fn new(speaker: Process, helpers: Vec<Process>) -> Self {
        Self { speaker, helpers }
    }

    /// The program that speaks VRRP.
    pub fn process(&self) -> &Process {
        &self.speaker
    }

    /// Ends it as an operator does, by SIGTERM, and waits until it is gone.
    pub fn leave(self) -> Result<()> {
        for process in [&self.speaker].into_iter().chain(&self.helpers) {
            ensure!(
                process.exited().is_none(),
                "{} had ended by itself",
                process.label()
            );
            process.signal(Signal::TERM)?;
            process.wait(ENDING)?;
        }
        Ok(())
    }
}
