//! The one table of exit codes.

use std::process::ExitCode;
use std::time::Duration;

/// How the process ends. Units and scripts may rely on the numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Anything that has no number of its own.
    General = 1,
    /// The command line is wrong; clap ends with this by itself.
    Usage = 2,
    /// The configuration is wrong or cannot be read.
    Config = 3,
    /// Root or a capability is missing.
    Privilege = 4,
    /// There is no agent to ask.
    NotRunning = 5,
    /// The host lacks something: a safe runtime directory, memory, descriptors, what a reload names.
    /// Not a kernel that is too old: without BPF a plain socket does.
    Environment = 6,
    /// Another agent has the runtime directory or the pins.
    AlreadyRunning = 7,
    /// A reload was carried out, and an instance is in FAULT because of it.
    Faulted = 8,
    /// The agent has ended for the one that the service manager starts next, which carries on.
    HandedOver = 75,
}

impl Exit {
    /// What `ha-agent help` says about them.
    pub const HELP: &'static str = "\
Exit codes:
  0  done
  1  any other failure
  2  invalid command line
  3  invalid or unreadable configuration
  4  root or a capability is missing
  5  no agent is running (status, peers, reload, datapath, upgrade)
  6  the host lacks something: a safe runtime directory, memory, what a reload names
  7  another agent is running here, or uses the same pins
  8  the reload is in force, and an instance is in FAULT because of it
 75  everything stays for the agent that systemd starts next";
}

/// Between starts that fail for what the host lacks: systemd's own pause is as short as a crash needs it.
const PAUSE: Duration = Duration::from_secs(5);

impl Exit {
    /// How long a service waits with its end, so that the next start has a chance: what it lacks may come by itself, and so
    /// it is started again for ever, but not ten times a second.
    pub const fn pause(self) -> Option<Duration> {
        match self {
            Self::Environment | Self::AlreadyRunning => Some(PAUSE),
            _ => None,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code_once() {
        let all = [
            Exit::Ok,
            Exit::General,
            Exit::Usage,
            Exit::Config,
            Exit::Privilege,
            Exit::NotRunning,
            Exit::Environment,
            Exit::AlreadyRunning,
            Exit::Faulted,
            Exit::HandedOver,
        ];
        let listed: Vec<u8> = Exit::HELP
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        assert_eq!(listed, all.map(|exit| exit as u8));
    }

    #[test]
    fn only_what_may_pass_by_itself_has_the_next_start_wait() {
        for exit in [Exit::Environment, Exit::AlreadyRunning] {
            assert!(exit.pause().is_some(), "{exit:?}");
        }
        // A crash and a hand-over are started again at once, the others never.
        for exit in [
            Exit::General,
            Exit::Config,
            Exit::Usage,
            Exit::Privilege,
            Exit::HandedOver,
        ] {
            assert_eq!(exit.pause(), None, "{exit:?}");
        }
    }
}
