//! Files as they lie on a disk.

use std::fs;

use super::super::{LoadError, MAX_FILE_BYTES, load};
use super::*;

fn loaded(bytes: &[u8]) -> (String, Result<Config, LoadError>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    fs::write(&path, bytes).unwrap();
    (path.display().to_string(), load(&path))
}

#[test]
fn a_good_file_gives_what_its_text_gives() {
    let (_, result) = loaded(FIRST_CONFIG.as_bytes());
    assert_eq!(result.unwrap(), accepted(FIRST_CONFIG));
}

#[test]
fn a_refused_file_is_named_in_every_problem() {
    let (path, result) = loaded(b"x = 1\n");
    let LoadError::Invalid(problems) = result.unwrap_err() else {
        panic!("read but not refused");
    };
    assert!(problems.list.iter().all(|p| *p.file == *path));
    assert!(
        problems
            .to_string()
            .starts_with(&format!("{path}:1:1: error: "))
    );
}

#[test]
fn a_file_of_the_limit_is_read_and_a_longer_one_is_not() {
    let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
    let mut bytes = FIRST_CONFIG.as_bytes().to_vec();
    bytes.resize(limit, b'\n');
    assert!(loaded(&bytes).1.is_ok());
    bytes.push(b'\n');
    let (path, result) = loaded(&bytes);
    let error = result.unwrap_err();
    assert!(matches!(error, LoadError::TooLong { .. }));
    assert!(
        error
            .to_string()
            .starts_with(&format!("{path} is longer than 1048576 bytes"))
    );
}

#[test]
fn a_byte_that_is_no_utf8_is_pointed_at() {
    let (path, result) = loaded(b"a = 1\nb = \"\xc3\xa4\xff\"\n");
    let message = result.unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("{path}:2:7: not UTF-8")),
        "{message}"
    );
}

#[test]
fn a_file_that_is_missing_or_a_folder_is_named_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.toml");
    let message = load(&missing).unwrap_err().to_string();
    assert!(message.contains("none.toml: No such file"), "{message}");
    let message = load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("directory"), "{message}");
}

#[test]
fn a_user_that_the_host_lacks_is_pointed_at_and_a_text_by_itself_knows_no_host() {
    let text = tracked("command = [\"/bin/true\"]\nuser = \"no-such-user-here\"");
    let line = text.lines().count();
    let (path, result) = loaded(text.as_bytes());
    let message = result.unwrap_err().to_string();
    let place = format!("{path}:{line}:8: error: there is no user `no-such-user-here`");
    assert!(message.starts_with(&place), "{message}");
    accepted(&text);

    let own = nix::unistd::User::from_uid(nix::unistd::geteuid());
    let own = own.unwrap().unwrap().name;
    let text = text.replace("no-such-user-here", &own);
    loaded(text.as_bytes()).1.unwrap();
}
