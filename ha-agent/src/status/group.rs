//! The part of `status` about one sync group, and how a person sees it.

use serde::{Deserialize, Serialize};

use super::instance::State;

/// One `[[group]]`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Group {
    /// `name` in the configuration.
    pub name: String,
    /// What all of its instances are.
    pub state: State,
    /// What all of them advertise: the lowest effective priority among them.
    pub priority: u8,
    /// Their names, in the order in which they are numbered.
    pub instances: Vec<String>,
    /// Why the group is in `fault` or held in `initialize`: the first instance that is the reason, and its
    /// own reason.
    pub reason: Option<String>,
    /// While one of the instances would take over: the one that keeps the group from it.
    pub waits_for: Option<String>,
    /// And the one that would.
    #[serde(default)]
    pub would_take_over: Option<String>,
}
