//! Whatever the text is, there is an answer: a model or at least one error, and never a panic.

use proptest::prelude::*;

use super::super::plan::plan;
use super::*;

const SAMPLE: &str = include_str!("../../../../packaging/ha-agent.toml");

fn answer(text: &str) {
    match parse("f", text) {
        Ok(config) => {
            assert!(
                config
                    .warnings
                    .iter()
                    .all(|p| p.severity == Severity::Warning)
            );
            assert!(plan(&config, &config).is_empty());
        }
        Err(problems) => {
            let shown = problems.to_string();
            assert!(!shown.contains("bug in ha-agent"), "{text}\n{shown}");
            assert!(problems.list.iter().any(|p| p.severity == Severity::Error));
            assert!(
                !shown.contains(|c: char| c.is_control() && c != '\n'),
                "{shown:?}"
            );
            for problem in &problems.list {
                assert!(problem.line <= text.matches('\n').count() + 1);
                assert!(problem.mark_at + problem.mark_len <= 200);
            }
        }
    }
}

/// Values of every kind, so that each key meets each.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}")),
        any::<bool>().prop_map(|b| b.to_string()),
        "[ -~]{0,20}".prop_map(|s| format!("{s:?}")),
        "\\PC{0,20}".prop_map(|s| format!("'{s}'")),
        "[0-9]{1,20}(\\.[0-9]{1,20})? ?(ns|us|ms|s|m|h|d|w|M|y)( [0-9]{1,10}(ns|s|y))?"
            .prop_map(|s| format!("\"{s}\"")),
        "[0-9a-f:.]{1,20}(/[0-9]{1,3})?".prop_map(|s| format!("[\"{s}\"]")),
        "http://[0-9a-z:.@\\[\\]]{0,20}[/?#]?[ -~]{0,9}".prop_map(|s| format!("{s:?}")),
        Just("[[]]".to_owned()),
        Just("{ type = \"pass\", password = \"x\" }".to_owned()),
        Just("[{ check = \"nginx\", weight = -5 }]".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
    ]
}

proptest! {
    #[test]
    fn arbitrary_text_gives_an_answer(text in any::<String>()) {
        answer(&text);
    }

    #[test]
    fn arbitrary_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        answer(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_sample_with_bytes_changed_gives_an_answer(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        first in any::<bool>(),
    ) {
        let mut bytes = if first { FIRST_CONFIG } else { SAMPLE }.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        answer(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_config_with_values_swapped_gives_an_answer(
        changes in prop::collection::vec((any::<prop::sample::Index>(), value()), 1..6),
    ) {
        let mut lines: Vec<String> = FIRST_CONFIG.lines().map(str::to_owned).collect();
        for (at, value) in changes {
            let line = at.get_mut(&mut lines);
            if let Some((key, _)) = line.split_once(" = ") {
                *line = format!("{key} = {value}");
            }
        }
        answer(&lines.join("\n"));
    }

    #[test]
    fn a_config_with_lines_shuffled_dropped_and_doubled_gives_an_answer(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let lines: Vec<&str> = FIRST_CONFIG.lines().collect();
        let text: Vec<&str> = picks.iter().map(|at| *at.get(&lines)).collect();
        answer(&text.join("\n"));
    }
}
