//! The election's parameters by a configuration.

use std::net::IpAddr;

use ha_common::election::{Params, Rules};
use ha_common::units::{Family, Nanos, Priority};

use crate::config::model::Instance as Config;

/// With this effective priority; `grouped` if it is a member of a sync group.
pub(super) fn params(
    config: &Config,
    own_address: IpAddr,
    priority: Priority,
    grouped: bool,
) -> Params {
    Params {
        rules: Rules {
            version: config.version,
            own_address,
            priority,
            interval: config.advert_interval,
            preempt: config.preempt,
            down_multiplier: config.down_multiplier,
        },
        start_hold: Nanos::from(config.start_delay),
        preempt_delay: Nanos::from(config.preempt_delay),
        grouped,
    }
}

/// Before anything of the host is known.
pub(super) fn initial(config: &Config) -> Params {
    let unspecified = match config.family {
        Family::V4 => IpAddr::from([0; 4]),
        Family::V6 => IpAddr::from([0; 16]),
    };
    params(config, unspecified, config.priority, false)
}
