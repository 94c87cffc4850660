//! `check-config`: how the judgement over a file is shown.

use std::path::Path;

use super::output::Output;
use crate::agent::failure::Failure;

/// Prints the warnings of a valid file and that it is valid, or fails with all of its problems.
pub(super) fn check_config(file: &Path) -> Result<(), Failure> {
    let elsewhere = "give another file: `ha-agent check-config FILE`";
    let config = crate::agent::load_for_this_host(file, elsewhere)?;
    let mut lines: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    lines.push(format!("{}: ok\n", file.display()));
    Output::new().write(&lines.join("\n")).map(|_| ())
}
