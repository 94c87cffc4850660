//! What a file names of its own crate: paths that begin with `crate`, `self`, `super` or a module of the same file.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// A path as it is written, and its line.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
    /// The name that a `use` gives it here; none for a path in code.
    pub(super) alias: Option<String>,
}

/// All that a file names outside of its tests.
pub(super) fn of(file: &syn::File) -> Vec<Use> {
    let mut collector = Collector { uses: Vec::new() };
    collector.visit_file(file);
    collector.uses
}

/// Whether an item is only there for tests.
pub(crate) fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

struct Collector {
    uses: Vec<Use>,
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    /// `pub(in crate::a)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.uses.push(Use {
                path: path
                    .segments
                    .iter()
                    .map(|it| it.ident.to_string())
                    .collect(),
                line: path.span().start().line,
                alias: None,
            });
        }
        visit::visit_path(self, path);
    }
}

impl Collector {
    fn tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) if name.ident == "self" => {
                let alias = before.last().cloned();
                self.push(before.to_vec(), &name.ident, alias);
            }
            syn::UseTree::Name(name) => {
                self.push(with(&name.ident), &name.ident, Some(name.ident.to_string()));
            }
            syn::UseTree::Rename(rename) => {
                let alias = Some(rename.rename.to_string());
                self.push(with(&rename.ident), &rename.ident, alias);
            }
            syn::UseTree::Glob(glob) => self.uses.push(Use {
                path: before.to_vec(),
                line: glob.span().start().line,
                alias: None,
            }),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before);
                }
            }
        }
    }

    fn push(&mut self, path: Vec<String>, ident: &syn::Ident, alias: Option<String>) {
        let line = ident.span().start().line;
        self.uses.push(Use { path, line, alias });
    }
}
