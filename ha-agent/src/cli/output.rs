//! Standard output: colour where it is wanted, and no complaint when the reader has gone.

use std::borrow::Cow;
use std::io::{self, IsTerminal, StdoutLock, Write};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};

use crate::agent::exit::Exit;
use crate::agent::failure::Failure;

/// Move to the top left.
const HOME: &str = "\x1b[H";
/// Erase to the end of the line.
const ERASE_LINE: &str = "\x1b[K";
/// Erase everything below.
const ERASE_BELOW: &str = "\x1b[J";
/// Erase the screen, once, before the first frame.
const ERASE_ALL: &str = "\x1b[2J";

/// Whether anybody reads on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reader {
    /// Yes, as far as known.
    Present,
    /// A pipe's other end is closed, such as by `head`.
    Gone,
}

/// Standard output.
pub(super) struct Output {
    stdout: StdoutLock<'static>,
    terminal: bool,
    colour: bool,
    frames: u64,
}

impl Output {
    pub(super) fn new() -> Self {
        let stdout = io::stdout().lock();
        Self {
            terminal: stdout.is_terminal(),
            // Honours NO_COLOR, CLICOLOR and TERM=dumb; none for pipes and files.
            colour: AutoStream::choice(&stdout) != ColorChoice::Never,
            stdout,
            frames: 0,
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a text, its colour taken away where it is not wanted.
    pub(super) fn write(&mut self, text: &str) -> Result<Reader, Failure> {
        let text = self.colour_or_not(text);
        self.write_raw(&text)
    }

    /// Shows a text in the place of the last one; where there is no screen, below it.
    pub(super) fn redraw(&mut self, text: &str) -> Result<Reader, Failure> {
        let first = self.frames == 0;
        self.frames = self.frames.saturating_add(1);
        let text = self.colour_or_not(text);
        if !self.terminal {
            let gap = if first { "" } else { "\n" };
            return self.write_raw(&format!("{gap}{text}"));
        }
        // Overwritten line by line rather than erased and written again: no flicker.
        let rows = terminal_size::terminal_size_of(&self.stdout).map(|(_, rows)| rows.0);
        let text = rows.map_or(text.clone(), |rows| cut(&text, usize::from(rows)).into());
        let body = text.replace('\n', &format!("{ERASE_LINE}\n"));
        let clear = if first { ERASE_ALL } else { "" };
        self.write_raw(&format!("{clear}{HOME}{body}{ERASE_BELOW}"))
    }

    fn colour_or_not<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.colour {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(strip_str(text).to_string())
        }
    }

    fn write_raw(&mut self, text: &str) -> Result<Reader, Failure> {
        let written = self
            .stdout
            .write_all(text.as_bytes())
            .and_then(|()| self.stdout.flush());
        match written {
            Ok(()) => Ok(Reader::Present),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => Err(Failure::text(
                Exit::General,
                format!("cannot write to standard output: {error}"),
            )),
        }
    }
}

/// What fits on a screen: a text that is longer would scroll, and each redraw would start too low.
fn cut(text: &str, rows: usize) -> String {
    let lines = text.lines().count();
    // The cursor stands on a line of its own below the text.
    if lines < rows {
        return text.to_owned();
    }
    let shown = rows.saturating_sub(2);
    let cut: String = text.split_inclusive('\n').take(shown).collect();
    let more = lines.saturating_sub(shown);
    cut + &format!("({more} more lines; a larger window shows them)\n")
}

/// JSON for a person on a terminal, one line for everybody else.
pub(super) fn json<T: serde::Serialize>(value: &T, pretty: bool) -> Result<String, Failure> {
    let text = if pretty {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    text.map(|text| text + "\n")
        .map_err(|error| Failure::new(Exit::General, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_higher_than_the_screen_is_cut_so_that_a_redraw_does_not_scroll() {
        assert_eq!(cut("a\nb\nc\n", 4), "a\nb\nc\n");
        let text = cut("a\nb\nc\nd\n", 4);
        assert_eq!(text, "a\nb\n(2 more lines; a larger window shows them)\n");
    }
}
