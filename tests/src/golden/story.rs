//! What came of a scenario: the lines of `expected.txt`, and the transitions among them.

use ha_agent::record::words;
use ha_common::election::{Action, Actions, Input, Params, Transition};
use ha_common::units::Instant;

use super::events::START;

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// One line each, as in the file.
    pub lines: Vec<String>,
    /// Every change of state.
    pub transitions: Vec<Transition>,
}

impl Story {
    pub(super) fn begins(&mut self, name: &str, now: Instant, params: &Params) {
        self.line(name, now, '<', &words::begins(params));
    }

    pub(super) fn fed(
        &mut self,
        name: &str,
        now: Instant,
        input: &Input,
        actions: &Actions,
        checks: &[String],
    ) {
        let id = words::failed_check(input);
        let check = id.and_then(|id| checks.get(usize::from(id.0)));
        let check = check.map(String::as_str);
        self.line(name, now, '<', &words::input(now, input, check));
        for action in actions.iter() {
            self.line(name, now, '>', &words::action(&action, check));
            if let Action::Report(transition) = action {
                self.transitions.push(transition);
            }
        }
    }

    /// The detector refused an advert.
    pub(super) fn refused(&mut self, name: &str, now: Instant, what: &str) {
        self.line(name, now, '!', what);
    }

    fn line(&mut self, name: &str, now: Instant, mark: char, words: &str) {
        let at = words::time(now.since(START));
        self.lines.push(format!("{at} {name} {mark} {words}"));
    }
}
