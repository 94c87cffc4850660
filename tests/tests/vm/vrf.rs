//! An instance on an interface in a VRF: the device of its virtual MAC is in the VRF as well, routes go to its
//! table, and both follow when the interface leaves it and comes back. Machines for builds have no VRF.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status::{self, State};
use ha_tests::vm::agent::config;
use ha_tests::vm::{Card, GuestAgent, Vm};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// For what is only a matter of working at all; a guest is slow.
const PATIENCE: Duration = Duration::from_secs(40);

const DEVICE: &str = "vrrp4-51";
/// The VRF's table, and the local and main ones without it.
const INSIDE: [&str; 2] = ["10", "10"];
const OUTSIDE: [&str; 2] = ["local", "main"];

#[test]
fn a_virtual_mac_and_routes_go_where_their_interface_is() -> Result<()> {
    let route: toml::Table = toml::from_str("to = \"default\"\nvia = \"10.99.0.254\"\n")?;
    let instance = Instance::default()
        .with("virtual_mac", true)
        .with("routes", vec![toml::Value::Table(route)]);
    let vm = Vm::boot(Card::VirtioNet, &[config(vec![instance])?])?;
    vm.bring_up("eth0", &format!("{OWN}/24"))?;
    vm.run("ip link add red type vrf table 10 && ip link set red up")?;
    vm.run("ip link set eth0 master red")?;
    vm.segment().settle(OWN)?;
    let agent = GuestAgent::start(&vm)?;
    agent.wait_instance("web", "is master", PATIENCE, is_master)?;
    is_held(&vm, INSIDE)?;
    ensure!(
        vm.run(&format!("ip link show {DEVICE}"))?
            .contains("master red")
    );

    vm.run("ip link set eth0 nomaster")?;
    is_held(&vm, OUTSIDE)?;
    ensure!(
        !vm.run(&format!("ip link show {DEVICE}"))?
            .contains("master")
    );
    ensure!(
        !vm.run("ip route show table 10")?.contains("default"),
        "a route was left in the VRF"
    );

    vm.run("ip link set eth0 master red")?;
    is_held(&vm, INSIDE)?;
    ensure!(!vm.run("ip route show table main")?.contains("default"));
    agent
        .wait_instance("web", "is master still", PATIENCE, is_master)
        .map(drop)
}

fn is_master(found: &agent_status::Instance) -> bool {
    let there =
        found.addresses.iter().all(|it| it.present) && found.routes.iter().all(|it| it.present);
    found.state == State::Master && there
}

/// Waits until the address is the host's own in the first table, by the device, and the route is in the second.
fn is_held(vm: &Vm, [local, routes]: [&str; 2]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let own = vm.run(&format!("ip route show table {local}"))?;
        let own = own
            .lines()
            .any(|it| it.starts_with("local 10.99.0.100 dev vrrp4-51"));
        let shown = vm.run(&format!("ip route show table {routes}"))?;
        if own && shown.contains("default via 10.99.0.254 dev eth0") {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "table {local} has the address: {own}; table {routes}:\n{shown}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}
