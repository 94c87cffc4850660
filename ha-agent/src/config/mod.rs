//! The configuration: what it can say (`model`), and how a file becomes it.

pub mod model;
