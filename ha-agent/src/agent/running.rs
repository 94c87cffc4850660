//! The running agent: what those who ask it share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock, PoisonError, mpsc};
use std::time::Duration;

use ha_common::units::Instant;
use tokio::sync::{Mutex, watch};

use super::ending::Ending;
use super::other_lists::OtherLists;
use super::same_host::SameHost;
use crate::checks::{CheckStatus, Checks};
use crate::config::Config;
use crate::control::protocol::ErrorReply;
use crate::datapath::reader::Reader;
use crate::driver::published::{InstanceStatus, StatusPublisher};
use crate::driver::sender::SenderStats;
use crate::driver::{Command, Handle};
use crate::net::links::LinkTable;
use crate::net::retry::Trouble;
use crate::os::latest::Latest;
use crate::os::realtime::Ability;
use crate::status::peers::Frames;

/// How long a driver may take to show itself before the last picture must do.
const REFRESH_WAIT: Duration = Duration::from_millis(200);

/// The running agent, as those who ask see it.
pub(super) struct Agent {
    pub(super) file: PathBuf,
    /// The running configuration, and when it was read.
    pub(super) config: Lock<(Arc<Config>, Instant)>,
    /// When the last reload ended, and why it failed if it did.
    pub(super) last_reload: Lock<Option<(Instant, Option<ErrorReply>)>>,
    pub(super) started: Instant,
    /// What the kernel half had counted by then.
    pub(super) frames_before: Frames,
    pub(super) pins: Result<PathBuf, String>,
    pub(super) published: Arc<StatusPublisher>,
    pub(super) reader: Option<Arc<Reader>>,
    pub(super) links: Latest<Arc<LinkTable>>,
    /// Why the kernel's news of interfaces are not heard, and those of routes.
    pub(super) watch_troubles: [Latest<Option<Trouble>>; 2],
    pub(super) checks: Mutex<Option<Checks>>,
    /// The last snapshot of the checks, for while they are being changed.
    pub(super) shown_checks: Lock<Vec<CheckStatus>>,
    pub(super) memory: Ability,
    /// Of the driver, and of the sender.
    pub(super) realtime: (Ability, Ability),
    pub(super) sender_stats: Arc<SenderStats>,
    pub(super) changes: watch::Receiver<u64>,
    pub(super) other_lists: Arc<OtherLists>,
    pub(super) same_host: Arc<SameHost>,
    pub(super) handle: Handle,
    pub(super) reloading: Mutex<()>,
    /// How the agent is to end, if it was asked to.
    pub(super) ending: watch::Sender<Option<Ending>>,
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
    pub(super) fn refresh(&self) {
        let is_soft = |view: &Arc<InstanceStatus>| {
            view.datapath
                .as_ref()
                .is_some_and(|path| path.soft.is_some())
        };
        if !self.published.picture().views.iter().any(is_soft) {
            return;
        }
        let (done, shown) = mpsc::sync_channel(1);
        if self.handle.tell(Command::Show(done)) {
            // A driver that does not answer is shown as it was.
            let _ = shown.recv_timeout(REFRESH_WAIT);
        }
    }
}
