//! Steps 1 to 4: the start, and what happens to nginx.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::report::{Fact, Report, span};
use super::stage::{LATENESS, PATIENCE, SMOOTH, Stage};
use crate::lab::agent::State;
use crate::lab::agent_status::Check;
use crate::lab::client::Pace;
use crate::lab::clock::now;
use crate::lab::{VIP, wait_until};

/// How soon a stopped nginx must serve again.
const BACK_WITHIN: Duration = Duration::from_secs(1);

pub(super) fn start(stage: &mut Stage) -> Result<Report> {
    let begin = now();
    stage.primary.start_agent()?;
    stage.secondary.start_agent()?;
    // Whichever starts first may be master for a moment; what counts is where it settles.
    stage.primary.agent()?.wait_state(State::Master, PATIENCE)?;
    stage.settle_on_primary(begin)?;
    let settled = now();
    // A host that has just become backup follows nobody until it hears an advert.
    let address = stage.primary.host.ipv4();
    let instance = stage.secondary.agent()?.wait_instance(
        "web",
        "follows the first host, without the address",
        PATIENCE,
        |it| {
            it.follows()
                && it
                    .master
                    .as_ref()
                    .is_some_and(|master| master.address == address)
                && it.addresses.iter().all(|address| !address.present)
        },
    )?;
    let datapath = instance.datapath.kind.clone().unwrap_or_default();
    let facts = vec![
        span("from start to service", begin, settled),
        Fact {
            what: "datapath",
            value: datapath,
        },
    ];
    // Before there was a master nobody could be served: that is no outage.
    stage.report(settled, facts)
}

pub(super) fn stop_nginx(stage: &mut Stage) -> Result<Report> {
    let primary = &stage.primary;
    let direct = stage
        .lab
        .client_host()
        .request_from(primary.host.ipv4().into(), Pace::default())?;
    direct.wait_served_by(&primary.host, now(), PATIENCE)?;
    let log = primary.agent()?.process();
    let mark = log.mark();
    let stopped = now();
    primary.nginx.stop()?;
    let died = now();
    let back = direct.wait_served_by(&primary.host, died, PATIENCE)?;
    ensure!(
        back.end.since(stopped).to_duration() <= BACK_WITHIN,
        "nginx served again only after {:?}",
        back.end.since(stopped)
    );
    let line = log.wait_for_line_where(mark, "nginx and restarted", PATIENCE, |line| {
        line.contains("nginx") && line.contains("restarted")
    })?;
    stage.client.wait_served_by(&primary.host, died, PATIENCE)?;
    stage.address_has_not_moved(stopped)?;
    let report = stage.report(
        stopped,
        vec![
            span("nginx serves again after", stopped, back.end),
            logged(line.text),
        ],
    )?;
    let told: Vec<String> = log
        .lines_after(mark)
        .into_iter()
        .map(|line| line.text)
        .filter(|line| line.contains("restarted"))
        .collect();
    ensure!(told.len() == 1, "not one line but: {told:#?}");
    Ok(report)
}

pub(super) fn break_nginx(stage: &mut Stage) -> Result<Report> {
    let (primary, secondary) = (&stage.primary, &stage.secondary);
    let agent = primary.agent()?;
    trust_again(agent)?;
    let restarts = restarts(agent)?;
    let mark = agent.process().mark();
    let broken = now();
    primary.nginx.break_for_good()?;
    let farewell = stage
        .capture
        .wait_advert(&primary.host, 0, broken, PATIENCE)?;
    let gone = primary.watch.wait_absent(PATIENCE)?;
    let announced = stage
        .capture
        .wait_announcement(&secondary.host, VIP, farewell.at, PATIENCE)?;
    secondary.watch.wait_present(PATIENCE)?;
    let served = stage
        .client
        .wait_served_by(&secondary.host, farewell.at, PATIENCE)?;
    let waited = announced.at.since(farewell.at).to_duration();
    Stage::is_about(
        "the backup waited for its skew time",
        waited,
        stage.settings.timing().skew(),
    )?;
    agent.wait_state(State::Fault, PATIENCE)?;
    let tried = self::restarts(agent)? - restarts;
    ensure!(tried == 1, "{tried} restarts instead of one");
    let line = agent
        .process()
        .wait_for_line_where(mark, "fault", PATIENCE, |line| {
            line.to_lowercase().contains("fault") && line.contains("nginx")
        })?;
    stage.report(
        broken,
        vec![
            span("given up after", broken, farewell.at),
            span("address gone after priority 0", farewell.at, gone),
            span(
                "announced by the other after priority 0",
                farewell.at,
                announced.at,
            ),
            span("client served after priority 0", farewell.at, served.end),
            logged(line.text),
        ],
    )
}

pub(super) fn mend_nginx(stage: &mut Stage) -> Result<Report> {
    let primary = &stage.primary;
    let mended = now();
    primary.nginx.mend()?;
    primary.nginx.start()?;
    stage.settle_on_primary(mended)?;
    let back = primary
        .watch
        .changes_since(mended)
        .first()
        .context("the address never came")?
        .at;
    let rise = stage
        .primary
        .config
        .check
        .first()
        .context("no check")?
        .interval;
    ensure!(
        back.since(mended).to_duration() + LATENESS >= rise,
        "it took the address back before the check could have risen"
    );
    primary.agent()?.wait_state(State::Master, PATIENCE)?;
    let report = stage.report(mended, vec![span("address back after", mended, back)])?;
    ensure!(
        report.outage <= SMOOTH,
        "the way back cost {:?}",
        report.outage
    );
    Ok(report)
}

fn restarts(agent: &crate::lab::Agent) -> Result<u64> {
    Ok(check(agent)?.restarts)
}

/// A restart gives the next outage its attempts back once the service has passed `rise` (2) times in
/// a row; the run that was under way when this began may have started before.
fn trust_again(agent: &crate::lab::Agent) -> Result<()> {
    let before = check(agent)?.runs;
    wait_until(PATIENCE, "three more runs of the check", || {
        check(agent).is_ok_and(|check| check.state == "up" && check.runs >= before + 3)
    })
}

fn check(agent: &crate::lab::Agent) -> Result<Check> {
    let status = agent.status()?;
    status
        .checks
        .into_iter()
        .next()
        .context("no check in status")
}

fn logged(line: String) -> Fact {
    Fact {
        what: "log",
        value: line,
    }
}
