//! What systemd is told: ready, reloading, stopping, and that the driver still turns.

use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::driver::published::StatusPublisher;
use crate::driver::{Command, Handle};

/// Whether this process is a service of systemd, which starts it again.
pub fn is_manager() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Without systemd nobody listens, and a message that is lost is sent again.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// Ready is an agent that answers `status` with its instances: when the driver has shown them once, to a
/// control socket that is served already.
pub(super) async fn ready_once(mut changes: watch::Receiver<u64>) {
    // Without news of changes there is nothing to wait for.
    let _ = changes.changed().await;
    ready();
}

pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// While systemd wants to know, says so only if the driver has turned since the last time: a hung
/// driver is restarted, whatever else still runs.
pub(super) async fn prove(driver: Handle, published: Arc<StatusPublisher>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut every = tokio::time::interval(limit / 3);
    let mut last = published.turns();
    loop {
        driver.tell(Command::Ping);
        every.tick().await;
        let turns = published.turns();
        if turns != last {
            tell(&[NotifyState::Watchdog]);
        }
        last = turns;
    }
}
