//! What the driver acts by: the BPF programs, netlink, sockets, the sender, and where it reports.

use std::sync::Arc;

use super::published::StatusPublisher;
use super::report::Reporter;
use super::sender::Sender;
use crate::datapath::kernel::Kernel;
use crate::net::address::AddressTable;
use crate::net::announce::Announcer;
use crate::net::links::LinkTable;
use crate::net::routing::RoutingTable;
use crate::net::virtual_mac::MacvlanTable;
use crate::os::clock;
use crate::record::Recorder;

/// What all instances share.
pub(crate) struct System {
    /// The kernel half, if there is one.
    pub(crate) kernel: Option<Kernel>,
    /// Addresses.
    pub(crate) addresses: AddressTable,
    /// Routes and rules.
    pub(crate) routing: RoutingTable,
    /// Devices of virtual MACs.
    pub(crate) devices: MacvlanTable,
    /// The interfaces as they were last seen.
    pub(crate) links: Arc<LinkTable>,
    /// Gratuitous ARP and unsolicited NA.
    pub(crate) announcer: Announcer,
    /// Periodic adverts.
    pub(crate) sender: Sender,
    /// Log lines.
    pub(crate) reporter: Reporter,
    /// What the elections are told and want.
    pub(crate) recorder: Recorder,
    /// Where the driver shows itself.
    pub(crate) published: Arc<StatusPublisher>,
    /// Addresses are put in place once all that has happened is decided: [`Driver::take_deferred`](super::thread::Driver).
    pub(crate) defers_addresses: bool,
    /// Names of the checks by number, and behind them what is said when something else that is tracked fails.
    pub(crate) checks: Arc<[String]>,
}

impl System {
    /// The driver lives, however long its turn takes: to be said in each loop over virtual routers in which the kernel is
    /// waited for. The adverts of all others go on, and systemd's watchdog has no reason to end the agent.
    ///
    /// The fence is told at the end of a turn only: what others have said meanwhile is not answered yet.
    pub(crate) fn renew(&self) {
        self.sender.renew(clock::now());
        self.published.turned();
    }
}
