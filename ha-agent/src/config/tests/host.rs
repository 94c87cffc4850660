//! A file that is held against the host that it is for.

use super::super::check::host::{Host, HostAddress, HostInterface, Program};
use super::super::parse_for;
use super::*;

/// A host with `lo`, with `eth0`, where it has 10.99.0.1 and an address of the agent, and with 10.98.0.1 on `eth1`.
struct Sample(Vec<HostInterface>);

impl Sample {
    fn new() -> Self {
        let address = |address: &str, ours| HostAddress {
            address: address.parse().unwrap(),
            ours,
        };
        let interface = |name: &str, addresses: Vec<HostAddress>| HostInterface {
            name: name.to_owned(),
            addresses,
        };
        let own = address("10.99.0.1", Some(false));
        let held = address("10.99.0.100", Some(true));
        Self(vec![
            interface("lo", vec![address("127.0.0.1", Some(false))]),
            interface("eth0", vec![own, held]),
            interface("eth1", vec![address("10.98.0.1", None)]),
        ])
    }
}

impl Host for Sample {
    fn may_have_user(&self, _: &str) -> bool {
        true
    }

    fn interfaces(&self) -> Option<&[HostInterface]> {
        Some(&self.0)
    }

    fn program(&self, name: &str) -> Program {
        match name {
            "/bin/true" | "systemctl" => Program::Runnable,
            "/etc/hosts" => Program::NotExecutable,
            _ => Program::Missing,
        }
    }
}

/// What is warned of, each in one line.
fn warnings(text: &str) -> Vec<String> {
    let config = parse_for(&Sample::new(), "test.toml", text, None);
    let config = config.unwrap_or_else(|problems| panic!("{problems}\nin\n{text}"));
    config.warnings.iter().map(Problem::one_line).collect()
}

#[test]
fn what_this_host_lacks_or_has_already_is_a_warning_at_its_place() {
    for (text, expected) in [
        (
            instance("|interface = \"eht0\""),
            "there is no interface `eht0` on this host now (did you mean `eth0`? it has lo, eth0, eth1); until it \
             appears, the instance is in FAULT",
        ),
        (
            instance("track = [{ interface = |\"wg-office\" }]"),
            "there is no interface `wg-office` on this host now (it has lo, eth0, eth1); until it appears, the \
             instance is in FAULT",
        ),
        (
            instance("track = [{ interface = |\"wg-office\", weight = -20 }]"),
            "there is no interface `wg-office` on this host now (it has lo, eth0, eth1); until it appears, it counts \
             as failed",
        ),
        (
            instance("source = |\"10.98.0.1\""),
            "10.98.0.1 is not an address of eth0 now; until it is, the instance is in FAULT",
        ),
        (
            instance("peers = [|\"10.99.0.1\", \"10.99.0.2\"]"),
            "10.99.0.1 is an address of this host (eth0), not of a peer: leave it out",
        ),
        (
            instance("addresses = [|\"10.99.0.1/24\"]"),
            "10.99.0.1 is on eth0 already, and something other than the agent has put it there: it would stay when \
             this host is not master; take it out of the host's own network configuration",
        ),
        (
            instance("priority = 255\nexcluded = [|\"10.99.0.1/24\"]"),
            "10.99.0.1 is on eth0 already, and something other than the agent has put it there: it would stay when \
             this host is not master; take it out of the host's own network configuration",
        ),
        (
            tracked("command = |[\"/bin/no-such\"]"),
            "there is no program /bin/no-such on this host now",
        ),
        (
            tracked("command = |[\"/etc/hosts\"]"),
            "/etc/hosts is not executable: `chmod +x /etc/hosts`",
        ),
        (
            tracked("restart = |{ command = [\"no-such\"] }"),
            "there is no program no-such on this host now",
        ),
    ] {
        let text = text.replacen("|interface = ", "interface = |", 1);
        let (text, line, column) = marked(&text);
        let expected = format!("test.toml:{line}:{column}: warning: {expected}");
        assert_eq!(warnings(&text), [expected], "{text}");
    }
}

#[test]
fn what_may_well_be_meant_is_no_warning() {
    for text in [
        instance(""),
        instance("source = \"10.99.0.1\"\npeers = [\"10.99.0.2\"]"),
        // Reversed, it is something that should not be there.
        instance("track = [{ interface = \"wg0\", reverse = true }]"),
        // The owner of an address has it always.
        instance("priority = 255\naddresses = [\"10.99.0.1/24\"]"),
        // The agent's own, and one of a kernel that does not tell whose it is.
        instance("addresses = [\"10.99.0.100/24\", \"10.98.0.1/24\"]"),
        tracked("command = [\"/bin/true\"]\nrestart = { command = [\"systemctl\"] }"),
    ] {
        assert_eq!(warnings(&text), [""; 0], "{text}");
    }
}

#[test]
fn what_is_wrong_with_the_file_itself_is_a_warning_at_its_beginning() {
    let about_file = Some("this file is writable by others".to_owned());
    let config = parse_for(&Sample::new(), "test.toml", FIRST_CONFIG, about_file).unwrap();
    let first = config.warnings.first().map(Problem::one_line);
    let expected = "test.toml:1:1: warning: this file is writable by others";
    assert_eq!(first.as_deref(), Some(expected));
}
