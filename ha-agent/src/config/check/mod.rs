//! What the keys and sections of a file must be to each other, and to the host that it is for.

mod addresses;
mod advert_size;
mod cross_checks;
mod groups;
pub(crate) mod host;
mod instance;
mod transport;
mod virtual_mac;
mod weights;

use super::diagnostics::Report;
use super::read::RawConfig;
use host::Host;

/// Reports what does not go together, and what the host lacks.
pub(crate) fn check(report: &Report<'_>, host: &dyn Host, raw: &RawConfig) {
    for instance in &raw.instances {
        instance::check(report, instance);
    }
    cross_checks::check(report, raw.node.as_ref(), &raw.instances, &raw.checks);
    groups::check(report, &raw.groups, &raw.instances);
    host::check(report, host, raw);
}
