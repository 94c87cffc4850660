//! A router comes to its interface: what an earlier life left there is taken up or cleared away.

use ha_common::election::{Detector, Input, Role};
use ha_common::layout::{Slot, state};
use ha_common::units::{Instant, Priority};

use super::detection::contender;
use super::effect::{Effect, Effects};
use super::event::{Binding, InterfaceState};
use super::notice::Notice;
use super::own_interface::InterfaceNews;
use super::wanted::Wanted;
use super::{Router, readiness, words};

impl Router {
    /// What it wants on its host now.
    pub fn wanted(&self) -> Wanted {
        match self.role() {
            Role::Master => Wanted::Everything,
            Role::Initialize if !self.readiness.has_been_bound() => Wanted::Undecided,
            Role::Initialize | Role::Hold | Role::Backup | Role::Fault | Role::Stopped => {
                Wanted::Nothing
            }
        }
    }

    /// Its interface is like this now.
    pub(super) fn on_interface(&mut self, state: InterfaceState, now: Instant, fx: &mut Effects) {
        self.changed = true;
        let is_master = self.role() == Role::Master;
        let waits = self.waits_for(state, self.role());
        match self.readiness.set_interface(state, waits, now) {
            Some(InterfaceNews::Waits(span)) => fx.say(Notice::Warning(
                self.readiness.words_of_wait(&self.config, is_master, span),
            )),
            Some(InterfaceNews::Returned) => {
                let interface = &self.config.interface;
                fx.say(Notice::Info(format!("{interface} has all it needs again")));
                if is_master {
                    // The switches may have forgotten where the addresses are.
                    self.announce(now, fx);
                }
            }
            None => {}
        }
        self.reassess(now, fx);
    }

    /// Whether who plays this part gives what its interface lacks a while to come back.
    pub(super) fn waits_for(&self, state: InterfaceState, role: Role) -> bool {
        match role {
            Role::Master => true,
            // A BPF program hears its master all the same. The host's stack may drop what comes in by an interface
            // without an address, and a backup that waited deaf would take over beside its master.
            Role::Backup => state.lacks_address() && self.detection.has_kernel_timer(),
            Role::Initialize | Role::Hold | Role::Fault | Role::Stopped => false,
        }
    }

    /// What it was bound to is gone with the interface.
    pub(super) fn unbound(&mut self) {
        self.changed = true;
        self.announcements = None;
        self.holds = false;
        self.readiness.set_unbound();
    }

    /// There is no interface of the name. The one that had it is called this now, if it is still there.
    pub(super) fn renamed(&mut self, name: Option<String>, fx: &mut Effects) {
        if !self.readiness.set_renamed(name.clone()) {
            return;
        }
        self.changed = true;
        if let Some(name) = name {
            fx.say(Notice::Warning(readiness::renamed(
                &self.config.interface,
                &name,
            )));
        }
    }

    /// Sockets and slot are there. What an earlier life left behind is taken up or cleared away.
    pub(super) fn bound(
        &mut self,
        binding: &Binding,
        slot: Option<&Slot>,
        now: Instant,
        fx: &mut Effects,
    ) {
        self.changed = true;
        self.readiness.set_bound();
        self.detection.bind(binding.kernel_timer);
        self.feed(now, Input::OwnAddress(binding.source), fx);
        if self.role() != Role::Initialize {
            self.rebind(slot, now, fx);
            return;
        }
        let resumes = binding.in_place
            && slot.is_some_and(|slot| {
                let turned_at = binding.turned_at.0;
                slot.state == state::MASTER
                    && !ha_common::master_tracking::is_taken_over(slot, turned_at, now.0)
            });
        if let Some(slot) = slot.filter(|slot| !resumes && slot.state == state::MASTER) {
            let other = contender(self.config.family, slot).filter(|_| binding.in_place);
            fx.say(Notice::Warning(words::of_no_resume(other)));
            // A slot that goes from master to backup keeps whom it has heard beside it, as who has been told of already.
            // This life has been told of nobody: its first advert is to be news.
            self.detect(Detector::Idle, self.election.detector_rules(), fx);
        }
        if !resumes {
            fx.push(Effect::Want(Wanted::Nothing));
        }
        if resumes {
            self.restore_priority(Priority(binding.earlier_priority), now, fx);
            self.feed(now, Input::Resume, fx);
        }
    }

    /// The interface's address changed under a router that takes part: its adverts go on from the new one, and a
    /// slot that was made anew is told its part.
    fn rebind(&mut self, slot: Option<&Slot>, now: Instant, fx: &mut Effects) {
        let role = self.role();
        if role == Role::Master {
            self.readiness.sending_mut().begin();
            fx.push(Effect::StartAdverts {
                rules: *self.election.rules(),
                deadline: None,
            });
        }
        self.assign_anew(slot, fx);
        if role == Role::Master {
            self.announce(now, fx);
        }
    }

    fn assign_anew(&mut self, slot: Option<&Slot>, fx: &mut Effects) {
        // A slot in the kernel that it had before goes on; a plain socket's, or one that it came to from a plain
        // socket, knows nothing yet.
        if slot.is_none_or(|slot| slot.state != state::IDLE) {
            return;
        }
        let rules = self.election.detector_rules();
        match self.role() {
            Role::Master => self.detect(Detector::Master, rules, fx),
            Role::Backup => {
                let arm_for = rules.initial_down();
                self.detect(Detector::Backup { arm_for }, rules, fx);
            }
            Role::Initialize | Role::Hold | Role::Fault | Role::Stopped => {}
        }
    }

    /// A resumed master's checks have yet to speak. If the slot's priority, from before it was configured anew, is
    /// what they add up to when all is well, that is how it was: without the positive weights a backup might find
    /// itself the better one.
    fn restore_priority(&mut self, earlier: Priority, now: Instant, fx: &mut Effects) {
        let (sum, tracked) = self.readiness.assumed_up(&self.config);
        // Another member of its group may have held it lower.
        if sum == earlier || self.membership.is_some() && sum > earlier {
            self.readiness.set_tracked(tracked);
            self.feed(now, Input::Priority(earlier), fx);
        }
    }
}
