//! What is wanted on the host and is not so.

use serde::{Deserialize, Serialize};

use super::moment::{Countdown, WallTime};

/// Something that is wanted and is not there, or is there and not wanted, and is tried again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Missing {
    /// What: `address 10.99.0.101/24`, `removal of slots of an earlier run`.
    pub what: String,
    /// Why it is not so, in the kernel's words.
    pub why: String,
    /// Since when.
    pub since: WallTime,
    /// When it is tried again; `null` if that follows something else.
    pub next_try: Option<Countdown>,
}
