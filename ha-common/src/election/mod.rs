//! The election: a pure state machine.
