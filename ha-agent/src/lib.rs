//! ha-agent as a library: everything but `main`.
//!
//! `config` imports none of the others; `net`, `checks` and `datapath` are edges that know the configuration and
//! the kernel; `driver` runs the elections over them, and `record` writes down what it decides; `control`
//! shows it; `agent` puts them together; `cli` is what a person types, `logging` where the log goes.
//! Two pairs know each other: `driver` and `record`, `agent` and `cli`.

pub mod agent;
pub mod checks;
pub mod cli;
pub mod config;
pub mod control;
pub mod datapath;
pub mod driver;
pub mod logging;
pub mod net;
pub mod os;
pub mod reconcile;
pub mod record;
pub mod router;
pub mod status;
mod suggest;
