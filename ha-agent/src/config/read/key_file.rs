//! Secrets in files: where they may lie, what they must look like, what is made of them, and that no core shows them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use ha_common::hmac::{KEY_MAX, KEY_MIN, Key};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use zeroize::Zeroizing;

use crate::config::model::KeySource;

/// The longest file that is read, in bytes: `hex:` and two digits for each byte of the longest secret, with
/// room for the ends of lines.
const LONGEST: u64 = 256;
/// Where the service manager puts a unit's credentials (systemd.exec(5)).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A secret that cannot be had. None of these says anything about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error(
        "cannot be had: there is no ${CREDENTIALS}; the unit needs LoadCredential=, and a file with credentials \
         is checked within it"
    )]
    NoCredentials,
    #[error("is not a regular file")]
    NotAFile,
    #[error("can be read by others than its owner (mode {0:03o}); make it: chmod 0600")]
    Open(u32),
    #[error("is longer than {LONGEST} bytes, and no secret")]
    TooLong,
    #[error("begins with hex: and goes on with something else than pairs of hexadecimal digits")]
    Hex,
    #[error("has more than one line, and a secret is one")]
    Lines,
    #[error(
        "holds a secret of {0} bytes, and it must have {KEY_MIN} to {KEY_MAX}; make one: \
         echo \"hex:$(openssl rand -hex 32)\""
    )]
    Length(usize),
}

/// Reads a secret. From then on this process leaves no core.
pub(crate) fn read(source: &KeySource) -> Result<Key, KeyError> {
    keep_out_of_cores()?;
    let text = match source {
        KeySource::File(path) => text_of(path),
        KeySource::Credential(name) => {
            let dir = std::env::var_os(CREDENTIALS).ok_or(KeyError::NoCredentials)?;
            text_of(&Path::new(&dir).join(name))
        }
    }?;
    let secret = secret(&text)?;
    Key::new(&secret).ok_or(KeyError::Length(secret.len()))
}

/// A core would hold the secret, or what adverts can be signed with, and outlive the process in a file or with a
/// crash handler, which is started whatever `LimitCORE=` says (core(5)). Without a secret a core may be of use.
fn keep_out_of_cores() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

fn text_of(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // A pipe or a device that somebody has put there must not hold the reader up.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    check(&file)?;
    let mut text = Zeroizing::new(Vec::with_capacity(512));
    file.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(KeyError::TooLong);
    }
    Ok(text)
}

fn check(file: &File) -> Result<(), KeyError> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(KeyError::NotAFile);
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Open(mode));
    }
    Ok(())
}

/// One line: `hex:` and the digits of a secret, or the secret itself.
fn secret(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let line = text.trim_ascii();
    if line.contains(&b'\n') {
        return Err(KeyError::Lines);
    }
    let Some(digits) = line.strip_prefix(b"hex:") else {
        return Ok(Zeroizing::new(line.to_vec()));
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(KeyError::Hex);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for [high, low] in pairs {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
            return Err(KeyError::Hex);
        };
        bytes.push(u8::try_from(high << 4 | low).unwrap_or_default());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn of(text: &str, mode: u32) -> Result<Key, KeyError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        read(&KeySource::File(path))
    }

    #[test]
    fn a_secret_is_one_line_of_digits_or_of_itself() {
        let plain = "0123456789abcdef0123456789abcdef";
        // Ten digits and six letters, twice.
        let hex = ["30313233343536373839", "616263646566"].concat().repeat(2);
        let key = Key::new(plain.as_bytes()).unwrap();
        for text in [
            plain.to_owned(),
            format!("{plain}\n"),
            format!("hex:{hex}\n"),
            format!("hex:{}", hex.to_uppercase()),
        ] {
            assert_eq!(of(&text, 0o600).unwrap(), key);
        }
        assert!(of(&"x".repeat(64), 0o400).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_and_not_what_is_in_it() {
        let long = "s".repeat(65);
        for (text, mode, part) in [
            ("short", 0o600, "a secret of 5 bytes"),
            (long.as_str(), 0o600, "a secret of 65 bytes"),
            (&"s".repeat(300), 0o600, "is longer than 256 bytes"),
            ("hex:0g", 0o600, "pairs of hexadecimal digits"),
            ("hex:012", 0o600, "pairs of hexadecimal digits"),
            ("", 0o600, "a secret of 0 bytes"),
            ("sssss\nsssss", 0o600, "more than one line"),
            (&"s".repeat(32), 0o640, "chmod 0600"),
            (&"s".repeat(32), 0o604, "mode 604"),
        ] {
            let said = of(text, mode).unwrap_err().to_string();
            assert!(said.contains(part), "{said}");
            assert!(!said.contains("sssss"), "{said}");
        }
    }

    #[test]
    fn a_place_without_a_file_is_an_error_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let said = |path: &Path| {
            let source = KeySource::File(path.to_owned());
            read(&source).unwrap_err().to_string()
        };
        assert!(said(&dir.path().join("none")).contains("cannot be read"));
        assert!(said(dir.path()).contains("not a regular file"));
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(said(&fifo).contains("not a regular file"));
    }
}
