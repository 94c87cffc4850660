//! Whether this process may open as many files as its configuration needs.

use std::collections::HashSet;

use crate::config::Config;
use crate::config::model::Instance;
use crate::os::descriptors;

/// What the agent needs whatever is configured: BPF maps and programs, netlink, the control socket and who asks there.
const BASE: u64 = 128;

/// Of a family on an interface, whichever instances are there: the socket of their adverts, what makes those of others
/// come in, and the plain socket.
const OF_FAMILY: u64 = 3;

/// Of an instance that sends from a device or an address of its own: its socket.
const OF_OWN_OUTLET: u64 = 1;

/// Of an instance: its name on this host.
const OF_INSTANCE: u64 = 1;

/// Of a check: a connection or a command's pipe and process, and the processes that are watched.
const OF_CHECK: u64 = 8;

/// Why the limit is too low, if it is.
pub(super) fn warning(config: &Config) -> Option<String> {
    text(config, descriptors::limit().ok()?)
}

fn text(config: &Config, limit: u64) -> Option<String> {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let (instances, checks) = (count(config.instances.len()), count(config.checks.len()));
    let families = config.instances.iter().map(|it| (&it.interface, it.family));
    let families = count(families.collect::<HashSet<_>>().len());
    let has_own_outlet = |it: &&Instance| it.virtual_mac.is_some() || it.source.is_some();
    let own = count(config.instances.iter().filter(has_own_outlet).count());
    let needed = BASE
        + families * OF_FAMILY
        + instances * OF_INSTANCE
        + own * OF_OWN_OUTLET
        + checks * OF_CHECK;
    (limit < needed).then(|| {
        format!(
            "the limit of {limit} open files is too low for {instances} instances and {checks} checks, which need \
             about {needed}: some instances will be in FAULT and checks not run; raise LimitNOFILE= of the unit"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_for_what_is_configured_is_said_with_the_remedy() {
        let instance = |vrid| {
            format!(
                "[[instance]]\nname = \"web{vrid}\"\ninterface = \"eth0\"\nvrid = {vrid}\naddresses = \
                 [\"10.99.0.{vrid}/32\"]\nvirtual_mac = true\n"
            )
        };
        let file: String = (1..=255).map(instance).collect();
        let config = crate::config::parse("test.toml", &file).unwrap();
        assert_eq!(text(&config, 641), None);
        let said = text(&config, 640).unwrap();
        assert!(
            said.contains("255 instances and 0 checks, which need about 641"),
            "{said}"
        );
    }
}
