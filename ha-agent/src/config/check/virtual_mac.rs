//! What `virtual_mac` must be to other keys and other instances.

use std::collections::{HashMap, HashSet};

use crate::config::diagnostics::Report;
use crate::config::read::{At, RawInstance, RequestedMac};

/// What an instance's own keys and those of the others say against it.
pub(crate) fn check(report: &Report<'_>, instances: &[RawInstance]) {
    for raw in instances {
        not_unicast(report, raw);
    }
    unique_devices(report, instances);
}

/// Unicast is for networks that know the hosts' own addresses only.
fn not_unicast(report: &Report<'_>, raw: &RawInstance) {
    let Some(wish) = &raw.virtual_mac else {
        return;
    };
    if matches!(wish.get_ref(), RequestedMac::No) || raw.transport.peers.is_empty() {
        return;
    }
    let message = "`virtual_mac` does not go with `peers`: networks that need unicast carry no MAC but the \
                   hosts' own; leave one of them out";
    report.error(&wish.span(), message);
}

/// One device holds one virtual MAC, and is no interface of another instance.
fn unique_devices(report: &Report<'_>, instances: &[RawInstance]) {
    let interfaces: HashSet<&str> = instances
        .iter()
        .filter_map(|raw| raw.interface.as_ref())
        .map(|interface| interface.get_ref().as_str())
        .collect();
    let mut seen: HashMap<String, _> = HashMap::new();
    for raw in instances {
        let Some((wish, device)) = device_of(raw) else {
            continue;
        };
        if interfaces.contains(device.as_str()) {
            let message = format!(
                "the device `{device}` of a virtual MAC cannot be the `interface` of an instance; name \
                 another: virtual_mac = {{ device = \"NAME\" }}"
            );
            report.error(&wish.span(), message);
        }
        if let Some(earlier) = seen.get(&device) {
            let message = format!(
                "the virtual MAC of another instance has the device `{device}` already ({}); name \
                 another: virtual_mac = {{ device = \"NAME\" }}",
                report.line(earlier)
            );
            report.error(&wish.span(), message);
        } else {
            seen.insert(device, wish.span());
        }
    }
}

fn device_of(raw: &RawInstance) -> Option<(&At<RequestedMac>, String)> {
    let wish = raw.virtual_mac.as_ref()?;
    let found = raw.device()?;
    Some((wish, found.device))
}
