//! Functions and constants that more can see than use them: `pub` ones that no other file names, and those that only tests name.
//!
//! By name alone: a name that two items share hides that one of them is unused, and nothing is reported that is not
//! so. What the compiler sees by itself, an unused private item, is left to it.

use std::collections::{HashMap, HashSet};

use syn::visit::{self, Visit};

use super::exceptions::UNUSED;
use super::file::{File, Finding};
use super::imports::is_for_tests;
use super::rust::words;

/// Where items must be used by somebody.
const PRODUCT: &[&str] = &["ha-agent/src/", "ha-common/src/"];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let rust: Vec<&File> = files.iter().filter(|it| it.has_extension("rs")).collect();
    let tests: HashSet<String> = rust.iter().flat_map(|file| test_modules(file)).collect();
    let is_test = |path: &str| tests.iter().any(|test| path.starts_with(test.as_str()));
    // Files that name something, by the name, and whether any of them does so outside of tests.
    let mut users: HashMap<String, HashSet<&str>> = HashMap::new();
    for file in &rust {
        for word in named_outside_of_tests(file, &is_test) {
            users.entry(word).or_default().insert(&file.path);
        }
    }
    let mut findings = Vec::new();
    for file in &rust {
        if !PRODUCT.iter().any(|root| file.path.starts_with(root)) || is_test(&file.path) {
            continue;
        }
        for (name, line) in visible(&file.text) {
            let elsewhere = users
                .get(&name)
                .is_some_and(|paths| paths.iter().any(|path| *path != file.path));
            let is_listed = UNUSED
                .iter()
                .any(|(path, listed, _)| *path == file.path && *listed == name);
            if !elsewhere && !is_listed {
                let message =
                    format!("no other file uses `{name}` outside of its tests: hide or delete it");
                findings.push(file.finding(line, message));
            }
        }
    }
    findings
}

/// What the paths of the modules begin with that a file declares for its tests alone.
fn test_modules(file: &File) -> Vec<String> {
    let folder = match file.path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder,
        _ => file.path.trim_end_matches(".rs"),
    };
    let items = syn::parse_file(&file.text).map(|parsed| parsed.items);
    let modules = items
        .unwrap_or_default()
        .into_iter()
        .filter_map(|item| match item {
            syn::Item::Mod(it) if it.content.is_none() && is_for_tests(&it.attrs) => Some(it.ident),
            _ => None,
        });
    modules
        .flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/")])
        .collect()
}

/// The identifiers of a file; of the product's without what only tests see, which are no use of it.
fn named_outside_of_tests(file: &File, is_test: &dyn Fn(&str) -> bool) -> HashSet<String> {
    let is_product = PRODUCT.iter().any(|root| file.path.starts_with(root));
    let text = if !is_product {
        file.text.clone()
    } else if is_test(&file.path) {
        return HashSet::new();
    } else {
        without_tests(&file.text)
    };
    let words = words(&text).unwrap_or_default();
    words.into_iter().map(|(word, _)| word).collect()
}

/// By what rustfmt makes of it: the tests are the last module of a file.
fn without_tests(text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod tests {");
    text.get(..end.unwrap_or(text.len()))
        .unwrap_or_default()
        .to_owned()
}

/// Functions, methods and constants that other files may use, with their lines. Types are as visible as what gives
/// them, and need not be named.
fn visible(text: &str) -> Vec<(String, usize)> {
    let mut found = Visible(Vec::new());
    if let Ok(file) = syn::parse_file(text) {
        found.visit_file(&file);
    }
    found.0
}

struct Visible(Vec<(String, usize)>);

impl Visible {
    fn take(&mut self, visibility: &syn::Visibility, ident: &syn::Ident) {
        if !matches!(visibility, syn::Visibility::Inherited) {
            self.0.push((ident.to_string(), ident.span().start().line));
        }
    }
}

impl<'ast> Visit<'ast> for Visible {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Const(it) => self.take(&it.vis, &it.ident),
            syn::Item::Fn(it) if !is_for_tests(&it.attrs) => self.take(&it.vis, &it.sig.ident),
            syn::Item::Static(it) => self.take(&it.vis, &it.ident),
            syn::Item::Impl(it) if it.trait_.is_some() || is_for_tests(&it.attrs) => return,
            syn::Item::Mod(it) if is_for_tests(&it.attrs) => return,
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            self.take(&item.vis, &item.sig.ident);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file::file;

    fn found(own: &str, other: &str) -> Vec<String> {
        let files = [
            file("ha-common/src/a.rs", own),
            file("ha-agent/src/b.rs", other),
        ];
        check(&files).into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn what_no_other_file_names_is_found() {
        assert_eq!(found("pub fn lonely() {}\n", "fn own() {}\n").len(), 1);
        assert_eq!(
            found("pub fn used() {}\n", "fn own() { used() }\n").len(),
            0
        );
        assert_eq!(found("fn private() {}\n", "").len(), 0);
    }

    #[test]
    fn a_test_is_no_user() {
        let tests = "\n#[cfg(test)]\nmod tests {\n    fn a() { used() }\n}\n";
        assert_eq!(found("pub fn used() {}\n", tests).len(), 1);
    }

    #[test]
    fn methods_count_and_those_of_traits_do_not() {
        let own = "struct A;\nimpl A { pub(crate) fn lonely(&self) {} }\nimpl Display for A { fn fmt(&self) {} }\n";
        assert_eq!(found(own, "").len(), 1);
    }
}
