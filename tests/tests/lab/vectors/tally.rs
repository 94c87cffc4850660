//! What a frame has moved, as the agent shows it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use ha_common::address::RawAddress;
use ha_common::reject::Reject;
use ha_common::units::Family;
use ha_tests::lab::agent_status::Instance;
use ha_tests::vectors::{Expected, Vector};
use serde_json::Value;

use super::path::Path;

/// The counters that there are, by name: those of the virtual router, of the peer, and of the host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub(crate) fn set(&mut self, name: &str, count: u64) {
        self.0.insert(name.to_owned(), count);
    }

    /// What `status --json` counts for a virtual router, but for the markers.
    pub(crate) fn take_router(&mut self, instance: &Instance, marks: u64) {
        let adverts = instance.counters.adverts_received;
        self.set("router adverts", adverts.saturating_sub(marks));
        for (reason, count) in &instance.counters.rejects {
            self.set(&format!("router {reason}"), *count);
        }
    }

    /// What `peers --json` counts for a peer.
    pub(crate) fn take_peer(&mut self, address: &str, peer: &Value) -> Result<()> {
        let number = |value: &Value| value.as_u64().context("a counter is no number");
        self.set(&format!("{address} adverts"), number(&peer["adverts"])?);
        let rejects = peer["rejects"].as_object().context("no rejects")?;
        for (reason, count) in rejects {
            self.set(&format!("{address} {reason}"), number(count)?);
        }
        Ok(())
    }

    /// What has grown, and by how much.
    fn since(&self, before: &Self) -> BTreeMap<String, u64> {
        let grown = self.0.iter().map(|(name, count)| {
            let earlier = before.0.get(name).copied().unwrap_or(0);
            (name.clone(), count.saturating_sub(earlier))
        });
        grown.filter(|(_, growth)| *growth > 0).collect()
    }
}

/// What came of a frame.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Moved {
    counters: BTreeMap<String, u64>,
    /// What its sender's last advert says, if this is one.
    advert: Option<Said>,
    /// Reason and source of the last refused advert, if it is this one.
    refused: Option<(String, String)>,
}

/// What a peer's last advert said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Said {
    pub(crate) priority: u64,
    pub(crate) version: u64,
    pub(crate) interval_us: u64,
}

/// One look at an agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    pub(crate) counts: Counts,
    /// By the peer's address.
    pub(crate) last_adverts: BTreeMap<String, Said>,
    /// As in [`Moved`].
    pub(crate) last_refused: Option<(String, String)>,
}

impl Moved {
    /// From one look at the counters to the next.
    pub(crate) fn between(before: &Look, after: &Look) -> Self {
        let counters = after.counts.since(&before.counts);
        let advert = after
            .last_adverts
            .iter()
            .find(|(address, _)| counters.contains_key(&format!("{address} adverts")))
            .map(|(_, said)| *said);
        let refused = counters
            .keys()
            .any(|name| name.starts_with("router ") && name != "router adverts");
        Self {
            advert,
            refused: after.last_refused.clone().filter(|_| refused),
            counters,
        }
    }

    /// What a frame must move.
    pub(crate) fn by(path: Path, vector: &Vector) -> Self {
        let mut moved = Self::default();
        let mut count = |name: String| moved.counters.insert(name, 1);
        match path.verdict(vector) {
            Expected::Other => {}
            Expected::Tagged => drop(count("host Tagged".to_owned())),
            Expected::Unreadable => drop(count("host Unreadable".to_owned())),
            Expected::NotOurs => drop(count("host NotOurs".to_owned())),
            Expected::Accepted(advert) => {
                count("router adverts".to_owned());
                count(format!("{} adverts", address(vector, advert.source)));
                moved.advert = Some(Said {
                    priority: advert.priority.into(),
                    version: vector.receiver.version().into(),
                    interval_us: u64::from(advert.interval) * 10_000,
                });
            }
            Expected::Rejected(reason) => {
                let source = if reason == Reject::OwnSource {
                    vector.receiver.own_address()
                } else {
                    vector.receiver.valid().source
                };
                count(format!("router {}", reason.name()));
                count(format!("{source} {}", reason.name()));
                moved.refused = Some((reason.name().to_owned(), source.to_string()));
            }
        }
        moved
    }
}

fn address(vector: &Vector, raw: RawAddress) -> IpAddr {
    let [a, b, c, d, ..] = raw;
    match vector.receiver.family() {
        Family::V4 => IpAddr::from([a, b, c, d]),
        Family::V6 => IpAddr::from(raw),
    }
}
