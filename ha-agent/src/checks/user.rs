//! Whom a check's command runs as.

use nix::unistd::{Gid, Uid, User, geteuid, getgrouplist};

use super::error::CheckError;

/// A user that a command becomes before it starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Identity {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    /// This user's, and none of the agent's.
    pub(super) groups: Vec<Gid>,
}

impl Identity {
    /// The user of this name; `None` if the agent already is that user.
    ///
    /// A command that could not run as its user would never run, or worse, run as root: so a name
    /// that does not exist is an error at start, and so is one that the agent may not become.
    pub(super) fn of(check: &str, name: &str) -> Result<Option<Self>, CheckError> {
        let lookup = |source| CheckError::UserLookup {
            check: check.into(),
            user: name.into(),
            source,
        };
        let user = User::from_name(name).map_err(lookup)?;
        let user = user.ok_or_else(|| CheckError::UnknownUser {
            check: check.into(),
            user: name.into(),
        })?;
        if user.uid == geteuid() {
            return Ok(None);
        }
        if !geteuid().is_root() {
            return Err(CheckError::CannotBecome {
                check: check.into(),
                user: name.into(),
            });
        }
        let c_name = std::ffi::CString::new(name).map_err(|_| CheckError::UnknownUser {
            check: check.into(),
            user: name.into(),
        })?;
        let groups = getgrouplist(&c_name, user.gid).map_err(lookup)?;
        Ok(Some(Self {
            uid: user.uid,
            gid: user.gid,
            groups,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_an_error_that_names_check_and_user() {
        let error = Identity::of("web", "no-such-user-here").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("web") && text.contains("no-such-user-here"),
            "{text}"
        );
    }

    #[test]
    fn the_agents_own_user_needs_no_change() {
        let own = User::from_uid(geteuid()).unwrap().unwrap();
        assert_eq!(Identity::of("web", &own.name).unwrap(), None);
    }
}
