//! The thread that writes a recording. It may wait for a disk; nobody waits for it.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::{error, warn};

use super::file::{self, Lines, Sink, Written};
use super::queue::{Entries, Recorder};
use crate::config::Config;
use crate::os::clock;

/// How many entries are written at once.
const BATCH: usize = 256;
/// How long the end of the agent waits for the last lines: a disk may hang.
const PATIENCE: Duration = Duration::from_secs(2);

/// A recording that runs.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    shared: Arc<Shared>,
    done: Receiver<()>,
}

#[derive(Debug)]
struct Shared {
    entries: Entries,
    quit: AtomicBool,
}

/// A recording that cannot begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot record to {}: {source}", path.display())]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Creates the file and starts the thread.
pub fn start(path: &Path, config: &Config) -> Result<(Recorder, Recording), RecordError> {
    let failed = |source| RecordError {
        path: path.to_owned(),
        source,
    };
    let (file, path) = file::create(path).map_err(failed)?;
    let mut lines = Lines::new(file, clock::now());
    let config = config.to_toml().map_err(io::Error::other).map_err(failed)?;
    lines.head(config).map_err(failed)?;
    let (recorder, entries) = Recorder::channel().map_err(failed)?;
    let shared = Arc::new(Shared {
        entries,
        quit: AtomicBool::new(false),
    });
    let (tell, done) = mpsc::sync_channel(1);
    let (for_thread, name) = (Arc::clone(&shared), path.clone());
    std::thread::Builder::new()
        .name("ha-record".to_owned())
        .spawn(move || {
            run(&for_thread, &mut lines, &name);
            // Whoever waited may have lost patience.
            let _ = tell.send(());
        })
        .map_err(failed)?;
    let recording = Recording { path, shared, done };
    Ok((recorder, recording))
}

impl Recording {
    /// The file, which need not have the name that was asked for.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what waits and ends; false if that took too long, and then the file lacks its end.
    pub fn finish(self) -> bool {
        self.shared.quit.store(true, Ordering::Release);
        self.shared.entries.bell().notify();
        self.done.recv_timeout(PATIENCE).is_ok()
    }
}

fn run(shared: &Shared, lines: &mut Lines<impl Sink>, path: &Path) {
    let mut said_slow = false;
    loop {
        let mut fds = [PollFd::new(
            shared.entries.bell().as_fd(),
            PollFlags::POLLIN,
        )];
        // An interrupted wait only looks once more.
        let _ = poll(&mut fds, PollTimeout::NONE);
        shared.entries.bell().clear();
        // Before the queue is looked at: what came before the end belongs into the file.
        let quit = shared.quit.load(Ordering::Acquire);
        let lost = drain(&shared.entries, lines, path);
        if lost > 0 && !said_slow {
            said_slow = true;
            warn!(
                "the recording {} lacks entries: the disk is too slow",
                path.display()
            );
        }
        if quit {
            if let Err(cause) = lines.end(clock::now()) {
                error!("the recording {} lacks its end: {cause}", path.display());
            }
            return;
        }
    }
}

/// Writes what waits; how many entries had found no room.
fn drain(entries: &Entries, lines: &mut Lines<impl Sink>, path: &Path) -> u64 {
    let file = path.display();
    let mut lost = 0;
    loop {
        let batch: Vec<_> = std::iter::from_fn(|| entries.next()).take(BATCH).collect();
        let ended = batch.len() < BATCH;
        let lost_after = if ended { entries.take_lost() } else { 0 };
        lost += lost_after + batch.iter().map(|entry| entry.lost_before).sum::<u64>();
        match lines.write(&batch, lost_after) {
            Written::All | Written::Still => {}
            Written::Failed(cause) => {
                error!("the recording {file} is not written for now: {cause}");
            }
            Written::Full => {
                warn!("the recording {file} has its greatest length and ends here");
            }
        }
        if ended {
            return lost;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use ha_common::election::{Election, Input};
    use ha_common::units::Instant;

    use super::super::line::{Event, Line};
    use super::super::usual_params;
    use super::*;

    fn config() -> Config {
        let text =
            "[[instance]]\nname = 'web'\ninterface = 'eth0'\nvrid = 51\naddresses = ['10.0.0.9']";
        crate::config::parse("test", text).unwrap()
    }

    fn events(text: &str) -> Vec<Event> {
        let event = |line| serde_json::from_str::<Line>(line).unwrap().event;
        text.lines().map(event).collect()
    }

    /// A disk that takes nothing until it is let go.
    struct Hung {
        gate: Receiver<()>,
        text: Arc<Mutex<Vec<u8>>>,
    }

    impl Sink for Hung {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            // Once the other end is gone, it hangs no more.
            let _ = self.gate.recv();
            self.text.lock().unwrap().extend_from_slice(bytes);
            Ok(())
        }

        fn cut(&mut self, _length: u64) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_hangs_holds_nobody_up_and_costs_lines_that_are_counted() {
        const TOTAL: u64 = 10_000;
        let (recorder, entries) = Recorder::channel().unwrap();
        let shared = Arc::new(Shared {
            entries,
            quit: AtomicBool::new(false),
        });
        let (let_go, gate) = mpsc::channel();
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = Hung {
            gate,
            text: Arc::clone(&text),
        };
        let for_thread = Arc::clone(&shared);
        let writer = std::thread::spawn(move || {
            let mut lines = Lines::new(sink, Instant(0));
            run(&for_thread, &mut lines, Path::new("hung"));
        });
        let (name, mut election) = (Arc::from("web"), Election::new(usual_params()));
        for at in 0..TOTAL {
            let actions = election.handle(Instant(at), Input::Tick);
            recorder.fed(&name, Instant(at), &Input::Tick, &actions, &[]);
        }
        drop(let_go);
        shared.quit.store(true, Ordering::Release);
        shared.entries.bell().notify();
        writer.join().unwrap();
        let text = String::from_utf8(text.lock().unwrap().clone()).unwrap();
        let (mut kept, mut lost) = (0, 0);
        let events = events(&text);
        for event in &events {
            match event {
                Event::Turn(_) => kept += 1,
                Event::Lost(count) => lost += count,
                _ => {}
            }
        }
        assert!(lost > 0 && kept > 0, "{kept} and {lost}");
        assert_eq!(kept + lost, TOTAL);
        assert_eq!(events.last(), Some(&Event::End));
    }

    #[test]
    fn what_came_before_the_end_is_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, recording) = start(&dir.path().join("incident"), &config()).unwrap();
        let params = usual_params();
        let (name, now) = (Arc::from("web"), clock::now());
        let mut election = Election::new(params);
        recorder.begins(&name, now, &params);
        let actions = election.handle(now, Input::Ready);
        recorder.fed(&name, now, &Input::Ready, &actions, &[]);
        let path = recording.path().to_owned();
        assert!(recording.finish());
        let text = std::fs::read_to_string(path).unwrap();
        let events = events(&text);
        let [
            Event::Recording(head),
            Event::Begins(begun),
            Event::Turn(turn),
            Event::End,
        ] = events.as_slice()
        else {
            panic!("{text}");
        };
        assert_eq!(
            crate::config::parse("recorded", &head.config).unwrap(),
            config()
        );
        assert_eq!((*begun, turn.input), (params, Input::Ready));
        assert_eq!(turn.actions, actions);
    }

    #[test]
    fn a_recording_holds_no_secret() {
        let text = "[[instance]]\nname = 'web'\ninterface = 'eth0'\nvrid = 51\nversion = 2\n\
                    addresses = ['10.0.0.9']\nauth = { type = 'pass', password = 'hunter2' }\n\
                    track = [{ check = 'disk' }]\n\
                    [[check]]\nname = 'disk'\ncommand = ['/bin/hunter2']\nuser = 'root'\n";
        let config = crate::config::parse("test", text).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (_, recording) = start(&dir.path().join("incident"), &config).unwrap();
        let path = recording.path().to_owned();
        assert!(recording.finish());
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.contains("redacted") && !text.contains("hunter2"),
            "{text}"
        );
    }

    #[test]
    fn a_recording_without_a_place_says_which_file_and_why() {
        let error = start(Path::new("/nonexistent/x"), &config()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("cannot record to /nonexistent/x: "),
            "{text}"
        );
    }
}
