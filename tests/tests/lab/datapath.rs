//! How adverts are received: what is tried, what is refused and why, and what survives the agent.

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{self, Agent, Circumstances, Launch, State};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::clock::now;
use ha_tests::lab::datapath::{MACVLAN, chosen};
use ha_tests::lab::foreign::Foreign;
use ha_tests::lab::pair::{EARLINESS, LATENESS, PATIENCE, TIMING, by_auto, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Host, Lab, Pair, wait_until};

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
    for name in ["tc", "native", "generic"] {
        let pair = Pair::of(instance(100), instance(90).by(name))?;
        let found = pair.backup.only()?;
        ensure!(found.datapath.because == "configured", "{found:?}");
        ensure!(found.timer.kind == "kernel");
        pair.backup.receives_by(name)?;
        pair.cut_and_take_over(LATENESS)?;
        pair.heal()?;
    }
    Ok(())
}

/// A macvlan device sees no VRRP at all until somebody joins the group.
#[test]
fn on_a_macvlan_device_it_is_tc_as_well() -> Result<()> {
    let lab = Lab::new(2)?;
    for host in lab.hosts() {
        host.move_to_macvlan()?;
    }
    let on_macvlan = |priority| Instance {
        interface: MACVLAN.to_owned(),
        ..by_auto(priority)
    };
    let pair = Pair::in_lab(lab, on_macvlan(100), on_macvlan(90))?;
    let found = pair.backup.only()?;
    ensure!(found.receives_by("tc"), "{found:?}");
    ensure!(!found.datapath.refusal("native").is_empty(), "{found:?}");
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()
}

#[test]
fn a_configured_native_that_is_refused_is_a_fault_with_the_reason() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    h1.move_to_macvlan()?;
    let insisting = Instance {
        interface: MACVLAN.to_owned(),
        ..instance(100)
    }
    .by("native");
    let agent = Agent::start(h1, insisting)?;
    let found = agent.wait("in FAULT", |it| it.state == State::Fault)?;
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
    let lab = Lab::new(2)?;
    let h2 = lab.host(2).clone();
    let theirs = Foreign::xdp(&h2)?;
    let before = h2.xdp_program(Host::INTERFACE)?;
    ensure!(before.is_some());
    let native = instance(90).by("native");
    let agent = Agent::start(&h2, native)?;
    let found = agent.wait("in FAULT", |it| it.state == State::Fault)?;
    let reason = found.reason.context("no reason")?;
    ensure!(
        reason.contains("the foreign XDP program ha_vrrp") && reason.contains("is not replaced"),
        "{reason}"
    );
    agent.stop()?;
    ensure!(h2.xdp_program(Host::INTERFACE)? == before);
    // tc lives beside it.
    let pair = Pair::in_lab(lab, by_auto(100), by_auto(90))?;
    ensure!(pair.backup.only()?.datapath.kind.as_deref() == Some("tc"));
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()?;
    ensure!(h2.xdp_program(Host::INTERFACE)? == before);
    drop(theirs);
    Ok(())
}

#[test]
fn a_plain_socket_takes_over_at_the_deadline() -> Result<()> {
    let pair = Pair::of(instance(100), instance(90).by("socket"))?;
    let found = pair.backup.only()?;
    ensure!(found.receives_by("socket"));
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
    let socket = instance(90).by("socket");
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
    let consuming = |name| instance(90).with("consume", true).by(name);
    for (before, after) in [
        ("tc", "socket"),
        ("native", "socket"),
        ("tc", "native"),
        ("native", "tc"),
        ("native", "generic"),
    ] {
        let pair = Pair::of(instance(100), consuming(before))?;
        pair.backup.process().kill()?;
        let again = Agent::start(pair.h2(), consuming(after))?;
        let runs = |it: &ha_tests::lab::agent_status::Instance| {
            it.state == State::Backup && it.receives_by(after)
        };
        let found = again.wait("runs by the other", runs)?;
        let heard = found.counters.adverts_received;
        again
            .wait("follows by the other", |it| {
                runs(it) && it.counters.adverts_received > heard + 10 && it.master.is_some()
            })
            .with_context(|| format!("{before} -> {after}"))?;
        again
            .receives_by(after)
            .with_context(|| format!("{before} -> {after}"))?;
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
            agent.reload_with(instance(priority).by(name))?;
            agent.wait(name, |it| it.receives_by(chosen(name)))?;
        }
    }
    pair.is_settled()?;
    pair.on_master.undisturbed_since(begin)?;
    for agent in [&pair.master, &pair.backup] {
        let found = agent.only()?;
        ensure!(found.transitions <= 2, "{found:?}");
    }
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()
}

#[test]
fn a_native_program_outlives_a_clean_stop_and_is_taken_off_by_cleanup() -> Result<()> {
    let native = |priority| instance(priority).by("native");
    let pair = Pair::of(native(100), native(90))?;
    let program = pair.h2().xdp_program(Host::INTERFACE)?;
    pair.backup.stop()?;
    ensure!(
        program.is_some() && pair.h2().xdp_program(Host::INTERFACE)? == program,
        "a card would have been reset by a stop"
    );
    ensure!(pair.h2().slots_in_use()? == 0, "it has nothing to do");
    let again = Agent::start_again(pair.h2())?;
    again.wait_state(State::Backup, PATIENCE)?;
    ensure!(pair.h2().xdp_mode(Host::INTERFACE)? == Some(1));
    again.stop()?;
    let config = agent::config_file(pair.h2()).display().to_string();
    // As the unit does after a stop.
    let stopped = Circumstances {
        environment: &["SERVICE_RESULT=success", "EXIT_STATUS=0"],
        ..Circumstances::default()
    };
    let post = ["cleanup", "--config", &config, "--unless-restarting"];
    let said = agent::invoke_with(pair.h2(), &stopped, &post)?.ok()?;
    ensure!(pair.h2().xdp_mode(Host::INTERFACE)? == Some(1), "{said:?}");
    let again = Agent::start_again(pair.h2())?;
    again.wait_state(State::Backup, PATIENCE)?;
    again.stop()?;
    agent::cleanup(pair.h2())?;
    wait_until(PATIENCE, "cleanup takes the program off", || {
        pair.h2()
            .xdp_mode(Host::INTERFACE)
            .is_ok_and(|mode| mode.is_none())
    })
}
