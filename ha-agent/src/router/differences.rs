//! What is wrong between this router and others, for as long as it is: told once, and again when it comes back.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ha_common::address::known_ip;
use ha_common::election::{Advert, Notice as Remark, Rank, Role};
use ha_common::layout::{Slot, state};
use ha_common::reject::Reject;
use ha_common::units::{Instant, Version};

use super::detection::contender;
use super::effect::Effects;
use super::notice::{Notice, Subject};
use super::{Router, Wanted, words};

impl Router {
    /// Compares what an advert says with what is configured here.
    pub(super) fn compare(
        &mut self,
        advert: &Advert,
        other_list: Option<u8>,
        now: Instant,
        fx: &mut Effects,
    ) {
        let source = advert.source;
        if advert.priority.is_release() || source == self.election.rules().own_address {
            return;
        }
        match other_list {
            Some(theirs) => self.list_differs(source, theirs, now, fx),
            None => self.end_notice(&Subject::List(source), fx),
        }
        let ours = self.election.rules().interval;
        if self.config.version == Version::V2 || advert.interval == ours {
            self.end_notice(&Subject::Interval(source), fx);
        } else {
            let theirs = advert.interval;
            self.interval_differs(
                Remark::IntervalDiffers {
                    source,
                    theirs,
                    ours,
                },
                source,
                now,
                fx,
            );
        }
    }

    /// The same of the master that a backup has noted, whose unchanged adverts are no events; and what is over.
    pub(super) fn look_at_differences(&mut self, slot: &Slot, now: Instant, fx: &mut Effects) {
        let is_alive = now.0.saturating_sub(slot.last_heard)
            <= ha_common::master_tracking::down_interval(slot).0;
        if (slot.state, self.role()) == (state::BACKUP, Role::Backup)
            && is_alive
            && slot.master_priority > 0
            && let Some(master) = contender(self.config.family, slot)
        {
            let other_list = (slot.master_hash != slot.own_hash).then_some(slot.master_count);
            self.compare(&master, other_list, now, fx);
        }
        for source in self.other_masters.silent(now) {
            self.end_notice(&Subject::OtherMaster(source), fx);
        }
        for text in self.notices.outlived(now) {
            self.changed = true;
            fx.say(over(&text));
        }
    }

    /// RFC 9568 section 7.1 (list-log, list-report), RFC 3768 section 7.1 (list-log, list-report).
    fn list_differs(&mut self, source: IpAddr, theirs: u8, now: Instant, fx: &mut Effects) {
        let ours = self.config.addresses.len();
        let text = words::of_list(source, theirs, ours);
        if self.notices.see(Subject::List(source), text, now) {
            self.changed = true;
            fx.say(Notice::ListDiffers {
                source,
                theirs,
                ours,
            });
        }
    }

    /// RFC 9568 section 7.1 (interval-log, interval-report).
    pub(super) fn interval_differs(
        &mut self,
        remark: Remark,
        source: IpAddr,
        now: Instant,
        fx: &mut Effects,
    ) {
        let text = words::of_notice(&remark);
        if self.notices.see(Subject::Interval(source), text, now) {
            self.changed = true;
            fx.say(Notice::Election(remark));
        }
    }

    /// Somebody advertises beside the master, whether that is this host or the one that it follows.
    pub(super) fn note_other_master(
        &mut self,
        advert: &Advert,
        is_overheard: bool,
        now: Instant,
        fx: &mut Effects,
    ) {
        let (source, subject) = (advert.source, Subject::OtherMaster(advert.source));
        let rules = *self.election.rules();
        if advert.priority.is_release() {
            self.other_masters.leave(source);
            return self.end_notice(&subject, fx);
        }
        let text = match self.role() {
            Role::Master if rules.rank(advert) == Rank::Worse => {
                words::of_second_master(source, advert.priority)
            }
            Role::Backup if is_overheard => words::of_overheard_master(source, advert.priority),
            _ => return,
        };
        let is_master = self.other_masters.hear(advert, &rules, now);
        if is_master && self.notices.see(subject, text.clone(), now) {
            fx.say(Notice::Warning(text));
        }
    }

    /// Who is a second master is another question in another state.
    pub(super) fn forget_other_masters(&mut self, fx: &mut Effects) {
        for source in self.other_masters.all() {
            self.end_notice(&Subject::OtherMaster(source), fx);
        }
    }

    /// Virtual addresses on the interface that are somebody else's: while this host is not master two hosts have them, and
    /// what it has found there as master stays when it is not.
    pub fn find_foreign(&mut self, found: &BTreeSet<IpAddr>, now: Instant, fx: &mut Effects) {
        let is_master = self.wanted() == Wanted::Everything;
        let subject = |address| {
            if is_master {
                Subject::ExistingAddress(address)
            } else {
                Subject::ForeignAddress(address)
            }
        };
        for (address, known) in self.notices.theirs() {
            if !found.contains(&address) {
                self.end_notice(&known, fx);
            } else if known != subject(address) {
                // It is still there, and means something else to a host that is master, or is it no more.
                self.notices.end(&known);
            }
        }
        for address in found {
            let text = if is_master {
                words::of_existing(*address)
            } else {
                words::of_foreign(*address)
            };
            if self.notices.see(subject(*address), text.clone(), now) {
                self.changed = true;
                fx.say(Notice::Warning(text));
            }
        }
    }

    pub(super) fn end_notice(&mut self, subject: &Subject, fx: &mut Effects) {
        if let Some(text) = self.notices.end(subject) {
            self.changed = true;
            fx.say(over(&text));
        }
    }

    /// RFC 9568 section 7.1 (log), RFC 3768 section 7.1 (log, interval-log, interval-report).
    pub(super) fn report_reject(&mut self, slot: &Slot, fx: &mut Effects) {
        let last = slot.last_reject;
        let (Some(reject), Some(source)) = (
            Reject::from_index(usize::from(last.reason)),
            known_ip(self.config.family, last.source),
        ) else {
            return;
        };
        if last.at == 0 {
            return;
        }
        let text = format!("adverts from {source} are rejected: {}", reject.name());
        let subject = Subject::Reject(last.reason, last.source);
        if self.notices.see(subject, text, Instant(last.at)) {
            self.changed = true;
            fx.say(Notice::Rejected {
                reason: reject.name(),
                source,
            });
        }
    }
}

fn over(text: &str) -> Notice {
    Notice::Info(format!("no longer so: {text}"))
}
