//! Pinned maps are taken up by an agent of the same `LAYOUT_VERSION`: whoever changes what is in them must change it.

use ha_common::layout::LAYOUT_VERSION;
use quote::ToTokens;
use syn::{Attribute, Item};

/// The version, and what [`layouts`] come to in it.
const KNOWN: (u32, u64) = (10, 0x967d_cb05_63aa_404f);

/// Where what lies in maps is declared.
const SOURCES: [&str; 11] = [
    include_str!("../src/layout/mod.rs"),
    include_str!("../src/layout/counter.rs"),
    include_str!("../src/layout/names.rs"),
    include_str!("../src/accept.rs"),
    include_str!("../src/reject.rs"),
    include_str!("../src/hmac/policy.rs"),
    include_str!("../src/hmac/budget.rs"),
    include_str!("../src/hmac/replay.rs"),
    include_str!("../src/hmac/untimely.rs"),
    include_str!("../src/hmac/key.rs"),
    include_str!("../src/hmac/sha256.rs"),
];

#[test]
fn another_layout_has_another_version() {
    let mut all = String::new();
    for source in SOURCES {
        let file = syn::parse_file(source).expect("it compiles");
        layouts(&file.items, &mut all);
    }
    for name in [
        "Slot",
        "PeerStats",
        "Command",
        "ReplayState",
        "Budget",
        "Untimely",
        "Reject",
        "BACKUP",
    ] {
        assert!(all.contains(name), "{name} is not looked at");
    }
    let found = (LAYOUT_VERSION, hash(&all));
    assert_eq!(
        found,
        KNOWN,
        "what lies in maps is not what it was in version {}: raise LAYOUT_VERSION, and make KNOWN ({}, {:#x}); if it \
         means the same by another name, only the latter",
        KNOWN.0,
        KNOWN.0 + 1,
        found.1
    );
}

/// All types whose layout is fixed, with their fields, and all numbers in modules, without comments.
fn layouts(items: &[Item], all: &mut String) {
    for item in items {
        match item {
            Item::Struct(it) if is_fixed(&it.attrs) => {
                put(all, &it.ident);
                put(all, &strip(it.fields.clone()));
            }
            Item::Enum(it) if is_fixed(&it.attrs) => {
                put(all, &it.ident);
                for variant in &it.variants {
                    put(all, &variant.ident);
                    if let Some((_, number)) = &variant.discriminant {
                        put(all, number);
                    }
                }
            }
            Item::Type(it) => {
                put(all, &it.ident);
                put(all, &it.ty);
            }
            Item::Const(it) if it.ident != "_" && it.ident != "LAYOUT_VERSION" => {
                put(all, &it.ident);
                put(all, &it.expr);
            }
            Item::Mod(it) if it.ident != "tests" => {
                let inner = it.content.as_ref().map_or(&[][..], |(_, inner)| inner);
                layouts(inner, all);
            }
            _ => {}
        }
    }
}

fn is_fixed(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| it.path().is_ident("repr"))
}

fn strip(mut fields: syn::Fields) -> syn::Fields {
    for field in &mut fields {
        field.attrs.clear();
    }
    fields
}

fn put(all: &mut String, tokens: &impl ToTokens) {
    all.push_str(&tokens.to_token_stream().to_string());
    all.push('\n');
}

/// FNV-1a, which stays what it is, of all that is not space.
fn hash(text: &str) -> u64 {
    let bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
