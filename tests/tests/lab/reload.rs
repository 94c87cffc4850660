//! A configuration that is read again: what changes, what does not, and what a bad file does.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State, config_file, invoke};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Lab, Pair, VIP, wait_until};

/// A second address of the instance.
const SECOND: &str = "10.99.0.101";

/// The master's configuration with this instance in place of the one that it has.
fn rewrite(pair: &Pair, instance: Instance) -> Result<()> {
    Agent::write_config(pair.h1(), instance)
}

#[test]
fn another_priority_is_advertised_at_once_and_moves_nothing() -> Result<()> {
    let pair = Pair::start()?;
    let before = pair.master.only()?.transitions;
    rewrite(&pair, instance(120))?;
    let told = now();
    pair.master.process().signal(Signal::HUP)?;
    let first = pair.capture.wait_advert(pair.h1(), 120, told, PATIENCE)?;
    let later = pair
        .capture
        .wait_advert(pair.h1(), 120, first.at + nanos(1), PATIENCE)?;
    ensure!(
        !pair
            .capture
            .frames_since(first.at)
            .iter()
            .any(|it| it.is_from(pair.h1()) && it.vrrp().is_some_and(|it| it.priority != 120)),
        "the old priority came once more"
    );
    pair.backup.wait("hears of the priority", |it| {
        it.master.as_ref().is_some_and(|it| it.priority == 120)
    })?;
    ensure!(later.at > first.at);
    pair.undisturbed_since(told)?;
    let found = pair.master.only()?;
    ensure!(found.state == State::Master && found.transitions == before);
    ensure!(found.priority.base == 120 && found.priority.effective == 120);
    Ok(())
}

#[test]
fn an_added_address_appears_and_is_advertised_and_a_removed_one_goes() -> Result<()> {
    let pair = Pair::start()?;
    let second = pair.h1().vip_watch(SECOND.parse()?)?;
    rewrite(
        &pair,
        Instance {
            addresses: vec![format!("{VIP}/24"), format!("{SECOND}/24")],
            ..instance(100)
        },
    )?;
    let told = now();
    let said = pair.master.reload_ok()?;
    ensure!(said.out.contains("web"), "{said:?}");
    second.wait_present(PATIENCE)?;
    pair.capture
        .wait_announcement(pair.h1(), SECOND.parse()?, told, PATIENCE)?;
    pair.capture
        .wait_for("an advert with two addresses", told, PATIENCE, |frame| {
            frame.is_from(pair.h1()) && frame.vrrp().is_some_and(|it| it.addresses.len() == 2)
        })?;
    pair.on_master.undisturbed_since(told)?;
    ensure!(pair.master.state()? == State::Master);

    rewrite(&pair, instance(100))?;
    let told = now();
    pair.master.reload_ok()?;
    second.wait_absent(PATIENCE)?;
    pair.capture
        .wait_for("an advert with one address", told, PATIENCE, |frame| {
            frame.is_from(pair.h1()) && frame.vrrp().is_some_and(|it| it.addresses == [VIP])
        })?;
    pair.on_master.undisturbed_since(told)?;
    pair.is_settled()
}

#[test]
fn an_added_instance_comes_up_and_a_removed_one_leaves_with_priority_zero() -> Result<()> {
    let pair = Pair::start()?;
    let second = pair.h1().vip_watch(SECOND.parse()?)?;
    let mut config = AgentConfig::new(pair.h1(), instance(100));
    config.instance.push(Instance {
        name: "mail".to_owned(),
        vrid: 52,
        addresses: vec![format!("{SECOND}/24")],
        ..instance(100)
    });
    Agent::write_config(pair.h1(), &config)?;
    let begin = now();
    let said = pair.master.reload_ok()?;
    ensure!(said.out.contains("mail"), "{said:?}");
    second.wait_present(PATIENCE)?;
    pair.master
        .wait_instance("mail", "master", PATIENCE, |it| it.state == State::Master)?;

    rewrite(&pair, instance(100))?;
    let told = now();
    let said = pair.master.reload_ok()?;
    ensure!(said.out.contains("mail"), "{said:?}");
    pair.capture
        .wait_for("the farewell of mail", told, PATIENCE, |frame| {
            frame.is_from(pair.h1())
                && frame
                    .vrrp()
                    .is_some_and(|it| it.vrid == 52 && it.priority == 0)
        })?;
    second.wait_absent(PATIENCE)?;
    let found = pair.master.only()?;
    ensure!(found.name == "web" && found.state == State::Master);
    pair.undisturbed_since(begin)?;
    Ok(())
}

#[test]
fn the_answer_says_which_keys_changed_and_how() -> Result<()> {
    let pair = Pair::start()?;
    rewrite(
        &pair,
        Instance {
            addresses: vec![format!("{VIP}/24"), format!("{SECOND}/24")],
            preempt: false,
            ..instance(120)
        },
    )?;
    let said = pair.master.reload()?;
    let expected = format!(
        "instance web: priority 100 -> 120, addresses +{SECOND}/24, preempt true -> false\n"
    );
    ensure!(
        said.code == Some(0) && said.out == expected,
        "{said:?}, not {expected:?}"
    );
    let line = format!("reloaded: {}", expected.trim_end());
    pair.master.process().wait_for_line(&line, PATIENCE)?;
    Ok(())
}

#[test]
fn an_instance_that_a_reload_puts_in_fault_is_in_the_answer_once() -> Result<()> {
    let pair = Pair::start()?;
    let mut config = AgentConfig::new(pair.h1(), instance(100));
    config.instance.push(Instance {
        name: "mail".to_owned(),
        interface: "eth9".to_owned(),
        vrid: 52,
        addresses: vec![format!("{SECOND}/24")],
        ..instance(100)
    });
    Agent::write_config(pair.h1(), &config)?;
    let begin = now();
    let said = pair.master.reload()?;
    ensure!(said.code == Some(8), "{said:?}");
    ensure!(said.out.contains("instance mail added"), "{said:?}");
    let fault = "instance mail is in FAULT: no such interface";
    ensure!(said.err.contains(fault), "{said:?}");
    let said = pair.master.reload_ok()?;
    ensure!(said.out.contains("nothing changed"), "{said:?}");
    pair.undisturbed_since(begin)?;
    Ok(())
}

#[test]
fn a_misspelt_interface_is_refused_by_command_and_signal_and_carried_out_by_force() -> Result<()> {
    let pair = Pair::start()?;
    let misspelt = Instance {
        interface: "eht0".to_owned(),
        ..instance(100)
    };
    rewrite(&pair, misspelt)?;
    let begin = now();
    let said = pair.master.reload()?;
    ensure!(said.code == Some(6) && said.out.is_empty(), "{said:?}");
    let cost = "instance web would be in FAULT: interface eth0 -> eht0, and there is no interface eht0; did you mean \
                eth0?";
    for part in [cost, "stays in force", "ha-agent reload --force"] {
        ensure!(said.err.contains(part), "no {part:?} in {said:?}");
    }
    let mark = pair.master.process().mark();
    pair.master.process().signal(Signal::HUP)?;
    pair.master
        .process()
        .wait_for_line_after(mark, cost, PATIENCE)?;
    pair.undisturbed_since(begin)?;
    ensure!(pair.master.state()? == State::Master);

    let said = invoke(pair.h1(), &["reload", "--force"])?;
    ensure!(said.code == Some(8), "{said:?}");
    ensure!(said.out.contains("interface eth0 -> eht0"), "{said:?}");
    pair.on_master.wait_absent(PATIENCE)?;
    pair.backup.wait_state(State::Master, PATIENCE)
}

#[test]
fn what_needs_a_restart_is_said_again_until_there_was_one() -> Result<()> {
    let pair = Pair::start()?;
    let mut config = AgentConfig::new(pair.h1(), instance(100));
    config.node.name = "another".to_owned();
    Agent::write_config(pair.h1(), &config)?;
    for _ in 0..2 {
        let said = pair.master.reload()?;
        let expected = "[node]: name h1 -> another; takes effect at the next restart\n";
        ensure!(
            said.code == Some(0) && said.out == expected,
            "{said:?}, not {expected:?}"
        );
        let name = pair.master.status()?.node.name;
        ensure!(
            name == "h1",
            "status shows the name {name} that is not in force"
        );
    }
    pair.is_settled()
}

#[test]
fn a_bad_file_changes_nothing_and_the_complaint_names_line_and_column() -> Result<()> {
    let pair = Pair::start()?;
    let path = config_file(pair.h1());
    let good = fs::read_to_string(&path)?;
    let bad = good.replace("priority = 100", "priority = 300");
    ensure!(bad != good);
    let line = bad
        .lines()
        .position(|line| line.starts_with("priority"))
        .context("no priority")?
        + 1;
    fs::write(&path, &bad)?;
    let begin = now();
    let said = pair.master.reload()?;
    ensure!(said.code == Some(3), "{said:?}");
    let place = format!("{}:{line}:12", path.display());
    ensure!(said.err.contains(&place), "no {place} in {said:?}");
    ensure!(said.out.is_empty(), "{said:?}");
    let last = pair.master.status()?.node.last_reload.context("none")?;
    ensure!(last.error.is_some_and(|it| it.contains("invalid")));
    ensure!(last.details.iter().any(|it| it.contains(&place)));

    // By signal, the log and the status alone can say it.
    let worse = bad.replace("vrid = 51", "vrid = 0");
    fs::write(&path, &worse)?;
    let mark = pair.master.process().mark();
    pair.master.process().signal(Signal::HUP)?;
    pair.master
        .process()
        .wait_for_line_after(mark, &format!(":{line}:12"), PATIENCE)?;
    wait_until(PATIENCE, "status has the reload by signal", || {
        let last = pair.master.status().ok().and_then(|it| it.node.last_reload);
        last.is_some_and(|it| it.details.iter().any(|it| it.contains("vrid")))
    })?;
    pair.capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    let found = pair.master.only()?;
    ensure!(found.state == State::Master && found.priority.base == 100);
    pair.on_master.undisturbed_since(begin)?;

    // Mended, it is as if nothing had been.
    fs::write(&path, good)?;
    let said = pair.master.reload_ok()?;
    ensure!(said.out.contains("nothing changed"), "{said:?}");
    let last = pair.master.status()?.node.last_reload.context("none")?;
    ensure!(last.error.is_none(), "{last:?}");
    pair.is_settled()
}

fn nanos(count: u64) -> ha_common::units::Nanos {
    ha_common::units::Nanos(count)
}

/// The kernel half takes the memory of its maps at the start.
#[test]
fn a_reload_with_more_addresses_than_can_be_fenced_says_so_and_holds_them_all() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let agent = Agent::master(host, instance(100))?;
    let excluded: Vec<String> = (0..4096)
        .map(|n| format!("10.97.{}.{}/32", n / 250, n % 250 + 1))
        .collect();
    let many = instance(100).with("excluded", excluded);
    let said = agent.reload_with(many)?;
    ensure!(
        said.out.contains("4097 addresses") && said.out.contains("room for 4096"),
        "{said:?}"
    );
    let last = "10.97.16.96".parse()?;
    host.vip_watch(last)?.wait_present(PATIENCE)?;
    agent.wait_state(State::Master, PATIENCE)
}
