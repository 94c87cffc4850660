//! An entry of `rules`: which packets look for their route in which table.

use ha_common::units::Family;

use super::address;
use super::parse_names;
use super::table::Field;
use super::virtual_route::{read_network, read_table};
use crate::config::model::virtual_rule::VirtualRule;

/// Reads an entry. `family` is the instance's, for a rule that names no network.
pub(crate) fn read(field: &Field<'_>, family: Option<Family>) -> Option<VirtualRule> {
    let mut table = field.table()?;
    let t = &mut table;
    let network = |f: &Field<'_>| read_network(f, family).map(Some);
    let from = t.optional("from", None, network);
    let to = t.optional("to", None, network);
    let iif = t.optional("iif", None, |f| parse_names::interface_itself(f).map(Some));
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
