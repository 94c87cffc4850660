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
        name: &'static str,
        /// What the kernel said.
        source: ProgramError,
    },
    /// The command program could not be run.
    #[error("eBPF program {name}: {source}")]
    Command {
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A map could not be used.
    #[error("eBPF map {name}: {source}")]
    Map {
        name: &'static str,
        /// What the kernel said.
        source: MapError,
    },
    /// The object lacks a map or a program.
    #[error("the eBPF object has no {0}: rebuild it with `cargo xtask build-ebpf`")]
    Missing(&'static str),
    /// A command was refused by the command program.
    #[error("the BPF programs rejected a command: status {0}")]
    Refused(u32),
    /// The slots are all in use.
    #[error("all {0} slots are in use: raise max_slots")]
    Full(u32),
}

impl KernelError {
    /// The reason in one sentence, for `status` and the log; of the verifier's words, which are thousands of lines, the
    /// one that says why.
    pub fn in_words(&self) -> String {
        let cause = root_cause(self);
        let code = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        let meaning = match code {
            Some(libc::EPERM) => " (requires root, or CAP_BPF and CAP_NET_ADMIN)",
            Some(libc::EOPNOTSUPP | libc::EACCES) if is_realtime() => {
                " (BPF timers do not work on a PREEMPT_RT kernel)"
            }
            Some(libc::E2BIG) => " (this kernel's verifier gave up; a newer kernel may accept it)",
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
        let verdict = self
            .verdict()
            .map(|verdict| format!(", by the verifier: {verdict}"));
        format!(
            "{what}{}{meaning}{}",
            cause.lines().next().unwrap_or_default(),
            verdict.unwrap_or_default()
        )
    }

    /// Whether the kernel may well do a moment later what it has refused: what it lacked is given back.
    pub fn is_passing(&self) -> bool {
        matches!(
            errno(self),
            Some(libc::ENOMEM | libc::EAGAIN | libc::EBUSY | libc::EINTR | libc::ENFILE)
        )
    }

    /// What the verifier refused a program for.
    fn verdict(&self) -> Option<String> {
        let Self::Program {
            source: ProgramError::LoadError { verifier_log, .. },
            ..
        } = self
        else {
            return None;
        };
        verdict_of(&verifier_log.to_string()).map(str::to_owned)
    }
}

/// The last line of a verifier's log before its statistics.
fn verdict_of(log: &str) -> Option<&str> {
    const STATISTICS: [&str; 3] = ["verification time ", "stack depth ", "processed "];
    log.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && !STATISTICS.iter().any(|it| line.starts_with(it)))
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

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;

    use super::*;

    #[test]
    fn a_lack_of_memory_passes_and_a_lack_of_permission_does_not() {
        let refused = |code| KernelError::Map {
            name: "HA_META",
            source: MapError::SyscallError(SyscallError {
                call: "bpf_map_update_elem",
                io_error: io::Error::from_raw_os_error(code),
            }),
        };
        assert!(refused(libc::ENOMEM).is_passing() && refused(libc::EAGAIN).is_passing());
        assert!(!refused(libc::EPERM).is_passing() && !refused(libc::EINVAL).is_passing());
        assert!(!KernelError::Full(4096).is_passing());
    }

    #[test]
    fn of_the_verifiers_words_the_verdict_is_shown() {
        let log = "886: (77) r6 >>= 32   ; R6_w=scalar()\n887: (79) r1 = *(u64 *)(r10 -136)\n\
                   invalid read from stack R10 off=-136 size=8\nverification time 30373 usec\nstack depth 160+0\n\
                   processed 1334 insns (limit 1000000) max_states_per_insn 4\n\n";
        assert_eq!(
            verdict_of(log),
            Some("invalid read from stack R10 off=-136 size=8")
        );
        assert_eq!(verdict_of("processed 0 insns\n"), None);
        assert_eq!(verdict_of(""), None);
    }
}
