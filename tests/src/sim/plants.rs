//! Bugs that can be planted, each of which an invariant must find: an invariant that finds nothing proves nothing.

use ha_agent::router::Effect;
use ha_common::election::{Advert, Detector as Part, LastAdvert, Rules};
use ha_common::layout::Slot;
use ha_common::units::Instant;

use super::detector::{Detector, Model};
use super::world::Plant;

/// A bug.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The bug.
    pub plant: Plant,
    /// It shows where hosts have sync groups.
    pub groups: bool,
    /// One of these is said of it.
    pub shows: &'static [&'static str],
}

/// A bug of the effects.
const fn effects(effect: fn(usize, Effect) -> Option<Effect>) -> Plant {
    Plant {
        effect,
        ..Plant::NONE
    }
}

/// A bug of the first node's detector.
const fn detector(detector: fn(usize) -> Box<dyn Detector>) -> Plant {
    Plant {
        detector,
        ..Plant::NONE
    }
}

/// All of them.
pub const BUGS: [Bug; 12] = [
    Bug {
        name: "deaf-master",
        plant: detector(|node| first(node, Fault::DeafWhileMaster)),
        groups: false,
        shows: &["has masters [0, "],
    },
    Bug {
        name: "never-rearms",
        plant: detector(|node| first(node, Fault::NeverRearms)),
        groups: false,
        // It claims the addresses without end, and is answered ever more rarely.
        shows: &[
            "although nothing happened",
            "takes Some(0) for the place of the addresses",
        ],
    },
    Bug {
        name: "never-fires",
        plant: detector(|node| first(node, Fault::NeverFires)),
        groups: false,
        shows: &["has masters []", "does not preempt"],
    },
    Bug {
        name: "keeps-addresses",
        plant: effects(|_, effect| (effect != Effect::ReleaseAddresses).then_some(effect)),
        groups: false,
        shows: &["addresses without a master", "left behind"],
    },
    Bug {
        name: "holds-nothing",
        plant: effects(|_, effect| (effect != Effect::HoldAddresses).then_some(effect)),
        groups: false,
        shows: &["a master without its addresses"],
    },
    Bug {
        name: "silent-master",
        plant: effects(|_, effect| {
            (!matches!(effect, Effect::StartAdverts { .. })).then_some(effect)
        }),
        groups: false,
        shows: &["a master that does not advertise"],
    },
    Bug {
        name: "endless-adverts",
        plant: effects(|_, effect| (!matches!(effect, Effect::StopAdverts(_))).then_some(effect)),
        groups: false,
        shows: &["adverts without a master", "adverts after a stop"],
    },
    Bug {
        name: "forgotten-slot",
        plant: effects(|_, effect| {
            let is_master = matches!(
                effect,
                Effect::Detect {
                    part: Part::Master,
                    ..
                }
            );
            (!is_master).then_some(effect)
        }),
        groups: false,
        shows: &["the slot does not say what the agent is"],
    },
    Bug {
        name: "silent-loser",
        plant: effects(|_, effect| match effect {
            Effect::StopAdverts(LastAdvert::Own) => Some(Effect::StopAdverts(LastAdvert::None)),
            other => Some(other),
        }),
        groups: false,
        shows: &["for the place of the addresses"],
    },
    Bug {
        name: "mute-announcer",
        plant: effects(|node, effect| {
            (node != 0 || !matches!(effect, Effect::Announce(_))).then_some(effect)
        }),
        groups: false,
        shows: &["for the place of the addresses"],
    },
    Bug {
        name: "member-stays-behind",
        // The last member of each host keeps its addresses.
        plant: effects(|node, effect| {
            (node < 2 || effect != Effect::ReleaseAddresses).then_some(effect)
        }),
        groups: true,
        shows: &["addresses without a master", "left behind"],
    },
    Bug {
        name: "member-never-fires",
        plant: detector(|node| first(node, Fault::NeverFires)),
        groups: true,
        shows: &["could lead and does not"],
    },
];

/// The bug of that name.
pub fn named(name: &str) -> Option<&'static Bug> {
    BUGS.iter().find(|bug| bug.name == name)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    DeafWhileMaster,
    NeverRearms,
    NeverFires,
}

/// A detector with a fault.
#[derive(Debug)]
struct Broken {
    inner: Model,
    fault: Fault,
}

fn first(node: usize, fault: Fault) -> Box<dyn Detector> {
    if node == 0 {
        let inner = Model::new();
        Box::new(Broken { inner, fault })
    } else {
        Model::boxed()
    }
}

impl Detector for Broken {
    fn assign(&mut self, now: Instant, part: Part, rules: Rules) {
        self.inner.assign(now, part, rules);
    }

    fn update(&mut self, rules: Rules) {
        self.inner.update(rules);
    }

    fn advert(&mut self, now: Instant, advert: &Advert) -> bool {
        match self.fault {
            Fault::DeafWhileMaster if self.inner.is_master() => false,
            Fault::NeverRearms if !self.inner.is_master() => true,
            Fault::DeafWhileMaster | Fault::NeverRearms | Fault::NeverFires => {
                self.inner.advert(now, advert)
            }
        }
    }

    fn slot(&self) -> Slot {
        let slot = self.inner.slot();
        if self.fault == Fault::NeverFires && slot.deadline != 0 {
            Slot {
                deadline: u64::MAX,
                ..slot
            }
        } else {
            slot
        }
    }
}
