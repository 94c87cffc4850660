//! The number in a file. What is in it may be anybody's.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A number with its sign and white space around it; more is not a number.
const LIMIT: u64 = 64;
/// The largest weight.
const MOST: i64 = 253;

/// What stands in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Number(i64);

impl Number {
    /// Within -253 to 253.
    pub(super) fn clamped(self) -> i16 {
        i16::try_from(self.0.clamp(-MOST, MOST)).unwrap_or(0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        write!(f, "contains {number}")?;
        if i64::from(self.clamped()) != number {
            write!(f, ", which counts as {}", self.clamped())?;
        }
        Ok(())
    }
}

/// Reads the number, or says why there is none.
pub(super) fn read(path: &Path) -> Result<Number, String> {
    // Opening a named pipe must not wait for its writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| format!("cannot be read: {error}"))?;
    let metadata = file.metadata();
    if !metadata.is_ok_and(|metadata| metadata.is_file()) {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Number, String> {
    if bytes.len() as u64 > LIMIT {
        return Err(format!(
            "contains no number: it is longer than {LIMIT} bytes"
        ));
    }
    let text = str::from_utf8(bytes).map_err(|_| "contains no number: it is not text")?;
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    match text.parse() {
        Ok(number) => Ok(Number(number)),
        Err(_) => Err(format!(
            "contains \"{}\", not a whole number",
            text.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_have_a_sign_and_white_space_and_is_clamped() {
        for (text, number, said) in [
            ("5", 5, "contains 5"),
            (" -20\n", -20, "contains -20"),
            ("+7\r\n", 7, "contains 7"),
            ("0", 0, "contains 0"),
            ("253", 253, "contains 253"),
            ("254", 253, "contains 254, which counts as 253"),
            ("-1000", -253, "contains -1000, which counts as -253"),
            (
                "9223372036854775807",
                253,
                "contains 9223372036854775807, which counts as 253",
            ),
        ] {
            let found = parse(text.as_bytes()).unwrap();
            assert_eq!(
                (found.clamped(), found.to_string().as_str()),
                (number, said)
            );
        }
    }

    #[test]
    fn what_is_no_number_is_said_and_quoted_only_where_it_is_harmless() {
        let long = "1".repeat(65);
        for (bytes, why) in [
            (&b""[..], "is empty"),
            (b" \n", "is empty"),
            (b"12 13", "contains \"12 13\", not a whole number"),
            (b"1.5", "a whole number"),
            (b"--5", "a whole number"),
            (b"0x10", "a whole number"),
            (b"9223372036854775808", "a whole number"),
            (b"\x1b[31m", "\"\\u{1b}[31m\""),
            (b"\xff\xfe", "not text"),
            (long.as_bytes(), "longer than 64 bytes"),
        ] {
            let said = parse(bytes).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn only_a_regular_file_is_read_and_a_pipe_without_a_writer_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/zero")] {
            let said = read(path).unwrap_err();
            assert!(
                said.contains("is not a file") || said.contains("cannot be read"),
                "{said}"
            );
        }
        let said = read(&dir.path().join("none")).unwrap_err();
        assert!(said.contains("cannot be read"), "{said}");
    }
}
