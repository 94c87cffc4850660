//! Recording a live agent: what it wrote down replays to what it did, tells no secret, and a full disk costs
//! lines and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use ha_agent::record::line::{Event, Line};
use ha_tests::golden::import::import;
use ha_tests::golden::{Transcript, unified};
use ha_tests::lab::advert::Advert;
use ha_tests::lab::agent::{Agent, Launch, State};
use ha_tests::lab::pair::{LATENESS, PATIENCE, instance};
use ha_tests::lab::{Host, Lab, Pair, wait_until};

/// Options and wrappers of a launch live as long as the test program.
fn lasting(path: &Path) -> Result<&'static str> {
    let text = path.to_str().context("a path that is not UTF-8")?;
    Ok(text.to_owned().leak())
}

fn recording_to(path: &Path) -> Result<Launch> {
    Ok(Launch {
        options: vec!["--record", lasting(path)?],
        ..Launch::default()
    })
}

/// What a recording replays to, which must be what it says.
fn replayed(recording: &Path, folder: &Path) -> Result<Transcript> {
    let (scenario, parts) = import(recording, folder)?;
    ensure!(parts.cut_at.is_none(), "the recording has a gap: {parts:?}");
    let transcript = scenario.play()?;
    let difference = unified("the recording", &parts.expected, &transcript.lines);
    ensure!(difference.is_empty(), "{difference}");
    Ok(transcript)
}

/// The changes of state, without their times.
fn transitions(transcript: &Transcript) -> Vec<&str> {
    let lines = transcript.lines.iter();
    lines
        .filter(|line| line.contains(" -> "))
        .filter_map(|line| line.split_once(" > ").map(|(_, words)| words))
        .collect()
}

/// The events of a recording that an agent is still writing, or has left.
fn events(text: &str) -> Result<Vec<Event>> {
    let event = |line| Ok(serde_json::from_str::<Line>(line)?.event);
    text.lines().map(event).collect()
}

fn is_lost(event: &Event) -> bool {
    matches!(event, Event::Lost(_))
}

#[test]
fn a_recorded_fail_over_replays_to_the_same_actions() -> Result<()> {
    let lab = Lab::new(2)?;
    let recording = lab.host(2).dir().join("incident");
    let launch = recording_to(&recording)?;
    let pair = Pair::settle(lab, instance(100), instance(90), &launch)?;
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()?;
    pair.backup.stop()?;

    let mode = fs::metadata(&recording)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "the recording has mode {mode:o}");
    let transcript = replayed(&recording, &pair.h2().dir().join("scenario"))?;
    let changes = transitions(&transcript);
    let expected = [
        "INIT -> BACKUP, priority 90: ready",
        "BACKUP -> MASTER, priority 90: no advert for 36",
        "MASTER -> BACKUP, priority 90: better master 10.99.0.1 with priority 100",
        "BACKUP -> STOPPED, priority 90: shutdown",
    ];
    let fits = |(found, start): (&&str, &&str)| found.starts_with(*start);
    ensure!(
        changes.len() == expected.len() && changes.iter().zip(&expected).all(fits),
        "{changes:#?}"
    );
    ensure!(
        transcript.transitions.len() == expected.len(),
        "{transcript:#?}"
    );
    Ok(())
}

#[test]
fn an_agent_that_is_started_again_leaves_the_earlier_recording_alone_and_resumes_in_its_own()
-> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    Agent::write_config(h1, instance(100))?;
    let path = h1.dir().join("incident");
    let launch = recording_to(&path)?;
    let agent = Agent::launch(h1, &launch)?;
    agent.wait_state(State::Master, PATIENCE)?;
    agent.process().kill()?;
    let killed = fs::read_to_string(&path)?;
    ensure!(!events(&killed)?.contains(&Event::End), "{killed}");

    let agent = Agent::launch(h1, &launch)?;
    agent.wait_state(State::Master, PATIENCE)?;
    agent.stop()?;
    ensure!(fs::read_to_string(&path)? == killed, "evidence was changed");
    let second = h1.dir().join("incident.1");
    agent
        .process()
        .wait_for_line(&format!("recording to {}", second.display()), PATIENCE)?;
    replayed(&path, &h1.dir().join("first"))?;
    let transcript = replayed(&second, &h1.dir().join("second"))?;
    let resumed = |line: &String| line.ends_with(" web < resume");
    ensure!(transcript.lines.iter().any(resumed), "{transcript:#?}");
    Ok(())
}

#[test]
fn a_password_is_not_in_the_recording() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let secret = toml::Table::from_iter([
        ("type".to_owned(), toml::Value::from("pass")),
        ("password".to_owned(), toml::Value::from("hunter2")),
    ]);
    let mut old = instance(100).with("auth", secret);
    old.version = 2;
    old.advert_interval = std::time::Duration::from_secs(1);
    Agent::write_config(h1, old)?;
    let path = h1.dir().join("incident");
    let agent = Agent::launch(h1, &recording_to(&path)?)?;
    agent.wait_state(State::Master, PATIENCE)?;
    agent.stop()?;
    let text = fs::read_to_string(&path)?;
    ensure!(!text.contains("hunter2"), "{text}");
    let transcript = replayed(&path, &h1.dir().join("scenario"))?;
    let led = transitions(&transcript)
        .iter()
        .any(|it| it.contains("-> MASTER"));
    ensure!(led, "{transcript:#?}");
    Ok(())
}

#[test]
fn a_recording_that_cannot_be_made_is_said_and_done_without() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    Agent::write_config(h1, instance(100))?;
    let nowhere = h1.dir().join("no-such-directory").join("incident");
    let agent = Agent::launch(h1, &recording_to(&nowhere)?)?;
    agent.wait_state(State::Master, PATIENCE)?;
    let part = format!("cannot record to {}: ", nowhere.display());
    agent.process().wait_for_line(&part, PATIENCE)?;
    Ok(())
}

/// Sends one advert of a master that leaves, each of which is answered and recorded, and waits until it was
/// dealt with.
fn claim(agent: &Agent, host: &Host) -> Result<()> {
    let answered = |agent: &Agent| Ok::<_, anyhow::Error>(agent.only()?.counters.adverts_received);
    let before = answered(agent)?;
    let advert = Advert {
        priority: 0,
        interval: 10,
        ..Advert::default()
    };
    host.forger()?.send(&advert.frame())?;
    wait_until(PATIENCE, "the claim is counted", || {
        answered(agent).is_ok_and(|now| now > before)
    })
}

#[test]
fn a_full_disk_is_said_once_and_the_protocol_goes_on_and_so_does_the_recording_later() -> Result<()>
{
    const SAID: &str = "is not written for now: ";
    let lab = Lab::new(1)?;
    let (h1, client) = (lab.host(1), lab.client_host());
    Agent::write_config(h1, instance(100))?;
    let disk = h1.dir().join("disk");
    fs::create_dir(&disk)?;
    // A small disk of its own mount namespace, which ends with the agent; all but one page is taken.
    let script = "mount -t tmpfs -o size=64k small \"$0\" && head -c 57344 /dev/zero >\"$0/ballast\" && \
        exec \"$@\"";
    let launch = Launch {
        under: vec!["unshare", "--mount", "sh", "-c", script, lasting(&disk)?],
        ..recording_to(&disk.join("incident"))?
    };
    let agent = Agent::launch(h1, &launch)?;
    agent.wait_state(State::Master, PATIENCE)?;
    let said = || {
        let lines = agent.process().lines();
        lines.iter().filter(|line| line.text.contains(SAID)).count()
    };
    for _ in 0..200 {
        if said() > 0 {
            break;
        }
        claim(&agent, client)?;
    }
    ensure!(said() == 1, "the disk never became full");
    for _ in 0..5 {
        claim(&agent, client)?;
    }
    ensure!(said() == 1, "it is said more than once");
    ensure!(agent.state()? == State::Master);

    // Its mounts as seen from outside.
    let inside = Path::new("/proc")
        .join(agent.process().pid().to_string())
        .join("root")
        .join(disk.strip_prefix("/")?);
    fs::remove_file(inside.join("ballast"))?;
    let recording = inside.join("incident");
    claim(&agent, client)?;
    wait_until(PATIENCE, "the recording goes on", || {
        let written = fs::read_to_string(&recording);
        written.is_ok_and(|text| events(&text).is_ok_and(|all| all.iter().any(is_lost)))
    })?;
    let text = fs::read_to_string(&recording)?;
    let all = events(&text)?;
    ensure!(all.iter().filter(|it| is_lost(it)).count() == 1, "{text}");
    let newest = all.last().context("an empty recording")?;
    ensure!(
        matches!(newest, Event::Turn(turn) if !turn.actions.is_empty()),
        "{newest:?}"
    );
    agent.stop()
}
