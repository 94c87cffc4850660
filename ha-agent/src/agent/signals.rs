//! The signals of a service manager.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ending::Ending;
use super::exit::Exit;
use super::failure::Failure;
use super::running::Agent;
use super::{reload, systemd};

/// SIGTERM and SIGINT end the agent, SIGHUP reloads.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn install() -> Result<Self, Failure> {
        let install = |kind| signal(kind).map_err(|error| Failure::new(Exit::Environment, &error));
        Ok(Self {
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
            hangup: install(SignalKind::hangup())?,
        })
    }

    /// Until the process is to end, and how; reloads meanwhile.
    pub(super) async fn wait(&mut self, agent: &Arc<Agent>) -> Ending {
        let mut ending = agent.ending.subscribe();
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Ending::Stopped,
                _ = self.interrupt.recv() => return Ending::Stopped,
                Ok(asked) = ending.wait_for(Option::is_some) => {
                    if let Some(ending) = asked.clone() {
                        return ending;
                    }
                }
                _ = self.hangup.recv() => {
                    // Beside this, for a file on a hung disk must not keep the agent from leaving.
                    tokio::spawn(reload_by_signal(Arc::clone(agent)));
                }
            }
        }
    }
}

async fn reload_by_signal(agent: Arc<Agent>) {
    systemd::reloading();
    // Nobody gets the answer but the log, and a signal cannot say that it means what it costs.
    let _ = reload::reload(&agent, false).await;
    systemd::ready();
}
