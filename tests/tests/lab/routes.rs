//! Virtual routes and rules: with the master, after the addresses; gone before them.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State, cleanup};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::process::Process;
use ha_tests::lab::{Host, Lab, Pair, VIP, wait_until};
use toml::Value;

/// A route to nowhere in particular, in a table of its own and from the virtual address.
const ROUTE: &str = "default via 10.99.0.254 dev eth0 proto 86 src 10.99.0.100";
const RULE: &str = "from 10.99.0.100 lookup 1000 proto 86";

fn table(text: &str) -> Result<Value> {
    let table: toml::Table = format!("it = {text}").parse()?;
    table.get("it").cloned().context("no value")
}

/// The usual instance with these routes and rules.
fn with(priority: u8, routes: &str, rules: &str) -> Result<Instance> {
    Ok(instance(priority)
        .with("routes", table(routes)?)
        .with("rules", table(rules)?))
}

fn usual(priority: u8) -> Result<Instance> {
    with(
        priority,
        r#"[{ to = "default", via = "10.99.0.254", table = 1000, source = "10.99.0.100" }]"#,
        r#"[{ from = "10.99.0.100", table = 1000, priority = 100 }]"#,
    )
}

fn routes(host: &Host) -> Result<String> {
    // A table that has no route yet is an error to `ip`.
    Ok(host
        .try_run(&["ip", "route", "show", "table", "all", "proto", "86"])?
        .out)
}

fn rules(host: &Host) -> Result<String> {
    host.run(&["ip", "rule", "show"])
}

fn has_both(host: &Host) -> Result<bool> {
    let routes = host.try_run(&["ip", "route", "show", "table", "1000"])?.out;
    Ok(routes.contains(ROUTE) && rules(host)?.contains(RULE))
}

fn has_none(host: &Host) -> Result<bool> {
    Ok(routes(host)?.is_empty() && !rules(host)?.contains("proto 86"))
}

/// What is wanted comes from a place that an event cannot tell of.
fn becomes(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    wait_until(PATIENCE, what, || holds().unwrap_or(false))
}

/// What the kernel tells of addresses, routes and rules on a host, from now on, as `ip` prints it.
struct Told(Process);

/// A route that nobody has, by which it is seen that the kernel is listened to.
const PROBE: &str = "203.0.113.9";

impl Told {
    fn of(host: &Host) -> Result<Self> {
        let mut command = Command::new("ip");
        command.args(["monitor", "address", "route", "rule"]);
        let told = host.spawn("monitor", command)?;
        let probe = format!("{PROBE}/32");
        becomes("the monitor listens", || {
            host.run(&["ip", "route", "add", &probe, "dev", "lo"])?;
            host.run(&["ip", "route", "del", &probe, "dev", "lo"])?;
            Ok(told.lines().iter().any(|line| line.text.contains(PROBE)))
        })?;
        Ok(Self(told))
    }

    /// What moved. When the namespace of another lab goes meanwhile, `ip` says of the cable that led there that its
    /// "Peer netns reference is invalid".
    fn lines(&self) -> Vec<String> {
        let lines = self.0.lines().into_iter().map(|line| line.text);
        lines
            .filter(|line| !line.contains(PROBE) && !line.contains("Peer netns reference"))
            .collect()
    }

    fn wait(&self, parts: &[&str]) -> Result<()> {
        let what = parts.join(" and ");
        self.0
            .wait_for_line_where(0, &what, PATIENCE, |line| {
                parts.iter().all(|part| line.contains(part))
            })
            .map(drop)
    }
}

/// One host whose agent is master with this instance.
fn one_master(instance: Instance) -> Result<(Lab, Agent)> {
    let lab = Lab::new(1)?;
    let agent = Agent::master(lab.host(1), instance)?;
    Ok((lab, agent))
}

#[test]
fn routes_and_rules_move_with_the_master() -> Result<()> {
    let pair = Pair::of(usual(100)?, usual(90)?)?;
    ensure!(
        has_both(pair.h1())?,
        "{}{}",
        routes(pair.h1())?,
        rules(pair.h1())?
    );
    ensure!(has_none(pair.h2())?, "the backup has some");
    let shown = |agent: &Agent, present: bool| -> Result<()> {
        let found = agent.only()?;
        let all: Vec<_> = found.routes.iter().chain(&found.rules).collect();
        ensure!(
            all.len() == 2 && all.iter().all(|it| it.present == present),
            "{all:?}"
        );
        Ok(())
    };
    shown(&pair.master, true)?;
    shown(&pair.backup, false)?;
    pair.master.stop()?;
    ensure!(
        has_none(pair.h1())?,
        "{}{}",
        routes(pair.h1())?,
        rules(pair.h1())?
    );
    pair.on_backup.wait_present(PATIENCE)?;
    becomes("routes and rules of the new master", || has_both(pair.h2()))?;
    shown(&pair.backup, true)
}

#[test]
fn they_come_after_the_addresses_and_go_before_them() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let told = Told::of(h1)?;
    let agent = Agent::master(h1, usual(100)?)?;
    agent.stop()?;
    let end = format!("inet {VIP}/24");
    told.wait(&["Deleted", &end])?;
    let things = [end.as_str(), "default via 10.99.0.254", "lookup 1000"];
    let kinds: Vec<String> = told
        .lines()
        .iter()
        .filter_map(|line| {
            let what = things.into_iter().find(|what| line.contains(what))?;
            let verb = if line.contains("Deleted") { "-" } else { "+" };
            Some(format!("{verb}{what}"))
        })
        .collect();
    let expected: Vec<String> = [("+", [0, 1, 2]), ("-", [2, 1, 0])]
        .into_iter()
        .flat_map(|(verb, order)| order.map(|at| (verb, at)))
        .map(|(verb, at)| format!("{verb}{}", things[at]))
        .collect();
    ensure!(kinds == expected, "{kinds:?}");
    Ok(())
}

#[test]
fn what_somebody_removes_is_put_back_counted_and_said() -> Result<()> {
    let (lab, agent) = one_master(usual(100)?)?;
    let h1 = lab.host(1);
    // Once: a flush comes round until nothing is left.
    h1.run(&["ip", "route", "del", "default", "table", "1000"])?;
    agent
        .process()
        .wait_for_line("restored route default via 10.99.0.254", PATIENCE)?;
    h1.run(&["ip", "rule", "del", "priority", "100"])?;
    agent
        .process()
        .wait_for_line("restored rule from 10.99.0.100/32", PATIENCE)?;
    ensure!(has_both(h1)?, "{}{}", routes(h1)?, rules(h1)?);
    let found = agent.only()?;
    ensure!(
        found.counters.routing_restored == 2,
        "{}",
        found.counters.routing_restored
    );
    ensure!(found.state == State::Master && found.transitions == 2);
    Ok(())
}

/// The kernel takes such a route of the main table away without a word.
#[test]
fn a_route_that_goes_with_its_source_address_comes_back_with_it() -> Result<()> {
    let sourced = r#"[{ to = "192.0.2.0/24", via = "10.99.0.254", source = "10.99.0.100" }]"#;
    let (lab, agent) = one_master(with(100, sourced, "[]")?)?;
    let h1 = lab.host(1);
    ensure!(routes(h1)?.contains("192.0.2.0/24"), "{}", routes(h1)?);
    h1.run(&["ip", "addr", "del", "10.99.0.100/24", "dev", "eth0"])?;
    agent
        .process()
        .wait_for_line("restored route 192.0.2.0/24", PATIENCE)?;
    ensure!(routes(h1)?.contains("192.0.2.0/24"), "{}", routes(h1)?);
    Ok(())
}

#[test]
fn an_administrators_route_and_rule_in_the_same_place_stay() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    h1.ns().batch(
        "route add default via 10.99.0.9 table 1000\nrule add from 10.99.0.100 table 1000 priority 100\n",
    )?;
    let agent = Agent::start(h1, usual(100)?)?;
    agent.process().wait_for_line(
        "or another one to the same destination, already existed",
        PATIENCE,
    )?;
    agent.wait_state(State::Master, PATIENCE)?;
    let found = agent.only()?;
    let route = found.routes.first().context("a route")?;
    let said = route.error.as_deref().unwrap_or_default();
    ensure!(
        !route.present && said.contains("remove it from"),
        "{route:?}"
    );
    agent.stop()?;
    let left = h1.run(&["ip", "route", "show", "table", "1000"])?;
    ensure!(left.contains("via 10.99.0.9"), "{left}");
    let left = rules(h1)?;
    ensure!(
        left.contains("from 10.99.0.100 lookup 1000") && !left.contains(RULE),
        "{left}"
    );
    Ok(())
}

#[test]
fn a_route_that_cannot_be_added_is_said_and_tried_again_and_the_host_stays_master() -> Result<()> {
    let unreachable = r#"[{ to = "192.0.2.0/24", via = "10.98.0.1" }]"#;
    let (lab, agent) = one_master(with(100, unreachable, "[]")?)?;
    let h1 = lab.host(1);
    agent.process().wait_for_line(
        "adding route 192.0.2.0/24 via 10.98.0.1: Network is unreachable",
        PATIENCE,
    )?;
    let found = agent.only()?;
    ensure!(found.state == State::Master);
    let error = found.routes[0].error.clone().unwrap_or_default();
    ensure!(
        error.contains("unreachable") && !found.routes[0].present,
        "{error}"
    );
    // On another interface, so that nothing but the agent's own clock makes it try again.
    h1.run(&["ip", "route", "add", "10.98.0.0/24", "dev", "eth0"])?;
    agent.wait("has its route", |it| {
        it.routes[0].present && it.routes[0].error.is_none()
    })?;
    let said = agent.process().lines();
    let times = said
        .iter()
        .filter(|line| line.text.contains("Network is unreachable"));
    ensure!(times.count() == 1, "said more than once");
    Ok(())
}

#[test]
fn a_killed_agent_finds_its_routes_again_and_drops_those_that_are_no_longer_configured()
-> Result<()> {
    let (lab, agent) = one_master(usual(100)?)?;
    let h1 = lab.host(1);
    agent.process().kill()?;
    ensure!(has_both(h1)?, "a killed agent cannot remove anything");
    let told = Told::of(h1)?;
    let again = Agent::start_again(h1)?;
    again.wait_state(State::Master, PATIENCE)?;
    ensure!(has_both(h1)?);
    let moved = told.lines();
    ensure!(moved.is_empty(), "it carries on, and moved {moved:?}");

    again.process().kill()?;
    let fewer = with(
        100,
        "[]",
        r#"[{ from = "10.99.0.100", table = 1000, priority = 100 }]"#,
    )?;
    let third = Agent::start(h1, fewer)?;
    third
        .process()
        .wait_for_line("removed route default via 10.99.0.254", PATIENCE)?;
    third.wait_state(State::Master, PATIENCE)?;
    ensure!(routes(h1)?.is_empty() && rules(h1)?.contains(RULE));
    Ok(())
}

#[test]
fn cleanup_removes_what_a_killed_agent_left_and_nothing_else() -> Result<()> {
    let (lab, agent) = one_master(usual(100)?)?;
    let h1 = lab.host(1);
    h1.ns().batch(
        "route add 192.0.2.0/24 via 10.99.0.9\nrule add from 192.0.2.1 table 7 priority 7\n",
    )?;
    agent.process().kill()?;
    let said = cleanup(h1)?;
    for part in [
        "removed route default via 10.99.0.254",
        "removed rule from 10.99.0.100/32",
    ] {
        ensure!(said.out.contains(part), "no {part:?} in {said:?}");
    }
    ensure!(has_none(h1)?, "{}{}", routes(h1)?, rules(h1)?);
    ensure!(rules(h1)?.contains("from 192.0.2.1 lookup 7"));
    ensure!(
        h1.run(&["ip", "route"])?
            .contains("192.0.2.0/24 via 10.99.0.9")
    );
    Ok(())
}

#[test]
fn a_reload_changes_the_routes_that_changed_and_no_others() -> Result<()> {
    let (lab, agent) = one_master(usual(100)?)?;
    let h1 = lab.host(1);
    let told = Told::of(h1)?;
    let other = with(
        100,
        r#"[{ to = "default", via = "10.99.0.253", table = 1000, source = "10.99.0.100" }]"#,
        r#"[{ from = "10.99.0.100", table = 1000, priority = 100 }]"#,
    )?;
    let said = agent.reload_with(other)?;
    ensure!(
        said.out.contains("routes +default via 10.99.0.253"),
        "{said:?}"
    );
    told.wait(&["default via 10.99.0.253"])?;
    agent.wait("has the new route", |it| {
        it.routes[0].text.contains("10.99.0.253") && it.routes[0].present
    })?;
    let moved = told.lines();
    ensure!(
        !moved
            .iter()
            .any(|line| line.contains("lookup") || line.contains("inet")),
        "{moved:?}"
    );
    ensure!(!routes(h1)?.contains("10.99.0.254"));
    let found = agent.only()?;
    ensure!(found.state == State::Master && found.transitions == 2);
    Ok(())
}
