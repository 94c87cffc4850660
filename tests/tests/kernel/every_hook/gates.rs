//! A virtual router with HMAC keys, in the kernel and in the plain socket, and adverts that are signed for it.

use std::thread;
use std::time::Duration;

use ha_agent::datapath::socket_slot::SocketSlot;
use ha_agent::net::receive::Received;
use ha_common::hmac::replay::ReplayWindow;
use ha_common::hmac::{HmacPolicy, Key, budget};
use ha_common::layout::{Command, Slot, SlotKey, flags, op, state};
use ha_common::reject::Reject;
use ha_tests::vectors::build::Frame;
use ha_tests::vectors::signed::Signer;
use ha_tests::vectors::{Receiver, VRID};

use super::harness::{LOOPBACK, Lab, PATIENCE, command_for, now};

pub(crate) const SECRET: [u8; 32] = *b"an open secret of thirty-two byt";
pub(crate) const OTHER: [u8; 64] = [0x5a; 64];
/// UTC when the tests' monotonic clock was zero, in seconds.
pub(crate) const UTC: u64 = 1_790_000_000;
pub(crate) const SECOND: u64 = 1 << 32;
pub(crate) const WINDOW: u64 = 60;

/// A slot in the kernel and one here, with the same keys and the same gate.
pub(crate) struct Gates {
    pub(crate) lab: Lab,
    pub(crate) soft: SocketSlot,
    receiver: Receiver,
    pub(crate) command: Command,
    /// Wrong digests since the last pause.
    wrong: u64,
}

impl Gates {
    pub(crate) fn of(receiver: Receiver, mode: u8) -> Self {
        let command = Command {
            op: op::CONFIGURE,
            gate: HmacPolicy {
                freshness: ReplayWindow {
                    window: WINDOW * SECOND,
                    utc_at_zero: UTC * SECOND,
                },
                mode,
                ..HmacPolicy::default()
            },
            ..command_for(receiver, 0, VRID)
        };
        let keys = [
            (1, Key::new(&SECRET).expect("its length")),
            (9, Key::new(&OTHER).expect("its length")),
        ];
        let mut lab = Lab::new();
        lab.list_peers(receiver, &receiver.peers());
        let key = SlotKey::new(LOOPBACK, receiver.family(), VRID);
        lab.kernel.set_keys(key, &keys).expect("keys");
        lab.configure(&command);
        let mut soft = SocketSlot::new(key);
        soft.list_peers(&receiver.peers());
        soft.set_keys(&keys);
        soft.command(&command, now());
        let mut gates = Self {
            lab,
            soft,
            receiver,
            command,
            wrong: 0,
        };
        gates.backup();
        gates
    }

    /// From here on an advert that counts arms the timer.
    pub(crate) fn backup(&mut self) {
        self.wait_for(PATIENCE * 100);
    }

    /// The slots of both.
    pub(crate) fn slots(&self) -> [Slot; 2] {
        [self.lab.slot(), *self.soft.slot()]
    }

    /// As [`Self::backup`], with this long to go until a master counts as dead.
    pub(crate) fn wait_for(&mut self, span: Duration) {
        let part = Command {
            op: op::SET_STATE,
            state: state::BACKUP,
            arm_for: u64::try_from(span.as_nanos()).expect("short"),
            flags: flags::PREEMPT,
            ..self.command
        };
        self.lab.command(&part);
        self.soft.command(&part, now());
    }

    /// Gives a frame to both.
    pub(crate) fn both_hear(&mut self, frame: &[u8]) {
        self.lab.send(frame);
        self.soft.receive(&received(self.receiver, frame), now());
    }

    /// What both make of a frame; a panic if they differ, or if a refused one moved anything.
    pub(crate) fn hear(&mut self, frame: &[u8]) -> Result<(), Reject> {
        let before = (self.lab.slot(), *self.soft.slot());
        self.both_hear(frame);
        let after = (self.lab.slot(), *self.soft.slot());
        let verdicts = [(before.0, after.0), (before.1, after.1)].map(|(before, after)| {
            let reasons = Reject::ALL.into_iter().filter(|reason| {
                let index = *reason as usize;
                after.rejects[index] != before.rejects[index]
            });
            let reasons: Vec<_> = reasons.collect();
            if after.adverts != before.adverts {
                assert_eq!(after.adverts, before.adverts + 1);
                assert!(reasons.is_empty(), "{reasons:?}");
                assert!(after.rearms > before.rearms, "it arms nothing");
                return Ok(());
            }
            let [reason] = reasons[..] else {
                panic!("neither counted nor refused: {reasons:?}");
            };
            assert_eq!(
                (after.deadline, after.rearms, after.events),
                (before.deadline, before.rearms, before.events),
                "{reason:?} moved the slot"
            );
            assert_eq!(after.master_address, before.master_address, "{reason:?}");
            Err(reason)
        });
        assert_eq!(verdicts[0], verdicts[1], "kernel and socket differ");
        if verdicts[0] == Err(Reject::HmacDigest) {
            self.spend();
        }
        verdicts[0]
    }

    /// Waits for the next window before the budget of wrong digests is spent: it is no test's but its own.
    fn spend(&mut self) {
        self.wrong += 1;
        if self.wrong == budget::LIMIT / budget::cost(1480) - 1 {
            thread::sleep(Duration::from_nanos(budget::WINDOW) * 2);
            self.wrong = 0;
        }
    }

    /// What the kernel half alone makes of a frame.
    pub(crate) fn kernel_hears(&mut self, frame: &[u8]) -> Result<(), Reject> {
        let before = self.lab.slot();
        self.lab.send(frame);
        let after = self.lab.slot();
        let reason = Reject::ALL.into_iter().find(|reason| {
            let index = *reason as usize;
            after.rejects[index] != before.rejects[index]
        });
        assert_eq!(after.adverts > before.adverts, reason.is_none());
        reason.map_or(Ok(()), Err)
    }
}

/// A packet as a raw socket gives it.
pub(crate) fn received(receiver: Receiver, frame: &[u8]) -> Received<'_> {
    let packet = &frame[14..];
    if receiver.own_address().is_ipv4() {
        return Received::V4 { packet };
    }
    let octets = |at: usize| -> [u8; 16] { packet[at..at + 16].try_into().expect("its length") };
    Received::V6 {
        source: octets(8).into(),
        destination: octets(24).into(),
        hop_limit: packet[7],
        payload: &packet[40..],
    }
}

/// Now, by the clock of the gate.
pub(crate) fn stamp() -> u64 {
    let nanos = now();
    UTC * SECOND + nanos / 1_000_000_000 * SECOND + ((nanos % 1_000_000_000) << 32) / 1_000_000_000
}

pub(crate) fn signer(stamp: u64) -> Signer<'static> {
    Signer {
        secret: &SECRET,
        key_id: 1,
        stamp,
    }
}

/// A signed advert; `edit` is before, `wrong` after the signature.
pub(crate) fn signed(
    receiver: Receiver,
    signer: Signer<'_>,
    edit: impl FnOnce(&mut Frame),
    wrong: impl FnOnce(&mut Frame),
) -> Vec<u8> {
    let mut frame = receiver.valid();
    edit(&mut frame);
    frame.sign(signer);
    wrong(&mut frame);
    frame.bytes()
}

pub(crate) fn addresses(frame: &mut Frame, count: u8) {
    let first = frame.message.addresses[0];
    let another = |host: u8| match first {
        std::net::IpAddr::V4(_) => [10, 99, 1, host].into(),
        std::net::IpAddr::V6(_) => ha_tests::vectors::link_local(u16::from(host) + 0x200).into(),
    };
    frame.message.addresses = (0..count).map(another).collect();
}
