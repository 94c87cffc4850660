//! The keys that a file may have, in one table: name, format, default, what a reload does with a change, and a
//! sentence for people.
//!
//! From it come the ranges that the reader holds values against, what an unknown key is told that it may have
//! meant, what of a reload starts something anew (`plan`), the manual (`docs/CONFIGURATION.md`), and what the
//! annotated sample must say. A new key is an entry here, a field of the model, and a line of the reader; the
//! compiler then asks for its line in `plan`, and the tests for its sentence in the sample.

mod check;
mod instance;
mod lists;
mod transport;

use std::time::Duration;

use crate::suggest::nearest;

pub use check::{CHECK, FILE, PROCESS, RESTART};
pub use instance::{AUTH, DELAY, GARP, HMAC, HMAC_KEY, INSTANCE, TRACK, VIRTUAL_MAC};
pub use lists::{ADDRESS, ROUTE, RULE};
pub use transport::{PEER, PEER_TTL};

/// A table of the file.
#[derive(Debug)]
pub struct Section {
    /// How messages call it.
    pub title: &'static str,
    /// Its keys, in the order of the sample.
    pub keys: &'static [Key],
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What its value looks like.
    pub format: Format,
    /// What it is without being written.
    pub default: Default,
    /// What a reload does with another value; of a key inside another, what that one says.
    pub reload: Reload,
    /// What it is for, as the manual and the sample say it.
    pub doc: &'static str,
    /// What keepalived and FRR call it, and what to write here.
    pub foreign: &'static [(&'static str, &'static str)],
    /// The tables that its value may hold.
    pub inside: Option<&'static Section>,
}

/// What a value looks like. Ranges include both ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// A whole number.
    Integer(i64, i64),
    /// A text with a unit.
    Duration(Duration, Duration),
    /// `true` or `false`.
    Boolean,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A list of so many of these.
    List(usize, usize, &'static str),
    /// Anything else, in words.
    Words(&'static str),
}

/// What a key is without being written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    /// It must be written, for example so.
    Needed(&'static str),
    /// This value, in TOML.
    Value(&'static str),
    /// Something that has no value in TOML, in words.
    Words(&'static str),
}

/// What a reload does with another value of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reload {
    /// It applies to what runs.
    Live,
    /// It makes another one: the old one leaves, the new one comes.
    Identity,
    /// What it belongs to is stopped and started anew.
    Anew,
    /// It waits for the next start of the agent.
    NextStart,
}

impl Section {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of its keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|key| key.name)
    }

    /// What somebody meant who wrote this, if one of the keys is near.
    pub fn suggestion(&self, written: &str) -> Option<&'static str> {
        let lower = written.to_lowercase().replace('-', "_");
        let mut foreign = self.keys.iter().flat_map(|key| key.foreign);
        let foreign = foreign.find(|(name, _)| *name == lower);
        let known = self.names();
        let foreign = foreign.map(|(_, here)| *here);
        foreign
            // `interval` for `advert_interval`, `address` for `addresses`.
            .or_else(|| {
                let mut known = known.clone();
                known.find(|key| lower.len() >= 4 && key.contains(lower.as_str()))
            })
            .or_else(|| nearest(&lower, known))
    }
}

impl Key {
    const fn new(name: &'static str, format: Format, default: Default, doc: &'static str) -> Self {
        Self {
            name,
            format,
            default,
            reload: Reload::Live,
            doc,
            foreign: &[],
            inside: None,
        }
    }

    const fn reload(mut self, reload: Reload) -> Self {
        self.reload = reload;
        self
    }

    const fn foreign(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        self.foreign = names;
        self
    }

    const fn inside(mut self, section: &'static Section) -> Self {
        self.inside = Some(section);
        self
    }
}

const NOTHING: Duration = Duration::ZERO;
const TEN_MINUTES: Duration = Duration::from_mins(10);
const HOUR: Duration = Duration::from_hours(1);

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
pub static NODE: Section = Section {
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
pub static GROUP: Section = Section {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_and_a_foreign_name_find_their_key() {
        for (written, key) in [
            ("prioritty", "priority"),
            ("Priority", "priority"),
            ("pirority", "priority"),
            ("vird", "vrid"),
            ("interval", "advert_interval"),
            ("advert-interval", "advert_interval"),
            ("address", "addresses"),
            ("virtual_router_id", "vrid"),
            ("nopreempt", "preempt = false"),
            ("track_interface", "track"),
            ("dont_track_primary", "carrier = \"ignore\""),
        ] {
            assert_eq!(INSTANCE.suggestion(written), Some(key), "{written}");
        }
    }

    #[test]
    fn a_name_that_is_near_nothing_finds_nothing() {
        let long = "a".repeat(100_000);
        for written in ["", "x", "colour", "auth_pass", long.as_str()] {
            assert_eq!(INSTANCE.suggestion(written), None);
        }
    }
}
