//! The simulation: hosts on a virtual clock, with the agent's router and its sender's schedule in each of them.
//!
//! Network, kernel and the driver's loop are models of what surrounds these. Everything random comes from one seed, so
//! a failure is replayed by its number: `cargo xtask sim --seed S --trace`.

pub mod bugs;
pub mod campaign;
pub mod detector;
mod driver;
pub mod grid;
pub mod groups;
pub mod invariants;
pub mod network;
pub mod node;
pub mod ops;
pub mod scenario;
pub mod script;
pub mod sender;
mod sync_groups;
mod transmission;
pub mod upkeep;
pub mod world;

pub use bugs::Hooks;
pub use ops::{Op, Reload};
pub use scenario::{Summary, Violation, play};
pub use world::World;
