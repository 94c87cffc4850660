//! What the driver's thread owns.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use ha_common::hmac::Stamp;
use ha_common::units::Instant;

use super::command::{Command, News};
use super::groups::Group;
use super::hooks::Hooks;
use super::instance::Instance;
use super::leftovers::Leftovers;
use super::published::StatusPublisher;
use super::receivers::Receivers;
use super::shared_sockets::SharedSockets;
use super::system::System;
use super::watchdog::Watchdog;
use crate::config::model::Config;
use crate::datapath::object::Rings;
use crate::os::notifier::Notifier;
use crate::router::health::Health;

/// The thread's own.
pub(super) struct Driver {
    pub(super) config: Arc<Config>,
    pub(super) instances: Vec<Instance>,
    /// The place in `instances` of the one that has a slot, as it was found last.
    pub(super) by_slot: HashMap<u32, usize>,
    pub(super) groups: Vec<Group>,
    pub(super) health: Vec<(String, Health)>,
    /// What it acts by; apart from the rest, so that an instance may use it while the list is walked.
    pub(super) system: System,
    pub(super) rings: Option<Rings>,
    pub(super) hooks: Hooks,
    pub(super) receivers: Receivers,
    pub(super) sockets: SharedSockets,
    pub(super) commands: Receiver<Command>,
    pub(super) news: Arc<News>,
    pub(super) bell: Arc<Notifier>,
    pub(super) published: Arc<StatusPublisher>,
    pub(super) leftovers: Leftovers,
    pub(super) deaf: bool,
    pub(super) watchdog: Watchdog,
    /// When interfaces that are without link by our own doing are looked at again.
    pub(super) settling_until: Option<Instant>,
    /// When interfaces that have changed elsewhere on the host are looked at.
    pub(super) unrelated_until: Option<Instant>,
    /// What the gates of signed adverts take for UTC.
    pub(super) utc_at_zero: Stamp,
}
