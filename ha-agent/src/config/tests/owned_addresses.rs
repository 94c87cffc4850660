//! What a master holds: the forms of an address, and the addresses beside those of the adverts.

use std::net::{IpAddr, Ipv4Addr};

use super::super::model::Instance;
use super::super::model::virtual_address::{Form, Scope};
use super::*;

fn the_instance(lines: &str) -> Instance {
    accepted(&instance(lines)).instances.remove(0)
}

/// The form of the one entry of `excluded`, with the address as it is on the interface.
fn form(entry: &str) -> (String, Form) {
    let found = the_instance(&format!("excluded = [{entry}]"));
    let [address] = found.excluded.as_slice() else {
        panic!("{:?}", found.excluded);
    };
    (address.net.to_string(), address.form)
}

#[test]
fn an_address_may_be_a_table_of_its_form() {
    let instance = the_instance(
        "addresses = [\"10.0.0.1/24\", { address = \"10.0.0.5/24\", label = \"eth0:vip\", \
         scope = \"link\", broadcast = \"auto\" }]",
    );
    let [plain, formed] = instance.addresses.as_slice() else {
        panic!("{:?}", instance.addresses);
    };
    assert_eq!(plain.form, Form::default());
    assert_eq!(formed.net.to_string(), "10.0.0.5/24");
    assert_eq!(formed.form.label.unwrap().as_str(), "eth0:vip");
    assert_eq!(formed.form.scope, Some(Scope::Link));
    assert_eq!(formed.form.broadcast, Some(Ipv4Addr::new(10, 0, 0, 255)));
    assert_eq!(formed.form.peer, None);
}

#[test]
fn a_bare_address_in_a_table_is_that_address() {
    for (entry, net) in [
        ("{ address = \"10.0.0.5\" }", "10.0.0.5/32"),
        (
            "{ address = \"10.0.0.5/24\", broadcast = \"none\" }",
            "10.0.0.5/24",
        ),
        ("{ address = \"2001:db8::5\" }", "2001:db8::5/128"),
    ] {
        assert_eq!(form(entry), (net.to_owned(), Form::default()));
    }
}

#[test]
fn with_a_peer_the_prefix_length_is_the_peers() {
    for (entry, net, peer) in [
        (
            "{ address = \"10.0.0.5\", peer = \"10.0.0.6\" }",
            "10.0.0.5/32",
            "10.0.0.6",
        ),
        (
            "{ address = \"10.0.0.5\", peer = \"10.1.0.6/30\", broadcast = \"10.0.0.255\" }",
            "10.0.0.5/30",
            "10.1.0.6",
        ),
        (
            "{ address = \"2001:db8::5\", peer = \"2001:db8::6/127\" }",
            "2001:db8::5/127",
            "2001:db8::6",
        ),
    ] {
        let (found, form) = form(entry);
        let peer: IpAddr = peer.parse().unwrap();
        assert_eq!((found.as_str(), form.peer), (net, Some(peer)));
    }
    one_warning(
        &instance("excluded = [{ address = \"10.0.0.5/24\", peer = |\"10.0.0.6/32\" }]"),
        &["the prefix length of `peer` counts, /32"],
    );
}

#[test]
fn excluded_addresses_are_of_either_family_and_thousands() {
    let found = the_instance("excluded = [\"192.0.2.7/24\", \"2001:db8::7/64\"]");
    let held: Vec<_> = found.held().map(ToString::to_string).collect();
    assert_eq!(held, ["10.99.0.100/24", "192.0.2.7/24", "2001:db8::7/64"]);
    assert_eq!(found.virtual_addresses().count(), 1, "in the adverts");
    let list = |n: usize| {
        let all: Vec<_> = (0..n)
            .map(|i| format!("\"10.0.{}.{}\"", i / 250, i % 250 + 1))
            .collect();
        all.join(", ")
    };
    let found = the_instance(&format!("excluded = [{}]", list(4096)));
    assert_eq!(found.excluded.len(), 4096);
    one_error(
        &instance(&format!("excluded = |[{}]", list(4097))),
        &["0 to 4096 entries, and it has 4097"],
    );
}

#[test]
fn an_address_is_held_once_whatever_list_it_is_in() {
    one_error(
        &instance("excluded = [|\"10.99.0.100/32\"]"),
        &["10.99.0.100 is in `addresses` or `excluded` already"],
    );
    one_error(
        &instance("excluded = [\"10.0.0.1\", |\"10.0.0.1/24\"]"),
        &["10.0.0.1 is in `addresses` or `excluded` already"],
    );
    let other = "name = \"b\"\nvrid = 52\naddresses = [\"10.99.0.101/24\"]\n\
                 excluded = [|\"10.99.0.100\"]";
    one_error(
        &(instance("") + &instance(other)),
        &["10.99.0.100 belongs to another instance already (line 5)"],
    );
}

#[test]
fn every_wrong_form_of_an_address_is_blamed_at_its_place() {
    let entry = "{ address = \"10.0.0.5/24\"";
    let six = "{ address = \"2001:db8::5/64\"";
    for (text, fragments) in [
        (
            "|true".to_owned(),
            &[
                "an entry of `excluded` must be an IP address",
                "or a table",
                "not true",
            ][..],
        ),
        ("|{ }".to_owned(), &["an address has no `address`"]),
        (
            "{ address = |7 }".to_owned(),
            &[
                "`address` must be an IP address with a prefix length",
                "not 7",
            ],
        ),
        (
            "{ address = |\"10.0.0.5/33\" }".to_owned(),
            &["from 1 to 32"],
        ),
        (
            format!("{entry}, |lable = \"eth0:1\" }}"),
            &["unknown key `lable` in an address; did you mean `label`?"],
        ),
        (
            format!("{entry}, label = |\"vip\" }}"),
            &[
                "the interface's name, ':' and a text, such as \"eth0:1\"",
                "not \"vip\"",
            ],
        ),
        (
            format!("{entry}, label = |\"eth0\" }}"),
            &["':' and a text"],
        ),
        (
            format!("{entry}, label = |\"eth0:\" }}"),
            &["':' and a text"],
        ),
        (
            format!("{entry}, label = |\"eth1:1\" }}"),
            &["':' and a text"],
        ),
        (
            format!("{entry}, label = |\"eth0:a b\" }}"),
            &["':' and a text"],
        ),
        (
            format!("{entry}, label = |\"eth0:much-too-long\" }}"),
            &["of at most 15 bytes"],
        ),
        (format!("{entry}, label = |1 }}"), &["not 1"]),
        (
            format!("{six}, label = |\"eth0:1\" }}"),
            &["`label` goes with IPv4 addresses only"],
        ),
        (
            format!("{entry}, scope = |\"world\" }}"),
            &["\"global\" or \"site\" or \"link\" or \"host\", not \"world\""],
        ),
        (
            format!("{six}, scope = |\"link\" }}"),
            &["`scope` goes with IPv4 addresses only"],
        ),
    ] {
        one_error(&instance(&format!("excluded = [{text}]")), fragments);
    }
}

#[test]
fn every_wrong_broadcast_address_or_peer_is_blamed_at_its_place() {
    let entry = "{ address = \"10.0.0.5/24\"";
    let six = "{ address = \"2001:db8::5/64\"";
    for (text, fragments) in [
        (
            format!("{entry}, broadcast = |\"10.0.0\" }}"),
            &["`broadcast` must be \"none\", \"auto\" or an IPv4 address"][..],
        ),
        (
            format!("{entry}, broadcast = |\"224.0.0.1\" }}"),
            &["an IPv4 address"],
        ),
        (format!("{entry}, broadcast = |true }}"), &["not true"]),
        (
            "{ address = \"10.0.0.5/31\", broadcast = |\"auto\" }".to_owned(),
            &["a network of prefix length 31 has no broadcast address"],
        ),
        (
            "{ address = \"10.0.0.5\", peer = \"10.0.0.6\", broadcast = |\"auto\" }".to_owned(),
            &["cannot be \"auto\" with a `peer`"],
        ),
        (
            format!("{six}, broadcast = |\"auto\" }}"),
            &["`broadcast` goes with IPv4 addresses only"],
        ),
        (
            format!("{entry}, peer = |\"x\" }}"),
            &["`peer` must be the other end's IP address"],
        ),
        (
            format!("{entry}, peer = |\"2001:db8::6\" }}"),
            &["`peer` must be of the family of 10.0.0.5"],
        ),
        (
            "{ address = \"10.0.0.5\", peer = |\"10.0.0.5\" }".to_owned(),
            &["`peer` must be another address than `address`"],
        ),
    ] {
        one_error(&instance(&format!("excluded = [{text}]")), fragments);
    }
}
