//! Checks that could never run.

use thiserror::Error;

/// A check that could never run. Nothing was started or changed.
#[derive(Debug, Error)]
pub enum CheckError {
    /// No such user.
    #[error("check {check:?}: no such user: {user:?}; create it, or set `user` to an existing one")]
    UnknownUser { check: String, user: String },
    /// The user database could not be asked.
    #[error("check {check:?}: the user {user:?} cannot be looked up: {source}")]
    UserLookup {
        check: String,
        user: String,
        source: nix::Error,
    },
    /// The agent is not root.
    #[error(
        "check {check:?}: its command runs as {user:?}, which requires root; run the agent as root, or set \
         `user` to the agent's own user"
    )]
    CannotBecome { check: String, user: String },
}
