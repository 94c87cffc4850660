//! The unit under a real systemd, on two machines with the package: start, crash, hang, reload, stop.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::{Instant as Moment, Nanos};
use ha_tests::lab::agent::State;
use ha_tests::lab::agent_config::{AgentConfig, Check, Instance, kind_under_test};
use ha_tests::lab::client::{Client, Pace};
use ha_tests::lab::clock::now;
use ha_tests::lab::hmac;
use ha_tests::lab::inherited::{Inherited, REPORT};
use ha_tests::lab::pair::{EARLINESS, INTERVAL, LATENESS, PATIENCE, at_deadline};
use ha_tests::lab::virtual_mac;
use ha_tests::lab::{Host, VIP};
use ha_tests::nspawn::Deployment;
use ha_tests::nspawn::deployment::{instance, single, timing};
use ha_tests::nspawn::node::{CONFIG, config};

/// The default between adverts.
const SECOND: Duration = Duration::from_secs(1);
/// The unit's `WatchdogSec`.
const WATCHDOG: Duration = Duration::from_secs(5);

fn client(it: &Deployment) -> Result<Client> {
    let client = it.lab.client_host().request_from(VIP, Pace::default())?;
    client.wait_served_by(it.first.host(), Moment(0), PATIENCE)?;
    Ok(client)
}

fn after(moment: Moment, span: Duration) -> Result<Moment> {
    Ok(moment + Nanos(u64::try_from(span.as_nanos())?))
}

#[test]
fn started_units_elect_a_master_and_its_nginx_serves_the_address() -> Result<()> {
    let it = Deployment::start(INTERVAL)?;
    let client = client(&it)?;
    for node in [&it.first, &it.second] {
        ensure!(node.property("ActiveState")? == "active");
        ensure!(node.property("UnitFileState")? == "enabled");
        ensure!(node.property("NRestarts")? == "0");
        let status = node.status()?;
        ensure!(status.node.pins.state == "pinned", "{:?}", status.node.pins);
        let datapath = &node.instance()?.datapath;
        ensure!(datapath.kind == Some(kind_under_test()), "{datapath:?}");
        ensure!(node.instance()?.timer.kind == "kernel");
        ensure!(node.program()?.is_some() && !node.pins()?.is_empty());
    }

    // The check's restart command is `systemctl start nginx`, run from within the unit's sandbox.
    let killed = now();
    let mark = it.first.journal.mark();
    let before = it.first.machine.property("nginx", "MainPID")?;
    let kill = ["systemctl", "kill", "--kill-whom=main", "--signal=KILL"];
    it.first.machine.run(&[&kill[..], &["nginx"]].concat())?;
    it.first.wait_check("up again", |check| {
        check.state == "up" && check.restarts == 1
    })?;
    let outage = client.longest_outage_between(killed, client.settle()?);
    ensure!(outage < SECOND, "the client went without for {outage:?}");
    ensure!(it.first.machine.property("nginx", "ActiveState")? == "active");
    ensure!(it.first.machine.property("nginx", "MainPID")? != before);
    it.first
        .journal
        .wait_after(mark, "; restarted in ", PATIENCE)?;
    it.address_has_not_moved(killed)
}

/// The unit has real-time threads and locked memory by capabilities alone: limits would be the checks' as well.
#[test]
fn the_agents_threads_are_real_time_ones_and_its_commands_have_none_of_that() -> Result<()> {
    let (node, _lab) = single(instance(100, INTERVAL))?;
    let report = ["/bin/sh", "-c", REPORT].map(toml::Value::from).to_vec();
    let check = Check {
        probe: toml::toml! { command = report },
        restart: None,
        ..Check::nginx(Vec::new())
    };
    let tracking = AgentConfig::new(node.host(), instance(100, INTERVAL)).tracking(check);
    node.machine.write(CONFIG, &tracking.text()?)?;
    node.must(&["start"])?;
    node.wait_check("up", |check| check.state == "up")?;
    let status = node.status()?;
    for ability in [&status.sender.realtime, &status.sender.memory_locked] {
        ensure!(ability.active, "{ability:?}");
    }
    let last = status.checks.first().and_then(|it| it.last.as_ref());
    let inherited = Inherited::read(&last.context("it has run")?.text);
    inherited.is_ordinary()?;
    inherited.is_powerless()
}

#[test]
fn a_killed_agent_is_started_again_before_anybody_notices() -> Result<()> {
    let it = Deployment::start(SECOND)?;
    let client = client(&it)?;
    let transitions = it.second.instance()?.transitions;
    let pid = it.first.status()?.node.pid;
    let mark = it.first.journal.mark();
    let begin = now();
    it.first.must(&["kill", "--signal=KILL"])?;
    it.first
        .journal
        .wait_after(mark, "reuses the maps", PATIENCE)?;
    // If the new agent were silent, the backup would come now.
    let deadline = after(begin, timing(SECOND).master_down())?;
    it.capture
        .wait_advert(it.first.host(), 100, deadline, PATIENCE)?;
    it.address_has_not_moved(begin)?;
    ensure!(it.second.instance()?.transitions == transitions);
    ensure!(
        !it.capture
            .frames_since(begin)
            .iter()
            .any(|frame| { frame.is_from(it.second.host()) && frame.vrrp().is_some() })
    );
    let until = client.settle()?;
    let lost = client.outages_between(begin, until);
    ensure!(lost.is_empty(), "requests were lost: {lost:?}");
    ensure!(it.first.property("NRestarts")? == "1");
    ensure!(it.first.property("ActiveState")? == "active");
    ensure!(it.first.status()?.node.pid != pid);
    Ok(())
}

#[test]
fn an_agent_that_stands_still_is_ended_by_the_watchdog_and_comes_back_once() -> Result<()> {
    let it = Deployment::start(INTERVAL)?;
    let client = client(&it)?;
    let mark = it.first.journal.mark();
    let stopped = now();
    it.first
        .must(&["kill", "--kill-whom=main", "--signal=STOP"])?;
    let takeover =
        it.capture
            .takeover(it.second.host(), VIP, timing(INTERVAL), stopped, PATIENCE)?;
    at_deadline(&takeover, LATENESS)?;
    client.wait_served_by(it.second.host(), stopped, PATIENCE)?;
    it.first
        .journal
        .wait_after(mark, "Watchdog timeout", PATIENCE)?;
    ensure!(now().since(stopped).to_duration() < WATCHDOG + SECOND);
    it.first
        .journal
        .wait_after(mark, "reuses the maps", PATIENCE)?;
    it.there_and_back(stopped)?;
    client.wait_served_by(it.first.host(), now(), PATIENCE)?;
    ensure!(it.first.property("NRestarts")? == "1");
    Ok(())
}

#[test]
fn a_reload_applies_a_change_and_a_bad_file_fails_it_and_changes_nothing() -> Result<()> {
    let it = Deployment::start(INTERVAL)?;
    let (first, told) = (&it.first, now());
    let pid = first.property("MainPID")?;
    first.configure(instance(120, INTERVAL))?;
    first.must(&["reload"])?;
    it.capture.wait_advert(first.host(), 120, told, PATIENCE)?;

    let good = config(first.host(), instance(130, INTERVAL))?;
    let bad = good.replace("priority = 130", "prioritty = 130");
    first.machine.write(CONFIG, &bad)?;
    let (mark, again) = (first.journal.mark(), now());
    let said = first.systemctl(&["reload"])?;
    ensure!(said.code != Some(0), "{said:?}");
    // Told to whoever reads the journal, as systemctl advises, with the place.
    let record = first
        .journal
        .wait_after(mark, "did you mean `priority`?", PATIENCE)?;
    ensure!(record.message().contains(CONFIG), "{record:?}");
    first
        .journal
        .wait_after(mark, "the running configuration stays", PATIENCE)?;
    it.capture.wait_advert(first.host(), 120, again, PATIENCE)?;

    ensure!(first.property("ActiveState")? == "active");
    ensure!(first.property("MainPID")? == pid && first.property("NRestarts")? == "0");
    ensure!(first.instance()?.priority.effective == 120);
    it.address_has_not_moved(told)
}

#[test]
fn a_stopped_unit_hands_over_and_leaves_no_address_program_or_pin() -> Result<()> {
    let it = Deployment::start(INTERVAL)?;
    let program = it.first.program()?.context("no program is attached")?;
    let told = now();
    it.first.must(&["stop"])?;
    let stopped = now();
    let farewell = it.capture.wait_advert(it.first.host(), 0, told, PATIENCE)?;
    let taken = it
        .capture
        .wait_advert(it.second.host(), 90, farewell.at, PATIENCE)?;
    let (waited, skew) = (
        taken.at.since(farewell.at).to_duration(),
        timing(INTERVAL).skew(),
    );
    ensure!(
        waited + EARLINESS >= skew && waited < skew + LATENESS,
        "the backup waited {waited:?}, where the protocol says {skew:?}"
    );
    ensure!(it.first.watch.wait_absent(PATIENCE)? < stopped);
    it.second.watch.wait_present(PATIENCE)?;
    ensure!(it.first.property("ActiveState")? == "inactive");
    ensure!(it.first.property("Result")? == "success");
    ensure!(!it.first.watch.present());
    if kind_under_test() == "native" {
        // Taking it off could reset the card: it stays, with nothing to do, until a purge.
        ensure!(it.first.program()? == Some(program));
        return Ok(());
    }
    it.first.is_clean_of(program)
}

#[test]
fn a_restart_of_the_unit_moves_nothing() -> Result<()> {
    let it = Deployment::start(INTERVAL)?;
    let client = client(&it)?;
    let pid = it.first.property("MainPID")?;
    let (told, mark) = (now(), it.first.journal.mark());
    it.first.must(&["restart"])?;
    it.first
        .journal
        .wait_after(mark, "resumed as master after the restart", PATIENCE)?;
    it.capture
        .wait_advert(it.first.host(), 100, now(), PATIENCE)?;
    it.address_has_not_moved(told)?;
    let lost = client.outages_between(told, client.settle()?);
    ensure!(lost.is_empty(), "requests were lost: {lost:?}");
    ensure!(it.first.property("MainPID")? != pid);
    ensure!(it.first.property("ActiveState")? == "active");
    Ok(())
}

/// The next agent would not start: this one leaves properly, while it can.
#[test]
fn a_restart_with_a_configuration_that_is_wrong_hands_the_address_over() -> Result<()> {
    let it = Deployment::start(INTERVAL)?;
    it.first.machine.write(CONFIG, "[[instance]]\n")?;
    let told = now();
    let said = it.first.systemctl(&["restart"])?;
    ensure!(said.code != Some(0), "{said:?}");
    it.capture.wait_advert(it.first.host(), 0, told, PATIENCE)?;
    it.first.watch.wait_absent(PATIENCE)?;
    it.second.watch.wait_present(PATIENCE)?;
    Ok(())
}

#[test]
fn the_journal_has_each_transition_with_its_fields() -> Result<()> {
    let (node, _lab) = single(instance(100, INTERVAL))?;
    node.must(&["start"])?;
    let record = node.journal.wait_after(0, "-> MASTER", PATIENCE)?;
    for (field, value) in [
        ("HA_INSTANCE", "web"),
        ("HA_FROM", "BACKUP"),
        ("HA_TO", "MASTER"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "ha-agent"),
        ("_SYSTEMD_UNIT", "ha-agent.service"),
        ("_TRANSPORT", "journal"),
    ] {
        ensure!(record.field(field) == value, "{field}: {record:?}");
    }
    for field in ["HA_CAUSE", "HA_PRIORITY"] {
        let value = record.field(field);
        ensure!(!value.is_empty() && record.message().contains(value));
    }
    // The way that docs/OPERATIONS.md names.
    let argv = ["journalctl", "-u", "ha-agent", "HA_TO=MASTER", "-o", "json"];
    let found = node.machine.run(&argv)?;
    ensure!(found.lines().count() == 1, "{found}");
    Ok(())
}

#[test]
fn the_unit_is_active_once_the_agent_is_ready_and_waits_for_an_interface_that_comes_late()
-> Result<()> {
    let elsewhere = Instance {
        interface: "eth7".to_owned(),
        ..instance(100, INTERVAL)
    };
    let (node, _lab) = single(elsewhere)?;
    node.must(&["start"])?;
    // Without waiting: who is told that it has started can ask it.
    ensure!(node.instance()?.state != State::Master);
    ensure!(node.property("ActiveState")? == "active");
    node.wait_instance("in FAULT", |it| it.state == State::Fault)?;
    node.journal
        .wait_after(0, "no such interface: eth7", PATIENCE)?;
    let argv = ["ip", "link", "set", Host::INTERFACE, "down"];
    node.machine.run(&argv)?;
    let argv = ["ip", "link", "set", Host::INTERFACE, "name", "eth7", "up"];
    node.machine.run(&argv)?;
    node.wait_instance("master", |it| it.state == State::Master)?;
    // It was the same agent all the time.
    ensure!(node.property("NRestarts")? == "0");
    Ok(())
}

#[test]
fn without_a_bpffs_the_unit_runs_unpinned_and_says_so() -> Result<()> {
    let (node, _lab) = single(instance(100, INTERVAL))?;
    node.machine.run(&["umount", "/sys/fs/bpf"])?;
    node.must(&["start"])?;
    node.wait_instance("master", |it| it.state == State::Master)?;
    let pins = node.status()?.node.pins;
    ensure!(pins.state == "unpinned" && pins.why.is_some(), "{pins:?}");
    node.journal
        .wait_after(0, "are lost when the agent ends", PATIENCE)?;
    node.must(&["stop"])?;
    node.watch.wait_absent(PATIENCE)?;
    ensure!(node.program()?.is_none());
    Ok(())
}

#[test]
fn a_file_that_is_refused_fails_the_start_once_with_every_mistake_in_the_journal() -> Result<()> {
    let (node, _lab) = single(instance(100, INTERVAL))?;
    let bad = node
        .machine
        .read(CONFIG)?
        .replace("priority = 100", "prioritty = 100")
        .replace("vrid = 51", "vrid = 0");
    node.machine.write(CONFIG, &bad)?;
    let said = node.systemctl(&["start"])?;
    ensure!(said.code != Some(0), "{said:?}");
    for part in ["did you mean `priority`?", "vrid"] {
        node.journal.wait_after(0, part, PATIENCE)?;
    }
    // Only the administrator can mend it: trying again would fill the journal.
    ensure!(node.property("ActiveState")? == "failed");
    ensure!(node.property("NRestarts")? == "0");
    Ok(())
}

/// A key as a credential of the unit.
#[test]
fn adverts_are_signed_by_a_credential_of_the_unit() -> Result<()> {
    const DROP_IN: &str = "/etc/systemd/system/ha-agent.service.d/key.conf";
    let mut key = toml::Table::new();
    key.insert("id".to_owned(), 1.into());
    key.insert("credential".to_owned(), "web".into());
    let signing = hmac::hmac(vec![key.into()], 1, "enforce");
    let (node, lab) = single(instance(100, INTERVAL).with("hmac", signing))?;
    // Without it the unit does not start, and says what it lacks.
    let said = node.systemctl(&["start"])?;
    ensure!(said.code != Some(0), "{said:?}");
    node.journal.wait_after(0, "LoadCredential=", PATIENCE)?;

    let secret = hmac::secret(0xa7) + "\n";
    node.machine.write("/srv/web.key", &secret)?;
    node.machine
        .run(&["mkdir", "-p", "/etc/systemd/system/ha-agent.service.d"])?;
    let drop_in = "[Service]\nLoadCredential=web:/srv/web.key\n";
    node.machine.write(DROP_IN, drop_in)?;
    node.machine.run(&["systemctl", "daemon-reload"])?;
    let capture = lab.capture()?;
    node.must(&["start"])?;
    node.wait_instance("master", |it| it.state == State::Master)?;
    let advert = capture.wait_advert(node.host(), 100, Moment(0), PATIENCE)?;
    // Ethernet, IPv4, eight bytes, one address, and the trailer: HMAC-SHA256 by key 1.
    ensure!(
        advert.bytes.get(46..50) == Some(&[1, 1, 0, 0]),
        "{:?}",
        advert.bytes
    );
    Ok(())
}

/// All settings of the device are to be had in the unit's sandbox, those that netlink does not have as well.
#[test]
fn a_virtual_mac_works_in_the_units_sandbox() -> Result<()> {
    for router in virtual_mac::ROUTERS {
        let (node, lab) = single(router.instance(100))?;
        let capture = lab.capture()?;
        node.must(&["start"])?;
        lab.asker(&capture)?
            .wait_held_by(node.host(), router.vip, PATIENCE)?;
        let frames = capture.frames();
        let claims: Vec<_> = frames
            .iter()
            .filter_map(|it| router.claimed_by(it))
            .collect();
        ensure!(
            !claims.is_empty() && claims.iter().all(|mac| *mac == router.mac),
            "{claims:x?}"
        );
        node.must(&["stop"])?;
        virtual_mac::nothing_left(node.host())?;
    }
    Ok(())
}
