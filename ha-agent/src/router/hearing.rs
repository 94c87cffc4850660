//! What a router makes of adverts, claims, deadlines and its slot.

use ha_common::election::{Advert, Claim, Detector, Input, Rank, Role};
use ha_common::layout::{Slot, state};
use ha_common::master_tracking;
use ha_common::units::Instant;

use super::detection::{Disagreement, contender};
use super::effect::{Effect, Effects};
use super::notice::{Notice, Subject};
use super::{Promoting, Router, words};
use crate::config::model::Transport;
use crate::config::model::virtual_address::VirtualAddress;

impl Router {
    /// An advert that the detector did not settle by itself. RFC 9568 section 7.1 (list), RFC 3768 section 7.1 (list):
    /// its address list was compared with ours.
    pub(super) fn hear(
        &mut self,
        advert: &Advert,
        other_list: Option<u8>,
        is_overheard: bool,
        now: Instant,
        fx: &mut Effects,
    ) {
        self.changed = true;
        self.compare(advert, other_list, now, fx);
        self.hint_at_start_delay(advert, now, fx);
        let is_overheard = is_overheard && self.may_be_overheard(advert);
        self.note_other_master(advert, is_overheard, now, fx);
        if is_overheard {
            return;
        }
        if self.yields_unheard(advert, now, fx) {
            return;
        }
        self.feed(now, self.meaning_of(advert, now), fx);
        if self.detection.needs_watching() && self.role() == Role::Backup {
            fx.push(Effect::ReadSlot);
        }
    }

    /// A master whose adverts do not leave is heard by nobody, and so has no say against one that it hears. True if it
    /// has given up for that.
    fn yields_unheard(&mut self, advert: &Advert, now: Instant, fx: &mut Effects) -> bool {
        let is_other = self.election.rules().rank(advert) == Rank::Worse;
        let is_unicast = matches!(self.config.transport, Transport::Unicast(_));
        let yields = self.role() == Role::Master
            && is_other
            && self
                .readiness
                .sending_mut()
                .yields_to(advert.source, is_unicast, now);
        if yields {
            self.reassess(now, fx);
        }
        yields
    }

    /// Whether this can be no news of the master that a backup follows, which is the slot's to say, and of the moment at
    /// which it took the advert in: the last word of one that has yielded to it may come late. Taken for the master's, it
    /// would pass for what the next one's priority has once been, and `preempt = false` would not keep us from a master
    /// that never was better.
    fn may_be_overheard(&self, advert: &Advert) -> bool {
        self.role() == Role::Backup
            && !advert.priority.is_release()
            && advert.source != self.election.rules().own_address
    }

    /// Another one is heard while we are master, which may say something of our port.
    fn hint_at_start_delay(&mut self, other: &Advert, now: Instant, fx: &mut Effects) {
        let own = self.election.rules().priority;
        if self.role() == Role::Master
            && let Some(hint) = self.unheard.hint(other.source, other.priority, own, now)
        {
            self.warn(now, hint, fx);
        }
    }

    /// Another host says that one of our addresses is at its MAC. A master has it counted, named once in the log, and
    /// answered as often as the election finds right; anybody else has no say in it.
    pub(super) fn claimed(&mut self, claim: Claim, slot: &Slot, now: Instant, fx: &mut Effects) {
        // A reload may have dropped it after the frame came.
        let is_it = |held: &VirtualAddress| held.addr() == claim.address;
        if self.role() != Role::Master || !self.config.held().any(is_it) {
            return;
        }
        self.changed = true;
        // Whoever claims it may be master by right, by an advert that the event limit held back.
        self.look(slot, now, fx);
        if self.role() != Role::Master {
            return;
        }
        self.detection.told_claim(claim);
        if self.claims.hear(claim, now) {
            fx.say(Notice::Warning(words::of_claim(&claim)));
        }
        self.feed(now, Input::Claimed(claim), fx);
    }

    /// The deadline passed, says the detector; the slot has the last word: a master was heard since, or it plays
    /// another part already.
    pub(super) fn expired(
        &mut self,
        deadline: Instant,
        slot: &Slot,
        now: Instant,
        fx: &mut Effects,
    ) {
        self.unheard.count(slot.adverts);
        if slot.state != state::BACKUP || slot.deadline == 0 || slot.deadline > now.0 {
            return;
        }
        let last_heard = (slot.last_heard != 0).then_some(Instant(slot.last_heard));
        self.promoting = Some(Promoting {
            deadline,
            last_heard,
        });
        if self.membership.is_some() {
            // In a group it is not this router's own deadline that makes a master of it.
            self.promoted(true, now, fx);
        } else {
            // An advert that comes between this host's looking and its acting is not forgotten.
            fx.push(Effect::Promote {
                rules: self.election.detector_rules(),
                last_heard: slot.last_heard,
            });
        }
    }

    pub(super) fn promoted(&mut self, promoted: bool, now: Instant, fx: &mut Effects) {
        let Some(promoting) = self.promoting.take() else {
            return;
        };
        if !promoted {
            return;
        }
        let Promoting {
            deadline,
            last_heard,
        } = promoting;
        self.deadline = Some(deadline);
        self.feed(now, Input::MasterDown { last_heard }, fx);
        self.ran_out_at = self.election.expired_since().map(|_| deadline);
        if self.membership.is_none() && self.role() != Role::Master {
            self.demote(fx);
        }
    }

    /// The election made no master of it after all: the slot is a backup's again.
    fn demote(&mut self, fx: &mut Effects) {
        let rules = self.election.detector_rules();
        let part = match self.role() {
            Role::Backup => Detector::Backup {
                arm_for: rules.initial_down(),
            },
            Role::Initialize | Role::Hold | Role::Master | Role::Fault | Role::Stopped => {
                Detector::Idle
            }
        };
        self.detect(part, rules, fx);
    }

    /// Looks at the slot, in case an event was lost; for slots without a kernel timer this is the timer, and where the
    /// kernel's was late it is what stands behind it.
    pub(super) fn look(&mut self, slot: &Slot, now: Instant, fx: &mut Effects) {
        self.unheard.count(slot.adverts);
        self.report_reject(slot, fx);
        self.report_clock(slot, fx);
        self.look_at_differences(slot, now, fx);
        self.report_fence(slot, fx);
        self.answer_untold_claims(slot, now, fx);
        let missed = self.detection.missed(slot);
        if self.mend_slot(slot, now, fx) {
            return;
        }
        match (slot.state, self.role()) {
            (state::BACKUP, Role::Backup) if slot.deadline != 0 => {
                if self.detection.acts_at(slot, now) <= now {
                    self.expired(Instant(slot.deadline), slot, now, fx);
                    return;
                }
                self.detection.watch(slot, now);
                if missed {
                    // What it follows now is all that counts of what was missed.
                    self.catch_up(slot, now, fx);
                }
            }
            (state::MASTER, Role::Master) => {
                if slot.contested_since != 0 && master_tracking::is_claimed(slot, now.0) {
                    self.catch_up(slot, now, fx);
                }
                if missed {
                    self.feed(now, Input::EventsLost, fx);
                }
            }
            _ => {}
        }
    }

    /// Sets a slot again that is not what the election says: without its part nothing would ever be heard of a master's
    /// death, or of another master. True if it was another part.
    fn mend_slot(&mut self, slot: &Slot, now: Instant, fx: &mut Effects) -> bool {
        let rules = self.election.detector_rules();
        let Some(how) = self.detection.disagrees(slot, self.role(), rules.priority) else {
            return false;
        };
        let what = match how {
            Disagreement::Part => "the detector did not play the part of the election's state",
            Disagreement::Priority => "the detector had another priority than the election",
        };
        self.warn(now, format!("{what}; it was told again"), fx);
        if how == Disagreement::Priority {
            fx.push(Effect::UpdateDetector(rules));
            return false;
        }
        let part = match self.role() {
            Role::Master => Detector::Master,
            Role::Backup => Detector::Backup {
                arm_for: rules.initial_down(),
            },
            Role::Initialize | Role::Hold | Role::Fault | Role::Stopped => Detector::Idle,
        };
        self.detect(part, rules, fx);
        true
    }

    /// Something else writes what is this agent's alone to write. What the slot itself is configured with is written again by
    /// the rules that hold, and a backup's deadline begins anew.
    pub(super) fn overwritten(
        &mut self,
        parts: &[&str],
        slot: bool,
        now: Instant,
        fx: &mut Effects,
    ) {
        let text = words::of_overwritten(parts);
        if self.notices.see(Subject::Overwritten, text.clone(), now) {
            self.changed = true;
            fx.say(Notice::Warning(text));
        }
        if !slot {
            return;
        }
        let rules = self.election.detector_rules();
        fx.push(Effect::UpdateDetector(rules));
        if self.role() == Role::Backup {
            // By what was written there an advert may have moved the deadline far away.
            let arm_for = rules.initial_down();
            self.detect(Detector::Backup { arm_for }, rules, fx);
        }
    }

    /// If the sender stopped by itself, or is about to, somebody else may have been master meanwhile: the slot is asked
    /// before anything is sent.
    pub(super) fn sender_stopped(
        &mut self,
        since: Instant,
        slot: Option<&Slot>,
        now: Instant,
        fx: &mut Effects,
    ) {
        if let Some(slot) = slot
            && master_tracking::is_claimed(slot, now.0)
            // Whoever spoke before has yielded since, or never was the master.
            && slot.last_heard >= since.0
            && let Some(advert) = contender(self.config.family, slot)
        {
            self.feed(now, Input::TakenOver(advert), fx);
        }
        self.silent_since = Some(since);
        self.feed(now, Input::SenderStopped, fx);
        self.silent_since = None;
    }

    /// The election was told of a contender by nobody: the event was lost.
    pub(super) fn catch_up(&mut self, slot: &Slot, now: Instant, fx: &mut Effects) {
        if let Some(advert) = contender(self.config.family, slot) {
            self.feed(now, Input::Advert(advert), fx);
        }
    }

    fn answer_untold_claims(&mut self, slot: &Slot, now: Instant, fx: &mut Effects) {
        let untold = self.detection.untold_claim(slot);
        if let (Role::Master, Some(claim)) = (self.role(), untold) {
            self.feed(now, Input::Claimed(claim), fx);
        }
    }

    /// The fence was up: this agent stood still while another host was master. Only an agent that moves again can say
    /// so.
    fn report_fence(&mut self, slot: &Slot, fx: &mut Effects) {
        let Some((incoming, outgoing, lasted)) = self.detection.newly_fenced(slot) else {
            return;
        };
        self.changed = true;
        fx.say(Notice::Warning(format!(
            "the fence was up for {lasted} ms or more: this agent stalled while another host was master; \
             {incoming} frames to the addresses and {outgoing} frames from them were dropped"
        )));
    }
}
