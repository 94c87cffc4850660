//! When to announce: once at once, the rest of a first burst shortly after, a second burst later, and a slow refresh if
//! wanted.
//!
//! A pure schedule: it is told the time and says what is due. A caller with a thousand addresses
//! gets them in portions, so that the driver's turn stays short and the switch's queue is not
//! flooded; every address goes out once before any goes out twice. Nobody waits for a refresh, so that its
//! portions are small and far apart, and those of different instances do not come together.

use std::ops::Range;

use ha_common::units::{Instant, Nanos};

use super::spread::Spread;
use crate::config::model::Garp;

/// Announcements that one portion window may hold: about a millisecond of sending.
const WINDOW_FRAMES: usize = 256;

/// How long a window lasts, that is a pace of at most 128,000 announcements a second.
pub const WINDOW: Nanos = Nanos::from_millis(2);

/// For how long a portion is put off in a row because the interface's queue is full: half a second.
const MAX_DELAY: Nanos = Nanos::from_millis(500);

/// From the first announcement of all addresses after a take-over to the rest of its burst, at the least: 10 ms, and up to
/// as much again by where the instance stands among others. A host that takes over a thousand virtual routers has told
/// the neighbours of most before it tells of any twice; and what one frame is lost to is over by then.
const AGAIN_AFTER: Nanos = Nanos::from_millis(10);

/// From one portion of a refresh to the next: 100 ms.
const REFRESH_WINDOW: Nanos = Nanos::from_millis(100);
/// What a portion of a refresh may hold at the least, that is 160 announcements a second.
const REFRESH_FRAMES: u64 = 16;

/// How often to announce. Zero means never, for each of the values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cadence {
    /// Announcements of each address in the first burst, the first of them at once.
    pub count: u8,
    /// From the start to the second burst.
    pub repeat_after: Nanos,
    /// Announcements of each address in the second burst.
    pub repeat_count: u8,
    /// From one refresh to the next; the first comes after half of this at the earliest.
    pub refresh: Nanos,
    /// From one announcement to the next; zero: as many as [`WINDOW`] holds.
    pub gap: Nanos,
}

impl Cadence {
    /// How long a window lasts, and what it holds.
    fn window(&self) -> (Nanos, usize) {
        if self.gap.0 > 0 {
            (self.gap, 1)
        } else {
            (WINDOW, WINDOW_FRAMES)
        }
    }

    /// What a portion of a refresh holds: as many as it takes to be through in half the time until the next
    /// one, if that is no more than a portion of a burst holds.
    fn refresh_frames(&self, addresses: usize) -> usize {
        let half = (self.refresh.0 / 2).max(1);
        let all = u64::try_from(addresses).unwrap_or(u64::MAX);
        let frames = all.saturating_mul(REFRESH_WINDOW.0).div_ceil(half);
        usize::try_from(frames.max(REFRESH_FRAMES))
            .unwrap_or(WINDOW_FRAMES)
            .min(WINDOW_FRAMES)
    }

    /// From the take-over to the first refresh: between half the usual time and the whole of it, by where
    /// the instance stands among others.
    fn first_refresh(&self, spread: Spread) -> Nanos {
        Nanos(self.refresh.0 - spread.share(Nanos(self.refresh.0 / 2)).0)
    }

    /// How often in a row a portion is put off.
    fn max_delays(&self) -> u64 {
        MAX_DELAY
            .0
            .checked_div(self.window().0.0)
            .unwrap_or(0)
            .max(1)
    }
}

impl From<Garp> for Cadence {
    fn from(garp: Garp) -> Self {
        Self {
            count: garp.count,
            repeat_after: Nanos::from(garp.repeat_after),
            repeat_count: garp.repeat_count,
            refresh: Nanos::from(garp.refresh),
            gap: Nanos::from(garp.gap),
        }
    }
}

/// How far the first burst is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Again {
    /// Not every address was announced yet.
    Unsaid,
    /// The rest waits until then.
    Waits(Instant),
    /// The rest is leaving, or has left.
    Over,
}

/// The schedule of one master's announcements, from its take-over on. It ends by being dropped.
#[derive(Clone, Debug)]
pub struct AnnouncePlan {
    cadence: Cadence,
    addresses: usize,
    /// The running burst: rounds still to go, counting the current one, and where that one stands.
    rounds: u8,
    position: usize,
    /// From a first announcement of all of them to the rest of its burst.
    pause: Nanos,
    again: Again,
    /// The running burst is a refresh: its next portion is due then at the earliest.
    unhurried: Option<Instant>,
    /// When the second burst is due; `None` once it has begun.
    repeat_at: Option<Instant>,
    refresh_at: Option<Instant>,
    window_ends: Instant,
    window_left: usize,
    /// How often the running burst has been put off.
    delays: u64,
}

impl AnnouncePlan {
    /// A plan for this many addresses that starts now.
    pub fn new(cadence: Cadence, addresses: usize, spread: Spread, now: Instant) -> Self {
        let span = |span: Nanos| (span.0 > 0).then(|| now + span);
        Self {
            cadence,
            addresses,
            rounds: cadence.count,
            position: 0,
            pause: Nanos(AGAIN_AFTER.0 + spread.share(AGAIN_AFTER).0),
            again: Again::Unsaid,
            unhurried: None,
            repeat_at: span(cadence.repeat_after).filter(|_| cadence.repeat_count > 0),
            refresh_at: span(cadence.first_refresh(spread)),
            window_ends: now,
            window_left: 0,
            delays: 0,
        }
    }

    /// Somebody else claimed an address: at least one more round of all of them, as soon as the pace allows.
    /// However often it is called, no more than one round is ever owed on top.
    pub fn announce_again(&mut self) {
        // What has left of a running round has left before the claim.
        let running = u8::from(self.position > 0);
        self.hurry(running.saturating_add(1));
        if let Again::Waits(_) = self.again {
            self.again = Again::Unsaid;
        }
    }

    fn hurry(&mut self, rounds: u8) {
        self.rounds = self.rounds.max(rounds);
        self.unhurried = None;
    }

    /// The addresses to announce now, once each; call until `None`.
    pub fn due(&mut self, now: Instant) -> Option<Range<usize>> {
        self.begin_bursts(now);
        if self.rounds == 0 || self.addresses == 0 || now < self.waits_until() {
            return None;
        }
        if let Again::Waits(_) = self.again {
            self.again = Again::Over;
        }
        if now >= self.window_ends {
            let (span, frames) = self.cadence.window();
            self.window_ends = now + span;
            self.window_left = frames;
        }
        let mut room = self.window_left;
        // With a gap that is the pace of refreshes as well.
        if self.unhurried.is_some() && self.cadence.gap.0 == 0 {
            room = room.min(self.cadence.refresh_frames(self.addresses));
        }
        let end = self.addresses.min(self.position.saturating_add(room));
        if end == self.position {
            return None;
        }
        if let Some(at) = &mut self.unhurried
            && self.cadence.gap.0 == 0
        {
            *at = now + REFRESH_WINDOW;
        }
        let portion = self.position..end;
        self.window_left = self.window_left.saturating_sub(portion.len());
        self.position = end;
        if end == self.addresses {
            self.end_round(now);
        }
        Some(portion)
    }

    fn end_round(&mut self, now: Instant) {
        self.position = 0;
        self.rounds = self.rounds.saturating_sub(1);
        self.again = match self.again {
            // With a gap that is the pace of a burst, too.
            Again::Unsaid if self.rounds > 0 && self.cadence.gap.0 == 0 => {
                Again::Waits(at_a_window(now + self.pause))
            }
            _ => Again::Over,
        };
    }

    /// Nothing of the running burst is due sooner.
    fn waits_until(&self) -> Instant {
        let again = match self.again {
            Again::Waits(at) => at,
            Again::Unsaid | Again::Over => Instant(0),
        };
        again.max(self.unhurried.unwrap_or_default())
    }

    /// The queue had no room for the end of the portion that was due last: from this address on it is due
    /// again in the next window. After half a second of these in a row the burst goes on without them.
    pub fn put_off(&mut self, portion: &Range<usize>, from: usize) {
        if self.delays >= self.cadence.max_delays() || !portion.contains(&from) {
            return;
        }
        self.delays += 1;
        if portion.end == self.addresses {
            // It was the last one of its round, which is not over now.
            self.rounds = self.rounds.saturating_add(1);
            if let Again::Waits(_) = self.again {
                self.again = Again::Unsaid;
            }
        }
        self.position = from;
        self.window_left = 0;
    }

    /// A portion left whole.
    pub fn sent(&mut self) {
        self.delays = 0;
    }

    /// When `due` will next have something; `None` if never.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.addresses == 0 {
            return None;
        }
        let portion = self.window_ends.max(self.waits_until());
        let portion = (self.rounds > 0).then_some(portion);
        [portion, self.repeat_at, self.refresh_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// A burst that begins while another runs joins it: the longer one counts.
    fn begin_bursts(&mut self, now: Instant) {
        if self.repeat_at.is_some_and(|at| now >= at) {
            self.repeat_at = None;
            self.hurry(self.cadence.repeat_count);
            self.again = Again::Over;
        }
        if let Some(at) = self.refresh_at.filter(|at| now >= *at) {
            // Refreshes missed in a stall are not caught up, and after it those of different instances do
            // not come together either.
            let missed = now.since(at).0 / self.cadence.refresh.0.max(1);
            self.refresh_at = Some(at + Nanos(self.cadence.refresh.0.saturating_mul(missed + 1)));
            if self.rounds == 0 {
                self.rounds = 1;
                self.unhurried = Some(now);
            }
        }
    }
}

/// The first multiple of [`WINDOW`] that is not before this time: what many routers do then takes few wake-ups.
fn at_a_window(at: Instant) -> Instant {
    Instant(at.0.div_ceil(WINDOW.0).saturating_mul(WINDOW.0))
}

#[cfg(test)]
mod tests;
