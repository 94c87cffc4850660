//! What is wrong with a file: gathered while it is read and checked, with its place, and shown to people.
//!
//! `source` knows lines and columns, `excerpt` makes a line fit to be shown, `report` gathers. Nothing here knows
//! what a configuration is.

mod excerpt;
mod problem;
mod report;
mod source;

pub use problem::{Problem, Problems, Severity};
pub(crate) use report::Report;
pub(crate) use source::{Source, Span};
