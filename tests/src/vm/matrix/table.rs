//! The matrix as a Markdown table: a row for each kind of interface, a column for each kernel and card.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::cell::Outcome;

/// What is known so far.
#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<&'static str>,
    cells: BTreeMap<(usize, usize), Outcome>,
}

impl Table {
    /// An empty one.
    pub fn new(columns: Vec<String>, rows: Vec<&'static str>) -> Self {
        Self {
            columns,
            rows,
            cells: BTreeMap::new(),
        }
    }

    /// Fills a cell.
    pub fn set(&mut self, column: usize, row: usize, outcome: Outcome) {
        self.cells.insert((column, row), outcome);
    }

    /// Puts another name over a column.
    pub fn rename(&mut self, column: usize, name: String) {
        if let Some(it) = self.columns.get_mut(column) {
            *it = name;
        }
    }

    /// How many cells passed, failed, and could not be had.
    pub fn tally(&self) -> (usize, usize, usize) {
        let mut tally = (0, 0, 0);
        for outcome in self.cells.values() {
            match outcome {
                Outcome::Passed(_) => tally.0 += 1,
                Outcome::Failed(..) => tally.1 += 1,
                Outcome::Lacking(_) => tally.2 += 1,
            }
        }
        tally
    }

    /// The table, and under it what is wrong or lacking.
    pub fn text(&self) -> String {
        let mut notes: Vec<String> = Vec::new();
        let mut text = format!("| interface | {} |\n", self.columns.join(" | "));
        text.push_str("| --- |");
        text.push_str(&" --- |".repeat(self.columns.len()));
        text.push('\n');
        for (row, name) in self.rows.iter().enumerate() {
            let _ = write!(text, "| {name} |");
            for column in 0..self.columns.len() {
                let cell = self.cells.get(&(column, row));
                let _ = write!(text, " {} |", entry(cell, &mut notes));
            }
            text.push('\n');
        }
        for (number, note) in notes.iter().enumerate() {
            let _ = write!(text, "\n{}. {note}", number + 1);
        }
        text
    }
}

/// A cell's few words; the same reason gets the same number.
fn entry(cell: Option<&Outcome>, notes: &mut Vec<String>) -> String {
    let mut number = |reason: &str| {
        let line = one_line(reason);
        let known = notes.iter().position(|note| *note == line);
        known.unwrap_or_else(|| {
            notes.push(line);
            notes.len() - 1
        }) + 1
    };
    match cell {
        Some(Outcome::Passed(hook)) => hook.kind.clone(),
        Some(Outcome::Failed(hook, reason)) => {
            let kind = hook.as_ref().map_or("", |hook| hook.kind.as_str());
            format!("{kind} **FAILS** ({})", number(reason))
                .trim_start()
                .to_owned()
        }
        Some(Outcome::Lacking(reason)) => format!("unavailable ({})", number(reason)),
        None => "did not run".to_owned(),
    }
}

/// How much of a reason a note quotes; the whole stands in the output before the table.
const NOTE: usize = 240;

fn one_line(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    words.join(" ").chars().take(NOTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::matrix::cell::Hook;

    #[test]
    fn a_cell_is_never_empty_and_one_reason_is_noted_once() {
        let mut table = Table::new(vec!["a".to_owned(), "b".to_owned()], vec!["bond", "vrf"]);
        let hook = Hook {
            kind: "tc".to_owned(),
            why: Vec::new(),
            timer: "kernel".to_owned(),
        };
        table.set(0, 0, Outcome::Passed(hook.clone()));
        table.set(
            1,
            0,
            Outcome::Failed(Some(hook), "two\n  masters".to_owned()),
        );
        table.set(0, 1, Outcome::Lacking("no module".to_owned()));
        table.rename(1, "6.1 igb".to_owned());
        assert_eq!(
            table.text(),
            "| interface | a | 6.1 igb |\n| --- | --- | --- |\n\
             | bond | tc | tc **FAILS** (1) |\n| vrf | unavailable (2) | did not run |\n\
             \n1. two masters\n2. no module"
        );
        assert_eq!(table.tally(), (1, 1, 1));
    }
}
