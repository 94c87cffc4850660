//! Which name somebody meant who wrote another one.

/// The longest name that is compared; the comparison takes memory by the product of the lengths.
const MAX_BYTES: usize = 64;

/// What keepalived and FRR call it, and what it is here.
const FOREIGN: [(&str, &str); 39] = [
    ("virtual_router_id", "vrid"),
    ("virtual_ipaddress", "addresses"),
    ("virtual_ipaddress_excluded", "excluded"),
    ("virtual_routes", "routes"),
    ("virtual_rules", "rules"),
    ("vip", "addresses"),
    ("vips", "addresses"),
    ("advert_int", "advert_interval"),
    ("advertisement_interval", "advert_interval"),
    ("nopreempt", "preempt = false"),
    ("down_timer_adverts", "down_multiplier"),
    ("track_script", "track"),
    ("track_interface", "track"),
    ("track_file", "track"),
    ("track_process", "track"),
    ("dont_track_primary", "carrier = \"ignore\""),
    ("auth_hmac", "hmac"),
    ("active_key", "active"),
    ("time_window", "window"),
    ("anti_replay", "replay"),
    ("auth_pass", "password"),
    ("auth_type", "type"),
    ("startup_delay", "start_delay"),
    ("garp_master_refresh", "garp = { refresh = ... }"),
    ("garp_master_repeat", "garp = { count = ... }"),
    ("garp_master_delay", "garp = { repeat_after = ... }"),
    ("garp_interval", "garp = { gap = ... }"),
    ("gna_interval", "garp = { gap = ... }"),
    ("script", "command"),
    ("unicast_peer", "peers"),
    ("unicast_peers", "peers"),
    ("unicast_src_ip", "source"),
    ("mcast_src_ip", "source"),
    ("unicast_ttl", "ttl"),
    ("check_unicast_src", "check_source"),
    ("vrrp_mcast_group4", "group"),
    ("vrrp_mcast_group6", "group"),
    ("use_vmac", "virtual_mac"),
    ("vmac_xmit_base", "virtual_mac"),
];

/// The known key that is meant, if one is near.
pub(super) fn nearest_key(written: &str, known: &[&'static str]) -> Option<&'static str> {
    let lower = written.to_lowercase().replace('-', "_");
    let foreign = FOREIGN
        .into_iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, here)| here)
        // Only where that key exists.
        .filter(|here| {
            here.split(' ')
                .next()
                .is_some_and(|key| known.contains(&key))
        });
    foreign
        .or_else(|| nearest(&lower, known.iter().copied()))
        .or_else(|| {
            // `interval` for `advert_interval`, `address` for `addresses`.
            known
                .iter()
                .copied()
                .find(|key| lower.len() >= 4 && key.contains(lower.as_str()))
        })
}

/// The name with the fewest edits, if they are at most a third of it.
pub(super) fn nearest<'n>(
    written: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    if written.len() > MAX_BYTES {
        return None;
    }
    known
        .into_iter()
        .filter(|name| name.len() <= MAX_BYTES)
        .map(|name| (strsim::osa_distance(written, name), name))
        .filter(|(edits, name)| *edits <= (written.len().max(name.len()) / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 7] = [
        "carrier",
        "track",
        "priority",
        "vrid",
        "advert_interval",
        "addresses",
        "preempt",
    ];

    #[test]
    fn a_slip_of_the_finger_and_a_foreign_name_find_their_key() {
        for (written, key) in [
            ("prioritty", "priority"),
            ("Priority", "priority"),
            ("pirority", "priority"),
            ("vird", "vrid"),
            ("interval", "advert_interval"),
            ("advert-interval", "advert_interval"),
            ("address", "addresses"),
            ("virtual_router_id", "vrid"),
            ("nopreempt", "preempt = false"),
            ("track_interface", "track"),
            ("dont_track_primary", "carrier = \"ignore\""),
        ] {
            assert_eq!(nearest_key(written, &KNOWN), Some(key), "{written}");
        }
    }

    #[test]
    fn a_name_that_is_near_nothing_finds_nothing() {
        let long = "a".repeat(100_000);
        for written in ["", "x", "colour", "auth_pass", long.as_str()] {
            assert_eq!(nearest_key(written, &KNOWN), None);
        }
    }
}
