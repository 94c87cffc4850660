//! What this host has signed, over a crash: without it, its first adverts might be older than its last.

use ha_common::address::raw;
use ha_common::election::Role;
use ha_common::layout::PeerKey;

use super::Instance;
use crate::config::plan::RouterId;
use crate::driver::system::System;

impl Instance {
    /// A master that signs leaves what it has signed where a later agent finds it.
    pub(crate) fn remember_said(&self, system: &mut System) {
        if self.role() != Role::Master {
            return;
        }
        let (Some(own), Some(said)) = (self.own_key(), system.sender.said(self.id)) else {
            return;
        };
        if let Some(kernel) = &mut system.kernel {
            // What cannot be written is written in the next round.
            let _ = kernel.remember_said(own, said);
        }
    }

    /// Goes on from there.
    pub(super) fn recall_said(&self, system: &System) {
        if self.config().hmac.is_none() {
            return;
        }
        let left = self
            .own_key()
            .and_then(|own| system.kernel.as_ref()?.said(own));
        if let Some(left) = left {
            let router = RouterId::of(self.config());
            system.sender.resume_time(router, left);
        }
    }

    fn own_key(&self) -> Option<PeerKey> {
        let port = self.port.as_ref()?;
        Some(PeerKey {
            slot: port.detector.key,
            address: raw(port.path.source),
        })
    }
}
