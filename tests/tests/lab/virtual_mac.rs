//! Virtual MAC mode on the wire: whose MAC adverts, announcements and answers carry, and that traffic follows.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::agent_config::{AgentConfig, kind_under_test};
use ha_tests::lab::capture::Direction;
use ha_tests::lab::client::Pace;
use ha_tests::lab::clock::now;
use ha_tests::lab::nginx::Nginx;
use ha_tests::lab::pair::{LATENESS, PATIENCE, TIMING, at_deadline, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::virtual_mac::{
    ROUTERS, Router, device, ethernet_source, is_up, setting, written,
};
use ha_tests::lab::{Capture, Host, Lab, VIP, wait_until};

/// Two hosts with an agent each, settled.
struct Duo {
    master: Agent,
    backup: Agent,
    capture: Capture,
    lab: Lab,
}

impl Duo {
    fn start(router: &Router, prepare: impl Fn(&Host) -> Result<()>) -> Result<Self> {
        let lab = Lab::new(2)?;
        let capture = lab.capture()?;
        let (h1, h2) = (lab.host(1), lab.host(2));
        for host in [h1, h2] {
            prepare(host)?;
        }
        let master = Agent::master(h1, router.instance(100))?;
        let backup = Agent::start(h2, router.instance(90))?;
        backup.wait_follows()?;
        Ok(Self {
            master,
            backup,
            capture,
            lab,
        })
    }
}

/// RFC 9568 sections 6.4.2 (announce-mac), 7.2 (mac, source), 7.3, 8.1.2 (mac, order), 8.2.2 (mac, order);
/// RFC 3768 sections 6.4.2 (announce-mac), 7.2 (mac, source), 7.3, 8.2 (mac).
#[test]
fn adverts_announcements_and_answers_carry_the_virtual_mac() -> Result<()> {
    for router in ROUTERS {
        let duo = Duo::start(&router, |_| Ok(()))?;
        let (h1, h2) = (duo.lab.host(1), duo.lab.host(2));
        let asker = duo.lab.asker(&duo.capture)?;
        asker.wait_held_by(h1, router.vip, PATIENCE)?;
        let found = duo.backup.only()?;
        ensure!(found.counters.adverts_received > 0);
        ensure!(found.datapath.kind == Some(kind_under_test()));
        let cut = now();
        duo.lab.block(h1)?;
        let takeover = duo
            .capture
            .takeover(h2, router.vip, TIMING, cut, PATIENCE)?;
        at_deadline(&takeover, LATENESS)?;
        asker.wait_held_by(h2, router.vip, PATIENCE)?;
        let shown = duo.backup.only()?;
        let mac = shown.virtual_mac.context("no virtual MAC in the status")?;
        ensure!(mac.up && mac.device == router.device && mac.address == written(router.mac));
        ensure!(shown.addresses.iter().all(|address| address.present));

        let mut seen = [0; 2];
        for frame in duo.capture.frames() {
            if frame.direction != Direction::FromHost || *frame.port == *"client" {
                continue;
            }
            let host = if frame.is_from(h1) { h1 } else { h2 };
            let source = ethernet_source(&frame).context("a short frame")?;
            if let Some(vrrp) = frame.vrrp() {
                seen[0] += 1;
                ensure!(source == router.mac, "an advert from {source:x?}");
                ensure!(vrrp.source == router.source(host), "{vrrp:?}");
            }
            if let Some(claimed) = router.claimed_by(&frame) {
                seen[1] += 1;
                ensure!(
                    claimed == router.mac && source == router.mac,
                    "{frame:?} is not the virtual router's"
                );
            }
        }
        ensure!(seen[0] > 3 && seen[1] > 3, "{seen:?}");
    }
    Ok(())
}

/// RFC 9568 sections 8.1.2 (mac), 8.2.2 (mac): what the host asks in its own name says nothing of a virtual
/// address.
#[test]
fn no_request_of_the_host_pairs_a_virtual_address_with_its_own_mac() -> Result<()> {
    for router in ROUTERS {
        let duo = Duo::start(&router, |host| Nginx::running(host).map(drop))?;
        let h1 = duo.lab.host(1);
        let client = duo
            .lab
            .client_host()
            .request_from(router.vip, Pace::default())?;
        client.wait_served_by(h1, now(), PATIENCE)?;
        // Now it has to ask for the client in order to answer it.
        let begin = now();
        h1.run(&["ip", "neigh", "flush", "dev", Host::INTERFACE])?;
        client.wait_served_by(h1, begin, PATIENCE)?;
        let asked = |frame: &ha_tests::lab::capture::Frame| {
            let mac = ethernet_source(frame);
            frame.is_from(h1)
                && frame.arp().is_some_and(|arp| arp.operation == 1)
                && mac == Some(h1.mac())
        };
        if router.vip.is_ipv4() {
            let frame = duo
                .capture
                .wait_for("a request of the host", begin, PATIENCE, asked)?;
            let arp = frame.arp().context("not ARP")?;
            ensure!(arp.sender == h1.ipv4(), "it asks as {}", arp.sender);
        }
        for frame in duo.capture.frames() {
            let claimed = router.claimed_by(&frame);
            ensure!(claimed.is_none_or(|mac| mac == router.mac), "{frame:?}");
        }
    }
    Ok(())
}

/// The interface's own address is the interface's, also where the device above it hears the question.
#[test]
fn the_interfaces_own_address_is_answered_with_its_own_mac_only() -> Result<()> {
    for router in ROUTERS {
        let duo = Duo::start(&router, |_| Ok(()))?;
        let h1 = duo.lab.host(1);
        let own: IpAddr = if router.vip.is_ipv4() {
            h1.ipv4().into()
        } else {
            h1.ipv6().into()
        };
        duo.lab
            .asker(&duo.capture)?
            .wait_held_by(h1, own, PATIENCE)?;
        let (mut answers, of_own) = (0, Router { vip: own, ..router });
        for frame in duo.capture.frames() {
            if let Some(mac) = of_own.claimed_by(&frame).filter(|_| frame.is_from(h1)) {
                ensure!(mac == h1.mac(), "{own} is answered with {mac:x?}");
                answers += 1;
            }
        }
        ensure!(answers > 0);
    }
    Ok(())
}

/// RFC 9568 section 6.4.2 (mac, arp, solicited), RFC 3768 section 6.4.2 (mac, arp).
#[test]
fn a_backup_takes_no_frame_to_the_virtual_mac() -> Result<()> {
    const FRAMES: u64 = 10;
    for router in ROUTERS {
        let duo = Duo::start(&router, |_| Ok(()))?;
        let (h1, h2) = (duo.lab.host(1), duo.lab.host(2));
        ensure!(is_up(h1, router.device)? && !is_up(h2, router.device)?);
        // The switch forgets where the virtual MAC is, so that both hosts get what goes there.
        for port in ["h1", "h2"] {
            duo.lab
                .switch()
                .batch(&format!("link set {port} type bridge_slave learning off\n"))?;
        }
        duo.lab
            .switch()
            .batch("link set br0 type bridge fdb_flush\n")?;
        let received = |host: &Host| -> Result<u64> {
            let device = device(host, router.device)?.context("no device")?;
            device["stats64"]["rx"]["packets"]
                .as_u64()
                .context("no counter")
        };
        let (before, idle) = (received(h1)?, received(h2)?);
        let forger = duo.lab.client_host().forger()?;
        let client = duo.lab.client_host().mac();
        let mut frame = [router.mac, client].concat();
        // An experimental EtherType (IEEE 802), which nobody answers.
        frame.extend([0x88, 0xb5]);
        frame.resize(60, 0);
        for _ in 0..FRAMES {
            forger.send(&frame)?;
        }
        wait_until(PATIENCE, "the master takes the frames", || {
            received(h1).is_ok_and(|now| now >= before + FRAMES)
        })?;
        ensure!(received(h2)? == idle, "the backup took frames");
    }
    Ok(())
}

/// RFC 9568 section 6.4.3 (accept): the flow goes on though the client never learns of the fail-over.
#[test]
fn a_client_that_learns_nothing_goes_on_through_a_failover_with_strict_filters() -> Result<()> {
    for router in ROUTERS {
        let duo = Duo::start(&router, |host| {
            for scope in ["all", "default", Host::INTERFACE] {
                host.ns()
                    .sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "1")?;
            }
            Nginx::running(host).map(drop)
        })?;
        let (h1, h2) = (duo.lab.host(1), duo.lab.host(2));
        let host = duo.lab.client_host();
        let client = host.request_from(router.vip, Pace::default())?;
        client.wait_served_by(h1, now(), PATIENCE)?;
        let entry = || -> Result<String> {
            host.run(&[
                "ip",
                "neigh",
                "show",
                &router.vip.to_string(),
                "dev",
                "eth0",
            ])
        };
        ensure!(entry()?.contains(&written(router.mac)), "{}", entry()?);
        // From here on it neither asks nor listens.
        let (vip, mac) = (router.vip.to_string(), written(router.mac));
        host.run(&[
            "ip",
            "neigh",
            "replace",
            &vip,
            "lladdr",
            &mac,
            "dev",
            "eth0",
            "nud",
            "permanent",
        ])?;
        let left = now();
        duo.master.process().signal(Signal::TERM)?;
        client.wait_served_by(h2, left, PATIENCE)?;
        ensure!(
            entry()?.contains("PERMANENT") && entry()?.contains(&mac),
            "{}",
            entry()?
        );
        let asks = duo.capture.frames_since(left).into_iter().filter(|frame| {
            frame.is_from(host)
                && frame
                    .arp()
                    .is_some_and(|arp| IpAddr::V4(arp.target) == router.vip)
        });
        ensure!(asks.count() == 0, "the client asked for the address");
        let outage = client.longest_outage_between(left, client.settle()?);
        println!("{vip}: out of reach for {outage:?}");
        ensure!(outage < Duration::from_millis(700), "{outage:?}");
    }
    Ok(())
}

/// RFC 9568 section 6.4.3 (mac), RFC 3768 section 6.4.3 (mac): a host that forwards does so for what comes to
/// the virtual MAC.
#[test]
fn a_master_forwards_what_comes_to_the_virtual_mac() -> Result<()> {
    let router = &ROUTERS[0];
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    lab.add_segment("br1")?;
    lab.plug_into("br1", h1, "eth1", "10.98.0.1/24")?;
    lab.plug_into("br1", h2, "eth1", "10.98.0.2/24")?;
    h1.ns().sysctl("net/ipv4/ip_forward", "1")?;
    // The answers take the way back through the router as well.
    h2.run(&["ip", "link", "set", "eth0", "down"])?;
    h2.run(&["ip", "route", "add", "10.99.0.0/24", "via", "10.98.0.1"])?;
    Nginx::running(h2)?;
    let _agent = Agent::master(h1, router.instance(100))?;
    let client = lab.client_host();
    client.run(&[
        "ip",
        "route",
        "add",
        "10.98.0.0/24",
        "via",
        &VIP.to_string(),
    ])?;
    let begin = now();
    let requests = client.request_from("10.98.0.2".parse()?, Pace::default())?;
    requests.wait_served_by(h2, begin, PATIENCE)?;
    let entry = client.run(&["ip", "neigh", "show", &VIP.to_string()])?;
    ensure!(entry.contains(&written(router.mac)), "{entry}");
    Ok(())
}

/// RFC 9568 section 7.4 (interface-id).
#[test]
fn a_device_has_no_address_but_the_virtual_ones() -> Result<()> {
    for router in ROUTERS {
        let lab = Lab::new(1)?;
        let h1 = lab.host(1);
        // Where addresses configure themselves, if anything lets them.
        for scope in ["default", Host::INTERFACE] {
            for key in ["accept_ra", "autoconf"] {
                h1.ns()
                    .sysctl(&format!("net/ipv6/conf/{scope}/{key}"), "1")?;
            }
        }
        h1.ns().sysctl("net/ipv6/conf/default/addr_gen_mode", "0")?;
        let _agent = Agent::master(h1, router.instance(100))?;
        let client = lab.client_host();
        let advert = client.router_advert("fd00:77::".parse()?);
        client.forger()?.send(&advert)?;
        wait_until(PATIENCE, "the interface makes itself an address", || {
            let own = device(h1, Host::INTERFACE);
            own.is_ok_and(|it| it.is_some_and(|it| it.to_string().contains("fd00:77:")))
        })?;
        // The device above has seen it as well before the next advert.
        let begin = now();
        let capture = lab.capture()?;
        capture.wait_advert(h1, 100, begin, PATIENCE)?;
        let found = device(h1, router.device)?.context("no device")?;
        let list = found["addr_info"].as_array().context("no addresses")?;
        let own: Vec<&str> = list.iter().filter_map(|it| it["local"].as_str()).collect();
        let expected: &[&str] = match router.vip {
            IpAddr::V4(_) => &["10.99.0.100"],
            IpAddr::V6(_) => &["fd00:99::100", "fe80::100"],
        };
        let mut sorted = own.clone();
        sorted.sort_unstable();
        ensure!(sorted == expected, "{own:?}");
        let conf = format!("ipv6/conf/{}", router.device);
        let is_off = setting(h1, &format!("{conf}/disable_ipv6"))? == "1";
        ensure!(is_off == router.vip.is_ipv4());
        ensure!(setting(h1, &format!("{conf}/accept_ra"))? == "0");
    }
    Ok(())
}

#[test]
fn two_instances_on_one_interface_may_differ_in_mode_and_share_a_vrid_across_families() -> Result<()>
{
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let capture = lab.capture()?;
    let plain = ha_tests::lab::agent_config::Instance {
        name: "plain".to_owned(),
        vrid: 52,
        addresses: vec!["10.99.0.101/24".to_owned()],
        ..instance(100)
    };
    let six = ha_tests::lab::agent_config::Instance {
        name: "six".to_owned(),
        ..ROUTERS[1].instance(100)
    };
    let mut config = AgentConfig::new(h1, ROUTERS[0].instance(100));
    config.instance.extend([plain, six]);
    let agent = Agent::start(h1, &config)?;
    for name in ["web", "plain", "six"] {
        agent.wait_instance(name, "is master", PATIENCE, |it| it.state == State::Master)?;
    }
    let asker = lab.asker(&capture)?;
    let own = Router {
        vip: "10.99.0.101".parse()?,
        mac: h1.mac(),
        ..ROUTERS[0]
    };
    for router in [ROUTERS[0], ROUTERS[1], own] {
        asker.wait_held_by(h1, router.vip, PATIENCE)?;
        let claims: Vec<_> = capture
            .frames()
            .iter()
            .filter_map(|it| router.claimed_by(it))
            .collect();
        ensure!(
            !claims.is_empty() && claims.iter().all(|mac| *mac == router.mac),
            "{claims:x?}"
        );
    }
    Ok(())
}

/// RFC 9568 sections 8.1.2 (boot), 8.2.2 (boot); RFC 3768 section 8.2 (boot).
#[test]
fn no_message_of_an_owner_that_starts_pairs_its_address_with_the_interfaces_mac() -> Result<()> {
    for router in ROUTERS {
        let lab = Lab::new(1)?;
        let h1 = lab.host(1);
        let capture = lab.capture()?;
        let asker = lab.asker(&capture)?;
        let config = AgentConfig::new(h1, router.instance(255));
        for _ in 0..2 {
            let agent = Agent::master(h1, &config)?;
            asker.wait_held_by(h1, router.vip, PATIENCE)?;
            agent.stop()?;
        }
        let claims: Vec<_> = capture
            .frames()
            .iter()
            .filter_map(|it| router.claimed_by(it))
            .collect();
        ensure!(
            !claims.is_empty() && claims.iter().all(|mac| *mac == router.mac),
            "{claims:x?}"
        );

        // Where the interface has the address by itself, it would answer: that is refused in words.
        let net = router.addresses.last().context("no address")?;
        h1.run(&["ip", "addr", "add", net, "dev", Host::INTERFACE])?;
        let agent = Agent::start(h1, &config)?;
        agent.wait("says why", |it| {
            let reason = it.reason.as_deref().unwrap_or_default();
            reason.contains("is on eth0, which answers for it with its own MAC")
        })?;
        h1.run(&["ip", "addr", "del", net, "dev", Host::INTERFACE])?;
        agent.wait_state(State::Master, PATIENCE)?;
    }
    Ok(())
}
