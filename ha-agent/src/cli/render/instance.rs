//! The details of one instance for a person.

use std::fmt::Write;

use ha_common::timing::DEFAULT_DOWN_MULTIPLIER;

use crate::config::model;

use super::claims::render_claims;
use super::held::render_held;
use super::state::{priority_sum, state_style};
use super::text::{BAD, BOLD, PLAIN, WARN, clean, field, paint};
use super::tracked::render_tracked;
use crate::status::fence::FenceState;
use crate::status::format::{count, span};
use crate::status::instance::{
    Checksum, Consume, Counters, Datapath, Instance, PrioritySum, Rejected, TimerKind, Transition,
    Unsent,
};
use crate::status::rejects::RejectCounts;

/// Appends one instance: a heading and its fields.
pub(super) fn render_instance(out: &mut String, instance: &Instance) {
    heading(out, instance);
    if let Some(wait) = &instance.preempt_wait {
        let text = format!(
            "no preemption for another {}, until {}",
            span(wait.in_us),
            wait.at
        );
        field(out, "preempt", PLAIN, &text);
    }
    if let Some(group) = &instance.group {
        field(out, "group", PLAIN, group);
    }
    if let Some(reason) = &instance.reason {
        field(out, "reason", WARN, reason);
    }
    if instance.ifindex.is_none() {
        let gone = format!("no such interface: {}", instance.interface);
        field(out, "interface", BAD, &gone);
    }
    field(out, "priority", PLAIN, &priority(&instance.priority));
    render_tracked(out, &instance.tracked);
    field(out, "master", PLAIN, &master(instance));
    render_held(out, instance);
    render_unsent(out, instance.unsent.as_ref());
    if let Some(hmac) = &instance.hmac {
        field(out, "hmac", PLAIN, &hmac.in_words());
    }
    if let Some(travel) = instance.transport.in_words(instance.source) {
        field(out, "transport", PLAIN, &travel);
    }
    if let Some(mac) = &instance.virtual_mac {
        field(out, "virtual mac", PLAIN, &mac.to_string());
    }
    render_datapath(out, &instance.datapath);
    render_timer(out, instance);
    if let Some(fence) = instance.fence.in_words() {
        let style = match instance.fence.state {
            FenceState::Up | FenceState::Closed => BAD,
            FenceState::None | FenceState::IngressOnly | FenceState::Down => PLAIN,
        };
        field(out, "fence", style, &fence);
    }
    field(out, "consume", PLAIN, &consume(&instance.consume));
    field(out, "changes", PLAIN, &changes(instance));
    render_counters(out, &instance.counters);
    render_claims(out, &instance.claims);
    if let Some(rejected) = &instance.last_rejected {
        render_rejected(out, rejected);
    }
    for notice in &instance.notices {
        let first = span(notice.at.ago_us);
        let text = match &notice.last {
            Some(last) if last.ago_us < notice.at.ago_us => format!(
                "{} (first seen {first} ago, last {} ago)",
                notice.text,
                span(last.ago_us)
            ),
            Some(_) | None => format!("{} (first seen {first} ago)", notice.text),
        };
        field(out, "notice", WARN, &text);
    }
}

fn heading(out: &mut String, instance: &Instance) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{}  {} for {}, VRID {} on {}, VRRPv{} {}{}",
        paint(BOLD, &clean(&instance.name)),
        paint(state_style(instance.state), &instance.state.to_string()),
        span(instance.since.ago_us),
        instance.vrid,
        clean(&instance.interface),
        instance.version,
        instance.family,
        if instance.preempt { "" } else { ", nopreempt" },
    );
}

fn render_unsent(out: &mut String, unsent: Option<&Unsent>) {
    if let Some(unsent) = unsent {
        let text = format!(
            "no advert to {} was sent for {}: {}",
            unsent.to,
            span(unsent.since.ago_us),
            unsent.why
        );
        field(out, "unsent", BAD, &text);
    }
}

/// The sum, and what could still change it.
fn priority(priority: &PrioritySum) -> String {
    let mut text = priority_sum(priority);
    for weight in priority.weights.iter().filter(|weight| !weight.applied) {
        let _ = write!(text, "; {:+} {}", weight.weight, weight.when);
    }
    text
}

fn master(instance: &Instance) -> String {
    let Some(master) = &instance.master else {
        return "no master heard".to_owned();
    };
    let mut text = if master.is_self {
        format!("this host ({})", master.address)
    } else {
        master.address.to_string()
    };
    let interval = span(master.interval_us);
    let _ = write!(text, ", priority {}, every {interval}", master.priority);
    if let Some(heard) = master.last_heard_us {
        let _ = write!(text, ", last advert {} ago", span(heard));
    }
    match master.checksum {
        Some(Checksum::PseudoHeader) => text.push_str(", checksum with pseudo-header"),
        Some(Checksum::Payload) => text.push_str(", checksum without pseudo-header"),
        None => {}
    }
    if let Some(takes_over) = &instance.takes_over {
        let left = span(takes_over.in_us);
        let _ = write!(text, "; lower than ours: this host takes over in {left}");
    }
    text
}

fn render_datapath(out: &mut String, datapath: &Datapath) {
    let (text, style) = match datapath.kind {
        Some(kind) => (datapath_line(kind, datapath), PLAIN),
        None => ("none: no adverts are received".to_owned(), BAD),
    };
    field(out, "datapath", style, &text);
    if let Some(by_command) = &datapath.overridden {
        let text = format!(
            "set to {} by `ha-agent datapath` (configured: {}), until a reload changes that or the agent ends",
            by_command.datapath, by_command.configured
        );
        field(out, "", WARN, &text);
    }
    if datapath.reattached > 0 {
        let text = format!(
            "its program was removed by something else {}; attached again",
            count(datapath.reattached, "time")
        );
        field(out, "", WARN, &text);
    }
    for note in &datapath.notes {
        field(out, "", WARN, note);
    }
    for refusal in &datapath.why {
        let text = format!("not {}: {}", refusal.kind.title(), refusal.reason);
        field(out, "", PLAIN, &text);
    }
}

fn datapath_line(kind: model::Datapath, datapath: &Datapath) -> String {
    let mut text = kind.title().to_owned();
    if let Some(link) = &datapath.link {
        let _ = write!(text, " ({link})");
    }
    if !datapath.because.is_empty() {
        let _ = write!(text, ": {}", datapath.because);
    }
    text
}

fn render_timer(out: &mut String, instance: &Instance) {
    let kind = match instance.timer.kind {
        TimerKind::Kernel => "in the kernel",
        TimerKind::Watchdog => "in the agent",
    };
    let mut text = kind.to_owned();
    if let Some(why) = &instance.timer.why {
        let _ = write!(text, " ({why})");
    }
    let _ = write!(text, ", own interval {}", span(instance.interval.own_us));
    if let Some(learned) = instance.interval.learned_us {
        let _ = write!(text, ", learned {}", span(learned));
    }
    let multiplier = instance.interval.down_multiplier;
    if multiplier != DEFAULT_DOWN_MULTIPLIER {
        let _ = write!(text, ", master down after {multiplier} of them");
    }
    field(out, "timer", PLAIN, &text);
    if let Some(latest) = instance.timer.latest_us {
        let late = count(instance.timer.late, "time");
        let mut text = format!("fired late {late}, by up to {}", span(latest));
        if instance.timer.guarded {
            text.push_str("; the agent's own timer backs it up");
        }
        field(out, "", WARN, &text);
    }
}

fn consume(consume: &Consume) -> String {
    let end = if consume.effective {
        "yes, the BPF program consumes adverts"
    } else {
        "no, adverts are passed on to the host"
    };
    format!("{end} ({})", consume.why)
}

fn changes(instance: &Instance) -> String {
    let Some(last) = &instance.last_transition else {
        return "none so far".to_owned();
    };
    let Transition {
        from,
        to,
        cause,
        at,
        ..
    } = last;
    let mut text = format!(
        "{from} -> {to} {} ago ({}): {cause}",
        span(at.ago_us),
        at.at
    );
    if let Some(latency) = last.latency_us {
        let _ = write!(text, ", acted {} past the deadline", span(latency));
    }
    let _ = write!(text, "; {} in total", instance.transitions);
    text
}

fn render_counters(out: &mut String, counters: &Counters) {
    let span = counters.since.as_ref().map(|since| span(since.ago_us));
    let mut text = format!(
        "{} received and {} rejected{}{}; {} sent, {} sent",
        counters.adverts_received,
        counters.rejects.total(),
        reject_list(&counters.rejects),
        span.map(|span| format!(" in {span}")).unwrap_or_default(),
        counters.adverts_sent,
        count(counters.garp_sent, "announcement"),
    );
    if counters.vip_restored > 0 {
        let _ = write!(
            text,
            "; address restored {}",
            count(counters.vip_restored, "time")
        );
    }
    field(out, "adverts", PLAIN, &text);
    let mut text = format!(
        "{} pushed, {} held back, {} lost; kernel timer fired {}; driver woken {}",
        counters.events,
        counters.suppressed,
        counters.dropped,
        count(counters.timer_fired, "time"),
        count(counters.wakeups, "time"),
    );
    if counters.slot_restored > 0 {
        let _ = write!(
            text,
            "; restored in the BPF maps {}",
            count(counters.slot_restored, "time")
        );
    }
    field(out, "events", PLAIN, &text);
}

/// ` (2 checksum, 1 ttl)`, or nothing.
pub(super) fn reject_list(rejects: &RejectCounts) -> String {
    let list: Vec<String> = rejects
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reject, count)| format!("{count} {}", reject.name()))
        .collect();
    if list.is_empty() {
        String::new()
    } else {
        format!(" ({})", list.join(", "))
    }
}

fn render_rejected(out: &mut String, rejected: &Rejected) {
    let Rejected {
        reason, source, at, ..
    } = rejected;
    let ago = span(at.ago_us);
    let text = format!("{reason}, from {source} {ago} ago");
    field(out, "rejected", WARN, &text);
    for difference in &rejected.differences {
        let text = format!(
            "{}: expected {}, got {}",
            difference.field, difference.expected, difference.got
        );
        field(out, "", WARN, &text);
    }
}
