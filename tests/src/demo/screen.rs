//! The demo on a terminal: one page, repainted ten times a second by a thread that has eyes of its own.

// Writing to a string cannot fail.
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::board::{Board, Progress, Row, span};
use crate::lab::VIP;
use crate::scenario::{Eyes, Observer, Report, Stage, Step};

const REPAINT: Duration = Duration::from_millis(100);

const CLEAR: &str = "\x1b[H\x1b[J";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

struct Page {
    board: Board,
    eyes: Option<Eyes>,
    begun: Instant,
}

/// Shows a run; the thread ends with it.
pub(super) struct Screen {
    page: Arc<Mutex<Page>>,
    stop: Option<Sender<()>>,
    painter: Option<JoinHandle<()>>,
}

impl Screen {
    pub(super) fn new(board: Board) -> Self {
        let page = Page {
            board,
            eyes: None,
            begun: Instant::now(),
        };
        let page = Arc::new(Mutex::new(page));
        let (stop, stopped) = mpsc::channel();
        let shared = Arc::clone(&page);
        let painter = std::thread::spawn(move || {
            while stopped.recv_timeout(REPAINT) == Err(RecvTimeoutError::Timeout) {
                paint(&shared);
            }
            paint(&shared);
        });
        Self {
            page,
            stop: Some(stop),
            painter: Some(painter),
        }
    }

    /// Paints once more, and gives the board back.
    pub(super) fn close(mut self) -> Board {
        self.end();
        lock(&self.page).board.clone()
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(painter) = self.painter.take() {
            // A painter that panicked has said so.
            let _ = painter.join();
        }
    }

    fn set(&self, step: &Step, progress: Progress) {
        lock(&self.page).board.set(step.number, progress);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end();
    }
}

impl Observer for Screen {
    fn begin(&mut self, step: &Step, stage: &Stage) {
        let mut page = lock(&self.page);
        page.eyes.get_or_insert_with(|| stage.eyes());
        page.begun = Instant::now();
        page.board.set(step.number, Progress::Running);
    }

    fn done(&mut self, step: &Step, _: &Stage, report: &Report) {
        self.set(step, Progress::Held(report.clone()));
    }

    fn failed(&mut self, step: &Step, _: &Stage, error: &anyhow::Error) {
        self.set(step, Progress::Failed(format!("{error:#}")));
    }
}

fn lock(page: &Mutex<Page>) -> MutexGuard<'_, Page> {
    page.lock().unwrap_or_else(PoisonError::into_inner)
}

fn paint(page: &Mutex<Page>) {
    let text = render(&lock(page));
    let mut out = std::io::stdout().lock();
    // A terminal that is gone shows nothing; the run goes on and tells by its exit code.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

fn render(page: &Page) -> String {
    let board = &page.board;
    let mut text = format!(
        "{CLEAR}{BOLD}ha-agent{PLAIN}  two agents with nginx, one client, adverts every {}\n\n",
        span(board.settings.interval)
    );
    text.push_str(&live(page.eyes.as_ref()));
    for row in &board.rows {
        text.push_str(&line(row, page.begun));
    }
    let telling = board
        .rows
        .iter()
        .rev()
        .find(|row| !matches!(row.progress, Progress::Ahead));
    if let Some(row) = telling {
        text.push_str(&detail(row));
    }
    let before = board
        .rows
        .iter()
        .rev()
        .find(|row| matches!(row.progress, Progress::Held(_)));
    if let Some(row) = before {
        text.push_str(&measured(row));
    }
    text.replace('\n', "\r\n")
}

/// Who is master and what the client gets, right now.
fn live(eyes: Option<&Eyes>) -> String {
    let holders = eyes.map(Eyes::holders).unwrap_or_default();
    let page = match eyes.and_then(Eyes::page) {
        Some(Ok(host)) => format!("{GREEN}the page of {host}{PLAIN}"),
        Some(Err(error)) => format!("{RED}{error}{PLAIN}"),
        None => format!("{DIM}nothing yet{PLAIN}"),
    };
    let holders = if holders.is_empty() {
        "nobody".to_owned()
    } else {
        holders.join(" and ")
    };
    format!("  {VIP} is held by {BOLD}{holders}{PLAIN}\n  the client gets {page}\n\n")
}

fn line(row: &Row, begun: Instant) -> String {
    let (mark, cost) = match &row.progress {
        Progress::Ahead => (format!("{DIM}·{PLAIN}"), String::new()),
        Progress::Running => (
            format!("{CYAN}>{PLAIN}"),
            format!("{CYAN}{:>3} s{PLAIN}", begun.elapsed().as_secs()),
        ),
        Progress::Held(_) => (format!("{GREEN}+{PLAIN}"), format!("outage {}", row.cost())),
        Progress::Failed(_) => (format!("{RED}x{PLAIN}"), format!("{RED}failed{PLAIN}")),
    };
    format!(" {mark} {}  {:44}{cost}\n", row.number, row.title)
}

fn detail(row: &Row) -> String {
    let mut text = format!("\n{BOLD}{}. {}{PLAIN}\n", row.number, row.title);
    text.push_str(&wrapped("does", row.action));
    text.push_str(&wrapped("expects", row.expectation));
    if let Progress::Failed(why) = &row.progress {
        text.push_str(&wrapped("failed", why));
    }
    text
}

fn measured(row: &Row) -> String {
    let Progress::Held(report) = &row.progress else {
        return String::new();
    };
    let mut text = format!("\n{DIM}measured in step {}:{PLAIN}\n", row.number);
    for fact in Board::measured(report).take(5) {
        let _ = writeln!(text, "  {:42}{}", fact.what, fact.value);
    }
    if let Some(log) = Board::logged(report) {
        text.push_str(&wrapped("log", log));
    }
    text
}

/// A paragraph behind a short name, 78 columns wide.
fn wrapped(name: &str, text: &str) -> String {
    const WIDTH: usize = 66;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(last) = lines.last_mut() else { break };
        if !last.is_empty() && last.len() + word.len() >= WIDTH {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    let mut paragraph = String::new();
    for (index, line) in lines.iter().enumerate() {
        let name = if index == 0 { name } else { "" };
        let _ = writeln!(paragraph, "  {name:9} {line}");
    }
    paragraph
}
