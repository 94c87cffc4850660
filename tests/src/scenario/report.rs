//! What came of a step.

use std::time::Duration;

use ha_common::units::{Instant, Nanos};

/// What came of a step.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The longest time for which the client got no page.
    pub outage: Duration,
    /// Requests that failed.
    pub failed_requests: usize,
    /// The host that has the address now.
    pub master: String,
    /// Whose page the client gets now.
    pub page: Option<String>,
    /// What else was measured or seen, in the order to be shown.
    pub facts: Vec<Fact>,
}

/// Something that a step measured or saw.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What it is.
    pub what: &'static str,
    /// How much, or which.
    pub value: String,
}

/// A span as a fact.
pub(super) fn span(what: &'static str, from: Instant, to: Instant) -> Fact {
    Fact {
        what,
        value: format!("{:.3} ms", millis(to.since(from))),
    }
}

/// A span in milliseconds, for people.
fn millis(span: Nanos) -> f64 {
    span.to_duration().as_secs_f64() * 1e3
}
