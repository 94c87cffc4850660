//! An entry of `rules`: which packets look for their route in which table.

use std::fmt;

use ha_common::units::Family;
use ipnet::IpNet;

use super::address;
use super::names;
use super::reader::Field;
use super::virtual_route::{read_network, read_table};

/// A rule that a master adds.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VirtualRule {
    /// The family of the packets.
    pub family: Family,
    /// `priority`: 1 to 32765, the least is asked first.
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
    pub(super) fn key(&self) -> Self {
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

/// Reads an entry. `family` is the instance's, for a rule that names no network.
pub(super) fn read(field: &Field<'_>, family: Option<Family>) -> Option<VirtualRule> {
    let mut table = field.table()?;
    let t = &mut table;
    let network = |f: &Field<'_>| read_network(f, family).map(Some);
    let from = t.optional("from", None, network);
    let to = t.optional("to", None, network);
    let iif = t.optional("iif", None, |f| names::interface(f).map(Some));
    let fwmark = t.optional("fwmark", None, |f| {
        let mark = f.integer(", a mark of the firewall")?;
        u32::try_from(mark).ok().map(Some)
    });
    let number = t.required("table", read_table);
    let priority = t.required("priority", |f| {
        u32::try_from(f.integer(", before the kernel's own rules")?).ok()
    });
    table.finish();
    let (from, to) = (from?.into_inner(), to?.into_inner());
    let (iif, fwmark) = (iif?.into_inner(), fwmark?.into_inner());
    if from.is_none() && to.is_none() && iif.is_none() && fwmark.is_none() {
        return field.problem("must say which packets: with `from`, `to`, `iif` or `fwmark`");
    }
    let families = [&from, &to].map(|net| net.as_ref().map(address::family));
    if let [Some(one), Some(other)] = families
        && one != other
    {
        return field.problem("must have `from` and `to` of one family");
    }
    let [one, other] = families;
    Some(VirtualRule {
        family: one.or(other).or(family)?,
        priority: priority?.into_inner(),
        from,
        to,
        iif,
        fwmark,
        table: number?.into_inner(),
    })
}
