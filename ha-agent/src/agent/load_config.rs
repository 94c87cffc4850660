//! Reading the configuration for a command.

use std::io;
use std::path::Path;

use super::exit::Exit;
use super::failure::Failure;
use crate::config::{self, Config, LoadError};

/// Reads a configuration, as every command does that needs one; `elsewhere` says how to name another file.
pub fn load(path: &Path, elsewhere: &str) -> Result<Config, Failure> {
    config::load(path).map_err(|error| {
        let hint = match &error {
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
    })
}
