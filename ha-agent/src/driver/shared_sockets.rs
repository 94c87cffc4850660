//! The sockets that virtual routers share: a thousand of them on four interfaces need a dozen.
//!
//! Each lives for as long as somebody has it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};

use ha_common::units::Family;

use crate::net::advert::{AdvertError, RawSocket};
use crate::net::icmp_guard::IcmpGuard;
use crate::net::links::Link;
use crate::net::multicast::{JoinError, Membership};

/// Which interface it is: what was opened on another one of that index is of no use.
type Life = (u32, u64);

/// All that are open.
#[derive(Debug, Default)]
pub(crate) struct SharedSockets {
    /// By what they send out of; over IPv6 by the source address as well.
    senders: HashMap<(Life, Option<Ipv6Addr>), Weak<RawSocket>>,
    memberships: HashMap<(Life, IpAddr), Weak<Membership>>,
    guards: HashMap<(Life, Family), Weak<IcmpGuard>>,
}

impl SharedSockets {
    /// What packets from `source` leave an interface by; `outlet` is its name and index, or those of a device above it.
    pub(crate) fn sender(
        &mut self,
        link: &Link,
        outlet: (&str, u32),
        source: IpAddr,
    ) -> Result<Arc<RawSocket>, AdvertError> {
        let (name, index) = outlet;
        let bound_to = match source {
            IpAddr::V4(_) => None,
            IpAddr::V6(source) => Some(source),
        };
        let key = ((index, link.life), bound_to);
        share(&mut self.senders, key, || RawSocket::open(name, source))
    }

    /// The membership of a group on an interface.
    pub(crate) fn membership(
        &mut self,
        link: &Link,
        group: IpAddr,
    ) -> Result<Arc<Membership>, JoinError> {
        let key = ((link.index, link.life), group);
        share(&mut self.memberships, key, || {
            Membership::join(group, link.index)
        })
    }

    /// What keeps the host from answering unicast adverts on an interface.
    pub(crate) fn icmp_guard(
        &mut self,
        link: &Link,
        family: Family,
    ) -> std::io::Result<Arc<IcmpGuard>> {
        let key = ((link.index, link.life), family);
        share(&mut self.guards, key, || {
            IcmpGuard::open(&link.name, family)
        })
    }
}

/// What is open under this key, or else opened now.
fn share<K: Eq + Hash, T, E>(
    table: &mut HashMap<K, Weak<T>>,
    key: K,
    open: impl FnOnce() -> Result<T, E>,
) -> Result<Arc<T>, E> {
    if let Some(shared) = table.get(&key).and_then(Weak::upgrade) {
        return Ok(shared);
    }
    // Those of interfaces that are gone would pile up.
    table.retain(|_, shared| shared.strong_count() > 0);
    let opened = Arc::new(open()?);
    table.insert(key, Arc::downgrade(&opened));
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_opened_for_all_and_again_once_nobody_has_it() {
        let mut table = HashMap::new();
        let mut opened = 0;
        let mut open = |table: &mut HashMap<u8, Weak<u32>>, key| {
            share(table, key, || -> Result<u32, ()> {
                opened += 1;
                Ok(opened)
            })
            .unwrap()
        };
        let first = open(&mut table, 1);
        let second = open(&mut table, 1);
        assert_eq!((*first, *second), (1, 1));
        drop(first);
        assert_eq!(*open(&mut table, 1), 1, "one still has it");
        drop(second);
        let again = open(&mut table, 1);
        let other = open(&mut table, 2);
        assert_eq!((*again, *other), (2, 3));
        drop((again, other));
        open(&mut table, 3);
        assert_eq!(table.len(), 1, "what nobody has is forgotten");
    }

    #[test]
    fn what_cannot_be_opened_is_tried_again_the_next_time() {
        let mut table: HashMap<u8, Weak<u32>> = HashMap::new();
        assert_eq!(share(&mut table, 1, || Err("no")), Err("no"));
        let opened: Result<_, &str> = share(&mut table, 1, || Ok(7));
        assert_eq!(*opened.unwrap(), 7);
    }
}
