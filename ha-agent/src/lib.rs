//! ha-agent as a library: everything but `main`.
//!
//! Dependencies point one way: `config` knows nobody; `net`, `checks` and `datapath` are edges that
//! know the configuration and the kernel; `driver` runs the election over them; `control` shows it;
//! `record` writes down what it decided; `agent` puts them together; `cli` is what a person types, `logging` where the log goes.

pub mod agent;
pub mod checks;
pub mod cli;
pub mod config;
pub mod control;
pub mod datapath;
pub mod driver;
pub mod logging;
pub mod net;
mod readable;
pub mod record;
