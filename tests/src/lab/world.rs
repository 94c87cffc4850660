//! The lab itself: it is built, its cables are pulled, and it is taken down.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};

use super::addresses::{CLIENT_NUMBER, MOST_HOSTS};
use super::capture::Capture;
use super::company::Place;
use super::directory::{ROOT, copy_files};
use super::host::Host;
use super::janitor::{self, Janitor};
use super::netns::Namespace;
use super::require::require_root_and_basics;

static LABS_MADE: AtomicU32 = AtomicU32::new(0);

/// One segment with its hosts; see the description of [the module](super).
pub struct Lab {
    name: String,
    switch: Namespace,
    hosts: Vec<Host>,
    client: Host,
    // Fields are dropped in this order: the janitor has swept before lock and place are given up.
    _janitor: Janitor,
    _lock: File,
    _place: Place,
}

impl Lab {
    /// Builds a segment with hosts `h1` to `h<hosts>` and a client, after removing what dead
    /// processes left behind. Waits for labs beside which this test's may not be (see [`company`](super::company)).
    pub fn new(hosts: u8) -> Result<Self> {
        if hosts == 0 || hosts > MOST_HOSTS {
            bail!("a lab has 1 to {MOST_HOSTS} hosts, not {hosts}");
        }
        require_root_and_basics()?;
        let place = Place::take();
        let number = LABS_MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("ha-{}-{number}", std::process::id());
        let lock = claim(&name)?;
        let janitor = Janitor::start(&name)?;

        let switch = Namespace::create(&format!("{name}-switch"))?;
        switch.batch(
            "link set lo up\n\
             link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             link set br0 addrgenmode none\n\
             link set br0 up\n",
        )?;
        let make = |host: &str, number| Host::create(&name, host, number, &switch);
        let hosts = (1..=hosts)
            .map(|number| make(&format!("h{number}"), number))
            .collect::<Result<_>>()?;
        let client = make("client", CLIENT_NUMBER)?;
        Ok(Self {
            name,
            switch,
            hosts,
            client,
            _janitor: janitor,
            _lock: lock,
            _place: place,
        })
    }

    /// `ha-<pid>-<n>`: what the names of all namespaces of this lab begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Host `h<number>`, from 1. Panics if there is none: a mistake in the test.
    pub fn host(&self, number: u8) -> &Host {
        &self.hosts[usize::from(number) - 1]
    }

    /// All hosts but the client.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host that the requests come from.
    pub fn client_host(&self) -> &Host {
        &self.client
    }

    /// The switch's namespace: its ports are called like the hosts.
    pub fn switch(&self) -> &Namespace {
        &self.switch
    }

    /// Cuts a host off silently: its port forwards nothing, and the host sees no carrier change.
    pub fn block(&self, host: &Host) -> Result<()> {
        self.port_state(host.name(), "0")
    }

    /// Undoes [`Self::block`].
    pub fn unblock(&self, host: &Host) -> Result<()> {
        self.port_state(host.name(), "3")
    }

    /// Pulls the plug: the host loses its carrier.
    pub fn link_down(&self, host: &Host) -> Result<()> {
        self.switch
            .batch(&format!("link set {} down\n", host.name()))
    }

    /// Undoes [`Self::link_down`].
    pub fn link_up(&self, host: &Host) -> Result<()> {
        self.switch.batch(&format!("link set {} up\n", host.name()))
    }

    /// Takes a host's interface away altogether, as a driver that is unloaded does.
    pub fn unplug(&self, host: &Host) -> Result<()> {
        self.switch.batch(&format!("link del {}\n", host.name()))
    }

    /// Undoes [`Self::unplug`]: an interface of the same name, with another index. A capture that is
    /// running already does not see its port.
    pub fn replug(&self, host: &Host) -> Result<()> {
        host.connect(&self.switch)
    }

    /// One more segment, apart from the first; `bridge` is its name at the switch.
    pub fn add_segment(&self, bridge: &str) -> Result<()> {
        self.switch.batch(&format!(
            "link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             link set {bridge} addrgenmode none\n\
             link set {bridge} up\n"
        ))
    }

    /// Gives a host one more interface on the first segment, with an address and its prefix length.
    pub fn plug(&self, host: &Host, interface: &str, address: &str) -> Result<()> {
        self.plug_into("br0", host, interface, address)
    }

    /// The same on another segment. Its port on the switch is called `<host>-<interface>`.
    pub fn plug_into(
        &self,
        bridge: &str,
        host: &Host,
        interface: &str,
        address: &str,
    ) -> Result<()> {
        let (port, ns) = (host.name(), host.ns().name());
        self.switch.batch(&format!(
            "link add {port}-{interface} type veth peer name {interface} netns {ns}\n\
             link set {port}-{interface} addrgenmode none\n\
             link set {port}-{interface} master {bridge} up\n"
        ))?;
        host.ns().batch(&format!(
            "link set {interface} addrgenmode none\n\
             addr add {address} dev {interface}\n\
             link set {interface} up\n"
        ))
    }

    /// Starts capturing VRRP, ARP and IPv6 neighbour messages on every port of the switch.
    pub fn capture(&self) -> Result<Capture> {
        let ports: Vec<&str> = self
            .hosts
            .iter()
            .chain([&self.client])
            .map(Host::name)
            .collect();
        Capture::start(&self.switch, &ports)
    }

    /// Starts capturing on one host's port only.
    pub fn capture_port(&self, host: &Host) -> Result<Capture> {
        Capture::start(&self.switch, &[host.name()])
    }

    /// Starts capturing on these ports of the switch only.
    pub fn capture_ports(&self, ports: &[&str]) -> Result<Capture> {
        Capture::start(&self.switch, ports)
    }

    /// Cuts these ports of the switch off silently.
    pub fn block_ports(&self, ports: &[&str]) -> Result<()> {
        ports.iter().try_for_each(|port| self.port_state(port, "0"))
    }

    fn port_state(&self, port: &str, state: &str) -> Result<()> {
        let mut bridge = Command::new("bridge");
        bridge.args(["link", "set", "dev", port, "state", state]);
        self.switch.run(bridge).map(drop)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The logs go with the lab; whoever looks for a failure can have them kept.
        if let Some(target) = std::env::var_os("HA_LAB_LOGS") {
            let target = PathBuf::from(target).join(&self.name);
            for host in self.hosts.iter().chain([&self.client]) {
                if let Err(error) = copy_files(&host.log_dir(), &target.join(host.name())) {
                    eprintln!("lab {}: logs are not kept: {error}", self.name);
                }
            }
        }
    }
}

/// Makes the lab's directory and takes its lock, which says for as long as it is held that somebody
/// lives in it; sweeps labs whose lock nobody holds.
fn claim(name: &str) -> Result<File> {
    fs::create_dir_all(ROOT).with_context(|| format!("cannot create {ROOT}"))?;
    // Held while sweeping and claiming: else a lab that is just being made looks abandoned.
    let all = File::create(Path::new(ROOT).join("lock")).context("cannot create the labs' lock")?;
    all.lock().context("cannot lock the labs' directory")?;
    janitor::sweep_abandoned()?;
    let dir = Path::new(ROOT).join(name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lock = File::create(dir.join("lock")).context("cannot create the lab's lock")?;
    lock.try_lock()
        .with_context(|| format!("lab {name} is already in use"))?;
    Ok(lock)
}
