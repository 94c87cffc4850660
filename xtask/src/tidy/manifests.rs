//! Rules for Cargo.toml files: every member takes the workspace's lints and licence, and uses what it
//! depends on.

use toml::{Table, Value};

use crate::tidy::file::{File, Finding};

pub(super) fn check(file: &File) -> Vec<Finding> {
    if !is_manifest(&file.path) {
        return Vec::new();
    }
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![file.finding(0, format!("is not TOML: {error}"))],
    };
    // The root has no package; the fuzz targets are a workspace of their own, as cargo-fuzz wants it.
    if !manifest.contains_key("package") || manifest.contains_key("workspace") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let inherits = |value: Option<&Value>| {
        value
            .and_then(|value| value.get("workspace"))
            .and_then(Value::as_bool)
            == Some(true)
    };
    if !inherits(manifest.get("lints")) {
        findings.push(file.finding(
            0,
            "does not opt into the workspace's lints: `[lints] workspace = true`",
        ));
    }
    let package = manifest.get("package");
    for field in ["edition", "license", "rust-version", "version"] {
        if !inherits(package.and_then(|package| package.get(field))) {
            findings.push(file.finding(0, format!("`{field}` is not taken from the workspace")));
        }
    }
    findings
}

/// A dependency that no file of its package names is built, audited and shipped for nothing.
pub(super) fn check_used(files: &[File]) -> Vec<Finding> {
    let manifests = files.iter().filter(|file| is_manifest(&file.path));
    manifests
        .flat_map(|manifest| unused(manifest, files))
        .collect()
}

fn unused(manifest: &File, files: &[File]) -> Vec<Finding> {
    let folder = manifest.path.trim_end_matches("Cargo.toml");
    let sources: Vec<&File> = files
        .iter()
        .filter(|file| file.path.starts_with(folder) && file.has_extension("rs"))
        .collect();
    dependencies(manifest)
        .into_iter()
        .filter(|name| {
            let in_code = name.replace('-', "_");
            !sources.iter().any(|file| names(&file.text, &in_code))
        })
        .map(|name| manifest.finding(0, format!("depends on {name}, which nothing here uses")))
        .collect()
}

/// What a package depends on, of whatever kind. What the workspace offers to its members is not counted.
fn dependencies(manifest: &File) -> Vec<String> {
    // One that is not TOML has a finding of its own.
    let table: Table = manifest.text.parse().unwrap_or_default();
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .filter_map(|kind| table.get(kind)?.as_table())
        .flat_map(Table::keys)
        .cloned()
        .collect()
}

/// Whether a text has the name as a whole word.
fn names(text: &str, name: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text
            .get(at + name.len()..)
            .and_then(|text| text.chars().next());
        !before.is_some_and(goes_on) && !after.is_some_and(goes_on)
    })
}

fn is_manifest(path: &str) -> bool {
    path == "Cargo.toml" || path.ends_with("/Cargo.toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file::file;

    const GOOD: &str = "[package]\nname = \"a\"\nedition.workspace = true\nlicense.workspace = true\n\
        rust-version.workspace = true\nversion.workspace = true\n[lints]\nworkspace = true\n";

    #[test]
    fn a_member_inherits_lints_and_package_fields() {
        assert_eq!(check(&file("a/Cargo.toml", GOOD)), []);
        let without_lints = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(check(&file("a/Cargo.toml", &without_lints)).len(), 1);
        let own_edition = GOOD.replace("edition.workspace = true", "edition = \"2021\"");
        assert_eq!(check(&file("a/Cargo.toml", &own_edition)).len(), 1);
    }

    #[test]
    fn a_dependency_that_nothing_uses_is_found() {
        let manifest = "[dependencies]\naya-log.workspace = true\nlog = \"0.4\"\n\
            [dev-dependencies]\ntempfile = \"3\"\n";
        let files = [
            file("a/Cargo.toml", manifest),
            file(
                "a/src/lib.rs",
                "use aya_log::EbpfLogger;\nfn catalog() {}\n",
            ),
            file("b/src/lib.rs", "use tempfile::TempDir;\n"),
        ];
        let found: Vec<String> = check_used(&files)
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        assert_eq!(
            found,
            ["log", "tempfile"].map(|name| format!("depends on {name}, which nothing here uses"))
        );
    }

    #[test]
    fn other_files_and_workspace_roots_are_left_alone() {
        assert_eq!(check(&file("a/Other.toml", "[package]\n")), []);
        assert_eq!(check(&file("Cargo.toml", "[workspace]\n")), []);
        assert_eq!(
            check(&file("fuzz/Cargo.toml", "[package]\n[workspace]\n")),
            []
        );
    }
}
