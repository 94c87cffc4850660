//! The election: a pure state machine, one for each virtual router.
//!
//! It owns the decision who is master, and nothing else. The *detector* (the BPF program's slot, or
//! the same logic in userspace) holds the master-down timer and re-arms it by itself; the *sender*
//! repeats adverts by itself; the driver runs the [`Action`]s in order and feeds [`Input`]s. RFC 9568
//! says Active where this says Master.

mod action;
mod advert;
mod cause;
mod contest;
mod input;
mod preempt_delay;
mod rules;
mod said;
mod start_hold;
mod state;
mod together;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod table;
#[cfg(test)]
mod together_tests;

use core::net::IpAddr;

use crate::units::{Instant, Priority};

use contest::Contests;
use said::Said;
use state::StartHold;

pub use action::{Action, Actions, Detector, LastAdvert, Notice};
pub use advert::Advert;
pub use cause::{Cause, Named, Role, Transition};
pub use contest::{FIRST_PAUSE, LONGEST_PAUSE};
pub use input::{CheckId, Claim, Departure, FaultCause, Input, MemberId};
pub use rules::{Params, Rank, Rules};
pub use state::{Expiry, Following, Listening, State};

/// One virtual router's election.
#[derive(Clone, Debug)]
pub struct Election {
    params: Params,
    state: State,
    since: Instant,
    hold: StartHold,
    said: Said,
    contests: Contests,
    /// In a sync group: how often in a row it has left soon after it took over, because of another member.
    departures: u8,
}

impl Election {
    /// Starts in [`State::Initialize`]. Nothing needs doing yet; a detector that was left behind in
    /// another part stays as it is until [`Input::Resume`], [`Input::Ready`] or [`Input::Fault`].
    pub fn new(params: Params) -> Self {
        Self {
            params: sane(params),
            state: State::Initialize,
            since: Instant::default(),
            hold: StartHold::default(),
            said: Said::default(),
            contests: Contests::default(),
            departures: 0,
        }
    }

    /// The state and its data.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// When this state was entered; zero before the first transition.
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// Who we are.
    pub const fn rules(&self) -> &Rules {
        &self.params.rules
    }

    /// When to feed [`Input::Tick`]. The master-down timer is the detector's and not in here.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Hold { until } => Some(until),
            State::Backup(listening) => listening.preempt_at,
            State::Master => self.contests.next_deadline(),
            State::Initialize | State::Fault { .. } | State::Stopped => None,
        }
    }

    /// Takes one input at this point in time and says what to do about it.
    pub fn handle(&mut self, now: Instant, input: Input) -> Actions {
        use State::{Backup, Fault, Hold, Initialize, Master, Stopped};
        let mut out = Actions::default();
        match (self.state, input) {
            (Initialize | Fault { .. }, Input::Ready) => self.begin(now, &mut out),

            (Initialize | Hold { .. } | Backup(_) | Master, Input::Fault(cause)) => {
                self.fault(now, cause, &mut out);
            }
            (Fault { .. }, Input::Fault(cause)) => {
                self.hold.see_fault(now, cause);
                self.state = Fault { cause };
            }

            (Backup(listening), Input::Advert(advert) | Input::TakenOver(advert)) => {
                self.listen(now, listening, &advert, &mut out);
            }
            (Master, Input::Advert(advert)) => self.contest(now, &advert, &mut out),
            (Master, Input::TakenOver(advert)) => self.wake(now, &advert, &mut out),

            (Backup(listening), Input::MasterDown { last_heard }) => {
                let rules = &self.params.rules;
                let cause = listening.cause_of_expiry(now, self.since, last_heard, rules);
                if self.params.grouped {
                    self.run_out(now, listening, cause, &mut out);
                } else {
                    self.take_over(now, cause, &mut out);
                }
            }
            (Backup(listening), Input::GroupLeads) => self.lead(now, &listening, &mut out),
            (Backup(_), Input::GroupJoins(by)) => self.join(now, by, &mut out),
            (Backup(listening), Input::GroupWaits) => self.wait_on(listening, &mut out),
            (Master, Input::GroupLeaves(departure)) => self.leave(now, departure, &mut out),

            (Hold { until }, Input::Tick) if now >= until => {
                self.enter(now, Cause::HoldOver, &mut out);
            }
            (Backup(listening), Input::Tick)
                if listening.preempt_at.is_some_and(|at| at <= now) =>
            {
                self.end_preempt_delay(listening, &mut out);
            }

            (
                Initialize | Hold { .. } | Backup(_) | Master | Fault { .. },
                Input::Priority(priority),
            ) => self.set_priority(priority, &mut out),
            (
                Initialize | Hold { .. } | Backup(_) | Master | Fault { .. },
                Input::OwnAddress(address),
            ) => self.set_address(address, &mut out),
            (
                Initialize | Hold { .. } | Backup(_) | Master | Fault { .. },
                Input::Configure(params),
            ) => self.configure(now, params, &mut out),

            (Initialize, Input::Resume) => self.resume(now, &mut out),

            (Master, Input::SenderStopped) => {
                out.push(Action::StartAdverts(self.params.rules));
                out.push(Action::Announce);
                out.push(Action::Notice(Notice::SendingAgain));
            }

            // One of them may have claimed the addresses; the slot shows only those that beat us.
            (Master, Input::EventsLost) => self.assert_mastership(now, &mut out),
            (Master, Input::Claimed(_)) => announce_if(self.contests.frame(now), &mut out),
            (Master, Input::Tick) => announce_if(self.contests.due(now), &mut out),

            (Initialize | Hold { .. } | Backup(_) | Master | Fault { .. }, Input::Shutdown) => {
                self.step_out(now, Stopped, Cause::Shutdown, &mut out);
            }

            // Nothing follows from these, or it is too late for them.
            (Hold { .. } | Backup(_) | Master, Input::Ready | Input::Resume)
            | (Initialize | Hold { .. } | Fault { .. }, Input::Advert(_) | Input::TakenOver(_))
            | (Initialize | Hold { .. } | Master | Fault { .. }, Input::MasterDown { .. })
            | (Initialize | Hold { .. } | Backup(_) | Fault { .. }, Input::Tick)
            | (Fault { .. }, Input::Resume)
            | (
                Initialize | Hold { .. } | Master | Fault { .. },
                Input::GroupLeads | Input::GroupJoins(_) | Input::GroupWaits,
            )
            | (Initialize | Hold { .. } | Backup(_) | Fault { .. }, Input::GroupLeaves(_))
            | (
                Initialize | Hold { .. } | Backup(_) | Fault { .. },
                Input::SenderStopped | Input::EventsLost | Input::Claimed(_),
            )
            | (
                Stopped,
                Input::Ready
                | Input::Fault(_)
                | Input::Advert(_)
                | Input::MasterDown { .. }
                | Input::Tick
                | Input::Priority(_)
                | Input::OwnAddress(_)
                | Input::Configure(_)
                | Input::Resume
                | Input::TakenOver(_)
                | Input::SenderStopped
                | Input::EventsLost
                | Input::Claimed(_)
                | Input::GroupLeads
                | Input::GroupJoins(_)
                | Input::GroupLeaves(_)
                | Input::GroupWaits
                | Input::Shutdown,
            ) => {}
        }
        out
    }

    /// RFC 9568 section 6.4.1 (owner, listen), RFC 3768 section 6.4.1 (owner, listen): the owner is
    /// master at once, everybody else listens first. So does a member of a group: it is not alone.
    fn enter(&mut self, now: Instant, cause: Cause, out: &mut Actions) {
        self.hold = StartHold::Over;
        if self.params.rules.priority.is_owner() && !self.params.grouped {
            self.take_over(now, Cause::Owner, out);
        } else {
            let arm_for = self.params.rules.initial_down();
            let detector = Detector::Backup { arm_for };
            let listening = Listening {
                preempt_at: self.preempt_at(now),
                ..Listening::default()
            };
            self.change(now, State::Backup(listening), detector, cause, out);
        }
    }

    fn fault(&mut self, now: Instant, cause: FaultCause, out: &mut Actions) {
        self.hold.see_fault(now, cause);
        self.step_out(now, State::Fault { cause }, Cause::Fault(cause), out);
    }

    /// To a state that takes no part. A master says so first, so that the others need not wait, and
    /// keeps the addresses until it has.
    ///
    /// RFC 9568 sections 6.4.2 (shutdown), 6.4.3 (shutdown);
    /// RFC 3768 sections 6.4.2 (shutdown), 6.4.3 (shutdown).
    fn step_out(&mut self, now: Instant, to: State, cause: Cause, out: &mut Actions) {
        if matches!(self.state, State::Master) {
            out.push(Action::StopAdverts(LastAdvert::Release));
            out.push(Action::RemoveAddresses);
        }
        self.change(now, to, Detector::Idle, cause, out);
    }

    /// The advert goes first, for it is what stops the other backups, and the detector last but for
    /// the report: until then an advert merely re-arms a timer that no longer matters, and the next
    /// one is news.
    ///
    /// RFC 9568 sections 6.4.2 (expiry), 8.1.2 (order), 8.2.2 (order);
    /// RFC 3768 section 6.4.2 (expiry).
    fn take_over(&mut self, now: Instant, cause: Cause, out: &mut Actions) {
        out.push(Action::StartAdverts(self.params.rules));
        out.push(Action::AddAddresses);
        out.push(Action::Announce);
        self.change(now, State::Master, Detector::Master, cause, out);
    }

    /// RFC 9568 section 6.4.3 (yield), RFC 3768 section 6.4.3 (yield): to backup, and never by
    /// priority 0, which would make the others take over from the better master.
    fn yield_to(
        &mut self,
        now: Instant,
        advert: &Advert,
        last: LastAdvert,
        cause: Cause,
        out: &mut Actions,
    ) {
        out.push(Action::StopAdverts(last));
        out.push(Action::RemoveAddresses);
        let arm_for = self.params.rules.down_after(advert);
        let listening = Listening {
            preempt_at: self.preempt_at(now),
            ..Listening::to(advert)
        };
        let state = State::Backup(listening);
        self.change(now, state, Detector::Backup { arm_for }, cause, out);
    }

    /// The one place where the state changes: one order to the detector, one report.
    fn change(&mut self, now: Instant, to: State, part: Detector, cause: Cause, out: &mut Actions) {
        let from = self.state.role();
        self.state = to;
        self.since = now;
        self.contests = Contests::default();
        out.push(Action::Detect {
            detector: part,
            rules: self.detector_rules(),
        });
        out.push(Action::Report(Transition {
            at: now,
            from,
            to: to.role(),
            cause,
            priority: self.params.rules.priority,
        }));
    }

    /// A backup hears of a change. The detector has already dealt with its timer.
    fn listen(&mut self, now: Instant, before: Listening, advert: &Advert, out: &mut Actions) {
        let rules = self.params.rules;
        let listening = match rules.rank(advert) {
            Rank::Ourselves => return self.said.own_address(advert, out),
            Rank::Release => Listening {
                released: Some((advert.source, now)),
                ..before
            },
            Rank::Better => {
                // Its group has lost here as well: there is nobody to be out of step with.
                self.departures = 0;
                Listening {
                    not_before: None,
                    ..before.heard(advert)
                }
            }
            Rank::Worse => Listening {
                // The timer of a member that may preempt has run out, and this does not set it again.
                expired: before
                    .expired
                    .filter(|_| before.is_preempted(advert, &rules)),
                ..before.heard(advert)
            },
        };
        self.state = State::Backup(listening);
        if listening.preempts(&rules) != before.preempts(&rules) {
            out.push(Action::UpdateDetector(self.detector_rules()));
        }
        self.said.conflicts(&rules, advert, out);
    }

    /// A master hears somebody: RFC 9568 section 6.4.3 (released, yield, assert),
    /// RFC 3768 section 6.4.3 (released, yield, discard).
    fn contest(&mut self, now: Instant, advert: &Advert, out: &mut Actions) {
        let rules = self.params.rules;
        match rules.rank(advert) {
            Rank::Ourselves => self.said.own_address(advert, out),
            Rank::Release => self.outlast(now, out),
            Rank::Better => {
                self.said.conflicts(&rules, advert, out);
                let cause = Cause::BetterMaster {
                    other: advert.source,
                    priority: advert.priority,
                };
                self.yield_to(now, advert, LastAdvert::Own, cause, out);
            }
            Rank::Worse => {
                self.said.conflicts(&rules, advert, out);
                self.assert_mastership(now, out);
            }
        }
    }

    /// Awake again as master while somebody else has been one. At equal priority it is master by
    /// right, whatever its address: a backup would not take its place either. The same goes for a
    /// lower one under `nopreempt`, or if we are to leave it alone for a while after we came back.
    fn wake(&mut self, now: Instant, advert: &Advert, out: &mut Actions) {
        let rules = self.params.rules;
        let preempts =
            rules.priority.is_owner() || (rules.preempt && self.params.preempt_delay.0 == 0);
        match rules.rank(advert) {
            Rank::Ourselves => self.said.own_address(advert, out),
            // What follows announces the addresses.
            Rank::Release => out.push(Action::AdvertNow),
            Rank::Worse if preempts && advert.priority < rules.priority => {
                self.assert_mastership(now, out);
            }
            Rank::Better | Rank::Worse => {
                let cause = Cause::TakenOver {
                    by: advert.source,
                    priority: advert.priority,
                };
                self.yield_to(now, advert, LastAdvert::None, cause, out);
            }
        }
    }

    /// Another master leaves: RFC 9568 section 6.4.3 (released), RFC 3768 section 6.4.3 (released). Who was master
    /// beside us, in a part of the network that is one with ours again, has told the neighbours there otherwise.
    fn outlast(&mut self, now: Instant, out: &mut Actions) {
        out.push(Action::AdvertNow);
        let interval = self.params.rules.interval.nanos();
        announce_if(self.contests.advert(now, interval), out);
    }

    /// Somebody with less right claims the addresses: he is corrected, and so are the neighbours' caches.
    ///
    /// RFC 9568 section 6.4.3 (assert). Not so priority 0, each of which is answered: to the other backups
    /// it means that they may take over after their skew.
    fn assert_mastership(&mut self, now: Instant, out: &mut Actions) {
        let interval = self.params.rules.interval.nanos();
        if self.contests.may_advertise(now, interval) {
            out.push(Action::AdvertNow);
        }
        announce_if(self.contests.advert(now, interval), out);
    }

    /// Master without a transition: nobody else took part in it.
    fn resume(&mut self, now: Instant, out: &mut Actions) {
        self.state = State::Master;
        self.since = now;
        self.hold = StartHold::Over;
        out.push(Action::StartAdverts(self.params.rules));
        out.push(Action::AdoptAddresses);
        // Cheap, and it mends the caches if somebody claimed the addresses while nobody watched.
        out.push(Action::Announce);
        out.push(Action::Detect {
            detector: Detector::Master,
            rules: self.detector_rules(),
        });
        out.push(Action::Notice(Notice::Resumed));
    }

    fn set_priority(&mut self, priority: Priority, out: &mut Actions) {
        let rules = self.params.rules.with_priority(priority);
        self.set_rules(rules, out);
    }

    fn set_address(&mut self, own_address: IpAddr, out: &mut Actions) {
        let rules = Rules {
            own_address,
            ..self.params.rules
        };
        if rules != self.params.rules {
            self.said = Said::default();
        }
        self.set_rules(rules, out);
    }

    fn configure(&mut self, now: Instant, params: Params, out: &mut Actions) {
        let params = sane(params);
        let before = (self.params.rules, self.detector_rules());
        self.said = Said::default();
        self.params = params;
        self.renew_hold();
        if let State::Backup(listening) = self.state {
            // Another delay counts from the same moment.
            let preempt_at = self.preempt_at(self.since).filter(|at| *at > now);
            self.state = State::Backup(Listening {
                preempt_at,
                ..listening
            });
        }
        if params.rules != before.0 && matches!(self.state, State::Master) {
            out.push(Action::UpdateAdverts(params.rules));
        }
        if self.detector_rules() != before.1 {
            out.push(Action::UpdateDetector(self.detector_rules()));
        }
    }

    /// A changed priority moves no timer: the others' timers, or ours by the next adverts, decide.
    fn set_rules(&mut self, rules: Rules, out: &mut Actions) {
        if rules == self.params.rules {
            return;
        }
        self.params.rules = rules;
        if matches!(self.state, State::Master) {
            out.push(Action::UpdateAdverts(rules));
        }
        out.push(Action::UpdateDetector(self.detector_rules()));
    }

    /// What the detector goes by: our rules, but a running preempt delay keeps us from preempting, and
    /// neither it nor `nopreempt` holds a fail-over up when the master's own weights have dropped it.
    pub fn detector_rules(&self) -> Rules {
        let rules = self.params.rules;
        let preempt = match &self.state {
            State::Backup(listening) => listening.preempts(&rules),
            State::Initialize
            | State::Hold { .. }
            | State::Master
            | State::Fault { .. }
            | State::Stopped => rules.preempt,
        };
        Rules { preempt, ..rules }
    }
}

fn announce_if(due: bool, out: &mut Actions) {
    if due {
        out.push(Action::Announce);
    }
}

/// Own priority 0 cannot be: it means leaving.
fn sane(params: Params) -> Params {
    Params {
        rules: params.rules.with_priority(params.rules.priority),
        ..params
    }
}
