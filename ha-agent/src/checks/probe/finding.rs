//! What one run of a probe finds.

use std::io;

use crate::checks::pidfd::Held;
use crate::os::descriptors;

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
    /// Nobody could be asked, for want of descriptors or memory.
    Unasked,
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

    /// For an error that may be the agent's own shortage.
    pub(super) fn of_error(text: String, error: &io::Error) -> Self {
        if descriptors::is_shortage(error) {
            Self::new(Found::Unasked, text)
        } else {
            Self::failed(text)
        }
    }

    /// What was not found, while nothing can be opened, may be there.
    pub(super) fn unless_short(self) -> Self {
        if matches!(self.verdict, Found::Failed | Found::Gone) && descriptors::is_short() {
            let text = "the agent has no descriptors or memory left to look";
            return Self::new(Found::Unasked, text.to_owned());
        }
        self
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
