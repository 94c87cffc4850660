//! The nine steps of the scenario, with real agents, nginx and a client, at slow and fast adverts.

use std::time::Duration;

use anyhow::Result;
use ha_tests::scenario::{Observer, Report, Settings, Stage, Step, play};

/// Tells what was measured, for `--nocapture` and for the output of a failure.
struct Narrator;

impl Observer for Narrator {
    fn begin(&mut self, step: &Step, _: &Stage) {
        println!("{}. {}: {}", step.number, step.title, step.action);
    }

    fn done(&mut self, _: &Step, _: &Stage, report: &Report) {
        println!(
            "   master {}, page {:?}, outage {:?}, {} requests failed",
            report.master, report.page, report.outage, report.failed_requests
        );
        for fact in &report.facts {
            println!("   {}: {}", fact.what, fact.value);
        }
    }

    fn failed(&mut self, _: &Step, stage: &Stage, error: &anyhow::Error) {
        println!("   FAILED: {error:#}");
        for host in stage.lab().hosts() {
            let log = host.log_dir().join("agent.log");
            let text = std::fs::read_to_string(&log).unwrap_or_else(|error| error.to_string());
            println!("--- agent of {}\n{text}", host.name());
        }
    }
}

/// The client is served at the address: RFC 9568 section 6.4.3 (arp, accept),
/// RFC 3768 section 6.4.3 (arp, accept).
fn nine_steps(settings: Settings) -> Result<()> {
    play(settings, &mut Narrator).map(drop)
}

#[test]
fn the_nine_steps_hold_with_adverts_every_second() -> Result<()> {
    nine_steps(Settings::every(Duration::from_secs(1)))
}

#[test]
fn the_nine_steps_hold_with_adverts_every_ten_milliseconds() -> Result<()> {
    nine_steps(Settings::every(Duration::from_millis(10)))
}

#[test]
fn the_nine_steps_hold_by_native_xdp_as_well() -> Result<()> {
    nine_steps(Settings::every(Duration::from_millis(10)).by("native"))
}
