//! Hosts of a lab that are whole systems: Debian with systemd as its first process, into which the
//! package is installed, so that unit, sandbox and maintainer scripts are tried as an operator has them.
//!
//! A [`Machine`] is a systemd-nspawn container in the network namespace of a [`Host`](crate::lab::Host),
//! so the segment, its capture, its client and its switch are those of every other lab test. Its files
//! are a tree that is made once (see [`root`]) under an overlay in memory: each machine is fresh, and
//! its changes go with it. It goes with the lab, in whatever way the test ends.

pub mod deployment;
pub mod journal;
pub mod machine;
pub mod node;
pub mod package;
mod readiness;
pub mod root;

pub use deployment::Deployment;
pub use journal::Journal;
pub use machine::Machine;
pub use node::Node;
