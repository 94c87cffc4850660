//! A reload: the file is read again, and what is wrong with it changes nothing.

use std::sync::{Arc, PoisonError};

use tracing::{info, warn};

use super::reload_summary;
use super::running::Agent;
use crate::config::{self, Config, Problem};
use crate::control::protocol::{ErrorKind, ErrorReply, Reloaded};
use crate::driver::Command;
use crate::os::clock;

/// Reloads, and logs what came of it.
pub(super) async fn reload(agent: &Agent) -> Result<Reloaded, ErrorReply> {
    let outcome = agent.reload_now().await;
    say(&outcome);
    outcome
}

impl Agent {
    /// What is said of more addresses than the kernel half was loaded for. They are held all the same.
    fn outgrown(&self, new: &Config) -> Option<String> {
        let room = self.reader.as_ref()?.room_for_held();
        let held: usize = new.instances.iter().map(|it| it.held().count()).sum();
        (held > usize::try_from(room).unwrap_or(usize::MAX)).then(|| {
            format!(
                "the file has {held} addresses, but the BPF maps have room for {room}: the others are not \
                 fenced if this host stalls as their master; restart the agent when convenient"
            )
        })
    }

    /// Reads the file again; what is wrong with it changes nothing.
    async fn reload_now(&self) -> Result<Reloaded, ErrorReply> {
        let _one_at_a_time = self.reloading.lock().await;
        let file = self.file.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&file))
            .await
            .map_err(|error| ErrorReply::new(ErrorKind::Failed, error.to_string()))?;
        let mut new = loaded.map_err(|error| ErrorReply {
            kind: ErrorKind::Config,
            message: format!("invalid configuration: {}", self.file.display()),
            details: error.lines(),
        })?;
        let (old, _) = self.config();
        let changes = reload_summary::phrases(&config::plan(&old, &new));
        // It takes a restart, and until then each reload says so.
        new.node = old.node.clone();
        let mut warnings: Vec<String> = new.warnings.iter().map(Problem::one_line).collect();
        warnings.extend(self.outgrown(&new));
        let new = Arc::new(new);
        if let Some(checks) = self.checks.lock().await.as_mut() {
            checks
                .apply(new.checks.clone())
                .await
                .map_err(|error| ErrorReply::new(ErrorKind::Config, error.to_string()))?;
        }
        if !self.handle.tell(Command::Reload(Arc::clone(&new))) {
            return Err(ErrorReply::new(ErrorKind::Failed, "the driver has ended"));
        }
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = (new, clock::now());
        Ok(Reloaded { changes, warnings })
    }
}

fn say(outcome: &Result<Reloaded, ErrorReply>) {
    match outcome {
        Ok(reloaded) if reloaded.changes.is_empty() => info!("reloaded: nothing changed"),
        Ok(reloaded) => info!("reloaded: {}", reloaded.changes.join("; ")),
        Err(error) => {
            warn!(
                "reload failed, the running configuration stays in force: {}",
                error.message
            );
            for line in &error.details {
                warn!("{line}");
            }
        }
    }
}
