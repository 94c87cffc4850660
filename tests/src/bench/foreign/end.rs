//! The two ends of the wire between the host that is measured and the switch.

use serde::Serialize;

/// An end of the wire.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// The host's interface.
    Own,
    /// What that is joined to.
    Other,
}
