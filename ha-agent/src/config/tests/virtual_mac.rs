//! `virtual_mac`: what is accepted, and what is said of the rest.

use ha_common::units::{Family, Vrid};

use super::super::model::VirtualMac;
use super::super::model::address_of;
use super::*;

fn the_mac(lines: &str) -> Option<VirtualMac> {
    accepted(&instance(lines)).instances.remove(0).virtual_mac
}

/// RFC 9568 section 7.3, RFC 3768 section 7.3.
#[test]
fn the_address_is_the_one_that_iana_gave_the_family_and_vrid() {
    for (family, vrid, expected) in [
        (Family::V4, 1, [0, 0, 0x5e, 0, 1, 1]),
        (Family::V4, 255, [0, 0, 0x5e, 0, 1, 255]),
        (Family::V6, 51, [0, 0, 0x5e, 0, 2, 51]),
    ] {
        assert_eq!(address_of(family, Vrid::new(vrid).unwrap()), expected);
    }
}

#[test]
fn a_device_is_called_by_family_and_vrid_unless_it_is_named() {
    assert_eq!(the_mac(""), None);
    assert_eq!(the_mac("virtual_mac = false"), None);
    let found = the_mac("virtual_mac = true").unwrap();
    assert_eq!(found.device, "vrrp4-51");
    assert_eq!(found.address, [0, 0, 0x5e, 0, 1, 51]);
    let six = the_mac("virtual_mac = true\naddresses = [\"fe80::1/64\"]").unwrap();
    assert_eq!(six.device, "vrrp6-51");
    assert_eq!(six.address, [0, 0, 0x5e, 0, 2, 51]);
    let named = the_mac("virtual_mac = { device = \"web0\" }").unwrap();
    assert_eq!(named.device, "web0");
}

#[test]
fn what_cannot_be_is_refused_with_what_is_allowed() {
    for (lines, message) in [
        (
            "virtual_mac = 1",
            "`virtual_mac` must be true, false or { device = \"NAME\" }, not 1",
        ),
        (
            "virtual_mac = \"web0\"",
            "`virtual_mac` must be true, false or { device = \"NAME\" }, not \"web0\"",
        ),
        ("virtual_mac = {}", "has no `device`"),
        (
            "virtual_mac = { device = \"sixteen-bytes-16\" }",
            "1 to 15 bytes",
        ),
        (
            "virtual_mac = { device = \"eth0\" }",
            "cannot be the `interface` of an instance",
        ),
        (
            "virtual_mac = true\npeers = [\"10.99.0.2\"]",
            "`virtual_mac` does not go with `peers`",
        ),
        ("use_vmac = true", "did you mean `virtual_mac`?"),
    ] {
        let problems = refused(&instance(lines));
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].message.contains(message), "{problems:#?}");
    }
}

#[test]
fn two_instances_of_one_vrid_on_two_interfaces_need_a_name() {
    let other = |lines: &str| {
        format!(
            "{}{}",
            instance("virtual_mac = true"),
            instance(&format!(
                "name = \"lan\"\ninterface = \"eth1\"\naddresses = [\"10.98.0.100/24\"]\n{lines}"
            ))
        )
    };
    let problems = refused(&other("virtual_mac = true"));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let message = &problems[0].message;
    assert!(
        message.contains("has the device `vrrp4-51` already")
            && message.contains("virtual_mac = { device = \"NAME\" }"),
        "{message}"
    );
    accepted(&other("virtual_mac = { device = \"vrrp-lan\" }"));
    accepted(&other(""));
}
