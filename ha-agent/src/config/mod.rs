//! The configuration: what it can say (`model`), how a file becomes it, and what a reload changes.
//!
//! A file is parsed once into a table that knows where everything stood (the `toml` crate), then
//! walked by hand rather than by serde, so that one run reports every problem and not the first.
//!
//! `key_table` says which keys there are; `read` turns a file into raw sections, key by key, and `check` holds these
//! against each other; `diagnostics` gathers what is wrong, with its place; `model` is what comes of it, and `plan`
//! what a reload does. Imports go one way: `check` -> `read` -> `key_table`, `model` -> `diagnostics`.

mod check;
mod diagnostics;
mod differences;
pub mod key_table;
pub mod model;
pub mod plan;
mod read;
pub mod replaced;
mod this_host;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use check::host::{HostAddress, HostInterface};
pub use diagnostics::{Problem, Problems, Severity};
pub use model::Config;
pub use plan::plan;

use check::host::{AnyHost, Host};
use diagnostics::{Report, Source};
use this_host::ThisHost;

/// The longest file that is read; a thousand instances take less than half of it.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A file that gives no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened or read.
    // The cause is in the text and so not a `source`, or a printed chain would say it twice.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file is longer than [`MAX_FILE_BYTES`].
    #[error("{} is longer than {MAX_FILE_BYTES} bytes, which no configuration needs: is it the right file?", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8, which TOML requires.
    #[error("{}:{line}:{column}: not UTF-8 text: save the file as UTF-8, or look for a stray byte here", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first bad byte, from 1.
        line: usize,
        /// The column of the first bad byte, in characters, from 1.
        column: usize,
    },
    /// The file was read and refused.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

impl LoadError {
    /// Each reason in one line.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Invalid(problems) => problems.lines(),
            Self::Read { .. } | Self::TooLong { .. } | Self::NotUtf8 { .. } => {
                vec![self.to_string()]
            }
        }
    }
}

/// Reads and checks a file, for this host.
pub fn load(path: impl AsRef<Path>) -> Result<Config, LoadError> {
    load_for(&ThisHost::default(), path.as_ref())
}

/// The same, and holds it against the interfaces of this host, which then are all that are there.
pub fn load_for_interfaces(
    path: impl AsRef<Path>,
    interfaces: Vec<HostInterface>,
) -> Result<Config, LoadError> {
    let host = ThisHost {
        interfaces: Some(interfaces),
    };
    load_for(&host, path.as_ref())
}

fn load_for(host: &dyn Host, path: &Path) -> Result<Config, LoadError> {
    let read = |cause| LoadError::Read {
        path: path.to_owned(),
        cause,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(read)?;
    let meta = file.metadata().map_err(read)?;
    // One byte more than allowed tells a file of exactly the limit from a longer one.
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(read)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(LoadError::TooLong {
            path: path.to_owned(),
        });
    }
    let text = match str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let valid = String::from_utf8_lossy(valid);
            return Err(LoadError::NotUtf8 {
                path: path.to_owned(),
                line: valid.matches('\n').count() + 1,
                column: valid
                    .rsplit('\n')
                    .next()
                    .map_or(1, |last| last.chars().count() + 1),
            });
        }
    };
    let about_file = this_host::open_to_others(&meta);
    Ok(parse_for(
        host,
        &path.display().to_string(),
        text,
        about_file,
    )?)
}

/// Checks the text of a file by itself, whatever the host; `file_name` is only for messages.
pub fn parse(file_name: &str, text: &str) -> Result<Config, Problems> {
    parse_for(&AnyHost, file_name, text, None)
}

/// Checks the text of a file, and that the host has what it names; what is wrong with the file itself is reported
/// at its beginning.
fn parse_for(
    host: &dyn Host,
    file_name: &str,
    text: &str,
    about_file: Option<String>,
) -> Result<Config, Problems> {
    let source = Source::new(file_name, text);
    let report = Report::new(&source);
    if let Some(message) = about_file {
        report.warn(&(0..0), message);
    }
    let (document, errors) = DeTable::parse_recoverable(source.text());
    // What the parser recovers after a syntax error is a guess: judging it would add problems that
    // the file does not have, such as a missing key that stands on the broken line.
    let config = if errors.is_empty() {
        read::read(&report, document.get_ref()).and_then(|raw| {
            check::check(&report, host, &raw);
            raw.model()
        })
    } else {
        for error in &errors {
            report.syntax(error.span().unwrap_or_default(), error.message());
        }
        None
    };
    let (config, warnings) = report.finish(config)?;
    Ok(Config { warnings, ..config })
}
