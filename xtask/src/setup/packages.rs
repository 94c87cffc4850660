//! The system packages we use: each with the program that proves it is there, and the reason.

use crate::process::find_program;

/// What a subcommand needs a machine to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Compiling the BPF programs.
    Ebpf,
    /// Running agents in network namespaces.
    Lab,
    /// Booting whole systems to install the package in.
    Machines,
    /// Building libFuzzer.
    Fuzz,
    /// Running an agent in a virtual machine.
    Vm,
}

impl Need {
    pub(crate) const ALL: &[Self] = &[Self::Ebpf, Self::Lab, Self::Machines, Self::Fuzz, Self::Vm];
}

/// One Debian package.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    /// The service it brings. The lab starts its own in a namespace; the host's must stay off.
    pub(crate) service: Option<&'static str>,
    needs: &'static [Need],
    program: &'static str,
}

/// In the order in which they are shown.
pub(crate) const PACKAGES: &[Package] = &[
    Package {
        name: "g++",
        reason: "bpf-linker (through LLVM) and libFuzzer are C++",
        service: None,
        needs: &[Need::Ebpf, Need::Fuzz],
        program: "g++",
    },
    Package {
        name: "iproute2",
        reason: "the lab's network namespaces, veth pairs and bridges, and the guest's interfaces",
        service: None,
        needs: &[Need::Lab, Need::Vm],
        program: "bridge",
    },
    Package {
        name: "nginx",
        reason: "the real web server that the checker supervises in the lab and the demo",
        service: Some("nginx.service"),
        needs: &[Need::Lab],
        program: "nginx",
    },
    Package {
        name: "keepalived",
        reason: "the peer in the interoperability tests and the other contestant of the bench",
        service: Some("keepalived.service"),
        needs: &[Need::Lab],
        program: "keepalived",
    },
    Package {
        name: "frr",
        reason: "its vrrpd is the second peer in the interoperability tests",
        service: Some("frr.service"),
        needs: &[Need::Lab],
        program: "/usr/lib/frr/vrrpd",
    },
    Package {
        name: "iptables",
        reason: "the scenario blocks outgoing VRRP the way operators do",
        service: None,
        needs: &[Need::Lab],
        program: "iptables",
    },
    Package {
        name: "tcpdump",
        reason: "an independent witness that decodes what we put on the wire",
        service: None,
        needs: &[Need::Lab, Need::Vm],
        program: "tcpdump",
    },
    Package {
        name: "tshark",
        reason: "the witness that decodes each field of our adverts and says what is wrong with it",
        service: None,
        needs: &[Need::Lab],
        program: "tshark",
    },
    Package {
        name: "curl",
        reason: "the lab's client asks for the page behind the virtual address",
        service: None,
        needs: &[Need::Lab],
        program: "curl",
    },
    Package {
        name: "systemd-container",
        reason: "boots systems with systemd in containers, to install the package and run the unit in",
        service: None,
        needs: &[Need::Machines],
        program: "systemd-nspawn",
    },
    Package {
        name: "mmdebstrap",
        reason: "makes the small Debian that those systems are, once, under target",
        service: None,
        needs: &[Need::Machines],
        program: "mmdebstrap",
    },
    Package {
        name: "qemu-system-x86",
        reason: "the virtual machine, whose network card filters multicast as real ones do",
        service: None,
        needs: &[Need::Vm],
        program: "qemu-system-x86_64",
    },
    Package {
        name: "busybox-static",
        reason: "the shell and the tools of the virtual machine's guest",
        service: None,
        needs: &[Need::Vm],
        program: "busybox",
    },
    Package {
        name: "wireguard-tools",
        reason: "the keys of the guest's WireGuard interface",
        service: None,
        needs: &[Need::Vm],
        program: "wg",
    },
    Package {
        name: "iperf3",
        reason: "the other traffic of the bench: what the agent costs it",
        service: Some("iperf3.service"),
        needs: &[Need::Lab],
        program: "iperf3",
    },
    Package {
        name: "ethtool",
        reason: "switches the VLAN tag offload of network cards in tests, and tells the bench their offloads",
        service: None,
        needs: &[Need::Lab, Need::Vm],
        program: "ethtool",
    },
];

/// Those of the table that the needs ask for and the machine lacks.
pub(crate) fn missing(needs: &[Need]) -> Vec<&'static Package> {
    PACKAGES
        .iter()
        .filter(|package| package.needs.iter().any(|need| needs.contains(need)))
        .filter(|package| find_program(package.program).is_none())
        .collect()
}
