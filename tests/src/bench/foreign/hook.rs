//! The contestants: where the agent's programs are attached.

use serde::Serialize;

/// One of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Hook {
    /// What the tables call it.
    pub(super) name: &'static str,
    /// `datapath` in the agent's configuration; `None`: no agent runs.
    pub(super) datapath: Option<&'static str>,
}

const fn hook(name: &'static str, datapath: Option<&'static str>) -> Hook {
    Hook { name, datapath }
}

/// Without an agent: what all others are compared with.
pub(super) const NONE: Hook = hook("no agent", None);
/// The same a second time in each round: what it differs by is the method's own noise.
pub(super) const CONTROL: Hook = hook("no agent, again", None);
/// What an administrator gets who chooses nothing: what the aim is for.
pub(super) const AUTO: Hook = hook("`auto`", Some("auto"));

/// All of them, in the order of the tables.
pub(super) const HOOKS: [Hook; 7] = [
    NONE,
    CONTROL,
    hook("`socket`", Some("socket")),
    hook("`tc`", Some("tc")),
    hook("`generic`", Some("generic")),
    hook("`native`", Some("native")),
    AUTO,
];
