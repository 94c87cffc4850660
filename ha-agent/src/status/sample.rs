//! A status with something in nearly every field, for tests. It is the file that the tests of the
//! command line hold the names of `status --json` to.

use super::agent::Status;

/// A master with troubles, a backup without, and a failed check.
pub(crate) fn status() -> Status {
    serde_json::from_str(include_str!("../../tests/status.json")).unwrap()
}
