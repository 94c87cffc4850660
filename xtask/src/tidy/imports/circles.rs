//! Circles: files that import each other, directly or over others.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Imports, reachable};
use super::names::Library;
use crate::tidy::file::Finding;

pub(super) fn find(library: &Library<'_>, imports: &Imports) -> Vec<Finding> {
    let reach: BTreeMap<usize, BTreeSet<usize>> = imports
        .keys()
        .map(|file| (*file, reachable(imports, *file)))
        .collect();
    let reaches = |from: usize, to: usize| reach.get(&from).is_some_and(|all| all.contains(&to));
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for file in imports.keys().filter(|file| reaches(**file, **file)) {
        if !seen.insert(*file) {
            continue;
        }
        let circle: Vec<usize> = reach
            .get(file)
            .into_iter()
            .flatten()
            .copied()
            .filter(|other| reaches(*other, *file))
            .collect();
        seen.extend(circle.iter().copied());
        let arrows: Vec<String> = circle
            .iter()
            .flat_map(|from| {
                imports
                    .get(from)
                    .into_iter()
                    .flatten()
                    .map(move |to| (*from, to))
            })
            .filter(|(_, (to, _))| circle.contains(to))
            .map(|(from, (to, line))| {
                format!(
                    "{}:{line} -> {}",
                    library.file(from).path,
                    library.file(*to).path
                )
            })
            .collect();
        let message = format!(
            "a circle of {} files:\n  {}",
            circle.len(),
            arrows.join("\n  ")
        );
        findings.push(library.file(*file).finding(0, message));
    }
    findings
}
