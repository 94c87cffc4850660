//! One host: agent, kernel half, sender thread, addresses.

use std::collections::VecDeque;

use ha_common::election::{Advert, CheckId, Election, FaultCause, Input, Params, State};
use ha_common::group::Fitness;
use ha_common::units::Instant;

use super::detector::Detector;
use super::sender::Sender;
use super::world::Frame;

/// What stands still in a stall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stall {
    /// The driver alone: a hung disk, a debugger. Sender and kernel go on.
    Driver,
    /// The agent: driver and sender (SIGSTOP). The kernel goes on.
    Process,
    /// Everything: the virtual machine is paused.
    Host,
}

/// Whether the agent lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Life {
    /// It runs.
    Running,
    /// It stands still until it is woken.
    Stalled(Stall),
    /// It crashed; the kernel half and the addresses are as it left them.
    Dead,
    /// It was stopped, or never started.
    Off,
}

/// What waits for the driver's next turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hint {
    /// The detector pushed this advert.
    Advert(Advert),
    /// The detector's timer fired.
    Expired,
    /// Link or check changed, or the first results are in.
    Health,
    /// Anything else.
    Input(Input),
}

/// Frames that a paused host's NIC keeps for it.
const NIC_QUEUE: usize = 16;

/// One host.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own: link, check, first results, addresses, sleep"
)]
pub struct Node {
    /// Its configuration, with the effective priority.
    pub params: Params,
    /// The link is up.
    pub link: bool,
    /// The check succeeds.
    pub check: bool,
    /// Whether the agent lives.
    pub life: Life,
    /// Counts starts and ends, so that what an earlier life had coming is recognised.
    pub epoch: u32,
    /// Counts stalls, for the same reason.
    pub stalls: u32,
    /// The agent's state; it is lost in a crash.
    pub election: Option<Election>,
    /// In a group: the fitness that the election was last told of.
    pub fed: Fitness,
    /// The first results of the checks are in.
    pub checked: bool,
    /// The kernel half; it outlives the agent.
    pub detector: Box<dyn Detector>,
    /// The sender thread.
    pub sender: Sender,
    /// The virtual addresses are on the interface.
    pub addresses: bool,
    /// Where this host believes the virtual addresses to be.
    pub cache: Option<usize>,
    /// What of the detector's count of suppressed events the driver has dealt with.
    pub suppressed_seen: u64,
    /// What waits for the driver.
    pub inbox: VecDeque<Hint>,
    /// What a paused host has yet to receive.
    pub nic: VecDeque<Frame>,
}

impl Node {
    /// Off, healthy, without addresses.
    pub fn new(params: Params, detector: Box<dyn Detector>) -> Self {
        Self {
            params,
            link: true,
            check: true,
            life: Life::Off,
            epoch: 0,
            stalls: 0,
            election: None,
            fed: Fitness::Waiting,
            checked: false,
            detector,
            sender: Sender::default(),
            addresses: false,
            cache: None,
            suppressed_seen: 0,
            inbox: VecDeque::new(),
            nic: VecDeque::new(),
        }
    }

    /// The agent says that it is master.
    pub fn is_master(&self) -> bool {
        matches!(
            self.election.as_ref().map(Election::state),
            Some(State::Master)
        )
    }

    /// It may become master: the agent runs and nothing is wrong.
    pub fn is_eligible(&self) -> bool {
        self.life == Life::Running && self.link && self.check
    }

    /// What the driver says about its health.
    pub fn health(&self) -> Input {
        if !self.link {
            Input::Fault(FaultCause::InterfaceDown)
        } else if !self.check {
            Input::Fault(FaultCause::Check(CheckId(0)))
        } else {
            Input::Ready
        }
    }

    /// Whether the sender thread runs.
    pub const fn sender_lives(&self) -> bool {
        matches!(self.life, Life::Running | Life::Stalled(Stall::Driver))
    }

    /// Whether the kernel runs.
    pub fn kernel_lives(&self) -> bool {
        self.life != Life::Stalled(Stall::Host)
    }

    /// A restarted agent carries on as master if the slot says so, the addresses are there, and
    /// nobody else is heard to be it, better or worse.
    pub fn may_resume(&self, now: Instant) -> bool {
        self.detector.is_master()
            && self.addresses
            && self.detector.claimed_by(now, Instant(0)).is_none()
    }

    /// Keeps a frame for when the host runs again.
    pub fn keep(&mut self, frame: Frame) {
        if self.nic.len() < NIC_QUEUE {
            self.nic.push_back(frame);
        }
    }
}
