//! What two hosts do not agree on: said, and shown in `status`.

use std::time::Duration;

use anyhow::{Result, ensure};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::{Agent, Lab, Pair};

/// RFC 9568 section 7.1 (list, list-log, list-report),
/// RFC 3768 section 7.1 (list, list-log, list-report).
#[test]
fn a_backup_says_once_that_the_master_lists_other_addresses_and_follows_it() -> Result<()> {
    let more = Instance {
        addresses: vec!["10.99.0.100/24".to_owned(), "10.99.0.101/24".to_owned()],
        ..instance(90)
    };
    let pair = Pair::of(instance(100), more)?;
    // Each of them lists other addresses.
    let found = pair
        .backup
        .wait("ten adverts", |it| it.counters.adverts_received >= 10)?;
    let notices = found.notices;
    let said = notices
        .iter()
        .filter(|it| it.text.contains("advertises a different list"));
    ensure!(said.count() == 1, "{notices:?}");
    // And which one it is.
    let which = "only this host has 10.99.0.101";
    let named = |it: &ha_tests::lab::agent_status::Instance| {
        it.notices.iter().any(|it| it.text.contains(which))
    };
    pair.backup.wait("names the address", named)?;
    pair.backup.process().wait_for_line(which, PATIENCE)?;
    pair.is_settled()
}

/// RFC 9568 section 7.1 (log), RFC 3768 section 7.1 (log, interval-log, interval-report).
#[test]
fn version_2_hosts_with_different_intervals_say_that_they_refuse_each_other() -> Result<()> {
    let lab = Lab::new(2)?;
    let every = |seconds, priority| Instance {
        version: 2,
        priority,
        advert_interval: Duration::from_secs(seconds),
        ..Instance::default()
    };
    let (h1, h2) = (lab.host(1), lab.host(2));
    let _first = Agent::master(h1, every(1, 100))?;
    let second = Agent::start(h2, every(2, 90))?;
    second.wait("complains", |it| {
        it.notices
            .iter()
            .any(|notice| notice.text.contains("rejected: interval"))
    })?;
    Ok(())
}
