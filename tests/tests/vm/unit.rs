//! The unit's capabilities and limits in an older kernel: they are enough for the agent, and none of them reaches
//! what it runs. A guest's root may raise every limit, which root in a container may not.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent_config::{Check, Instance, Track};
use ha_tests::lab::agent_status::State;
use ha_tests::lab::hmac;
use ha_tests::lab::inherited::{Inherited, REPORT};
use ha_tests::vm::agent::config_with;
use ha_tests::vm::{Card, GuestAgent, Vm};

/// What the package ships.
const UNIT: &str = include_str!("../../../packaging/ha-agent.service");
const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// Where the key is in the guest.
const KEY: &str = "/etc/ha-agent/key";
/// For what is only a matter of working at all; a guest is slow.
const PATIENCE: Duration = Duration::from_mins(1);

/// `-all,+net_admin,...` for setpriv.
fn bounding_set() -> Result<String> {
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .context("the unit bounds no capabilities")?;
    let names = line
        .split_whitespace()
        .map(|name| name.replace("CAP_", "+").to_lowercase());
    Ok(["-all".to_owned()]
        .into_iter()
        .chain(names)
        .collect::<Vec<_>>()
        .join(","))
}

/// A check that reports what it has of the agent.
fn reporting() -> Check {
    let argv = ["/bin/sh", "-c", REPORT].map(toml::Value::from).to_vec();
    Check {
        name: "report".to_owned(),
        probe: toml::toml! { command = argv },
        interval: Duration::from_millis(500),
        timeout: Duration::from_secs(20),
        fall: 1,
        rise: 1,
        restart: None,
    }
}

fn signing() -> Instance {
    let mut key = toml::Table::new();
    key.insert("id".to_owned(), 1.into());
    key.insert("file".to_owned(), KEY.into());
    let signing = hmac::hmac(vec![key.into()], 1, "enforce");
    Instance {
        track: vec![Track::check("report")],
        ..Instance::default()
    }
    .with("hmac", signing)
}

#[test]
fn the_units_capabilities_are_enough_and_its_limits_stay_with_the_agent() -> Result<()> {
    let file = config_with(vec![signing()], vec![reporting()])?;
    let users = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
    let vm = Vm::boot(
        Card::VirtioNet,
        &[
            file,
            ("/etc/passwd", users.to_owned()),
            ("/etc/group", "root:x:0:\nnogroup:x:65534:\n".to_owned()),
        ],
    )?;
    vm.bring_up("eth0", &format!("{OWN}/24"))?;
    vm.run(&format!("umask 077; echo '{}' > {KEY}", hmac::secret(0xa7)))?;
    // By its path: busybox has a setpriv as well, which knows less.
    let generous = format!(
        "sh -c 'echo -900 >/proc/self/oom_score_adj && ulimit -r 50 && ulimit -l unlimited && ulimit -c unlimited \
         && exec \"$@\"' sh /programs/setpriv --bounding-set {}",
        bounding_set()?
    );
    let agent = GuestAgent::start_under(&vm, &generous)?;
    let found = agent.wait_instance("web", "is master by the kernel half", PATIENCE, |it| {
        it.state == State::Master && it.timer.kind == "kernel"
    })?;
    ensure!(found.datapath.kind.is_some_and(|it| it != "socket"));
    let status = agent.status()?;
    for ability in [&status.sender.realtime, &status.sender.memory_locked] {
        ensure!(ability.active, "{ability:?}");
    }
    ensure!(status.node.pins.state == "pinned", "{:?}", status.node.pins);
    let last = status.checks.first().and_then(|it| it.last.as_ref());
    let inherited = Inherited::read(&last.context("it has run")?.text);
    inherited.is_ordinary()?;
    inherited.is_powerless()
}
