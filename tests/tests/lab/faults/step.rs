//! What happens to an agent, and what there is on its host afterwards.

/// What happens to an agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Start,
    Leave,
    TakeOver,
    /// Addresses, routes and rules come and go, or another form of them.
    Reload,
    ReloadBack,
    /// It is killed as master and started again.
    Crash,
    /// The same, and it may not be master.
    CrashAndLeave,
    /// It is killed as master, and the next one has other addresses, routes and rules.
    CrashAndChange,
    Stop,
}

/// In an order in which each begins where the one before has ended.
pub(super) const STEPS: [Step; 10] = [
    Step::Start,
    Step::Leave,
    Step::TakeOver,
    Step::Reload,
    Step::ReloadBack,
    Step::Crash,
    Step::CrashAndLeave,
    Step::TakeOver,
    Step::CrashAndChange,
    Step::Stop,
];

/// What is on the host after it, without faults.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Master,
    Other,
    Out,
    Gone,
}

impl Step {
    pub(super) fn end(self) -> End {
        match self {
            Self::Start | Self::TakeOver | Self::ReloadBack | Self::Crash => End::Master,
            Self::Reload | Self::CrashAndChange => End::Other,
            Self::Leave | Self::CrashAndLeave => End::Out,
            Self::Stop => End::Gone,
        }
    }
}
