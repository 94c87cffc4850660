//! What the sender is given: messages and their schedule.

use std::sync::Arc;

use ha_common::address::raw;
use ha_common::election::Rules;
use ha_common::hmac::{Key, TRAILER};
use ha_common::units::Priority;
use ha_common::wire::build;
use ha_common::wire::vrrp::ChecksumScope;

use super::Instance;
use crate::config::model::{Auth, ChecksumFlavour};
use crate::config::plan::RouterId;
use crate::driver::advert_signer::AdvertSigner;
use crate::driver::detector::raw_list;
use crate::driver::port::Port;
use crate::driver::sender::Adverts;
use crate::driver::sender::schedule::Timing;

impl Instance {
    pub(super) fn adverts(&self, rules: &Rules) -> Option<Adverts> {
        let port = self.port.as_ref()?;
        Some(Adverts {
            socket: Arc::clone(&port.path.socket),
            messages: self.messages(port, rules, rules.priority)?,
            releases: self.messages(port, rules, Priority::RELEASE)?,
            signer: self.signer(port),
            timing: Timing::of(rules),
        })
    }

    fn signing_key(&self) -> Option<Key> {
        self.config().hmac.as_ref()?.signing_key()
    }

    fn signer(&self, port: &Port) -> Option<AdvertSigner> {
        let hmac = self.config().hmac.as_ref()?;
        Some(AdvertSigner {
            key: self.signing_key()?,
            key_id: hmac.active,
            family: self.config().family,
            source: raw(port.path.source),
            router: RouterId::of(self.config()),
            window: hmac.window_span(),
        })
    }

    /// One for each destination: the checksum of version 3 covers the destination's address.
    fn messages(&self, port: &Port, rules: &Rules, priority: Priority) -> Option<Vec<Vec<u8>>> {
        let addresses = raw_list(self.config());
        let mut room = [0; build::MAX_MESSAGE];
        let destinations = port.path.socket.destinations().iter();
        destinations
            .map(|to| {
                let message = build::Message {
                    version: rules.version,
                    family: self.config().family,
                    vrid: self.config().vrid,
                    priority,
                    interval: rules.interval,
                    addresses: &addresses,
                    password: match self.config().auth {
                        Auth::None => None,
                        Auth::Pass(password) => Some(password),
                    },
                    source: raw(port.path.source),
                    destination: raw(to.address),
                    flavour: match self.config().checksum {
                        ChecksumFlavour::PseudoHeader => ChecksumScope::PseudoHeader,
                        ChecksumFlavour::Payload => ChecksumScope::Payload,
                    },
                };
                let length = build::write(&message, &mut room)?;
                let mut message = room.get(..length)?.to_vec();
                if self.signing_key().is_some() {
                    message.extend([0; TRAILER]);
                }
                Some(message)
            })
            .collect()
    }
}
