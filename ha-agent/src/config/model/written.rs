//! How a configuration is written as a file again, less its secrets: what a recording begins with.
//!
//! `Serialize` on the model writes each key as the reader takes it; here are the forms that no derive knows. Three
//! things are not told: a password, which only has to be there; `hmac`, whose keys are secrets; and what a check looks
//! at, for a URL or a command line may hold one.

use std::collections::BTreeMap;
use std::time::Duration;

use ha_common::accept::TtlRange;
use ha_common::units::{Centiseconds, Version};
use serde::{Serialize, Serializer};

/// Stands for what is not told.
pub(super) const REDACTED: &str = "redacted";

/// A process of no such name in place of whatever a check looks at.
pub(super) fn probe<T, S: Serializer>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    BTreeMap::from([("name", REDACTED)]).serialize(serializer)
}

pub(super) fn span<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*span))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn interval<S: Serializer>(
    interval: &Centiseconds,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    span(&interval.nanos().to_duration(), serializer)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn version<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*version as u8)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn peer_ttl<S: Serializer>(ttl: &TtlRange, serializer: S) -> Result<S::Ok, S::Error> {
    BTreeMap::from([("min_ttl", ttl.min), ("max_ttl", ttl.max)]).serialize(serializer)
}
