//! Other programs on this host that run virtual routers: a second agent with directories of its own, or keepalived. Neither
//! is heard on the wire, where a host does not receive what it sends itself, and both would be master.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::driver::published::{InstanceStatus, PublishedStatus, StatusPublisher};
use crate::net::multicast::IPPROTO_VRRP;
use crate::net::raw_sockets::{self, Holder};
use crate::net::router_name::{HeldName, RouterName, Taken};

/// How often it is looked for them.
const EVERY: Duration = Duration::from_secs(10);

/// An agent that has found our name taken looks again as often: two looks without it, and it is gone.
const GONE_AFTER: Duration = Duration::from_secs(25);

/// What was found the last time, one sentence each.
#[derive(Default)]
pub(super) struct SameHost(Mutex<Vec<String>>);

impl SameHost {
    pub(super) fn warnings(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says what is new, and what is no longer so.
    fn set(&self, found: Vec<String>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for text in found.iter().filter(|it| !shown.contains(it)) {
            warn!("{text}");
        }
        for text in shown.iter().filter(|it| !found.contains(it)) {
            info!("no longer so: {text}");
        }
        *shown = found;
    }
}

/// Looks for them for as long as the agent runs.
pub(super) async fn watch(
    same_host: Arc<SameHost>,
    published: Arc<StatusPublisher>,
    mut changes: watch::Receiver<u64>,
) {
    let mut names = Names::default();
    let mut receivers = Receivers::default();
    loop {
        let (picture, now) = (published.picture(), Instant::now());
        let wanted = wanted(&picture);
        let looked = tokio::task::spawn_blocking(move || {
            let mut found = names.look(&picture, now);
            found.extend(receivers.look());
            (found, names, receivers)
        });
        let Ok((found, back, receivers_back)) = looked.await else {
            return;
        };
        (names, receivers) = (back, receivers_back);
        same_host.set(found);
        let next = now + EVERY;
        loop {
            tokio::select! {
                news = changes.changed() => match news {
                    Err(_) => return,
                    Ok(()) if self::wanted(&published.picture()) != wanted => break,
                    Ok(()) => {}
                },
                () = sleep_until(next) => break,
            }
        }
    }
}

fn name(view: &InstanceStatus) -> Option<RouterName> {
    Some(RouterName {
        ifindex: view.ifindex?,
        family: view.config.family,
        vrid: view.config.vrid.get(),
    })
}

fn wanted(picture: &PublishedStatus) -> Vec<RouterName> {
    picture.views.iter().filter_map(|view| name(view)).collect()
}

/// The names of our virtual routers, as far as they are ours, and who has found them taken.
#[derive(Default)]
struct Names(HashMap<RouterName, (HeldName, Option<Visit>)>);

/// Another agent has asked for a name.
#[derive(Clone, Copy)]
struct Visit {
    pid: u32,
    at: Instant,
}

/// The pid of another agent, if it can be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Other(Option<u32>);

impl Names {
    /// What is to be said of other agents that run one of these.
    fn look(&mut self, picture: &PublishedStatus, now: Instant) -> Vec<String> {
        let wanted = wanted(picture);
        self.0.retain(|name, _| wanted.contains(name));
        let of_one = |view: &Arc<InstanceStatus>| {
            let other = self.other(name(view)?, now)?;
            Some(of_agent(view, other))
        };
        picture.views.iter().filter_map(of_one).collect()
    }

    /// Another process that has this name, or asks for it.
    fn other(&mut self, name: RouterName, now: Instant) -> Option<Other> {
        if let Some((held, visit)) = self.0.get_mut(&name) {
            if let Some(pid) = held.visitor() {
                *visit = Some(Visit { pid, at: now });
            }
            *visit = visit.filter(|visit| now.duration_since(visit.at) < GONE_AFTER);
            return visit.map(|visit| Other(Some(visit.pid)));
        }
        match name.take() {
            Ok(Taken::Ours(held)) => {
                self.0.insert(name, (held, None));
                None
            }
            Ok(Taken::Theirs(pid)) => Some(Other(pid)),
            // For want of a descriptor nothing is known, and the next look tells.
            Err(_) => None,
        }
    }
}

fn of_agent(view: &InstanceStatus, other: Other) -> String {
    let who = match other.0 {
        Some(pid) => {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{} (pid {pid})", name.trim())
        }
        None => "a process".to_owned(),
    };
    format!(
        "instance {}: {who} runs VRID {} on {} of this host as well: both are master at a time; end one of them",
        view.config.name, view.config.vrid, view.config.interface
    )
}

/// Who else receives VRRP, by the sockets of the last look.
#[derive(Default)]
struct Receivers {
    sockets: BTreeSet<u64>,
    holders: BTreeSet<Holder>,
}

impl Receivers {
    fn look(&mut self) -> Vec<String> {
        let sockets = raw_sockets::of_others(IPPROTO_VRRP);
        if sockets != self.sockets {
            self.holders = raw_sockets::holders(&sockets);
            self.sockets = sockets;
        }
        if self.sockets.is_empty() {
            return Vec::new();
        }
        if self.holders.is_empty() {
            return vec![of_receiver("a process that is not visible here")];
        }
        let said = self.holders.iter();
        said.map(|it| of_receiver(&format!("{} (pid {})", it.name, it.pid)))
            .collect()
    }
}

fn of_receiver(who: &str) -> String {
    format!(
        "{who} receives VRRP on this host as well: a virtual router that both run has two masters here, and neither hears \
         the other"
    )
}

#[cfg(test)]
mod tests {
    use ha_common::units::Family;

    use super::*;

    #[test]
    fn who_asks_for_our_name_is_told_of_until_it_asks_no_more() {
        // No host has so many interfaces.
        let name = RouterName {
            ifindex: u32::MAX - 1,
            family: Family::V6,
            vrid: 51,
        };
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let (mut first, mut second) = (Names::default(), Names::default());
        let pid = Some(Other(Some(std::process::id())));
        assert_eq!(first.other(name, begin), None);
        assert_eq!(first.other(name, begin), None);
        assert_eq!(second.other(name, begin), pid);
        assert_eq!(first.other(name, after(5)), pid);
        assert_eq!(first.other(name, after(29)), pid);
        assert_eq!(first.other(name, after(30)), None);
        drop(first);
        assert_eq!(second.other(name, after(40)), None);
    }
}
