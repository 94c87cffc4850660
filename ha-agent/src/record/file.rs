//! The recording's file: whole lines only, bounded in size, and honest about what is missing.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ha_common::units::Instant;

use super::line::{Event, Head, Line};
use super::queue::Entry;

/// The longest recording, 64 MiB, some 100 thousand lines: a flood must not fill the disk.
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
    /// A recording that begins at this time.
    pub(super) fn new(sink: S, started: Instant) -> Self {
        Self {
            sink,
            latest: started,
            length: 0,
            longest: LONGEST,
            lost: 0,
            failing: false,
            full: false,
        }
    }

    /// The first line; `config` is the configuration without its secrets.
    pub(super) fn head(&mut self, config: String) -> io::Result<()> {
        let head = Head {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
        };
        self.append(&line(self.latest, None, Event::Recording(head))?)
    }

    /// Writes entries, after what is to be told of lost ones.
    pub(super) fn write(&mut self, entries: &[Entry], lost_after: u64) -> Written {
        if entries.is_empty() {
            self.lost += lost_after;
            return Written::Still;
        }
        self.latest = entries
            .iter()
            .fold(self.latest, |at, entry| at.max(entry.at));
        let missing = entries.iter().map(|entry| entry.lost_before + 1);
        let missing = missing.sum::<u64>() + lost_after;
        let text = match text_of(self.lost, entries, lost_after) {
            Ok(text) => text,
            Err(error) => return self.failed(error, missing),
        };
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
            Err(error) => self.failed(error, missing),
        }
    }

    fn failed(&mut self, error: io::Error, missing: u64) -> Written {
        self.lost += missing;
        if std::mem::replace(&mut self.failing, true) {
            Written::Still
        } else {
            Written::Failed(error)
        }
    }

    /// The last line.
    pub(super) fn end(&mut self, now: Instant) -> io::Result<()> {
        let now = now.max(self.latest);
        let lost = lost(now, self.lost)?;
        self.append(&(lost + &line(now, None, Event::End)?))
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

/// The lines of entries, with what is missing before, between and after them.
fn text_of(lost_before: u64, entries: &[Entry], lost_after: u64) -> io::Result<String> {
    let mut text = String::new();
    let mut last = Instant(0);
    for (index, entry) in entries.iter().enumerate() {
        last = entry.at;
        if index == 0 {
            text += &lost(last, lost_before)?;
        }
        text += &lost(last, entry.lost_before)?;
        text += &line(last, Some(&entry.instance), entry.event.clone())?;
    }
    Ok(text + &lost(last, lost_after)?)
}

/// Nothing if nothing is missing.
fn lost(at: Instant, count: u64) -> io::Result<String> {
    match count {
        0 => Ok(String::new()),
        _ => line(at, None, Event::Lost(count)),
    }
}

fn line(at: Instant, instance: Option<&str>, event: Event) -> io::Result<String> {
    let line = Line {
        at,
        instance: instance.map(str::to_owned),
        event,
    };
    Ok(serde_json::to_string(&line)? + "\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ha_common::election::{Election, Input};

    use super::super::line::Turn;
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
            event: Event::Turn(Turn {
                input,
                check: None,
                actions: election.handle(Instant(at), input),
            }),
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

    const ONE: &str = concat!(
        r#"{"at":"1.5s","instance":"web","event":{"turn":{"input":"shutdown","actions":["#,
        r#"{"detect":{"detector":"idle","rules":{"version":"v3","own_address":"10.99.0.2","#,
        r#""priority":100,"interval":"1s","preempt":true,"down_multiplier":3}}},"#,
        r#"{"report":{"at":"1.5s","from":"initialize","to":"stopped","cause":"shutdown","#,
        r#""priority":100}}]}}}"#,
        "\n"
    );

    fn lost(at: &str, count: u64) -> String {
        format!("{{\"at\":\"{at}\",\"event\":{{\"lost\":{count}}}}}\n")
    }

    fn end(at: &str) -> String {
        format!("{{\"at\":\"{at}\",\"event\":\"end\"}}\n")
    }

    #[test]
    fn an_entry_is_its_input_and_its_actions_in_one_line() {
        let mut lines = lines(10_000);
        let written = lines.write(&[shutdown(1_500_000_000, 0)], 0);
        assert!(matches!(written, Written::All));
        lines.end(Instant(3_000_000_000)).unwrap();
        assert_eq!(lines.sink.text(), format!("{ONE}{}", end("3s")));
    }

    #[test]
    fn what_the_queue_lost_stands_where_it_is_missing() {
        let mut lines = lines(10_000);
        lines.write(&[shutdown(1_500_000_000, 7)], 2);
        let expected = format!("{}{ONE}{}", lost("1.5s", 7), lost("1.5s", 2));
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
            format!("{ONE}{}{ONE}", lost("1.5s", 5)),
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
        let expected = format!("{ONE}{}{}", lost("1.5s", 2), end("1.5s"));
        assert_eq!(lines.sink.text(), expected);
    }

    #[test]
    fn the_first_line_holds_the_version_and_the_configuration() {
        let mut lines = lines(10_000);
        lines.head("a = 1\n".to_owned()).unwrap();
        let Line::<Event> { event, .. } = serde_json::from_str(lines.sink.text()).unwrap();
        let head = Head {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: "a = 1\n".to_owned(),
        };
        assert_eq!(event, Event::Recording(head));
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
