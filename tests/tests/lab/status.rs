//! What a person sees of a real agent: `status`, `status --watch`, and `peers` beside an agent that hangs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ha_agent::datapath::reader::Reader;
use ha_common::layout::Counter;
use ha_tests::lab::Pair;
use ha_tests::lab::agent::{Status, invoke, spawn};
use ha_tests::lab::host::Host;
use ha_tests::lab::pair::{LATENESS, PATIENCE};
use ha_tests::lab::process::Signal;

/// Fails unless `status` says each of these on a host, in a line of its own that may go on.
fn status_says(host: &Host, lines: &[&str]) -> Result<()> {
    let said = invoke(host, &["status"])?;
    ensure!(said.code == Some(0) && said.err.is_empty(), "{said:?}");
    ensure!(!said.out.contains('\u{1b}'), "colour in a pipe: {said:?}");
    for expected in lines {
        let found = said.out.lines().any(|line| line.starts_with(expected));
        ensure!(found, "no line {expected:?} in\n{}", said.out);
    }
    Ok(())
}

#[test]
fn status_tells_a_person_of_master_and_backup() -> Result<()> {
    let pair = Pair::auto()?;
    status_says(
        pair.h1(),
        &[
            "h1  ha-agent ",
            "  pinned      /",
            "web       MASTER  ",
            "web  MASTER for ",
            "  priority    100",
            "  master      this host (10.99.0.1), priority 100, every 100 ms",
            "  addresses   present: 10.99.0.100/24",
            "  datapath    tc (tcx): chosen because it costs other traffic nothing",
            "  timer       in the kernel, own interval 100 ms",
            "  consume     no, adverts are passed on to the host (",
            "  changes     BACKUP -> MASTER ",
            "  adverts     ",
            "  woken       ",
            "  lease       held for ",
        ],
    )?;
    status_says(
        pair.h2(),
        &[
            "web       BACKUP  ",
            "web  BACKUP for ",
            "  priority    90",
            "  master      10.99.0.1, priority 100, every 100 ms",
            "  addresses   absent: 10.99.0.100/24",
        ],
    )
}

#[test]
fn a_watch_shows_a_take_over_and_ends_with_the_agent() -> Result<()> {
    let pair = Pair::start()?;
    let watch = spawn(pair.h2(), "watch", &["status", "--watch"])?;
    let machine = spawn(pair.h2(), "watch-json", &["status", "--watch", "--json"])?;
    watch.wait_for_line("web  BACKUP for ", PATIENCE)?;
    let is = |state: &'static str| move |line: &str| json_state(line).as_deref() == Some(state);
    machine.wait_for_line_where(0, "a backup", PATIENCE, is("backup"))?;

    let mark = watch.mark();
    pair.cut_and_take_over(LATENESS)?;
    watch.wait_for_line_after(mark, "web  MASTER for ", PATIENCE)?;
    machine.wait_for_line_where(0, "a master", PATIENCE, is("master"))?;
    for line in machine.lines() {
        serde_json::from_str::<Status>(&line.text)
            .with_context(|| format!("not a status: {}", line.text))?;
    }

    pair.backup.process().signal(Signal::TERM)?;
    for watch in [&watch, &machine] {
        let end = watch.wait(PATIENCE)?;
        ensure!(end.status.code() == Some(5), "{end:?}");
        watch.wait_for_line("the agent ended", PATIENCE)?;
    }
    Ok(())
}

/// The state of the first instance in a line of `status --json`.
fn json_state(line: &str) -> Option<String> {
    let status: serde_json::Value = serde_json::from_str(line).ok()?;
    let state = status["instances"][0]["state"].as_str()?;
    Some(state.to_owned())
}

#[test]
fn peers_beside_a_hung_agent_come_from_the_maps_and_say_so() -> Result<()> {
    let pair = Pair::start()?;
    let master = pair.h1().ipv4().to_string();
    // One may have come between the program and the instance's slot; since that is there, all are its own.
    let not_ours = Reader::pinned(&pair.h2().bpf_dir())?.counter(Counter::NotOurs);
    pair.backup.process().signal(Signal::STOP)?;
    let begin = Instant::now();
    let said = invoke(pair.h2(), &["peers"])?;
    let waited = begin.elapsed();
    ensure!(waited < Duration::from_secs(8), "it waited {waited:?}");
    ensure!(
        said.code == Some(0) && said.out.contains(&master),
        "{said:?}"
    );
    for part in ["does not answer", "pinned maps"] {
        ensure!(said.err.contains(part), "no {part:?} in {said:?}");
    }
    let said = invoke(pair.h2(), &["peers", "--json"])?;
    let peers: serde_json::Value = serde_json::from_str(&said.out)?;
    ensure!(peers["peers"][0]["address"] == master.as_str(), "{peers}");
    let frames = peers["frames"]["vrrp"].as_u64();
    ensure!(
        frames.is_some_and(|count| count > 0) && peers["frames"]["not_ours"] == not_ours,
        "{peers}"
    );

    // And from the agent, without a word, once it can answer again.
    pair.backup.process().signal(Signal::CONT)?;
    let said = invoke(pair.h2(), &["peers"])?;
    ensure!(
        said.code == Some(0)
            && said.out.contains(&master)
            && said.out.contains(" of VRRP")
            && said.err.is_empty(),
        "{said:?}"
    );
    Ok(())
}
