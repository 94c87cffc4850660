//! Mistakes that a driver could make, to be found by what they lead to.

/// What the model of the driver does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mistake {
    /// None.
    None,
    /// What failed is not tried again.
    NeverAgain,
    /// What could not be removed is forgotten once something else worked.
    ForgetsFailures,
    /// An agent that ends asks once.
    LeavesAtOnce,
    /// The answer that is missing is taken for a refusal.
    TrustsNoAnswer,
    /// Without a look, what was there is its own.
    TakesAllForItsOwn,
    /// Its record tells the next life of its own addresses alone, and not of those that an earlier one has left.
    RecordsItsOwn,
}

/// All of them.
pub const MISTAKES: [Mistake; 6] = [
    Mistake::NeverAgain,
    Mistake::ForgetsFailures,
    Mistake::LeavesAtOnce,
    Mistake::TrustsNoAnswer,
    Mistake::TakesAllForItsOwn,
    Mistake::RecordsItsOwn,
];
