//! Programs of somebody else on a host's interface: the kernel half again, loaded by the test and unknown to the agent.

use anyhow::Result;
use aya::programs::TcAttachType;
use aya::programs::links::LinkOrder;
use aya::programs::tc::TcAttachOptions;
use aya::programs::xdp::XdpMode;
use ha_agent::datapath::object::{self, LoadOptions, Loaded};
use ha_common::accept::AcceptFrom;
use ha_common::layout::{Command, SlotKey, flags, names};
use ha_common::units::Family;
use nix::net::if_::if_nametoindex;

use super::host::Host;

/// 224.0.0.18 (RFC 9568 section 8.3).
const GROUP: [u8; 4] = [224, 0, 0, 18];

/// A program that is not the agent's; dropping it takes it off.
pub struct Foreign {
    _loaded: Loaded,
}

impl Foreign {
    /// An XDP program that passes everything, for it knows no virtual router.
    pub fn xdp(host: &Host) -> Result<Self> {
        Self::on(host, |loaded, interface| {
            loaded
                .programs
                .xdp()?
                .attach_to_if_index(interface, XdpMode::Driver)?;
            Ok(())
        })
    }

    /// A tc program, before all others at ingress, that passes everything.
    pub fn tc(host: &Host) -> Result<Self> {
        Self::on(host, |loaded, _| first_at_ingress(loaded))
    }

    /// A tc program, before all others at ingress, that drops the IPv4 adverts of a virtual router.
    pub fn dropping(host: &Host, vrid: u8) -> Result<Self> {
        Self::on(host, |loaded, interface| {
            let mut group = [0; 16];
            group[..4].copy_from_slice(&GROUP);
            let family = Family::V4;
            loaded.kernel.configure(&Command {
                ifindex: interface,
                vrid,
                family: family as u8,
                version: 3,
                own_interval: 100,
                own_priority: 1,
                channel: AcceptFrom::multicast(group),
                flags: flags::CONSUME,
                ..Command::default()
            })?;
            let key = SlotKey::new(interface, family, vrid);
            loaded.kernel.publish(key, 0)?;
            first_at_ingress(loaded)
        })
    }

    fn on(host: &Host, attach: impl FnOnce(&mut Loaded, u32) -> Result<()> + Send) -> Result<Self> {
        host.ns().inside(|| -> Result<Self> {
            let mut loaded = object::load(LoadOptions {
                pin_dir: None,
                max_slots: 1,
                max_held: 1,
                debug: false,
                no_timer: false,
            })?;
            attach(&mut loaded, if_nametoindex(Host::INTERFACE)?)?;
            Ok(Self { _loaded: loaded })
        })?
    }
}

fn first_at_ingress(loaded: &mut Loaded) -> Result<()> {
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    loaded
        .programs
        .tc(names::PROG_INGRESS)?
        .attach_with_options(Host::INTERFACE, TcAttachType::Ingress, options)?;
    Ok(())
}
