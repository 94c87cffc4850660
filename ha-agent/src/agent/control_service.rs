//! What the control socket asks of the agent.

use std::time::SystemTime;

use tokio::sync::watch;

use super::running::Agent;
use super::{peers, reload, status, switch_datapath, upgrade};
use crate::config::model::DatapathChoice;
use crate::control::protocol::{ErrorReply, Reloaded, Switched, Upgrading};
use crate::control::server::{Handler, Successor};
use crate::os::clock;
use crate::status::agent::Status;
use crate::status::moment::WallTime;
use crate::status::peers::Peers;

impl Handler for Agent {
    fn status(&self) -> Status {
        self.refresh();
        status::status(self)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    fn peers(&self) -> Result<Peers, ErrorReply> {
        self.refresh();
        let picture = self.published.picture();
        let soft = picture
            .views
            .iter()
            .filter_map(|view| view.datapath.as_ref()?.soft.as_ref());
        let mut all: Vec<_> = soft.flat_map(|soft| soft.peers.iter().copied()).collect();
        all.extend(self.reader.iter().flat_map(|reader| reader.peers()));
        let now = clock::now();
        let started = WallTime::before(SystemTime::now(), now.since(self.started));
        let since_started = |reader| {
            peers::frames_since(&peers::frames(reader), &self.frames_before, started.clone())
        };
        Ok(Peers {
            pin_dir: self.pins.clone().ok(),
            peers: peers::shown(&all, now, &self.links.get()),
            frames: self.reader.as_deref().map(since_started),
            started: Some(started.clone()),
        })
    }

    async fn reload(&self, force: bool) -> Result<Reloaded, ErrorReply> {
        reload::reload(self, force).await
    }

    async fn datapath(
        &self,
        instance: &str,
        choice: DatapathChoice,
    ) -> Result<Switched, ErrorReply> {
        switch_datapath::datapath(self, instance, choice).await
    }

    async fn upgrade(&self, by: Successor) -> Result<Upgrading, ErrorReply> {
        upgrade::upgrade(self, by).await
    }
}
