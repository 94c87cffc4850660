//! The keys that a file may have, in one table: name, format, default, what a reload does with a change, and a
//! sentence for people.
//!
//! From it come the ranges that the reader holds values against, what an unknown key is told that it may have
//! meant, what of a reload starts something anew (`plan`), the manual (`docs/CONFIGURATION.md`), and what the
//! annotated sample must say. A new key is an entry here, a field of the model, and a line of the reader; the
//! compiler then asks for its line in `plan`, and the tests for its sentence in the sample.

mod check;
mod instance;
mod key;
mod lists;
mod transport;

pub use check::{CHECK, FILE, PROCESS, RESTART};
pub use instance::{AUTH, DELAY, GARP, HMAC, HMAC_KEY, INSTANCE, TRACK, VIRTUAL_MAC};
pub use key::{Default, Format, Key, Reload, Section};
pub use lists::{ADDRESS, ROUTE, RULE};
pub use transport::{PEER, PEER_TTL};

/// Every table that a file may have, each once, from the outside in.
pub fn sections() -> Vec<&'static Section> {
    let mut found: Vec<&'static Section> = vec![&ROOT];
    let mut next = 0;
    while let Some(section) = found.get(next) {
        next += 1;
        for inside in section.keys.iter().filter_map(|key| key.inside) {
            if !found.iter().any(|it| it.title == inside.title) {
                found.push(inside);
            }
        }
    }
    found
}

/// The whole file.
pub static ROOT: Section = Section {
    title: "the file",
    keys: &[
        Key::new(
            "node",
            Format::Words("a table"),
            Default::Words("all defaults"),
            "The host.",
        )
        .inside(&NODE),
        // One for every slot that the kernel half can be told to have.
        Key::new(
            "instance",
            Format::List(0, 65536, "sections"),
            Default::Needed("..."),
            "A virtual router.",
        )
        .inside(&INSTANCE),
        // Far more than one host runs of both, and it bounds the search for a misspelt name.
        Key::new(
            "check",
            Format::List(0, 1024, "sections"),
            Default::Words("none"),
            "A health check.",
        )
        .inside(&CHECK),
        Key::new(
            "group",
            Format::List(0, 1024, "sections"),
            Default::Words("none"),
            "A sync group: instances that are master together or not at all.",
        )
        .inside(&GROUP),
    ],
};

/// `[node]`.
static NODE: Section = Section {
    title: "[node]",
    keys: &[
        Key::new(
            "name",
            Format::Words("1 to 64 letters, digits, '.', '-', '_'"),
            Default::Words("the host name"),
            "What this host is called in logs and metrics.",
        )
        .reload(Reload::NextStart),
        Key::new(
            "log_format",
            Format::Choice(&["text", "json"]),
            Default::Value("\"text\""),
            "One readable line, or one JSON object, for each log message.",
        )
        .reload(Reload::NextStart),
        Key::new(
            "max_slots",
            Format::Integer(1, 65536),
            Default::Value("4096"),
            "How many virtual routers the BPF maps have room for.",
        )
        .reload(Reload::NextStart),
    ],
};

/// `[[group]]`.
static GROUP: Section = Section {
    title: "[[group]]",
    keys: &[
        Key::new(
            "name",
            Format::Words("as of an instance"),
            Default::Needed("\"pair\""),
            "The name of the group, unique among the groups.",
        )
        .reload(Reload::Identity),
        // More than one VLAN of a router each.
        Key::new(
            "instances",
            Format::List(2, 4096, "names of instances"),
            Default::Needed("[\"web\", \"dns\"]"),
            "The names of its members: an instance can be in one group, and the owner of its addresses (priority = \
             255) in none.",
        ),
    ],
};
