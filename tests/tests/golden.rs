//! The golden scenarios: each is replayed on a virtual clock, and must come to what is written down.

use std::collections::{BTreeMap, BTreeSet};

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use ha_agent::os::clock;
use ha_agent::{config, record};
use ha_common::election::{Election, Input};
use ha_common::units::Nanos;
use ha_tests::golden::coverage::{Triple, possible};
use ha_tests::golden::import::import;
use ha_tests::golden::{Scenario, Verdict, all, examples, folder};
use proptest::prelude::*;

#[test]
fn every_scenario_comes_to_what_is_written_down() -> Result<()> {
    let scenarios = all()?;
    ensure!(!scenarios.is_empty(), "there are no scenarios");
    let mut differences = Vec::new();
    for (name, scenario) in &scenarios {
        match scenario.judge()? {
            Verdict::Same => {}
            Verdict::Blessed => println!("{name}: written anew"),
            Verdict::Differs(difference) => differences.push(format!("{name}:\n{difference}")),
        }
    }
    ensure!(
        differences.is_empty(),
        "{} of {} scenarios left their path; if that is meant, HA_BLESS=1 writes them anew\n\n{}",
        differences.len(),
        scenarios.len(),
        differences.join("\n")
    );
    Ok(())
}

fn reached(scenarios: &BTreeMap<String, Scenario>) -> Result<BTreeSet<Triple>> {
    let mut reached = BTreeSet::new();
    for scenario in scenarios.values() {
        reached.extend(scenario.play()?.transitions.iter().map(Triple::of));
    }
    Ok(reached)
}

#[test]
fn the_scenarios_show_every_change_of_state_that_there_is() -> Result<()> {
    let (possible, reached) = (possible(), reached(&all()?)?);
    let missing: Vec<String> = possible
        .difference(&reached)
        .map(Triple::to_string)
        .collect();
    ensure!(
        missing.is_empty(),
        "{} of {} changes of state are in no scenario:\n{}",
        missing.len(),
        possible.len(),
        missing.join("\n")
    );
    let unknown: Vec<String> = reached
        .difference(&possible)
        .map(Triple::to_string)
        .collect();
    ensure!(
        unknown.is_empty(),
        "scenarios show changes of state that exploring did not find:\n{}",
        unknown.join("\n")
    );
    Ok(())
}

#[test]
fn a_transcript_that_left_its_path_is_shown_as_a_difference_with_its_surroundings() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    for file in ["config.toml", "events.jsonl", "expected.txt"] {
        fs::copy(
            folder().join("master-dies").join(file),
            scratch.path().join(file),
        )?;
    }
    let scenario = Scenario::read(scratch.path())?;
    let mut transcript = scenario.play()?;
    ensure!(scenario.compare(&transcript)? == Verdict::Same);
    let forgotten = transcript
        .lines
        .iter()
        .position(|line| line.ends_with("> add-addresses"));
    transcript.lines.remove(forgotten.unwrap_or_default());
    let Verdict::Differs(difference) = scenario.compare(&transcript)? else {
        panic!("nobody missed the addresses");
    };
    let changed: Vec<&str> = difference
        .lines()
        .skip(2)
        .filter(|line| line.starts_with(['+', '-']))
        .collect();
    ensure!(
        changed == ["-9.0484375 web > add-addresses"],
        "{difference}"
    );
    ensure!(
        difference.contains(" 9.0484375 web > announce"),
        "{difference}"
    );
    Ok(())
}

#[test]
fn a_malformed_scenario_is_refused_with_its_file_and_line() -> Result<()> {
    const START: &str = r#"{"at":"0s","event":"start"}"#;
    const HEARD: &str = r#""event":{"hears":{"source":"fe80::1","priority":9}}"#;
    let scratch = tempfile::tempdir()?;
    let config = folder().join("master-dies").join("config.toml");
    fs::copy(config, scratch.path().join("config.toml"))?;
    let events = scratch.path().join("events.jsonl");
    let refused = |text: &str| -> Result<String> {
        fs::write(&events, text)?;
        match Scenario::read(scratch.path()).and_then(|scenario| scenario.play()) {
            Ok(_) => panic!("{text} was accepted"),
            Err(error) => Ok(format!("{error:#}")),
        }
    };
    let file = events.display();
    for (text, expected) in [
        (
            START.replace("start", "stat"),
            "1: unknown variant `stat`, expected one of `start`, `link`, ",
        ),
        (format!("{START}\n{START}"), "2: the agent runs already"),
        (
            r#"# a comment
            {"at":"0s","instance":"gone","event":{"turn":{"input":"tick"}}}"#
                .to_owned(),
            "2: gone has not begun",
        ),
        (
            format!(r#"{{"at":"0s","instance":"web",{HEARD}}}"#),
            "1: such an advert cannot be sent",
        ),
    ] {
        let text = format!("{text}\n{{\"at\":\"9s\",\"event\":\"end\"}}\n");
        let message = refused(&text)?;
        ensure!(
            message.starts_with(&format!("{file}:{expected}")),
            "{message}"
        );
    }
    Ok(())
}

/// How far a recorded time may fall behind the one before.
const OVERLAP: Nanos = Nanos(50_000);

/// Records two elections that are fed these inputs, each so many nanoseconds after the one before.
fn recorded(path: &Path, inputs: &[(u64, usize, bool)]) -> Result<()> {
    let text =
        "[[instance]]\nname = 'web'\ninterface = 'eth0'\nvrid = 51\naddresses = ['10.0.0.9']";
    let (recorder, recording) = record::start(path, &config::parse("small", text)?)?;
    let (known, checks) = (examples::inputs(), ["nginx".to_owned()]);
    let params = examples::parameters();
    let mut now = clock::now() + OVERLAP;
    let mut elections = ["one", "two"].map(Arc::<str>::from).map(|name| {
        recorder.begins(&name, now, &params[1]);
        (name, Election::new(params[1]))
    });
    for (gap, input, second) in inputs {
        now = now + Nanos(*gap);
        // The examples' times are near the clock's zero: what was heard was heard a while ago.
        let mut input = known[input % known.len()];
        if let Input::MasterDown {
            last_heard: Some(at),
        } = &mut input
        {
            *at = now - Nanos(*gap);
        }
        // The driver's turns overlap a little with the times of the kernel's events.
        let at = if *second { now - OVERLAP } else { now };
        let (name, election) = &mut elections[usize::from(*second)];
        let actions = election.handle(at, input);
        recorder.fed(name, at, &input, &actions, &checks);
    }
    ensure!(recording.finish(), "the recording lacks its end");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn a_recording_of_any_inputs_replays_to_the_same_actions(
        inputs in prop::collection::vec((0..9_000_000_000_u64, any::<usize>(), any::<bool>()), 1..60),
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("incident");
        recorded(&path, &inputs).unwrap();
        let (scenario, parts) = import(&path, &scratch.path().join("scenario")).unwrap();
        prop_assert_eq!(parts.cut_at, None);
        let verdict = scenario.compare(&scenario.play().unwrap()).unwrap();
        prop_assert_eq!(verdict, Verdict::Same);
    }
}
