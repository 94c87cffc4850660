//! What an instance holds while it is master, for a person: what is there, and what is not.

use super::text::{BAD, PLAIN, field};
use crate::status::format::span;
use crate::status::instance::{Address, Instance, State};
use crate::status::missing::Missing;

/// How many of a kind are named; of more, how many more there are is said.
const NAMED: usize = 10;

/// Appends a line for each kind of thing that it holds.
pub(super) fn render_held(out: &mut String, instance: &Instance) {
    let is_master = instance.state == State::Master;
    render(out, "addresses", is_master, addresses(&instance.addresses));
    if !instance.excluded.is_empty() {
        render(out, "excluded", is_master, addresses(&instance.excluded));
    }
    let routes = || instance.routes.iter();
    let rules = || instance.rules.iter();
    if !instance.routes.is_empty() {
        let all = routes().map(|it| (it.text.clone(), it.present));
        render(out, "routes", is_master, all);
    }
    if !instance.rules.is_empty() {
        let all = rules().map(|it| (it.text.clone(), it.present));
        render(out, "rules", is_master, all);
    }
    render_missing(out, &instance.missing);
}

/// What is wanted and is not so: since when, why, and when it is tried again.
pub(super) fn render_missing(out: &mut String, missing: &[Missing]) {
    for it in missing.iter().take(NAMED) {
        let Missing {
            what,
            why,
            since,
            next_try,
        } = it;
        let next = next_try.as_ref().map_or_else(String::new, |at| {
            format!("; next try in {}", span(at.in_us))
        });
        let text = format!("{what}, for {}: {why}{next}", span(since.ago_us));
        field(out, "missing", BAD, &text);
    }
    if let Some(more) = missing.len().checked_sub(NAMED).filter(|more| *more > 0) {
        field(out, "", BAD, &format!("and {more} more"));
    }
}

/// Each with whether it is there.
fn addresses(list: &[Address]) -> impl Iterator<Item = (String, bool)> {
    list.iter().map(|it| (it.address.to_string(), it.present))
}

/// A master has all of them, nobody else has any.
fn render(
    out: &mut String,
    label: &str,
    is_master: bool,
    things: impl Iterator<Item = (String, bool)>,
) {
    let (mut there, mut absent) = (Vec::new(), Vec::new());
    for (thing, present) in things {
        if present { &mut there } else { &mut absent }.push(thing);
    }
    let is_right = if is_master { &absent } else { &there }.is_empty();
    let style = if is_right { PLAIN } else { BAD };
    let text = match (there.as_slice(), absent.as_slice()) {
        (there, []) => format!("present: {}", named(there)),
        ([], absent) => format!("absent: {}", named(absent)),
        (there, absent) => format!("present: {}; absent: {}", named(there), named(absent)),
    };
    field(out, label, style, &text);
}

fn named(things: &[String]) -> String {
    match things.split_at_checked(NAMED) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} more", first.join(", "), rest.len())
        }
        _ => things.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(is_master: bool, things: &[(&str, bool)]) -> String {
        let mut out = String::new();
        let things = things
            .iter()
            .map(|(it, present)| ((*it).to_owned(), *present));
        render(&mut out, "excluded", is_master, things);
        out
    }

    #[test]
    fn what_a_master_lacks_and_what_a_backup_has_is_marked() {
        let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
        let cases = [
            (true, true, true),
            (true, false, false),
            (false, false, true),
            (false, true, false),
        ];
        for (is_master, present, is_right) in cases {
            let text = rendered(is_master, &[("10.0.0.1/32", present)]);
            let is_marked = text != plain(&text) && text.contains(&BAD.render().to_string());
            assert_eq!(!is_marked, is_right, "{text:?}");
        }
    }

    #[test]
    fn of_a_thousand_the_first_are_named_and_the_others_counted() {
        let thousand: Vec<String> = (0..1000).map(|n| format!("it{n}")).collect();
        let text = named(&thousand);
        assert!(text.ends_with("it8, it9 and 990 more"), "{text}");
        assert_eq!(named(&thousand[..10]).matches(", ").count(), 9);
    }
}
