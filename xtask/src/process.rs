//! Running other programs: echoed to stderr, and an error that repeats the command line.

use std::ffi::OsStr;
use std::io::{Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Shows the command, runs it with our stdin, stdout and stderr, and fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", show(command));
    }
    Ok(())
}

/// What the command writes to stdout. Its stderr ends up in the error if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    String::from_utf8(bytes(command)?)
        .with_context(|| format!("`{}` wrote something that is not UTF-8", show(command)))
}

/// The same where it is no text.
pub(crate) fn bytes(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            show(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}

/// Runs the command and hands every piece of its stdout to `seen` while it also goes to the screen at once.
/// Returns whether the command succeeded.
pub(crate) fn tee(
    command: &mut Command,
    screen: &mut impl Write,
    mut seen: impl FnMut(&[u8]),
) -> Result<bool> {
    announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    let mut from = child.stdout.take().context("the child has no stdout")?;
    let mut buffer = [0; 8192];
    loop {
        let length = from.read(&mut buffer).context("reading test output")?;
        let Some(piece) = buffer.get(..length).filter(|piece| !piece.is_empty()) else {
            break;
        };
        screen.write_all(piece).and_then(|()| screen.flush())?;
        seen(piece);
    }
    let status = child
        .wait()
        .with_context(|| format!("waiting for `{}`", show(command)))?;
    Ok(status.success())
}

/// Where PATH, or one of the sbin folders that an ordinary user's PATH lacks, has this program.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

/// Whether we may install packages and make network namespaces.
pub(crate) fn is_root() -> bool {
    // The owner of /proc/self is the effective user, so this needs no system call wrapper.
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

/// The command as a person would type it, with the environment it adds.
pub(crate) fn show(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| {
        // The unit separator of CARGO_ENCODED_RUSTFLAGS is invisible on a terminal.
        let value = value?.to_string_lossy().replace('\u{1f}', " ");
        Some(format!("{}={}", name.display(), quote(value.as_ref())))
    });
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    set.chain(words.map(quote)).collect::<Vec<_>>().join(" ")
}

fn announce(command: &Command) {
    eprintln!("+ {}", show(command));
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file)
        .is_ok_and(|entry| entry.is_file() && entry.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("echo");
        command.args(["plain", "two words", "it's"]).env("A", "b c");
        let shown = show(&command);
        assert_eq!(shown, r"A='b c' echo plain 'two words' 'it'\''s'");
        let echoed = output(Command::new("sh").args(["-c", &shown])).unwrap();
        assert_eq!(echoed, "plain two words it's\n");
    }

    #[test]
    fn a_failing_command_repeats_its_line_and_what_it_said() {
        let error =
            output(Command::new("sh").args(["-c", "echo no such luck >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c"), "{text}");
        assert!(text.contains("no such luck"), "{text}");
        assert!(text.contains('3'), "{text}");
    }

    #[test]
    fn teed_output_is_seen_whole_and_failure_is_reported() {
        let mut screen = Vec::new();
        let mut seen = Vec::new();
        let succeeded = tee(
            Command::new("sh").args(["-c", "printf 'one\\ntwo\\n'; exit 1"]),
            &mut screen,
            |piece| seen.extend_from_slice(piece),
        )
        .unwrap();
        assert_eq!(seen, b"one\ntwo\n");
        assert_eq!(screen, seen);
        assert!(!succeeded);
    }
}
