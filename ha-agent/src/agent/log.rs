//! The driver's reports as log lines: one line for each transition, INFO or for FAULT WARN; WARN for what a person must
//! look at.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use ha_common::election::{Notice as Remark, Role};
use ha_common::units::Nanos;
use tracing::{error, info, warn};

use crate::driver::report::{Report, Reports};
use crate::os::async_fd;
use crate::router::notice::Notice;
use crate::router::words;

/// Writes what the driver reports, until it is cancelled.
pub(super) async fn write(reports: Arc<Reports>) {
    let bell = reports
        .bell()
        .as_fd()
        .try_clone_to_owned()
        .and_then(async_fd::watch);
    let bell = match bell {
        Ok(bell) => bell,
        Err(error) => {
            return error!(
                "cannot read the driver's events: {error}; state changes will not be logged"
            );
        }
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
    let instance = &report.instance;
    match &report.notice {
        Notice::Transition {
            transition,
            cause,
            priority,
        } => {
            let late = report.latency.map(past_deadline).unwrap_or_default();
            let (from, to) = (transition.from, transition.to);
            transition_line(instance, (from, to), (cause, priority), &late);
        }
        Notice::Election(remark) => {
            let text = words::of_notice(remark);
            match remark {
                Remark::Resumed | Remark::SendingAgain => info!(%instance, "{instance}: {text}"),
                Remark::TwoOwners { .. }
                | Remark::OwnAddressHeard(_)
                | Remark::IntervalDiffers { .. } => {
                    warn!(%instance, "{instance}: {text}");
                }
            }
        }
        Notice::ListDiffers {
            source,
            theirs,
            ours,
        } => {
            let text = words::of_list(*source, *theirs, *ours);
            warn!(%instance, "{instance}: {text}");
        }
        Notice::Rejected { reason, source } => {
            warn!(%instance, reason, %source, "{instance}: adverts from {source} are rejected: {reason}; \
             `ha-agent status {instance}` shows the difference");
        }
        Notice::Restored(address) => {
            warn!(%instance, %address, "{instance}: restored {address}, which something else had removed");
        }
        Notice::Leftover(address) => {
            info!(%instance, %address, "{instance}: removed {address}, left behind by an earlier run");
        }
        Notice::Attached {
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
        Notice::Info(what) => info!(%instance, "{instance}: {what}"),
        Notice::Warning(what) => warn!(%instance, "{instance}: {what}"),
        Notice::Failed(what) => error!(%instance, "{instance}: {what}"),
    }
}

/// A change of state; one to FAULT is for a person to look at.
fn transition_line(
    instance: &str,
    (from, to): (Role, Role),
    (cause, priority): (&str, &str),
    late: &str,
) {
    let text = format!("{instance}: {from} -> {to}: {cause} (priority {priority}){late}");
    if to == Role::Fault {
        warn!(%instance, %from, %to, cause, priority, "{text}");
    } else {
        info!(%instance, %from, %to, cause, priority, "{text}");
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
