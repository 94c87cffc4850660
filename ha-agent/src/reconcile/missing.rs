//! What is wanted and is not there, for `status`.

use ha_common::units::Instant;

/// Something that is wanted and is not so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// What, in words: `address 10.99.0.101/24`.
    pub what: String,
    /// Why not: the kernel's refusal.
    pub why: String,
    /// Since when.
    pub since: Instant,
    /// When it is tried again.
    pub next_try: Option<Instant>,
}
