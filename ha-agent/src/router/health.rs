//! What is known of something tracked.

/// What is known of something tracked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// No result yet.
    Pending,
    /// Healthy.
    Up,
    /// Failed.
    Down,
    /// It says a number that is added: -253 to 253.
    Weight(i16),
}
