//! Devices in a network namespace of their own.

use std::fs;

use super::*;
use crate::net::interface::interface;
use crate::net::lab;

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
        let mut book = DeviceBook::open().unwrap();
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
        let first = DeviceBook::open().unwrap().ensure(&ask).unwrap();
        DeviceBook::open().unwrap().set_up(&first, true).unwrap();
        let mut book = DeviceBook::open().unwrap();
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
        let mut book = DeviceBook::open().unwrap();
        for (made, why) in [
            ("vrrp4-51 type bridge", "no macvlan in private mode"),
            (
                "vrrp4-51 link near address 00:00:5e:00:01:33 type macvlan mode bridge",
                "no macvlan in private mode",
            ),
            (
                "vrrp4-51 link near address 00:00:5e:00:01:34 type macvlan mode private",
                "another MAC",
            ),
            (
                "vrrp4-51 link near address 00:00:5e:00:01:33 type macvlan mode private",
                "its alias does not say",
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
        let mut book = DeviceBook::open().unwrap();
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
        let mut book = DeviceBook::open().unwrap();
        book.ensure(&ask).unwrap();
        lab.ip("link delete vrrp4-51");
        let again = book.ensure(&ask).unwrap();
        assert_eq!(arp_of_near(), ["1", "2"]);
        lab.ip("link delete vrrp4-51");
        book.delete(again.index, lab.near).unwrap();
        assert_eq!(arp_of_near(), ["0", "0"]);
    });
}
