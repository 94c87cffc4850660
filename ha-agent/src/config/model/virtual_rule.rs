//! A rule that a master adds: which packets look for their route in which table.

use std::fmt;

use ha_common::units::Family;
use ipnet::IpNet;
use serde::Serialize;

/// A rule that a master adds.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct VirtualRule {
    /// The family of the packets.
    #[serde(skip)]
    pub family: Family,
    /// `priority`: 1 to 32765, the lowest is looked up first.
    pub priority: u32,
    /// `from`: where a packet comes from.
    pub from: Option<IpNet>,
    /// `to`: where it is going.
    pub to: Option<IpNet>,
    /// `iif`: the interface that it came in by; `lo` for the host's own.
    pub iif: Option<String>,
    /// `fwmark`: the mark that a firewall gave it; not 0.
    pub fwmark: Option<u32>,
    /// `table`: where its route is looked for; 1 to 4294967295 and not 255.
    pub table: u32,
}

impl VirtualRule {
    /// What two rules must not have in common: of two for the same packets only the first is asked.
    pub(crate) fn key(&self) -> Self {
        Self {
            table: 0,
            ..self.clone()
        }
    }
}

/// As `ip rule` writes it.
impl fmt::Display for VirtualRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            family: _,
            priority,
            from,
            to,
            iif,
            fwmark,
            table,
        } = self;
        match from {
            Some(from) => write!(f, "from {from}")?,
            None => f.write_str("from all")?,
        }
        if let Some(to) = to {
            write!(f, " to {to}")?;
        }
        if let Some(iif) = iif {
            write!(f, " iif {iif}")?;
        }
        if let Some(mark) = fwmark {
            write!(f, " fwmark {mark:#x}")?;
        }
        write!(f, " lookup {table} priority {priority}")
    }
}
