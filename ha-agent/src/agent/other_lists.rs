//! Which addresses another host lists and this one does not: the kernel half tells only that the lists differ, so an advert
//! is listened for as long as there is such a notice.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ha_common::units::Family;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use crate::driver::published::{InstanceStatus, PublishedStatus, StatusPublisher};
use crate::net::packet::AdvertListener;
use crate::router::notice::Told;
use crate::router::words;
use crate::status::instance::ListDifference;

/// How long what was found counts, and how long after a failure it is tried again: a list may change while it differs.
const AGAIN: Duration = Duration::from_mins(1);

/// Beside two intervals of its sender, for one advert that is late.
const SPARE: Duration = Duration::from_secs(1);

/// Bytes of a message before its list (RFC 9568 section 5.1).
const HEADER: usize = 8;

/// A virtual router by its name, and the sender whose list is another one.
type Whose = (String, IpAddr);

/// What is known of the lists that differ.
#[derive(Default)]
pub(super) struct OtherLists(Mutex<HashMap<Whose, ListDifference>>);

impl OtherLists {
    pub(super) fn of(&self, instance: &str, source: IpAddr) -> Option<ListDifference> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(instance.to_owned(), source)).cloned()
    }

    /// Takes in what was found; true if that is news.
    fn found(&self, whose: &Whose, difference: &ListDifference) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(whose.clone(), difference.clone()).as_ref() != Some(difference)
    }

    /// Those that differ no more are forgotten.
    fn keep(&self, wanted: &[Wanted]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|whose, _| wanted.iter().any(|it| it.whose == *whose));
    }
}

/// A list to look for.
#[derive(Clone)]
struct Wanted {
    whose: Whose,
    view: Arc<InstanceStatus>,
}

/// Looks for lists for as long as the agent runs.
pub(super) async fn look(
    lists: Arc<OtherLists>,
    published: Arc<StatusPublisher>,
    mut changes: watch::Receiver<u64>,
) {
    let mut due: HashMap<Whose, Instant> = HashMap::new();
    loop {
        let wanted = all_wanted(&published.picture());
        lists.keep(&wanted);
        due.retain(|whose, _| wanted.iter().any(|it| it.whose == *whose));
        let now = Instant::now();
        let is_due = |it: &&Wanted| due.get(&it.whose).is_none_or(|at| *at <= now);
        if let Some(first) = wanted.iter().find(is_due) {
            let place = place(&first.view);
            let here: Vec<_> = wanted.iter().filter(is_due).cloned().collect();
            let here: Vec<_> = here
                .into_iter()
                .filter(|it| self::place(&it.view) == place)
                .collect();
            due.extend(here.iter().map(|it| (it.whose.clone(), now + AGAIN)));
            if let Some((ifindex, family)) = place {
                listen(&lists, ifindex, family, here).await;
            }
            continue;
        }
        let next = due.values().min().copied();
        tokio::select! {
            news = changes.changed() => if news.is_err() { return },
            () = sleep_until(next.unwrap_or(now + AGAIN)) => {}
        }
    }
}

fn all_wanted(picture: &PublishedStatus) -> Vec<Wanted> {
    let of_one = |view: &Arc<InstanceStatus>| -> Vec<Wanted> {
        let sources = view.notices.iter().filter_map(Told::other_list);
        let looked_for = |source| Wanted {
            whose: (view.config.name.clone(), source),
            view: Arc::clone(view),
        };
        sources.map(looked_for).collect()
    };
    picture.views.iter().flat_map(of_one).collect()
}

/// Where its adverts come in.
fn place(view: &InstanceStatus) -> Option<(u32, Family)> {
    Some((view.ifindex?, view.config.family))
}

/// Hears adverts on an interface until it has heard all of these, or for as long as their senders take.
async fn listen(lists: &OtherLists, ifindex: u32, family: Family, mut wanted: Vec<Wanted>) {
    let intervals = wanted.iter().map(|it| it.view.config.advert_interval);
    let longest = intervals
        .max()
        .map_or(Duration::ZERO, |it| it.nanos().to_duration());
    let until = Instant::now() + longest * 2 + SPARE;
    let listener = match AdvertListener::open(ifindex, family) {
        Ok(listener) => listener,
        Err(error) => {
            return warn!(
                "cannot listen for the addresses that others list: {error}; it is tried again"
            );
        }
    };
    while !wanted.is_empty() {
        let Ok(Ok(packet)) = timeout_at(until, listener.next()).await else {
            return;
        };
        let Some(list) = list_in(family, &packet) else {
            continue;
        };
        let is_it =
            |it: &mut Wanted| it.whose.1 == list.source && it.view.config.vrid.get() == list.vrid;
        for found in wanted.extract_if(.., is_it) {
            let ours: Vec<IpAddr> = found.view.config.virtual_addresses().collect();
            let difference = difference(&ours, &list.addresses);
            if lists.found(&found.whose, &difference) {
                let (instance, source) = &found.whose;
                let text = in_words(*source, &difference);
                warn!(%instance, %source, "{instance}: {text}");
            }
        }
    }
}

pub(super) fn in_words(source: IpAddr, difference: &ListDifference) -> String {
    words::of_list_members(source, &difference.only_there, &difference.only_here)
}

/// What each of them has alone, in its order.
fn difference(ours: &[IpAddr], theirs: &[IpAddr]) -> ListDifference {
    let only = |these: &[IpAddr], those: &[IpAddr]| {
        these
            .iter()
            .copied()
            .filter(|it| !those.contains(it))
            .collect()
    };
    ListDifference {
        only_there: only(theirs, ours),
        only_here: only(ours, theirs),
    }
}

/// The list of an advert.
#[derive(Debug, Eq, PartialEq)]
struct List {
    source: IpAddr,
    vrid: u8,
    addresses: Vec<IpAddr>,
}

/// What a packet of protocol 112 lists; nothing that is not whole. Whether it counts is not asked here.
fn list_in(family: Family, packet: &[u8]) -> Option<List> {
    let (source, message) = match family {
        Family::V4 => {
            let header = usize::from(*packet.first()? & 0x0f) * 4;
            let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            (IpAddr::from(source), packet.get(header..)?)
        }
        Family::V6 => {
            let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            (IpAddr::from(source), packet.get(40..)?)
        }
    };
    let [_, vrid, _, count] = *message.first_chunk::<4>()?;
    let list = message.get(HEADER..)?;
    let count = usize::from(count);
    let addresses: Vec<IpAddr> = match family {
        Family::V4 => list
            .as_chunks::<4>()
            .0
            .iter()
            .take(count)
            .map(|it| IpAddr::from(*it))
            .collect(),
        Family::V6 => list
            .as_chunks::<16>()
            .0
            .iter()
            .take(count)
            .map(|it| IpAddr::from(*it))
            .collect(),
    };
    (addresses.len() == count).then_some(List {
        source,
        vrid,
        addresses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_list_of_a_whole_advert_is_read_and_of_no_other() {
        let mut packet = vec![0x46; 24];
        packet[12..16].copy_from_slice(&[10, 99, 0, 1]);
        packet.extend([
            0x31, 51, 100, 2, 0, 100, 0, 0, 10, 99, 0, 100, 10, 99, 0, 101,
        ]);
        let list = List {
            source: ip("10.99.0.1"),
            vrid: 51,
            addresses: vec![ip("10.99.0.100"), ip("10.99.0.101")],
        };
        assert_eq!(list_in(Family::V4, &packet), Some(list));
        for length in 0..packet.len() {
            assert_eq!(list_in(Family::V4, &packet[..length]), None, "{length}");
        }
        let mut packet = vec![0x60; 40];
        packet[8..24].copy_from_slice(&[0xfe; 16]);
        packet.extend([0x31, 51, 100, 1, 0, 100, 0, 0]);
        packet.extend([0xfd; 16]);
        let list = list_in(Family::V6, &packet).unwrap();
        assert_eq!(list.source, IpAddr::from([0xfe; 16]));
        assert_eq!(list.addresses, [IpAddr::from([0xfd; 16])]);
        assert_eq!(list_in(Family::V6, &packet[..63]), None);
    }

    #[test]
    fn two_lists_differ_in_what_each_has_alone_and_that_is_news_once() {
        let (ours, theirs) = (
            [ip("10.99.0.100"), ip("10.99.0.101")],
            [ip("10.99.0.102"), ip("10.99.0.100")],
        );
        let found = difference(&ours, &theirs);
        assert_eq!(found.only_here, [ip("10.99.0.101")]);
        assert_eq!(found.only_there, [ip("10.99.0.102")]);
        let whose = ("web".to_owned(), ip("10.99.0.1"));
        let lists = OtherLists::default();
        assert!(lists.found(&whose, &found));
        assert!(!lists.found(&whose, &found));
        assert_eq!(lists.of("web", ip("10.99.0.1")), Some(found));
        assert!(lists.found(&whose, &difference(&ours, &ours)));
        lists.keep(&[]);
        assert_eq!(lists.of("web", ip("10.99.0.1")), None);
    }
}
