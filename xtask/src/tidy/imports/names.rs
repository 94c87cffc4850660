//! Which file of a crate a path leads to, through modules and re-exports.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Imports;
use super::uses::{self, Use};
use crate::tidy::file::File;

/// A crate's files as modules.
pub(super) struct Library<'a> {
    modules: Vec<Module<'a>>,
    by_path: BTreeMap<Vec<String>, usize>,
}

struct Module<'a> {
    file: &'a File,
    path: Vec<String>,
    items: BTreeSet<String>,
    aliases: BTreeMap<String, Vec<String>>,
    uses: Vec<Use>,
    for_tests: bool,
}

/// Re-exports of re-exports that are followed: more is a mistake of this program.
const MOST_ALIASES: usize = 16;

impl<'a> Library<'a> {
    /// Nothing if one of the files is not Rust.
    pub(super) fn read(root: &str, files: &[&'a File]) -> Option<Self> {
        let mut modules = Vec::new();
        let mut for_tests = BTreeSet::new();
        for file in files {
            let path = module_path(root, &file.path)?;
            let parsed = syn::parse_file(&file.text).ok()?;
            for item in &parsed.items {
                if let syn::Item::Mod(module) = item
                    && module.content.is_none()
                    && uses::is_for_tests(&module.attrs)
                {
                    for_tests.insert([path.as_slice(), &[module.ident.to_string()]].concat());
                }
            }
            let uses = uses::of(&parsed);
            let aliases = uses
                .iter()
                .filter_map(|used| Some((used.alias.clone()?, used.path.clone())))
                .collect();
            modules.push(Module {
                file,
                path,
                items: parsed.items.iter().filter_map(item_name).collect(),
                aliases,
                uses,
                for_tests: false,
            });
        }
        for module in &mut modules {
            module.for_tests = (1..=module.path.len())
                .any(|length| for_tests.contains(module.path.get(..length).unwrap_or_default()));
        }
        let by_path = (0..)
            .zip(&modules)
            .map(|(index, module)| (module.path.clone(), index))
            .collect();
        Some(Self { modules, by_path })
    }

    /// By its number.
    pub(super) fn file(&self, number: usize) -> &'a File {
        self.modules[number].file
    }

    /// Which files each file imports outside of its tests, and where.
    pub(super) fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (from, module) in self.modules.iter().enumerate() {
            if module.for_tests {
                continue;
            }
            for used in &module.uses {
                if let Some(to) = self.resolve(from, &used.path, MOST_ALIASES)
                    && to != from
                {
                    let lines = imports.entry(from).or_default();
                    lines.entry(to).or_insert(used.line);
                }
            }
        }
        imports
    }

    /// The file in which what a path names is defined; nothing for other crates.
    fn resolve(&self, from: usize, path: &[String], aliases: usize) -> Option<usize> {
        let (mut here, mut rest) = self.start(from, path)?;
        loop {
            let module = self.modules.get(here)?;
            let Some((name, after)) = rest.split_first() else {
                return Some(here);
            };
            let child = [module.path.as_slice(), std::slice::from_ref(name)].concat();
            if let Some(child) = self.by_path.get(&child) {
                (here, rest) = (*child, after);
                continue;
            }
            if let Some(alias) = module.aliases.get(name)
                && !module.items.contains(name)
                && aliases > 0
            {
                let whole = [alias.as_slice(), after].concat();
                return self.resolve(here, &whole, aliases - 1);
            }
            return Some(here);
        }
    }

    /// The module at which a path begins, and what of it is left.
    fn start<'p>(&self, from: usize, path: &'p [String]) -> Option<(usize, &'p [String])> {
        let (first, mut rest) = path.split_first()?;
        let module = self.modules.get(from)?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => module.path.clone(),
            name => {
                let child = [module.path.as_slice(), &[name.to_owned()]].concat();
                let child = self.by_path.get(&child)?;
                return Some((*child, rest));
            }
        };
        if first == "super" {
            at.pop()?;
            while let Some(("super", after)) =
                rest.split_first().map(|(it, rest)| (it.as_str(), rest))
            {
                at.pop()?;
                rest = after;
            }
        }
        Some((*self.by_path.get(&at)?, rest))
    }
}

/// `a/src/b/c.rs` is `b::c`, `a/src/b/mod.rs` is `b`.
fn module_path(root: &str, path: &str) -> Option<Vec<String>> {
    let inside = path.strip_prefix(root)?.strip_suffix(".rs")?;
    let mut segments: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if matches!(segments.last().map(String::as_str), Some("mod" | "lib")) {
        segments.pop();
    }
    Some(segments)
}

fn item_name(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
