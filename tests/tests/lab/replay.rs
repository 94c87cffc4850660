//! What somebody who has recorded signed adverts can do with them after the receiver's end, and for how long:
//! docs/SECURITY.md says it in words.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status::Notice;
use ha_tests::lab::clock::now;
use ha_tests::lab::hmac::{hmac, key};
use ha_tests::lab::pair::{LATENESS, PATIENCE, TIMING, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Lab, Pair, VipWatch, wait_until};

/// How many adverts are recorded.
const RECORDED: usize = 10;
/// The shortest window that can be had.
const SHORTEST: Duration = Duration::from_secs(1);

/// Host 1 leads and host 2 follows; both enforce signatures, and judge their time like this.
fn pair(replay: &str, window: Option<&str>) -> Result<Pair> {
    let lab = Lab::new(2)?;
    let signing = |number: u8, priority| -> Result<Instance> {
        let keys = vec![key(lab.host(number), 1, 0xa7)?];
        let mut signing = hmac(keys, 1, "enforce");
        signing.insert("replay".to_owned(), replay.into());
        if let Some(window) = window {
            signing.insert("window".to_owned(), window.into());
        }
        Ok(instance(priority).with("hmac", signing))
    };
    let (first, second) = (signing(1, 100)?, signing(2, 90)?);
    Pair::in_lab(lab, first, second)
}

/// The master's latest adverts, after which it is cut off: to the segment it is dead.
fn record_and_cut(pair: &Pair) -> Result<Recording> {
    let begin = now();
    let mut frames = Vec::new();
    wait_until(PATIENCE, "enough was recorded", || {
        let all = pair.capture.frames_since(begin);
        frames = all
            .into_iter()
            .filter(|it| it.is_from(pair.h1()) && it.vrrp().is_some())
            .collect();
        frames.len() >= RECORDED
    })?;
    pair.lab.block(pair.h1())?;
    let last = frames.last().map_or(begin, |it| it.at);
    Ok(Recording {
        frames: frames.into_iter().map(|it| it.bytes.to_vec()).collect(),
        last,
    })
}

struct Recording {
    frames: Vec<Vec<u8>>,
    /// When the last one was sent by who had the key.
    last: Instant,
}

impl Recording {
    fn count(&self) -> u64 {
        self.frames.len() as u64
    }

    /// Plays it once to the segment, so many a second; when the last one left.
    fn play(&self, lab: &Lab, rate: u32) -> Result<Instant> {
        let span = Duration::from_secs(1) * u32::try_from(self.frames.len())? / rate;
        let storm = lab
            .client_host()
            .forger()?
            .storm(&self.frames, rate, span)?;
        ensure!(storm.sent == self.count(), "{storm:?}");
        Ok(now())
    }
}

/// Stops the backup, or kills it, and starts it again: it has heard nobody, and leads.
fn restart(pair: &mut Pair, signal: Signal) -> Result<()> {
    pair.on_backup.wait_present(PATIENCE)?;
    pair.backup.process().signal(signal)?;
    pair.backup.process().wait(PATIENCE)?;
    pair.backup = Agent::start_again(pair.h2())?;
    pair.backup.wait_state(State::Master, PATIENCE)
}

fn counted(pair: &Pair) -> Result<u64> {
    Ok(pair.backup.only()?.counters.adverts_received)
}

fn refused(pair: &Pair, reason: &str) -> Result<u64> {
    let rejects = pair.backup.only()?.counters.rejects;
    Ok(rejects.get(reason).copied().unwrap_or_default())
}

/// Plays it to a host that leads: nothing counts, all is refused for this reason, and the host goes on leading.
fn is_refused(pair: &Pair, recording: &Recording, reason: &str) -> Result<()> {
    let (heard, before, begin) = (counted(pair)?, refused(pair, reason)?, now());
    recording.play(&pair.lab, 100)?;
    wait_until(PATIENCE, reason, || {
        refused(pair, reason).is_ok_and(|it| it == before + recording.count())
    })?;
    ensure!(counted(pair)? == heard, "some of it counted");
    pair.on_backup
        .undisturbed_since(begin)
        .context("it moved")?;
    Ok(())
}

/// Plays it to a host that leads: the dead master takes the address from it, and keeps it until a master-down
/// interval after the last one, however slowly they come.
fn keeps_a_dead_master_alive(pair: &Pair, recording: &Recording, rate: u32) -> Result<()> {
    let (heard, watch): (_, &VipWatch) = (counted(pair)?, &pair.on_backup);
    let begin = now();
    let last = recording.play(&pair.lab, rate)?;
    ensure!(!watch.present(), "the recording moved nothing");
    ensure!(watch.changes_since(begin).len() == 1, "it moved meanwhile");
    let waited = watch.wait_present(PATIENCE)?.since(last).to_duration();
    ensure!(
        waited + LATENESS > TIMING.master_down() && waited < TIMING.master_down() + LATENESS,
        "{waited:?} after the last one"
    );
    ensure!(counted(pair)? == heard + recording.count());
    pair.backup.wait_state(State::Master, PATIENCE)
}

/// Nobody can tell a recording from a living router whose clock is wrong. A host that has heard nobody else does not
/// take over while it comes, and says whose clock it is about; once it has ended the host waits no longer than ever.
#[test]
fn a_host_that_starts_waits_for_a_recording_to_end_and_tells_of_a_clock() -> Result<()> {
    let mut pair = pair("time", Some("1s"))?;
    let recording = record_and_cut(&pair)?;
    pair.on_backup.wait_present(PATIENCE)?;
    pair.backup.process().signal(Signal::TERM)?;
    pair.backup.process().wait(PATIENCE)?;
    // Time itself is what is waited for.
    let age = now().since(recording.last).to_duration();
    std::thread::sleep((SHORTEST + LATENESS).saturating_sub(age));
    let attacker = pair.lab.client_host().forger()?;
    let begin = now();
    let (again, played) = std::thread::scope(|scope| {
        let playing = scope.spawn(|| {
            let storm = attacker.storm(&recording.frames, 50, Duration::from_secs(3));
            storm.map(|_| now())
        });
        (Agent::start_again(pair.h2()), playing.join())
    });
    pair.backup = again?;
    let Ok(end) = played else {
        anyhow::bail!("the attacker panicked");
    };
    let first = pair.capture.wait_advert(pair.h2(), 90, begin, PATIENCE)?.at;
    let waited = first.since(end?).to_duration();
    ensure!(
        waited + LATENESS > TIMING.master_down() && waited < TIMING.master_down() + LATENESS,
        "{waited:?} after the last one"
    );
    ensure!(counted(&pair)? == 0 && refused(&pair, "hmac_stale")? > 50);
    let notices = pair.backup.only()?.notices;
    let told = |it: &Notice| {
        it.text.contains("the clock of 10.99.0.1 is") && it.text.contains("behind ours")
    };
    ensure!(notices.iter().any(told), "{notices:?}");
    Ok(())
}

#[test]
fn an_agent_that_was_killed_has_forgotten_no_sender() -> Result<()> {
    for replay in ["time", "monotonic"] {
        let mut pair = pair(replay, None)?;
        let recording = record_and_cut(&pair)?;
        restart(&mut pair, Signal::KILL)?;
        is_refused(&pair, &recording, "hmac_replay")?;
    }
    Ok(())
}

/// Half as fast as it was sent: each advert is late by more than the last one, and still counts.
#[test]
fn after_a_stop_what_lies_in_the_window_counts_once_each_for_a_master_down_interval() -> Result<()>
{
    let mut pair = pair("time", None)?;
    let recording = record_and_cut(&pair)?;
    restart(&mut pair, Signal::TERM)?;
    keeps_a_dead_master_alive(&pair, &recording, 5)?;
    is_refused(&pair, &recording, "hmac_replay")
}

#[test]
fn after_a_stop_what_is_older_than_the_window_is_refused_but_in_monotonic_mode() -> Result<()> {
    for replay in ["time", "monotonic"] {
        let window = (replay == "time").then_some("1s");
        let mut pair = pair(replay, window)?;
        let recording = record_and_cut(&pair)?;
        restart(&mut pair, Signal::TERM)?;
        // Time itself is what is waited for.
        let age = now().since(recording.last).to_duration();
        std::thread::sleep((SHORTEST + LATENESS).saturating_sub(age));
        if replay == "time" {
            is_refused(&pair, &recording, "hmac_stale")?;
        } else {
            keeps_a_dead_master_alive(&pair, &recording, 10)?;
            is_refused(&pair, &recording, "hmac_replay")?;
        }
    }
    Ok(())
}
