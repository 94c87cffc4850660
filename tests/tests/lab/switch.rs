//! `ha-agent datapath`: another datapath for one instance at run time, which never takes it out.

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State, invoke};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::clock::now;
use ha_tests::lab::datapath::{MACVLAN, chosen};
use ha_tests::lab::host::Said;
use ha_tests::lab::pair::{LATENESS, PATIENCE, by_auto, instance};
use ha_tests::lab::{Host, Lab, Pair, VIP, wait_until};

fn switch(agent: &Agent, name: &str) -> Result<Said> {
    invoke(agent.host(), &["datapath", "web", name])
}

/// Switches, and finds what was answered in `status` at once.
fn switched(agent: &Agent, name: &str) -> Result<()> {
    let said = switch(agent, name)?;
    ensure!(said.code == Some(0), "{name}: {said:?}");
    let found = agent.only()?.datapath;
    let runs = Some(chosen(name));
    ensure!(found.kind.as_deref() == runs, "{name}: {found:?}");
    let by_command = found.overridden.map(|it| it.datapath);
    // The configured one is no override.
    let expected = (name != "auto").then(|| name.to_owned());
    ensure!(by_command == expected, "{name}: {by_command:?}");
    ensure!(found.because.contains("by command") == (name != "auto"));
    Ok(())
}

#[test]
fn a_master_and_a_backup_go_through_all_datapaths_and_nothing_moves() -> Result<()> {
    let pair = Pair::auto()?;
    let begin = now();
    for name in [
        "native", "generic", "native", "tc", "socket", "generic", "socket", "native", "socket",
        "tc", "auto",
    ] {
        for agent in [&pair.master, &pair.backup] {
            switched(agent, name)?;
            agent.receives_by(name)?;
            // The answer comes once the old program is off.
            let has_tc = !agent.host().ingress_programs()?.is_empty();
            ensure!(has_tc == matches!(name, "tc" | "auto"), "{name}");
        }
    }
    pair.is_settled()?;
    pair.undisturbed_since(begin)?;
    for agent in [&pair.master, &pair.backup] {
        let found = agent.only()?;
        ensure!(found.transitions <= 2, "{found:?}");
    }
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()
}

/// An interface has one place for XDP: the new mode's program finds the old one's gone.
#[test]
fn a_reload_from_native_to_generic_and_back_is_no_fault() -> Result<()> {
    let native = |priority| instance(priority).by("native");
    let pair = Pair::of(native(100), native(90))?;
    let begin = now();
    for name in ["generic", "native"] {
        for (agent, priority) in [(&pair.master, 100), (&pair.backup, 90)] {
            let config = instance(priority).by(name);
            agent.reload_with(config)?;
            agent.wait(name, |it| it.receives_by(name))?;
        }
    }
    pair.is_settled()?;
    pair.on_master.undisturbed_since(begin)?;
    let found = pair.backup.only()?;
    ensure!(found.transitions <= 2, "{found:?}");
    Ok(())
}

/// The macvlan driver has no native XDP: neither a master nor the program that it has is harmed by trying.
#[test]
fn what_cannot_be_had_is_refused_and_the_master_keeps_what_it_had() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    h1.move_to_macvlan()?;
    let on_macvlan = Instance {
        interface: MACVLAN.to_owned(),
        ..by_auto(100)
    };
    let watch = h1.vip_watch(VIP)?;
    let agent = Agent::master(h1, on_macvlan)?;
    for had in ["auto", "generic", "socket"] {
        switch(&agent, had)?.ok()?;
        let begin = now();
        let before = agent.only()?;
        let pins = pins(h1)?;
        let said = switch(&agent, "native")?;
        ensure!(said.code == Some(1) && said.out.is_empty(), "{said:?}");
        for part in [
            "web cannot use datapath native",
            "keeps its current one",
            "native: ",
        ] {
            ensure!(said.err.contains(part), "no {part:?} in {said:?}");
        }
        let after = agent.only()?;
        ensure!(after.state == State::Master && after.transitions == before.transitions);
        ensure!(after.datapath.kind == before.datapath.kind, "{after:?}");
        ensure!(
            after.datapath.because == before.datapath.because,
            "{after:?}"
        );
        let name = |it: &ha_tests::lab::agent_status::Instance| {
            it.datapath
                .overridden
                .as_ref()
                .map(|it| it.datapath.clone())
        };
        ensure!(name(&after) == name(&before), "{after:?}");
        ensure!(self::pins(h1)? == pins, "{had}");
        watch.undisturbed_since(begin).context(had)?;
    }
    let said = invoke(h1, &["datapath", "wbe", "socket"])?;
    ensure!(said.code == Some(1), "{said:?}");
    ensure!(
        said.err
            .contains("no such instance: \"wbe\"; configured: web"),
        "{said:?}"
    );
    Ok(())
}

/// The names of the pinned links: what would outlive a killed agent.
fn pins(host: &Host) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(host.bpf_dir())?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.retain(|name| name.contains("link") || name.contains("tc"));
    names.sort();
    Ok(names)
}

#[test]
fn what_a_command_has_set_is_shown_and_ends_with_a_reload_that_changes_it_or_a_restart()
-> Result<()> {
    let pair = Pair::auto()?;
    let agent = &pair.backup;
    let host = agent.host();
    switched(agent, "socket")?;
    let text = invoke(host, &["status", "web"])?;
    ensure!(
        text.out
            .contains("set to socket by `ha-agent datapath` (configured: auto)"),
        "{text:?}"
    );
    // A reload of something else leaves it.
    let reload = |instance| -> Result<()> {
        agent.reload_with(instance)?;
        Ok(())
    };
    let kind = |it: &ha_tests::lab::agent_status::Instance| it.datapath.kind.clone();
    reload(by_auto(80))?;
    agent.wait("with 80", |it| it.priority.effective == 80)?;
    let found = agent.only()?;
    ensure!(kind(&found).as_deref() == Some("socket"), "{found:?}");
    ensure!(found.datapath.overridden.is_some(), "{found:?}");
    // One that changes `datapath` ends it.
    reload(instance(80).by("generic"))?;
    let found = agent.wait("by generic", |it| kind(it).as_deref() == Some("generic"))?;
    ensure!(found.datapath.overridden.is_none(), "{found:?}");
    ensure!(found.datapath.because == "configured", "{found:?}");
    // And so does the agent's end.
    switched(agent, "socket")?;
    pair.backup.process().kill()?;
    let again = Agent::start_again(host)?;
    let found = again.wait("by generic", |it| kind(it).as_deref() == Some("generic"))?;
    ensure!(found.datapath.overridden.is_none(), "{found:?}");
    Ok(())
}

/// Cards let adverts in for pinned programs by an entry of the agent's, which has to survive their change.
#[test]
fn the_cards_filter_stays_open_when_one_program_comes_for_another() -> Result<()> {
    let pair = Pair::auto()?;
    let host = pair.backup.host();
    let is_open = || -> Result<bool> {
        let text = host.run(&["ip", "maddress", "show", "dev", "eth0"])?;
        Ok(text
            .lines()
            .any(|line| line.contains("01:00:5e:00:00:12") && line.contains("static")))
    };
    ensure!(is_open().context("before")?);
    for name in ["native", "generic", "tc"] {
        switched(&pair.backup, name)?;
        ensure!(is_open()?, "{name}");
    }
    switched(&pair.backup, "socket")?;
    wait_until(PATIENCE, "the entry goes with the program", || {
        is_open().is_ok_and(|open| !open)
    })
}
