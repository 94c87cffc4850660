//! Which weights can never move an address, whatever else fails.

use std::collections::HashMap;

use ha_common::units::Priority;

use crate::config::diagnostics::Report;
use crate::config::model::{FileUse, Probe, Track};
use crate::config::read::{At, RawCheck, RawInstance};

/// The most that one entry can add, and the most that a number in a file says.
const MOST: i32 = 253;

/// What an entry of `track` can add to a priority: the least, and the greatest.
type Reach = (i32, i32);

/// Warns of weights that change nothing: the sum is clamped to 1..254.
pub(crate) fn check(report: &Report<'_>, instances: &[RawInstance], checks: &[RawCheck]) {
    let probes: HashMap<&str, &Probe> = checks
        .iter()
        .filter_map(|check| check.model.as_ref())
        .map(|check| (check.name.as_str(), &check.probe))
        .collect();
    for draft in instances {
        if let Some(priority) = &draft.priority
            && !priority.get_ref().is_owner()
        {
            one(report, *priority.get_ref(), &draft.track, &probes);
        }
    }
}

/// A weight matters if some sum `x` of the others has `clamp(x) != clamp(x + weight)`. Looking at
/// the least and the greatest sum is exact: between neighbouring sums lie at most 253, the largest
/// weight, so the sums cannot jump over the part where a weight matters.
fn one(
    report: &Report<'_>,
    priority: Priority,
    track: &[At<Track>],
    probes: &HashMap<&str, &Probe>,
) {
    let reaches: Vec<Reach> = track.iter().map(|at| reach(at.get_ref(), probes)).collect();
    let down: i32 = reaches.iter().map(|(least, _)| least).sum();
    let up: i32 = reaches.iter().map(|(_, greatest)| greatest).sum();
    for (at, (own_least, own_greatest)) in track.iter().zip(reaches) {
        let least = i32::from(priority.0) + down - own_least;
        let greatest = i32::from(priority.0) + up - own_greatest;
        let lowers = own_least < 0 && greatest > 1 && least + own_least < 254;
        let raises = own_greatest > 0 && least < 254 && greatest + own_greatest > 1;
        let (false, Some(weight)) = (lowers || raises, at.get_ref().weight) else {
            continue;
        };
        let message = format!(
            "this weight of {weight} can never move the address: the effective priority stays \
             within 1 to 254, and from `priority` = {priority} it ends at the same value \
             whether the {} or not",
            failing(at.get_ref())
        );
        report.warn(&at.span(), message);
    }
}

fn reach(track: &Track, probes: &HashMap<&str, &Probe>) -> Reach {
    let probe = track.check_name().and_then(|name| probes.get(name));
    if let Some(Probe::File(file)) = probe
        && file.used_as == FileUse::Weight
    {
        return (-MOST, MOST);
    }
    let weight = track.weight.map_or(0, i32::from);
    (weight.min(0), weight.max(0))
}

fn failing(track: &Track) -> &'static str {
    match track.check_name() {
        Some(_) => "check fails",
        None => "interface is down",
    }
}
