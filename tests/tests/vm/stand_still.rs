//! A machine whose clock shows that it may have stood still.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::advert::Advert;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status::State;
use ha_tests::vm::agent::config;
use ha_tests::vm::{Card, GuestAgent, Master, Vm};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// For what is only a matter of working at all; a guest is slow.
const PATIENCE: Duration = Duration::from_secs(40);

/// As after a pause: the wall clock is set forward, and somebody of a lower priority speaks.
#[test]
fn a_master_whose_clock_leaps_yields_to_the_one_that_it_hears() -> Result<()> {
    let instance = Instance {
        preempt: false,
        ..Instance::default()
    };
    let vm = Vm::boot(Card::VirtioNet, &[config(vec![instance])?])?;
    vm.bring_up("eth0", &format!("{OWN}/24"))?;
    let agent = GuestAgent::start(&vm)?;
    agent.wait_instance("web", "leads", PATIENCE, |it| it.state == State::Master)?;
    vm.segment().settle(OWN)?;
    let lower = Advert {
        priority: 90,
        ..Advert::default()
    };
    let _other = Master::start(vm.segment(), &lower);
    let stays = agent.wait_instance("web", "hears the other one", PATIENCE, |it| {
        it.counters.adverts_received >= 4
    })?;
    ensure!(stays.state == State::Master, "{:?}", stays.last_transition);
    vm.run("date -s @$(($(date +%s) + 60))")?;
    let yields = agent.wait_instance("web", "yields", PATIENCE, |it| it.state == State::Backup)?;
    let last = yields.last_transition.context("it yielded")?;
    ensure!(yields.transitions == stays.transitions + 1, "{last:?}");
    Ok(())
}
