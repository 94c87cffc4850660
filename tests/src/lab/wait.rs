//! Waiting for what announces itself by no event.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long to wait for what is only a matter of working at all.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(5);

/// Waits until `holds`, looking every 5 ms. For addresses, log lines, frames and requests use
/// the waits of [`super::VipWatch`], [`super::Process`], [`super::Capture`] and [`super::Client`],
/// which are woken by the event itself.
pub fn wait_until(timeout: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + timeout;
    while !holds() {
        if Instant::now() >= deadline {
            bail!("not within {timeout:?}: {what}");
        }
        std::thread::sleep(STEP);
    }
    Ok(())
}
