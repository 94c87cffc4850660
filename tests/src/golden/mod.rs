//! Golden scenarios: incidents written down, replayed on a virtual clock through the real election
//! and the real detector, and compared line by line with what came of them. `tests/scenarios/README.md`
//! describes the files.

pub mod coverage;
mod diff;
pub mod events;
pub mod examples;
pub mod import;
mod lines;
mod packet;
mod problem;
mod router;
mod scenario;
mod transcript;
mod world;

pub use diff::unified;
pub use problem::Problem;
pub use scenario::{Scenario, Verdict, all, folder};
pub use transcript::Transcript;
