//! Devices in a network namespace of their own.

use std::fs;

use netlink_packet_core::Emitable as _;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVrf, LinkInfo};

use super::*;
use crate::net::interface::interface;
use crate::net::lab;
use crate::net::links::tests::link;

const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 51];

fn wanted<'a>(device: &'a str, address: [u8; 6], parent: &'a Link, ipv6: bool) -> Wanted<'a> {
    Wanted {
        instance: "web",
        device,
        address,
        parent,
        ipv6,
    }
}

fn setting(path: &str) -> String {
    let path = format!("/proc/sys/net/{path}");
    fs::read_to_string(&path).unwrap().trim().to_owned()
}

fn arp_of_near() -> [String; 2] {
    ["arp_ignore", "arp_announce"].map(|key| setting(&format!("ipv4/conf/near/{key}")))
}

#[test]
fn root_a_device_comes_with_its_settings_and_takes_them_along() {
    lab::run(|lab| {
        fs::write("/proc/sys/net/ipv4/conf/near/arp_announce", "1").unwrap();
        let near = interface("near").unwrap();
        let mut book = MacvlanTable::open().unwrap();
        let device = book.ensure(&wanted("vrrp4-51", MAC, &near, false)).unwrap();
        assert!(device.is_new && !device.is_up);
        let link = interface("vrrp4-51").unwrap();
        assert_eq!(
            (link.index, link.mac, link.parent, link.admin_up),
            (device.index, Some(MAC), Some(lab.near), false)
        );
        assert_eq!(arp_of_near(), ["1", "2"]);
        assert_eq!(setting("ipv4/conf/vrrp4-51/arp_ignore"), "1");
        assert_eq!(setting("ipv4/conf/vrrp4-51/rp_filter"), "2");
        assert_eq!(setting("ipv6/conf/vrrp4-51/disable_ipv6"), "1");

        // A second one shares the interface's settings, and leaves them to the first.
        let six = [0, 0, 0x5e, 0, 2, 51];
        let second = book.ensure(&wanted("vrrp6-51", six, &near, true)).unwrap();
        assert_eq!(setting("ipv6/conf/vrrp6-51/accept_ra"), "0");
        assert_eq!(setting("ipv6/conf/vrrp6-51/disable_ipv6"), "0");
        book.set_up(&second, true).unwrap();
        assert_eq!(book.state(second.index).unwrap(), Some(true));
        assert_eq!(interface("vrrp6-51").unwrap().addresses, []);
        book.delete(device.index, lab.near).unwrap();
        assert_eq!(book.state(device.index).unwrap(), None);
        assert_eq!(arp_of_near(), ["1", "2"]);
        book.delete(second.index, lab.near).unwrap();
        assert_eq!(arp_of_near(), ["0", "1"]);
        // What is gone already is gone.
        book.delete(second.index, lab.near).unwrap();
    });
}

#[test]
fn root_another_life_takes_the_device_on_and_knows_what_the_interface_had() {
    lab::run(|lab| {
        let near = interface("near").unwrap();
        let ask = wanted("vrrp4-51", MAC, &near, false);
        let first = MacvlanTable::open().unwrap().ensure(&ask).unwrap();
        MacvlanTable::open().unwrap().set_up(&first, true).unwrap();
        let mut book = MacvlanTable::open().unwrap();
        let again = book.ensure(&ask).unwrap();
        assert_eq!(
            (again.index, again.is_up, again.is_new),
            (first.index, true, false)
        );
        let left = book.left().unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].name, "vrrp4-51");
        book.delete(left[0].index, lab.near).unwrap();
        assert_eq!(arp_of_near(), ["0", "0"]);
    });
}

#[test]
fn root_a_device_of_somebody_else_is_said_to_be_and_left_alone() {
    lab::run(|lab| {
        let near = interface("near").unwrap();
        let mut book = MacvlanTable::open().unwrap();
        for (made, why) in [
            ("vrrp4-51 type bridge", "not a macvlan in private mode"),
            (
                "vrrp4-51 link near address 00:00:5e:00:01:33 type macvlan mode bridge",
                "not a macvlan in private mode",
            ),
            (
                "vrrp4-51 link near address 00:00:5e:00:01:34 type macvlan mode private",
                "another MAC",
            ),
            (
                "vrrp4-51 link near address 00:00:5e:00:01:33 type macvlan mode private",
                "its alias does not mark it",
            ),
        ] {
            lab.ip(&format!("link add {made}"));
            let error = book.ensure(&wanted("vrrp4-51", MAC, &near, false));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            let index = interface("vrrp4-51").unwrap().index;
            book.delete(index, lab.near).unwrap();
            assert_eq!(arp_of_near(), ["0", "0"]);
            lab.ip("link delete vrrp4-51");
        }
        assert_eq!(book.left().unwrap(), []);
    });
}

#[test]
fn root_an_interface_that_carries_no_macs_is_refused_by_what_it_is() {
    lab::run(|_| {
        let lo = interface("lo").unwrap();
        let mut book = MacvlanTable::open().unwrap();
        let error = book.ensure(&wanted("vrrp4-51", MAC, &lo, false));
        assert_eq!(
            error.unwrap_err().to_string(),
            "a virtual MAC needs an Ethernet interface, and lo is the loopback interface"
        );
    });
}

#[test]
fn root_what_the_interface_had_is_known_though_somebody_deletes_the_device() {
    lab::run(|lab| {
        let near = interface("near").unwrap();
        let ask = wanted("vrrp4-51", MAC, &near, false);
        let mut book = MacvlanTable::open().unwrap();
        book.ensure(&ask).unwrap();
        lab.ip("link delete vrrp4-51");
        let again = book.ensure(&ask).unwrap();
        assert_eq!(arp_of_near(), ["1", "2"]);
        lab.ip("link delete vrrp4-51");
        book.delete(again.index, lab.near).unwrap();
        assert_eq!(arp_of_near(), ["0", "0"]);
    });
}

#[test]
fn root_a_devices_mtu_follows_its_interfaces_and_ipv6_stays_as_it_was_set() {
    lab::run(|lab| {
        let near = interface("near").unwrap();
        let six = [0, 0, 0x5e, 0, 2, 51];
        let mut book = MacvlanTable::open().unwrap();
        let device = book.ensure(&wanted("vrrp6-51", six, &near, true)).unwrap();
        assert!(
            !book.follow(&device, lab.near, true).unwrap(),
            "it is so already"
        );
        for up in [false, true] {
            book.set_up(&device, up).unwrap();
            for mtu in [1280, 1200] {
                lab.ip(&format!("link set near mtu {mtu}"));
                assert_eq!(interface("vrrp6-51").unwrap().mtu, mtu);
                lab.ip("link set near mtu 1500");
                assert_eq!(interface("vrrp6-51").unwrap().mtu, mtu, "by the kernel");
                assert!(book.follow(&device, lab.near, true).unwrap());
                let found = interface("vrrp6-51").unwrap();
                assert_eq!((found.mtu, found.addresses), (1500, vec![]));
                assert_eq!(setting("ipv6/conf/vrrp6-51/accept_ra"), "0");
                assert_eq!(setting("ipv6/conf/vrrp6-51/addr_gen_mode"), "1");
                assert_eq!(setting("ipv6/conf/vrrp6-51/disable_ipv6"), "0");
                assert!(!book.follow(&device, lab.near, true).unwrap());
            }
        }
    });
}

/// As in a container: what is right already needs no write, and what is not has its reason.
#[test]
fn root_where_proc_sys_is_read_only_a_device_needs_the_right_defaults() {
    lab::run(|_| {
        let near = interface("near").unwrap();
        let mut book = MacvlanTable::open().unwrap();
        let ask = wanted("vrrp4-51", MAC, &near, false);
        for (key, value) in [("accept_ra", "0"), ("disable_ipv6", "1")] {
            fs::write(format!("/proc/sys/net/ipv6/conf/default/{key}"), value).unwrap();
        }
        lab::make_read_only("/proc/sys");
        let denied = fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap_err();
        assert_eq!(denied.kind(), io::ErrorKind::ReadOnlyFilesystem);
        let device = book.ensure(&ask).unwrap();
        book.set_up(&device, true).unwrap();
        assert_eq!(book.state(device.index).unwrap(), Some(true));

        let six = wanted("vrrp6-51", [0, 0, 0x5e, 0, 2, 51], &near, true);
        let error = book.ensure(&six).unwrap_err().to_string();
        assert!(
            error.contains("/proc/sys/net/ipv6/conf/vrrp6-51/disable_ipv6")
                && error.contains("Read-only file system"),
            "{error}"
        );
        assert!(interface("vrrp6-51").is_err(), "it was left behind");
    });
}

/// A VRF cannot be made everywhere: what is asked of the kernel, and by what.
#[test]
fn a_device_goes_where_its_interface_is() {
    let near = link(2, "eth0", &[]);
    let ask = wanted("vrrp4-51", MAC, &near, false);
    let masters = |message: &LinkMessage| -> Vec<u32> {
        let attributes = message.attributes.iter();
        attributes
            .filter_map(|it| match it {
                LinkAttribute::Controller(index) => Some(*index),
                _ => None,
            })
            .collect()
    };
    assert_eq!(masters(&message::creating(7, &ask, Some(9))), [9]);
    assert!(masters(&message::creating(7, &ask, None)).is_empty());
    assert_eq!(masters(&message::joining(7, Some(9))), [9]);
    assert_eq!(masters(&message::joining(7, None)), [0]);

    let of_kind = |index: u32, kind: Vec<LinkInfo>, master: Option<u32>| {
        let mut told = message::of(index);
        told.attributes.push(LinkAttribute::LinkInfo(kind));
        told.attributes
            .extend(master.map(LinkAttribute::Controller));
        let mut bytes = vec![0; told.buffer_len()];
        told.emit(&mut bytes);
        message::found(&RawLink::read(&bytes).unwrap())
    };
    let vrf = || {
        vec![
            LinkInfo::Kind(InfoKind::Vrf),
            LinkInfo::Data(InfoData::Vrf(vec![InfoVrf::TableId(10)])),
        ]
    };
    let bridge = vec![LinkInfo::Kind(InfoKind::Bridge)];
    let all = [
        of_kind(2, vec![], Some(9)),
        of_kind(3, vec![], Some(8)),
        of_kind(4, vec![], None),
        of_kind(8, bridge, None),
        of_kind(9, vrf(), None),
    ];
    assert_eq!(
        [2, 3, 4, 5].map(|index| vrf_of(&all, index)),
        [Some(9), None, None, None]
    );
}
