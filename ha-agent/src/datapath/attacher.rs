//! The thread that attaches programs to interfaces, and keeps them there.
//!
//! Attaching waits for the kernel's lock of all network configuration, and a card's driver may take seconds over it:
//! the driver thread must not. It only says what is wanted; what has come of it is a value that it can look at at
//! any time. What failed is tried again by time, and what somebody else has taken off is put back.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use arc_swap::ArcSwap;

use super::attach::{self, Attachment, Others, Target, XdpLinks};
use super::object::Programs;
use super::pins::PinnedLinks;
use super::suitability::{self, Facts};
use crate::config::model::{Datapath, DatapathChoice};
use crate::net::links::{LinkKind, LinkLayer};
use crate::net::offload;
use crate::status::instance::Refusal;

/// Between two looks whether programs are still where they were put, and attempts to attach what was refused.
const LOOK: Duration = Duration::from_secs(2);

/// What is wanted on an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WantedHook {
    pub target: Target,
    /// Which interface of that index it is.
    pub life: u64,
    /// What it is.
    pub kind: LinkKind,
    /// What its frames begin with.
    pub link_layer: LinkLayer,
    /// VLAN devices above it.
    pub vlans_above: Vec<String>,
    /// How adverts are to be received.
    pub choice: DatapathChoice,
    /// How else if that cannot be had: what is there by it stays meanwhile.
    pub fallback: Option<DatapathChoice>,
}

/// What has come of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What was wanted.
    pub wanted: WantedHook,
    /// What runs, and by what kind of link; `None`: nothing can, or not yet again.
    pub attached: Option<(Datapath, &'static str)>,
    /// Why it runs.
    pub because: String,
    /// Why the others do not.
    pub refusals: Vec<Refusal>,
    /// Why the choice cannot be had, if what runs is by the fallback.
    pub fell_back: Option<Vec<Refusal>>,
    /// What else a person should know.
    pub notes: Vec<String>,
    /// How often it was gone and was attached again.
    pub reattached: u64,
    /// When it was attached or detached last; a card may be without link for a while then.
    pub changed: Instant,
}

/// By interface.
pub type Outcomes = HashMap<u32, Arc<Outcome>>;

/// What to do.
enum Order {
    /// These are wanted, and no others.
    Want(HashMap<u32, WantedHook>),
    /// Leave: tc programs go, those of XDP stay where they are pinned.
    Leave,
}

/// The thread, seen from outside.
#[derive(Debug)]
pub struct Attacher {
    orders: Sender<Order>,
    outcomes: Arc<ArcSwap<Outcomes>>,
    thread: Option<JoinHandle<()>>,
}

impl Attacher {
    /// Starts it; `bell` is rung, on its thread, whenever an outcome changes.
    pub fn start(
        programs: Programs,
        pins: Option<PinnedLinks>,
        bell: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, received) = mpsc::channel();
        let outcomes = Arc::new(ArcSwap::default());
        let shown = Arc::clone(&outcomes);
        let thread = thread::Builder::new()
            .name("ha-attach".to_owned())
            .spawn(move || {
                let (pin_dir, strangers) = match pins {
                    Some(pins) => (Some(pins.dir), pins.strangers),
                    None => (None, XdpLinks::Keep),
                };
                let mut worker = Worker {
                    programs,
                    pin_dir,
                    strangers,
                    wanted: HashMap::new(),
                    held: HashMap::new(),
                    told: false,
                    cleared: false,
                    outcomes: shown,
                };
                worker.run(&received, &bell);
            })?;
        Ok(Self {
            orders,
            outcomes,
            thread: Some(thread),
        })
    }

    /// What is wanted from now on; never waits.
    pub fn want(&self, wanted: HashMap<u32, WantedHook>) {
        // A thread that is gone has panicked, which the log has told.
        let _ = self.orders.send(Order::Want(wanted));
    }

    /// What has come of it so far.
    pub fn outcomes(&self) -> Arc<Outcomes> {
        self.outcomes.load_full()
    }

    /// Leaves, and hands out the thread to wait for.
    pub fn leave(&mut self) -> Option<JoinHandle<()>> {
        let _ = self.orders.send(Order::Leave);
        self.thread.take()
    }
}

/// A program on an interface and what is shown of it.
struct Held {
    attachment: Option<Attachment>,
    outcome: Outcome,
}

struct Worker {
    programs: Programs,
    pin_dir: Option<PathBuf>,
    /// What becomes of programs in XDP that earlier agents left elsewhere.
    strangers: XdpLinks,
    wanted: HashMap<u32, WantedHook>,
    held: HashMap<u32, Held>,
    /// Whether it was ever told what is wanted: before, everything would be a stranger.
    told: bool,
    /// Whether what earlier agents left elsewhere was cleared away.
    cleared: bool,
    outcomes: Arc<ArcSwap<Outcomes>>,
}

impl Worker {
    fn run(&mut self, orders: &Receiver<Order>, bell: &dyn Fn()) {
        loop {
            let mut order = match orders.recv_timeout(LOOK) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Each tells the whole: of many only the newest counts.
            while let Some(newest) = order.take() {
                match newest {
                    Order::Want(wanted) => {
                        self.wanted = wanted;
                        self.told = true;
                    }
                    Order::Leave => {
                        self.leave();
                        return;
                    }
                }
                order = orders.try_recv().ok();
            }
            self.reconcile();
            self.show(bell);
        }
    }

    fn reconcile(&mut self) {
        let unwanted: Vec<u32> = self
            .held
            .keys()
            .copied()
            .filter(|ifindex| {
                let wanted = self.wanted.get(ifindex);
                wanted.map(|it| it.life) != self.held.get(ifindex).map(|it| it.outcome.wanted.life)
            })
            .collect();
        for ifindex in unwanted {
            if let Some(held) = self.held.remove(&ifindex) {
                self.take_off(held);
            }
        }
        for (ifindex, wanted) in self.wanted.clone() {
            let held = self.held.remove(&ifindex);
            let held = self.settle(wanted, held);
            self.held.insert(ifindex, held);
        }
        if self.told
            && !self.cleared
            && let Some(dir) = &self.pin_dir
        {
            let in_use = |ifindex| self.wanted.contains_key(&ifindex);
            // What cannot be taken off is looked for again with the programs that are wanted.
            self.cleared = attach::remove_strangers(dir, self.strangers, in_use);
        }
    }

    /// Brings one interface in line with what is wanted there.
    fn settle(&mut self, wanted: WantedHook, mut held: Option<Held>) -> Held {
        self.make_room(&wanted, held.as_mut());
        let reattached = held.as_ref().map_or(0, |it| it.outcome.reattached);
        match held {
            Some(mut held) if held.attachment.is_some() && held.outcome.wanted == wanted => {
                if look(&mut held) {
                    return held;
                }
                // What is left of it goes first: one of two programs may be there still.
                if let Some(attachment) = held.attachment.take() {
                    let _ = attachment.detach(&wanted.target, self.pin_dir.as_deref());
                }
                let mut held = self.attach(wanted);
                held.outcome.reattached = reattached + 1;
                held
            }
            Some(mut held) => {
                let fits = held.attachment.as_ref().is_some_and(|attachment| {
                    still_fits(attachment.datapath(), &held.outcome, &wanted)
                });
                if fits {
                    held.outcome.wanted = wanted;
                    return renew(held);
                }
                let mut new = self.attach(wanted);
                if let Some(before) = has_to_fall_back(&new) {
                    return self.fall_back(new, before, Some(held));
                }
                // The new one is there before the old one goes: no advert is missed.
                let replaced = new.attachment.is_some()
                    && held.outcome.attached.map(|(it, _)| it)
                        == new.outcome.attached.map(|(it, _)| it);
                if !replaced {
                    self.take_off(held);
                    self.open_filter(&new);
                }
                new.outcome.reattached = reattached;
                new
            }
            None => {
                let new = self.attach(wanted);
                match has_to_fall_back(&new) {
                    Some(before) => self.fall_back(new, before, None),
                    None => new,
                }
            }
        }
    }

    /// An interface has one place for XDP: the program in the other mode leaves it before, and not after.
    fn make_room(&self, wanted: &WantedHook, held: Option<&mut Held>) {
        let is_xdp = |datapath| matches!(datapath, Datapath::Native | Datapath::Generic);
        let Some(held) = held.filter(|held| held.outcome.wanted != *wanted) else {
            return;
        };
        let Some(there) = held.attachment.as_ref().map(Attachment::datapath) else {
            return;
        };
        let comes = suitability::candidates(wanted.choice)
            .into_iter()
            .find(|it| is_xdp(*it) && *it != there)
            .is_some_and(|it| suitability::obstacle(it, &facts(wanted)).is_none());
        if is_xdp(there)
            && comes
            && let Some(attachment) = held.attachment.take()
        {
            // What could not be taken off is found there, and named.
            let _ = attachment.detach(&wanted.target, self.pin_dir.as_deref());
        }
    }

    /// What was there stays, and is put back if it had to make room.
    fn fall_back(&mut self, refused: Held, before: DatapathChoice, held: Option<Held>) -> Held {
        let Outcome {
            wanted, refusals, ..
        } = refused.outcome;
        let earlier = WantedHook {
            choice: before,
            fallback: None,
            ..wanted.clone()
        };
        let mut kept = self.settle(earlier, held);
        kept.outcome.wanted = wanted;
        kept.outcome.fell_back = Some(refusals);
        kept
    }

    /// Lets adverts in again: the program that was there before has closed the card's filter as it went.
    fn open_filter(&self, held: &Held) {
        if held.attachment.is_some() && self.pin_dir.is_some() {
            attach::open_filter(held.outcome.wanted.target.ifindex);
        }
    }

    fn attach(&mut self, wanted: WantedHook) -> Held {
        let facts = facts(&wanted);
        let mut refusals = Vec::new();
        // What is there is not touched before it is known that it is not needed any more.
        let others = match wanted.fallback {
            None => Others::ClearFirst,
            Some(_) => Others::ClearAfter,
        };
        if suitability::candidates(wanted.choice).is_empty() {
            attach::clear(&wanted.target, self.pin_dir.as_deref());
        }
        for datapath in suitability::candidates(wanted.choice) {
            let attached = match suitability::obstacle(datapath, &facts) {
                Some(obstacle) => Err(obstacle),
                None => attach::attach(
                    &mut self.programs,
                    &wanted.target,
                    datapath,
                    others,
                    self.pin_dir.as_deref(),
                )
                .map_err(|error| error.to_string()),
            };
            match attached {
                Ok(attachment) => {
                    refusals.extend(suitability::not_tried(wanted.choice, &facts));
                    let outcome = Outcome {
                        attached: Some((datapath, attachment.link())),
                        because: suitability::because(wanted.choice, datapath),
                        refusals,
                        fell_back: None,
                        notes: Vec::new(),
                        reattached: 0,
                        changed: Instant::now(),
                        wanted,
                    };
                    let mut held = Held {
                        attachment: Some(attachment),
                        outcome,
                    };
                    look(&mut held);
                    return held;
                }
                Err(reason) => refusals.push(Refusal {
                    kind: datapath,
                    reason,
                }),
            }
        }
        if self.strangers == XdpLinks::Remove {
            // An earlier version's program is not left alone with that version's maps.
            attach::clear(&wanted.target, self.pin_dir.as_deref());
        }
        let outcome = Outcome {
            attached: None,
            because: suitability::because(wanted.choice, Datapath::Socket),
            refusals,
            fell_back: None,
            notes: Vec::new(),
            reattached: 0,
            changed: Instant::now(),
            wanted,
        };
        Held {
            attachment: None,
            outcome,
        }
    }

    /// Takes a program off; one of XDP only if its place is to be another's.
    fn take_off(&self, held: Held) {
        let target = held.outcome.wanted.target;
        let Some(attachment) = held.attachment else {
            return;
        };
        let wanted = self.wanted.get(&target.ifindex);
        let another = wanted.is_some_and(|wanted| {
            !suitability::candidates(wanted.choice).contains(&attachment.datapath())
        });
        if attachment.datapath() == Datapath::Tc || another {
            // An interface that is gone has taken its program along.
            let _ = attachment.detach(&target, self.pin_dir.as_deref());
        } else {
            attachment.leave(&target);
        }
    }

    fn leave(&mut self) {
        self.wanted.clear();
        for (_, held) in mem::take(&mut self.held) {
            self.take_off(held);
        }
    }

    /// Shows what has changed.
    fn show(&self, bell: &dyn Fn()) {
        let shown = self.outcomes.load();
        let is_shown = |(ifindex, held): (&u32, &Held)| {
            shown.get(ifindex).is_some_and(|it| **it == held.outcome)
        };
        if shown.len() == self.held.len() && self.held.iter().all(is_shown) {
            return;
        }
        let outcomes = self
            .held
            .iter()
            .map(|(ifindex, held)| (*ifindex, Arc::new(held.outcome.clone())))
            .collect();
        self.outcomes.store(Arc::new(outcomes));
        bell();
    }
}

/// Whether a program may stay although something about its interface is another.
fn still_fits(datapath: Datapath, old: &Outcome, wanted: &WantedHook) -> bool {
    // Of offloads that were switched on since there is a note: a card would reset, and an instance lose its address.
    let facts = Facts {
        strips_tags: None,
        ..facts(wanted)
    };
    old.wanted.target == wanted.target
        && suitability::candidates(wanted.choice).contains(&datapath)
        && suitability::obstacle(datapath, &facts).is_none()
}

/// Shows what is there for what is wanted now.
fn renew(mut held: Held) -> Held {
    let choice = held.outcome.wanted.choice;
    if let Some((datapath, _)) = held.outcome.attached {
        held.outcome.because = suitability::because(choice, datapath);
    }
    held.outcome.refusals = suitability::not_tried(choice, &facts(&held.outcome.wanted));
    held.outcome.fell_back = None;
    look(&mut held);
    held
}

/// Looks whether a program is where it was put, and what a person should know of it; true unless it is gone.
fn look(held: &mut Held) -> bool {
    let Some(attachment) = &mut held.attachment else {
        return false;
    };
    let wanted = &held.outcome.wanted;
    let mut notes = attachment.notes.clone();
    let is_there = match attachment.look(&wanted.target) {
        Ok(Some(seen)) => {
            notes.extend(seen);
            true
        }
        Ok(None) => false,
        // That it is gone would be told without an error.
        Err(error) => {
            notes.push(format!("cannot tell whether it is still attached: {error}"));
            true
        }
    };
    notes.extend(suitability::changed(attachment.datapath(), &facts(wanted)));
    held.outcome.notes = notes;
    is_there
}

/// What is to run in place of a program that was refused.
fn has_to_fall_back(new: &Held) -> Option<DatapathChoice> {
    let Outcome {
        wanted, refusals, ..
    } = &new.outcome;
    let refused = new.attachment.is_none() && !refusals.is_empty();
    wanted.fallback.filter(|_| refused)
}

/// What the rules go by. The parts that take system calls are asked for here, not on the driver's thread.
fn facts(wanted: &WantedHook) -> Facts {
    Facts {
        kind: wanted.kind.clone(),
        link_layer: wanted.link_layer,
        vlans_above: wanted.vlans_above.clone(),
        driver: offload::driver(&wanted.target.name),
        strips_tags: offload::strips_vlan_tags(wanted.target.ifindex).ok(),
    }
}
