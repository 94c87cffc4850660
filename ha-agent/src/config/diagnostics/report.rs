//! Where the problems of one file are gathered.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Display;

use super::problem::{Problem, Problems, Severity};
use super::source::{Source, Span};

/// How many problems are kept: more than anyone reads, and a megabyte of garbage has no more.
const MAX_PROBLEMS: usize = 200;

/// The problems of one file so far.
pub(crate) struct Report<'t> {
    source: &'t Source<'t>,
    // Shared by all the readers of a walk, which is one thread and never re-entered.
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    list: Vec<Problem>,
    errors: usize,
    unlisted: usize,
    broken_lines: HashSet<usize>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(source: &'t Source<'t>) -> Self {
        Self {
            source,
            found: RefCell::default(),
        }
    }

    /// The file is to be refused.
    pub(crate) fn error(&self, span: &Span, message: impl Display) {
        self.add(Severity::Error, span, message);
    }

    /// The file is to be accepted all the same.
    pub(crate) fn warn(&self, span: &Span, message: impl Display) {
        self.add(Severity::Warning, span, message);
    }

    /// The text is not TOML. The first on a line is kept: the others mostly follow from it.
    pub(crate) fn syntax(&self, span: Span, message: &str) {
        let line = self.source.line(span.start);
        if self.found.borrow_mut().broken_lines.insert(line) {
            self.error(&span, format_args!("not TOML: {message}"));
        }
    }

    /// `line 12`, for a message about one place that names another.
    pub(crate) fn line(&self, span: &Span) -> String {
        format!("line {}", self.source.line(span.start))
    }

    /// True when further problems are only counted: no need to work out advice for them.
    pub(crate) fn is_full(&self) -> bool {
        self.found.borrow().list.len() >= MAX_PROBLEMS
    }

    /// An error that [`Self::is_full`] leaves no room for.
    pub(crate) fn unlisted_error(&self) {
        let mut found = self.found.borrow_mut();
        found.errors += 1;
        found.unlisted += 1;
    }

    fn add(&self, severity: Severity, span: &Span, message: impl Display) {
        let full = self.is_full();
        let mut found = self.found.borrow_mut();
        found.errors += usize::from(severity == Severity::Error);
        if full {
            found.unlisted += 1;
        } else {
            let problem = self.source.problem(severity, span, message.to_string());
            found.list.push(problem);
        }
    }

    /// What was read and the warnings, or everything that keeps the file from being accepted.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<(T, Vec<Problem>), Problems> {
        if read.is_none() && self.found.borrow().errors == 0 {
            // Never seen, and the property tests look for it; a file must not be refused in silence.
            self.error(
                &(0..0),
                "refused without a reason, which is a bug in ha-agent",
            );
        }
        let mut found = self.found.into_inner();
        found.list.sort_by_key(|p| (p.line, p.column));
        match read {
            Some(read) if found.errors == 0 => Ok((read, found.list)),
            _ => Err(Problems {
                list: found.list,
                unlisted: found.unlisted,
            }),
        }
    }
}
