//! What a file says of the host that it is for. It is asked through [`Host`], so that a text can also be
//! judged by itself.

use nix::unistd::User;

use crate::config::diagnostics::Report;
use crate::config::read::RawCheck;

/// What has to be known of a host.
pub(crate) trait Host {
    /// False only if it is certain that there is no such user.
    fn may_have_user(&self, name: &str) -> bool;
}

/// The host that this runs on.
pub(crate) struct ThisHost;

impl Host for ThisHost {
    // Where the user database cannot be asked, whoever needs the user will say so.
    fn may_have_user(&self, name: &str) -> bool {
        !matches!(User::from_name(name), Ok(None))
    }
}

/// A host that has everything.
pub(crate) struct AnyHost;

impl Host for AnyHost {
    fn may_have_user(&self, _: &str) -> bool {
        true
    }
}

/// Reports what the host lacks.
pub(crate) fn check(report: &Report<'_>, host: &dyn Host, checks: &[RawCheck]) {
    for user in checks.iter().filter_map(|check| check.user.as_ref()) {
        let name = user.get_ref();
        if !host.may_have_user(name) {
            let message = format!(
                "there is no user `{name}` on this host; create it, or set `user` to one that exists"
            );
            report.error(&user.span(), message);
        }
    }
}
