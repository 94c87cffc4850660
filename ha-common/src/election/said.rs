//! Which notices have been given: each is said once, so that no sender can fill the log.

use super::action::{Action, Actions, Notice};
use super::advert::Advert;
use super::rules::Rules;

/// Notices given since the configuration or our address last changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    two_owners: bool,
    own_address: bool,
    interval: bool,
}

impl Said {
    /// An advert came from our own source address.
    pub(super) fn own_address(&mut self, advert: &Advert, out: &mut Actions) {
        if !self.own_address {
            self.own_address = true;
            out.push(Action::Notice(Notice::OwnAddressHeard(*advert)));
        }
    }

    /// Whatever in this advert contradicts our configuration; the graver thing first.
    ///
    /// RFC 9568 sections 7.1 (interval-equal, interval-log, interval-report), 8.3.2 (owner-log).
    pub(super) fn conflicts(&mut self, rules: &Rules, advert: &Advert, out: &mut Actions) {
        let two_owners = rules.priority.is_owner() && advert.priority.is_owner();
        let differs = advert.interval != rules.interval && !advert.priority.is_release();
        if two_owners && !self.two_owners {
            self.two_owners = true;
            out.push(Action::Notice(Notice::TwoOwners {
                other: advert.source,
            }));
        } else if differs && !self.interval {
            self.interval = true;
            out.push(Action::Notice(Notice::IntervalDiffers {
                source: advert.source,
                theirs: advert.interval,
                ours: rules.interval,
            }));
        }
    }
}
