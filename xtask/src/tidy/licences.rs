//! Rules for what we depend on: known sources, allowed licences, a lock file that is up to date. The lists are
//! those of deny.toml, so that cargo-deny, where it is installed, and we agree.

use anyhow::{Context as _, Result};
use serde_json::Value;
use spdx::{Expression, ParseMode};

use crate::process;
use crate::tidy::file::Finding;
use crate::workspace::Workspace;

/// Only packages from here, or our own.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

const DENY: &str = "deny.toml";

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let policy =
        std::fs::read_to_string(workspace.path(DENY)).with_context(|| format!("reading {DENY}"))?;
    let allowed = allowed_licences(&policy)?;
    // `--locked` fails if a manifest asks for something that the lock file does not have.
    let text =
        process::output(
            workspace
                .cargo()
                .args(["metadata", "--format-version=1", "--locked"]),
        )?;
    let metadata: Value =
        serde_json::from_str(&text).context("cargo metadata wrote something that is not JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let problems = packages.iter().filter_map(|package| {
        let problem = problem(package, &allowed)?;
        let name = package["name"].as_str().unwrap_or("?");
        let version = package["version"].as_str().unwrap_or("?");
        Some(Finding {
            path: "Cargo.lock".to_owned(),
            line: 0,
            message: format!("{name} {version} {problem}"),
        })
    });
    Ok(problems.collect())
}

/// `licenses.allow` of deny.toml.
fn allowed_licences(policy: &str) -> Result<Vec<String>> {
    let policy: toml::Table = policy
        .parse()
        .with_context(|| format!("{DENY} is not TOML"))?;
    let allow = policy
        .get("licenses")
        .and_then(|licenses| licenses.get("allow"))
        .and_then(toml::Value::as_array)
        .with_context(|| format!("{DENY} has no list licenses.allow"))?;
    Ok(allow
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect())
}

fn problem(package: &Value, allowed: &[String]) -> Option<String> {
    match package["source"].as_str() {
        None | Some(REGISTRY) => {}
        Some(other) => return Some(format!("comes from {other}, not from crates.io")),
    }
    let Some(licence) = package["license"].as_str() else {
        return Some("states no licence".to_owned());
    };
    // Old packages write `MIT/Apache-2.0`.
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return Some(format!(
            "has the licence `{licence}`, which is not an SPDX expression"
        ));
    };
    let acceptable = expression.evaluate(|requirement| allowed.contains(&requirement.to_string()));
    (!acceptable).then(|| format!("has the licence `{licence}`, which {DENY} does not allow"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(source: Option<&str>, licence: Option<&str>) -> Option<String> {
        let policy = "[licenses]\nallow = [\"MIT\", \"Apache-2.0\"]\n";
        let package =
            json!({ "name": "a", "version": "1.0.0", "source": source, "license": licence });
        problem(&package, &allowed_licences(policy).unwrap())
    }

    #[test]
    fn one_allowed_alternative_is_enough_and_every_joined_part_is_needed() {
        let source = Some(REGISTRY);
        assert_eq!(verdict(source, Some("MIT")), None);
        assert_eq!(verdict(source, Some("MIT/GPL-2.0")), None);
        assert_eq!(
            verdict(source, Some("(GPL-3.0-only OR Apache-2.0) AND MIT")),
            None
        );
        assert!(verdict(source, Some("MIT AND GPL-2.0-only")).is_some());
        assert!(verdict(source, Some("something else")).is_some());
        assert!(verdict(source, None).is_some());
    }

    #[test]
    fn other_sources_than_the_registry_are_found() {
        assert_eq!(verdict(None, Some("MIT")), None);
        assert!(verdict(Some("git+https://example.org/a"), Some("MIT")).is_some());
    }
}
