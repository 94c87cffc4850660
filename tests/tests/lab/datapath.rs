//! How adverts are received: what is tried, what is refused and why, and what survives the agent.

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{self, Agent, Circumstances, Launch, State};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::clock::now;
use ha_tests::lab::foreign::Foreign;
use ha_tests::lab::pair::{EARLINESS, LATENESS, PATIENCE, TIMING, by_auto, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Host, Lab, Pair, require_root_and_tools, wait_until};

#[test]
fn auto_is_tc_with_a_kernel_timer_and_says_what_native_would_cost() -> Result<()> {
    let pair = Pair::auto()?;
    for agent in [&pair.master, &pair.backup] {
        let instance = agent.only()?;
        let datapath = &instance.datapath;
        ensure!(datapath.kind.as_deref() == Some("tc"), "{instance:?}");
        ensure!(datapath.link.as_deref() == Some("tcx"), "{instance:?}");
        ensure!(datapath.because.contains("costs other traffic nothing"));
        ensure!(
            datapath.refusal("native").contains("segmentation offload"),
            "{datapath:?}"
        );
        ensure!(instance.timer.kind == "kernel" && instance.timer.why.is_none());
        ensure!(agent.status()?.node.pins.state == "pinned");
        ensure!(agent.host().xdp_mode(Host::INTERFACE)?.is_none());
    }
    pair.cut_and_take_over(LATENESS)?;
    let taken = pair.backup.only()?;
    ensure!(taken.counters.timer_fired >= 1, "{taken:?}");
    let last = taken.last_transition.context("no transition")?;
    ensure!(last.latency_us.is_some() && last.to == State::Master);
    ensure!(last.cause.starts_with("no advert for "), "{}", last.cause);
    pair.heal()
}

#[test]
fn the_configured_datapath_is_the_one_that_runs_and_takes_over_at_the_deadline() -> Result<()> {
    for (name, mode) in [("tc", None), ("native", Some(1)), ("generic", Some(2))] {
        let pair = Pair::of(instance(100), instance(90).with("datapath", name))?;
        let found = pair.backup.only()?;
        ensure!(found.datapath.kind.as_deref() == Some(name), "{found:?}");
        ensure!(found.datapath.because == "configured", "{found:?}");
        ensure!(found.timer.kind == "kernel");
        ensure!(pair.h2().xdp_mode(Host::INTERFACE)? == mode, "{name}");
        pair.cut_and_take_over(LATENESS)?;
        pair.heal()?;
    }
    Ok(())
}

/// A macvlan device sees no VRRP at all until somebody joins the group.
#[test]
fn on_a_macvlan_device_it_is_tc_as_well() -> Result<()> {
    require_root_and_tools(&[])?;
    let lab = Lab::new(2)?;
    for host in lab.hosts() {
        move_to_macvlan(host)?;
    }
    let on_macvlan = |priority| Instance {
        interface: MACVLAN.to_owned(),
        ..by_auto(priority)
    };
    let pair = Pair::settle(lab, on_macvlan(100), on_macvlan(90), &Launch::default())?;
    let found = pair.backup.only()?;
    ensure!(found.datapath.kind.as_deref() == Some("tc"), "{found:?}");
    ensure!(!found.datapath.refusal("native").is_empty(), "{found:?}");
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()
}

#[test]
fn a_configured_native_that_is_refused_is_a_fault_with_the_reason() -> Result<()> {
    require_root_and_tools(&[])?;
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    move_to_macvlan(h1)?;
    let insisting = Instance {
        interface: MACVLAN.to_owned(),
        ..instance(100)
    }
    .with("datapath", "native");
    let agent = Agent::start(h1, &AgentConfig::new(h1, insisting))?;
    let found = agent.wait_instance("web", "in FAULT", PATIENCE, |it| it.state == State::Fault)?;
    let reason = found.reason.context("no reason")?;
    ensure!(
        reason.contains("datapath") && reason.contains("native: "),
        "{reason}"
    );
    let line = agent.process().wait_for_line("native: ", PATIENCE)?;
    ensure!(line.text.contains("web"), "{}", line.text);
    ensure!(h1.xdp_mode(MACVLAN)?.is_none());
    Ok(())
}

#[test]
fn an_xdp_program_of_somebody_else_is_never_replaced_and_is_named() -> Result<()> {
    require_root_and_tools(&[])?;
    let lab = Lab::new(2)?;
    let h2 = lab.host(2).clone();
    let theirs = Foreign::xdp(&h2)?;
    let before = h2.xdp_program(Host::INTERFACE)?;
    ensure!(before.is_some());
    let native = instance(90).with("datapath", "native");
    let agent = Agent::start(&h2, &AgentConfig::new(&h2, native))?;
    let found = agent.wait_instance("web", "in FAULT", PATIENCE, |it| it.state == State::Fault)?;
    let reason = found.reason.context("no reason")?;
    ensure!(
        reason.contains("ha_vrrp of somebody else") && reason.contains("is not replaced"),
        "{reason}"
    );
    agent.process().signal(Signal::TERM)?;
    agent.process().wait(PATIENCE)?;
    ensure!(h2.xdp_program(Host::INTERFACE)? == before);
    // tc lives beside it.
    let pair = Pair::settle(lab, by_auto(100), by_auto(90), &Launch::default())?;
    ensure!(pair.backup.only()?.datapath.kind.as_deref() == Some("tc"));
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()?;
    ensure!(h2.xdp_program(Host::INTERFACE)? == before);
    drop(theirs);
    Ok(())
}

#[test]
fn a_plain_socket_takes_over_at_the_deadline() -> Result<()> {
    let pair = Pair::of(instance(100), instance(90).with("datapath", "socket"))?;
    let found = pair.backup.only()?;
    ensure!(found.datapath.kind.as_deref() == Some("socket"));
    ensure!(found.datapath.because == "configured", "{found:?}");
    ensure!(found.timer.kind == "watchdog" && found.timer.why.is_some());
    ensure!(pair.h2().xdp_mode(Host::INTERFACE)?.is_none());
    ensure!(found.counters.adverts_received > 0);
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()?;
    // What the socket heard is in `peers` as well.
    let peers = agent::peers(pair.h2())?;
    ensure!(
        peers["peers"][0]["address"] == pair.h1().ipv4().to_string(),
        "{peers}"
    );
    Ok(())
}

/// Nothing but the agent's own look at the slot can shorten its wait.
#[test]
fn priority_zero_shortens_the_wait_to_the_skew_without_a_kernel_timer() -> Result<()> {
    let no_timer = Launch {
        inject: Some("no-timer"),
        ..Launch::default()
    };
    let socket = instance(90).with("datapath", "socket");
    for (backup, launch) in [(socket, Launch::default()), (instance(90), no_timer)] {
        let pair = Pair::launched(instance(100), backup, &launch)?;
        let told = now();
        pair.master.process().signal(Signal::TERM)?;
        let farewell = pair.capture.wait_advert(pair.h1(), 0, told, PATIENCE)?;
        let taken = pair
            .capture
            .wait_advert(pair.h2(), 90, farewell.at, PATIENCE)?;
        let waited = taken.at.since(farewell.at).to_duration();
        ensure!(
            waited + EARLINESS >= TIMING.skew() && waited <= TIMING.skew() + LATENESS,
            "{:?}: the backup waited {waited:?} after priority 0",
            launch.inject
        );
    }
    Ok(())
}

/// The program of the earlier life ends every advert; if it stayed, the next life's would hear none.
#[test]
fn a_killed_agents_datapath_gives_way_to_whichever_is_configured_next() -> Result<()> {
    let consuming = |name| instance(90).with("consume", true).with("datapath", name);
    for (before, after) in [
        ("tc", "socket"),
        ("native", "socket"),
        ("tc", "native"),
        ("native", "tc"),
        ("native", "generic"),
    ] {
        let pair = Pair::of(instance(100), consuming(before))?;
        pair.backup.process().kill()?;
        let again = Agent::start(pair.h2(), &AgentConfig::new(pair.h2(), consuming(after)))?;
        let runs = |it: &ha_tests::lab::agent_status::Instance| {
            it.state == State::Backup && it.datapath.kind.as_deref() == Some(after)
        };
        let found = again.wait_instance("web", "runs by the other", PATIENCE, runs)?;
        let heard = found.counters.adverts_received;
        again
            .wait_instance("web", "follows by the other", PATIENCE, |it| {
                runs(it) && it.counters.adverts_received > heard + 10 && it.master.is_some()
            })
            .with_context(|| format!("{before} -> {after}"))?;
        let mode = match after {
            "native" => Some(1),
            "generic" => Some(2),
            _ => None,
        };
        ensure!(
            pair.h2().xdp_mode(Host::INTERFACE)? == mode,
            "{before} -> {after}"
        );
        pair.is_settled()?;
        pair.cut_and_take_over(LATENESS)?;
    }
    Ok(())
}

/// A reload changes the datapath of a living router: it loses neither its master nor its own mastership.
#[test]
fn a_reload_to_another_datapath_moves_nothing() -> Result<()> {
    let pair = Pair::start()?;
    let begin = now();
    for name in ["native", "socket", "tc", "socket", "generic", "auto"] {
        for (agent, priority) in [(&pair.master, 100), (&pair.backup, 90)] {
            let host = agent.host();
            let config = AgentConfig::new(host, instance(priority).with("datapath", name));
            Agent::write_config(host, &config)?;
            let said = agent.reload()?;
            ensure!(said.code == Some(0), "{said:?}");
            let runs = if name == "auto" { "tc" } else { name };
            agent.wait_instance("web", name, PATIENCE, |it| {
                it.datapath.kind.as_deref() == Some(runs)
            })?;
        }
    }
    pair.is_settled()?;
    ensure!(pair.on_master.changes_since(begin).is_empty());
    for agent in [&pair.master, &pair.backup] {
        let found = agent.only()?;
        ensure!(found.transitions <= 2, "{found:?}");
    }
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()
}

#[test]
fn a_native_program_outlives_a_clean_stop_and_is_taken_off_by_cleanup() -> Result<()> {
    let native = |priority| instance(priority).with("datapath", "native");
    let pair = Pair::of(native(100), native(90))?;
    let program = pair.h2().xdp_program(Host::INTERFACE)?;
    pair.backup.process().signal(Signal::TERM)?;
    ensure!(pair.backup.process().wait(PATIENCE)?.status.success());
    ensure!(
        program.is_some() && pair.h2().xdp_program(Host::INTERFACE)? == program,
        "a card would have been reset by a stop"
    );
    ensure!(pair.h2().slots_in_use()? == 0, "it has nothing to do");
    let again = Agent::start_again(pair.h2())?;
    again.wait_state(State::Backup, PATIENCE)?;
    ensure!(pair.h2().xdp_mode(Host::INTERFACE)? == Some(1));
    again.process().signal(Signal::TERM)?;
    ensure!(again.process().wait(PATIENCE)?.status.success());
    let config = agent::config_file(pair.h2()).display().to_string();
    // As the unit does after a stop.
    let stopped = Circumstances {
        environment: &["SERVICE_RESULT=success", "EXIT_STATUS=0"],
        ..Circumstances::default()
    };
    let post = ["cleanup", "--config", &config, "--unless-restarting"];
    let said = agent::invoke_with(pair.h2(), &stopped, &post)?;
    ensure!(said.code == Some(0), "{said:?}");
    ensure!(pair.h2().xdp_mode(Host::INTERFACE)? == Some(1), "{said:?}");
    let again = Agent::start_again(pair.h2())?;
    again.wait_state(State::Backup, PATIENCE)?;
    again.process().signal(Signal::TERM)?;
    ensure!(again.process().wait(PATIENCE)?.status.success());
    let said = agent::invoke(pair.h2(), &["cleanup", "--config", &config])?;
    ensure!(said.code == Some(0), "{said:?}");
    wait_until(PATIENCE, "cleanup takes the program off", || {
        pair.h2()
            .xdp_mode(Host::INTERFACE)
            .is_ok_and(|mode| mode.is_none())
    })
}

const MACVLAN: &str = "mv0";

/// Gives a host's address to a macvlan device above its interface.
fn move_to_macvlan(host: &Host) -> Result<()> {
    host.ns().batch(&format!(
        "addr del {0}/24 dev eth0\n\
         link add {MACVLAN} link eth0 type macvlan mode bridge\n\
         link set {MACVLAN} addrgenmode none\n\
         addr add {0}/24 dev {MACVLAN}\n\
         link set {MACVLAN} up\n",
        host.ipv4()
    ))
}
