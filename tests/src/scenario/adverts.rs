//! Steps 5, 6 and 9: adverts that do not arrive, and adverts that nobody honest sent.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;

use super::report::{Fact, Report, span};
use super::stage::{LATENESS, PATIENCE, SMOOTH, Stage};
use crate::lab::VIP;
use crate::lab::advert::{Advert, Sum};
use crate::lab::agent::State;
use crate::lab::agent_status::{Instance, Status};
use crate::lab::clock::now;

/// Forged adverts a second.
const STORM_RATE: u32 = 20_000;
/// How long they come.
const STORM_LENGTH: Duration = Duration::from_secs(5);

pub(super) fn drop_adverts(stage: &mut Stage) -> Result<Report> {
    let (primary, secondary) = (&stage.primary, &stage.secondary);
    let begin = now();
    primary.host.drop_own_adverts()?;
    let takeover = stage.takeover_at_deadline(begin)?;
    let taken = secondary.watch.wait_present(PATIENCE)?;
    // Its own host drops its adverts: once it hears another master it leaves the address to that one for a while.
    primary.watch.wait_absent(PATIENCE)?;
    let allowed = now();
    primary.host.pass_own_adverts()?;
    way_back(stage, allowed, Winner::Yielded)?;
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
            span("address there past the deadline", takeover.deadline, taken),
        ],
    )?;
    ensure!(
        report.outage <= SMOOTH,
        "both hosts were there all the time, yet the client went without for {:?}",
        report.outage
    );
    Ok(report)
}

pub(super) fn vanish(stage: &mut Stage) -> Result<Report> {
    let begin = now();
    stage.lab.block(&stage.primary.host)?;
    let takeover = stage.takeover_at_deadline(begin)?;
    let served = stage
        .client
        .wait_served_by(&stage.secondary.host, takeover.deadline, PATIENCE)?;
    let healed = now();
    stage.lab.unblock(&stage.primary.host)?;
    way_back(stage, healed, Winner::Held)?;
    let until = stage.client.settle()?;
    let return_cost = stage.client.longest_outage_between(healed, until);
    ensure!(return_cost <= SMOOTH, "the way back cost {return_cost:?}");
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
            span(
                "client served past the deadline",
                takeover.deadline,
                served.end,
            ),
            Fact {
                what: "outage on the way back",
                value: format!("{return_cost:?}"),
            },
        ],
    )?;
    let most = stage.settings.timing().master_down() + LATENESS * 2;
    ensure!(
        report.outage <= most,
        "the client went without for {:?}",
        report.outage
    );
    Ok(report)
}

/// What the winner did while the other one was master too.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Winner {
    /// It held the address all the time.
    Held,
    /// It had left the address to the other one, and takes it back.
    Yielded,
}

/// Two masters see each other again: the lower yields once, the winner has the last word.
fn way_back(stage: &Stage, since: Instant, winner: Winner) -> Result<()> {
    let (primary, secondary) = (&stage.primary, &stage.secondary);
    let yielded = secondary.watch.wait_absent(PATIENCE)?;
    stage
        .capture
        .wait_announcement(&primary.host, VIP, since, PATIENCE)?;
    stage
        .client
        .wait_served_by(&primary.host, yielded, PATIENCE)?;
    secondary.agent()?.wait_state(State::Backup, PATIENCE)?;
    primary.agent()?.wait_state(State::Master, PATIENCE)?;
    let changes = secondary.watch.changes_since(since);
    ensure!(changes.len() == 1, "no clean way back: {changes:?}");
    let changes = primary.watch.changes_since(since);
    let is_as_expected = match winner {
        Winner::Held => changes.is_empty(),
        Winner::Yielded => changes.len() == 1 && changes.iter().all(|it| it.present),
    };
    ensure!(
        is_as_expected,
        "the winner's address has moved: {changes:?}"
    );
    let announcers = stage.capture.announcers(VIP, since);
    ensure!(
        announcers.last().map(|it| &**it) == Some(primary.host.name()),
        "the last word is not the winner's: {announcers:?}"
    );
    let cache = stage
        .lab
        .client_host()
        .run(&["ip", "neigh", "show", &VIP.to_string()])?;
    let mac = primary
        .host
        .mac()
        .map(|byte| format!("{byte:02x}"))
        .join(":");
    ensure!(cache.contains(&mac), "the client's cache is wrong: {cache}");
    Ok(())
}

pub(super) fn forge(stage: &mut Stage) -> Result<Report> {
    let (primary, secondary) = (&stage.primary, &stage.secondary);
    let agent = secondary.agent()?;
    let before = agent.status()?;
    let begin = now();
    let forger = stage.lab.client_host().forger()?;
    let storm = forger.storm(&forgeries(stage), STORM_RATE, STORM_LENGTH)?;
    stage
        .client
        .wait_served_by(&primary.host, now(), PATIENCE)?;
    stage.address_has_not_moved(begin)?;
    let after = agent.status()?;
    let (was, is) = (only(&before)?, only(&after)?);
    ensure!(
        is.state == State::Backup && was.transitions == is.transitions,
        "{is:?}"
    );
    ensure!(
        was.counters.events == is.counters.events,
        "the kernel woke the agent: {} records",
        is.counters.events.abs_diff(was.counters.events)
    );
    let count = |it: &Instance| it.counters.rejects.get("checksum").copied();
    let counted = count(is).context("no counter of checksums")? - count(was).unwrap_or(0);
    // The switch and the virtual cable may lose some of a storm; what arrives is counted.
    ensure!(
        counted >= storm.sent / 2 && counted <= storm.sent,
        "{counted} of {} forged adverts are counted",
        storm.sent
    );
    let report = stage.report(
        begin,
        vec![
            Fact {
                what: "forged adverts a second",
                value: format!("{:.0}", storm.rate()),
            },
            Fact {
                what: "sent and counted",
                value: format!("{} and {counted}", storm.sent),
            },
        ],
    )?;
    ensure!(
        report.outage <= SMOOTH,
        "the client went without for {:?}",
        report.outage
    );
    Ok(report)
}

/// Adverts in the master's name and in a stranger's, of every priority that could do harm, each good
/// but for its checksum. They go to the group, as real ones do: sent to the backup's own hardware
/// address alone, they do not even bring keepalived to a false take-over.
fn forgeries(stage: &Stage) -> Vec<Vec<u8>> {
    let primary = &stage.primary.host;
    let interval = u16::try_from(stage.settings.interval.as_millis() / 10).unwrap_or(u16::MAX);
    let stranger = Advert::default().source;
    [
        (primary.ipv4().into(), 0),
        (primary.ipv4().into(), 100),
        (stranger, 0),
        (stranger, 254),
        (stranger, 1),
    ]
    .map(|(source, priority)| {
        Advert {
            ethernet_source: stage.lab.client_host().mac(),
            source,
            priority,
            interval,
            sum: Sum::Wrong,
            ..Advert::default()
        }
        .frame()
    })
    .to_vec()
}

fn only(status: &Status) -> Result<&Instance> {
    status.instances.first().context("no instance in status")
}
