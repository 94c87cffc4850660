//! What the sender is given: messages and their schedule.

use std::sync::Arc;

use ha_common::election::{LastAdvert, Rules};
use ha_common::units::{Nanos, Priority};
use ha_common::wire::build;
use ha_common::wire::vrrp::Flavour;

use super::{Edges, Instance};
use crate::config::model::{Auth, ChecksumFlavour};
use crate::driver::detector::raw_list;
use crate::driver::port::Port;
use crate::driver::sender::{Farewell, Program};
use crate::driver::{clock, raw_address};

impl Instance {
    pub(super) fn start_adverts(&mut self, rules: &Rules, edges: &mut Edges<'_>) {
        if let Some(program) = self.program(rules) {
            edges.sender.begin(self.id, program);
        }
        self.latency = self.deadline.map(|deadline| clock::now().since(deadline));
    }

    pub(super) fn program(&self, rules: &Rules) -> Option<Program> {
        let port = self.port.as_ref()?;
        let interval = rules.interval.nanos();
        Some(Program {
            socket: Arc::clone(&port.socket),
            message: self.message(port, rules, rules.priority)?,
            release: self.message(port, rules, Priority::RELEASE)?,
            interval,
            // One interval has gone by when it is due.
            overslept: Nanos(
                interval.0 * u64::from(rules.down_multiplier.saturating_sub(1).max(1)),
            ),
        })
    }

    pub(super) fn message(
        &self,
        port: &Port,
        rules: &Rules,
        priority: Priority,
    ) -> Option<Vec<u8>> {
        let password = match self.config.auth {
            Auth::None => None,
            Auth::Pass(password) => Some(password),
        };
        let mut bytes = vec![0; build::MAX_MESSAGE];
        let length = build::write(
            &build::Message {
                version: rules.version,
                family: self.config.family,
                vrid: self.config.vrid,
                priority,
                interval: rules.interval,
                addresses: &raw_list(&self.config),
                password,
                source: raw_address(port.source),
                flavour: match self.config.checksum {
                    ChecksumFlavour::PseudoHeader => Flavour::PseudoHeader,
                    ChecksumFlavour::Payload => Flavour::Payload,
                },
            },
            &mut bytes,
        )?;
        bytes.truncate(length);
        Some(bytes)
    }
}

pub(super) fn farewell(last: LastAdvert) -> Farewell {
    match last {
        LastAdvert::Release => Farewell::Release,
        LastAdvert::Own => Farewell::Own,
        LastAdvert::None => Farewell::None,
    }
}
