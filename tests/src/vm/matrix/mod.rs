//! The matrix: the agent on each kind of interface, by each card and each kernel.
//!
//! A [`Shape`] says how an interface comes about and where its frames are on the segment; a [`cell`] is one
//! election on it, from the first advert to the last. Shapes come one after another in one machine; a cell
//! that fails takes its machine with it.

pub mod cell;
mod column;
pub mod shape;
pub mod shapes;
pub mod table;

pub use column::Column;
pub use shape::Shape;
