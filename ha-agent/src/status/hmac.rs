//! How adverts are signed and verified, as `status` shows it.

use serde::{Deserialize, Serialize};

use super::format::{count, span};

/// Adverts with a keyed digest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hmac {
    /// `receive-only`, `permissive` or `enforce`.
    pub mode: String,
    /// The numbers of the keys that are known.
    pub keys: Vec<u8>,
    /// The number of the key that signs.
    pub active: u8,
    /// By how much the time of an advert may differ; `null`: it need only grow.
    pub window_us: Option<u64>,
    /// Where adverts are verified before they count; `null` while none are received.
    pub verified: Option<Verified>,
    /// Adverts with a right signature and another time than this host's clock shows, counted or rejected.
    #[serde(default)]
    pub untimely: u64,
}

/// Where adverts are verified.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// In the BPF program: what is refused there moves no timer.
    Kernel,
    /// In the agent, which hears them by a plain socket.
    Socket,
}

impl Hmac {
    pub(crate) fn in_words(&self) -> String {
        let place = match self.verified {
            Some(Verified::Kernel) => "verified in the kernel",
            Some(Verified::Socket) => "verified in the agent",
            None => "nothing is received",
        };
        let known: Vec<String> = self.keys.iter().map(u8::to_string).collect();
        let time = match self.window_us {
            Some(window) => format!("within {}", span(window)),
            None => "increasing only".to_owned(),
        };
        let untimely = match self.untimely {
            0 => String::new(),
            more => format!("; {} of another time", count(more, "advert")),
        };
        format!(
            "{}, {place}; signs with key {}, accepts {}; times {time}{untimely}",
            self.mode,
            self.active,
            known.join(", ")
        )
    }
}
