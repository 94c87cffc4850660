//! The table, the aims, and everything as JSON.

// Writing to a String cannot fail.
use std::fmt::Write as _;

use serde::Serialize;

use super::contestant::Contestant;
use super::figure::{megabytes, verdict};
use super::machine::Machine;
use super::many;
use super::options::Options;
use super::receive::Cost;
use super::sample::Summary;
use super::takeover::{Outcome, TIMING};
use super::{report_scale, scale};

/// Aims for the first gratuitous ARP past the deadline, in milliseconds.
const AIM_MEDIAN: f64 = 0.3;
const AIM_P99: f64 = 1.0;
/// Aim for the CPU time of an advert, as a part of keepalived's.
const AIM_SHARE: f64 = 1.0 / 20.0;

/// The one-minute load above which a machine is busy with something else.
const CALM: f32 = 0.5;

/// All that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    rounds: usize,
    listen_s: f64,
    readings: usize,
    master_down_ms: f64,
    pub(super) takeovers: Vec<Outcome>,
    pub(super) receive: Vec<Cost>,
    pub(super) scale: Vec<scale::Outcome>,
    many_rounds: usize,
    pub(super) many: Vec<many::Outcome>,
}

impl Report {
    pub(super) fn new(machine: Machine, options: &Options) -> Self {
        Self {
            machine,
            rounds: options.rounds,
            listen_s: options.listen.as_secs_f64(),
            readings: options.readings,
            master_down_ms: TIMING.master_down().as_secs_f64() * 1e3,
            takeovers: Vec::new(),
            receive: Vec::new(),
            scale: Vec::new(),
            many_rounds: options.many_rounds,
            many: Vec::new(),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = self.head();
        let mut loads: Vec<usize> = self.takeovers.iter().map(|it| it.busy_loops).collect();
        loads.dedup();
        for load in loads {
            self.takeover_table(&mut text, load);
        }
        if !self.receive.is_empty() {
            self.receive_table(&mut text);
        }
        report_scale::tables(&mut text, &self.scale);
        if !self.many.is_empty() {
            text.push_str(&many::table(&self.many));
        }
        let misses = self.misses();
        if !misses.is_empty() {
            text.push_str("\nAims\n");
        }
        for miss in &misses {
            let _ = writeln!(text, "  {miss}");
        }
        text
    }

    fn head(&self) -> String {
        let machine = &self.machine;
        let mut head = format!(
            "\n{}\n{}\n{} x {}, Linux {}; load {:.2} before and {:.2} after, {:.1} s stolen by the hypervisor\n",
            machine.agent,
            machine.other,
            machine.cores,
            machine.cpu,
            machine.kernel,
            machine.load_before,
            machine.load_after,
            machine.stolen_s,
        );
        if machine.load_before > CALM {
            head.push_str(
                "The machine was not calm before the run: the figures below include other work.\n",
            );
        }
        head
    }

    fn takeover_table(&self, text: &mut String, busy_loops: usize) {
        let load = match busy_loops {
            0 => "idle".to_owned(),
            loops => format!("{loops} busy loops on {} cores", self.machine.cores),
        };
        let _ = writeln!(
            text,
            "\nTake-over, {load}: ms past the deadline ({:.1} ms after the last advert)\n\n\
             {:22} {:^33}   {:^33}\n{:22} {HEADS}   {HEADS}",
            self.master_down_ms, "", "first advert", "first gratuitous ARP", ""
        );
        for it in self
            .takeovers
            .iter()
            .filter(|it| it.busy_loops == busy_loops)
        {
            let _ = write!(
                text,
                "{:22} {}   {}",
                it.contestant.name(),
                ranks(it.advert.as_ref()),
                ranks(it.announcement.as_ref())
            );
            if it.early > 0 {
                let _ = write!(text, "  {} before the deadline", it.early);
            }
            if it.false_takeovers > 0 {
                let _ = write!(text, "  {} false take-overs", it.false_takeovers);
            }
            text.push('\n');
        }
    }

    fn receive_table(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "\n255 backups at 10 ms, 25,500 adverts/s: µs of CPU for each advert; resident memory\n\n\
             {:22} {:>9} {:>16} {:>9} {:>16} {:>9} {:>9} {:>9}\n{:22} {:>9} {:>16} {:>9} {:>16} {:>9} {:>9} {:>9}",
            "",
            "own",
            "(min to max)",
            "machine",
            "(min to max)",
            "1 VR",
            "255 VRs",
            "BPF maps",
            "",
            "",
            "",
            "",
            "",
            "MB",
            "MB",
            "MB"
        );
        for cost in &self.receive {
            let _ = write!(
                text,
                "{:22} {} {} {:>9.1} {:>9.1} {:>9.1}",
                cost.contestant.name(),
                spread(cost.own.as_ref()),
                spread(cost.machine.as_ref()),
                megabytes(cost.resident_one),
                megabytes(cost.resident_all),
                megabytes(cost.bpf_maps),
            );
            if cost.lost > 0 {
                let _ = write!(text, "  {} adverts lost", cost.lost);
            }
            if cost.false_takeovers > 0 {
                let _ = write!(
                    text,
                    "  false take-overs in {} readings",
                    cost.false_takeovers
                );
            }
            if cost.unsteady > 0 {
                let _ = write!(text, "  {} readings of the machine unsteady", cost.unsteady);
            }
            text.push('\n');
        }
    }

    /// Each aim, and how far from it the kernel datapath is.
    fn misses(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let ours = |it: &&Outcome| it.contestant == Contestant::Tc;
        for it in self.takeovers.iter().filter(ours) {
            let load = if it.busy_loops == 0 { "idle" } else { "busy" };
            let Some(arp) = it.announcement else {
                lines.push(format!("NOT MEASURED  first gratuitous ARP, {load}"));
                continue;
            };
            for (what, found, aim) in [
                ("median", arp.median, AIM_MEDIAN),
                ("p99", arp.p99, AIM_P99),
            ] {
                lines.push(format!(
                    "{:8}  first gratuitous ARP, {load}: {what} {found:.3} ms, aim below {aim} ms",
                    verdict(found < aim)
                ));
            }
        }
        let of = |wanted| self.receive.iter().find(|it| it.contestant == wanted);
        if let (Some(ours), Some(theirs)) = (of(Contestant::Tc), of(Contestant::Keepalived)) {
            for (what, ours, theirs) in [
                ("the daemon's own", ours.own, theirs.own),
                ("the machine's", ours.machine, theirs.machine),
            ] {
                let (Some(ours), Some(theirs)) = (ours, theirs) else {
                    lines.push(format!("NOT MEASURED  CPU for each advert, {what}"));
                    continue;
                };
                lines.push(format!(
                    "{:8}  CPU for each advert, {what}: {:.3} of {:.3} µs, 1/{:.0} of keepalived's, aim 1/{:.0}",
                    verdict(ours.median <= theirs.median * AIM_SHARE),
                    ours.median,
                    theirs.median,
                    theirs.median / ours.median.max(f64::MIN_POSITIVE),
                    1.0 / AIM_SHARE
                ));
            }
        }
        lines.extend(many::misses(&self.many));
        lines
    }
}

const HEADS: &str = "  median     p90     p99     max";

fn ranks(summary: Option<&Summary>) -> String {
    summary.map_or_else(
        || format!("{:>33}", "not measured"),
        |it| {
            format!(
                " {:>7.3} {:>7.3} {:>7.3} {:>7.3} ",
                it.median, it.p90, it.p99, it.max
            )
        },
    )
}

fn spread(summary: Option<&Summary>) -> String {
    summary.map_or_else(
        || format!("{:>26}", "not measured"),
        |it| {
            let span = format!("({:.3} to {:.3})", it.min, it.max);
            format!("{:>9.3} {span:>16}", it.median)
        },
    )
}
