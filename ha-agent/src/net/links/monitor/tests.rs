//! The monitor beside a real kernel.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::net::address::{AddressSpec, AddressTable, Outcome};
use crate::net::lab::{self, Lab, PATIENCE};

/// Runs a test beside a monitor that is in the lab's namespace, as its thread is.
fn with_watch(receive_buffer: usize, test: impl AsyncFnOnce(&Lab, &mut Watch) + Send) {
    with_reader(receive_buffer, interface::all, test);
}

fn with_reader(
    receive_buffer: usize,
    read: impl Read,
    test: impl AsyncFnOnce(&Lab, &mut Watch) + Send,
) {
    lab::run(|lab| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut watch = watch_with(receive_buffer, read).unwrap();
        runtime.block_on(test(lab, &mut watch));
    });
}

/// Adds and removes addresses until something has come of it: the smallest buffer that the kernel gives holds a few
/// notifications, but the monitor reads meanwhile.
fn flood_until(lab: &Lab, is_so: impl Fn() -> bool) {
    while !is_so() {
        for verb in ["add", "del"] {
            let command = |n| format!("address {verb} 10.99.0.{n}/32 dev near");
            lab.ip_batch((1..=200).map(command));
        }
    }
}

/// Waits until the value is so.
async fn wait_for<T: Clone>(latest: &mut Latest<T>, is_so: impl Fn(&T) -> bool) -> T {
    let wait = async {
        let mut value = latest.see();
        while !is_so(&value) {
            value = latest.next().await.expect("the monitor runs");
        }
        value
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time")
}

/// Waits until the interface is so.
async fn until(watch: &mut Watch, index: u32, is_so: impl Fn(Option<&Link>) -> bool) {
    wait_for(&mut watch.table, |table| is_so(table.get(index))).await;
}

fn has(link: Option<&Link>, net: &str) -> bool {
    let net = net.parse().unwrap();
    link.is_some_and(|link| link.addresses.iter().any(|present| present.net == net))
}

fn nets(link: &Link) -> BTreeSet<ipnet::IpNet> {
    link.addresses.iter().map(|present| present.net).collect()
}

#[test]
fn root_what_happens_to_an_interface_is_shown() {
    with_watch(RECEIVE_BUFFER, async |lab, watch| {
        let near = lab.near;
        assert_eq!(watch.table.get().by_name("near").unwrap().index, near);

        lab.ip("link set near mtu 1400");
        until(watch, near, |link| link.is_some_and(|l| l.mtu == 1400)).await;
        lab.ip("link set near down");
        until(watch, near, |link| link.is_some_and(|l| !l.is_up())).await;
        lab.ip("link set near address 02:00:00:00:00:77 name renamed");
        let mac = Some([2, 0, 0, 0, 0, 0x77]);
        until(watch, near, |link| {
            link.is_some_and(|l| l.name == "renamed" && l.mac == mac)
        })
        .await;
        lab.ip("link set renamed up");
        until(watch, near, |link| link.is_some_and(Link::is_up)).await;

        // Of one that is switched off the kernel tells nothing of this; it is found when the table is read.
        lab.ip("link property add dev renamed altname enp3s0f0np0-a-long-one");
        let is_named = |table: &Arc<LinkTable>| {
            table
                .by_name("enp3s0f0np0-a-long-one")
                .map(|link| link.index)
                == Some(near)
        };
        wait_for(&mut watch.table, is_named).await;

        for (value, forwards) in [("1", true), ("0", false)] {
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", value).unwrap();
            until(watch, near, |link| {
                link.is_some_and(|l| l.forwards_ipv6 == forwards)
            })
            .await;
            let read = interface::interface("renamed").unwrap();
            assert_eq!(read.forwards_ipv6, forwards);
        }

        lab.ip("link add extra type veth peer name other");
        let is_there = |table: &Arc<LinkTable>| table.by_name("extra").is_some();
        let table = wait_for(&mut watch.table, is_there).await;
        let extra = table.by_name("extra").unwrap();
        assert!(!extra.is_up());
        lab.ip("link delete extra");
        until(watch, extra.index, |link| link.is_none()).await;
    });
}

#[test]
fn root_the_carrier_of_the_other_end_is_shown() {
    with_watch(RECEIVE_BUFFER, async |lab, watch| {
        lab.far(|| lab::ip_here("link set far down"));
        until(watch, lab.near, |link| {
            link.is_some_and(|l| l.admin_up && !l.is_up())
        })
        .await;
        lab.far(|| lab::ip_here("link set far up"));
        until(watch, lab.near, |link| link.is_some_and(Link::is_up)).await;
    });
}

#[test]
fn root_addresses_are_shown_and_a_vip_does_not_become_the_primary_one() {
    with_watch(RECEIVE_BUFFER, async |lab, watch| {
        let index = lab.near;
        let mut book = AddressTable::open().unwrap();
        let net: ipnet::IpNet = "10.99.0.100/24".parse().unwrap();
        let vip = AddressSpec::of(index, &net.into());
        assert_eq!(book.add(&[vip]).unwrap(), [Ok(Outcome::Done)]);
        let is_vip = |p: &ObservedAddress| p.net == vip.net && p.ours;
        until(watch, index, |link| {
            link.is_some_and(|l| l.addresses.iter().any(is_vip))
        })
        .await;
        let primary = |watch: &Watch| {
            let table = watch.table.get();
            table.get(index).unwrap().primary_ipv4(|_| false)
        };
        assert_eq!(primary(watch), None);

        lab.ip("address add 10.99.0.1/24 dev near");
        until(watch, index, |link| has(link, "10.99.0.1/24")).await;
        // A secondary address by then, for the VIP was there first.
        assert_eq!(primary(watch), Some("10.99.0.1".parse().unwrap()));

        lab.ip("address del 10.99.0.100/24 dev near");
        until(watch, index, |link| !has(link, "10.99.0.100/24")).await;
    });
}

#[test]
fn root_lost_notifications_are_made_up_for_by_reading_the_table() {
    let reads = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&reads);
    let read = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        interface::all()
    };
    with_reader(1, read, async |lab, watch| {
        flood_until(lab, || reads.load(Ordering::SeqCst) > 1);
        lab.ip("address add 10.99.1.1/32 dev near");
        until(watch, lab.near, |link| has(link, "10.99.1.1/32")).await;
        let table = watch.table.get();
        let found = table.get(lab.near).unwrap().clone();
        assert!(found.address_losses > 0, "what was not heard may be a loss");
        assert_eq!(nets(&found), nets(&interface::interface("near").unwrap()));
    });
}

/// A take-over of some hundred addresses is as many changes; nobody has to look at each.
#[test]
fn root_the_table_goes_on_after_any_number_of_changes_that_nobody_looked_at() {
    with_watch(RECEIVE_BUFFER, async |lab, watch| {
        for verb in ["add", "del", "add", "del", "add", "del"] {
            let command = |n| format!("address {verb} 10.99.0.{n}/32 dev near");
            lab.ip_batch((1..=200).map(command));
            tokio::task::yield_now().await;
        }
        lab.ip("address add 10.99.1.1/32 dev near");
        until(watch, lab.near, |link| {
            has(link, "10.99.1.1/32") && !has(link, "10.99.0.200/32")
        })
        .await;
    });
}

/// Overflow and failing reads have one cause, churn.
#[test]
fn root_a_table_that_cannot_be_read_anew_goes_on_by_what_is_heard_until_it_can() {
    let fails = Arc::new(AtomicBool::new(false));
    let is_failing = Arc::clone(&fails);
    let read = move || {
        if is_failing.load(Ordering::SeqCst) {
            Err(NetlinkError::Unstable)
        } else {
            interface::all()
        }
    };
    with_reader(1, read, async |lab, watch| {
        fails.store(true, Ordering::SeqCst);
        flood_until(lab, || watch.trouble.get().is_some());
        let twice = |it: &Option<Trouble>| it.as_ref().is_some_and(|it| it.attempts > 1);
        let why = wait_for(&mut watch.trouble, twice).await.unwrap().why;
        assert!(why.contains("the kernel's table changed"), "{why}");

        lab.ip("address add 10.99.1.1/32 dev near");
        until(watch, lab.near, |link| has(link, "10.99.1.1/32")).await;
        assert!(watch.trouble.get().is_some());

        fails.store(false, Ordering::SeqCst);
        wait_for(&mut watch.trouble, Option::is_none).await;
        let found = watch.table.get().get(lab.near).unwrap().clone();
        assert_eq!(nets(&found), nets(&interface::interface("near").unwrap()));
    });
}

/// The kernel takes any bytes for an alias.
#[test]
fn root_an_interface_whose_alias_is_not_utf_8_is_known_and_followed() {
    with_watch(RECEIVE_BUFFER, async |lab, watch| {
        lab.ip("link add extra type veth peer name other");
        lab::command(
            "sh",
            &["-c", "ip link set dev extra alias \"$(printf '\\377')\""],
        );
        lab.ip("link set dev extra mtu 1400");
        let is_heard =
            |table: &Arc<LinkTable>| table.by_name("extra").is_some_and(|link| link.mtu == 1400);
        wait_for(&mut watch.table, is_heard).await;
        let read = interface::all().unwrap();
        assert!(
            read.iter()
                .any(|link| link.name == "extra" && link.mtu == 1400)
        );
        assert!(read.iter().any(|link| link.name == "near"));
        let near = interface::interface("near").unwrap();
        let wanted = crate::net::virtual_mac::Wanted {
            instance: "web",
            device: "vrrp4-51",
            address: [0, 0, 0x5e, 0, 1, 51],
            parent: &near,
            ipv6: false,
        };
        let mut devices = crate::net::virtual_mac::MacvlanTable::open().unwrap();
        let device = devices.ensure(&wanted).unwrap();
        assert!(device.is_new);
    });
}
