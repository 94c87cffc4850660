//! The tables of pairs with many virtual routers.

// Writing to a String cannot fail.
use std::fmt::Write as _;

use super::figure::megabytes;
use super::sample::Summary;
use super::scale::Outcome;

/// One table for each size.
pub(super) fn tables(text: &mut String, outcomes: &[Outcome]) {
    let same = |a: &Outcome, b: &Outcome| {
        (a.size.interfaces, a.size.interval) == (b.size.interfaces, b.size.interval)
    };
    for group in outcomes.chunk_by(same) {
        table(text, group);
    }
}

fn table(text: &mut String, group: &[Outcome]) {
    let Some(first) = group.first() else { return };
    let size = first.size;
    let _ = writeln!(
        text,
        "\n{} virtual routers on {} interface(s), adverts every {} ms: {:.0} s of steady state, then the \
         master's host is cut off\n\n\
         {:22} {:^23} {:^15} {:^26} {:^26}\n\
         {:22} {:>7} {:>7} {:>7} {:>7} {:>7} {HEADS} {HEADS}",
        usize::from(size.routers) * size.interfaces,
        size.interfaces,
        size.interval.as_millis(),
        first.steady_s,
        "",
        "CPU, % of a core",
        "resident, MB",
        "advert, ms late",
        "first GARP, ms late",
        "",
        "backup",
        "master",
        "all",
        "backup",
        "master",
    );
    for it in group {
        let _ = write!(
            text,
            "{:22} {:>7.2} {:>7.2} {:>7.2} {:>7.1} {:>7.1} {} {}",
            it.contestant.name(),
            it.backup_cpu * 100.0,
            it.master_cpu * 100.0,
            it.machine * 100.0,
            megabytes(it.backup_resident),
            megabytes(it.master_resident),
            lateness(it.adverts.as_ref()),
            lateness(it.announcements.as_ref()),
        );
        if it.spoke > 0 {
            let _ = write!(text, "  the backup spoke {} times", it.spoke);
        }
        if it.missing > 0 {
            let _ = write!(text, "  {} not taken over", it.missing);
        }
        if it.uncaptured > 0 {
            let _ = write!(text, "  {} frames not captured", it.uncaptured);
        }
        text.push('\n');
    }
}

const HEADS: &str = "  median      p99      max";

fn lateness(summary: Option<&Summary>) -> String {
    summary.map_or_else(
        || format!("{:>26}", "not measured"),
        |it| format!("{:>8.2} {:>8.2} {:>8.2}", it.median, it.p99, it.max),
    )
}
