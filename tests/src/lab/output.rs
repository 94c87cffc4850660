//! What a program writes: kept in a file for people and in memory for waiting on lines.

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Deadline};

use ha_common::units::Instant;

use super::clock;

/// One line that a program wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// When the lab read it.
    pub at: Instant,
    /// The line, without its end.
    pub text: String,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<Line>,
    // Nobody holds the pipe any more, so no further line can come.
    ended: bool,
}

/// The lines so far, and a way to wait for more.
#[derive(Debug, Default)]
pub(super) struct Output {
    state: Mutex<Lines>,
    changed: Condvar,
}

impl Output {
    /// Starts a thread that reads the pipe to its end, into memory and `file`.
    pub(super) fn collect(pipe: PipeReader, mut file: File) -> Arc<Self> {
        let output = Arc::new(Self::default());
        let sink = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut bytes = Vec::new();
            while matches!(reader.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
                // The file is for people after a failure; the test goes by what is in memory.
                if let Err(error) = file.write_all(&bytes) {
                    eprintln!("cannot keep a program's output: {error}");
                }
                let text = String::from_utf8_lossy(&bytes);
                let line = Line {
                    at: clock::now(),
                    text: text.trim_end_matches(['\n', '\r']).to_owned(),
                };
                sink.lock().lines.push(line);
                sink.changed.notify_all();
                bytes.clear();
            }
            sink.lock().ended = true;
            sink.changed.notify_all();
        });
        output
    }

    pub(super) fn count(&self) -> usize {
        self.lock().lines.len()
    }

    pub(super) fn since(&self, mark: usize) -> Vec<Line> {
        self.lock().lines.get(mark..).unwrap_or_default().to_vec()
    }

    /// The first line from number `mark` on that matches; `None` when the time is over, or when
    /// nothing more can come.
    pub(super) fn wait_for(
        &self,
        mark: usize,
        timeout: Duration,
        matches: impl Fn(&str) -> bool,
    ) -> Option<Line> {
        let deadline = Deadline::now() + timeout;
        let mut seen = mark;
        let mut state = self.lock();
        loop {
            let fresh = state.lines.get(seen..).unwrap_or_default();
            if let Some(line) = fresh.iter().find(|line| matches(&line.text)) {
                return Some(line.clone());
            }
            seen = seen.max(state.lines.len());
            let left = deadline.saturating_duration_since(Deadline::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
