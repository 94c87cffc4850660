//! A file that is checked: its number, or whether it is there, told the moment it changes.
//!
//! One task a check. `watch` follows the path and is told of changes by the kernel (inotify), `content`
//! reads the number, `settle` says when to look after a change. Nothing is polled, except where the
//! kernel refuses to watch; `status` then says so.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ha_common::units::{Instant, Nanos};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use super::clock::now;
use super::event::{CheckEvent, Kind, Verdict};
use super::result_queue::ResultQueue;
use super::status::Record;
use crate::config::model::{FileProbe, FileUse};
use crate::os::descriptors;

mod content;
mod settle;
#[cfg(test)]
mod tests;
mod watch;

use settle::Settle;
use watch::{Found, Watch};

/// A look that takes longer says that the file system hangs, which nobody should have to wait for.
const PATIENCE: Nanos = Nanos::from_millis(5_000);

type Looking = Pin<Box<dyn Future<Output = Look> + Send>>;

/// One look at the file.
#[derive(Debug)]
struct Look {
    /// Who tells of the next change, or why nobody does.
    watch: Result<Watch, String>,
    /// `None` if the agent had no descriptors or memory to look.
    finding: Option<Finding>,
    took: Duration,
}

/// What a look found.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Finding {
    verdict: Verdict,
    /// What is added to a priority, if the file is there for that.
    weight: Option<i16>,
    text: String,
    /// The file is not there.
    is_missing: bool,
}

/// Everything one file check needs, ready to run.
pub(super) struct FileTask {
    name: Arc<str>,
    probe: FileProbe,
    told: Option<Finding>,
    settle: Settle,
    record: Arc<Mutex<Record>>,
    result_queue: ResultQueue,
}

impl FileTask {
    pub(super) fn new(
        name: &str,
        probe: FileProbe,
        record: Arc<Mutex<Record>>,
        events: mpsc::Sender<CheckEvent>,
    ) -> Self {
        Self {
            name: name.into(),
            probe,
            told: None,
            settle: Settle::new(now()),
            record,
            result_queue: ResultQueue::new(events),
        }
    }

    /// Runs until `stop` is dropped.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut watch: Result<Watch, String> = Err("not looked at yet".to_owned());
        let mut looking: Option<(Looking, Instant)> = None;
        loop {
            let due = match &looking {
                Some((_, began)) => Some(*began + PATIENCE).filter(|at| *at > now()),
                None => self.settle.due(),
            };
            tokio::select! {
                biased;
                _ = &mut stop => return,
                look = finished(&mut looking) => {
                    looking = None;
                    watch = look.watch;
                    self.settle.looked(now(), watch.is_ok());
                    self.looked(&watch, look.finding, look.took);
                }
                news = news(&mut watch), if looking.is_none() => self.settle.changed(now(), news),
                () = self.result_queue.flush() => {}
                () = sleep_until(due) => {
                    if looking.is_some() {
                        self.hangs();
                    } else {
                        looking = Some((look(self.probe.clone()), now()));
                    }
                }
            }
        }
    }

    fn looked(&mut self, watch: &Result<Watch, String>, finding: Option<Finding>, took: Duration) {
        let at = now();
        self.update(|record| {
            if let Some(finding) = &finding {
                record.ended(at, finding.verdict == Verdict::Up, &finding.text, took);
            }
            let status = record.status_mut();
            status.runs += 1;
            match &finding {
                None => status.void += 1,
                Some(finding) => status.failures += u64::from(finding.verdict == Verdict::Down),
            }
            status.notice = match watch {
                Ok(_) => None,
                Err(why) => Some(format!("a change is noticed by polling: {why}")),
            };
        });
        if let Some(finding) = finding {
            self.tell(at, finding);
        }
    }

    /// The file system does not answer. What it says when it does counts then.
    fn hangs(&mut self) {
        self.tell(now(), unseen(&self.probe, "it does not answer"));
    }

    fn tell(&mut self, at: Instant, finding: Finding) {
        let kind = match &self.told {
            None => Kind::First(finding.verdict),
            Some(told) if told.verdict != finding.verdict => match finding.verdict {
                Verdict::Up => Kind::Up,
                Verdict::Down => Kind::Down,
            },
            Some(told) if told.weight != finding.weight => Kind::Weight,
            Some(_) => return,
        };
        self.log(kind, &finding);
        self.update(|record| record.verdict(at, Some(finding.verdict)));
        let event = CheckEvent {
            name: Arc::clone(&self.name),
            kind,
            weight: finding.weight,
            detail: finding.text.clone(),
            at,
        };
        self.told = Some(finding);
        let dropped = self.result_queue.push(event);
        self.update(|record| record.status_mut().events_dropped += dropped);
    }

    /// A file that is missing or malformed is worth one line, however often it is looked at.
    fn log(&self, kind: Kind, finding: &Finding) {
        let (check, text) = (&self.name, &finding.text);
        // Where a file is there for its number, having none yet is how it should be.
        let is_usual = finding.is_missing && finding.weight.is_some();
        match (kind, kind.verdict()) {
            (Kind::Weight, _) => debug!(%check, "{check}: {text}"),
            (_, Some(Verdict::Up)) => info!(%check, "{check} is up: {text}"),
            (Kind::First(_), _) if is_usual => info!(%check, "{check}: {text}"),
            (_, Some(Verdict::Down) | None) => warn!(%check, "{check} is down: {text}"),
        }
    }

    fn update(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Looks in a thread of its own: a hung file system holds up nobody else.
fn look(probe: FileProbe) -> Looking {
    Box::pin(async move {
        let began = std::time::Instant::now();
        let asked = probe.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let content = asked.used_as == FileUse::Weight;
            let (walker, found) = watch::walk(&asked.path, content);
            (walker, judge(&asked, found))
        });
        match looked.await {
            // A number that nobody could open a file for: it is looked at again, and stays what it is.
            Ok((_, finding)) if is_unseen(&probe, &finding) => Look {
                watch: Err("the agent has no descriptors or memory left to look".to_owned()),
                finding: None,
                took: began.elapsed(),
            },
            Ok((walker, finding)) => Look {
                watch: walker.and_then(Watch::listen),
                finding: Some(finding),
                took: began.elapsed(),
            },
            Err(error) => Look {
                watch: Err(error.to_string()),
                finding: Some(unseen(&probe, &error.to_string())),
                took: began.elapsed(),
            },
        }
    })
}

/// Whether a file may be there of which nothing was found.
fn is_unseen(probe: &FileProbe, finding: &Finding) -> bool {
    probe.used_as == FileUse::Weight && finding.verdict == Verdict::Down && descriptors::is_short()
}

fn unseen(probe: &FileProbe, why: &str) -> Finding {
    Finding {
        verdict: Verdict::Down,
        weight: (probe.used_as == FileUse::Weight).then_some(0),
        text: format!("{} cannot be looked at: {why}", probe.path.display()),
        is_missing: false,
    }
}

fn judge(probe: &FileProbe, found: Found) -> Finding {
    let shown = probe.path.display();
    let (is_there, text) = match &found {
        Found::There(_) => (true, format!("{shown} is there")),
        Found::Missing(why) => (false, format!("{shown} is missing: {why}")),
    };
    let verdict = |good| if good { Verdict::Up } else { Verdict::Down };
    match (probe.used_as, found) {
        (FileUse::Exists, _) => Finding {
            verdict: verdict(is_there),
            weight: None,
            text,
            is_missing: !is_there,
        },
        (FileUse::Missing, _) => Finding {
            verdict: verdict(!is_there),
            weight: None,
            text,
            is_missing: !is_there,
        },
        (FileUse::Weight, Found::Missing(_)) => without_number(&text, true),
        (FileUse::Weight, Found::There(resolved)) => number_in(&probe.path, &resolved),
    }
}

fn number_in(shown: &Path, resolved: &Path) -> Finding {
    match content::read(resolved) {
        Ok(number) => Finding {
            verdict: Verdict::Up,
            weight: Some(number.clamped()),
            text: number.to_string(),
            is_missing: false,
        },
        Err(why) => without_number(&format!("{}: {why}", shown.display()), false),
    }
}

fn without_number(why: &str, is_missing: bool) -> Finding {
    Finding {
        verdict: Verdict::Down,
        weight: Some(0),
        text: format!("{why}; nothing is added"),
        is_missing,
    }
}

async fn finished(looking: &mut Option<(Looking, Instant)>) -> Look {
    match looking {
        Some((look, _)) => look.await,
        None => std::future::pending().await,
    }
}

async fn news(watch: &mut Result<Watch, String>) -> settle::News {
    match watch {
        Ok(watch) => watch.news().await,
        Err(_) => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep(at.since(now()).to_duration()).await,
        None => std::future::pending().await,
    }
}
