//! Which datapaths an interface may have, and what the others would cost: rules over plain facts.

use crate::config::model::{Datapath, DatapathChoice};
use crate::net::links::{LinkKind, LinkLayer};
use crate::status::instance::Refusal;

/// What is known of an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// What it is.
    pub kind: LinkKind,
    /// What its frames begin with.
    pub link_layer: LinkLayer,
    /// VLAN devices above it in this network namespace.
    pub vlans_above: Vec<String>,
    /// Its driver, if a device stands behind it.
    pub driver: Option<String>,
    /// Whether it takes VLAN tags out of frames before XDP sees them; `None`: it does not tell.
    pub strips_tags: Option<bool>,
}

/// Drivers whose cards are publicly reported to reset, with up to seconds without link, when a native program
/// comes and when it goes (see docs/NETWORK-CARDS.md).
const RESETTING: [&str; 9] = [
    "bnxt_en",
    "i40e",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "ixgbevf",
    "mlx5_core",
    "qede",
];

/// What is tried on an interface, in this order, before the plain socket.
pub fn candidates(choice: DatapathChoice) -> Vec<Datapath> {
    match choice {
        DatapathChoice::Auto => vec![Datapath::Tc],
        DatapathChoice::Only(Datapath::Socket) => Vec::new(),
        DatapathChoice::Only(datapath) => vec![datapath],
    }
}

/// Why an interface cannot have a datapath: its program would be deaf there, or receive what is not its own.
pub fn obstacle(datapath: Datapath, facts: &Facts) -> Option<String> {
    if facts.link_layer == LinkLayer::Other && datapath != Datapath::Socket {
        return Some("its frames have a link-layer header other than Ethernet's".to_owned());
    }
    match datapath {
        Datapath::Tc | Datapath::Socket => None,
        Datapath::Native | Datapath::Generic => xdp_obstacle(datapath, facts),
    }
}

fn xdp_obstacle(datapath: Datapath, facts: &Facts) -> Option<String> {
    if facts.link_layer == LinkLayer::Network {
        return Some(
            "a layer-3 interface has no Ethernet header, which XDP programs require".to_owned(),
        );
    }
    if !facts.vlans_above.is_empty() {
        return Some(format!(
            "VLAN devices above it ({}): XDP cannot tell their adverts from its own",
            facts.vlans_above.join(", ")
        ));
    }
    if facts.kind == LinkKind::Bridge {
        return Some("a bridge strips VLAN tags before XDP sees the frames".to_owned());
    }
    if datapath == Datapath::Native && lies_beneath_another(facts) {
        return Some(
            "native XDP runs on the devices below it and sees their frames, not its own".to_owned(),
        );
    }
    // On veth the other end decides, and the flag says nothing.
    if facts.strips_tags == Some(true) && facts.kind != LinkKind::Veth {
        return Some(
            "it strips VLAN tags before XDP sees the frames, so adverts of VLANs look like its own: use tc, or \
             `ethtool -K` with `rxvlan off` if it needs no VLANs"
                .to_owned(),
        );
    }
    None
}

/// Whether its driver hands native programs on to other devices: bonds, teams, accelerated Hyper-V cards.
fn lies_beneath_another(facts: &Facts) -> bool {
    let by_kind = match &facts.kind {
        LinkKind::Bond => true,
        LinkKind::Other(kind) => kind == "team",
        _ => false,
    };
    by_kind || facts.driver.as_deref() == Some("hv_netvsc")
}

/// What a person should know of a program that runs where it would not be put any more: taking it off would do more harm
/// than good.
pub fn changed(datapath: Datapath, facts: &Facts) -> Option<String> {
    let obstacle = obstacle(datapath, facts)?;
    Some(format!(
        "it would no longer be attached this way: {obstacle}"
    ))
}

/// What a person should know of an interface that is a port of another device, such as `bridge br0`.
pub fn note_of_port(datapath: Datapath, upper: &str) -> String {
    let heard = if datapath == Datapath::Socket {
        ", including adverts"
    } else {
        ""
    };
    format!(
        "the interface is a port of {upper}, which takes all incoming frames{heard}: set the instance's \
         `interface` to that device"
    )
}

/// Why a datapath runs.
pub fn because(choice: DatapathChoice, datapath: Datapath) -> String {
    match (choice, datapath) {
        (DatapathChoice::Only(_), _) => "configured".to_owned(),
        (DatapathChoice::Auto, Datapath::Tc) => {
            "chosen because it costs other traffic nothing".to_owned()
        }
        (DatapathChoice::Auto, _) => "the BPF programs are not available here".to_owned(),
    }
}

/// What is said of datapaths that look better than the one that `auto` took, and were not tried.
pub fn not_tried(choice: DatapathChoice, facts: &Facts) -> Vec<Refusal> {
    if choice != DatapathChoice::Auto {
        return Vec::new();
    }
    let reason = obstacle(Datapath::Native, facts).unwrap_or_else(|| {
        format!(
            "{}; `datapath = \"native\"` is for dedicated links or links exposed to floods",
            cost_of_native(facts)
        )
    });
    vec![Refusal {
        kind: Datapath::Native,
        reason,
    }]
}

fn cost_of_native(facts: &Facts) -> &'static str {
    let driver = facts.driver.as_deref();
    match (&facts.kind, driver) {
        (LinkKind::Veth, _) => "it would disable segmentation offload at the other end",
        (_, Some("virtio_net")) => "it would disable receive offloads of the card",
        (_, Some(driver)) if RESETTING.contains(&driver) => {
            "the card resets when a program is attached or detached"
        }
        (LinkKind::Device, _) => "many cards reset when a program is attached or detached",
        _ => "the kernel supports it only on devices with their own driver",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(kind: LinkKind) -> Facts {
        Facts {
            kind,
            link_layer: LinkLayer::Ethernet,
            vlans_above: Vec::new(),
            driver: None,
            strips_tags: Some(false),
        }
    }

    fn allowed(facts: &Facts) -> Vec<&'static str> {
        Datapath::ALL
            .into_iter()
            .filter(|datapath| obstacle(*datapath, facts).is_none())
            .map(Datapath::name)
            .collect()
    }

    #[test]
    fn each_kind_of_interface_may_have_the_datapaths_that_are_right_there() {
        let all = ["tc", "native", "generic", "socket"];
        let device = facts(LinkKind::Device);
        let with = |change: fn(&mut Facts)| {
            let mut changed = device.clone();
            change(&mut changed);
            changed
        };
        for (name, facts, expected) in [
            ("a card", device.clone(), &all[..]),
            ("veth", facts(LinkKind::Veth), &all[..]),
            ("macvlan", facts(LinkKind::Macvlan), &all[..]),
            ("VLAN", facts(LinkKind::Vlan { id: 10 }), &all[..]),
            ("bond", facts(LinkKind::Bond), &["tc", "generic", "socket"]),
            (
                "team",
                facts(LinkKind::Other("team".to_owned())),
                &["tc", "generic", "socket"],
            ),
            (
                "an accelerated card of Hyper-V",
                with(|it| it.driver = Some("hv_netvsc".to_owned())),
                &["tc", "generic", "socket"],
            ),
            ("bridge", facts(LinkKind::Bridge), &["tc", "socket"]),
            (
                "WireGuard",
                with(|it| it.link_layer = LinkLayer::Network),
                &["tc", "socket"],
            ),
            (
                "InfiniBand",
                with(|it| it.link_layer = LinkLayer::Other),
                &["socket"],
            ),
            (
                "a trunk whose VLANs have devices",
                with(|it| it.vlans_above = vec!["eth0.10".to_owned()]),
                &["tc", "socket"],
            ),
            (
                "a card that strips tags",
                with(|it| it.strips_tags = Some(true)),
                &["tc", "socket"],
            ),
            (
                "a card that does not tell",
                with(|it| it.strips_tags = None),
                &all[..],
            ),
        ] {
            assert_eq!(allowed(&facts), expected, "{name}");
        }
    }

    #[test]
    fn what_an_interface_has_become_since_is_told() {
        let device = facts(LinkKind::Device);
        assert_eq!(changed(Datapath::Native, &device), None);
        let stripping = Facts {
            strips_tags: Some(true),
            ..device
        };
        let note = changed(Datapath::Native, &stripping).unwrap();
        assert!(note.contains("rxvlan off"), "{note}");
        assert_eq!(changed(Datapath::Tc, &stripping), None);
    }

    #[test]
    fn the_veths_flag_says_nothing_since_the_other_end_decides() {
        let veth = Facts {
            strips_tags: Some(true),
            ..facts(LinkKind::Veth)
        };
        assert_eq!(obstacle(Datapath::Native, &veth), None);
    }

    #[test]
    fn auto_tries_nothing_that_costs_other_traffic() {
        assert_eq!(candidates(DatapathChoice::Auto), [Datapath::Tc]);
        for datapath in [Datapath::Tc, Datapath::Native, Datapath::Generic] {
            assert_eq!(candidates(DatapathChoice::Only(datapath)), [datapath]);
        }
        assert!(candidates(DatapathChoice::Only(Datapath::Socket)).is_empty());
    }

    #[test]
    fn what_native_would_cost_is_told_by_auto_alone() {
        for (kind, driver, words) in [
            (LinkKind::Veth, None, "segmentation offload"),
            (LinkKind::Device, Some("virtio_net"), "receive offloads"),
            (LinkKind::Device, Some("ixgbe"), "the card resets"),
            (LinkKind::Device, Some("new"), "many cards reset"),
            (LinkKind::Bond, None, "devices below it"),
            (LinkKind::Macvlan, None, "their own driver"),
        ] {
            let facts = Facts {
                driver: driver.map(str::to_owned),
                ..facts(kind)
            };
            let [refusal] = &not_tried(DatapathChoice::Auto, &facts)[..] else {
                panic!("one refusal");
            };
            assert_eq!(refusal.kind, Datapath::Native);
            assert!(refusal.reason.contains(words), "{}", refusal.reason);
        }
        let native = DatapathChoice::Only(Datapath::Native);
        assert!(not_tried(native, &facts(LinkKind::Device)).is_empty());
    }
}
