//! `hmac`: keys from files, and what goes with them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::super::model::{Hmac, KeySource, Mode};
use super::*;

/// A directory with two keys.
struct Keys(tempfile::TempDir);

impl Keys {
    fn new() -> Self {
        let keys = Self(tempfile::tempdir().unwrap());
        keys.write("one", &"1".repeat(32));
        keys.write("two", &format!("hex:{}", "2f".repeat(64)));
        keys
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// `hmac` with both keys and whatever else.
    fn both(&self, more: &str) -> String {
        let dir = self.path().display();
        format!(
            "hmac = {{ keys = [{{ id = 1, file = \"{dir}/one\" }}, {{ id = 7, file = \"{dir}/two\" }}]{more} }}"
        )
    }
}

fn the_hmac(lines: &str) -> Hmac {
    accepted(&instance(lines)).instances.remove(0).hmac.unwrap()
}

#[test]
fn keys_are_read_from_files_and_the_rest_has_defaults() {
    let keys = Keys::new();
    let found = the_hmac(&keys.both(", active = 7"));
    assert_eq!(found.mode, Mode::Enforce);
    assert_eq!(found.active, 7);
    assert_eq!(found.window, Some(Duration::from_secs(5)));
    let ids: Vec<u8> = found.keys.iter().map(|it| it.id).collect();
    assert_eq!(ids, [1, 7]);
    assert_eq!(
        found.keys[0].source,
        KeySource::File(keys.path().join("one"))
    );
    assert_eq!(found.signing_key(), Some(found.keys[1].key));
    let slow = format!("advert_interval = \"10s\"\n{}", keys.both(", active = 1"));
    assert_eq!(the_hmac(&slow).window, Some(Duration::from_secs(30)));

    let one = format!(
        "hmac = {{ keys = [{{ id = 3, file = \"{}/one\" }}], mode = \"receive-only\", replay = \"monotonic\" }}",
        keys.path().display()
    );
    let found = the_hmac(&one);
    assert_eq!(
        (found.active, found.mode, found.window),
        (3, Mode::ReceiveOnly, None)
    );
    assert_eq!(found.signing_key(), None);
}

#[test]
fn no_secret_is_shown() {
    let keys = Keys::new();
    let shown = format!("{:?}", the_hmac(&keys.both(", active = 1")));
    assert!(
        !shown.contains("1111") && !shown.contains("2f2f"),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let keys = Keys::new();
    let dir = keys.path().display();
    let key = format!("{{ id = 1, file = \"{dir}/one\" }}");
    for (lines, parts) in [
        (
            format!("hmac = |{{ keys = [{key}], active = 2 }}"),
            &["active = 2, which is none of its keys (1)"][..],
        ),
        (
            keys.both("")
                .replace("= {", "= |{")
                .replacen("keys = [|", "keys = [", 1),
            &["must say which of them signs: active = 1"],
        ),
        ("hmac = { keys = |[] }".to_owned(), &["1 to 8 entries"]),
        ("hmac = |{}".to_owned(), &["no `keys`"]),
        (
            format!("hmac = {{ keys = [{key}, |{key}] }}"),
            &["the number 1 of an earlier key"],
        ),
        (
            "hmac = { keys = [|{ id = 1 }] }".to_owned(),
            &["either `file` or `credential`"],
        ),
        (
            format!("hmac = {{ keys = [{{ id = |0, file = \"{dir}/one\" }}] }}"),
            &["from 1 to 255"],
        ),
        (
            format!("hmac = {{ keys = [{{ id = 1, file = |\"{dir}/none\" }}] }}"),
            &["none) cannot be read"],
        ),
        (
            "hmac = { keys = [{ id = 1, file = |\"keys/one\" }] }".to_owned(),
            &["absolute path"],
        ),
        (
            "hmac = { keys = [{ id = 1, credential = |\"a/b\" }] }".to_owned(),
            &["without a slash"],
        ),
        (
            format!("hmac = {{ keys = [{key}], mode = |\"strict\" }}"),
            &["\"receive-only\" or \"permissive\" or \"enforce\""],
        ),
        (
            format!("hmac = {{ keys = [{key}], window = |\"301s\" }}"),
            &["from 1s to 5m"],
        ),
        (
            format!("hmac = {{ keys = [{key}], replay = \"monotonic\", window = |\"5s\" }}"),
            &["goes with replay = \"time\""],
        ),
        (
            format!(
                "version = 2\nauth = |{{ type = \"pass\", password = \"x\" }}\nhmac = {{ keys = [{key}] }}"
            ),
            &["beside `hmac`"],
        ),
    ] {
        one_error(&instance(&lines), parts);
    }
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let keys = Keys::new();
    let path = keys.path().join("one");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let lines = format!(
        "hmac = {{ keys = [{{ id = 1, file = |\"{}\" }}] }}",
        path.display()
    );
    one_error(&instance(&lines), &["chmod 0600"]);
}

#[test]
fn a_step_of_a_roll_out_is_told_with_the_numbers_of_the_keys_and_without_a_key() {
    let keys = Keys::new();
    let config = |more: &str| accepted(&instance(&keys.both(more)));
    let old = config(", active = 1, mode = \"permissive\"");
    for (more, expected) in [
        (
            ", active = 1, mode = \"enforce\"",
            "hmac permissive with key 1 of 1, 7 -> enforce with key 1 of 1, 7",
        ),
        (
            ", active = 7, mode = \"permissive\"",
            "hmac permissive with key 1 of 1, 7 -> permissive with key 7 of 1, 7",
        ),
        (
            ", active = 1, mode = \"permissive\", window = \"9s\"",
            "hmac changed",
        ),
    ] {
        let new = config(more);
        let plan = super::super::plan(&old, &new);
        let change = plan.routers.changes().next().unwrap();
        let words: Vec<&str> = change
            .differences
            .iter()
            .map(|it| it.words.as_str())
            .collect();
        assert_eq!(words, [expected]);
    }
}
