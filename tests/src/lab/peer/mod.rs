//! A router by somebody else beside an agent: what every implementation is asked to do in the lab.
//!
//! A new implementation is a new file here with a [`Peer`], and lines in the matrix of `tests/tests/interop`.

mod frr;
mod implementation;
mod keepalived;
mod router;

pub use frr::Frr;
pub use implementation::{Peer, Running};
pub use keepalived::Keepalived;
pub use router::{Ends, Router};
