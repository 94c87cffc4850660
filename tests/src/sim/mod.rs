//! The simulation: N nodes on a virtual clock, with the agent's router in each of them.
//!
//! Sender and network are models of what surrounds it. Everything random comes from one
//! seed, so a failure is replayed by its number: `cargo xtask sim --seed S --trace`.

pub mod detector;
mod driver;
pub mod groups;
pub mod judge;
pub mod network;
pub mod node;
pub mod ops;
pub mod plants;
pub mod scenario;
pub mod script;
pub mod sender;
mod together;
pub mod world;

pub use ops::{Op, Reload};
pub use scenario::{Summary, Violation, play};
pub use world::{Plant, World};
