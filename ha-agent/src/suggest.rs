//! "Did you mean": which of the known names somebody meant who wrote another one.

/// The longest name that is compared, in bytes; the comparison takes memory by the product of the lengths.
const MAX_BYTES: usize = 64;

/// The name that is fewest edits away (a letter more, less, other, or two swapped), if these are at most a third
/// of the longer name, and at least one may be.
pub(crate) fn nearest<'n>(
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

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        for (written, known, meant) in [
            ("eht0", &["eth0", "lo"][..], Some("eth0")),
            ("eth2", &["eth0", "eth1"], Some("eth0")),
            ("ngnix", &["nginx", "named"], Some("nginx")),
            ("nginx", &[], None),
            ("web", &["database"], None),
        ] {
            assert_eq!(nearest(written, known.iter().copied()), meant, "{written}");
        }
        let long = "a".repeat(100_000);
        assert_eq!(nearest(&long, [long.as_str(), "a"]), None);
    }
}
