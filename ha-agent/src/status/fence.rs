//! The fence of an instance as `status` shows it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::format::{count, span};

/// What keeps this host from answering for addresses that another one holds, while its agent stands still.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fence {
    /// Whether there is one, and whether it is up.
    pub state: FenceState,
    /// Since when it is up, in microseconds; `null` while it is down.
    pub up_us: Option<u64>,
    /// Frames for the addresses that were dropped.
    pub dropped_in: u64,
    /// Frames in the name of the addresses that were kept from leaving.
    pub dropped_out: u64,
    /// How long ago the last one was dropped, in microseconds; `null`: none ever was.
    pub last_us: Option<u64>,
}

/// Whether there is a fence.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceState {
    /// There is none: adverts are received by a plain socket.
    None,
    /// Only what comes in can be dropped: XDP has no egress.
    IngressOnly,
    /// Nothing is dropped.
    Down,
    /// Frames are dropped.
    Up,
}

impl Fence {
    /// A line for a person; `None` if there is nothing to say.
    pub(crate) fn in_words(&self) -> Option<String> {
        let mut text = match self.state {
            FenceState::None => {
                return Some(
                    "none with a plain socket: if this agent stalls as master, the host keeps answering for the \
                     addresses"
                        .to_owned(),
                );
            }
            FenceState::Up => format!("up for {}", span(self.up_us.unwrap_or_default())),
            FenceState::IngressOnly => "down; XDP drops incoming frames only".to_owned(),
            FenceState::Down => "down".to_owned(),
        };
        if self.dropped_in == 0 && self.dropped_out == 0 {
            return (self.state != FenceState::Down).then_some(text);
        }
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            ", dropped {} to the addresses and {} from them",
            count(self.dropped_in, "frame"),
            self.dropped_out
        );
        if let Some(last) = self.last_us {
            let _ = write!(text, ", the last {} ago", span(last));
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(state: FenceState) -> Fence {
        Fence {
            state,
            up_us: None,
            dropped_in: 0,
            dropped_out: 0,
            last_us: None,
        }
    }

    #[test]
    fn a_person_is_told_of_drops_and_of_what_cannot_be_dropped() {
        assert_eq!(fence(FenceState::Down).in_words(), None);
        let none = fence(FenceState::None).in_words().unwrap();
        assert!(none.contains("plain socket"), "{none}");
        let ingress = fence(FenceState::IngressOnly).in_words().unwrap();
        assert!(ingress.contains("incoming frames only"), "{ingress}");
        let up = Fence {
            up_us: Some(3_000_000),
            dropped_in: 1,
            dropped_out: 2,
            last_us: Some(10_000),
            ..fence(FenceState::Up)
        };
        assert_eq!(
            up.in_words().unwrap(),
            "up for 3 s, dropped 1 frame to the addresses and 2 from them, the last 10 ms ago"
        );
    }
}
