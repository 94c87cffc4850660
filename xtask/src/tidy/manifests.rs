//! Rules for Cargo.toml files: every member takes the workspace's lints and licence.

use toml::{Table, Value};

use super::{File, Finding};

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

fn is_manifest(path: &str) -> bool {
    path == "Cargo.toml" || path.ends_with("/Cargo.toml")
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

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
    fn other_files_and_workspace_roots_are_left_alone() {
        assert_eq!(check(&file("a/Other.toml", "[package]\n")), []);
        assert_eq!(check(&file("Cargo.toml", "[workspace]\n")), []);
        assert_eq!(
            check(&file("fuzz/Cargo.toml", "[package]\n[workspace]\n")),
            []
        );
    }
}
