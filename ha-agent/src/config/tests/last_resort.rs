//! What `last_resort` goes with.

use super::*;

const TRACK: &str = "track = [{ interface = \"eth1\" }]\n";

#[test]
fn it_is_lower_than_the_priority_and_needs_preemption() {
    for (keys, expected) in [
        (
            "priority = 10\nlast_resort = 10\n",
            "`last_resort` must be lower than `priority`",
        ),
        (
            "priority = 255\nlast_resort = 10\n",
            "goes with none of 255",
        ),
        (
            "preempt = false\nlast_resort = 10\n",
            "`last_resort` goes with preempt = true",
        ),
    ] {
        let problems = parse("test.toml", &instance(&format!("{keys}{TRACK}"))).unwrap_err();
        assert!(problems.to_string().contains(expected), "{problems}");
    }
}

#[test]
fn without_anything_that_could_be_a_fault_it_is_pointed_out() {
    for (track, warns) in [
        (TRACK, false),
        ("", true),
        ("track = [{ interface = \"eth1\", weight = -20 }]\n", true),
    ] {
        let config = accepted(&instance(&format!("last_resort = 10\n{track}")));
        let warned = config
            .warnings
            .iter()
            .any(|it| it.one_line().contains("`last_resort` changes nothing"));
        assert_eq!(warned, warns, "{track}");
    }
}
