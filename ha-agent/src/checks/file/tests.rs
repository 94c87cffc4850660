//! Real files that come, change and go.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use super::super::{CheckStatus, Checks};
use super::*;
use crate::config::model::{Check, Probe};

const WAIT: Duration = Duration::from_secs(10);

/// A check of a file, and what it tells.
struct Stage {
    dir: TempDir,
    checks: Checks,
    events: Receiver<CheckEvent>,
}

impl Stage {
    /// A check of this path under a new directory that nobody else uses.
    fn of(path: &str, used_as: FileUse) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::at(dir, path, used_as)
    }

    fn at(dir: TempDir, path: &str, used_as: FileUse) -> Self {
        let check = Check {
            name: "file".to_owned(),
            probe: Probe::File(FileProbe {
                path: dir.path().join(path),
                used_as,
            }),
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            fall: 2,
            rise: 2,
            restart: None,
        };
        let (queue, events) = mpsc::channel(64);
        Self {
            dir,
            checks: Checks::start(vec![check], queue).unwrap(),
            events,
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    async fn next(&mut self) -> (Kind, Option<i16>) {
        let event = tokio::time::timeout(WAIT, self.events.recv()).await;
        let event = event.expect("in time").expect("the check runs");
        (event.kind, event.weight)
    }

    /// The next verdicts, without the numbers that were true for moments on the way there.
    async fn until(&mut self, wanted: (Kind, Option<i16>)) {
        let mut on_the_way = Vec::new();
        loop {
            let found = self.next().await;
            if found == wanted {
                return;
            }
            on_the_way.push(found);
            assert!(on_the_way.len() < 16, "{on_the_way:?}");
        }
    }

    fn status(&self) -> CheckStatus {
        self.checks.snapshot().remove(0)
    }
}

/// As careful programs do: written beside it, then renamed over it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

const UP: Kind = Kind::First(Verdict::Up);
const DOWN: Kind = Kind::First(Verdict::Down);

#[tokio::test]
async fn a_number_is_told_each_time_the_file_is_written_replaced_or_removed() {
    let mut stage = Stage::of("weight", FileUse::Weight);
    let path = stage.path("weight");
    assert_eq!(stage.next().await, (DOWN, Some(0)));
    assert!(stage.status().notice.is_none(), "it is watched");

    fs::write(&path, "-20\n").unwrap();
    stage.until((Kind::Up, Some(-20))).await;
    replace(&path, "30");
    assert_eq!(stage.next().await, (Kind::Weight, Some(30)));
    fs::remove_file(&path).unwrap();
    assert_eq!(stage.next().await, (Kind::Down, Some(0)));
    fs::write(&path, "7").unwrap();
    stage.until((Kind::Up, Some(7))).await;
    fs::write(&path, "1000").unwrap();
    assert_eq!(stage.next().await, (Kind::Weight, Some(253)));
    // The same once more is no news, and what is no number is.
    fs::write(&path, " 253 ").unwrap();
    fs::write(&path, "many").unwrap();
    assert_eq!(stage.next().await, (Kind::Down, Some(0)));
    let text = stage.status().last.unwrap().text;
    assert!(
        text.contains("many") && text.contains("nothing is added"),
        "{text}"
    );
}

#[tokio::test]
async fn a_file_that_is_cut_and_then_written_is_not_read_in_between() {
    let mut stage = Stage::of("weight", FileUse::Weight);
    assert_eq!(stage.next().await, (DOWN, Some(0)));
    let path = stage.path("weight");
    fs::write(&path, "1").unwrap();
    stage.until((Kind::Up, Some(1))).await;
    for number in 2..12 {
        // Truncates, writes and closes.
        fs::write(&path, number.to_string()).unwrap();
        assert_eq!(stage.next().await, (Kind::Weight, Some(number)));
    }
}

#[tokio::test]
async fn a_writer_that_never_closes_the_file_is_heard_all_the_same() {
    let mut stage = Stage::of("weight", FileUse::Weight);
    assert_eq!(stage.next().await, (DOWN, Some(0)));
    let path = stage.path("weight");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"5").unwrap();
    stage.until((Kind::Up, Some(5))).await;
    file.write_all(b"5").unwrap();
    assert_eq!(stage.next().await, (Kind::Weight, Some(55)));
    file.set_len(0).unwrap();
    assert_eq!(stage.next().await, (Kind::Down, Some(0)));
}

#[tokio::test]
async fn directories_may_come_later_be_renamed_and_be_removed() {
    let mut stage = Stage::of("a/b/weight", FileUse::Weight);
    assert_eq!(stage.next().await, (DOWN, Some(0)));
    fs::create_dir(stage.path("a")).unwrap();
    fs::create_dir(stage.path("a/b")).unwrap();
    fs::write(stage.path("a/b/weight"), "3").unwrap();
    stage.until((Kind::Up, Some(3))).await;

    fs::rename(stage.path("a"), stage.path("old")).unwrap();
    assert_eq!(stage.next().await, (Kind::Down, Some(0)));
    // Written where nobody looks any more.
    fs::write(stage.path("old/b/weight"), "4").unwrap();
    fs::create_dir_all(stage.path("other/b")).unwrap();
    fs::write(stage.path("other/b/weight"), "5").unwrap();
    fs::rename(stage.path("other"), stage.path("a")).unwrap();
    assert_eq!(stage.next().await, (Kind::Up, Some(5)));

    fs::remove_dir_all(stage.path("a")).unwrap();
    assert_eq!(stage.next().await, (Kind::Down, Some(0)));
    fs::create_dir_all(stage.path("a/b")).unwrap();
    fs::write(stage.path("a/b/weight"), "6").unwrap();
    stage.until((Kind::Up, Some(6))).await;
}

#[tokio::test]
async fn symbolic_links_are_followed_wherever_they_are_turned_to() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    for (version, number) in [("1", "10"), ("2", "20")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("weight"), number).unwrap();
    }
    symlink("1", at("current")).unwrap();
    symlink("current/weight", at("weight")).unwrap();
    let mut stage = Stage::at(dir, "weight", FileUse::Weight);
    assert_eq!(stage.next().await, (UP, Some(10)));
    fs::write(stage.path("1/weight"), "11").unwrap();
    assert_eq!(stage.next().await, (Kind::Weight, Some(11)));
    symlink("2", stage.path("next")).unwrap();
    fs::rename(stage.path("next"), stage.path("current")).unwrap();
    assert_eq!(stage.next().await, (Kind::Weight, Some(20)));
    fs::write(stage.path("2/weight"), "21").unwrap();
    assert_eq!(stage.next().await, (Kind::Weight, Some(21)));
    // A link to itself leads nowhere, and is no reason to look for ever.
    fs::remove_file(stage.path("current")).unwrap();
    assert_eq!(stage.next().await, (Kind::Down, Some(0)));
    symlink("current", stage.path("current")).unwrap();
    fs::remove_file(stage.path("weight")).unwrap();
    fs::write(stage.path("weight"), "9").unwrap();
    stage.until((Kind::Up, Some(9))).await;
}

#[tokio::test]
async fn a_directory_in_the_files_place_and_a_file_in_a_directorys_place_hold_no_number() {
    let mut stage = Stage::of("a/weight", FileUse::Weight);
    fs::write(stage.path("a"), "8").unwrap();
    assert_eq!(stage.next().await, (DOWN, Some(0)));
    fs::remove_file(stage.path("a")).unwrap();
    fs::create_dir_all(stage.path("a/weight")).unwrap();
    fs::remove_dir(stage.path("a/weight")).unwrap();
    fs::write(stage.path("a/weight"), "8").unwrap();
    stage.until((Kind::Up, Some(8))).await;
}

#[tokio::test]
async fn a_file_that_must_exist_or_must_be_missing_is_up_or_down_whatever_is_in_it() {
    for (used_as, without, with, come, go) in [
        (FileUse::Exists, DOWN, UP, Kind::Up, Kind::Down),
        (FileUse::Missing, UP, DOWN, Kind::Down, Kind::Up),
    ] {
        let mut stage = Stage::of("d/flag", used_as);
        assert_eq!(stage.next().await, (without, None));
        fs::create_dir(stage.path("d")).unwrap();
        fs::write(stage.path("d/flag"), "x").unwrap();
        assert_eq!(stage.next().await, (come, None));
        fs::remove_file(stage.path("d/flag")).unwrap();
        assert_eq!(stage.next().await, (go, None));
        symlink("nowhere", stage.path("d/flag")).unwrap();
        fs::create_dir(stage.path("d/nowhere")).unwrap();
        assert_eq!(stage.next().await, (come, None), "a directory is something");
        let dir = stage.dir;
        let mut again = Stage::at(dir, "d/flag", used_as);
        assert_eq!(again.next().await, (with, None));
    }
}

#[tokio::test]
async fn other_files_beside_it_are_not_looked_at() {
    let mut stage = Stage::of("weight", FileUse::Weight);
    assert_eq!(stage.next().await, (DOWN, Some(0)));
    fs::write(stage.path("weight"), "1").unwrap();
    stage.until((Kind::Up, Some(1))).await;
    // Looks that are still due from the creation come first.
    fs::write(stage.path("weight"), "2").unwrap();
    assert_eq!(stage.next().await, (Kind::Weight, Some(2)));
    let before = stage.status().runs;
    for number in 0..200 {
        fs::write(stage.path(&format!("other{number}")), "5").unwrap();
    }
    fs::write(stage.path("weight"), "3").unwrap();
    assert_eq!(stage.next().await, (Kind::Weight, Some(3)));
    let looks = stage.status().runs - before;
    assert!(looks <= 4, "{looks} looks for one change");
}
