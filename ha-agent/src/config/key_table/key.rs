//! What the table says of a key, and how an entry is written.

use std::time::Duration;

use crate::suggest::nearest;

pub(super) const NOTHING: Duration = Duration::ZERO;
pub(super) const TEN_MINUTES: Duration = Duration::from_mins(10);
pub(super) const HOUR: Duration = Duration::from_hours(1);

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
    pub(super) const fn new(
        name: &'static str,
        format: Format,
        default: Default,
        doc: &'static str,
    ) -> Self {
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

    pub(super) const fn reload(mut self, reload: Reload) -> Self {
        self.reload = reload;
        self
    }

    pub(super) const fn foreign(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        self.foreign = names;
        self
    }

    pub(super) const fn inside(mut self, section: &'static Section) -> Self {
        self.inside = Some(section);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::INSTANCE;

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
