//! Many scenarios, on all processors.

use std::num::ParseIntError;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bugs::Hooks;
use crate::scenario::{Summary, Violation};

/// Seeds that a thread takes at a time.
const CHUNK: u64 = 64;

/// How a scenario is played.
pub type Play = fn(u64, Hooks, bool) -> Result<Summary, Violation>;

/// What many scenarios went through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Total {
    /// How many.
    pub seeds: u64,
    /// Events handled.
    pub events: u64,
    /// Transitions reported.
    pub transitions: u64,
    /// Longest time from quiet to the last transition, in thousandths of the bound.
    pub slowest_per_mille: u64,
}

impl Total {
    fn add(&mut self, summary: &Summary) {
        self.seeds += 1;
        self.events += summary.events;
        self.transitions += summary.transitions as u64;
        self.slowest_per_mille = self.slowest_per_mille.max(summary.slowest_per_mille);
    }

    fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.transitions += other.transitions;
        self.slowest_per_mille = self.slowest_per_mille.max(other.slowest_per_mille);
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} schedules, {} events, {} transitions: every invariant held; the slowest convergence took {} % of the \
             bound",
            self.seeds,
            self.events,
            self.transitions,
            self.slowest_per_mille / 10
        )
    }
}

/// How many schedules a test plays: as the environment says, or so many.
pub fn schedules(variable: &str, otherwise: u64) -> Result<u64, ParseIntError> {
    std::env::var(variable).map_or(Ok(otherwise), |it| it.parse())
}

/// Plays these seeds, each thread taking some at a time. Of those that break an invariant, the lowest is told: the
/// same one whatever the number of threads.
pub fn run(seeds: Range<u64>, play: Play, bug: Hooks) -> Result<Total, Violation> {
    let next = AtomicU64::new(seeds.start);
    let end = AtomicU64::new(seeds.end);
    let found: Mutex<(Total, Option<Violation>)> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut total = Total::default();
                loop {
                    let first = next.fetch_add(CHUNK, Ordering::Relaxed);
                    for seed in first..first.saturating_add(CHUNK) {
                        if seed >= end.load(Ordering::Relaxed) {
                            break;
                        }
                        match play(seed, bug, false) {
                            Ok(summary) => total.add(&summary),
                            Err(violation) => {
                                end.fetch_min(seed, Ordering::Relaxed);
                                note(&found, violation);
                            }
                        }
                    }
                    if first >= end.load(Ordering::Relaxed) {
                        break;
                    }
                }
                lock(&found).0.merge(total);
            });
        }
    });
    let (total, violation) = found
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    violation.map_or(Ok(total), Err)
}

fn note(found: &Mutex<(Total, Option<Violation>)>, violation: Violation) {
    let mut found = lock(found);
    if found.1.as_ref().is_none_or(|it| violation.seed < it.seed) {
        found.1 = Some(violation);
    }
}

fn lock<T>(found: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    found
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
