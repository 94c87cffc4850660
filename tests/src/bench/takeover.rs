//! Take-overs: the time from the protocol's deadline to the backup's first advert and its first
//! gratuitous ARP, by time stamps of the kernel on the switch's port.
//!
//! Every contestant stands by on a segment of its own, for a master of its own, all at the same time;
//! the masters fall silent one after the other, round by round, so that whatever else the machine does
//! is the same for all. Each round has another order: who comes after whom matters, to the caches above all.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ha_common::units::{Instant, Nanos};
use serde::Serialize;

use super::contestant::{self, Contestant, INTERVAL, PRIORITY, Part, Router};
use super::load::Load;
use super::master::Master;
use super::sample::{Summary, millis_past};
use crate::lab::capture::{Capture, Direction, Timing};
use crate::lab::{Host, Lab, Process, VIP};

/// The backup's share of the timing.
pub(super) const TIMING: Timing = Timing {
    interval: INTERVAL,
    priority: PRIORITY,
};
/// How long a backup has to have kept quiet until its round begins.
const QUIET: Duration = Duration::from_millis(60);
/// When something that must come is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Rounds that are played first and not counted.
pub(super) const WARM_UP: usize = 3;
/// How far before the deadline a take-over may seem to be: the switch and the host stamp the same
/// advert one after the other.
pub(super) const EARLY: f64 = -0.2;

/// What one contestant came to under one load.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) contestant: Contestant,
    /// Busy loops beside it.
    pub(super) busy_loops: usize,
    /// From the deadline to the first advert, in milliseconds.
    pub(super) advert: Option<Summary>,
    /// From the deadline to the first gratuitous ARP, in milliseconds.
    pub(super) announcement: Option<Summary>,
    /// Rounds in which it did not wait for its deadline, not in the summaries.
    pub(super) early: usize,
    /// Times when it took over from a master that was speaking.
    pub(super) false_takeovers: usize,
    advert_ms: Vec<f64>,
    announcement_ms: Vec<f64>,
}

/// One contestant on its segment.
struct Post {
    contestant: Contestant,
    // Dropped in this order: the daemon, its master, and then what they lived in.
    _daemon: Process,
    master: Master,
    lab: Lab,
}

/// Plays `rounds` take-overs of each contestant idle and as many busy.
pub(super) fn measure(rounds: usize) -> Result<Vec<Outcome>> {
    let mut posts = Vec::new();
    for contestant in Contestant::all() {
        let post = Post::new(contestant)
            .with_context(|| format!("cannot set up {}", contestant.name()))?;
        posts.push(post);
    }
    for post in &posts {
        for _ in 0..WARM_UP {
            post.round()
                .with_context(|| trouble(post.contestant, post.backup(), "warm-up"))?;
        }
        if post.contestant.is_ours() {
            let kind = contestant::datapath(post.contestant, post.backup())?;
            eprintln!("{} runs on the datapath {kind}", post.contestant.name());
        }
    }
    let mut results = play(&posts, rounds, 0)?;
    let load = Load::start()?;
    results.extend(play(&posts, rounds, load.loops())?);
    Ok(results)
}

fn play(posts: &[Post], rounds: usize, busy_loops: usize) -> Result<Vec<Outcome>> {
    let mut results: Vec<Outcome> = posts
        .iter()
        .map(|post| Outcome::new(post.contestant, busy_loops))
        .collect();
    for round in 0..rounds {
        if round % 10 == 0 {
            eprintln!("take-overs beside {busy_loops} busy loops: {round} of {rounds}");
        }
        for place in shuffled(posts.len()) {
            let (Some(post), Some(result)) = (posts.get(place), results.get_mut(place)) else {
                continue;
            };
            let lateness = post
                .round()
                .with_context(|| trouble(post.contestant, post.backup(), "round"))?;
            result.note(&lateness);
        }
    }
    for result in &mut results {
        result.sum_up();
    }
    Ok(results)
}

/// The numbers below this one, in any order.
pub(super) fn shuffled(count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    fastrand::shuffle(&mut numbers);
    numbers
}

/// A round's outcome, in milliseconds past the deadline.
struct Lateness {
    advert: f64,
    announcement: f64,
    false_takeovers: usize,
}

impl Post {
    fn new(contestant: Contestant) -> Result<Self> {
        let lab = Lab::new(1)?;
        let master = Master::start(lab.client_host(), &Router::ONE)?;
        let daemon = contestant.start(lab.host(1), &Router::ONE, Part::STANDBY)?;
        Ok(Self {
            contestant,
            _daemon: daemon,
            master,
            lab,
        })
    }

    fn backup(&self) -> &Host {
        self.lab.host(1)
    }

    /// One take-over and the way back.
    fn round(&self) -> Result<Lateness> {
        // A capture for each round: an old one would have ever more to look through.
        let capture = self.lab.capture_port(self.backup())?;
        let begin = crate::lab::clock::now();
        let false_takeovers = wait_quiet(self.backup(), &capture, begin)?;
        // Anywhere between two adverts.
        std::thread::sleep(INTERVAL.mul_f64(fastrand::f64()));
        let silence = self.master.silence()?;
        let takeover = capture.takeover(self.backup(), VIP, TIMING, silence, PATIENCE)?;
        let back = self.master.speak();
        wait_quiet(self.backup(), &capture, back)?;
        Ok(Lateness {
            advert: millis_past(takeover.deadline, takeover.first_advert),
            announcement: millis_past(takeover.deadline, takeover.first_announcement),
            false_takeovers,
        })
    }
}

/// For an error: which contestant, and the end of its log.
pub(super) fn trouble(contestant: Contestant, backup: &Host, what: &str) -> String {
    let log = backup.log_dir().join("bench.log");
    let text = std::fs::read_to_string(&log).unwrap_or_else(|error| error.to_string());
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.get(lines.len().saturating_sub(15)..);
    format!(
        "{} of {}; its log ends:\n{}",
        what,
        contestant.name(),
        end.unwrap_or_default().join("\n")
    )
}

/// Waits until the backup has kept quiet for a while under a master that speaks. How often it
/// began to speak meanwhile.
pub(super) fn wait_quiet(backup: &Host, capture: &Capture, since: Instant) -> Result<usize> {
    let quiet = Nanos(u64::try_from(QUIET.as_nanos())?);
    let mut last = since;
    let mut bursts = 0;
    let deadline = since + Nanos(u64::try_from(PATIENCE.as_nanos())?);
    while last < deadline {
        let after = capture.wait_for("the master", last + quiet, PATIENCE, |frame| {
            frame.is_to(backup) && frame.vrrp().is_some()
        })?;
        let spoke = capture
            .frames_since(last)
            .into_iter()
            .filter(|frame| frame.direction == Direction::FromHost && frame.at > last)
            .filter(|frame| frame.at < after.at && frame.vrrp().is_some())
            .map(|frame| frame.at)
            .max();
        match spoke {
            None => return Ok(bursts),
            Some(at) => {
                last = at;
                bursts += 1;
            }
        }
    }
    bail!("it does not yield to a master of higher priority")
}

impl Outcome {
    fn new(contestant: Contestant, busy_loops: usize) -> Self {
        Self {
            contestant,
            busy_loops,
            advert: None,
            announcement: None,
            early: 0,
            false_takeovers: 0,
            advert_ms: Vec::new(),
            announcement_ms: Vec::new(),
        }
    }

    fn note(&mut self, lateness: &Lateness) {
        self.false_takeovers += lateness.false_takeovers;
        if lateness.advert < EARLY {
            self.early += 1;
        } else {
            self.advert_ms.push(lateness.advert);
            self.announcement_ms.push(lateness.announcement);
        }
    }

    fn sum_up(&mut self) {
        self.advert = Summary::of(&self.advert_ms);
        self.announcement = Summary::of(&self.announcement_ms);
    }
}
