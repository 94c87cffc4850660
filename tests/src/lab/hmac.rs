//! Keys for signed adverts, as an operator lays them on a host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};

use super::host::Host;

/// A secret of 32 bytes, in the words that the agent and keepalived share.
pub fn secret(byte: u8) -> String {
    format!("hex:{}", format!("{byte:02x}").repeat(32))
}

/// A key of `hmac`, with its secret in a file of the host.
pub fn key(host: &Host, id: u8, byte: u8) -> Result<toml::Value> {
    let path = host.run_dir().join(format!("key-{id}"));
    fs::write(&path, format!("{}\n", secret(byte)))
        .with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let mut table = toml::Table::new();
    table.insert("id".to_owned(), i64::from(id).into());
    let path = path.to_str().context("a lab's paths are UTF-8")?;
    table.insert("file".to_owned(), path.into());
    Ok(table.into())
}

/// The value of `hmac`.
pub fn hmac(keys: Vec<toml::Value>, active: u8, mode: &str) -> toml::Table {
    let mut table = toml::Table::new();
    table.insert("keys".to_owned(), keys.into());
    table.insert("active".to_owned(), i64::from(active).into());
    table.insert("mode".to_owned(), mode.into());
    table
}
