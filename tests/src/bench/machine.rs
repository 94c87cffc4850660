//! On what it was measured.

use anyhow::{Context as _, Result};
use procfs::{Current as _, LoadAverage};
use serde::Serialize;

use super::usage;
use crate::lab::agent;

/// Facts of the machine.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) cpu: String,
    pub(super) kernel: String,
    pub(super) agent: String,
    /// The version of the program that it is measured beside or with.
    pub(super) other: String,
    /// One-minute load before and after.
    pub(super) load_before: f32,
    pub(super) load_after: f32,
    /// CPU time that the hypervisor gave to others meanwhile, in seconds, if it says so.
    pub(super) stolen_s: f64,
}

impl Machine {
    pub(super) fn read(other: &str) -> Result<Self> {
        let uname = rustix::system::uname();
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            cpu: cpu()?,
            kernel: uname.release().to_string_lossy().into_owned(),
            agent: first_line(agent::program()?.as_os_str())?,
            other: first_line(other.as_ref())?,
            load_before: LoadAverage::current()?.one,
            load_after: 0.0,
            stolen_s: -usage::stolen()?.as_secs_f64(),
        })
    }

    pub(super) fn note_end(&mut self) -> Result<()> {
        self.load_after = LoadAverage::current()?.one;
        self.stolen_s += usage::stolen()?.as_secs_f64();
        Ok(())
    }
}

fn cpu() -> Result<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = info.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()));
    Ok(name.unwrap_or_else(|| std::env::consts::ARCH.to_owned()))
}

/// What a program says of its version; keepalived says it on standard error.
fn first_line(program: &std::ffi::OsStr) -> Result<String> {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
