//! The product's main job, played with real agents and real nginx: nine steps that the test asserts
//! and the demo shows.
//!
//! A step says what it does and what must follow, does it, checks it by witnesses that are not the
//! agent (the kernel's address messages, a capture on the switch, a client that asks all the time),
//! and reports what it measured. How it is shown is the [`Observer`]'s affair.

mod adverts;
mod processes;
mod report;
mod service;
mod stage;

use anyhow::{Context as _, Result};

pub use report::{Fact, Report};
pub use stage::{Eyes, Settings, Stage};

/// One step.
#[derive(Clone, Copy)]
pub struct Step {
    /// 1 to 9, as in the operations guide.
    pub number: u8,
    /// A few words.
    pub title: &'static str,
    /// What is done.
    pub action: &'static str,
    /// What must follow.
    pub expectation: &'static str,
    play: fn(&mut Stage) -> Result<Report>,
}

/// Somebody who watches the scenario being played.
pub trait Observer {
    /// A step begins.
    fn begin(&mut self, step: &Step, stage: &Stage);
    /// A step has ended as it must.
    fn done(&mut self, step: &Step, stage: &Stage, report: &Report);
    /// A step has failed; the scenario ends with this error.
    fn failed(&mut self, step: &Step, stage: &Stage, error: &anyhow::Error);
}

/// The steps in their order; each starts from the state in which the one before ended.
pub const STEPS: [Step; 9] = [
    Step {
        number: 1,
        title: "Both hosts start",
        action: "start the agents with priorities 100 and 90",
        expectation: "the 100 is master and has the address, the 90 does not; \
                      the client gets the first host's page",
        play: service::start,
    },
    Step {
        number: 2,
        title: "nginx stops on the master",
        action: "stop nginx on the master",
        expectation: "nginx runs again within a second, the address does not move, and the log shows the restart",
        play: service::stop_nginx,
    },
    Step {
        number: 3,
        title: "nginx cannot be restarted",
        action: "make the master's nginx configuration invalid and stop nginx",
        expectation: "one restart fails, the master goes to FAULT and sends priority 0, the other host serves \
         the client",
        play: service::break_nginx,
    },
    Step {
        number: 4,
        title: "nginx is repaired",
        action: "make the configuration valid and start nginx",
        expectation: "the first host takes the address back once the check is up",
        play: service::mend_nginx,
    },
    Step {
        number: 5,
        title: "The master's adverts are dropped",
        action: "iptables -I OUTPUT -p vrrp -j DROP on the master; remove the rule once it has left the address",
        expectation: "the backup takes the address at the protocol's deadline; the master, which cannot send, leaves it \
                      to the backup, and takes it back and announces it once it can",
        play: adverts::drop_adverts,
    },
    Step {
        number: 6,
        title: "The master's host vanishes",
        action: "block the master's switch port silently; open it again",
        expectation: "take-over at the deadline; one clean return",
        play: adverts::vanish,
    },
    Step {
        number: 7,
        title: "The master's agent is stopped",
        action: "SIGTERM to the master's agent; start it again",
        expectation: "priority 0, the address is removed before the process ends, take-over after the skew time",
        play: processes::terminate,
    },
    Step {
        number: 8,
        title: "The master's agent is killed and restarted",
        action: "SIGKILL to the master's agent; start it again 200 ms later",
        expectation: "if the deadline is longer than that the address never moves and no request is lost; \
         otherwise one take-over and one clean return",
        play: processes::kill,
    },
    Step {
        number: 9,
        title: "Forged adverts",
        action: "20,000 adverts a second with bad checksums from a third host, for five seconds",
        expectation: "no take-over; only counters change",
        play: adverts::forge,
    },
];

/// Plays all steps on a fresh stage.
pub fn play(settings: Settings, observer: &mut dyn Observer) -> Result<Stage> {
    let mut stage = Stage::build(settings)?;
    for step in &STEPS {
        observer.begin(step, &stage);
        match (step.play)(&mut stage) {
            Ok(report) => observer.done(step, &stage, &report),
            Err(error) => {
                observer.failed(step, &stage, &error);
                return Err(error).with_context(|| {
                    format!(
                        "step {} at {:?} ({}): expected that {}",
                        step.number, settings.interval, step.title, step.expectation
                    )
                });
            }
        }
    }
    Ok(stage)
}
