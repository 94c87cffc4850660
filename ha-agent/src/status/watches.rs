//! Whether the kernel tells the agent of changes in its network, as `status` shows it.

use serde::{Deserialize, Serialize};

use super::moment::{Countdown, WallTime};

/// What is watched; `None` where the kernel's news are heard.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Watches {
    /// Interfaces and addresses: until they are watched again, what the agent knows of them may be out of date.
    pub interfaces: Option<Unwatched>,
    /// Routes and rules: until then one of ours that somebody removes is missed only when its interface changes.
    pub routes: Option<Unwatched>,
}

/// Why it is not heard, and what is done about it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Unwatched {
    pub since: WallTime,
    /// Why the last attempt failed.
    pub why: String,
    /// How many there were.
    pub attempts: u32,
    /// When the next is made.
    pub next: Countdown,
}
