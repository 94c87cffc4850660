//! One virtual router of a host: the agent's router, its kernel half, its addresses.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ha_agent::config::model::Instance as Config;
use ha_agent::config::parse;
use ha_agent::router::health::Health;
use ha_agent::router::{Binding, InterfaceState, Router};
use ha_common::election::{Advert, Claim, Election, Params, Role};
use ha_common::units::{Family, Instant, Nanos};

use crate::detector::Detector;
use crate::world::Frame;

/// The only check.
pub const CHECK: &str = "nginx";

/// The names of failures, by number.
pub fn names() -> Arc<[String]> {
    static NAMES: LazyLock<Arc<[String]>> = LazyLock::new(|| Arc::from(vec![CHECK.to_owned()]));
    Arc::clone(&NAMES)
}

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
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hint {
    /// The detector pushed this advert.
    Advert {
        /// What it says.
        advert: Advert,
        /// Whether the slot followed another master.
        is_overheard: bool,
    },
    /// The detector's timer fired for this deadline.
    Expired(Instant),
    /// The detector saw a claim.
    Claimed(Claim),
    /// The link came or went.
    Link,
    /// The check has a first result, or another one.
    Check,
    /// The configuration changed.
    Reload,
    /// The sender has stopped by itself, or has news of adverts that do not leave.
    Sender,
    /// The agent is told to leave.
    Shutdown,
}

/// Frames that a paused host's NIC keeps for it.
const NIC_QUEUE: usize = 16;

/// One host.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own: link, check, first results, addresses, refusal"
)]
pub struct Node {
    /// What it is configured with.
    pub params: Params,
    /// The link is up.
    pub link: bool,
    /// The check succeeds.
    pub check: bool,
    /// The kernel refuses the addresses.
    pub refuses: bool,
    /// Whether the agent lives.
    pub life: Life,
    /// Counts starts and ends, so that what an earlier life had coming is recognised.
    pub epoch: u32,
    /// Counts stalls, for the same reason.
    pub stalls: u32,
    /// The agent's logic; it is lost in a crash.
    pub router: Option<Router>,
    /// The first results of the checks are in.
    pub checked: bool,
    /// When the agent last showed that it lives.
    pub turned_at: Instant,
    /// The kernel half; it outlives the agent.
    pub detector: Box<dyn Detector>,
    /// The virtual addresses are on the interface.
    pub addresses: bool,
    /// Where this host believes the virtual addresses to be.
    pub cache: Option<usize>,
    /// The driver's next turn.
    pub turn_at: Option<Instant>,
    /// The kernel's timer goes off then, for whatever deadline there is by then.
    pub timer_at: Option<Instant>,
    /// When the last advert left that was not priority 0.
    pub advertised_at: Option<Instant>,
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
            refuses: false,
            life: Life::Off,
            epoch: 0,
            stalls: 0,
            router: None,
            checked: false,
            turned_at: Instant(0),
            detector,
            addresses: false,
            cache: None,
            turn_at: None,
            timer_at: None,
            advertised_at: None,
            inbox: VecDeque::new(),
            nic: VecDeque::new(),
        }
    }

    /// The election of an agent that lives.
    pub fn election(&self) -> Option<&Election> {
        self.router.as_ref().map(Router::election)
    }

    /// The agent says that it is master.
    pub fn is_master(&self) -> bool {
        self.router.as_ref().map(Router::role) == Some(Role::Master)
    }

    /// It may become master: the agent runs and nothing is wrong.
    pub fn is_eligible(&self) -> bool {
        self.life == Life::Running && self.link && self.check && !self.refuses
    }

    /// How long it stays out once it hears another master, if its adverts do not leave.
    pub fn would_stay_out(&self) -> Option<Nanos> {
        Some(self.router.as_ref()?.readiness().sending().would_stay_out())
    }

    /// Until when refused addresses, or adverts that did not leave, keep it out.
    pub fn refused_until(&self) -> Option<Instant> {
        self.router.as_ref()?.readiness().refused_until()
    }

    /// The interface as the agent sees it.
    pub fn interface(&self) -> InterfaceState {
        if self.link {
            InterfaceState::Up
        } else {
            InterfaceState::Down
        }
    }

    /// What the check has found; nothing before its first result.
    pub fn health(&self) -> Option<Health> {
        let found = if self.check { Health::Up } else { Health::Down };
        self.checked.then_some(found)
    }

    /// The same, as the driver keeps it.
    pub fn checks(&self) -> Vec<(String, Health)> {
        let health = self.health().into_iter();
        health.map(|health| (CHECK.to_owned(), health)).collect()
    }

    /// Whether the sender thread runs.
    pub const fn sender_lives(&self) -> bool {
        matches!(self.life, Life::Running | Life::Stalled(Stall::Driver))
    }

    /// Whether the kernel runs.
    pub fn kernel_lives(&self) -> bool {
        self.life != Life::Stalled(Stall::Host)
    }

    /// What an agent that starts finds.
    pub fn binding(&self) -> Binding {
        Binding {
            source: self.params.rules.own_address,
            kernel_timer: true,
            earlier_priority: self.detector.slot().own_priority,
            in_place: self.addresses,
            turned_at: self.turned_at,
        }
    }

    /// The configuration that says what `params` do.
    #[expect(
        clippy::expect_used,
        reason = "what all of them have in common is written here, and valid"
    )]
    pub fn config(&self) -> Arc<Config> {
        /// What all of them have in common. One announcement each time is what the invariants count.
        static COMMON: LazyLock<Config> = LazyLock::new(|| {
            let text = format!(
                "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
                 addresses = [\"10.99.0.100/24\"]\ntrack = [{{ check = \"{CHECK}\" }}]\n\
                 garp = {{ count = 1, repeat_count = 0, refresh = \"0s\" }}\n\
                 [[check]]\nname = \"{CHECK}\"\ntcp = \"127.0.0.1:80\"\n"
            );
            let config = parse("sim.toml", &text).expect("it is valid");
            config.instances.into_iter().next().expect("an instance")
        });
        let Params {
            rules,
            start_hold,
            preempt_delay,
            ..
        } = self.params;
        let span = |span: Nanos| Duration::from_nanos(span.0);
        Arc::new(Config {
            family: match rules.own_address {
                std::net::IpAddr::V4(_) => Family::V4,
                std::net::IpAddr::V6(_) => Family::V6,
            },
            version: rules.version,
            priority: rules.priority,
            advert_interval: rules.interval,
            preempt: rules.preempt,
            down_multiplier: rules.down_multiplier,
            start_delay: span(start_hold),
            preempt_delay: span(preempt_delay),
            ..COMMON.clone()
        })
    }

    /// Keeps a frame for when the host runs again.
    pub fn keep(&mut self, frame: Frame) {
        if self.nic.len() < NIC_QUEUE {
            self.nic.push_back(frame);
        }
    }
}
