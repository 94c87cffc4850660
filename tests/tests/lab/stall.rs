//! A master that stands still, whole or in part: the backup takes over, and there is one way back.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ptr::null_mut;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::ask::arp_request;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{LATENESS, PATIENCE, TIMING, at_deadline, instance};
use ha_tests::lab::process::{Process, Signal};
use ha_tests::lab::service_manager::ServiceManager;
use ha_tests::lab::{Lab, Pair, VIP, wait_until};

/// After the driver stands still: the lease of 5 s, and what a busy machine needs.
const LAPSED_WITHIN: Duration = Duration::from_secs(6);
/// How long the lease lasts at least since its last renewal, which is due after a third of it.
const LAPSED_NO_SOONER: Duration = Duration::from_secs(3);

/// One thread of a process, held still until this is dropped. Only the thread that made it may drop it.
struct Held(libc::pid_t);

impl Held {
    /// Stops the thread of that name and no other.
    fn stop(process: &Process, name: &str) -> Result<Self> {
        let tid = thread_of(process, name)?;
        ptrace(libc::PTRACE_SEIZE, tid)?;
        let held = Self(tid);
        ptrace(libc::PTRACE_INTERRUPT, tid)?;
        let mut status = 0;
        // SAFETY: waitpid writes one int, to a variable that outlives the call.
        let waited = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL) };
        ensure!(
            waited == tid && libc::WIFSTOPPED(status),
            "{name} has not stopped: {waited}, {status:#x}"
        );
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = ptrace(libc::PTRACE_DETACH, self.0) {
            eprintln!("{error:#}");
        }
    }
}

fn ptrace(request: libc::c_uint, tid: libc::pid_t) -> Result<()> {
    // SAFETY: seize, interrupt and detach take no addresses: both pointers are read as zero.
    let result = unsafe { libc::ptrace(request, tid, null_mut::<u8>(), null_mut::<u8>()) };
    if result == -1 {
        let error = io::Error::last_os_error();
        return Err(error).with_context(|| format!("ptrace {request:#x} of thread {tid}"));
    }
    Ok(())
}

fn thread_of(process: &Process, name: &str) -> Result<libc::pid_t> {
    for entry in fs::read_dir(format!("/proc/{}/task", process.pid()))? {
        let path = entry?.path();
        if fs::read_to_string(path.join("comm"))?.trim_end() == name {
            let tid = path.file_name().and_then(|tid| tid.to_str());
            return Ok(tid.context("no thread id")?.parse()?);
        }
    }
    anyhow::bail!("{} has no thread {name}", process.label())
}

/// On one processor the adverts of all others must not wait for a take-over of many.
#[test]
fn the_sender_comes_before_the_driver() -> Result<()> {
    let lab = Lab::new(1)?;
    let agent = Agent::master(lab.host(1), instance(100))?;
    for (name, priority) in [("ha-sender", "41"), ("ha-driver", "40")] {
        let tid = thread_of(agent.process(), name)?;
        let stat = fs::read_to_string(format!("/proc/{tid}/stat"))?;
        // The fields behind the name, which is the second: rt_priority is the 40th, proc_pid_stat(5).
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let found = fields.split_whitespace().nth(40 - 3);
        ensure!(found == Some(priority), "{name}: {found:?}");
    }
    Ok(())
}

/// Waits until host 1, which runs since `again`, leads; the address has moved there and back once.
fn one_clean_way_back(pair: &Pair, since: Instant, again: Instant) -> Result<()> {
    pair.on_backup.wait_absent(PATIENCE)?;
    pair.backup.wait_state(State::Backup, PATIENCE)?;
    pair.master.wait_state(State::Master, PATIENCE)?;
    pair.on_master.wait_present(PATIENCE)?;
    pair.capture
        .wait_announcement(pair.h1(), VIP, again, PATIENCE)
        .context("the way back was not announced")?;
    let mut last = now();
    // A second move would show within a master-down interval: less than four adverts.
    for _ in 0..10 {
        last = pair.capture.wait_advert(pair.h1(), 100, last, PATIENCE)?.at
            + ha_common::units::Nanos(1);
    }
    let changes = pair.on_backup.changes_since(since);
    ensure!(
        changes.len() == 2,
        "not one way there and back: {changes:?}"
    );
    let announcers = pair.capture.announcers(VIP, since);
    let names: Vec<&str> = announcers.iter().map(|name| &**name).collect();
    // Until one has heard the other's advert both are master, and each answers what it takes for a claim of the
    // address; the last word is that of the one that stays.
    ensure!(
        names.first() == Some(&"h2") && names.last() == Some(&"h1") && names.len() <= 4,
        "announced by {names:?}"
    );
    pair.is_settled()
}

#[test]
fn a_stopped_master_is_replaced_at_the_deadline_and_comes_back_once() -> Result<()> {
    let pair = Pair::start()?;
    let stopped = now();
    pair.master.process().signal(Signal::STOP)?;
    at_deadline(&pair.takeover_since(stopped)?, LATENESS)?;
    pair.on_backup.wait_present(PATIENCE)?;
    pair.backup.wait_state(State::Master, PATIENCE)?;
    let again = now();
    pair.master.process().signal(Signal::CONT)?;
    one_clean_way_back(&pair, stopped, again)
}

/// The kernel of the stopped host would answer for an address that another host holds.
#[test]
fn a_stopped_master_is_fenced_until_it_moves() -> Result<()> {
    let pair = Pair::start()?;
    let asker = pair.lab.client_host();
    let forger = asker.forger()?;
    let ask = who_has(asker.mac(), pair.h1().mac());
    let answered = |since: Instant| {
        let frames = pair.capture.frames_since(since);
        frames.iter().any(|frame| {
            let reply = frame.arp().is_some_and(|arp| {
                arp.operation == 2 && IpAddr::from(arp.sender) == VIP && !arp.is_gratuitous()
            });
            frame.is_from(pair.h1()) && reply
        })
    };
    let question = now();
    forger.send(&ask)?;
    wait_until(PATIENCE, "the master answers", || answered(question))?;

    let stopped = now();
    pair.master.process().signal(Signal::STOP)?;
    pair.on_backup.wait_present(PATIENCE)?;
    // Seen by what it does: it answers no more. Each question is one of its own.
    let mut fenced = false;
    let patience = std::time::Instant::now() + PATIENCE;
    while !fenced && std::time::Instant::now() < patience {
        let question = now();
        forger.send(&ask)?;
        let heard = |frame: &ha_tests::lab::capture::Frame| {
            frame.is_to(pair.h1()) && frame.arp().is_some_and(|arp| arp.operation == 1)
        };
        pair.capture
            .wait_for("the question on its way", question, PATIENCE, heard)?;
        // An answer takes microseconds; so long is the new master's next advert away at most.
        pair.capture
            .wait_advert(pair.h2(), 90, question, PATIENCE)?;
        fenced = !answered(question);
    }
    ensure!(fenced, "it goes on answering for the address");
    ensure!(
        pair.on_master.present(),
        "a stopped agent removes nothing, which is why it must be fenced"
    );

    let again = now();
    pair.master.process().signal(Signal::CONT)?;
    one_clean_way_back(&pair, stopped, again)?;
    let question = now();
    forger.send(&ask)?;
    wait_until(PATIENCE, "the master answers again", || answered(question))
}

/// An ARP request for the virtual address, to this host alone.
fn who_has(from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
    let own = Ipv4Addr::new(10, 99, 0, 250);
    arp_request(to, from, own, Ipv4Addr::new(10, 99, 0, 100))
}

#[test]
fn a_driver_that_stands_still_loses_its_lease_and_the_backup_takes_over() -> Result<()> {
    let pair = Pair::start()?;
    let stopped = now();
    let held = Held::stop(pair.master.process(), "ha-driver")?;
    let farewell = pair
        .capture
        .wait_advert(pair.h1(), 0, stopped, PATIENCE)
        .context("the sender goes on for a driver that decides nothing")?;
    let lapsed = farewell.at.since(stopped).to_duration();
    ensure!(
        lapsed > LAPSED_NO_SOONER && lapsed < LAPSED_WITHIN,
        "it lapsed after {lapsed:?}"
    );
    let taken = pair.on_backup.wait_present(PATIENCE)?;
    let waited = taken.since(farewell.at).to_duration();
    ensure!(
        waited < TIMING.skew() + LATENESS,
        "the backup took {waited:?} after priority 0"
    );
    pair.backup.wait_state(State::Master, PATIENCE)?;
    let silent = pair.capture.frames_since(farewell.at);
    let later = silent.iter().filter(|frame| {
        frame.at > farewell.at && frame.is_from(pair.h1()) && frame.vrrp().is_some()
    });
    ensure!(later.count() == 0, "it advertised after its farewell");

    let again = now();
    drop(held);
    one_clean_way_back(&pair, stopped, again)?;
    ensure!(pair.master.status()?.sender.lease.lapses == 1);
    Ok(())
}

#[test]
fn the_service_manager_hears_nothing_while_the_driver_stands_still() -> Result<()> {
    const WATCHDOG: Duration = Duration::from_millis(900);
    const ALIVE: &str = "WATCHDOG=1";
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let manager = ServiceManager::listen(h1)?;
    Agent::write_config(h1, instance(100))?;
    let agent = Agent::launch(h1, &manager.launch(WATCHDOG))?;
    for _ in 0..3 {
        manager.wait_for(ALIVE, PATIENCE)?;
    }
    let held = Held::stop(agent.process(), "ha-driver")?;
    // Two may be on their way: one in the socket, one for a turn that was made just before.
    let mut late = 0;
    while manager.next(WATCHDOG)?.is_some() {
        late += 1;
        ensure!(late <= 2, "it goes on saying that it lives");
    }
    drop(held);
    manager.wait_for(ALIVE, PATIENCE)?;
    Ok(())
}
