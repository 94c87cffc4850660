//! Why the kernel half does not work, for code and in words.

use std::error::Error;
use std::fs;
use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use thiserror::Error;

/// Why the kernel half does not work.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The object was refused.
    #[error("loading the eBPF object: {0}")]
    Load(#[from] EbpfError),
    /// A program was refused, or could not be attached.
    #[error("eBPF program {name}: {source}")]
    Program {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: ProgramError,
    },
    /// The command program could not be run.
    #[error("eBPF program {name}: {source}")]
    Command {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A map could not be used.
    #[error("eBPF map {name}: {source}")]
    Map {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: MapError,
    },
    /// The object lacks a map or a program.
    #[error("the eBPF object has no {0}: rebuild it with `cargo xtask build-ebpf`")]
    Missing(&'static str),
    /// A command was refused by the command program.
    #[error("the kernel half refused a command: status {0}")]
    Refused(u32),
    /// The slots are all in use.
    #[error("all {0} slots are in use: raise max_slots")]
    Full(u32),
}

impl KernelError {
    /// The reason in one sentence, for `status` and the log; the verifier's own words are left out.
    pub fn in_words(&self) -> String {
        let cause = root_cause(self);
        let code = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        let meaning = match code {
            Some(libc::EPERM) => " (needs root, or CAP_BPF and CAP_NET_ADMIN)",
            Some(libc::EOPNOTSUPP | libc::EACCES) if is_realtime() => {
                " (BPF timers do not work on a PREEMPT_RT kernel)"
            }
            Some(libc::E2BIG) => " (this kernel's verifier gave up on it: a newer kernel may not)",
            Some(libc::EINVAL) => " (BPF timers need kernel 5.15 or later, with the BPF JIT on)",
            _ => "",
        };
        let what = match self {
            Self::Program { name, .. } | Self::Command { name, .. } => {
                format!("eBPF program {name}: ")
            }
            Self::Map { name, .. } => format!("eBPF map {name}: "),
            Self::Load(_) | Self::Missing(_) | Self::Refused(_) | Self::Full(_) => String::new(),
        };
        let cause = cause.to_string();
        format!(
            "{what}{}{meaning}",
            cause.lines().next().unwrap_or_default()
        )
    }
}

/// The innermost of an error's causes: aya's texts name the system call, and what a person needs is the kernel's
/// answer.
pub(super) fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest
}

/// The system's error number at the bottom of an error, if there is one.
pub(super) fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    root_cause(error)
        .downcast_ref::<io::Error>()
        .and_then(io::Error::raw_os_error)
}

/// Whether this is a `PREEMPT_RT` kernel, by its own word.
fn is_realtime() -> bool {
    fs::read_to_string("/sys/kernel/realtime").is_ok_and(|text| text.trim() == "1")
}

pub(super) fn map_error(name: &'static str) -> impl Fn(MapError) -> KernelError {
    move |source| KernelError::Map { name, source }
}

pub(super) fn program_error(name: &'static str) -> impl Fn(ProgramError) -> KernelError {
    move |source| KernelError::Program { name, source }
}
