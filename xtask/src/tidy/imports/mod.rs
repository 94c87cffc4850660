//! The order of imports: no file imports against the order of the rooms, and no circle of files.
//!
//! A file imports another where it names something that is defined there, whichever re-export it names it by. Tests
//! may import whatever they like.

mod circles;
mod graph;
mod names;
mod uses;

use super::exceptions::{LIBRARIES, ROOMS, covers};
use crate::tidy::file::{File, Finding};
use graph::Imports;
use names::Library;

pub(super) use uses::is_for_tests;

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for root in LIBRARIES {
        let inside: Vec<&File> = files
            .iter()
            .filter(|file| file.path.starts_with(root) && file.has_extension("rs"))
            .collect();
        // What cannot be read as Rust is found by the rules for Rust files.
        let Some(library) = Library::read(root, &inside) else {
            continue;
        };
        let imports = library.imports();
        findings.extend(against_the_order(&library, &imports));
        findings.extend(circles::find(&library, &imports));
    }
    findings
}

/// Imports of a room that stands further up.
fn against_the_order(library: &Library<'_>, imports: &Imports) -> Vec<Finding> {
    let floor = |path: &str| {
        ROOMS
            .iter()
            .position(|rooms| rooms.iter().any(|room| covers(room, path)))
    };
    let mut findings = Vec::new();
    for (from, to) in imports {
        let from = library.file(*from);
        let here = floor(&from.path);
        for (to, line) in to {
            let to = library.file(*to);
            let there = floor(&to.path);
            if let (Some(here), Some(there)) = (here, there)
                && there < here
            {
                let message = format!("imports {}, which is above it", to.path);
                findings.push(from.finding(*line, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file::file;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| file(&format!("ha-agent/src/{path}"), text))
            .collect();
        let findings = check(&files);
        findings
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn an_import_of_a_room_above_is_found() {
        let files = [
            ("lib.rs", "mod driver;\nmod net;\n"),
            ("net/a.rs", "use crate::driver::b::B;\n"),
            ("driver/mod.rs", "mod b;\n"),
            ("driver/b.rs", "pub struct B;\n"),
        ];
        let found = found(&files);
        assert_eq!(
            found,
            ["ha-agent/src/net/a.rs:1: imports ha-agent/src/driver/b.rs, which is above it"]
        );
    }

    #[test]
    fn a_circle_is_found_through_a_re_export() {
        let files = [
            ("net/mod.rs", "mod a;\nmod b;\npub use b::B;\n"),
            ("net/a.rs", "use super::B;\npub struct A;\n"),
            ("net/b.rs", "use super::a::A;\npub struct B;\n"),
        ];
        let found = found(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("a circle of 2 files"), "{found:?}");
        assert!(!found[0].contains("net/mod.rs"), "{found:?}");
    }

    #[test]
    fn tests_and_other_crates_are_no_imports() {
        let files = [
            ("lib.rs", "mod driver;\nmod net;\n"),
            ("driver/mod.rs", "mod b;\n"),
            (
                "net/a.rs",
                "use std::fmt;\n#[cfg(test)]\nmod tests {\n    use crate::driver::b::B;\n}\n",
            ),
            ("driver/b.rs", "use crate::net::a;\npub struct B;\n"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }
}
