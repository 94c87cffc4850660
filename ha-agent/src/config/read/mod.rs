//! A file becomes raw sections: each key by itself, with its place, and what is wrong with it reported. What
//! the keys must be to each other is in `check`.
//!
//! `table` knows the kinds of values, and the other files one section or table each.

mod address;
mod check;
mod endpoint;
mod group;
mod hmac;
mod instance;
mod key_file;
mod node;
mod owned_addresses;
mod parse_names;
mod process;
mod table;
mod track;
mod transport;
mod virtual_mac;
mod virtual_route;
mod virtual_rule;

use toml::de::DeTable;

pub(crate) use address::{family, family_of};
pub(crate) use check::RawCheck;
pub(crate) use group::RawGroup;
pub(crate) use instance::RawInstance;
pub(crate) use table::{At, quoted_list, shortened};
pub(crate) use virtual_mac::RequestedMac;

use super::diagnostics::Report;
use super::model::{Config, Node};
use table::Table;

/// What could be read of a file.
pub(crate) struct RawConfig {
    pub(crate) node: Option<Node>,
    pub(crate) instances: Vec<RawInstance>,
    pub(crate) checks: Vec<RawCheck>,
    pub(crate) groups: Vec<RawGroup>,
}

/// Reads every section. `None`: a section is no list at all, which was reported, and what it would have held is
/// unknown.
pub(crate) fn read<'t>(report: &'t Report<'t>, document: &'t DeTable<'t>) -> Option<RawConfig> {
    let mut root = Table::root(report, document);
    let node = node::read(root.get("node"));
    let instances = root.sections("instance");
    let checks = root.sections("check");
    let groups = root.sections("group");
    root.finish();
    let instances = instances.map(|s| s.into_iter().map(instance::read).collect());
    let checks = checks.map(|s| s.into_iter().map(check::read).collect());
    let groups = groups.map(|s| s.into_iter().map(group::read).collect());
    Some(RawConfig {
        node,
        instances: instances?,
        checks: checks?,
        groups: groups?,
    })
}

impl RawConfig {
    /// The configuration, if all of it could be read.
    pub(crate) fn model(self) -> Option<Config> {
        let instances = self.instances.into_iter().map(|raw| raw.model);
        let checks = self.checks.into_iter().map(|raw| raw.model);
        let groups = self.groups.into_iter().map(|raw| raw.model);
        Some(Config {
            node: self.node?,
            instances: all(instances)?,
            checks: all(checks)?,
            groups: all(groups)?,
            warnings: Vec::new(),
        })
    }
}

/// All of them, if each could be read, and no more memory than they need: they are collected where what was read stood,
/// which is three times as large.
fn all<T>(models: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut all: Vec<T> = models.collect::<Option<_>>()?;
    all.shrink_to_fit();
    Some(all)
}
