//! Without preemption: a healthy master is left alone, whatever its rank, and an unhealthy one is not.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::State;
use ha_tests::lab::agent_config::{Check, Instance, Track};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{INTERVAL, LATENESS, PATIENCE, TIMING, at_deadline, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{AgentConfig, Host, Pair, VIP, wait_until};

fn patient(priority: u8) -> Instance {
    Instance {
        preempt: false,
        ..instance(priority)
    }
}

/// A file that a check of the host looks for.
struct Health(PathBuf);

impl Health {
    fn of(host: &Host) -> Result<Self> {
        let health = Self(host.dir().join("healthy"));
        health.mend()?;
        Ok(health)
    }

    fn mend(&self) -> Result<()> {
        fs::write(&self.0, "").context("cannot write the file of health")
    }

    fn fail(&self) -> Result<()> {
        fs::remove_file(&self.0).context("cannot remove the file of health")
    }

    fn check(&self) -> Result<Check> {
        let path = self.0.to_str().context("a path that is not UTF-8")?;
        let argv = ["/usr/bin/test", "-e", path].map(toml::Value::from);
        Ok(Check {
            name: "healthy".to_owned(),
            probe: toml::Table::from_iter([
                ("command".to_owned(), toml::Value::from(argv.to_vec())),
                ("user".to_owned(), toml::Value::from("root")),
            ]),
            interval: Duration::from_millis(100),
            timeout: Duration::from_secs(2),
            fall: 1,
            rise: 1,
            restart: None,
        })
    }
}

#[test]
fn a_master_whose_weights_drop_it_below_a_patient_backup_is_replaced() -> Result<()> {
    let pair = Pair::of(patient(100), patient(90))?;
    let health = Health::of(pair.h1())?;
    let weighed = Instance {
        track: vec![Track {
            weight: Some(-20),
            ..Track::check("healthy")
        }],
        ..patient(100)
    };
    let mut config = AgentConfig::new(pair.h1(), weighed);
    config.check.push(health.check()?);
    pair.master.reload_with(&config)?;

    let failed = now();
    health.fail()?;
    let dropped = pair.capture.wait_advert(pair.h1(), 80, failed, PATIENCE)?;
    let taken = pair.on_backup.wait_present(PATIENCE)?;
    let waited = taken.since(dropped.at).to_duration();
    // Its timer was armed by the advert before, or by the one that told it.
    ensure!(
        waited + INTERVAL >= TIMING.master_down()
            && waited <= TIMING.master_down() + LATENESS + INTERVAL,
        "taken over {waited:?} after the priority dropped"
    );
    pair.on_master.wait_absent(PATIENCE)?;
    let cause = pair.backup.only()?.last_transition.context("none")?.cause;
    ensure!(cause.contains("80"), "{cause}");

    // Mended, the first one leaves a healthy master alone.
    let mended = now();
    health.mend()?;
    pair.master
        .wait("has its priority back", |it| it.priority.effective == 100)?;
    let beats = || pair.capture.frames_since(mended).into_iter();
    wait_until(PATIENCE, "ten more adverts of the new master", || {
        let theirs = beats().filter(|it| it.is_from(pair.h2()) && it.vrrp().is_some());
        theirs.count() >= 10
    })?;
    ensure!(pair.on_backup.present() && !pair.on_master.present());
    Ok(())
}

/// A standard master would wake up, send its advert first, and drive a healthy one away.
#[test]
fn a_patient_master_that_was_stopped_finds_itself_replaced_and_stays_backup() -> Result<()> {
    let pair = Pair::of(patient(100), patient(90))?;
    let stopped = now();
    pair.master.process().signal(Signal::STOP)?;
    at_deadline(&pair.takeover_since(stopped)?, LATENESS)?;
    pair.on_backup.wait_present(PATIENCE)?;
    let again = now();
    pair.master.process().signal(Signal::CONT)?;
    pair.on_master.wait_absent(PATIENCE)?;
    pair.master.wait_state(State::Backup, PATIENCE)?;
    let theirs = |it: &ha_tests::lab::capture::Frame| it.is_from(pair.h1()) && it.vrrp().is_some();
    let frames = pair.capture.frames_since(again);
    ensure!(
        !frames.iter().any(theirs),
        "it advertised before it had looked"
    );
    pair.on_backup
        .undisturbed_since(again)
        .context("the new master was driven away")?;
    ensure!(pair.capture.announcements(pair.h1(), VIP, again) == 0);
    Ok(())
}
