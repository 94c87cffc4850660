//! One tracked thing as a virtual router knows it: a check's result, or an interface's state once it has lasted.

use std::collections::BTreeMap;
use std::fmt;

use ha_common::units::Instant;

use super::debounce::Debounce;
use super::health::Health;
use crate::config::model::{Subject, Track};

/// The largest weight, and so the most that one thing can add.
const MOST: i32 = 253;

/// One entry of `track`, and what is known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackedItem {
    /// As configured.
    pub track: Track,
    /// What was found, whether it is tracked in reverse or not; of an interface what has lasted.
    pub health: Health,
    /// The interface's present state, if it is an interface.
    pub link: Option<LinkStatus>,
    debounce: Debounce,
}

/// What the kernel tells of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ObservedLink {
    /// Switched on.
    pub admin_up: bool,
    /// It has a carrier, and may be used.
    pub oper_up: bool,
    /// How often its carrier came or went.
    pub carrier_changes: u32,
}

/// The interfaces that are tracked and there, by name.
pub type ObservedLinks = BTreeMap<String, ObservedLink>;

/// The state of a tracked interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkStatus {
    /// There is none of that name.
    Gone,
    /// It is switched off.
    Off,
    /// It is switched on and has no carrier, or may not be used for another reason.
    NoCarrier,
    /// It works.
    Works,
}

impl fmt::Display for LinkStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "no such interface",
            Self::Off => "switched off",
            Self::NoCarrier => "no carrier",
            Self::Works => "up",
        })
    }
}

impl From<Option<ObservedLink>> for LinkStatus {
    fn from(link: Option<ObservedLink>) -> Self {
        match link {
            None => Self::Gone,
            Some(link) if !link.admin_up => Self::Off,
            Some(link) if !link.oper_up => Self::NoCarrier,
            Some(_) => Self::Works,
        }
    }
}

impl LinkStatus {
    const fn is_up(self, carrier: bool) -> bool {
        match self {
            Self::Gone | Self::Off => false,
            Self::NoCarrier => !carrier,
            Self::Works => true,
        }
    }
}

impl TrackedItem {
    /// An entry of which nothing is known yet.
    pub fn new(track: &Track) -> Self {
        Self {
            debounce: Debounce::new(track.delay),
            track: track.clone(),
            health: Health::Pending,
            link: None,
        }
    }

    /// An entry after a reload: of what was tracked before, everything known stays.
    pub fn renewed(track: &Track, before: &[Self]) -> Self {
        let known = before
            .iter()
            .find(|item| item.track.subject == track.subject);
        match known {
            None => Self::new(track),
            Some(item) => Self {
                debounce: if item.track.delay == track.delay {
                    item.debounce
                } else {
                    item.debounce.with_delay(track.delay)
                },
                track: track.clone(),
                health: item.health,
                link: item.link,
            },
        }
    }

    /// The check of that name has a result; true if it is this one.
    pub fn on_check(&mut self, check: &str, health: Health) -> bool {
        let ours = self.track.check_name() == Some(check);
        if ours {
            self.health = health;
        }
        ours
    }

    /// The interfaces may have changed. True if anything of this one did.
    pub fn on_links(&mut self, links: &ObservedLinks, now: Instant) -> bool {
        let Subject::Interface { name, carrier } = &self.track.subject else {
            return false;
        };
        let found = links.get(name).copied();
        let status = LinkStatus::from(found);
        let before = (self.health, self.link);
        self.link = Some(status);
        let changes = found.map_or(0, |link| link.carrier_changes);
        self.debounce.see(now, status.is_up(*carrier), changes);
        self.settle();
        before != (self.health, self.link)
    }

    /// When to call [`Self::on_timeout`].
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.debounce.due()
    }

    /// Settles what has lasted until now; true if that is news.
    pub fn on_timeout(&mut self, now: Instant) -> bool {
        let news = self.debounce.tick(now);
        if news {
            self.settle();
        }
        news
    }

    fn settle(&mut self) {
        self.health = match self.debounce.believed() {
            None => Health::Pending,
            Some(true) => Health::Up,
            Some(false) => Health::Down,
        };
    }

    /// A check that has said nothing yet is taken to say what lets its positive weight count.
    pub fn assume_up(&mut self) {
        let adds = self.track.weight.is_some_and(|weight| weight > 0);
        if adds && self.health == Health::Pending {
            self.health = if self.track.reverse {
                Health::Down
            } else {
                Health::Up
            };
        }
    }

    /// What counts: the opposite of what was found, if it is tracked in reverse.
    pub fn counts_as(&self) -> Health {
        match (self.health, self.track.reverse) {
            (Health::Up, true) => Health::Down,
            (Health::Down, true) => Health::Up,
            (health, _) => health,
        }
    }

    /// What is being added now: a negative weight while it fails, a positive one while it succeeds; what a
    /// file says, times the weight.
    pub fn applied(&self) -> i16 {
        match (self.track.weight, self.counts_as()) {
            (factor, Health::Weight(number)) => {
                let sign = if self.track.reverse { -1 } else { 1 };
                let product = i32::from(number) * i32::from(factor.unwrap_or(1)) * sign;
                i16::try_from(product.clamp(-MOST, MOST)).unwrap_or(0)
            }
            (Some(weight), Health::Down) if weight < 0 => weight,
            (Some(weight), Health::Up) if weight > 0 => weight,
            _ => 0,
        }
    }

    /// The weight, if it has one: without another, that of a number in a file is 1.
    pub fn weight(&self) -> Option<i16> {
        match self.health {
            Health::Weight(_) => Some(self.track.weight.unwrap_or(1)),
            Health::Pending | Health::Up | Health::Down => self.track.weight,
        }
    }

    /// What is known, if it decides whether the instance may take part at all.
    pub fn decides(&self) -> Option<Health> {
        match self.weight() {
            None => Some(self.counts_as()),
            Some(_) => None,
        }
    }
}

/// As it stands in the sum: `nginx`, `interface eth1`, `nginx reversed`.
impl fmt::Display for TrackedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reversed = if self.track.reverse { " reversed" } else { "" };
        write!(f, "{}{reversed}", self.track.subject)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ha_common::units::Nanos;

    use super::*;
    use crate::config::model::Delay;

    fn interface(carrier: bool) -> Track {
        Track {
            subject: Subject::Interface {
                name: "eth1".to_owned(),
                carrier,
            },
            ..Track::check("")
        }
    }

    /// `eth1` is switched on and has a carrier, or not; there is no other interface.
    fn eth1(admin_up: bool, oper_up: bool) -> ObservedLinks {
        let link = ObservedLink {
            admin_up,
            oper_up,
            carrier_changes: 0,
        };
        ObservedLinks::from([("eth1".to_owned(), link)])
    }

    #[test]
    fn an_interface_fails_if_it_is_gone_or_off_or_has_no_carrier_where_that_counts() {
        for (link, carrier, health, status) in [
            (None, true, Health::Down, LinkStatus::Gone),
            (None, false, Health::Down, LinkStatus::Gone),
            (Some((false, false)), true, Health::Down, LinkStatus::Off),
            (Some((false, false)), false, Health::Down, LinkStatus::Off),
            (
                Some((true, false)),
                true,
                Health::Down,
                LinkStatus::NoCarrier,
            ),
            (
                Some((true, false)),
                false,
                Health::Up,
                LinkStatus::NoCarrier,
            ),
            (Some((true, true)), true, Health::Up, LinkStatus::Works),
            (Some((true, true)), false, Health::Up, LinkStatus::Works),
        ] {
            let links = link.map_or_else(ObservedLinks::new, |(admin, oper)| eth1(admin, oper));
            let mut item = TrackedItem::new(&interface(carrier));
            assert_eq!(item.health, Health::Pending);
            assert!(item.on_links(&links, Instant(0)));
            assert_eq!((item.health, item.link), (health, Some(status)));
            assert!(!item.on_links(&links, Instant(1)), "the same is no news");
        }
    }

    #[test]
    fn in_reverse_failure_and_success_change_places_and_nothing_known_stays_so() {
        for (weight, reverse, health, applied) in [
            (-20, false, Health::Down, -20),
            (-20, true, Health::Down, 0),
            (-20, true, Health::Up, -20),
            (30, false, Health::Up, 30),
            (30, true, Health::Up, 0),
            (30, true, Health::Down, 30),
            (30, true, Health::Pending, 0),
            (-20, true, Health::Pending, 0),
        ] {
            let mut item = TrackedItem::new(&Track {
                weight: Some(weight),
                reverse,
                ..Track::check("nginx")
            });
            assert!(item.on_check("nginx", health));
            assert_eq!(item.applied(), applied, "{weight} {reverse} {health:?}");
        }
    }

    #[test]
    fn a_number_is_multiplied_by_the_weight_and_never_a_fault() {
        for (weight, reverse, number, applied) in [
            (None, false, 30, 30),
            (None, false, -30, -30),
            (None, true, 30, -30),
            (None, false, 0, 0),
            (Some(-2), false, 30, -60),
            (Some(-2), true, 30, 60),
            (Some(253), false, 253, 253),
            (Some(253), false, -253, -253),
            (Some(-253), true, i16::MIN, -253),
        ] {
            let mut item = TrackedItem::new(&Track {
                weight,
                reverse,
                ..Track::check("load")
            });
            item.on_check("load", Health::Weight(number));
            assert_eq!(item.applied(), applied, "{weight:?} {reverse} {number}");
            assert_eq!(item.decides(), None);
            assert_eq!(item.weight(), Some(weight.unwrap_or(1)));
        }
    }

    #[test]
    fn another_checks_word_and_other_interfaces_are_no_news() {
        let mut item = TrackedItem::new(&Track::check("nginx"));
        assert!(!item.on_check("haproxy", Health::Down));
        assert!(!item.on_links(&eth1(false, false), Instant(0)));
        assert_eq!(item.health, Health::Pending);
        let mut item = TrackedItem::new(&interface(true));
        assert!(!item.on_check("eth1", Health::Down));
        assert_eq!(item.health, Health::Pending);
    }

    #[test]
    fn a_reload_keeps_what_is_known_of_what_stays_tracked() {
        let second = Nanos::from_millis(1000);
        let delay = Delay {
            down: Duration::from_secs(1),
            up: Duration::ZERO,
        };
        let slow = Track {
            delay,
            ..interface(true)
        };
        let mut item = TrackedItem::new(&slow);
        item.on_links(&eth1(true, true), Instant(0));
        item.on_links(&eth1(true, false), Instant(5));
        let weighed = Track {
            weight: Some(-5),
            ..slow.clone()
        };
        let kept = TrackedItem::renewed(&weighed, std::slice::from_ref(&item));
        assert_eq!(kept.health, Health::Up);
        assert_eq!(
            kept.next_deadline(),
            Some(Instant(5) + second),
            "the wait goes on"
        );
        assert_eq!(kept.track.weight, Some(-5));
        // The wait is another one now, so it begins with the next look.
        let mut quick = TrackedItem::renewed(&interface(true), std::slice::from_ref(&item));
        assert_eq!((quick.health, quick.next_deadline()), (Health::Up, None));
        quick.on_links(&eth1(true, false), Instant(6));
        assert_eq!(quick.health, Health::Down);
        // Whether the carrier counts makes it another thing to look at.
        let other = TrackedItem::renewed(&interface(false), &[item]);
        assert_eq!(other.health, Health::Pending);
    }

    #[test]
    fn the_sum_names_what_is_added() {
        let reversed = Track {
            reverse: true,
            ..Track::check("nginx")
        };
        for (track, name) in [
            (Track::check("nginx"), "nginx"),
            (reversed, "nginx reversed"),
            (interface(true), "interface eth1"),
        ] {
            assert_eq!(TrackedItem::new(&track).to_string(), name);
        }
    }
}
