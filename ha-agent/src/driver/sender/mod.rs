//! The thread that repeats a master's adverts: absolute deadlines, prebuilt messages, and a lease.
//!
//! [`schedule`] decides what goes out when; this carries it out. The driver says what to send; while the driver
//! lives it renews the lease, and when it has not for [`LEASE`], the sender says priority 0 for every virtual router
//! and stops: a host whose driver hangs must not advertise for ever. When the sender itself wakes far too late (the
//! machine was stopped), it sends nothing and asks the driver to look first.

mod departures;
mod due_queue;
pub mod refusals;
pub mod schedule;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ha_common::election::LastAdvert;
use ha_common::hmac::SigningClock;
use ha_common::hmac::replay::ReplayState;
use ha_common::stand_still::ClockWatch;
use ha_common::units::{Instant, Nanos};

use super::advert_signer::AdvertSigner;
use crate::config::plan::RouterId;
use crate::net::advert::AdvertSocket;
use crate::os::alarm::Alarm;
use crate::os::clock;
use crate::os::notifier::Notifier;
use crate::os::realtime::{self, Ability};
use crate::router::sending::SendingNews;
use refusals::Refused;
pub use schedule::LEASE;
use schedule::{Schedule, Step, Timing};

/// What one virtual router sends.
#[derive(Clone, Debug)]
pub struct Adverts {
    /// Where it leaves.
    pub socket: Arc<AdvertSocket>,
    /// The message, for each of the socket's destinations in turn.
    pub messages: Vec<Vec<u8>>,
    /// The same with priority 0.
    pub releases: Vec<Vec<u8>>,
    /// How they are signed, if they are.
    pub signer: Option<AdvertSigner>,
    /// When they leave.
    pub timing: Timing,
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
pub struct SenderStats {
    late: AtomicU64,
    worst: AtomicU64,
    lapses: AtomicU64,
    lease_until: AtomicU64,
}

impl SenderStats {
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

/// What is sent, for one virtual router of the schedule.
#[derive(Debug, Default)]
struct Outlet {
    adverts: Option<Adverts>,
    sent: Arc<Sent>,
    /// Whose time its adverts have, if they were ever signed.
    signs_as: Option<RouterId>,
}

impl Adverts {
    fn send(&mut self, what: LastAdvert, times: &mut Times, sent: &Sent) -> Option<Refused> {
        let messages = match what {
            LastAdvert::Release => &mut self.releases,
            LastAdvert::Own => &mut self.messages,
            LastAdvert::None => return None,
        };
        if let Some(signer) = &self.signer
            && let Some(time) = times.get_mut(&signer.router)
        {
            signer.close(messages, self.socket.destinations(), time);
        }
        sent.send(&self.socket, messages)
    }
}

/// What each virtual router has signed by: it must go on whatever becomes of its adverts and its number.
type Times = HashMap<RouterId, SigningClock>;

#[derive(Debug, Default)]
struct Table {
    schedule: Schedule,
    outlets: Vec<Outlet>,
    times: Times,
    clock_watch: ClockWatch,
    /// The machine may have stood still so long, and the driver has not been told.
    stood_still: Option<Nanos>,
    /// When the thread wakes by itself; `None`: not at all.
    wakes_at: Option<Instant>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    /// Wakes the thread at [`Table::wakes_at`]; set under the lock.
    alarm: Alarm,
    sender_stats: Arc<SenderStats>,
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
            alarm: Alarm::new()?,
            sender_stats: Arc::new(SenderStats::new(clock::now())),
            quit: AtomicBool::new(false),
            driver,
        });
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ha-sender".to_owned())
            .spawn(move || {
                // Only a starter that is gone already does not listen.
                let _ = tell.send(realtime::schedule(realtime::SENDER));
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
            .sender_stats
            .lease_until
            .store(until, Ordering::Relaxed);
    }

    /// Punctuality and lease, for those beside the driver.
    pub fn sender_stats(&self) -> Arc<SenderStats> {
        Arc::clone(&self.shared.sender_stats)
    }

    /// Sends the first advert at once, from the calling thread, and repeats it.
    pub fn begin(&self, id: usize, adverts: Adverts) {
        let mut table = self.shared.lock();
        let now = clock::now();
        table.schedule.start(id, adverts.timing, now);
        table.equip(id, adverts);
        table.advertise(id, now);
        self.shared.changed_for(table, id);
    }

    /// The next adverts are these; the schedule stays unless the interval changed.
    pub fn update(&self, id: usize, adverts: Adverts) {
        let mut table = self.shared.lock();
        let now = clock::now();
        if !table.schedule.is_sending(id) {
            return;
        }
        let at_once = table.schedule.update(id, adverts.timing, now);
        table.equip(id, adverts);
        if at_once {
            table.advertise(id, now);
        }
        self.shared.changed_for(table, id);
    }

    /// One advert at once, the next an interval later.
    pub fn now(&self, id: usize) {
        let mut table = self.shared.lock();
        let now = clock::now();
        if table.schedule.advert_now(id, now) {
            table.advertise(id, now);
        }
        self.shared.changed_for(table, id);
    }

    /// Stops, after one last advert if there is to be one.
    pub fn end(&self, id: usize, last: LastAdvert) {
        let mut table = self.shared.lock();
        if table.schedule.stop(id) {
            table.part(id, last);
        }
    }

    /// This virtual router was taken over while its host stood still: to the others it was dead, and nobody knows for
    /// how long. Its next signed advert goes by the wall clock alone.
    pub fn forget_time(&self, id: usize) {
        let mut table = self.shared.lock();
        let Table { outlets, times, .. } = &mut *table;
        let signs_as = outlets.get(id).and_then(|it| it.signs_as.as_ref());
        if let Some(time) = signs_as.and_then(|router| times.get_mut(router)) {
            time.forget_time();
        }
    }

    /// Once after the sender stopped this virtual router by itself, or would if it had woken already: since
    /// when it is silent. Nothing may be sent before somebody has looked at the slot.
    pub fn take_stopped(&self, id: usize, now: Instant) -> Option<Instant> {
        let mut table = self.shared.lock();
        let stopped = table.schedule.take_stopped(id, now)?;
        table.outlet(id).adverts = None;
        Some(stopped)
    }

    /// Since when and why the kernel refuses this virtual router's adverts, if that has begun or ended since
    /// somebody last asked.
    pub fn take_news(&self, id: usize) -> Option<SendingNews> {
        self.shared.lock().schedule.take_news(id)
    }

    /// What a virtual router has signed last, if it signs.
    pub fn said(&self, id: usize) -> Option<ReplayState> {
        let table = self.shared.lock();
        let router = table.outlets.get(id)?.signs_as.as_ref()?;
        table.times.get(router)?.said()
    }

    /// A virtual router goes on from what an earlier agent has signed.
    pub fn resume_time(&self, router: RouterId, left: ReplayState) {
        let mut table = self.shared.lock();
        table.times.entry(router).or_default().resume(left);
    }

    /// For how long the machine may have stood still since somebody last asked. Then adverts wait, so that whoever took
    /// over meanwhile is heard before anything is sent.
    pub fn take_stand_still(&self, now: Instant) -> Option<Nanos> {
        let mut table = self.shared.lock();
        table.look_at_clocks(now);
        table.stood_still.take()
    }

    /// What a virtual router sends is counted here.
    pub fn sent(&self, id: usize) -> Arc<Sent> {
        Arc::clone(&self.shared.lock().outlet(id).sent)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::Relaxed);
        self.shared
            .wake_at(&mut self.shared.lock(), Some(clock::now()));
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, which has been said on standard error.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is valid between any two statements that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the thread wake when this virtual router's next advert is due, if that is before it would wake by itself.
    fn changed_for(&self, mut table: MutexGuard<'_, Table>, id: usize) {
        let due = table.schedule.due(id);
        if due.is_some_and(|due| table.wakes_at.is_none_or(|at| due < at)) {
            self.wake_at(&mut table, due);
        }
    }

    fn wake_at(&self, table: &mut Table, at: Option<Instant>) {
        table.wakes_at = at;
        // The descriptor is a timer and the moment has its form, which is all that the kernel asks for.
        let _ = self.alarm.set(at);
    }
}

impl Table {
    fn outlet(&mut self, id: usize) -> &mut Outlet {
        if id >= self.outlets.len() {
            self.outlets.resize_with(id + 1, Outlet::default);
            self.schedule.reserve(id);
        }
        &mut self.outlets[id]
    }

    /// These are sent from here on. The only place that makes room for a time to sign by.
    fn equip(&mut self, id: usize, adverts: Adverts) {
        if let Some(signer) = &adverts.signer {
            let router = signer.router.clone();
            self.times.entry(router.clone()).or_default();
            self.outlet(id).signs_as = Some(router);
        }
        self.outlet(id).adverts = Some(adverts);
    }

    /// One of the usual.
    fn advertise(&mut self, id: usize, now: Instant) {
        let refused = self.send(id, LastAdvert::Own);
        self.schedule.count(id, refused, now);
    }

    fn send(&mut self, id: usize, what: LastAdvert) -> Option<Refused> {
        let outlet = self.outlets.get_mut(id)?;
        let adverts = outlet.adverts.as_mut()?;
        adverts.send(what, &mut self.times, &outlet.sent)
    }

    /// The last one: what becomes of it is nobody's concern.
    fn part(&mut self, id: usize, last: LastAdvert) {
        self.send(id, last);
        self.outlet(id).adverts = None;
    }

    /// Before anything is sent. True if the driver is to hear of it.
    fn look_at_clocks(&mut self, now: Instant) -> bool {
        let Some(span) = self.clock_watch.look(clock::lead()) else {
            return false;
        };
        self.schedule.stood_still(span, now);
        self.stood_still = Some(span);
        true
    }

    /// Does what is to be done at `now`, and says until when the thread waits.
    fn turn(&mut self, now: Instant, sender_stats: &SenderStats) -> Option<Instant> {
        let lease = sender_stats.lease_until();
        let mut lapsed = false;
        let next = loop {
            match self.schedule.next_step(now, lease) {
                Step::Send { id, late } => {
                    if let Some(adverts) = &self.outlet(id).adverts {
                        sender_stats.was_late(late, adverts.timing.interval);
                    }
                    self.advertise(id, now);
                }
                Step::Release { id } => {
                    self.part(id, LastAdvert::Release);
                    lapsed = true;
                }
                Step::Overslept { id } => self.outlet(id).adverts = None,
                Step::Wait(next) => break next,
            }
        };
        if lapsed {
            sender_stats.lapses.fetch_add(1, Ordering::Relaxed);
        }
        next
    }
}

fn run(shared: &Shared) {
    loop {
        let mut table = shared.lock();
        // Under the lock: whoever wants it to quit has either said so, or sets the alarm after this does.
        if shared.quit.load(Ordering::Relaxed) {
            return;
        }
        let now = clock::now();
        let stood_still = table.look_at_clocks(now);
        let next = table.turn(now, &shared.sender_stats);
        if table.schedule.take_call() || stood_still {
            shared.driver.notify();
        }
        shared.wake_at(&mut table, next);
        drop(table);
        // It cannot fail for the same reasons.
        let _ = shared.alarm.wait();
    }
}
