//! The `ha-agent` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ha_agent::cli::main()
}
