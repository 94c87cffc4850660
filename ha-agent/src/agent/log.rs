//! The driver's reports as log lines: one INFO line for each transition, to FAULT as well; WARN for what a
//! person must look at.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use ha_common::election::Notice;
use ha_common::units::Nanos;
use tracing::{error, info, warn};

use crate::driver::report::{Report, Reports};
use crate::driver::words;
use crate::readable;

/// Writes what the driver reports, until it is cancelled.
pub(super) async fn write(reports: Arc<Reports>) {
    let bell = reports
        .bell()
        .as_fd()
        .try_clone_to_owned()
        .and_then(readable::watch);
    let bell = match bell {
        Ok(bell) => bell,
        Err(error) => return error!("the driver's reports cannot be heard: {error}"),
    };
    while let Ok(mut ready) = bell.readable().await {
        reports.bell().clear();
        ready.clear_ready();
        write_waiting(&reports);
    }
}

/// Writes what waits.
pub(super) fn write_waiting(reports: &Reports) {
    while let Some(report) = reports.next() {
        line(&report);
    }
}

fn line(report: &Report) {
    match report {
        Report::Transition {
            instance,
            transition,
            cause,
            priority,
            latency,
        } => {
            let late = latency.map(past_deadline).unwrap_or_default();
            let (from, to) = (transition.from, transition.to);
            info!(%instance, %from, %to, cause, priority, "{instance}: {from} -> {to}: {cause} (priority {priority}){late}");
        }
        Report::Notice { instance, notice } => {
            let text = words::of_notice(notice);
            match notice {
                Notice::Resumed | Notice::SendingAgain => info!(%instance, "{instance}: {text}"),
                Notice::TwoOwners { .. }
                | Notice::OwnAddressHeard(_)
                | Notice::IntervalDiffers { .. } => {
                    warn!(%instance, "{instance}: {text}");
                }
            }
        }
        Report::ListDiffers {
            instance,
            source,
            theirs,
            ours,
        } => {
            let text = words::of_list(*source, *theirs, *ours);
            warn!(%instance, "{instance}: {text}");
        }
        Report::Rejected {
            instance,
            reason,
            source,
        } => {
            warn!(%instance, reason, %source, "{instance}: adverts from {source} are rejected: {reason}; `ha-agent status {instance}` shows the difference");
        }
        Report::Restored { instance, address } => {
            warn!(%instance, %address, "{instance}: somebody removed {address}; it is back");
        }
        Report::Leftover { instance, address } => {
            info!(%instance, %address, "{instance}: removed {address}, left behind by an earlier run");
        }
        Report::Attached {
            instance,
            datapath,
            because,
            refusals,
            kernel_timer,
        } => {
            let timer = if *kernel_timer {
                "kernel timer"
            } else {
                "timer in the agent"
            };
            let why = if refusals.is_empty() {
                String::new()
            } else {
                format!(" ({})", refusals.join("; "))
            };
            let (name, title) = (datapath.name(), datapath.title());
            info!(
                %instance,
                datapath = name,
                "{instance}: receives adverts by {title}, {because}; {timer}{why}"
            );
        }
        Report::Said { instance, what } => info!(%instance, "{instance}: {what}"),
        Report::Warning { instance, what } => warn!(%instance, "{instance}: {what}"),
        Report::Failed { instance, what } => error!(%instance, "{instance}: {what}"),
    }
}

fn past_deadline(latency: Nanos) -> String {
    let micros = latency.0 / 1000;
    format!(
        ", {}.{:03} ms past the deadline",
        micros / 1000,
        micros % 1000
    )
}
