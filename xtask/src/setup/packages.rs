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
        reason: "the peer in the interoperability tests and the competitor in the benchmarks",
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
        reason: "decodes what we send, independently of our own code",
        service: None,
        needs: &[Need::Lab, Need::Vm],
        program: "tcpdump",
    },
    Package {
        name: "tshark",
        reason: "decodes each field of our adverts independently and reports what is wrong",
        service: None,
        needs: &[Need::Lab],
        program: "tshark",
    },
    Package {
        name: "curl",
        reason: "the lab's client requests the page behind the virtual address",
        service: None,
        needs: &[Need::Lab],
        program: "curl",
    },
    Package {
        name: "systemd-container",
        reason: "boots containers with systemd, where the package is installed and the unit runs",
        service: None,
        needs: &[Need::Machines],
        program: "systemd-nspawn",
    },
    Package {
        name: "mmdebstrap",
        reason: "makes the small Debian system for those containers, once, under target",
        service: None,
        needs: &[Need::Machines],
        program: "mmdebstrap",
    },
    Package {
        name: "qemu-system-x86",
        reason: "the virtual machine, whose network card filters multicast as real cards do",
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
        reason: "generates the other traffic in the benchmarks",
        service: Some("iperf3.service"),
        needs: &[Need::Lab],
        program: "iperf3",
    },
    Package {
        name: "ethtool",
        reason: "switches the VLAN tag offload of network cards in tests, and lists offloads for the benchmarks",
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
