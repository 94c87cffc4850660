//! Bugs that can be injected. Each breaks an invariant, and each invariant is broken by one of them: an invariant that
//! finds nothing proves nothing.

use ha_agent::driver::sender::schedule::Timing;
use ha_agent::router::{Effect, Wanted};
use ha_common::election::{Advert, Detector as Part, LastAdvert, Role, Rules};
use ha_common::layout::Slot;
use ha_common::units::{Instant, Nanos};

use crate::detector::{Detector, Model, Told};
use crate::invariants::Invariant;

/// Where a bug is injected: what each of these hands on is what the agent's parts are given.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Makes the detector of each node.
    pub detector: fn(usize) -> Box<dyn Detector>,
    /// What a node's driver makes of an effect; its router plays this role by then.
    pub effect: fn(usize, Role, Effect) -> Option<Effect>,
    /// What a sender takes for its adverts' timing.
    pub timing: fn(Timing) -> Timing,
    /// What a sender takes for the end of its lease.
    pub lease: fn(Instant) -> Instant,
    /// Whether the turn of a router that plays this role by then brings its group in step.
    pub syncs: fn(Role) -> bool,
}

impl Hooks {
    /// No bug.
    pub const NONE: Self = Self {
        detector: |_| Model::boxed(),
        effect: |_, _, effect| Some(effect),
        timing: |timing| timing,
        lease: |until| until,
        syncs: |_| true,
    };
}

/// A bug.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The bug.
    pub hooks: Hooks,
    /// It shows where hosts have sync groups.
    pub groups: bool,
    /// What it breaks.
    pub breaks: Invariant,
}

const fn effects(
    name: &'static str,
    breaks: Invariant,
    effect: fn(usize, Role, Effect) -> Option<Effect>,
) -> Bug {
    let hooks = Hooks {
        effect,
        ..Hooks::NONE
    };
    alone(name, breaks, hooks)
}

/// A bug of the first node's detector.
const fn detector(
    name: &'static str,
    breaks: Invariant,
    detector: fn(usize) -> Box<dyn Detector>,
) -> Bug {
    let hooks = Hooks {
        detector,
        ..Hooks::NONE
    };
    alone(name, breaks, hooks)
}

const fn alone(name: &'static str, breaks: Invariant, hooks: Hooks) -> Bug {
    Bug {
        name,
        hooks,
        groups: false,
        breaks,
    }
}

/// The same where hosts have sync groups.
const fn grouped(bug: Bug) -> Bug {
    Bug {
        groups: true,
        ..bug
    }
}

/// All of them.
pub const BUGS: &[Bug] = &[
    detector("deaf-master", Invariant::OneMaster, |node| {
        first(node, Fault::DeafWhileMaster)
    }),
    detector("never-fires", Invariant::OneMaster, |node| {
        first(node, Fault::NeverFires)
    }),
    // It claims the addresses without end, and is answered ever more rarely.
    detector("never-rearms", Invariant::RestIsStable, |node| {
        first(node, Fault::NeverRearms)
    }),
    detector("never-preempts", Invariant::BestIsMaster, |node| {
        first(node, Fault::NeverPreempts)
    }),
    detector("tells-everything", Invariant::RestIsSilent, |node| {
        first(node, Fault::TellsEverything)
    }),
    effects(
        "holds-nothing",
        Invariant::MasterHoldsAddresses,
        |_, _, effect| (effect != Effect::Want(Wanted::Everything)).then_some(effect),
    ),
    effects(
        "keeps-addresses",
        Invariant::OnlyMasterHoldsAddresses,
        |_, _, effect| (effect != Effect::Want(Wanted::Nothing)).then_some(effect),
    ),
    effects(
        "leaves-addresses",
        Invariant::StopLeavesNoAddresses,
        |_, role, effect| {
            (role != Role::Stopped || effect != Effect::Want(Wanted::Nothing)).then_some(effect)
        },
    ),
    effects(
        "silent-master",
        Invariant::MasterAdvertises,
        |_, _, effect| (!matches!(effect, Effect::StartAdverts { .. })).then_some(effect),
    ),
    effects(
        "endless-adverts",
        Invariant::OnlyMasterAdvertises,
        |_, _, effect| (!matches!(effect, Effect::StopAdverts(_))).then_some(effect),
    ),
    effects(
        "posthumous-adverts",
        Invariant::StopEndsAdverts,
        |_, role, effect| {
            (role != Role::Stopped || !matches!(effect, Effect::StopAdverts(_))).then_some(effect)
        },
    ),
    effects("forgotten-slot", Invariant::SlotAgrees, |_, _, effect| {
        let is_master = matches!(
            effect,
            Effect::Detect {
                part: Part::Master,
                ..
            }
        );
        (!is_master).then_some(effect)
    }),
    effects(
        "silent-loser",
        Invariant::CachesAreRight,
        |_, _, effect| match effect {
            Effect::StopAdverts(LastAdvert::Own) => Some(Effect::StopAdverts(LastAdvert::None)),
            other => Some(other),
        },
    ),
    effects(
        "mute-announcer",
        Invariant::CachesAreRight,
        |node, _, effect| (node != 0 || !matches!(effect, Effect::Announce(_))).then_some(effect),
    ),
    alone(
        "endless-lease",
        Invariant::LeaseEndsAdverts,
        Hooks {
            lease: |_| Instant(u64::MAX),
            ..Hooks::NONE
        },
    ),
    alone(
        "sleepwalker",
        Invariant::SleeperAsksFirst,
        Hooks {
            timing: |timing| Timing {
                overslept: Nanos(u64::MAX),
                ..timing
            },
            ..Hooks::NONE
        },
    ),
    // The last member of each host keeps its addresses.
    grouped(effects(
        "member-stays-behind",
        Invariant::OnlyMasterHoldsAddresses,
        |node, _, effect| (node < 2 || effect != Effect::Want(Wanted::Nothing)).then_some(effect),
    )),
    grouped(detector(
        "member-never-fires",
        Invariant::GroupIsLed,
        |node| first(node, Fault::NeverFires),
    )),
    grouped(detector(
        "deaf-member",
        Invariant::GroupHasOneLeader,
        |node| first(node, Fault::DeafWhileMaster),
    )),
    grouped(alone(
        "untold-group",
        Invariant::GroupLeadsWhole,
        Hooks {
            syncs: |role| role != Role::Fault,
            ..Hooks::NONE
        },
    )),
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
    NeverPreempts,
    TellsEverything,
}

/// A detector with a fault.
#[derive(Debug)]
struct Broken {
    inner: Model,
    fault: Fault,
    /// Of the first one's slot, what the agent reads.
    shown: Slot,
}

fn first(node: usize, fault: Fault) -> Box<dyn Detector> {
    if node != 0 {
        return Model::boxed();
    }
    let inner = Model::new();
    let shown = *inner.slot();
    Box::new(Broken {
        inner,
        fault,
        shown,
    })
}

impl Broken {
    fn understood(&self, rules: Rules) -> Rules {
        let preempt = rules.preempt && self.fault != Fault::NeverPreempts;
        Rules { preempt, ..rules }
    }

    fn show(&mut self) {
        self.shown = *self.inner.slot();
        match self.fault {
            Fault::NeverFires if self.shown.deadline != 0 => self.shown.deadline = u64::MAX,
            // Of each advert, it says.
            Fault::TellsEverything => self.shown.events = self.shown.adverts,
            _ => {}
        }
    }
}

impl Detector for Broken {
    fn assign(&mut self, now: Instant, part: Part, rules: Rules) {
        let rules = self.understood(rules);
        self.inner.assign(now, part, rules);
        self.show();
    }

    fn update(&mut self, rules: Rules) {
        let rules = self.understood(rules);
        self.inner.update(rules);
        self.show();
    }

    fn advert(&mut self, now: Instant, advert: &Advert) -> Option<Told> {
        let deaf = self.fault == Fault::DeafWhileMaster && self.inner.is_master();
        let stuck = self.fault == Fault::NeverRearms && !self.inner.is_master();
        let told = if deaf || stuck {
            None
        } else {
            self.inner.advert(now, advert)
        };
        self.show();
        let always = stuck || self.fault == Fault::TellsEverything;
        told.or_else(|| always.then(|| Told::of(self.inner.slot(), advert)))
    }

    fn slot(&self) -> &Slot {
        &self.shown
    }
}
