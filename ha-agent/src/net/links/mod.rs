//! The host's interfaces as the agent sees them: a table that [`monitor`] keeps in line with the kernel,
//! whose messages [`message`] reads, on the plan of [`upkeep`].

mod link;
pub(super) mod message;
pub mod monitor;
mod table;
mod upkeep;

pub use link::{Link, LinkKind, LinkLayer};
pub use table::LinkTable;
#[cfg(test)]
pub(crate) use table::tests;
