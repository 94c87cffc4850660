//! The recording's file: whole lines only, bounded in size, and honest about what is missing.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ha_common::units::Instant;

use super::queue::{Entry, Event};
use super::words;

/// The longest recording, 64 MiB, some 400 thousand lines: a flood must not fill the disk.
const LONGEST: u64 = 64 << 20;
/// How many recordings of one name may lie side by side.
const NAMES: u32 = 100;

/// Where the lines go; a file, but for the tests.
pub(super) trait Sink {
    /// Appends all of it, or fails.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it to this length, to take half a line away.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Sink for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// Makes a new file that only its owner may read, under this name or, if that is taken, under the first free
/// one of `NAME.1`, `NAME.2` and so on: an earlier recording is evidence, and the agent may have been started
/// again by itself.
pub(super) fn create(path: &Path) -> io::Result<(File, PathBuf)> {
    let numbered = (1..NAMES).map(|number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    });
    for name in std::iter::once(path.to_owned()).chain(numbered) {
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&name);
        match made {
            Ok(file) => return Ok((file, name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("there are {NAMES} recordings of this name already: move them away"),
    ))
}

/// What a batch of entries came to.
#[derive(Debug)]
pub(super) enum Written {
    /// All is in the file.
    All,
    /// Nothing of it is; this is why. It is told once for as long as it goes on.
    Failed(io::Error),
    /// The file has its greatest length: nothing is written any more. It is told once.
    Full,
    /// As before: told already.
    Still,
}

/// The lines of a recording on their way into a sink.
#[derive(Debug)]
pub(super) struct Lines<S> {
    sink: S,
    started: Instant,
    /// The latest entry's time: the end is not before it.
    latest: Instant,
    length: u64,
    longest: u64,
    /// Entries that are missing and that no line tells of yet.
    lost: u64,
    failing: bool,
    full: bool,
}

impl<S: Sink> Lines<S> {
    /// Times will be counted from `started`.
    pub(super) fn new(sink: S, started: Instant) -> Self {
        Self {
            sink,
            started,
            latest: started,
            length: 0,
            longest: LONGEST,
            lost: 0,
            failing: false,
            full: false,
        }
    }

    /// What the recording begins with.
    pub(super) fn head(&mut self, config: &str) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!(
            "# Recorded by ha-agent {version}. `cargo xtask golden import` makes a scenario of it.\n\
             # `|` the configuration, `<` what an election was told, `>` what it wanted done.\n"
        );
        for line in config.lines() {
            text.push_str(format!("| {line}").trim_end());
            text.push('\n');
        }
        self.append(&text)
    }

    /// Writes entries, after what is to be told of lost ones.
    pub(super) fn write(&mut self, entries: &[Entry], lost_after: u64) -> Written {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            self.lost += lost_after;
            return Written::Still;
        };
        self.latest = entries
            .iter()
            .fold(self.latest, |at, entry| at.max(entry.at));
        let missing = entries.iter().map(|entry| entry.lost_before + 1);
        let missing = missing.sum::<u64>() + lost_after;
        let mut text = String::new();
        self.tell_lost(&mut text, first.at, self.lost);
        for entry in entries {
            self.tell_lost(&mut text, entry.at, entry.lost_before);
            self.tell(&mut text, entry);
        }
        self.tell_lost(&mut text, last.at, lost_after);
        if self.full || self.length + text.len() as u64 > self.longest {
            self.lost += missing;
            return if std::mem::replace(&mut self.full, true) {
                Written::Still
            } else {
                Written::Full
            };
        }
        match self.append(&text) {
            Ok(()) => {
                (self.lost, self.failing) = (0, false);
                Written::All
            }
            Err(error) => {
                self.lost += missing;
                if std::mem::replace(&mut self.failing, true) {
                    Written::Still
                } else {
                    Written::Failed(error)
                }
            }
        }
    }

    /// The last line.
    pub(super) fn end(&mut self, now: Instant) -> io::Result<()> {
        let now = now.max(self.latest);
        let mut text = String::new();
        self.tell_lost(&mut text, now, self.lost);
        let at = words::time(now.since(self.started));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{at} * end");
        self.append(&text)
    }

    fn tell_lost(&self, text: &mut String, at: Instant, lost: u64) {
        if lost > 0 {
            let at = words::time(at.since(self.started));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{at} * lost {lost}");
        }
    }

    fn tell(&self, text: &mut String, entry: &Entry) {
        let at = words::time(entry.at.since(self.started));
        let name = &entry.instance;
        let mut line = |mark: char, words: &str| {
            let _ = writeln!(text, "{at} {name} {mark} {words}");
        };
        match &entry.event {
            Event::Begins(params) => line('<', &words::begins(params)),
            Event::Fed {
                input,
                check,
                actions,
            } => {
                let check = check.as_deref();
                line('<', &words::input(entry.at, input, check));
                for action in actions.iter() {
                    line('>', &words::action(&action, check));
                }
            }
        }
    }

    fn append(&mut self, text: &str) -> io::Result<()> {
        match self.sink.append(text.as_bytes()) {
            Ok(()) => {
                self.length += text.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a line is worse than none. If it cannot be cut, reading the file will say where.
                let _ = self.sink.cut(self.length);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ha_common::election::{Election, Input};

    use super::super::usual_params;
    use super::*;

    /// Takes as many bytes as it has room for, as a disk does.
    #[derive(Debug, Default)]
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Disk {
        fn text(&self) -> &str {
            str::from_utf8(&self.bytes).unwrap()
        }
    }

    impl Sink for Disk {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            self.bytes.extend_from_slice(&bytes[..fits]);
            if fits == bytes.len() {
                Ok(())
            } else {
                Err(io::ErrorKind::StorageFull.into())
            }
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.bytes.truncate(usize::try_from(length).unwrap());
            Ok(())
        }
    }

    fn shutdown(at: u64, lost_before: u64) -> Entry {
        let mut election = Election::new(usual_params());
        let input = Input::Shutdown;
        Entry {
            instance: Arc::from("web"),
            at: Instant(at),
            event: Event::Fed {
                input,
                check: None,
                actions: election.handle(Instant(at), input),
            },
            lost_before,
        }
    }

    fn lines(room: usize) -> Lines<Disk> {
        let disk = Disk {
            bytes: Vec::new(),
            room,
        };
        Lines::new(disk, Instant(1_000_000_000))
    }

    const ONE: &str = "0.500 web < shutdown\n\
        0.500 web > detect idle v3 from 10.99.0.2 priority 100 interval 1s times 3 preempt\n\
        0.500 web > INIT -> STOPPED, priority 100: shutdown\n";

    #[test]
    fn an_entry_is_its_input_and_its_actions_with_the_time_since_the_start() {
        let mut lines = lines(10_000);
        let written = lines.write(&[shutdown(1_500_000_000, 0)], 0);
        assert!(matches!(written, Written::All));
        lines.end(Instant(3_000_000_000)).unwrap();
        assert_eq!(lines.sink.text(), format!("{ONE}2.000 * end\n"));
    }

    #[test]
    fn what_the_queue_lost_stands_where_it_is_missing() {
        let mut lines = lines(10_000);
        lines.write(&[shutdown(1_500_000_000, 7)], 2);
        let expected = format!("0.500 * lost 7\n{ONE}0.500 * lost 2\n");
        assert_eq!(lines.sink.text(), expected);
    }

    #[test]
    fn a_full_disk_is_told_once_leaves_no_half_line_and_is_accounted_for_afterwards() {
        let mut lines = lines(ONE.len() + 10);
        let entry = [shutdown(1_500_000_000, 0)];
        assert!(matches!(lines.write(&entry, 0), Written::All));
        assert!(matches!(lines.write(&entry, 0), Written::Failed(_)));
        assert!(matches!(lines.write(&entry, 3), Written::Still));
        assert_eq!(lines.sink.text(), ONE);
        lines.sink.room = 10_000;
        assert!(matches!(lines.write(&entry, 0), Written::All));
        assert_eq!(
            lines.sink.text(),
            format!("{ONE}0.500 * lost 5\n{ONE}"),
            "two entries and three that the queue had lost"
        );
        lines.sink.room = lines.sink.bytes.len();
        assert!(
            matches!(lines.write(&entry, 0), Written::Failed(_)),
            "another time is told again"
        );
    }

    #[test]
    fn a_recording_stops_at_its_greatest_length_and_says_so_once() {
        let mut lines = lines(100_000);
        lines.longest = ONE.len() as u64;
        let entry = [shutdown(1_500_000_000, 0)];
        assert!(matches!(lines.write(&entry, 0), Written::All));
        assert!(matches!(lines.write(&entry, 0), Written::Full));
        assert!(matches!(lines.write(&entry, 0), Written::Still));
        lines.end(Instant(1_500_000_000)).unwrap();
        let expected = format!("{ONE}0.500 * lost 2\n0.500 * end\n");
        assert_eq!(lines.sink.text(), expected);
    }

    #[test]
    fn the_configuration_stands_in_the_head_line_by_line() {
        let mut lines = lines(10_000);
        lines.head("a = 1\n\nb = 2\n").unwrap();
        assert!(
            lines.sink.text().ends_with("\n| a = 1\n|\n| b = 2\n"),
            "{}",
            lines.sink.text()
        );
    }

    #[test]
    fn a_new_recording_is_private_and_an_older_one_stays_as_it_was() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("incident");
        std::fs::write(&path, "evidence").unwrap();
        let (file, name) = create(&path).unwrap();
        assert_eq!(name, dir.path().join("incident.1"));
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "evidence");
        assert_eq!(create(&path).unwrap().1, dir.path().join("incident.2"));
    }
}
