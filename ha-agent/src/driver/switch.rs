//! A datapath by command, in place of the configured one: an instance's, kept until the next reload that changes its
//! `datapath`, or the end of the agent.
//!
//! It never takes an instance out: what cannot be had is given up again, and the instance goes on by what it had.

use tokio::sync::oneshot;

use super::hooks::Reception;
use crate::config::model::DatapathChoice;

/// What has come of a command.
pub(crate) type Answer = Result<Switched, SwitchError>;

/// Who is to be told what.
pub(super) type Told = (oneshot::Sender<Answer>, Answer);

/// The instance receives by what was wanted.
#[derive(Clone, Debug)]
pub(crate) struct Switched {
    /// How it receives now.
    pub(crate) reception: Reception,
    /// What the configuration says.
    pub(crate) configured: DatapathChoice,
    pub(crate) interface: String,
    /// Whether a program of ours is on the interface.
    pub(crate) program: bool,
}

/// Why a command was not followed.
#[derive(Clone, Debug)]
pub(crate) enum SwitchError {
    /// There is no such instance, but these.
    Unknown(Vec<String>),
    /// It cannot be had, for this reason; the instance has what it had.
    Refused(String),
    /// A later command for the same instance has come, or a reload.
    Overtaken,
}

/// A datapath by command.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) choice: DatapathChoice,
    /// The one by an earlier command, for as long as it is not known whether this one can be had.
    pub(super) earlier: Option<DatapathChoice>,
    /// Who waits for what comes of it.
    pub(super) answer: Option<oneshot::Sender<Answer>>,
    /// Why it cannot be had.
    pub(super) refused: Option<String>,
}

impl Switch {
    pub(super) fn new(choice: DatapathChoice, earlier: Option<DatapathChoice>) -> Self {
        Self {
            choice,
            earlier,
            answer: None,
            refused: None,
        }
    }

    pub(super) fn tell(&mut self, answer: Answer) {
        if let Some(waiting) = self.answer.take() {
            // Whoever asked may have given up waiting.
            let _ = waiting.send(answer);
        }
    }
}
