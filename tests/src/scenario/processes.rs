//! Steps 7 and 8: the end of the master's agent, told and untold.

use std::time::{Duration, Instant as Clock};

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;

use super::report::{Report, span};
use super::stage::{PATIENCE, SMOOTH, Stage};
use crate::lab::VIP;
use crate::lab::agent::State;
use crate::lab::clock::now;
use crate::lab::process::Signal;

/// How long the killed agent is away, as under a service manager that restarts it.
const ABSENCE: Duration = Duration::from_millis(200);

pub(super) fn terminate(stage: &mut Stage) -> Result<Report> {
    let (primary, secondary) = (&stage.primary, &stage.secondary);
    let process = primary.agent()?.process();
    let told = now();
    process.signal(Signal::TERM)?;
    let farewell = stage
        .capture
        .wait_advert(&primary.host, 0, told, PATIENCE)?;
    let exit = process.wait(PATIENCE)?;
    ensure!(
        exit.status.success(),
        "the agent ended with {}",
        exit.status
    );
    let gone = primary.watch.wait_absent(PATIENCE)?;
    ensure!(gone <= exit.at, "the address outlived the process");
    let taken = stage
        .capture
        .wait_for("the other's advert", farewell.at, PATIENCE, |frame| {
            frame.is_from(&secondary.host) && frame.vrrp().is_some()
        })?;
    Stage::is_about(
        "the backup waited for its skew time",
        taken.at.since(farewell.at).to_duration(),
        stage.settings.timing().skew(),
    )?;
    stage
        .capture
        .wait_announcement(&secondary.host, VIP, farewell.at, PATIENCE)?;
    let served = stage
        .client
        .wait_served_by(&secondary.host, farewell.at, PATIENCE)?;
    let report = stage.report(
        told,
        vec![
            span("priority 0 after the signal", told, farewell.at),
            span("address gone after the signal", told, gone),
            span("the process after its address", gone, exit.at),
            span("the other's advert after priority 0", farewell.at, taken.at),
            span("client served after priority 0", farewell.at, served.end),
        ],
    )?;
    ensure!(
        report.outage <= stage.settings.timing().skew() + SMOOTH,
        "the client went without for {:?}",
        report.outage
    );
    let again = now();
    stage.primary.start_agent()?;
    stage.settle_on_primary(again)?;
    stage.primary.agent()?.wait_state(State::Master, PATIENCE)?;
    Ok(Report {
        // Who is master is told as it is now; the outage is that of the stop.
        master: stage.primary.host.name().to_owned(),
        page: stage.client.who_at(now()),
        ..report
    })
}

pub(super) fn kill(stage: &mut Stage) -> Result<Report> {
    let begin = now();
    let killed_at = Clock::now();
    stage.primary.agent()?.process().kill()?;
    // The absence is the scenario's, there is nothing to wait for.
    std::thread::sleep(ABSENCE.saturating_sub(killed_at.elapsed()));
    let again = now();
    stage.primary.start_agent()?;
    let agent = stage.primary.agent()?;
    agent.wait_state(State::Master, PATIENCE)?;
    ensure!(agent.status()?.node.pid == agent.process().pid());
    if stage.settings.timing().master_down() > ABSENCE * 2 {
        nothing_happened(stage, begin)
    } else {
        there_and_back(stage, begin, again)
    }
}

/// The restarted agent was in time.
fn nothing_happened(stage: &Stage, begin: Instant) -> Result<Report> {
    // If the restarted agent were silent, the backup would come now.
    let deadline = begin
        + ha_common::units::Nanos(u64::try_from(
            stage.settings.timing().master_down().as_nanos(),
        )?);
    let heard =
        stage
            .capture
            .wait_for("an advert past the deadline", deadline, PATIENCE, |frame| {
                frame.is_from(&stage.primary.host) && frame.vrrp().is_some()
            })?;
    let report = stage.report(
        begin,
        vec![span("first advert past the old deadline", begin, heard.at)],
    )?;
    stage.address_has_not_moved(begin)?;
    ensure!(
        report.failed_requests == 0,
        "{} requests failed",
        report.failed_requests
    );
    let strange = stage
        .capture
        .frames_since(begin)
        .iter()
        .any(|frame| frame.is_from(&stage.secondary.host) && frame.vrrp().is_some());
    ensure!(!strange, "the backup sent an advert");
    Ok(report)
}

/// The backup was faster, as it should be at short intervals.
fn there_and_back(stage: &Stage, begin: Instant, again: Instant) -> Result<Report> {
    let takeover = stage.takeover_at_deadline(begin)?;
    stage.settle_on_primary(again)?;
    let report = stage.report(
        begin,
        vec![
            span(
                "advert past the deadline",
                takeover.deadline,
                takeover.first_advert,
            ),
            span(
                "announcement past the deadline",
                takeover.deadline,
                takeover.first_announcement,
            ),
        ],
    )?;
    let changes = stage.secondary.watch.changes_since(begin);
    ensure!(
        changes.len() == 2,
        "not one take-over and one way back: {changes:?}"
    );
    let announcers = stage.capture.announcers(VIP, takeover.first_announcement);
    let names: Vec<&str> = announcers.iter().map(|it| &**it).collect();
    ensure!(
        names == [stage.secondary.host.name(), stage.primary.host.name()],
        "no clean way back: {names:?} announced the address"
    );
    stage
        .primary
        .watch
        .events()
        .last()
        .filter(|event| event.present)
        .context("the address is not back")?;
    let most = stage.settings.timing().master_down() + SMOOTH;
    ensure!(
        report.outage <= most,
        "the client went without for {:?}",
        report.outage
    );
    Ok(report)
}
