//! The host that this runs on, as far as a configuration is held against it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{User, geteuid};

use super::check::host::{Host, HostInterface, Program};
use super::model::COMMAND_PATH;

/// Who may execute: owner, group, others.
const EXECUTE: u32 = 0o111;
/// Who may write beside the owner.
const WRITE_BY_OTHERS: u32 = 0o022;

/// The host that this runs on.
#[derive(Debug, Default)]
pub(super) struct ThisHost {
    /// Its interfaces, if somebody has looked.
    pub(super) interfaces: Option<Vec<HostInterface>>,
}

impl Host for ThisHost {
    // Where the user database cannot be asked, whoever needs the user will say so.
    fn may_have_user(&self, name: &str) -> bool {
        !matches!(User::from_name(name), Ok(None))
    }

    fn interfaces(&self) -> Option<&[HostInterface]> {
        self.interfaces.as_deref()
    }

    fn program(&self, name: &str) -> Program {
        if name.starts_with('/') {
            return at(Path::new(name));
        }
        let found = COMMAND_PATH
            .split(':')
            .map(|dir| at(&Path::new(dir).join(name)));
        // As `execvp` does: what cannot be executed is passed over while there is something behind it.
        found.fold(Program::Missing, |best, next| match (best, next) {
            (Program::Runnable, _) | (_, Program::Runnable) => Program::Runnable,
            (Program::NotExecutable, _) | (_, Program::NotExecutable) => Program::NotExecutable,
            (Program::Missing, Program::Missing) => Program::Missing,
        })
    }
}

/// A place that cannot be looked at, such as below a directory of somebody else, is given the benefit of the doubt.
fn at(path: &Path) -> Program {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.mode() & EXECUTE != 0 => Program::Runnable,
        Ok(_) => Program::NotExecutable,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Program::Missing,
        Err(_) => Program::Runnable,
    }
}

/// What is said of a configuration file that somebody else than root, or whoever runs this, may write. Commands in it
/// run as root.
pub(super) fn open_to_others(meta: &Metadata) -> Option<String> {
    if !meta.is_file() {
        return None;
    }
    who_may_write(meta.uid(), meta.mode(), geteuid().as_raw()).map(|who| {
        format!("this file is writable by {who}, and `restart` commands in it run as root: `chown root` and `chmod go-w`")
    })
}

fn who_may_write(owner: u32, mode: u32, own: u32) -> Option<String> {
    if mode & WRITE_BY_OTHERS != 0 {
        return Some(format!(
            "others than its owner (mode {:04o})",
            mode & 0o7777
        ));
    }
    (owner != 0 && owner != own).then(|| {
        let name = User::from_uid(owner.into()).ok().flatten();
        name.map_or_else(
            || format!("the user {owner}"),
            |user| format!("the user {}", user.name),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_for_root_and_for_whoever_runs_this() {
        for (owner, mode, own, is_safe) in [
            (0, 0o600, 0, true),
            (0, 0o644, 0, true),
            (0, 0o644, 1000, true),
            (1000, 0o644, 1000, true),
            (1000, 0o644, 0, false),
            (0, 0o664, 0, false),
            (0, 0o606, 0, false),
        ] {
            let who = who_may_write(owner, mode, own);
            assert_eq!(who.is_none(), is_safe, "{owner} {mode:o} {own}: {who:?}");
        }
        let who = who_may_write(0, 0o100_666, 0).unwrap();
        assert_eq!(who, "others than its owner (mode 0666)");
    }

    #[test]
    fn a_program_is_looked_for_where_commands_find_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("check");
        let name = file.display().to_string();
        let host = ThisHost::default();
        assert_eq!(host.program(&name), Program::Missing);
        fs::write(&file, "").unwrap();
        for (mode, expected) in [(0o644, Program::NotExecutable), (0o755, Program::Runnable)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(host.program(&name), expected, "{mode:o}");
        }
        let dir = dir.path().display().to_string();
        assert_eq!(host.program(&dir), Program::NotExecutable);
        assert_eq!(host.program("sh"), Program::Runnable);
        assert_eq!(host.program("no-such-program-here"), Program::Missing);
    }
}
