//! Whether this process may open as many files as its configuration needs.

use crate::config::Config;
use crate::os::descriptors;

/// What the agent needs whatever is configured: BPF maps and programs, netlink, the control socket and who asks there.
const BASE: u64 = 128;

/// Of an instance: the socket of its adverts, and what makes those of others come in.
const OF_INSTANCE: u64 = 2;

/// Of a check: a connection or a command's pipe and process, and the processes that are watched.
const OF_CHECK: u64 = 8;

/// Why the limit is too low, if it is.
pub(super) fn warning(config: &Config) -> Option<String> {
    text(config, descriptors::limit().ok()?)
}

fn text(config: &Config, limit: u64) -> Option<String> {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let (instances, checks) = (count(config.instances.len()), count(config.checks.len()));
    let needed = BASE + instances * OF_INSTANCE + checks * OF_CHECK;
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
                 [\"10.99.0.{vrid}/32\"]\n"
            )
        };
        let file: String = (1..=255).map(instance).collect();
        let config = crate::config::parse("test.toml", &file).unwrap();
        assert_eq!(text(&config, 638), None);
        let said = text(&config, 637).unwrap();
        assert!(
            said.contains("255 instances and 0 checks, which need about 638"),
            "{said}"
        );
    }
}
