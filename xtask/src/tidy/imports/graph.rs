//! Which files of a crate import which.

use std::collections::{BTreeMap, BTreeSet};

/// A file that imports another, and the line where it does.
pub(super) type Imports = BTreeMap<usize, BTreeMap<usize, usize>>;

/// The files that one reaches by imports.
pub(super) fn reachable(imports: &Imports, from: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for to in imports.get(&file).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(*to) {
                open.push(*to);
            }
        }
    }
    seen
}
