//! `check-config`: how the judgement over a file is shown.

use std::fmt::Display;
use std::path::Path;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// Prints the warnings of a valid file and that it is valid, or fails with all of its problems.
///
/// `outcome` is what loading it gave: warnings, or everything that is wrong, place and all.
pub fn check_config<W: Display, E: Display>(
    file: &Path,
    outcome: Result<&[W], E>,
) -> Result<(), Failure> {
    let warnings = outcome.map_err(|problems| Failure {
        exit: Exit::Config,
        message: format!("{} is refused", file.display()),
        details: problems.to_string().lines().map(str::to_owned).collect(),
        hint: None,
    })?;
    let mut lines: Vec<String> = warnings.iter().map(W::to_string).collect();
    lines.push(format!("{}: ok\n", file.display()));
    Output::new().write(&lines.join("\n")).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_file_fails_with_every_problem_and_its_own_exit_code() {
        let outcome: Result<&[&str], _> = Err("a.toml:1:1: error: one\na.toml:2:1: error: two");
        let failure = check_config(Path::new("a.toml"), outcome).unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        assert_eq!(
            failure.to_string(),
            "ha-agent: a.toml is refused\na.toml:1:1: error: one\na.toml:2:1: error: two"
        );
    }
}
