//! What is worth telling people: state changes, and oddities once for as long as they stay the same.

use std::net::IpAddr;

use ha_common::election::{self, Transition};
use ha_common::units::{Instant, Nanos};
use ipnet::IpNet;

use crate::config::model::Datapath;

/// Something to tell people of a router.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Its state changed.
    Transition {
        /// From where to where.
        transition: Transition,
        /// Why, with names in place of numbers.
        cause: String,
        /// The effective priority, with its reasons.
        priority: String,
    },
    /// Its election found something remarkable.
    Election(election::Notice),
    /// Another router lists other addresses (RFC 9568 section 7.1).
    ListDiffers {
        /// The other one.
        source: IpAddr,
        /// How many it lists.
        theirs: u8,
        /// How many are configured here.
        ours: usize,
    },
    /// Adverts of a source are rejected.
    Rejected {
        reason: &'static str,
        /// From where.
        source: IpAddr,
    },
    /// Something else removed an address; it is back.
    Restored(IpNet),
    /// An address that an earlier life left behind was removed.
    Leftover(IpNet),
    /// It receives adverts by this from now on.
    Attached {
        /// By what.
        datapath: Datapath,
        because: String,
        /// Why not by others.
        refusals: Vec<String>,
        /// Whether the kernel keeps the deadline.
        kernel_timer: bool,
    },
    /// For the record.
    Info(String),
    /// A person should look at this.
    Warning(String),
    /// Something did not work.
    Failed(String),
}

/// How many oddities are known at a time. Others could fill any memory.
const MOST: usize = 32;

/// Adverts that are rejected no more are a matter of the past after this: longer than any interval.
const REJECTS_END: Nanos = Nanos::from_millis(300_000);

/// What a notice is about: told once for as long as it lasts, and again when it comes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    /// Adverts of a source are rejected for this reason.
    Reject(u8, [u8; 16]),
    /// A source lists other addresses.
    List(IpAddr),
    /// A source has another interval.
    Interval(IpAddr),
    /// A source is master as well.
    OtherMaster(IpAddr),
    /// The clock of a source differs from ours.
    Clock(IpAddr),
    /// An address that somebody else has put on the interface of a host that is not master.
    ForeignAddress(IpAddr),
    /// An address that was on the interface when the agent was to add it as master.
    ExistingAddress(IpAddr),
    /// It takes part as a last resort.
    LastResort,
    /// Something else writes into the kernel's maps.
    Overwritten,
    /// This agent stalled: the last time.
    Stall,
    /// Something that happened, and that nothing ends.
    Event(String),
}

/// Something that is, or was, not as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    subject: Subject,
    pub text: String,
    /// When it was first seen.
    pub since: Instant,
    /// When it was last seen.
    pub last: Instant,
}

/// What has been told already, and is not over.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    told: Vec<Told>,
    /// What was seen before that is of no interest any more.
    from: Instant,
}

impl Told {
    /// Whose list of addresses is another one, if it is about that.
    pub fn other_list(&self) -> Option<IpAddr> {
        match self.subject {
            Subject::List(source) => Some(source),
            _ => None,
        }
    }
}

impl Notices {
    /// Nothing yet; what was seen before `now` was another life's.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            told: Vec::new(),
            from: now,
        }
    }

    /// What `status` shows, oldest first.
    pub fn told(&self) -> &[Told] {
        &self.told
    }

    /// It was seen at this time. True if that is news, and there is room to remember it.
    pub(super) fn see(&mut self, subject: Subject, text: String, at: Instant) -> bool {
        if let Some(told) = self.told.iter_mut().find(|told| told.subject == subject) {
            (told.text, told.last) = (text, told.last.max(at));
            return false;
        }
        let news = at >= self.from && self.told.len() < MOST;
        if news {
            let (since, last) = (at, at);
            self.told.push(Told {
                subject,
                text,
                since,
                last,
            });
        }
        news
    }

    /// Whether there is a notice that this address is somebody else's.
    pub fn is_theirs(&self, address: IpAddr) -> bool {
        self.theirs().iter().any(|(theirs, _)| *theirs == address)
    }

    /// Addresses of somebody else whose notice is not over.
    pub(super) fn theirs(&self) -> Vec<(IpAddr, Subject)> {
        let subjects = self.told.iter().map(|told| &told.subject);
        let address = |subject: &Subject| match subject {
            Subject::ForeignAddress(address) | Subject::ExistingAddress(address) => {
                Some((*address, subject.clone()))
            }
            _ => None,
        };
        subjects.filter_map(address).collect()
    }

    /// It is over. What it was, if it was known.
    pub(super) fn end(&mut self, subject: &Subject) -> Option<String> {
        let place = self.told.iter().position(|told| told.subject == *subject)?;
        Some(self.told.remove(place).text)
    }

    /// What has not been seen for long is over; what it was.
    pub(super) fn outlived(&mut self, now: Instant) -> Vec<String> {
        let is_over = |told: &Told| {
            matches!(told.subject, Subject::Reject(..) | Subject::Clock(_))
                && now.since(told.last) > REJECTS_END
        };
        let over: Vec<String> = self
            .told
            .iter()
            .filter(|told| is_over(told))
            .map(|told| told.text.clone())
            .collect();
        self.told.retain(|told| !is_over(told));
        over
    }

    /// The configuration is another one: what is still wrong will be seen anew.
    pub(super) fn forget(&mut self, now: Instant) {
        self.told
            .retain(|told| matches!(told.subject, Subject::Event(_) | Subject::Stall));
        self.from = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant(0) + Nanos::from_millis(seconds * 1000)
    }

    fn reject() -> Subject {
        Subject::Reject(3, [1; 16])
    }

    #[test]
    fn what_is_over_is_told_again_when_it_comes_back() {
        let list = || Subject::List(IpAddr::from([10, 99, 0, 1]));
        let mut notices = Notices::new(at(0));
        assert!(notices.see(list(), "2 of 1".to_owned(), at(1)));
        assert!(!notices.see(list(), "3 of 1".to_owned(), at(5)));
        let [told] = notices.told() else { panic!() };
        assert_eq!(
            (told.text.as_str(), told.since, told.last),
            ("3 of 1", at(1), at(5))
        );
        assert_eq!(notices.end(&list()).as_deref(), Some("3 of 1"));
        assert_eq!(notices.end(&list()), None);
        assert!(notices.see(list(), "2 of 1".to_owned(), at(9)));
    }

    #[test]
    fn rejects_that_have_stopped_are_over_after_a_while_and_what_happened_stays() {
        let mut notices = Notices::new(at(0));
        notices.see(reject(), "rejected".to_owned(), at(1));
        notices.see(
            Subject::Event("restart".to_owned()),
            "restart".to_owned(),
            at(1),
        );
        assert!(notices.outlived(at(301)).is_empty());
        // The slot shows the last one for ever: that is no new one.
        notices.see(reject(), "rejected".to_owned(), at(1));
        assert_eq!(notices.outlived(at(302)), ["rejected"]);
        assert_eq!(notices.told().len(), 1);
    }

    #[test]
    fn what_was_seen_before_a_reload_or_by_another_life_is_no_news() {
        let mut notices = Notices::new(at(10));
        assert!(!notices.see(reject(), "rejected".to_owned(), at(9)));
        assert!(notices.see(reject(), "rejected".to_owned(), at(11)));
        notices.forget(at(20));
        assert!(notices.told().is_empty());
        assert!(!notices.see(reject(), "rejected".to_owned(), at(11)));
        assert!(notices.see(reject(), "rejected".to_owned(), at(21)));
    }

    #[test]
    fn others_cannot_fill_the_memory() {
        let mut notices = Notices::new(at(0));
        let news = (0..=255).filter(|last| {
            let subject = Subject::Interval(IpAddr::from([10, 99, 0, *last]));
            notices.see(subject, String::new(), at(1))
        });
        assert_eq!(news.count(), MOST);
    }
}
