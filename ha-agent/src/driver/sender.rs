//! The thread that repeats a master's adverts: absolute deadlines, prebuilt messages, and a lease.
//!
//! It holds no decision. The driver says what to send; while the driver lives it renews the lease,
//! and when it has not for [`LEASE`], the sender says priority 0 for every virtual router and stops:
//! a host whose driver hangs must not advertise for ever. When the sender itself wakes far too late
//! (the machine was stopped), it sends nothing and asks the driver to look first.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ha_common::hmac::Stamp;
use ha_common::units::{Instant, Nanos};

use super::seal::Seal;
use super::unsent::{Refusals, Refused};
use crate::net::advert::AdvertSocket;
use crate::os::clock;
use crate::os::notifier::Notifier;
use crate::os::realtime::{self, Ability};
use crate::router::sending::SendingNews;

/// How long the driver may be silent before its adverts stop: 5 s.
pub const LEASE: Nanos = Nanos::from_millis(5000);

/// What one virtual router sends.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it leaves.
    pub socket: Arc<AdvertSocket>,
    /// The message, for each of the socket's destinations in turn.
    pub messages: Vec<Vec<u8>>,
    /// The same with priority 0.
    pub releases: Vec<Vec<u8>>,
    /// How they are signed, if they are.
    pub seal: Option<Seal>,
    /// From one advert to the next.
    pub interval: Nanos,
    /// Being later than this means that others may have taken over meanwhile: what is left of their
    /// `Master_Down_Interval`, without the skew, when an advert is due.
    pub overslept: Nanos,
    /// For how long adverts may be refused before a person hears of it: the own `Master_Down_Interval`.
    pub patience: Nanos,
}

/// What one virtual router has sent. Anybody may read it at any time.
#[derive(Debug, Default)]
pub struct Sent {
    adverts: AtomicU64,
    errors: AtomicU64,
}

impl Sent {
    /// Adverts that left; one to several peers counts for each.
    pub fn adverts(&self) -> u64 {
        self.adverts.load(Ordering::Relaxed)
    }

    /// Adverts that the kernel refused, also for the firewall; one to several peers counts for each.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// To all destinations; the first of them that the kernel refuses to send to.
    fn send(&self, socket: &AdvertSocket, messages: &[Vec<u8>]) -> Option<Refused> {
        let mut first = None;
        for (to, message) in socket.destinations().iter().zip(messages) {
            match socket.send(to, message) {
                Ok(()) => self.adverts.fetch_add(1, Ordering::Relaxed),
                // The protocol goes on, and the other peers have theirs: a firewall that drops adverts looks
                // like this, and so does a queue that is full for a moment.
                Err(error) => {
                    let to = to.address;
                    first.get_or_insert(Refused { to, error });
                    self.errors.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
        first
    }
}

/// How punctual the thread is, and whether the driver lets it go on. Anybody may read it.
#[derive(Debug)]
pub struct Conduct {
    late: AtomicU64,
    worst: AtomicU64,
    lapses: AtomicU64,
    lease_until: AtomicU64,
}

impl Conduct {
    fn new(now: Instant) -> Self {
        Self {
            late: AtomicU64::new(0),
            worst: AtomicU64::new(0),
            lapses: AtomicU64::new(0),
            lease_until: AtomicU64::new((now + LEASE).0),
        }
    }

    /// Adverts that left more than half an interval late.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// The latest, past its time.
    pub fn worst(&self) -> Nanos {
        Nanos(self.worst.load(Ordering::Relaxed))
    }

    /// How often the lease lapsed.
    pub fn lapses(&self) -> u64 {
        self.lapses.load(Ordering::Relaxed)
    }

    /// When the lease lapses.
    pub fn lease_until(&self) -> Instant {
        Instant(self.lease_until.load(Ordering::Relaxed))
    }

    fn was_late(&self, span: Nanos, interval: Nanos) {
        self.worst.fetch_max(span.0, Ordering::Relaxed);
        if span.0 > interval.0 / 2 {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    program: Option<Program>,
    due: Instant,
    sent: Arc<Sent>,
    /// The time of the last one that was signed: it must go on whatever becomes of the program.
    stamp: Stamp,
    /// Stopped by the sender itself, and silent since then; the driver is to look.
    stopped: Option<Instant>,
    /// Whether the kernel takes them.
    refusals: Refusals,
}

impl Entry {
    /// One of the usual.
    fn advertise(&mut self, now: Instant) {
        if let Some(program) = &mut self.program {
            let refused = program.send(Farewell::Own, &mut self.stamp, &self.sent);
            self.refusals.count(refused, now, program.patience);
        }
    }

    /// The last one: what becomes of it is nobody's concern.
    fn part(&mut self, farewell: Farewell) {
        if let Some(mut program) = self.program.take() {
            program.send(farewell, &mut self.stamp, &self.sent);
        }
        self.refusals = Refusals::default();
    }
}

impl Program {
    fn send(&mut self, what: Farewell, stamp: &mut Stamp, sent: &Sent) -> Option<Refused> {
        let messages = match what {
            Farewell::Release => &mut self.releases,
            Farewell::Own => &mut self.messages,
            Farewell::None => return None,
        };
        if let Some(seal) = &self.seal {
            seal.close(messages, self.socket.destinations(), stamp);
        }
        sent.send(&self.socket, messages)
    }
}

#[derive(Debug, Default)]
struct Table {
    entries: Vec<Entry>,
    schedule: BTreeSet<(Instant, usize)>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    changed: Condvar,
    conduct: Arc<Conduct>,
    quit: AtomicBool,
    driver: Arc<Notifier>,
}

/// The driver's hold on the thread; it ends with this.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    ability: Ability,
}

impl Sender {
    /// Starts the thread. `driver` is woken when it has stopped something by itself.
    pub fn start(driver: Arc<Notifier>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            table: Mutex::default(),
            changed: Condvar::new(),
            conduct: Arc::new(Conduct::new(clock::now())),
            quit: AtomicBool::new(false),
            driver,
        });
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ha-sender".to_owned())
            .spawn(move || {
                // Only a starter that is gone already does not listen.
                let _ = tell.send(realtime::schedule());
                run(&for_thread);
            })?;
        let ability = told.recv().unwrap_or_else(|_| Ability {
            active: false,
            why: "the sender thread did not start".to_owned(),
        });
        Ok(Self {
            shared,
            thread: Some(thread),
            ability,
        })
    }

    /// Whether the thread is under real-time scheduling.
    pub fn ability(&self) -> &Ability {
        &self.ability
    }

    /// The driver lives.
    pub fn renew(&self, now: Instant) {
        let until = (now + LEASE).0;
        self.shared
            .conduct
            .lease_until
            .store(until, Ordering::Relaxed);
    }

    /// Punctuality and lease, for those beside the driver.
    pub fn conduct(&self) -> Arc<Conduct> {
        Arc::clone(&self.shared.conduct)
    }

    /// Sends the first advert at once, from the calling thread, and repeats it.
    pub fn begin(&self, id: usize, program: Program) {
        let mut table = self.shared.lock();
        table.cancel(id);
        let entry = table.entry(id);
        entry.stopped = None;
        entry.refusals = Refusals::default();
        entry.program = Some(program);
        table.send_now(id);
        drop(table);
        self.shared.changed.notify_one();
    }

    /// The next adverts are these; the schedule stays unless the interval changed.
    pub fn update(&self, id: usize, program: Program) {
        let mut table = self.shared.lock();
        let entry = table.entry(id);
        let Some(old) = entry.program.replace(program) else {
            entry.program = None;
            return;
        };
        let new_interval = entry.program.as_ref().map(|program| program.interval);
        if new_interval != Some(old.interval) {
            table.cancel(id);
            table.send_now(id);
        }
        drop(table);
        self.shared.changed.notify_one();
    }

    /// One advert at once, the next an interval later.
    pub fn now(&self, id: usize) {
        let mut table = self.shared.lock();
        if table.entry(id).program.is_some() {
            table.cancel(id);
            table.send_now(id);
        }
        drop(table);
        self.shared.changed.notify_one();
    }

    /// Stops, after this many bytes of farewell if any.
    pub fn end(&self, id: usize, farewell: Farewell) {
        let mut table = self.shared.lock();
        table.cancel(id);
        let entry = table.entry(id);
        entry.stopped = None;
        entry.part(farewell);
    }

    /// Once after the sender stopped this virtual router by itself, or would if it had woken already: since
    /// when it is silent. Nothing may be sent before somebody has looked at the slot.
    pub fn take_stopped(&self, id: usize, now: Instant) -> Option<Instant> {
        let mut table = self.shared.lock();
        table.stop_if_overslept(id, now);
        table.entry(id).stopped.take()
    }

    /// Since when and why the kernel refuses this virtual router's adverts, if that has begun or ended since
    /// somebody last asked.
    pub fn take_news(&self, id: usize) -> Option<SendingNews> {
        self.shared.lock().entry(id).refusals.take_news()
    }

    /// What a virtual router sends is counted here.
    pub fn sent(&self, id: usize) -> Arc<Sent> {
        Arc::clone(&self.shared.lock().entry(id).sent)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::Relaxed);
        // Under the lock, so that the thread is either waiting or has yet to look.
        drop(self.shared.lock());
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, which has been said on standard error.
            let _ = thread.join();
        }
    }
}

/// The last word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Farewell {
    /// Priority 0.
    Release,
    /// One more of the usual.
    Own,
    /// Nothing.
    None,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is valid between any two statements that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn entry(&mut self, id: usize) -> &mut Entry {
        if id >= self.entries.len() {
            self.entries.resize_with(id + 1, Entry::default);
        }
        &mut self.entries[id]
    }

    fn cancel(&mut self, id: usize) {
        let due = self.entry(id).due;
        self.schedule.remove(&(due, id));
    }

    fn send_now(&mut self, id: usize) {
        let entry = self.entry(id);
        let Some(interval) = entry.program.as_ref().map(|it| it.interval) else {
            return;
        };
        let now = clock::now();
        entry.advertise(now);
        entry.due = now + interval;
        let due = entry.due;
        self.schedule.insert((due, id));
    }

    /// Takes a program away whose advert is so late that others have taken over meanwhile.
    fn stop_if_overslept(&mut self, id: usize, now: Instant) {
        let entry = self.entry(id);
        let due = entry.due;
        let overslept = |program: &Program| now.since(due) > program.overslept;
        if entry.program.as_ref().is_some_and(overslept) {
            entry.stopped = Some(due);
            entry.program = None;
            self.schedule.remove(&(due, id));
        }
    }

    /// Sends what is due, and says when the next one is, and whether the driver is to look.
    fn turn(&mut self, now: Instant, conduct: &Conduct) -> (Option<Instant>, bool) {
        let mut news = false;
        while let Some(&(due, id)) = self.schedule.first() {
            if due > now {
                return (Some(due), news);
            }
            self.stop_if_overslept(id, now);
            self.schedule.remove(&(due, id));
            self.send_due(id, now, conduct);
            let entry = self.entry(id);
            news |= entry.stopped.is_some() || entry.refusals.has_news();
        }
        (None, news)
    }

    /// RFC 9568 section 6.4.3 (advertise), RFC 3768 section 6.4.3 (advertise).
    fn send_due(&mut self, id: usize, now: Instant, conduct: &Conduct) {
        let entry = self.entry(id);
        let Some(interval) = entry.program.as_ref().map(|it| it.interval) else {
            return;
        };
        conduct.was_late(now.since(entry.due), interval);
        entry.advertise(now);
        // From the due time, so that lateness does not add up; but never a burst to catch up.
        let next = entry.due + interval;
        entry.due = if next > now { next } else { now + interval };
        let due = entry.due;
        self.schedule.insert((due, id));
    }

    /// Priority 0 for all.
    fn lapse(&mut self, now: Instant) {
        self.schedule.clear();
        for entry in &mut self.entries {
            if entry.program.is_some() {
                entry.part(Farewell::Release);
                entry.stopped = Some(now);
            }
        }
    }
}

fn run(shared: &Shared) {
    let mut table = shared.lock();
    while !shared.quit.load(Ordering::Relaxed) {
        let now = clock::now();
        let (mut next, mut news) = table.turn(now, &shared.conduct);
        let lease = shared.conduct.lease_until();
        if next.is_some() && now >= lease {
            shared.conduct.lapses.fetch_add(1, Ordering::Relaxed);
            table.lapse(now);
            (next, news) = (None, true);
        }
        if news {
            shared.driver.notify();
        }
        table = match next {
            None => shared
                .changed
                .wait(table)
                .unwrap_or_else(PoisonError::into_inner),
            Some(at) => {
                let span = at.min(lease).since(clock::now()).to_duration();
                let waited = shared.changed.wait_timeout(table, span);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}
