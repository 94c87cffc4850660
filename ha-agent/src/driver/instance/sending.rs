//! Whether adverts can leave: their size against the MTU of what they leave by, and what the kernel says of
//! those that were sent.

use std::fmt;
use std::sync::Arc;

use ha_common::election::Role;
use ha_common::units::{Instant, Nanos};

use super::{Edges, Instance};
use crate::config::advert_size::AdvertSize;
use crate::config::model::Instance as Config;
use crate::driver::report::Report;
use crate::driver::unsent::{News, Unsent};
use crate::net::links::{Link, LinkTable};

/// Between two lines about adverts that do not leave: a queue that is full again and again would fill the log.
const LINES_APART: Nanos = Nanos::from_millis(60_000);

/// How long an instance whose adverts the kernel finds too long stays out before it tries again, if the MTU
/// does not change meanwhile.
const TOO_LONG_WAIT: Nanos = Nanos::from_millis(60_000);

/// What is known of adverts that the kernel refuses.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// Those of the present master, if it is so now.
    unsent: Option<Unsent>,
    /// When a line was last written about it, and whether the end of it is worth one.
    said_at: Option<Instant>,
    said: bool,
    /// The MTU at which the kernel finds adverts too long that by their size would fit, and until when that is
    /// believed.
    too_small: Option<(u32, Instant)>,
}

impl Sending {
    /// When it is to be tried again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.too_small.map(|(_, until)| until)
    }
}

/// An advert that does not fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Shortfall {
    /// Bytes of its packet.
    packet: usize,
    /// How many addresses it lists.
    listed: usize,
    /// How many would fit.
    fitting: usize,
    /// What it leaves by.
    device: String,
    /// The MTU of that.
    mtu: u32,
}

impl Shortfall {
    fn of(config: &Config, link: &Link) -> Option<Self> {
        let (size, listed) = (AdvertSize::of(config), config.addresses.len());
        let (packet, room) = (size.packet(listed), usize::try_from(link.mtu).ok()?);
        (packet > room).then(|| Self {
            packet,
            listed,
            fitting: size.most_at(room),
            device: link.name.clone(),
            mtu: link.mtu,
        })
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            packet,
            listed,
            fitting,
            device,
            mtu,
        } = self;
        write!(
            f,
            "an advert of {listed} addresses has {packet} bytes, and the MTU of {device} is {mtu}, where \
             {fitting} addresses fit: enlarge the MTU, or move addresses to `excluded` or to further instances"
        )
    }
}

impl Instance {
    /// Why no advert can leave, if its size is the reason.
    pub(super) fn shortfall(&self, links: &LinkTable) -> Option<String> {
        let link = self.leaves_by(links)?;
        if let Some(shortfall) = Shortfall::of(&self.config, link) {
            return Some(shortfall.to_string());
        }
        let (too_small, _) = self.sending.too_small?;
        (too_small == link.mtu).then(|| {
            format!(
                "the kernel refuses an advert of {} bytes as too long for {}, whose MTU is {}",
                AdvertSize::of(&self.config).packet(self.config.addresses.len()),
                link.name,
                link.mtu
            )
        })
    }

    /// What adverts leave by. A device that the table does not show yet has the MTU of its interface.
    fn leaves_by<'t>(&self, links: &'t LinkTable) -> Option<&'t Link> {
        let port = self.port.as_ref()?;
        let device = port.device().and_then(|index| links.get(index));
        device.or_else(|| links.get(port.ifindex))
    }

    /// Says why no advert can leave, when that is about to become a FAULT.
    pub(super) fn say_shortfall(&self, edges: &Edges<'_>) {
        if let Some(what) = self.shortfall(edges.links) {
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
        }
    }

    /// Takes in what the sender has found out of adverts that the kernel refuses; true if it has news.
    pub(crate) fn look_at_unsent(&mut self, edges: &mut Edges<'_>, now: Instant) -> bool {
        if self.role() != Role::Master {
            return false;
        }
        let Some(news) = edges.sender.take_news(self.id) else {
            return false;
        };
        self.dirty = true;
        let unsent = match news {
            News::Unsent(unsent) => unsent,
            News::Leave => {
                self.sending.unsent = None;
                self.say_sent_again(edges);
                return true;
            }
        };
        self.say_unsent(&unsent, edges, now);
        let too_long = unsent.too_long;
        self.sending.unsent = Some(unsent);
        if too_long {
            let link = self.leaves_by(edges.links);
            self.sending.too_small = link.map(|link| (link.mtu, now + TOO_LONG_WAIT));
            self.weigh(now, edges);
        }
        true
    }

    /// Forgets that adverts were too long for an MTU, once that is another one or has been believed for long.
    pub(super) fn look_at_mtu(&mut self, links: &LinkTable, now: Instant) {
        let present = self.leaves_by(links).map(|link| link.mtu);
        let still = |(mtu, until): &(u32, Instant)| Some(*mtu) == present && now < *until;
        self.sending.too_small = self.sending.too_small.filter(still);
    }

    fn say_unsent(&mut self, unsent: &Unsent, edges: &Edges<'_>, now: Instant) {
        let recent = |at: Instant| now.since(at) < LINES_APART;
        if unsent.too_long || self.sending.said_at.is_some_and(recent) {
            // The FAULT has a line of its own.
            return;
        }
        (self.sending.said_at, self.sending.said) = (Some(now), true);
        edges.reporter.say(Report::Warning {
            instance: Arc::clone(&self.name),
            what: format!(
                "adverts to {} have not left for {:.1} s: {}; the other hosts hear no master, and one of them \
                 takes over beside this one",
                unsent.to,
                now.since(unsent.since).to_duration().as_secs_f64(),
                unsent.why
            ),
        });
    }

    fn say_sent_again(&mut self, edges: &Edges<'_>) {
        if std::mem::take(&mut self.sending.said) {
            edges.reporter.say(Report::Said {
                instance: Arc::clone(&self.name),
                what: "adverts leave again".to_owned(),
            });
        }
    }

    /// Adverts that do not leave, of a master.
    pub(super) fn unsent(&self) -> Option<&Unsent> {
        let unsent = self.sending.unsent.as_ref();
        unsent.filter(|_| self.role() == Role::Master)
    }

    /// A new master's adverts have not been refused yet.
    pub(super) fn forget_unsent(&mut self) {
        self.sending.unsent = None;
        self.sending.said = false;
    }
}
