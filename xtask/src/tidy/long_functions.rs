//! The longest function that is allowed: one that fits on a screen.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::exceptions::{LONG_FUNCTIONS, LONGEST_FUNCTION};
use super::file::{File, Finding};

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut long = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("rs")) {
        for function in functions(&file.text) {
            if function.lines <= LONGEST_FUNCTION {
                continue;
            }
            long.push((file.path.as_str(), function.name.clone()));
            let is_listed = LONG_FUNCTIONS
                .iter()
                .any(|(path, name, _)| *path == file.path && *name == function.name);
            if !is_listed {
                let message = format!(
                    "`{}` has {} lines: at most {LONGEST_FUNCTION}",
                    function.name, function.lines
                );
                findings.push(file.finding(function.line, message));
            }
        }
    }
    findings.extend(stale(&long));
    findings
}

/// Exceptions that nobody needs any more.
fn stale(long: &[(&str, String)]) -> Vec<Finding> {
    LONG_FUNCTIONS
        .iter()
        .filter(|(path, name, _)| !long.iter().any(|(at, is)| at == path && is == name))
        .map(|(path, name, _)| Finding {
            path: (*path).to_owned(),
            line: 0,
            message: format!("tidy's exception for the length of `{name}` is no longer needed"),
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// What cannot be read as Rust is found by the rules for Rust files.
fn functions(text: &str) -> Vec<Function> {
    let mut found = Functions(Vec::new());
    if let Ok(file) = syn::parse_file(text) {
        found.visit_file(&file);
    }
    found.0
}

struct Functions(Vec<Function>);

impl Functions {
    fn take(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        self.0.push(Function {
            name: signature.ident.to_string(),
            line: first,
            lines: block.span().end().line - first + 1,
        });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.take(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.take(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file::file;

    #[test]
    fn a_function_is_as_long_as_its_signature_and_body() {
        let text =
            "struct A;\nimpl A {\n    fn one(\n        self,\n    ) {\n    }\n}\nfn two() {}\n";
        let found: Vec<(String, usize, usize)> = functions(text)
            .into_iter()
            .map(|it| (it.name, it.line, it.lines))
            .collect();
        assert_eq!(found, [("one".to_owned(), 3, 4), ("two".to_owned(), 8, 1)]);
    }

    #[test]
    fn a_long_one_is_found() {
        let long = format!("fn a() {{{}}}\n", "\n".repeat(LONGEST_FUNCTION));
        let found = check(&[file("a/src/b.rs", &long)]);
        assert!(found.iter().any(|it| it.path == "a/src/b.rs"), "{found:?}");
    }
}
