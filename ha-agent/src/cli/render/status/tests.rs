//! What a person sees, as text.

use textwrap::core::display_width;

use super::*;
use crate::cli::render::text::WIDTH;
use crate::status::group::Group;
use crate::status::instance::State;
use crate::status::moment::{Countdown, WallTime};
use crate::status::sample;
use crate::status::watches::Unwatched;

fn plain(status: &Status, detail: Detail<'_>) -> String {
    anstream::adapter::strip_str(&render_status(status, detail)).to_string()
}

#[test]
fn a_status_reads_as_expected() {
    let text = plain(&sample::status(), Detail::IfFew);
    assert_eq!(text, include_str!("expected.txt"));
}

#[test]
fn what_the_kernel_does_not_tell_is_said_with_the_reason_and_the_next_attempt() {
    let mut status = sample::status();
    status.watches.interfaces = Some(Unwatched {
        since: WallTime {
            at: "2026-03-01T12:00:00.000Z".to_owned(),
            ago_us: 5_000_000,
        },
        why: "cannot read the interfaces: out of memory".to_owned(),
        attempts: 3,
        next: Countdown {
            at: "2026-03-01T12:00:05.200Z".to_owned(),
            in_us: 200_000,
        },
    });
    let text = plain(&status, Detail::IfFew);
    let line = "  interfaces  not watched for 5 s: cannot read the interfaces: out of memory; 3 attempts, the next\n";
    assert!(text.contains(line), "{text}");
}

/// What is shown here must be what is really said.
#[test]
fn the_warning_of_the_sample_is_the_configurations_own() {
    let node = &sample::status().node;
    let instance = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
                    addresses = [\"10.99.0.100/24\"]\n";
    let gap = "\n".repeat(34);
    let check = "[[check]]\nname = \"spare\"\ntcp = \"127.0.0.1:80\"\n";
    let file = node.config.display().to_string();
    let config = crate::config::parse(&file, &format!("{instance}{gap}{check}")).unwrap();
    let lines: Vec<String> = config
        .warnings
        .iter()
        .map(crate::config::Problem::one_line)
        .collect();
    assert_eq!(lines, sample::status().warnings);
}

#[test]
fn details_of_many_instances_are_shown_only_when_asked_for() {
    let mut status = sample::status();
    let many = (0..20).map(|index| {
        let mut instance = status.instances[0].clone();
        instance.name = format!("web{index}");
        instance
    });
    status.instances = many.collect();
    let headings = |detail: Detail<'_>| {
        let text = plain(&status, detail);
        text.matches(", VRID 51 on eth0").count()
    };
    assert_eq!(headings(Detail::IfFew), 0);
    assert_eq!(headings(Detail::Named(&["web7".to_owned()])), 1);
}

#[test]
fn a_priority_is_shown_as_a_sum_and_says_when_it_was_clamped() {
    let mut sum = sample::status().instances[0].priority.clone();
    assert_eq!(priority_sum(&sum), "100 -20 (nginx) = 80");
    (sum.weights[1].applied, sum.weights[1].adds) = (true, 10);
    sum.effective = 90;
    assert_eq!(priority_sum(&sum), "100 -20 (nginx) +10 (uplink) = 90");
    sum.weights[0].adds = -253;
    sum.effective = 1;
    assert_eq!(
        priority_sum(&sum),
        "100 -253 (nginx) +10 (uplink) = 1 (clamped)"
    );
    sum.weights.clear();
    sum.effective = 100;
    assert_eq!(priority_sum(&sum), "100");
}

#[test]
fn a_running_preempt_delay_and_an_unusual_multiplier_are_said() {
    let mut status = sample::status();
    let instance = &mut status.instances[1];
    instance.preempt_wait = Some(Countdown {
        at: "2026-03-01T12:00:30.000Z".to_owned(),
        in_us: 12_000_000,
    });
    instance.interval.down_multiplier = 5;
    let text = plain(&status, Detail::IfFew);
    assert!(
        text.contains(
            "  preempt     no preemption for another 12 s, until 2026-03-01T12:00:30.000Z"
        ),
        "{text}"
    );
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    assert!(
        words.contains("learned 10 ms, master down after 5 of them"),
        "{text}"
    );
}

#[test]
fn a_backup_that_is_to_preempt_says_whom_and_when() {
    let mut status = sample::status();
    status.instances[1].takes_over = Some(Countdown {
        at: "2026-03-01T12:00:30.000Z".to_owned(),
        in_us: 1_200_000,
    });
    let text = plain(&status, Detail::IfFew);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    assert!(
        text.contains("; lower than ours: this host takes over in 1.2 s"),
        "{text}"
    );
}

#[test]
fn a_reload_that_failed_is_shown_with_its_reasons_and_one_that_did_not_is_not() {
    let mut status = sample::status();
    let at = status.node.loaded.clone();
    let mut last = LastReload {
        at: WallTime {
            ago_us: 12_000_000,
            ..at
        },
        error: None,
        details: Vec::new(),
    };
    status.node.last_reload = Some(last.clone());
    assert!(!plain(&status, Detail::IfFew).contains("  reload"));
    last.error = Some("invalid configuration: /etc/ha-agent/ha-agent.toml".to_owned());
    last.details = (1..8)
        .map(|line| format!("x.toml:{line}:1: error"))
        .collect();
    status.node.last_reload = Some(last);
    let text = plain(&status, Detail::IfFew);
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    for part in [
        "reload failed 12 s ago (2026-03-01T12:00:00.250Z): invalid configuration: /etc/ha-agent/ha-agent.toml \
         x.toml:1:1: error ",
        "x.toml:5:1: error and 2 more; `ha-agent reload` lists all of them ",
    ] {
        assert!(words.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn a_group_is_shown_with_its_state_and_with_who_is_in_the_way() {
    let mut status = sample::status();
    assert!(!plain(&status, Detail::IfFew).contains("GROUP"));
    status.instances[1].group = Some("pair".to_owned());
    status.instances[1].priority.capped_by = Some("web".to_owned());
    status.instances[1].priority.effective = 80;
    let group = |state| Group {
        name: "pair".to_owned(),
        state,
        priority: 80,
        instances: vec!["web".to_owned(), "web6".to_owned()],
        reason: None,
        waits_for: None,
        would_take_over: None,
    };
    let faulty = Group {
        reason: Some("web: check nginx failed".to_owned()),
        ..group(State::Fault)
    };
    let waiting = Group {
        waits_for: Some("web6".to_owned()),
        would_take_over: Some("web".to_owned()),
        ..group(State::Backup)
    };
    status.groups = vec![faulty, waiting];
    let text = plain(&status, Detail::IfFew);
    for line in [
        "  group       pair\n",
        "  priority    90, 80 by web\n",
        "GROUP  STATE   PRIORITY  INSTANCES\n",
        "pair   FAULT   80        web, web6\n",
        "pair   BACKUP  80        web, web6\n",
        "  reason      pair: web: check nginx failed\n",
        "  waits       pair: web would take over, and web6 keeps the group from it\n",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}

#[test]
fn text_of_a_checked_server_cannot_steer_the_terminal() {
    let mut status = sample::status();
    if let Some(last) = &mut status.checks[0].last {
        last.text = "\u{1b}]0;owned\u{7}".to_owned();
    }
    let text = render_status(&status, Detail::IfFew);
    assert!(!text.contains("\u{1b}]") && !text.contains('\u{7}'));
}

#[test]
fn no_line_is_wider_than_a_hundred_columns_or_ends_in_a_space() {
    let mut status = sample::status();
    for instance in &mut status.instances {
        instance.name = "an-instance-with-a-very-long-name".repeat(4);
        instance
            .notices
            .iter_mut()
            .for_each(|notice| notice.text = "x".repeat(500));
    }
    for line in plain(&status, Detail::IfFew).lines() {
        assert!(
            display_width(line) <= WIDTH || line.starts_with("an-instance"),
            "{line}"
        );
        assert_eq!(line.trim_end(), line);
    }
}
