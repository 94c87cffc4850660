//! Rules for Rust files: what they open with, how long they are, and which words are fenced in or out.

use std::str::FromStr as _;

use proc_macro2::{TokenStream, TokenTree};

use super::exceptions::{LONG_FILES, LONGEST_FILE, UNSAFE, covers};
use crate::tidy::file::{File, Finding};

/// Macros that are for the desk, not for the repository.
const LEFTOVERS: &[&str] = &["dbg", "todo", "unimplemented"];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let rust: Vec<&File> = files
        .iter()
        .filter(|file| file.has_extension("rs"))
        .collect();
    let mut findings: Vec<Finding> = rust.iter().flat_map(|file| check_file(file)).collect();
    findings.extend(stale_exceptions(&rust));
    findings
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.text.starts_with("//! ") {
        findings.push(file.finding(1, "does not open with a `//!` that says what the file owns"));
    }
    let length = file.text.lines().count();
    if length > LONGEST_FILE && !is_listed(LONG_FILES, &file.path) {
        let message =
            format!("{length} lines: one file is one concept, at most {LONGEST_FILE} lines");
        findings.push(file.finding(0, message));
    }
    match tokens(&file.text) {
        Ok(words) => findings.extend(check_words(file, &words)),
        Err(error) => findings.push(file.finding(0, format!("is not Rust: {error}"))),
    }
    findings
}

fn check_words(file: &File, words: &[Word]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let unsafe_allowed = is_listed(UNSAFE, &file.path);
    for word in words {
        if word.is_macro && LEFTOVERS.contains(&word.text.as_str()) {
            findings.push(file.finding(word.line, format!("`{}!` is a leftover", word.text)));
        }
        if word.text == "unsafe" && !unsafe_allowed {
            let message =
                "`unsafe` outside the files that tidy lists (xtask/src/tidy/exceptions.rs)";
            findings.push(file.finding(word.line, message));
        }
    }
    findings
}

fn stale_exceptions(files: &[&File]) -> Vec<Finding> {
    let still_long = |entry: &str| {
        let file = files.iter().find(|file| covers(entry, &file.path));
        file.is_some_and(|file| file.text.lines().count() > LONGEST_FILE)
    };
    let still_unsafe = |entry: &str| {
        let mut listed = files.iter().filter(|file| covers(entry, &file.path));
        listed.any(|file| {
            tokens(&file.text).is_ok_and(|words| words.iter().any(|word| word.text == "unsafe"))
        })
    };
    let long = LONG_FILES.iter().filter(|(entry, _)| !still_long(entry));
    let fenced = UNSAFE.iter().filter(|(entry, _)| !still_unsafe(entry));
    long.chain(fenced)
        .map(|(entry, _)| Finding {
            path: (*entry).to_owned(),
            line: 0,
            message: "tidy's exception for this is no longer needed".to_owned(),
        })
        .collect()
}

fn is_listed(list: &[(&str, &str)], path: &str) -> bool {
    list.iter().any(|(entry, _)| covers(entry, path))
}

/// An identifier or keyword outside comments and literals.
struct Word {
    text: String,
    line: usize,
    is_macro: bool,
}

/// The identifiers and keywords of a file with their lines, outside comments and literals.
pub(super) fn words(text: &str) -> Option<Vec<(String, usize)>> {
    let words = tokens(text).ok()?;
    Some(words.into_iter().map(|it| (it.text, it.line)).collect())
}

/// By the compiler's own lexer's rules, so that words in strings and comments do not count.
fn tokens(text: &str) -> Result<Vec<Word>, proc_macro2::LexError> {
    let mut words = Vec::new();
    collect(TokenStream::from_str(text)?, &mut words);
    Ok(words)
}

fn collect(stream: TokenStream, words: &mut Vec<Word>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Group(group) => collect(group.stream(), words),
            TokenTree::Ident(ident) => {
                let next = trees.peek();
                words.push(Word {
                    text: ident.to_string(),
                    line: ident.span().start().line,
                    is_macro: matches!(next, Some(TokenTree::Punct(punct)) if punct.as_char() == '!'),
                });
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file::file;

    fn messages(text: &str) -> Vec<String> {
        let findings = check_file(&file("a/src/b.rs", text));
        findings
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn a_file_says_first_what_it_owns() {
        assert_eq!(messages("//! Owns nothing.\n"), [""; 0]);
        assert_eq!(messages("fn a() {}\n").len(), 1);
    }

    #[test]
    fn leftover_macros_and_stray_unsafe_are_found_in_code() {
        let text = "//! Doc.\nfn a() {\n    dbg!(1);\n    vec![unsafe { b() }];\n}\n";
        let found = messages(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a/src/b.rs:3: `dbg!`"), "{found:?}");
        assert!(found[1].starts_with("a/src/b.rs:4: `unsafe`"), "{found:?}");
    }

    #[test]
    fn comments_strings_and_longer_names_are_not_code() {
        let text = "//! Doc.\n// unsafe dbg!(1)\n#![deny(unsafe_code)]\nconst A: &str = r#\"unsafe todo!()\"#;\n";
        assert_eq!(messages(text), [""; 0]);
    }

    #[test]
    fn unsafe_is_allowed_where_it_is_listed() {
        assert!(
            check_file(&file(
                "ha-ebpf/src/packet.rs",
                "//! Doc.\nunsafe fn a() {}\n"
            ))
            .is_empty()
        );
    }

    #[test]
    fn a_long_file_is_found() {
        let text = format!("//! Doc.\n{}", "\n".repeat(LONGEST_FILE));
        assert_eq!(messages(&text).len(), 1);
    }

    #[test]
    fn an_exception_that_nobody_needs_is_found() {
        let harmless = file("ha-ebpf/src/main.rs", "//! Doc.\n");
        let stale = stale_exceptions(&[&harmless]);
        assert!(
            stale.iter().any(|finding| finding.path == "ha-ebpf/src/"),
            "{stale:?}"
        );
    }
}
