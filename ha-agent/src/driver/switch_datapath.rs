//! Carrying out `ha-agent datapath`: another datapath for one instance.

use std::sync::Arc;

use ha_common::units::Instant;
use tokio::sync::oneshot;

use super::hooks;
use super::instance::Instance;
use super::report::Reporter;
use super::switch::{Answer, Switch, SwitchError, Switched, Told};
use super::thread::Driver;
use crate::config::model::{DatapathChoice, Instance as Config};
use crate::router::notice::Notice;

impl Driver {
    /// Receives the adverts of an instance by another datapath.
    pub(super) fn switch(
        &mut self,
        name: &str,
        choice: DatapathChoice,
        answer: oneshot::Sender<Answer>,
        now: Instant,
    ) {
        let conflict = self.conflict(name, choice);
        let Some(instance) = self.instances.iter_mut().find(|it| **it.name() == *name) else {
            let names = self.instances.iter().map(|it| it.name().to_string());
            let _ = answer.send(Err(SwitchError::Unknown(names.collect())));
            return;
        };
        if let Some(why) = conflict {
            let _ = answer.send(Err(SwitchError::Refused(why)));
            return;
        }
        let earlier = instance.switch.take().and_then(|mut switch| {
            // One that is still being tried has not become what the instance had.
            let had = match switch.answer {
                Some(_) => switch.earlier,
                None => Some(switch.choice),
            };
            switch.tell(Err(SwitchError::Overtaken));
            had
        });
        let mut switch = Switch::new(choice, earlier);
        switch.answer = Some(answer);
        instance.switch = Some(switch);
        instance.dirty();
        self.follow_links(now);
    }

    /// Another instance on the interface that insists on another program: one of them would be refused.
    fn conflict(&self, name: &str, choice: DatapathChoice) -> Option<String> {
        let instance = self.instances.iter().find(|it| **it.name() == *name)?;
        let other = self.rival(instance, choice)?;
        Some(format!(
            "instance {} on {} requires {}, and an interface can have only one of our programs: switch that \
             instance first",
            other.name(),
            other.config().interface,
            other.choice().name()
        ))
    }

    fn rival(&self, instance: &Instance, choice: DatapathChoice) -> Option<&Instance> {
        let links = &self.system.links;
        let shared = |it: &str, other: &str| {
            let index = |name: &str| links.by_name(name).map(|link| link.index);
            // One interface may have several names.
            it == other || index(it).is_some() && index(it) == index(other)
        };
        self.instances.iter().find(|other| {
            other.id != instance.id
                && shared(&other.config().interface, &instance.config().interface)
                && hooks::names_program(choice)
                && hooks::names_program(other.choice())
                && other.choice() != choice
        })
    }

    /// Ends what commands have wanted where a new configuration wants another program on the interface.
    pub(super) fn end_overruled_switches(&mut self, changed: impl Fn(&Config) -> bool) {
        let overruled: Vec<usize> = self
            .instances
            .iter()
            .filter(|instance| {
                let rival = self.rival(instance, instance.choice());
                instance.switched().is_some() && rival.is_some_and(|it| changed(it.config()))
            })
            .map(|instance| instance.id)
            .collect();
        for instance in &mut self.instances {
            if overruled.contains(&instance.id) {
                instance.end_switch();
            }
        }
    }

    /// Gives up what cannot be had, and answers for what can. True if something was given up: the interfaces are
    /// then looked at again.
    pub(super) fn settle_switches(&mut self) -> bool {
        let mut given_up = false;
        let mut answers = Vec::new();
        for instance in &mut self.instances {
            let refused = instance.switch.as_mut().and_then(|it| it.refused.take());
            if let Some(why) = refused {
                given_up = true;
                answers.extend(give_up(instance, why, &self.system.reporter));
            } else if let Some(switched) = outcome(instance, &self.hooks) {
                answers.extend(instance.settle_switch(switched));
            }
        }
        if !answers.is_empty() {
            // Whoever is answered finds the same published.
            self.show();
        }
        for (waiting, answer) in answers {
            // Whoever asked may have given up waiting.
            let _ = waiting.send(answer);
        }
        given_up
    }
}

/// The instance goes on by what it had. Who waits is to be told so; if nobody does, the log is.
fn give_up(instance: &mut Instance, why: String, reporter: &Reporter) -> Option<Told> {
    let switch = instance.switch.take()?;
    instance.dirty();
    instance.switch = switch.earlier.map(|earlier| Switch::new(earlier, None));
    if let Some(waiting) = switch.answer {
        return Some((waiting, Err(SwitchError::Refused(why))));
    }
    reporter.say_of(Arc::clone(instance.name()), Notice::Warning(format!(
            "datapath {}, set by a command, is no longer available: {why}; the configured {} applies again",
            switch.choice.name(),
            instance.config().datapath.name()
        )));
    None
}

/// What an instance has got that waits for it; `None` while it is on its way.
fn outcome(instance: &Instance, hooks: &hooks::Hooks) -> Option<Switched> {
    let switch = instance.switch.as_ref()?;
    switch.answer.as_ref()?;
    let port = instance.port.as_ref()?;
    let program = hooks.settled(port.ifindex)?;
    let works = !instance.has_port_error() && hooks::allows(switch.choice, port.reception.datapath);
    works.then(|| Switched {
        reception: port.reception.clone(),
        configured: instance.config().datapath,
        interface: instance.config().interface.clone(),
        program,
    })
}
