//! Files with one JSON value a line, read into values; what does not fit is a [`Problem`] with file and line.

use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The values with the numbers of their lines, from 1. An empty line and one that begins with `#` hold none.
pub(super) fn read<T: DeserializeOwned>(
    file: &str,
    text: &str,
) -> Result<Vec<(usize, T)>, Problem> {
    let lines = (1..).zip(text.lines());
    lines
        .filter(|(_, line)| !is_comment(line))
        .map(|(number, line)| {
            let value = serde_json::from_str(line);
            Ok((
                number,
                value.map_err(|error| problem(file, number, &error))?,
            ))
        })
        .collect()
}

/// Whether a line says nothing.
pub(super) fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// Each value is a text of one line, and that line has a number of its own.
fn problem(file: &str, line: usize, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(&*text, |it| it.0);
    Problem {
        file: file.to_owned(),
        line,
        message: format!("{message}, in column {}", error.column()),
    }
}
