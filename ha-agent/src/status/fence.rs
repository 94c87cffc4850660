//! The fence of an instance as `status` shows it.

use std::net::IpAddr;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::format::{count, span};

/// What keeps this host from answering for addresses that another one holds: while it is not master, and while its agent
/// stands still.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fence {
    /// Whether there is one, and whether it is up.
    pub state: FenceState,
    /// Since when it is up, in microseconds; `null` while it is down.
    pub up_us: Option<u64>,
    /// Frames for the addresses that were dropped while it was up.
    pub dropped_in: u64,
    /// Frames in the name of the addresses that were kept from leaving while it was up.
    pub dropped_out: u64,
    /// The addresses that are still on the interface though this host is not master, and do not pass.
    #[serde(default)]
    pub closed: Vec<IpAddr>,
    /// Frames for the addresses that were dropped because this host was not master.
    #[serde(default)]
    pub not_master_in: u64,
    /// Frames in the name of the addresses that were kept from leaving because this host was not master.
    #[serde(default)]
    pub not_master_out: u64,
    /// How long ago the last frame was dropped, in microseconds; `null`: none ever was.
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
    /// Frames are dropped: this agent has left unanswered that another host is master.
    Up,
    /// Frames are dropped: this host is not master, and its addresses are not removed yet.
    Closed,
}

impl Fence {
    /// A line for a person; `None` if there is nothing to say.
    pub(crate) fn in_words(&self) -> Option<String> {
        let mut text = match self.state {
            FenceState::None => {
                return Some(
                    "none with a plain socket: if this agent stalls as master, or cannot remove the addresses, the host \
                     keeps answering for them"
                        .to_owned(),
                );
            }
            FenceState::Up => format!("up for {}", span(self.up_us.unwrap_or_default())),
            FenceState::Closed => closed(&self.closed),
            FenceState::IngressOnly => "down; XDP drops incoming frames only".to_owned(),
            FenceState::Down => "down".to_owned(),
        };
        let reasons = [
            ("", self.dropped_in, self.dropped_out),
            (" while not master", self.not_master_in, self.not_master_out),
        ];
        let mut dropped = reasons.iter().filter(|(_, to, from)| *to > 0 || *from > 0);
        let Some(first) = dropped.next() else {
            return (self.state != FenceState::Down).then_some(text);
        };
        for (why, to, from) in std::iter::once(first).chain(dropped) {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                ", dropped {} to the addresses and {from} from them{why}",
                count(*to, "frame")
            );
        }
        if let Some(last) = self.last_us {
            let _ = write!(text, ", the last {} ago", span(last));
        }
        Some(text)
    }
}

fn closed(addresses: &[IpAddr]) -> String {
    let (first, others) = match addresses {
        [] => return "closed: this host is not master".to_owned(),
        [first, others @ ..] => (first, others.len()),
    };
    let more = if others > 0 {
        format!(" and {}", count(others as u64, "other"))
    } else {
        String::new()
    };
    format!("closed: this host is not master, and {first}{more} could not be removed yet")
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
            closed: Vec::new(),
            not_master_in: 0,
            not_master_out: 0,
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
        let closed = Fence {
            closed: vec![
                IpAddr::from([10, 99, 0, 100]),
                IpAddr::from([10, 99, 0, 101]),
            ],
            not_master_in: 3,
            last_us: Some(10_000),
            ..fence(FenceState::Closed)
        };
        assert_eq!(
            closed.in_words().unwrap(),
            "closed: this host is not master, and 10.99.0.100 and 1 other could not be removed yet, dropped 3 frames to \
             the addresses and 0 from them while not master, the last 10 ms ago"
        );
    }
}
