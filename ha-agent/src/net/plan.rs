//! When to announce: a burst at once, a second one later, and a slow refresh if wanted.
//!
//! A pure schedule: it is told the time and says what is due. A caller with a thousand addresses
//! gets them in portions, so that the driver's turn stays short and the switch's queue is not
//! flooded; every address goes out once before any goes out twice.

use std::ops::Range;

use ha_common::units::{Instant, Nanos};

use crate::config::model::Garp;

/// Announcements that one portion window may hold: about a millisecond of sending.
pub const WINDOW_FRAMES: usize = 256;

/// How long a window lasts, that is a pace of at most 128,000 announcements a second.
pub const WINDOW: Nanos = Nanos::from_millis(2);

/// For how long a portion is put off in a row because the interface's queue is full: half a second.
const MAX_DELAY: Nanos = Nanos::from_millis(500);

/// How often to announce. Zero means never, for each of the values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cadence {
    /// Announcements of each address in the first burst.
    pub count: u8,
    /// From the start to the second burst.
    pub repeat_after: Nanos,
    /// Announcements of each address in the second burst.
    pub repeat_count: u8,
    /// From one refresh to the next.
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
        // Configured spans are a day at most; u64 nanoseconds hold 584 years.
        let nanos =
            |span: std::time::Duration| Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        Self {
            count: garp.count,
            repeat_after: nanos(garp.repeat_after),
            repeat_count: garp.repeat_count,
            refresh: nanos(garp.refresh),
            gap: nanos(garp.gap),
        }
    }
}

/// The schedule of one master's announcements, from its take-over on. It ends by being dropped.
#[derive(Clone, Debug)]
pub struct AnnouncePlan {
    cadence: Cadence,
    addresses: usize,
    /// The running burst: rounds still to go, counting the current one, and where that one stands.
    rounds: u8,
    position: usize,
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
    pub fn new(cadence: Cadence, addresses: usize, now: Instant) -> Self {
        let span = |span: Nanos| (span.0 > 0).then(|| now + span);
        Self {
            cadence,
            addresses,
            rounds: cadence.count,
            position: 0,
            repeat_at: span(cadence.repeat_after).filter(|_| cadence.repeat_count > 0),
            refresh_at: span(cadence.refresh),
            window_ends: now,
            window_left: 0,
            delays: 0,
        }
    }

    /// Somebody else claimed an address: at least one more round as soon as the pace allows.
    /// However often it is called, no more than one round is ever owed on top.
    pub fn announce_again(&mut self) {
        self.rounds = self.rounds.max(1);
    }

    /// The addresses to announce now, once each; call until `None`.
    pub fn due(&mut self, now: Instant) -> Option<Range<usize>> {
        self.begin_bursts(now);
        if self.rounds == 0 || self.addresses == 0 {
            return None;
        }
        if now >= self.window_ends {
            let (span, frames) = self.cadence.window();
            self.window_ends = now + span;
            self.window_left = frames;
        }
        let end = self
            .addresses
            .min(self.position.saturating_add(self.window_left));
        if end == self.position {
            return None;
        }
        let portion = self.position..end;
        self.window_left = self.window_left.saturating_sub(portion.len());
        self.position = end;
        if end == self.addresses {
            self.position = 0;
            self.rounds = self.rounds.saturating_sub(1);
        }
        Some(portion)
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
        let portion = (self.rounds > 0).then_some(self.window_ends);
        [portion, self.repeat_at, self.refresh_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// A burst that begins while another runs joins it: the longer one counts.
    fn begin_bursts(&mut self, now: Instant) {
        if self.repeat_at.is_some_and(|at| now >= at) {
            self.repeat_at = None;
            self.rounds = self.rounds.max(self.cadence.repeat_count);
        }
        if self.refresh_at.is_some_and(|at| now >= at) {
            // Counted from now: refreshes missed in a stall are not caught up.
            self.refresh_at = Some(now + self.cadence.refresh);
            self.rounds = self.rounds.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant(1_000_000_000);
    const FIVE_AND_FIVE: Cadence = Cadence {
        count: 5,
        repeat_after: Nanos::from_millis(5000),
        repeat_count: 5,
        refresh: Nanos(0),
        gap: Nanos(0),
    };

    /// Follows the plan by its own deadlines and notes when each portion went out.
    fn play(plan: &mut AnnouncePlan, until: Instant) -> Vec<(u64, Range<usize>)> {
        let mut log = Vec::new();
        let mut now = START;
        loop {
            while let Some(portion) = plan.due(now) {
                log.push((now.since(START).0 / 1_000_000, portion));
            }
            match plan.next_deadline() {
                Some(next) if next <= until => {
                    assert!(
                        next > now,
                        "a deadline that has passed would spin the driver"
                    );
                    now = next;
                }
                _ => return log,
            }
        }
    }

    #[test]
    fn the_default_configuration_is_five_and_five() {
        assert_eq!(Cadence::from(Garp::default()), FIVE_AND_FIVE);
    }

    #[test]
    fn five_leave_at_once_and_five_after_five_seconds() {
        let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 1, START);
        assert_eq!(plan.next_deadline(), Some(START));
        let log = play(&mut plan, START + Nanos::from_millis(60_000));
        let expected: Vec<_> = [0, 5000]
            .iter()
            .flat_map(|at| vec![(*at, 0..1); 5])
            .collect();
        assert_eq!(log, expected);
        assert_eq!(plan.next_deadline(), None);
    }

    #[test]
    fn a_thousand_addresses_leave_in_portions_and_every_one_before_any_twice() {
        let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 1000, START);
        let log = play(&mut plan, START + Nanos::from_millis(4000));
        assert_eq!(
            log.iter().map(|(_, portion)| portion.len()).sum::<usize>(),
            5000
        );
        assert_eq!(
            log[..4],
            [(0, 0..256), (2, 256..512), (4, 512..768), (6, 768..1000)]
        );
        let mut next = 0;
        for (_, portion) in &log {
            assert_eq!(portion.start, next);
            next = portion.end % 1000;
        }
        for window in 0..log.len() as u64 * 2 {
            let sent: usize = log
                .iter()
                .filter(|(at, _)| *at == window)
                .map(|(_, p)| p.len())
                .sum();
            assert!(sent <= WINDOW_FRAMES);
        }
    }

    #[test]
    fn with_a_gap_announcements_leave_one_by_one_and_none_is_left_out() {
        let cadence = Cadence {
            gap: Nanos::from_millis(20),
            ..FIVE_AND_FIVE
        };
        let mut plan = AnnouncePlan::new(cadence, 3, START);
        let log = play(&mut plan, START + Nanos::from_millis(60_000));
        let expected: Vec<_> = [0, 5000]
            .iter()
            .flat_map(|burst| (0..15).map(move |n| burst + 20 * n))
            .zip([0, 1, 2].into_iter().cycle())
            .map(|(at, address)| (at, address..address + 1))
            .collect();
        assert_eq!(log, expected);
        // A claim by somebody else does not break it.
        let mut plan = AnnouncePlan::new(cadence, 3, START);
        assert_eq!(plan.due(START), Some(0..1));
        plan.announce_again();
        assert_eq!(plan.due(START + Nanos::from_millis(19)), None);
    }

    #[test]
    fn what_found_no_room_leaves_in_the_next_window_and_before_anything_leaves_twice() {
        let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 100, START);
        let whole = plan.due(START).unwrap();
        assert_eq!(whole, 0..100);
        plan.put_off(&whole, 60);
        assert_eq!(
            plan.due(START),
            None,
            "the queue has no room in this window"
        );
        let next = plan.next_deadline().unwrap();
        assert_eq!(next, START + WINDOW);
        assert_eq!(plan.due(next), Some(60..100));
        plan.sent();
        let log = play(&mut plan, START + Nanos::from_millis(4000));
        let left: usize = log.iter().map(|(_, portion)| portion.len()).sum();
        assert_eq!(left, 400, "the other four rounds");
    }

    #[test]
    fn a_queue_that_never_has_room_does_not_keep_the_driver_busy_for_ever() {
        let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 10, START);
        let (mut now, mut attempts) = (START, 0);
        while plan.rounds > 0 {
            if let Some(portion) = plan.due(now) {
                attempts += 1;
                plan.put_off(&portion, 0);
            } else {
                now = plan.next_deadline().unwrap();
            }
        }
        assert_eq!(attempts, 250 + 5);
    }

    #[test]
    fn refreshes_missed_in_a_stall_are_not_caught_up() {
        let cadence = Cadence {
            count: 1,
            repeat_after: Nanos(0),
            repeat_count: 5,
            refresh: Nanos::from_millis(1000),
            gap: Nanos(0),
        };
        let mut plan = AnnouncePlan::new(cadence, 1, START);
        assert_eq!(plan.due(START), Some(0..1));
        assert_eq!(
            plan.due(START),
            None,
            "no second burst without a time for it"
        );
        let late = START + Nanos::from_millis(10_500);
        assert_eq!(plan.due(late), Some(0..1));
        assert_eq!(plan.due(late), None);
        assert_eq!(plan.next_deadline(), Some(late + Nanos::from_millis(1000)));
    }

    #[test]
    fn claims_by_others_cannot_pile_up_announcements() {
        let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 2, START);
        while plan.due(START).is_some() {}
        for _ in 0..1000 {
            plan.announce_again();
        }
        let next = plan.next_deadline().unwrap();
        assert!(next <= START + WINDOW);
        assert_eq!(plan.due(next), Some(0..2));
        assert_eq!(plan.due(next), None);
    }

    #[test]
    fn a_plan_without_addresses_never_wakes_the_driver() {
        let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 0, START);
        assert_eq!(plan.due(START), None);
        assert_eq!(plan.next_deadline(), None);
    }
}
