//! The part of an instance's `status` about what it tracks: checks and other interfaces.

use serde::{Deserialize, Serialize};

/// One entry of `track`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tracked {
    /// What it is called in the sum: `nginx`, `interface eth1`, `nginx reversed`.
    pub name: String,
    /// What counts: with `reverse` the opposite of what was found.
    pub state: TrackedState,
    /// What was found, where there is more to say than that it is up or down.
    pub found: Option<String>,
    /// What the number in a file adds now, which is neither up nor down; `null` for everything else.
    #[serde(default)]
    pub adds: Option<i16>,
    /// `weight`; `null` if a failure faults the instance.
    pub weight: Option<i16>,
    /// `reverse`.
    pub reverse: bool,
    /// How long until what was found counts, if it lasts, in microseconds; `null` if it counts already.
    pub counts_in_us: Option<u64>,
}

/// Whether what is tracked counts as good.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackedState {
    /// Nothing is known yet.
    Pending,
    /// It counts as a success.
    Up,
    /// It counts as a failure.
    Down,
}
