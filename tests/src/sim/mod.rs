//! The simulation: N nodes on a virtual clock, with the real election in each of them.
//!
//! Detector, sender and network are models of what surrounds it. Everything random comes from one
//! seed, so a failure is replayed by its number: `cargo xtask sim --seed S --trace`.

pub mod detector;
pub mod groups;
pub mod judge;
pub mod network;
pub mod node;
pub mod ops;
pub mod scenario;
pub mod sender;
mod together;
pub mod world;

pub use ops::Op;
pub use scenario::{Summary, Violation, play};
pub use world::{Plant, World};
