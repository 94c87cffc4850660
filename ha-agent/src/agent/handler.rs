//! What the control socket asks of the agent.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock, PoisonError, mpsc};
use std::time::Duration;

use ha_common::units::Instant;
use tokio::sync::{Mutex, watch};
use tracing::{info, warn};

use super::{changes, peers, snapshot, switch};
use crate::checks::{CheckStatus, Checks};
use crate::config::model::DatapathChoice;
use crate::config::{self, Config, Problem};
use crate::control::peers::Peers;
use crate::control::protocol::{ErrorKind, ErrorReply, Reloaded, Switched};
use crate::control::server::Handler;
use crate::control::status::Status;
use crate::datapath::reader::Reader;
use crate::driver::board::{Board, View};
use crate::driver::sender::Conduct;
use crate::driver::{Command, Handle};
use crate::net::links::LinkTable;
use crate::os::clock;
use crate::os::realtime::Ability;

/// How long a driver may take to show itself before the last picture must do.
const REFRESH_WAIT: Duration = Duration::from_millis(200);

/// The running agent, as those who ask see it.
pub(super) struct Agent {
    pub(super) file: PathBuf,
    /// The running configuration, and when it was read.
    pub(super) config: Lock<(Arc<Config>, Instant)>,
    pub(super) started: Instant,
    pub(super) pins: Result<PathBuf, String>,
    pub(super) board: Arc<Board>,
    pub(super) reader: Option<Arc<Reader>>,
    pub(super) links: watch::Receiver<Arc<LinkTable>>,
    pub(super) checks: Mutex<Option<Checks>>,
    /// The last snapshot of the checks, for while they are being changed.
    pub(super) shown_checks: Lock<Vec<CheckStatus>>,
    pub(super) memory: Ability,
    /// Of the driver, and of the sender.
    pub(super) realtime: (Ability, Ability),
    pub(super) conduct: Arc<Conduct>,
    pub(super) changes: watch::Receiver<u64>,
    pub(super) handle: Handle,
    pub(super) reloading: Mutex<()>,
}

impl Agent {
    pub(super) fn config(&self) -> (Arc<Config>, Instant) {
        self.config
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn check_status(&self) -> Vec<CheckStatus> {
        let mut shown = self
            .shown_checks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Ok(checks) = self.checks.try_lock()
            && let Some(checks) = checks.as_ref()
        {
            *shown = checks.snapshot();
        }
        shown.clone()
    }

    /// Counters of plain sockets live in the driver, which shows them when it is asked to. The others are
    /// in the maps or go on counting by themselves, and nobody is woken for them.
    fn refresh(&self) {
        let is_soft = |view: &Arc<View>| {
            view.datapath
                .as_ref()
                .is_some_and(|path| path.soft.is_some())
        };
        if !self.board.picture().views.iter().any(is_soft) {
            return;
        }
        let (done, shown) = mpsc::sync_channel(1);
        if self.handle.tell(Command::Show(done)) {
            // A driver that does not answer is shown as it was.
            let _ = shown.recv_timeout(REFRESH_WAIT);
        }
    }

    /// What is said of more addresses than the kernel half was loaded for. They are held all the same.
    fn outgrown(&self, new: &Config) -> Option<String> {
        let room = self.reader.as_ref()?.room_for_held();
        let held: usize = new.instances.iter().map(|it| it.held().count()).sum();
        (held > usize::try_from(room).unwrap_or(usize::MAX)).then(|| {
            format!(
                "the file has {held} addresses, and the kernel half was loaded with room for {room}: it cannot \
                 fence the others, should this host stall as their master; restart the agent when it suits"
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
            message: format!("{} is refused", self.file.display()),
            details: error.lines(),
        })?;
        let (old, _) = self.config();
        let changes = changes::phrases(&config::diff(&old, &new), &old, &new);
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
            return Err(ErrorReply::new(ErrorKind::Failed, "the driver is gone"));
        }
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = (new, clock::now());
        Ok(Reloaded { changes, warnings })
    }
}

impl Handler for Agent {
    fn status(&self) -> Status {
        self.refresh();
        snapshot::status(self)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    fn peers(&self) -> Result<Peers, ErrorReply> {
        self.refresh();
        let picture = self.board.picture();
        let soft = picture
            .views
            .iter()
            .filter_map(|view| view.datapath.as_ref()?.soft.as_ref());
        let mut all: Vec<_> = soft.flat_map(|soft| soft.peers.iter().copied()).collect();
        all.extend(self.reader.iter().flat_map(|reader| reader.peers()));
        Ok(Peers {
            pin_dir: self.pins.clone().ok(),
            peers: peers::shown(&all, clock::now(), &self.links.borrow()),
            frames: self.reader.as_deref().map(peers::frames),
        })
    }

    async fn reload(&self) -> Result<Reloaded, ErrorReply> {
        let outcome = self.reload_now().await;
        say(&outcome);
        outcome
    }

    async fn datapath(
        &self,
        instance: &str,
        choice: DatapathChoice,
    ) -> Result<Switched, ErrorReply> {
        switch::datapath(self, instance, choice).await
    }
}

/// For SIGHUP: nobody gets the answer but the log.
pub(super) async fn reload_and_log(agent: &Arc<Agent>) {
    let outcome = agent.reload_now().await;
    say(&outcome);
}

fn say(outcome: &Result<Reloaded, ErrorReply>) {
    match outcome {
        Ok(reloaded) if reloaded.changes.is_empty() => info!("reloaded: nothing has changed"),
        Ok(reloaded) => info!("reloaded: {}", reloaded.changes.join("; ")),
        Err(error) => {
            warn!(
                "not reloaded, the running configuration stays: {}",
                error.message
            );
            for line in &error.details {
                warn!("{line}");
            }
        }
    }
}
