//! `ha-agent run --record FILE`: what each election was told, and what it wanted done, one value a line.
//!
//! The driver puts values into a bounded [`queue`]; a thread of its own makes a [`line`] of each and writes the
//! file. `tests/scenarios/README.md` describes the lines, and `cargo xtask golden import` makes a
//! scenario of them that is replayed by every test run.

mod file;
pub mod line;
pub mod queue;
mod writer;

pub use queue::Recorder;
pub use writer::{Recording, start};

/// An ordinary backup's parameters, for the tests of this folder.
#[cfg(test)]
fn usual_params() -> ha_common::election::Params {
    use ha_common::election::{Params, Rules};
    use ha_common::units::{Centiseconds, Nanos, Priority, Version};
    Params {
        rules: Rules {
            version: Version::V3,
            own_address: [10, 99, 0, 2].into(),
            priority: Priority(100),
            interval: Centiseconds(100),
            preempt: true,
            down_multiplier: 3,
        },
        start_hold: Nanos(0),
        preempt_delay: Nanos(0),
        grouped: false,
    }
}
