//! Where log lines go: text or JSON to stderr, or records to the journal where stderr is the journal.
//!
//! Logging never blocks whoever logs. Lines for stderr go through a bounded queue to a thread of
//! its own; records for the journal are sent without waiting. What does not fit is dropped and
//! counted in [`Logging::dropped`].

mod journal;

use std::fmt as text;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;
use tracing::field::Field;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use journal::Journal;

use crate::config::model::LogFormat;

/// Lines that wait for stderr. A transition logs one line, so this many only pile up if stderr is
/// stuck; and then the newest are dropped.
const QUEUE_LINES: usize = 4096;

/// What is logged unless somebody says otherwise.
const DEFAULT_FILTER: &str = "info";

/// Why logging cannot start.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// The filter is none.
    #[error("\"{filter}\" is not a log filter such as `debug` or `info,ha_ebpf=debug`")]
    Filter {
        /// What was given.
        filter: String,
        source: ParseError,
    },
    /// A word of it is neither a level nor a part of the agent: as a filter it would silence everything else.
    #[error(
        "\"{word}\" is no log level; the levels are off, error, warn, info, debug and trace, and `info,ha_ebpf=debug` also \
         logs each advert that the BPF program rejects"
    )]
    Level {
        /// What was given.
        word: String,
    },
    /// Somebody else in this process logs already.
    #[error("logging was set up twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Keeps the log going; dropping it writes out what waits, within a second.
#[derive(Debug)]
pub struct Logging {
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Stderr {
        dropped: ErrorCounter,
        _writer: WorkerGuard,
    },
    Journal(Arc<AtomicUsize>),
}

impl Logging {
    /// Lines that were dropped because nobody took them in time.
    pub fn dropped(&self) -> usize {
        match &self.sink {
            Sink::Stderr { dropped, .. } => dropped.dropped_lines(),
            Sink::Journal(dropped) => dropped.load(Ordering::Relaxed),
        }
    }
}

/// Starts logging for the process. `filter` counts before `RUST_LOG`, and that before `info`.
pub fn start(format: LogFormat, filter: Option<&str>) -> Result<Logging, LoggingError> {
    let filter = choose_filter(filter)?;
    let (layer, sink) = choose_sink(format);
    Registry::default()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(LoggingError::Twice)?;
    Ok(Logging { sink })
}

fn choose_filter(filter: Option<&str>) -> Result<EnvFilter, LoggingError> {
    let from_env = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let filter = filter
        .or(from_env.as_deref().filter(|text| !text.trim().is_empty()))
        .unwrap_or(DEFAULT_FILTER);
    if let Some(word) = filter
        .split(',')
        .map(str::trim)
        .find(|it| !is_level_or_part(it))
    {
        return Err(LoggingError::Level {
            word: word.to_owned(),
        });
    }
    EnvFilter::try_new(filter).map_err(|source| LoggingError::Filter {
        filter: filter.to_owned(),
        source,
    })
}

/// A word without `=` is a level, or the name of whose lines are wanted, all others' being dropped: a misspelt level, or
/// syslog's `warning`, would silence the agent. Words with more to them are left to the parser.
fn is_level_or_part(word: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    is_level || word.is_empty() || word.contains(['=', '[']) || word.starts_with("ha_")
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn choose_sink(format: LogFormat) -> (BoxedLayer, Sink) {
    let stderr_is_journal = stderr_is_journal();
    if format == LogFormat::Text && stderr_is_journal {
        // Without the native socket the journal still takes lines from stderr.
        if let Ok(journal) = Journal::connect() {
            let dropped = journal.dropped();
            return (journal.boxed(), Sink::Journal(dropped));
        }
    }
    let (writer, guard) = queue(io::stderr());
    let sink = Sink::Stderr {
        dropped: writer.error_counter(),
        _writer: guard,
    };
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // The journal has the time.
    (lines(format, writer, colour, !stderr_is_journal), sink)
}

/// A queue before a writer that may get stuck: what does not fit is dropped.
fn queue(writer: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUE_LINES)
        .lossy(true)
        .thread_name("ha-log")
        .finish(writer)
}

/// Events as lines.
fn lines<W>(format: LogFormat, writer: W, colour: bool, time: bool) -> BoxedLayer
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => {
            let lines = lines
                .compact()
                .with_target(false)
                .with_ansi(colour)
                .fmt_fields(format::debug_fn(message_only));
            if time {
                lines.boxed()
            } else {
                lines.without_time().boxed()
            }
        }
    }
}

/// In text a message says everything in words; its fields are for JSON and the journal. What it quotes
/// may come from anywhere, so control characters are shown and not obeyed.
fn message_only(writer: &mut Writer<'_>, field: &Field, value: &dyn text::Debug) -> text::Result {
    if field.name() != "message" {
        return Ok(());
    }
    for character in format!("{value:?}").chars() {
        if character.is_control() {
            write!(writer, "{}", character.escape_default())?;
        } else {
            writer.write_char(character)?;
        }
    }
    Ok(())
}

/// True if stderr is the journal's stream, which systemd tells by device and inode.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    // The link leads to the open file itself, also where that is a socket.
    fs::metadata("/proc/self/fd/2").is_ok_and(|meta| names_file(&stream, meta.dev(), meta.ino()))
}

/// Whether `DEVICE:INODE` names this file.
fn names_file(stream: &str, device: u64, inode: u64) -> bool {
    stream
        .split_once(':')
        .is_some_and(|(dev, ino)| dev.parse() == Ok(device) && ino.parse() == Ok(inode))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::mpsc;

    use super::*;

    /// What one event looks like.
    fn logged(format: LogFormat, time: bool) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Arc::new(file.try_clone().unwrap());
        let layer = lines(format, writer, false, time);
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            tracing::info!(instance = "web", to = %"master", "moved\u{1b}[2J");
        });
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_text_line_has_its_time_unless_the_journal_adds_it() {
        let bare = logged(LogFormat::Text, false);
        assert!(bare.trim_start().starts_with("INFO moved"), "{bare}");
        assert!(bare.ends_with("moved\\u{1b}[2J\n"), "{bare}");
        assert!(!bare.contains('\u{1b}'), "{bare}");
        let timed = logged(LogFormat::Text, true);
        assert!(timed.starts_with("20") && timed.contains("Z "), "{timed}");
    }

    #[test]
    fn a_json_line_has_the_fields_at_its_top() {
        let line = logged(LogFormat::Json, true);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["instance"], "web");
        assert_eq!(value["to"], "master");
        assert_eq!(value["level"], "INFO");
        assert!(value["timestamp"].is_string());
    }

    #[test]
    fn a_stuck_stderr_costs_lines_and_never_blocks() {
        /// Takes nothing until its channel is closed.
        struct Stuck(mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = mpsc::channel();
        let (mut writer, guard) = queue(Stuck(stuck));
        let dropped = writer.error_counter();
        // One line is in the writer's hands, the queue takes the rest, two are too many.
        for _ in 0..QUEUE_LINES + 3 {
            writer.write_all(b"line\n").unwrap();
        }
        assert!(dropped.dropped_lines() >= 2);
        drop(release);
        drop(guard);
    }

    #[test]
    fn the_journal_is_recognised_by_device_and_inode_and_nothing_less() {
        assert!(names_file("8:12345", 8, 12345));
        for other in ["8:12346", "9:12345", "8", "", ":", "8:12345:1", "x:12345"] {
            assert!(!names_file(other, 8, 12345), "{other}");
        }
    }

    #[test]
    fn a_filter_that_is_none_is_refused_with_examples() {
        let error = choose_filter(Some("ha_agent=loud")).unwrap_err();
        assert!(error.to_string().contains("such as `debug`"), "{error}");
        for wrong in ["warning", "verbose", "info,loud", "5x"] {
            let error = choose_filter(Some(wrong)).unwrap_err();
            assert!(
                matches!(error, LoggingError::Level { .. }),
                "{wrong}: {error}"
            );
            assert!(error.to_string().contains("error, warn, info"), "{error}");
        }
        for right in [
            "warn",
            "WARN",
            "info,ha_agent::net=trace",
            "ha_ebpf",
            "off",
            "info,",
        ] {
            assert!(choose_filter(Some(right)).is_ok(), "{right}");
        }
    }
}
