//! One tracked thing as an instance knows it: a check's word, or an interface's state once it has lasted.

use std::fmt;

use ha_common::units::Instant;

use super::debounce::Debounce;
use super::priority::Health;
use crate::config::model::{Subject, Track};
use crate::net::links::{Link, LinkTable};

/// The largest weight, and so the most that one thing can add.
const MOST: i32 = 253;

/// One entry of `track`, and what is known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Term {
    /// As configured.
    pub track: Track,
    /// What was found, whether it is tracked in reverse or not; of an interface what is believed.
    pub health: Health,
    /// What the interface looks like, if it is one that was looked at.
    pub sight: Option<Sight>,
    debounce: Debounce,
}

/// What a tracked interface looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sight {
    /// There is none of that name.
    Gone,
    /// It is switched off.
    Off,
    /// It is switched on and has no carrier, or may not be used for another reason.
    NoCarrier,
    /// It works.
    Works,
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "there is none of that name",
            Self::Off => "switched off",
            Self::NoCarrier => "no carrier",
            Self::Works => "up",
        })
    }
}

impl Sight {
    fn of(link: Option<&Link>) -> Self {
        match link {
            None => Self::Gone,
            Some(link) if !link.admin_up => Self::Off,
            Some(link) if !link.oper_up => Self::NoCarrier,
            Some(_) => Self::Works,
        }
    }

    const fn is_up(self, carrier: bool) -> bool {
        match self {
            Self::Gone | Self::Off => false,
            Self::NoCarrier => !carrier,
            Self::Works => true,
        }
    }
}

impl Term {
    /// The term of a track entry, before anything is known.
    pub fn new(track: &Track) -> Self {
        Self {
            debounce: Debounce::new(track.delay),
            track: track.clone(),
            health: Health::Pending,
            sight: None,
        }
    }

    /// The term of a track entry after a reload: of what was tracked before, everything known stays.
    pub fn renewed(track: &Track, before: &[Self]) -> Self {
        let known = before
            .iter()
            .find(|term| term.track.subject == track.subject);
        match known {
            None => Self::new(track),
            Some(term) => Self {
                debounce: if term.track.delay == track.delay {
                    term.debounce
                } else {
                    term.debounce.with_delay(track.delay)
                },
                track: track.clone(),
                health: term.health,
                sight: term.sight,
            },
        }
    }

    /// The check of that name has news; true if it is ours.
    pub fn hear(&mut self, check: &str, health: Health) -> bool {
        let ours = self.track.check_name() == Some(check);
        if ours {
            self.health = health;
        }
        ours
    }

    /// The interfaces are these. True if anything is new that somebody may want to see.
    pub fn look(&mut self, links: &LinkTable, now: Instant) -> bool {
        let Subject::Interface { name, carrier } = &self.track.subject else {
            return false;
        };
        let link = links.by_name(name);
        let sight = Sight::of(link);
        let before = (self.health, self.sight);
        self.sight = Some(sight);
        let changes = link.map_or(0, |link| link.carrier_changes);
        self.debounce.see(now, sight.is_up(*carrier), changes);
        self.believe();
        before != (self.health, self.sight)
    }

    /// When to call `tick`.
    pub const fn due(&self) -> Option<Instant> {
        self.debounce.due()
    }

    /// Believes what has lasted until now; true if that is news.
    pub fn tick(&mut self, now: Instant) -> bool {
        let news = self.debounce.tick(now);
        if news {
            self.believe();
        }
        news
    }

    fn believe(&mut self) {
        self.health = match self.debounce.believed() {
            None => Health::Pending,
            Some(true) => Health::Up,
            Some(false) => Health::Down,
        };
    }

    /// A check that has said nothing yet is taken to say what lets its positive weight count.
    pub fn hope(&mut self) {
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
impl fmt::Display for Term {
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
    use crate::net::links::tests::{link, table};

    fn interface(carrier: bool) -> Track {
        Track {
            subject: Subject::Interface {
                name: "eth1".to_owned(),
                carrier,
            },
            ..Track::check("")
        }
    }

    /// A table in which `eth1` is switched on and has a carrier, or not.
    fn links(admin_up: bool, oper_up: bool) -> LinkTable {
        let mut eth1 = link(3, "eth1", &[]);
        (eth1.admin_up, eth1.oper_up) = (admin_up, oper_up);
        table(&[link(2, "eth0", &[]), eth1])
    }

    #[test]
    fn an_interface_fails_if_it_is_gone_or_off_or_has_no_carrier_where_that_counts() {
        let gone = table(&[link(2, "eth0", &[])]);
        for (links, carrier, health, sight) in [
            (&gone, true, Health::Down, Sight::Gone),
            (&gone, false, Health::Down, Sight::Gone),
            (&links(false, false), true, Health::Down, Sight::Off),
            (&links(false, false), false, Health::Down, Sight::Off),
            (&links(true, false), true, Health::Down, Sight::NoCarrier),
            (&links(true, false), false, Health::Up, Sight::NoCarrier),
            (&links(true, true), true, Health::Up, Sight::Works),
            (&links(true, true), false, Health::Up, Sight::Works),
        ] {
            let mut term = Term::new(&interface(carrier));
            assert_eq!(term.health, Health::Pending);
            assert!(term.look(links, Instant(0)));
            assert_eq!((term.health, term.sight), (health, Some(sight)));
            assert!(!term.look(links, Instant(1)), "the same is no news");
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
            let mut term = Term::new(&Track {
                weight: Some(weight),
                reverse,
                ..Track::check("nginx")
            });
            assert!(term.hear("nginx", health));
            assert_eq!(term.applied(), applied, "{weight} {reverse} {health:?}");
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
            let mut term = Term::new(&Track {
                weight,
                reverse,
                ..Track::check("load")
            });
            term.hear("load", Health::Weight(number));
            assert_eq!(term.applied(), applied, "{weight:?} {reverse} {number}");
            assert_eq!(term.decides(), None);
            assert_eq!(term.weight(), Some(weight.unwrap_or(1)));
        }
    }

    #[test]
    fn another_checks_word_and_other_interfaces_are_no_news() {
        let mut term = Term::new(&Track::check("nginx"));
        assert!(!term.hear("haproxy", Health::Down));
        assert!(!term.look(&links(false, false), Instant(0)));
        assert_eq!(term.health, Health::Pending);
        let mut term = Term::new(&interface(true));
        assert!(!term.hear("eth1", Health::Down));
        assert_eq!(term.health, Health::Pending);
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
        let mut term = Term::new(&slow);
        term.look(&links(true, true), Instant(0));
        term.look(&links(true, false), Instant(5));
        let weighed = Track {
            weight: Some(-5),
            ..slow.clone()
        };
        let kept = Term::renewed(&weighed, std::slice::from_ref(&term));
        assert_eq!(kept.health, Health::Up);
        assert_eq!(kept.due(), Some(Instant(5) + second), "the wait goes on");
        assert_eq!(kept.track.weight, Some(-5));
        // The wait is another one now, so it begins with the next look.
        let mut quick = Term::renewed(&interface(true), std::slice::from_ref(&term));
        assert_eq!((quick.health, quick.due()), (Health::Up, None));
        quick.look(&links(true, false), Instant(6));
        assert_eq!(quick.health, Health::Down);
        // Whether the carrier counts makes it another thing to look at.
        let other = Term::renewed(&interface(false), &[term]);
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
            assert_eq!(Term::new(&track).to_string(), name);
        }
    }
}
