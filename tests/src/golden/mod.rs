//! Golden scenarios: incidents written down as text, replayed on a virtual clock through the real election
//! and the real detector, and compared line by line with what came of them. `tests/scenarios/README.md`
//! describes the files.

pub mod alphabet;
pub mod coverage;
mod diff;
pub mod events;
pub mod import;
mod packet;
mod problem;
mod router;
mod scenario;
mod story;
pub mod told;
mod words;
mod world;

pub use diff::unified;
pub use problem::Problem;
pub use scenario::{Scenario, Verdict, all, folder};
pub use story::Story;
