//! The checks as `status` shows them.

use ha_common::units::Nanos;

use super::now::Now;
use crate::agent::running::Agent;
use crate::checks::{CheckStatus, Verdict};
use crate::config::model;
use crate::status::checks::{Check, CheckKind, CheckResult, CheckState};
use crate::status::moment::WallTime;

pub(super) fn checks(agent: &Agent, configured: &[model::Check], now: Now) -> Vec<Check> {
    let running = agent.check_status();
    running
        .iter()
        .filter_map(|status| {
            let config = configured.iter().find(|check| check.name == status.name)?;
            Some(check(status, config, now))
        })
        .collect()
}

fn check(status: &CheckStatus, config: &model::Check, now: Now) -> Check {
    let ago = |millis: u64| WallTime::before(now.wall, Nanos::from_millis(millis));
    Check {
        name: status.name.clone(),
        kind: match config.probe {
            model::Probe::Http(_) => CheckKind::Http,
            model::Probe::Tcp(_) => CheckKind::Tcp,
            model::Probe::Process(_) | model::Probe::ProcessCount(_) => CheckKind::Process,
            model::Probe::File(_) => CheckKind::File,
            model::Probe::Command(_) => CheckKind::Command,
        },
        target: status.target.clone(),
        state: match (status.restarting, status.verdict) {
            (true, _) => CheckState::Restarting,
            (false, None) => CheckState::Pending,
            (false, Some(Verdict::Up)) => CheckState::Up,
            (false, Some(Verdict::Down)) => CheckState::Down,
        },
        since: ago(status.verdict_for_ms),
        last: status.last.as_ref().map(|last| CheckResult {
            ok: last.passed,
            text: last.text.clone(),
            latency_us: last.latency_us,
            at: ago(last.ago_ms),
        }),
        runs: status.runs,
        failures: status.failures,
        restarts: status.restarts,
        last_restart: status.last_restart.clone(),
        watched_pid: status.watched_pid,
        notice: status.notice.clone(),
    }
}
