//! The items of a Rust file with their lines: what a comment stands in, or above.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A named item that has no items around it but modules, traits, blocks and other bodies.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: String,
    /// Lines from 1, attributes and documentation included.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) part: Part,
    /// Every identifier in it.
    pub(super) words: BTreeSet<String>,
}

/// What an item is to the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Code,
    Test,
    /// Not a test itself, but compiled for tests only.
    TestHelper,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    /// Modules in files of their own that are compiled for tests only.
    pub(super) test_modules: Vec<String>,
}

impl Items {
    /// Empty if the text is not Rust, which is somebody else's finding.
    pub(super) fn of(text: &str, all_for_tests: bool) -> Self {
        let mut items = Self::default();
        if let Ok(stream) = TokenStream::from_str(text) {
            items.walk(stream, all_for_tests);
        }
        items
    }

    /// The item that a comment at this line is about: the innermost around it, else the next one.
    pub(super) fn at(&self, line: usize) -> Option<&Item> {
        let around = self
            .items
            .iter()
            .filter(|item| (item.first..=item.last).contains(&line))
            .min_by_key(|item| item.last.saturating_sub(item.first));
        let below = || {
            let below = self.items.iter().filter(|item| item.first > line);
            below.min_by_key(|item| item.first)
        };
        around.or_else(below)
    }

    fn walk(&mut self, stream: TokenStream, for_tests: bool) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut head = Head::default();
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            let rest = trees.get(at.saturating_add(1)..).unwrap_or_default();
            at = at.saturating_add(1);
            if let Some(attribute) = attribute(tree, rest) {
                head.take(tree, attribute);
                at = at.saturating_add(1);
            } else if let Some(kind) = Kind::of(tree, rest) {
                let length = kind.length(rest);
                let body = rest.get(..length).unwrap_or_default();
                self.item(kind, &head.started(tree), body, for_tests);
                head = Head::default();
                at = at.saturating_add(length);
            } else if is_qualifier(tree) {
                head = head.started(tree);
            } else {
                if let TokenTree::Group(group) = tree {
                    self.walk(group.stream(), for_tests);
                }
                head = Head::default();
            }
        }
    }

    fn item(&mut self, kind: Kind, head: &Head, body: &[TokenTree], for_tests: bool) {
        let for_tests = for_tests || head.for_tests;
        let name = body.first().map(ToString::to_string).unwrap_or_default();
        if kind == Kind::Module && head.for_tests && block(body).is_none() {
            self.test_modules.push(name.clone());
        }
        if matches!(kind, Kind::Leaf | Kind::Value) {
            let last = body.last().map_or(0, |tree| tree.span().end().line);
            let mut words = BTreeSet::new();
            collect(body.iter().cloned().collect(), &mut words);
            self.items.push(Item {
                name,
                first: head.line,
                last: last.max(head.line),
                part: match (head.is_test, for_tests) {
                    (true, _) => Part::Test,
                    (false, true) => Part::TestHelper,
                    (false, false) => Part::Code,
                },
                words,
            });
        }
        if let Some(block) = block(body) {
            self.walk(block.stream(), for_tests);
        }
    }
}

/// What stands in front of an item.
#[derive(Clone, Copy, Default)]
struct Head {
    /// 0 before anything was seen.
    line: usize,
    is_test: bool,
    for_tests: bool,
}

impl Head {
    fn started(self, tree: &TokenTree) -> Self {
        let line = match self.line {
            0 => tree.span().start().line,
            line => line,
        };
        Self { line, ..self }
    }

    fn take(&mut self, tree: &TokenTree, attribute: &Group) {
        *self = self.started(tree);
        let text = attribute.stream().to_string().replace(' ', "");
        self.is_test |= text == "test";
        self.for_tests |= text == "cfg(test)";
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// Has a name and a body, and is what a comment is about.
    Leaf,
    /// The same, with a value, in which there may be blocks.
    Value,
    Module,
    /// Only holds others.
    Container,
}

impl Kind {
    /// The kind of item that begins here, its name being next.
    fn of(tree: &TokenTree, rest: &[TokenTree]) -> Option<Self> {
        let TokenTree::Ident(keyword) = tree else {
            return None;
        };
        let named = matches!(rest.first(), Some(TokenTree::Ident(next)) if next != "fn");
        match keyword.to_string().as_str() {
            "impl" => Some(Self::Container),
            "trait" if named => Some(Self::Container),
            "mod" if named => Some(Self::Module),
            "fn" | "struct" | "enum" if named => Some(Self::Leaf),
            "const" | "static" | "type" if named => Some(Self::Value),
            _ => None,
        }
    }

    /// How many trees belong to it: up to its block or its semicolon.
    fn length(self, rest: &[TokenTree]) -> usize {
        let ends = |tree: &TokenTree| match tree {
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Group(group) => self != Self::Value && group.delimiter() == Delimiter::Brace,
            TokenTree::Ident(_) | TokenTree::Literal(_) => false,
        };
        rest.iter()
            .position(ends)
            .map_or(rest.len(), |end| end.saturating_add(1))
    }
}

/// `#[...]`, not `#![...]`.
fn attribute<'a>(tree: &TokenTree, rest: &'a [TokenTree]) -> Option<&'a Group> {
    let is_hash = matches!(tree, TokenTree::Punct(punct) if punct.as_char() == '#');
    match rest.first() {
        Some(TokenTree::Group(group)) if is_hash => Some(group),
        _ => None,
    }
}

/// `pub(crate) const unsafe fn`: the words in front of an item's own.
fn is_qualifier(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Ident(ident) => ["pub", "const", "async", "unsafe", "extern"]
            .iter()
            .any(|word| ident == word),
        TokenTree::Group(group) => {
            let inside = group.stream().to_string();
            group.delimiter() == Delimiter::Parenthesis
                && (inside == "crate" || inside == "super" || inside.starts_with("in "))
        }
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    }
}

fn block(body: &[TokenTree]) -> Option<&Group> {
    match body.last() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

fn collect(stream: TokenStream, words: &mut BTreeSet<String>) {
    for tree in stream {
        match tree {
            TokenTree::Group(group) => collect(group.stream(), words),
            TokenTree::Ident(ident) => {
                words.insert(ident.to_string());
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
//! Doc.
/// About a.
pub(crate) const fn a(x: [u8; 2]) -> impl B<E = u8> {
    // Inside a.
    1
}
// Above C.
const C: D = D { e: 1 };
impl F {
    // Above g.
    fn g(h: fn(u8)) {}
}
#[cfg(test)]
mod apart;
#[cfg(test)]
mod tests {
    const TABLE: u8 = 1;
    proptest! {
        /// Random.
        #[test]
        fn holds(x in TABLE) {
            // Inside holds.
        }
    }
}
";

    fn at(line: usize) -> (String, Part) {
        let items = Items::of(TEXT, false);
        let item = items.at(line).unwrap();
        (item.name.clone(), item.part)
    }

    #[test]
    fn a_comment_is_about_what_it_stands_in_or_above() {
        for line in 2..=6 {
            assert_eq!(at(line), ("a".into(), Part::Code), "line {line}");
        }
        assert_eq!(at(7).0, "C");
        assert_eq!(at(8).0, "C");
        assert_eq!(at(10).0, "g");
        assert!(Items::of(TEXT, false).at(99).is_none());
    }

    #[test]
    fn tests_are_known_even_inside_a_macro_and_so_is_what_they_use() {
        assert_eq!(at(17), ("TABLE".into(), Part::TestHelper));
        for line in 19..=23 {
            assert_eq!(at(line), ("holds".into(), Part::Test), "line {line}");
        }
        let items = Items::of(TEXT, false);
        assert!(items.at(21).unwrap().words.contains("TABLE"));
        assert_eq!(items.test_modules, ["apart"]);
    }
}
