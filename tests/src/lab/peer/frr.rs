//! FRR's vrrpd as a peer, with the zebra that it needs, outside systemd.
//!
//! vrrpd holds no address itself. It looks for a macvlan device with the virtual router's hardware address,
//! sends from it, and has zebra raise its carrier (`protodown off`) while it is master.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::unistd::{User, chown};

use super::implementation::{Peer, Running};
use super::router::Router;
use crate::lab::host::Host;
use crate::lab::process::Process;
use crate::lab::wait::wait_until;

/// Debian's vrrpd.
const VRRPD: &str = "/usr/lib/frr/vrrpd";
/// Debian's zebra.
const ZEBRA: &str = "/usr/lib/frr/zebra";
/// Whom both become.
const USER: &str = "frr";
/// What the macvlan device is above.
const INTERFACE: &str = Host::INTERFACE;
/// The macvlan device.
const DEVICE: &str = "vrrp0";
/// How long zebra may take until it listens.
const LISTENING: Duration = Duration::from_secs(10);

/// Debian's FRR.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frr;

impl Peer for Frr {
    fn programs(&self) -> &'static [&'static str] {
        &[VRRPD, ZEBRA]
    }

    fn prepare(&self, host: &Host, router: &Router) -> Result<()> {
        make_state_directory(host)?;
        if router.is_ipv6() {
            // vrrpd sends from the device's own link-local address, so the host's moves there. It takes
            // the one that the kernel lists first, which is the one that was added last.
            let mut lines = device(router, "02");
            let _ = writeln!(lines, "addr del {}/64 dev {INTERFACE}", host.link_local());
            for address in router.addresses.iter().chain([&host.link_local().into()]) {
                let _ = writeln!(lines, "addr add {address}/64 dev {DEVICE} nodad");
            }
            return host.ns().batch(&lines);
        }
        // Without this a backup's interface answers for the address on the device above it.
        host.ns()
            .sysctl(&format!("net/ipv4/conf/{INTERFACE}/arp_ignore"), "1")?;
        let mut lines = device(router, "01");
        for address in &router.addresses {
            let _ = writeln!(lines, "addr add {address}/32 dev {DEVICE}");
        }
        host.ns().batch(&lines)
    }

    fn start(&self, host: &Host, router: &Router) -> Result<Running> {
        let zebra = start_zebra(host)?;
        let config = state_directory(host).join("vrrpd.conf");
        fs::write(&config, vrrpd_config(host, router))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let vrrpd = host.spawn("vrrpd", daemon(VRRPD, host, &config))?;
        Ok(Running::new(vrrpd, vec![zebra]))
    }
}

/// Lines of `ip` that make the device with the virtual router's hardware address of a family:
/// 00:00:5e:00:01:VRID or 00:00:5e:00:02:VRID (RFC 9568 section 7.3).
fn device(router: &Router, family: &str) -> String {
    format!(
        "link add {DEVICE} link {INTERFACE} type macvlan mode bridge\n\
         link set {DEVICE} addrgenmode none\n\
         link set {DEVICE} address 00:00:5e:00:{family}:{:02x}\n\
         link set {DEVICE} up\n",
        router.vrid
    )
}

fn state_directory(host: &Host) -> PathBuf {
    host.run_dir().join("frr")
}

fn make_state_directory(host: &Host) -> Result<()> {
    let dir = state_directory(host);
    fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let user = User::from_name(USER)?.with_context(|| format!("there is no user {USER}"))?;
    chown(&dir, Some(user.uid), Some(user.gid))
        .with_context(|| format!("cannot give {} away", dir.display()))
}

fn start_zebra(host: &Host) -> Result<Process> {
    let dir = state_directory(host);
    let (config, socket) = (dir.join("zebra.conf"), dir.join("zserv.api"));
    fs::write(&config, format!("hostname {}\n", host.name()))
        .with_context(|| format!("cannot write {}", config.display()))?;
    // An earlier zebra leaves its socket behind, and vrrpd would find nobody there.
    if socket.exists() {
        fs::remove_file(&socket)?;
    }
    let zebra = host.spawn("zebra", daemon(ZEBRA, host, &config))?;
    wait_until(LISTENING, "zebra listens", || socket.exists())?;
    Ok(zebra)
}

/// In the foreground, with everything that it shares with other daemons in the host's own directory.
fn daemon(program: &str, host: &Host, config: &Path) -> Command {
    let dir = state_directory(host);
    let mut command = Command::new(program);
    command
        .args(["--log", "stdout", "--vty_port", "0"])
        .arg("--config_file")
        .arg(config)
        .arg("--pid_file")
        .arg(config.with_extension("pid"))
        .arg("--socket")
        .arg(dir.join("zserv.api"))
        .arg("--vty_socket")
        .arg(&dir);
    command
}

fn vrrpd_config(host: &Host, router: &Router) -> String {
    let vrid = router.vrid;
    let mut text = format!(
        "hostname {}\ninterface {INTERFACE}\n vrrp {vrid} version {}\n vrrp {vrid} priority {}\n \
         vrrp {vrid} advertisement-interval {}\n",
        host.name(),
        router.version,
        router.priority,
        router.interval.as_millis(),
    );
    for address in &router.addresses {
        let family = if address.is_ipv4() { "ip" } else { "ipv6" };
        let _ = writeln!(text, " vrrp {vrid} {family} {address}");
    }
    text
}
