//! What a scenario is made of: hosts, and what happens to them in each round. All of it comes from one seed before
//! anything is played, so that it can be played again with less of it.

use ha_common::election::Params;
use ha_common::units::Nanos;

use crate::ops::Op;
use crate::world::Setup;

/// Times of trouble in one scenario, each followed by a quiet one.
pub const ROUNDS: usize = 4;

/// A scenario.
#[derive(Clone, Debug)]
pub struct Script {
    /// What replays it.
    pub seed: u64,
    /// The virtual routers, each host by each segment.
    pub params: Vec<Params>,
    /// Where they are.
    pub setup: Setup,
    /// Whatever else is random comes from this.
    pub world_seed: u64,
    /// What happens.
    pub rounds: Vec<Round>,
}

/// Trouble, and the quiet after it.
#[derive(Clone, Debug)]
pub struct Round {
    /// How long the trouble lasts.
    pub trouble: Nanos,
    /// What happens, each so long after the round began.
    pub ops: Vec<(Nanos, Op)>,
    /// The segment's parts in the quiet.
    pub quiet: Vec<u8>,
}

/// The smallest script that still fails, found by leaving out one thing after the other; `fails` plays one.
///
/// What is left may fail in another way than the whole did: the fewer things happen, the easier either is understood.
pub fn shrink(script: &Script, fails: impl Fn(&Script) -> bool) -> Script {
    let mut smallest = script.clone();
    loop {
        let found = smaller(&smallest).find(|less| fails(less));
        match found {
            Some(less) => smallest = less,
            None => return smallest,
        }
    }
}

/// The script without its last rounds, then without any one, then without half of a round's operations, then without one of them.
fn smaller(script: &Script) -> impl Iterator<Item = Script> + '_ {
    let shorter = (1..script.rounds.len()).map(|rounds| {
        let mut less = script.clone();
        less.rounds.truncate(rounds);
        less
    });
    let fewer = (0..script.rounds.len())
        .filter(|_| script.rounds.len() > 1)
        .map(|round| {
            let mut less = script.clone();
            less.rounds.remove(round);
            less
        });
    let without = |round: usize, from: usize, to: usize| {
        let mut less = script.clone();
        if let Some(round) = less.rounds.get_mut(round) {
            round.ops.drain(from..to);
        }
        less
    };
    let rounds = || script.rounds.iter().enumerate();
    let halves = rounds().flat_map(move |(index, round)| {
        let half = boundary(&round.ops, round.ops.len() / 2);
        [(0, half), (half, round.ops.len())]
            .into_iter()
            .filter(|(from, to)| from < to)
            .map(move |(from, to)| without(index, from, to))
    });
    let ones = rounds().flat_map(move |(index, round)| {
        let starts = (0..round.ops.len()).filter(|op| boundary(&round.ops, *op) == *op);
        starts.map(move |op| without(index, op, boundary(&round.ops, op + 1)))
    });
    shorter.chain(fewer).chain(halves).chain(ones)
}

/// Where the operations that happen together with the one before this end: what happens to a host of several members
/// happens to all of them.
fn boundary(ops: &[(Nanos, Op)], at: usize) -> usize {
    let together = |index: &usize| {
        let time = |index: usize| ops.get(index).map(|(time, _)| *time);
        *index > 0 && time(*index).is_some() && time(*index) == time(*index - 1)
    };
    (at..ops.len())
        .find(|index| !together(index))
        .unwrap_or(ops.len())
}
