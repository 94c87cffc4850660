//! Which name somebody meant who wrote another one.

use super::key_table::Section;

/// The longest name that is compared; the comparison takes memory by the product of the lengths.
const MAX_BYTES: usize = 64;

/// The key of a section that is meant, if one is near.
pub(super) fn nearest_key(written: &str, section: &Section) -> Option<&'static str> {
    let lower = written.to_lowercase().replace('-', "_");
    let mut foreign = section.keys.iter().flat_map(|key| key.foreign);
    let foreign = foreign.find(|(name, _)| *name == lower);
    let known = section.names();
    let foreign = foreign.map(|(_, here)| *here);
    foreign
        // `interval` for `advert_interval`, `address` for `addresses`.
        .or_else(|| {
            let mut known = known.clone();
            known.find(|key| lower.len() >= 4 && key.contains(lower.as_str()))
        })
        .or_else(|| nearest(&lower, known))
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

    use super::super::key_table::INSTANCE;

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
            assert_eq!(nearest_key(written, &INSTANCE), Some(key), "{written}");
        }
    }

    #[test]
    fn a_name_that_is_near_nothing_finds_nothing() {
        let long = "a".repeat(100_000);
        for written in ["", "x", "colour", "auth_pass", long.as_str()] {
            assert_eq!(nearest_key(written, &INSTANCE), None);
        }
    }
}
