//! Reading the configuration for a command.

use std::io;
use std::path::Path;

use super::exit::Exit;
use super::failure::Failure;
use crate::config::{self, Config, HostAddress, HostInterface, LoadError};
use crate::net::interface;
use crate::net::observed::kernel_marks;

/// Reads a configuration, as every command does that needs one; `elsewhere` says how to name another file.
pub fn load(path: &Path, elsewhere: &str) -> Result<Config, Failure> {
    config::load(path).map_err(|error| failure(path, &error, elsewhere))
}

/// The same, and holds it against the interfaces and addresses that this host has now. Where the kernel cannot be
/// asked for them, nothing is said of them.
pub fn load_for_this_host(path: &Path, elsewhere: &str) -> Result<Config, Failure> {
    let Some(interfaces) = interfaces() else {
        return load(path, elsewhere);
    };
    config::load_for_interfaces(path, interfaces).map_err(|error| failure(path, &error, elsewhere))
}

fn interfaces() -> Option<Vec<HostInterface>> {
    let marks = kernel_marks();
    let links = interface::all().ok()?;
    let interfaces = links.into_iter().map(|link| HostInterface {
        name: link.name,
        addresses: link
            .addresses
            .iter()
            .map(|it| HostAddress {
                address: it.net.addr(),
                ours: marks.then_some(it.ours),
            })
            .collect(),
    });
    Some(interfaces.collect())
}

fn failure(path: &Path, error: &LoadError, elsewhere: &str) -> Failure {
    let hint = match error {
        LoadError::Read { cause, .. } => match cause.kind() {
            io::ErrorKind::NotFound => Some(elsewhere),
            io::ErrorKind::PermissionDenied => Some("run this as root, or fix the permissions"),
            _ => None,
        },
        LoadError::TooLong { .. } | LoadError::NotUtf8 { .. } | LoadError::Invalid(_) => None,
    };
    Failure {
        exit: Exit::Config,
        message: format!("invalid configuration: {}", path.display()),
        details: error.to_string().lines().map(str::to_owned).collect(),
        hint: hint.map(str::to_owned),
    }
}
