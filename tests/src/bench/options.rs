//! What the bench is asked to measure.

use std::path::PathBuf;
use std::time::Duration;

/// How long it measures.
#[derive(Clone, Debug)]
pub struct Options {
    /// Take-overs of each contestant, idle and busy each.
    pub rounds: usize,
    /// How long each reading of the cost of adverts takes.
    pub listen: Duration,
    /// Readings of each contestant.
    pub readings: usize,
    /// Another ha-agent that takes part.
    pub beside: Option<PathBuf>,
    /// Where the results go as JSON.
    pub json: PathBuf,
    /// Measure the take-overs.
    pub takeovers: bool,
    /// Measure the cost of adverts and the memory.
    pub receive: bool,
    /// Measure pairs with many virtual routers, with so much steady state each.
    pub scale: Option<Duration>,
    /// Take-overs of each contestant with each number of addresses.
    pub many_rounds: usize,
    /// Measure the take-overs of many addresses.
    pub many: bool,
}
