//! ha-agent as a library: everything but the command line.
//!
//! Dependencies point one way: `config` knows nobody; `net`, `checks` and `datapath` are edges that
//! know the configuration and the kernel; `driver` runs the election over them; `control` shows it.

pub mod checks;
pub mod config;
pub mod control;
pub mod datapath;
pub mod net;
