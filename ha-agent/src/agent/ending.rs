//! How the agent's process ends.

use std::path::PathBuf;

/// What becomes of the addresses when the process ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// It leaves: the others take over.
    Stopped,
    /// It goes on as this program, which carries on from what is there.
    Upgrade(PathBuf),
    /// Everything stays for the next process.
    HandedOver,
}
