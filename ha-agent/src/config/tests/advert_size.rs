//! How many addresses an advert can list: those that fit, a warning where they need a larger MTU, an error
//! where no receiver takes them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::super::model::advert_size::AdvertSize;
use super::{accepted, instance, one_error, one_warning};

/// An instance with so many addresses, a bar in front of the one with this number.
fn listing(many: usize, blamed: Option<usize>, pattern: impl Fn(usize) -> String) -> String {
    let list: Vec<String> = (1..=many)
        .map(|number| {
            let bar = if blamed == Some(number) { "|" } else { "" };
            format!("{bar}\"{}\"", pattern(number))
        })
        .collect();
    format!("addresses = [{}]", list.join(", "))
}

fn ipv6(number: usize) -> String {
    format!("fe80::{number:x}/64")
}

fn ipv4(number: usize) -> String {
    format!("10.1.{}.{}/16", number / 200, number % 200 + 1)
}

#[test]
fn as_many_addresses_as_an_advert_holds_are_accepted_and_one_more_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, "k".repeat(32)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let signed = |mode: &str| {
        format!(
            "hmac = {{ keys = [{{ id = 1, file = \"{}\" }}], mode = \"{mode}\" }}\n",
            key.display()
        )
    };
    // Keys, without any remark, with a warning about the MTU, and the packet's size with the last of those.
    for (keys, silent, warned, packet) in [
        (String::new(), 90, 92, 40 + 8 + 92 * 16),
        (signed("enforce"), 89, 90, 40 + 8 + 90 * 16 + 28),
        (signed("receive-only"), 90, 92, 40 + 8 + 92 * 16),
    ] {
        let text = |many, blamed| instance(&(keys.clone() + &listing(many, blamed, ipv6)));
        assert_eq!(accepted(&text(silent, None)).warnings, [], "{keys}");
        let at_most = warned.to_string();
        let usual = format!("only {silent} IPv6 addresses");
        one_warning(
            &text(warned, Some(silent + 1)),
            &[&usual, "version 3", "1500", "FAULT", "excluded"],
        );
        let config = accepted(&text(warned, None));
        let size = AdvertSize::of(&config.instances[0]);
        assert_eq!(size.packet(warned), packet);
        assert!(size.most_at(1500) == silent && size.most_at(9000) == warned);
        one_error(
            &text(warned + 5, Some(warned + 1)),
            &[
                &at_most,
                &(warned + 5).to_string(),
                "version 3",
                "1480",
                "further instances",
                "excluded",
            ],
        );
    }
}

#[test]
fn all_ipv4_addresses_that_can_be_counted_fit() {
    for version in ["version = 2\n", "version = 3\n"] {
        let text = instance(&(version.to_owned() + &listing(255, None, ipv4)));
        let config = accepted(&text);
        assert_eq!(config.warnings, []);
        let size = AdvertSize::of(&config.instances[0]);
        assert!(size.packet(255) <= 1500 && size.most_at(1500) == 255);
        assert!(size.packet(size.most_at(576)) <= 576 && size.packet(size.most_at(576) + 1) > 576);
        assert_eq!(size.most_at(0), 0);
    }
}
