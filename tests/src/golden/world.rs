//! The virtual clock: what a scenario says happens at its time, and what is due happens by itself between.
//!
//! What happens at the very moment of a deadline happens before it: an advert is heard in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use ha_agent::config::model::{Config, Instance as InstanceConfig};
use ha_agent::record::line;
use ha_agent::router::health::Health;
use ha_common::election::{Election, Params};
use ha_common::units::Instant;

use super::events::{CheckResult, Event, Line, Link, Stall};
use super::router::{Router, Turn};
use super::transcript::Transcript;

/// The configurations of a scenario by file name; the agent starts with [`FIRST`].
pub(super) type Configs = BTreeMap<String, Arc<Config>>;

/// The configuration that the agent starts with.
pub(super) const FIRST: &str = "config.toml";

/// One host with an agent.
pub(super) struct World {
    now: Instant,
    configs: Configs,
    config: Arc<Config>,
    /// Their names, by number.
    checks: Vec<String>,
    health: Vec<(String, Health)>,
    links: BTreeMap<String, Link>,
    routers: Vec<Router>,
    /// Elections that a recording drives.
    recorded: BTreeMap<String, Election>,
    running: bool,
    stalled: Option<(Stall, Instant)>,
    /// What the agent will be told when it moves again.
    waiting: Vec<(Option<String>, Event)>,
    transcript: Transcript,
}

/// An event that cannot happen, in words.
pub(super) type Impossible = String;

macro_rules! turn {
    ($world:expr) => {
        &mut Turn {
            now: $world.now,
            checks: &$world.checks,
            transcript: &mut $world.transcript,
        }
    };
}

impl World {
    /// A host whose agent has not started, at the clock's zero.
    pub(super) fn new(configs: Configs) -> Option<Self> {
        let config = Arc::clone(configs.get(FIRST)?);
        let routers = config.instances.iter().cloned().map(Router::new).collect();
        Some(Self {
            now: Instant(0),
            configs,
            checks: names(&config),
            config,
            health: Vec::new(),
            links: BTreeMap::new(),
            routers,
            recorded: BTreeMap::new(),
            running: false,
            stalled: None,
            waiting: Vec::new(),
            transcript: Transcript::default(),
        })
    }

    /// Plays one line, and before it what is due earlier.
    pub(super) fn play(&mut self, line: &Line) -> Result<(), Impossible> {
        self.run_until(line.at);
        self.now = line.at;
        self.happen(line.instance.as_deref(), &line.event)
    }

    /// What came of it.
    pub(super) fn transcript(self) -> Transcript {
        self.transcript
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            let due = |router: &Router| router.next_deadline().filter(|at| *at < end);
            let next = self.routers.iter().enumerate();
            let next = next.filter_map(|(index, router)| Some((due(router)?, index)));
            let Some((at, index)) = next.min() else {
                return;
            };
            self.now = self.now.max(at);
            if let Some(router) = self.routers.get_mut(index) {
                router.tick(turn!(self));
            }
        }
    }

    fn happen(&mut self, who: Option<&str>, event: &Event) -> Result<(), Impossible> {
        match event {
            Event::Start => return self.start(),
            Event::Link(link) => {
                for name in self.names(who) {
                    self.links.insert(name, *link);
                }
                self.tell(who, event);
            }
            Event::Trouble(_) | Event::Check(_) | Event::Reload(_) => self.tell(who, event),
            Event::Hears(heard) => {
                for router in targets(&mut self.routers, who) {
                    if !router.hear(heard, turn!(self)) {
                        return Err(
                            "such an advert cannot be sent: its addresses are of another \
                                    family, or too many"
                                .to_owned(),
                        );
                    }
                }
            }
            Event::Deaf(deaf) => {
                for router in targets(&mut self.routers, who) {
                    router.set_deaf(*deaf, self.now);
                }
            }
            Event::Stall(stall) => return self.stall(*stall),
            Event::Wake => return self.wake(),
            Event::Crash => self.crash(),
            Event::Shutdown => self.shut_down(),
            Event::Begins(params) => self.begin(who.unwrap_or_default(), params),
            Event::Turn(turn) => return self.turn(who.unwrap_or_default(), turn),
            Event::End => {}
        }
        Ok(())
    }

    fn names(&self, who: Option<&str>) -> Vec<String> {
        match who {
            Some(name) => vec![name.to_owned()],
            None => self
                .config
                .instances
                .iter()
                .map(|it| it.name.clone())
                .collect(),
        }
    }

    /// The agent is told; while it stands still, that waits.
    fn tell(&mut self, who: Option<&str>, event: &Event) {
        if self.stalled.is_some() {
            self.waiting.push((who.map(str::to_owned), event.clone()));
            return;
        }
        self.take(who, event);
    }

    fn take(&mut self, who: Option<&str>, event: &Event) {
        match event {
            Event::Link(_) => {
                for router in targets(&mut self.routers, who) {
                    let link = self.links.get(&router.config.name);
                    router.set_link(link.copied().unwrap_or_default(), turn!(self));
                }
            }
            Event::Trouble(trouble) => {
                for router in targets(&mut self.routers, who) {
                    router.set_trouble(*trouble, turn!(self));
                }
            }
            Event::Check(CheckResult { name, up }) => {
                self.check(name, if *up { Health::Up } else { Health::Down });
            }
            Event::Reload(file) => self.reload(file),
            Event::Start
            | Event::Hears(_)
            | Event::Deaf(_)
            | Event::Stall(_)
            | Event::Wake
            | Event::Crash
            | Event::Shutdown
            | Event::Begins(_)
            | Event::Turn(_)
            | Event::End => {}
        }
    }

    fn start(&mut self) -> Result<(), Impossible> {
        if self.running {
            return Err("the agent runs already".to_owned());
        }
        self.running = true;
        self.health.clear();
        for router in &mut self.routers {
            router.start(turn!(self));
        }
        Ok(())
    }

    fn check(&mut self, name: &str, health: Health) {
        match self.health.iter_mut().find(|(check, _)| check == name) {
            Some(entry) => entry.1 = health,
            None => self.health.push((name.to_owned(), health)),
        }
        for router in &mut self.routers {
            router.check_changed(name, health, turn!(self));
        }
    }

    /// Instances that stay are kept, the others leave, as in the driver.
    fn reload(&mut self, file: &str) {
        let Some(config) = self.configs.get(file).cloned() else {
            return;
        };
        let (mut kept, leaving): (Vec<_>, Vec<_>) = std::mem::take(&mut self.routers)
            .into_iter()
            .partition(|router| {
                let same = |new: &InstanceConfig| is_same(new, &router.config);
                config.instances.iter().any(same)
            });
        for mut router in leaving {
            router.shut_down(turn!(self));
        }
        self.checks = names(&config);
        let exists = |name: &str| config.checks.iter().any(|check| check.name == name);
        self.health.retain(|(name, _)| exists(name));
        for new in &config.instances {
            let index = kept.iter().position(|it| is_same(new, &it.config));
            let router = match index.map(|index| kept.swap_remove(index)) {
                Some(mut router) => {
                    if *router.config != *new {
                        router.reconfigure(new.clone(), &self.health, turn!(self));
                    }
                    router
                }
                None => self.appear(new),
            };
            self.routers.push(router);
        }
        self.config = config;
        for (name, health) in self.health.clone() {
            self.check(&name, health);
        }
    }

    fn appear(&mut self, config: &InstanceConfig) -> Router {
        let mut router = Router::new(config.clone());
        let link = self.links.get(&config.name).copied().unwrap_or_default();
        router.set_link(link, turn!(self));
        if self.running {
            router.start(turn!(self));
        }
        router
    }

    fn stall(&mut self, stall: Stall) -> Result<(), Impossible> {
        if !self.running || self.stalled.is_some() {
            return Err("only an agent that runs and moves can stand still".to_owned());
        }
        self.stalled = Some((stall, self.now));
        for router in &mut self.routers {
            router.stall(self.now);
        }
        Ok(())
    }

    fn wake(&mut self) -> Result<(), Impossible> {
        let Some((stall, since)) = self.stalled.take() else {
            return Err("only an agent that stands still can wake".to_owned());
        };
        for router in &mut self.routers {
            router.wake(stall, since, turn!(self));
        }
        for (who, event) in std::mem::take(&mut self.waiting) {
            self.take(who.as_deref(), &event);
        }
        Ok(())
    }

    fn crash(&mut self) {
        self.running = false;
        self.stalled = None;
        self.waiting.clear();
        for router in &mut self.routers {
            router.crash();
        }
    }

    fn shut_down(&mut self) {
        self.running = false;
        for router in &mut self.routers {
            router.shut_down(turn!(self));
        }
    }

    /// An election that a recording drives.
    fn begin(&mut self, name: &str, params: &Params) {
        self.transcript.begins(name, self.now, params);
        let election = Election::new(*params);
        self.recorded.insert(name.to_owned(), election);
    }

    /// Straight into an election: one that a recording drives, or a played one.
    fn turn(&mut self, name: &str, recorded: &line::Turn) -> Result<(), Impossible> {
        let turn = turn!(self);
        if let Some(election) = self.recorded.get_mut(name) {
            let again = line::Turn {
                actions: election.handle(turn.now, recorded.input),
                ..recorded.clone()
            };
            turn.transcript.turn(name, turn.now, &again);
        } else if let Some(router) = targets(&mut self.routers, Some(name)).next() {
            router.feed(recorded.input, turn);
        } else {
            return Err(format!("{name} has not begun"));
        }
        Ok(())
    }
}

/// The names of the checks, by number.
fn names(config: &Config) -> Vec<String> {
    config
        .checks
        .iter()
        .map(|check| check.name.clone())
        .collect()
}

fn targets<'r>(
    routers: &'r mut [Router],
    who: Option<&str>,
) -> impl Iterator<Item = &'r mut Router> {
    routers
        .iter_mut()
        .filter(move |router| who.is_none_or(|name| router.config.name == name))
}

/// What makes two configured instances the same virtual router, with the same datapath.
fn is_same(one: &InstanceConfig, other: &InstanceConfig) -> bool {
    one.interface == other.interface
        && one.family == other.family
        && one.vrid == other.vrid
        && one.version == other.version
        && one.datapath == other.datapath
}
