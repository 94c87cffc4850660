//! What one run of a probe finds.

use crate::checks::pidfd::Held;

/// What a probe found, before anybody asks about time limits.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) verdict: Found,
    pub(super) text: String,
    pub(super) held: Vec<Held>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    Passed,
    Failed,
    /// Nobody is there at all.
    Gone,
    TimedOut,
}

impl Finding {
    pub(super) const fn passed(text: String) -> Self {
        Self::new(Found::Passed, text)
    }

    pub(super) const fn failed(text: String) -> Self {
        Self::new(Found::Failed, text)
    }

    pub(super) const fn gone(text: String) -> Self {
        Self::new(Found::Gone, text)
    }

    pub(super) const fn new(verdict: Found, text: String) -> Self {
        Self {
            verdict,
            text,
            held: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn is_passed(&self) -> bool {
        self.verdict == Found::Passed
    }

    #[cfg(test)]
    pub(super) fn is_gone(&self) -> bool {
        self.verdict == Found::Gone
    }
}
