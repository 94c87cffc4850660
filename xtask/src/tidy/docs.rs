//! Rules for documents: links and the source files that they name exist, and the README knows every subcommand.

use clap::CommandFactory as _;

use crate::Cli;
use crate::tidy::file::{File, Finding};

/// `exists` is asked about paths relative to the root.
pub(super) fn check_links(file: &File, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    if !file.has_extension("md") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut fenced = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in link_targets(line) {
            if !leads_somewhere(&file.path, target, exists) {
                findings.push(file.finding(number, format!("broken link: `{target}`")));
            }
        }
    }
    findings
}

/// A source file in backticks is one that some folder ends in: `router/mod.rs`, or the bare name of a file.
pub(super) fn check_sources(files: &[File]) -> Vec<Finding> {
    let exists = |name: &str| {
        let tail = format!("/{name}");
        let mut paths = files.iter().map(|file| file.path.as_str());
        paths.any(|path| path == name || path.ends_with(&tail))
    };
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        for (number, line) in file.lines() {
            for name in line
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|it| is_source(it))
            {
                if !exists(name) {
                    findings.push(file.finding(number, format!("there is no file `{name}`")));
                }
            }
        }
    }
    findings
}

fn is_source(text: &str) -> bool {
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    text.strip_suffix(".rs")
        .is_some_and(|stem| !stem.is_empty() && stem.chars().all(is_path))
}

/// The README is where a newcomer looks for what there is.
pub(super) fn check_subcommands(files: &[File]) -> Vec<Finding> {
    let Some(readme) = files.iter().find(|file| file.path == "README.md") else {
        return vec![Finding {
            path: "README.md".to_owned(),
            line: 0,
            message: "is missing".to_owned(),
        }];
    };
    Cli::command()
        .get_subcommands()
        .map(|subcommand| format!("cargo xtask {}", subcommand.get_name()))
        .filter(|usage| !readme.text.contains(usage))
        .map(|usage| readme.finding(0, format!("does not mention `{usage}`")))
        .collect()
}

/// What stands in `](...)`.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let (target, _) = rest.split_once(')')?;
        // A title may follow the target.
        target.split_whitespace().next()
    })
}

fn leads_somewhere(from: &str, target: &str, exists: &dyn Fn(&str) -> bool) -> bool {
    let (path, _anchor) = target.split_once('#').unwrap_or((target, ""));
    let elsewhere = target.contains("://") || target.starts_with("mailto:");
    if path.is_empty() || elsewhere {
        return true;
    }
    match from.rsplit_once('/') {
        Some((folder, _)) => exists(&format!("{folder}/{path}")),
        None => exists(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file::file;

    #[test]
    fn relative_links_are_followed_from_their_file() {
        let exists = |path: &str| path == "docs/SECURITY.md";
        let good = file(
            "docs/OPERATIONS.md",
            "[a](SECURITY.md#keys \"title\") [b](#here) [c](https://x.y/z)\n",
        );
        assert_eq!(check_links(&good, &exists), []);
        let bad = file(
            "README.md",
            "see\n[a](SECURITY.md) and [b](docs/SECURITY.md)\n",
        );
        let found = check_links(&bad, &exists);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "README.md:2: broken link: `SECURITY.md`"
        );
    }

    #[test]
    fn code_is_not_read_for_links() {
        let code = file("README.md", "```rust\nlet x = map[0](nowhere);\n```\n");
        assert_eq!(check_links(&code, &|_| false), []);
    }

    #[test]
    fn a_readme_that_forgets_a_subcommand_is_found() {
        let all: Vec<String> = Cli::command()
            .get_subcommands()
            .map(|subcommand| format!("`cargo xtask {}`\n", subcommand.get_name()))
            .collect();
        assert_eq!(check_subcommands(&[file("README.md", &all.concat())]), []);
        let forgetful = file("README.md", &all.concat().replace("cargo xtask fuzz", ""));
        assert_eq!(check_subcommands(&[forgetful]).len(), 1);
        assert_eq!(check_subcommands(&[]).len(), 1);
    }

    #[test]
    fn a_source_file_that_is_named_has_to_be_there() {
        let files = [
            file(
                "docs/a.md",
                "see `b/c.rs`, `c.rs`, `gone.rs`, `*.rs` and `not a file.rs`\n",
            ),
            file("ha-agent/src/b/c.rs", ""),
        ];
        let found = check_sources(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("gone.rs"), "{found:?}");
    }
}
