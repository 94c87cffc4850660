//! The host's interfaces as the agent sees them: a table that [`monitor`] keeps in line with the kernel,
//! whose messages [`message`] reads, on the plan of [`upkeep`].

pub(super) mod message;
pub mod monitor;
mod table;
mod upkeep;

#[cfg(test)]
pub(crate) use table::tests;
pub use table::{Link, LinkKind, LinkLayer, LinkTable};
