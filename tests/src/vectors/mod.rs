//! The corpus of frames that every parser of adverts is held against, with what must come of each.
//!
//! One table, two targets: the parser in userspace and the BPF programs in the kernel.
#![expect(
    clippy::expect_used,
    reason = "a frame that cannot be built is a mistake in the table"
)]

mod address;
pub mod adverts;
pub mod build;
pub mod headers;
pub mod lists;
pub mod other;
mod receiver;
pub mod signed;
pub mod signed_by_keepalived;
pub mod transports;
mod vector;

pub use address::{link_local, raw};
pub use receiver::{FAR, FAR_PEER, INTERVAL, PASSWORD, Receiver, VRID};
pub use vector::{Accepted, Expected, Vector, understood};

/// The whole corpus.
pub fn corpus() -> Vec<Vector> {
    let mut vectors = adverts::valid();
    vectors.extend(adverts::cut());
    vectors.extend(adverts::wrong());
    vectors.extend(adverts::wrapped());
    vectors.extend(adverts::large());
    vectors.extend(headers::fields());
    vectors.extend(lists::odd());
    vectors.extend(transports::all());
    vectors.extend(other::traffic());
    vectors
}
