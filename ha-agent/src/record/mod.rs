//! `ha-agent run --record FILE`: what each election was told, and what it wanted done, as lines of text.
//!
//! The driver puts values into a bounded [`queue`]; a thread of its own makes [`words`] of them and writes
//! the file. `tests/scenarios/README.md` describes the lines, and `cargo xtask golden import` makes a
//! scenario of them that is replayed by every test run.

mod config;
mod file;
pub mod queue;
pub mod words;
mod writer;

pub use config::without_secrets;
pub use queue::Recorder;
pub use writer::{Recording, start};
