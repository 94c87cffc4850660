//! Text for a terminal: humane spans, aligned tables, wrapped fields, nothing dangerous.
//!
//! Colour is always written; the stream it goes to strips it where it is not wanted.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use textwrap::core::display_width;

/// No line is wider than this.
pub(super) const WIDTH: usize = 100;
/// Where the values of fields start.
const VALUE_COLUMN: usize = 14;
/// Spaces between the columns of a table.
const GUTTER: usize = 2;
/// No column gets narrower than this, however full the line is.
const NARROWEST: usize = 6;

pub(super) const PLAIN: Style = Style::new();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const CALM: Style = AnsiColor::Cyan.on_default();
pub(super) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

/// Text that may come from outside, without what could steer a terminal or reorder the line.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => ' ',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// A text in a style.
pub(super) fn paint(style: Style, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{style}{text}{style:#}")
}

/// Appends `  label       value`, the value wrapped under itself.
pub(super) fn field(out: &mut String, label: &str, style: Style, value: &str) {
    let value = clean(value);
    // A path or a name that is broken at its hyphen cannot be copied.
    let options = textwrap::Options::new(WIDTH - VALUE_COLUMN)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let lines = textwrap::wrap(&value, options);
    for (index, line) in lines.iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        let pad = VALUE_COLUMN.saturating_sub(2 + display_width(label));
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "  {}{:pad$}{}",
            paint(DIM, label),
            "",
            paint(style, line.trim_end())
        );
    }
}

/// A cell of a table: cleaned text and its style.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self::styled(text, PLAIN)
    }

    pub(super) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self {
            text: clean(text.as_ref()),
            style,
        }
    }

    fn width(&self) -> usize {
        display_width(&self.text)
    }

    /// The text in exactly `width` columns, or less if it is the last of its line.
    fn fit(&self, width: usize, last: bool) -> String {
        let mut text = self.text.clone();
        if display_width(&text) > width {
            while display_width(&text) + 1 > width && text.pop().is_some() {}
            text.push('…');
        }
        let pad = if last {
            0
        } else {
            width.saturating_sub(display_width(&text))
        };
        format!("{}{:pad$}", paint(self.style, &text), "")
    }
}

/// Rows of cells under a header; columns are as wide as they must be, the widest give way first.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|name| Cell::styled(name, DIM)).collect();
        Self { rows: vec![header] }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub(super) fn render(&self, out: &mut String) {
        let widths = self.widths();
        for row in &self.rows {
            let last = row.len().saturating_sub(1);
            let cells = row.iter().zip(&widths).enumerate();
            let line: Vec<String> = cells
                .map(|(index, (cell, width))| cell.fit(*width, index == last))
                .collect();
            out.push_str(&line.join(&" ".repeat(GUTTER)));
            out.push('\n');
        }
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(Cell::width).max().unwrap_or(0)
            })
            .collect();
        let room = WIDTH.saturating_sub(GUTTER * columns.saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(
            clean("a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}e"),
            "a\u{fffd}[2Jb  c\u{fffd}d\u{fffd}e"
        );
    }

    #[test]
    fn a_table_that_is_too_wide_cuts_its_widest_column() {
        let mut table = Table::new(&["NAME", "TEXT", "END"]);
        table.row(vec![
            Cell::new("web"),
            Cell::new("x".repeat(300)),
            Cell::new("end"),
        ]);
        let mut out = String::new();
        table.render(&mut out);
        let out = anstream::adapter::strip_str(&out).to_string();
        let line = out.lines().nth(1).unwrap();
        assert_eq!(display_width(line), WIDTH);
        assert!(line.ends_with("x…  end"), "{line}");
    }
}
