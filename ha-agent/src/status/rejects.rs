//! Counters of refused adverts, one for each [`Reject`], shown as a map from name to count.

use std::fmt;

use ha_common::reject::Reject;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// How often each check of the receive ladder failed.
///
/// Serialized as an object with every reason, in the order of the checks, zeros included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RejectCounts([u64; Reject::COUNT]);

impl RejectCounts {
    /// Takes the counters as the kernel's maps hold them.
    pub const fn new(counts: [u64; Reject::COUNT]) -> Self {
        Self(counts)
    }

    /// How often this check failed.
    pub fn get(&self, reject: Reject) -> u64 {
        self.0.get(reject as usize).copied().unwrap_or(0)
    }

    /// Adds to one counter; it saturates.
    pub fn add(&mut self, reject: Reject, count: u64) {
        if let Some(counter) = self.0.get_mut(reject as usize) {
            *counter = counter.saturating_add(count);
        }
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Reasons and counts, in the order of the checks.
    pub fn iter(&self) -> impl Iterator<Item = (Reject, u64)> + '_ {
        Reject::ALL.into_iter().zip(self.0)
    }
}

impl Serialize for RejectCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Reject::COUNT))?;
        for (reject, count) in self.iter() {
            map.serialize_entry(reject.name(), &count)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RejectCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = RejectCounts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from reject reason to count")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut counts = RejectCounts::default();
        while let Some((name, count)) = map.next_entry::<String, u64>()? {
            // A newer agent may count more reasons than we know; the others still stand.
            if let Some(reject) = Reject::ALL.into_iter().find(|known| known.name() == name) {
                counts.add(reject, count);
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_by_name_in_the_order_of_the_checks() {
        let mut counts = RejectCounts::default();
        counts.add(Reject::Checksum, 3);
        counts.add(Reject::HmacLimit, 1);
        let json = serde_json::to_string(&counts).unwrap();
        assert!(
            json.starts_with(r#"{"destination":0,"unknown_peer":0,"own_source":0,"truncated":0,"#)
        );
        assert!(json.ends_with(r#""hmac_limit":1}"#));
        assert_eq!(counts.total(), 4);
        assert_eq!(serde_json::from_str::<RejectCounts>(&json).unwrap(), counts);
    }

    #[test]
    fn an_unknown_reason_of_a_newer_agent_is_passed_over() {
        let counts: RejectCounts = serde_json::from_str(r#"{"moon":7,"ttl":2}"#).unwrap();
        assert_eq!(counts.get(Reject::Ttl), 2);
        assert_eq!(counts.total(), 2);
    }
}
