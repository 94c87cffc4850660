//! Log records for the journal, in its native protocol, sent without ever waiting.
//!
//! The well-known layer for this sends on a blocking socket, so a journal that hangs on a full disk
//! would hold up whoever logs. It also leaves the fields out of the message, which is all that
//! `journalctl` shows by itself. Protocol: <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.

use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Longer values are cut: an event has at most 32 fields, so a record always fits a datagram.
const MAX_VALUE: usize = 4 * 1024;
/// Fields of ours start with this, such as `HA_INSTANCE`.
const PREFIX: &str = "HA_";

/// A layer that sends each event as one datagram.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    dropped: Arc<AtomicUsize>,
}

impl Journal {
    pub(super) fn connect() -> io::Result<Self> {
        Self::connect_to(Path::new(SOCKET))
    }

    fn connect_to(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        // The journal ignores an empty record; this only asks whether anybody listens.
        socket.send_to(&[], path)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            dropped: Arc::default(),
        })
    }

    /// Counts the records that the journal did not take.
    pub(super) fn dropped(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.dropped)
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut record = Record::default();
        event.record(&mut record);
        let datagram = record.finish(event.metadata());
        // By path each time: a journal that was started anew is found again.
        if self.socket.send_to(&datagram, &self.path).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The fields of one event.
#[derive(Debug, Default)]
struct Record {
    message: String,
    datagram: Vec<u8>,
}

impl Record {
    fn finish(mut self, metadata: &tracing::Metadata<'_>) -> Vec<u8> {
        // A message says everything in words; the fields are there for programs.
        put(&mut self.datagram, "MESSAGE", &self.message);
        put(&mut self.datagram, "PRIORITY", priority(*metadata.level()));
        put(&mut self.datagram, "SYSLOG_IDENTIFIER", "ha-agent");
        put(&mut self.datagram, "HA_TARGET", metadata.target());
        self.datagram
    }

    fn add(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        let name = field_name(field.name());
        put(&mut self.datagram, &name, value);
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

/// syslog's numbers.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// The journal takes upper case letters, digits and underscores, at most 64.
fn field_name(name: &str) -> String {
    PREFIX
        .chars()
        .chain(name.chars())
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .take(64)
        .collect()
}

/// Appends a field in the form that allows any bytes: name, newline, length, value, newline.
fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    let end = value.floor_char_boundary(MAX_VALUE);
    let value = value.get(..end).unwrap_or_default();
    datagram.extend_from_slice(name.as_bytes());
    datagram.push(b'\n');
    datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Reads a record the way the journal does.
    fn read(datagram: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        let mut rest = datagram;
        while !rest.is_empty() {
            let line = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let name = String::from_utf8(rest[..line].to_vec()).unwrap();
            let length = u64::from_le_bytes(rest[line + 1..line + 9].try_into().unwrap());
            let value = &rest[line + 9..][..usize::try_from(length).unwrap()];
            rest = &rest[line + 9 + value.len() + 1..];
            fields.insert(name, String::from_utf8(value.to_vec()).unwrap());
        }
        fields
    }

    #[test]
    fn a_record_has_its_message_and_each_field_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let layer = Journal::connect_to(&path).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(instance = "web", to = %"master", bytes = 3, "moved\nMESSAGE=forged");
        });
        let mut buffer = vec![0; 65_536];
        assert_eq!(journal.recv(&mut buffer).unwrap(), 0, "the probe");
        let length = journal.recv(&mut buffer).unwrap();
        let fields = read(&buffer[..length]);
        assert_eq!(fields["MESSAGE"], "moved\nMESSAGE=forged");
        assert_eq!(fields["PRIORITY"], "4");
        assert_eq!(fields["HA_INSTANCE"], "web");
        assert_eq!(fields["HA_BYTES"], "3");
        assert_eq!(fields["SYSLOG_IDENTIFIER"], "ha-agent");
    }

    #[test]
    fn a_journal_that_takes_nothing_costs_records_and_never_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _stuck = UnixDatagram::bind(&path).unwrap();
        let layer = Journal::connect_to(&path).unwrap();
        let dropped = layer.dropped();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            // Ends, whatever the host's queue length is, at the first record that is not taken.
            while dropped.load(Ordering::Relaxed) == 0 {
                tracing::info!("line");
            }
        });
    }

    #[test]
    fn a_huge_value_is_cut_at_a_character() {
        let mut datagram = Vec::new();
        put(&mut datagram, "MESSAGE", &"ä".repeat(MAX_VALUE));
        assert_eq!(read(&datagram)["MESSAGE"].len(), MAX_VALUE);
        put(
            &mut datagram,
            "HA_X",
            &format!("a{}", "ä".repeat(MAX_VALUE)),
        );
        assert_eq!(read(&datagram)["HA_X"].len(), MAX_VALUE - 1);
    }
}
