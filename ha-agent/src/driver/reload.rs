//! A new configuration, and the end: instances that stay are kept, the others leave properly.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ha_common::election::Role;
use ha_common::units::{Instant, Nanos};
use tokio::sync::oneshot;

use super::instance::Instance;
use super::observed_links::tracked_links;
use super::published::PublishedStatus;
use super::thread::Driver;
use crate::config::model::{Config, Instance as InstanceConfig, Track};
use crate::config::plan::{RouterId, Sections, Step, plan};
use crate::os::clock;
use crate::router::tracked::ObservedLinks;

/// For how long an agent that ends goes on removing what the kernel does not let go of; the unit gives it 10 s.
const LEAVES_WITHIN: Nanos = Nanos::from_millis(5_000);
/// Between two attempts.
const TRY_AGAIN: Nanos = Nanos::from_millis(100);

impl Driver {
    pub(super) fn reload(&mut self, config: &Arc<Config>, now: Instant) {
        let old = Arc::clone(&self.config);
        let plan = plan(&old, config);
        let instances = std::mem::take(&mut self.instances).into_iter();
        let running = instances
            .map(|it| (RouterId::of(it.config()), it))
            .collect();
        let kept = self.stop_those_that_leave(running, &plan.routers, now);
        self.health
            .retain(|(name, _)| config.checks.iter().any(|check| check.name == *name));
        self.system.checks = names(config);
        let observed = tracked_links(config, &self.system.links);
        self.start_and_change(kept, &plan.routers, &observed, now);
        self.config = Arc::clone(config);
        self.end_overruled_switches(|new| {
            let mut steps = plan.routers.steps.iter();
            let step = steps.find(|step| step.section() == new);
            step.is_none_or(|step| overrules_switches(step))
        });
        self.form_groups(now);
        for (name, health) in self.health.clone() {
            self.on_check(&name, health, now);
        }
        self.follow_links(now);
    }

    /// Ends what leaves and what starts anew, and gives back what goes on.
    fn stop_those_that_leave(
        &mut self,
        mut running: HashMap<RouterId, Instance>,
        plan: &Sections<'_, InstanceConfig>,
        now: Instant,
    ) -> HashMap<RouterId, Instance> {
        let anew = plan.steps.iter().filter(|step| !step.carries_on());
        let ending = plan.leaving.iter().copied().chain(anew.map(Step::section));
        for id in ending.map(RouterId::of) {
            let Some(mut instance) = running.remove(&id) else {
                continue;
            };
            instance.shut_down(&mut self.system, now);
            self.owe_for(&instance);
            if let Some(port) = instance.close_port(&mut self.system, now) {
                self.release(&port);
            }
            // What it could not take with it.
            self.leftovers.look(now);
        }
        running
    }

    fn start_and_change(
        &mut self,
        mut kept: HashMap<RouterId, Instance>,
        plan: &Sections<'_, InstanceConfig>,
        observed: &ObservedLinks,
        now: Instant,
    ) {
        // An address or a route may move from one instance to another: it is let go before it is taken.
        for change in plan.changes() {
            self.system.renew();
            if let Some(instance) = kept.get_mut(&RouterId::of(change.new)) {
                instance.drop_routing(change.new, &mut self.system, now);
                instance.drop_addresses(change.new, &mut self.system, now);
            }
        }
        let ids = kept.values().map(|instance| instance.id + 1);
        let mut next_id = ids.max().unwrap_or(0);
        for step in &plan.steps {
            self.system.renew();
            let config = || Arc::new(step.section().clone());
            let instance = match (kept.remove(&RouterId::of(step.section())), step) {
                (Some(mut instance), Step::Change(_)) => {
                    let known = (self.health.as_slice(), observed);
                    instance.reconfigure(config(), known, &mut self.system, now);
                    instance
                }
                (Some(instance), _) => instance,
                (None, _) => {
                    next_id += 1;
                    let names = Arc::clone(&self.system.checks);
                    Instance::new(next_id - 1, config(), names, now, &self.system.recorder)
                }
            };
            self.instances.push(instance);
        }
    }

    /// Leaves everything as it is for the program that this process becomes.
    pub(super) fn hand_over(&mut self, done: oneshot::Sender<()>) -> ! {
        for instance in &self.instances {
            if instance.role() == Role::Master {
                self.system.sender.now(instance.id);
                // Its next signed advert must be later than this one.
                instance.remember_said(&mut self.system);
            }
        }
        // Whoever asked ends this process.
        let _ = done.send(());
        loop {
            std::thread::park();
        }
    }

    /// Priority 0, addresses away, slots free, programs off.
    pub(super) fn leave(&mut self, now: Instant) {
        for instance in &mut self.instances {
            instance.shut_down(&mut self.system, now);
        }
        self.show();
        for mut instance in std::mem::take(&mut self.instances) {
            self.owe_for(&instance);
            if let Some(port) = instance.close_port(&mut self.system, now) {
                self.system.renew();
                self.release(&port);
            }
        }
        self.leave_nothing();
        self.receivers.keep_only(|_, _| None);
        if let Some(thread) = self.hooks.leave() {
            // It has taken the programs off that may go. A panic of it was logged.
            let _ = thread.join();
        }
    }

    /// Nobody is there afterwards to try again: what the kernel refuses is asked for until it is gone, within a limit.
    fn leave_nothing(&mut self) {
        let begin = clock::now();
        loop {
            self.clear_leftovers(clock::now());
            let waited = clock::now().since(begin);
            if self.leftovers.are_gone() || waited >= LEAVES_WITHIN {
                // What is left is written down for whoever comes.
                let shown = self.published.picture();
                self.published.show(PublishedStatus {
                    owed: self.leftovers.owed(&self.system.links),
                    ..PublishedStatus::clone(&shown)
                });
                return;
            }
            self.system.renew();
            std::thread::sleep(TRY_AGAIN.to_duration());
        }
    }
}

/// The checks' names, and behind them what is said when something else that is tracked without weight
/// fails.
pub(super) fn names(config: &Config) -> Arc<[String]> {
    let tracks = config.instances.iter().flat_map(|instance| &instance.track);
    let complaints: BTreeSet<String> = tracks
        .filter(|track| track.weight.is_none())
        .filter(|track| track.reverse || track.check_name().is_none())
        .map(Track::complaint)
        .collect();
    let checks = config.checks.iter().map(|check| check.name.clone());
    checks.chain(complaints).collect()
}

/// Whether an instance is new, or wants another datapath than before.
fn overrules_switches(step: &Step<'_, InstanceConfig>) -> bool {
    match step {
        Step::Start(_) => true,
        Step::Keep(_) => false,
        Step::Change(change) => {
            change.restart.is_some() || change.old.datapath != change.new.datapath
        }
    }
}
