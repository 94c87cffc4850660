//! The traffic: iperf3 with its client on the host that is measured, so that the client's address says which
//! of the host's addresses the traffic is for, and its server on the lab's client.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::counters::Counters;
use super::course::{Course, SMALL, Traffic};
use super::subject::Subject;
use crate::lab::{Host, Process};

/// What makes the traffic.
pub(super) const PROGRAM: &str = "iperf3";
/// What the server says when it is ready for a client, the first one and each after it.
const LISTENS: &str = "Server listening";
/// Until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server.
pub(super) struct Server {
    process: Process,
    address: Ipv4Addr,
}

impl Server {
    pub(super) fn start(host: &Host) -> Result<Self> {
        let mut command = Command::new(PROGRAM);
        command.args(["--server", "--forceflush"]);
        let process = host.spawn(PROGRAM, command)?;
        process.wait_for_line(LISTENS, PATIENCE)?;
        Ok(Self {
            process,
            address: host.ipv4(),
        })
    }
}

/// One reading.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sample {
    /// Gbit/s, or thousands of packets a second.
    pub(super) rate: f64,
    /// Seconds of CPU time of all the host's cores for a gigabyte, or for a million packets.
    pub(super) cpu: f64,
    /// What the host's IP layer got at a time, in bytes: of a TCP stream many segments in one buffer.
    pub(super) buffer: f64,
    /// Seconds that the host's cores were busy.
    busy_s: f64,
    seconds: f64,
    bytes: u64,
    lost: u64,
    retransmits: u64,
}

/// Lets it flow for so many seconds.
pub(super) fn measure(
    subject: &dyn Subject,
    course: Course,
    seconds: u32,
    server: &Server,
) -> Result<Sample> {
    let line = command(subject, course, seconds, server);
    let before = Counters::read(subject)?;
    let mark = server.process.mark();
    let said = subject.run(&line)?;
    let span = Counters::read(subject)?.since(&before);
    let sums = Sums::parse(&said)?;
    server
        .process
        .wait_for_line_after(mark, LISTENS, PATIENCE)?;
    let (bytes, lasted) = (sums.received.bytes, sums.received.seconds);
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 bytes")]
    let volume = bytes as f64;
    // Gigabytes and gigabits, or millions and thousands of packets.
    let (amount, rate) = match course.traffic {
        Traffic::TcpIn | Traffic::TcpOut => (volume / 1e9, volume * 8.0 / 1e9),
        Traffic::SmallIn => {
            let packets = volume / f64::from(SMALL);
            (packets / 1e6, packets / 1e3)
        }
    };
    if amount <= 0.0 || lasted <= 0.0 {
        bail!("nothing arrived: {said}");
    }
    Ok(Sample {
        rate: rate / lasted,
        cpu: span.busy / amount,
        buffer: span.buffer,
        busy_s: span.busy,
        seconds: lasted,
        bytes,
        lost: sums.received.lost_packets,
        retransmits: sums.sent.retransmits,
    })
}

fn command(subject: &dyn Subject, course: Course, seconds: u32, server: &Server) -> String {
    let address = course.address(subject.own());
    // One and the same congestion control everywhere, and none that paces.
    let traffic = match course.traffic {
        Traffic::TcpIn => "--congestion cubic --reverse".to_owned(),
        Traffic::TcpOut => "--congestion cubic".to_owned(),
        Traffic::SmallIn => format!("--udp --reverse --bandwidth 0 --length {SMALL}"),
    };
    format!(
        "{PROGRAM} --client {} --bind {address} --time {seconds} --affinity {} --json {traffic}",
        server.address,
        subject.affinity()
    )
}

/// What iperf3 says of a whole run.
#[derive(Debug, Deserialize)]
struct Sums {
    #[serde(rename = "sum_sent")]
    sent: Sum,
    #[serde(rename = "sum_received")]
    received: Sum,
}

#[derive(Debug, Deserialize)]
struct Sum {
    seconds: f64,
    bytes: u64,
    #[serde(default)]
    lost_packets: u64,
    #[serde(default)]
    retransmits: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Said {
    Failed { error: String },
    Done { end: Sums },
}

impl Sums {
    fn parse(said: &str) -> Result<Self> {
        let parsed = serde_json::from_str(said);
        match parsed.with_context(|| format!("{PROGRAM} said what was not expected:\n{said}"))? {
            Said::Done { end } => Ok(end),
            Said::Failed { error } => bail!("{PROGRAM}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_and_an_error_is_passed_on() {
        let done = r#"{"start": {}, "end": {
            "sum_sent": {"seconds": 2.0, "bytes": 640, "retransmits": 3, "sender": true},
            "sum_received": {"seconds": 2.5, "bytes": 320, "lost_packets": 5, "packets": 10}
        }}"#;
        let sums = Sums::parse(done).unwrap();
        assert_eq!((sums.received.bytes, sums.received.lost_packets), (320, 5));
        assert_eq!(sums.sent.retransmits, 3);

        let failed = r#"{"start": {}, "end": {}, "error": "the server is busy"}"#;
        let error = Sums::parse(failed).unwrap_err().to_string();
        assert!(error.contains("the server is busy"), "{error}");
        assert!(Sums::parse("Killed").is_err());
    }
}
