//! BPF filters at the tc hooks of an interface, as `tc filter show` lists them.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption};
use nix::errno::Errno;

use super::netlink::{NetlinkError, RouteSocket};

/// Parents of filters of a `clsact` qdisc (`linux/pkt_sched.h`).
const INGRESS: TcHandle = TcHandle {
    major: 0xffff,
    minor: 0xfff2,
};
const EGRESS: TcHandle = TcHandle {
    major: 0xffff,
    minor: 0xfff3,
};

/// One of the two hooks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hook {
    /// What comes in.
    Ingress,
    /// What leaves.
    Egress,
}

/// A BPF filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BpfFilter {
    /// What it is called: mostly the program's name.
    pub name: String,
    pub program: Option<u32>,
}

/// The BPF filters of a `clsact` qdisc at one hook, in the order in which they run. None where there is no such
/// qdisc.
pub fn bpf_filters(ifindex: u32, hook: Hook) -> Result<Vec<BpfFilter>, NetlinkError> {
    let mut socket = RouteSocket::open()?;
    let mut request = TcMessage::default();
    // An index fits: the kernel's is a signed number.
    request.header.index = ifindex.cast_signed();
    request.header.parent = match hook {
        Hook::Ingress => INGRESS,
        Hook::Egress => EGRESS,
    };
    let found = socket.dump(
        &RouteNetlinkMessage::GetTrafficFilter(request),
        |answer| match answer {
            RouteNetlinkMessage::NewTrafficFilter(filter) => read(&filter),
            _ => None,
        },
    );
    match found {
        // Without the qdisc.
        Err(NetlinkError::Refused(refusal)) if refusal.errno == Errno::EINVAL => Ok(Vec::new()),
        other => other,
    }
}

fn read(filter: &TcMessage) -> Option<BpfFilter> {
    let options = filter.attributes.iter().find_map(|it| match it {
        TcAttribute::Options(options) => Some(options),
        _ => None,
    })?;
    let mut found = BpfFilter {
        name: String::new(),
        program: None,
    };
    let mut is_bpf = false;
    for option in options {
        let TcOption::Bpf(option) = option else {
            continue;
        };
        is_bpf = true;
        match option {
            TcFilterBpfOption::ProgName(name) => found.name.clone_from(name),
            TcFilterBpfOption::ProgId(id) => found.program = Some(*id),
            _ => {}
        }
    }
    is_bpf.then_some(found)
}
