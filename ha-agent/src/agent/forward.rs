//! What the driver is told by the rest of the agent: interfaces, removed routes, results of checks; and its changes,
//! for those who wait for them.

use std::os::fd::AsFd;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::checks::{CheckEvent, Verdict};
use crate::driver::published::StatusPublisher;
use crate::driver::{Command, Handle};
use crate::net::links::LinkTable;
use crate::net::retry::Trouble;
use crate::net::route_monitor::RouteMonitor;
use crate::os::async_fd;
use crate::os::latest::Latest;
use crate::router::health::Health;

pub(super) async fn pass_links(mut table: Latest<Arc<LinkTable>>, driver: Handle) {
    while let Some(links) = table.next().await {
        driver.tell_links(links);
    }
}

pub(super) async fn pass_removals(mut removals: RouteMonitor, driver: Handle) {
    loop {
        removals.next().await;
        driver.tell_routes_removed();
    }
}

/// Says when the kernel's news are not heard, and when they are again; what happens between is in `status`.
pub(super) async fn say_troubles(what: &'static str, mut trouble: Latest<Option<Trouble>>) {
    let mut was_troubled = false;
    let mut latest = Some(trouble.see());
    while let Some(now) = latest {
        match &now {
            Some(trouble) if !was_troubled => {
                warn!(
                    "{what} are not watched: {}; it is tried again until it succeeds",
                    trouble.why
                );
            }
            None if was_troubled => info!("{what} are watched again"),
            _ => {}
        }
        was_troubled = now.is_some();
        latest = trouble.next().await;
    }
}

/// From the driver's bell, which never blocks it, to those who wait for changes.
pub(super) async fn pass_changes(published: Arc<StatusPublisher>, change: watch::Sender<u64>) {
    let bell = published
        .bell()
        .as_fd()
        .try_clone_to_owned()
        .and_then(async_fd::watch);
    let Ok(bell) = bell else {
        warn!("`status --watch` will not update: cannot watch the driver's eventfd");
        return;
    };
    while let Ok(mut ready) = bell.readable().await {
        published.bell().clear();
        ready.clear_ready();
        change.send_modify(|number| *number = number.wrapping_add(1));
    }
}

pub(super) async fn pass_checks(mut events: mpsc::Receiver<CheckEvent>, driver: Handle) {
    while let Some(event) = events.recv().await {
        let Some(verdict) = event.kind.verdict() else {
            continue;
        };
        let health = match (event.weight, verdict) {
            (Some(weight), Verdict::Up | Verdict::Down) => Health::Weight(weight),
            (None, Verdict::Up) => Health::Up,
            (None, Verdict::Down) => Health::Down,
        };
        if !driver.tell(Command::Check {
            name: event.name.to_string(),
            health,
        }) {
            return;
        }
    }
}
