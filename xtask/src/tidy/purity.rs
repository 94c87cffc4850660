//! The rule for what decides: `ha-agent/src/router` imports `ha-common`, the configuration and values, and has no I/O,
//! no clock, no lock and no thread, so that the simulation and the replay run what ships.

use crate::tidy::file::{File, Finding};

/// What decides.
const ROOM: &str = "ha-agent/src/router/";

/// What decides when adverts go out, and what differs from what is wanted on the host. They name values of the sockets,
/// which hold no edge, and import the router's.
const SCHEDULE: &[&str] = &[
    "ha-agent/src/reconcile/addresses.rs",
    "ha-agent/src/reconcile/missing.rs",
    "ha-agent/src/reconcile/restores.rs",
    "ha-agent/src/reconcile/retry.rs",
    "ha-agent/src/driver/sender/schedule.rs",
    "ha-agent/src/driver/sender/due_queue.rs",
    "ha-agent/src/driver/sender/refusals.rs",
];

/// The agent's modules that the router may import.
const MODULES: &[&str] = &["config", "router"];

/// Words of crates and of the standard library that mean the world outside, a clock, a lock or a thread.
const OUTSIDE: &[&str] = &[
    "tokio",
    "nix",
    "rustix",
    "libc",
    "aya",
    "socket2",
    "tracing",
    "fs",
    "io",
    "process",
    "thread",
    "mpsc",
    "Mutex",
    "RwLock",
    "Condvar",
    "AtomicU64",
    "AtomicBool",
    "SystemTime",
    "UdpSocket",
    "TcpStream",
    "fastrand",
    "print",
    "println",
    "eprintln",
];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let router = |file: &&File| file.path.starts_with(ROOM) && file.has_extension("rs");
    let schedule = |file: &&File| SCHEDULE.iter().any(|path| file.path == **path);
    let router = files.iter().filter(router);
    let schedule = files.iter().filter(schedule);
    let found = router.flat_map(|file| check_file(file, MODULES));
    let found = found.chain(schedule.flat_map(|file| check_file(file, &["net", "router"])));
    found.collect()
}

fn check_file(file: &File, modules: &[&str]) -> Vec<Finding> {
    // What cannot be read as Rust is found by the rules for Rust files.
    let words = super::rust::words(&file.text).unwrap_or_default();
    let mut findings = Vec::new();
    for (index, (word, line)) in words.iter().enumerate() {
        let next = words.get(index + 1).map(|(next, _)| next.as_str());
        if word == "crate" && next.is_some_and(|next| !modules.contains(&next)) {
            let message = format!(
                "this imports `ha-common` and {modules:?} of the agent, not `{}`",
                next.unwrap_or_default()
            );
            findings.push(file.finding(*line, message));
        }
        if OUTSIDE.contains(&word.as_str()) {
            let message = format!("what decides has no I/O, clock, lock or thread: `{word}`");
            findings.push(file.finding(*line, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file::file;

    fn found(path: &str, text: &str) -> usize {
        check(&[file(path, text)]).len()
    }

    #[test]
    fn what_decides_knows_no_edge() {
        for (text, findings) in [
            ("use crate::net::links::Link;", 1),
            ("use std::thread;", 1),
            ("fn a() { crate::os::clock::now(); }", 1),
            ("static LOCK: std::sync::Mutex<()> = todo();", 1),
            ("use crate::config::model::Instance;", 0),
            ("use ha_common::election::Election;", 0),
            ("use std::net::IpAddr;", 0),
            ("// a thread of thought", 0),
        ] {
            assert_eq!(
                found("ha-agent/src/router/mod.rs", text),
                findings,
                "{text}"
            );
            assert_eq!(found("ha-agent/src/driver/mod.rs", text), 0, "{text}");
        }
        for (text, findings) in [
            ("use crate::os::clock;", 1),
            ("use std::sync::Mutex;", 1),
            ("use crate::net::advert::AdvertError;", 0),
        ] {
            assert_eq!(found(SCHEDULE[0], text), findings, "{text}");
        }
    }
}
