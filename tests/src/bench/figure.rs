//! How the tables show a figure.

/// Whether an aim is met.
pub(super) fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}

/// Bytes in units of 10^6.
#[expect(clippy::cast_precision_loss, reason = "far less than 2^53 bytes")]
pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
