//! What attaching takes from the network card, as `ethtool -k` tells.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::end::End;
use super::subject::Subject;

/// The features of both ends, by end and name.
pub(super) type Features = BTreeMap<(End, String), State>;

/// How a feature stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct State {
    on: bool,
    /// Whether it is summed up in the one above it.
    part: bool,
}

/// Reads them.
pub(super) fn read(subject: &dyn Subject) -> Result<Features> {
    let mut features = Features::new();
    for end in [End::Own, End::Other] {
        let text = subject.features(end)?;
        features.extend(parse(&text).map(|(name, state)| ((end, name), state)));
    }
    Ok(features)
}

/// Lines like `tcp-segmentation-offload: on` and `\ttx-tcp-segmentation: off [fixed]`.
fn parse(text: &str) -> impl Iterator<Item = (String, State)> {
    text.lines().filter_map(|line| {
        let (name, state) = line.split_once(": ")?;
        let on = match state.split_whitespace().next()? {
            "on" => true,
            "off" => false,
            _ => return None,
        };
        let part = name.starts_with('\t');
        Some((name.trim().to_owned(), State { on, part }))
    })
}

/// What a contestant has changed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    pub(super) subject: &'static str,
    pub(super) hook: &'static str,
    /// While it ran.
    pub(super) during: Vec<Feature>,
    /// What was still so after it had ended.
    pub(super) after: Vec<Feature>,
}

/// A feature that is not as it was.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Feature {
    pub(super) end: End,
    pub(super) name: String,
    pub(super) on: bool,
    /// Whether it is summed up in the one above it.
    pub(super) part: bool,
}

/// What differs.
pub(super) fn differences(before: &Features, now: &Features) -> Vec<Feature> {
    let changed = now
        .iter()
        .filter(|(key, state)| before.get(*key) != Some(*state));
    changed
        .map(|((end, name), state)| Feature {
            end: *end,
            name: name.clone(),
            on: state.on,
            part: state.part,
        })
        .collect()
}

/// Puts back what a contestant has left changed: the next one must find what the first one found.
pub(super) fn restore(subject: &dyn Subject, before: &Features, left: &[Feature]) -> Result<()> {
    let own = left.iter().filter(|it| it.end == End::Own && !it.part);
    for feature in own {
        let state = if feature.on { "off" } else { "on" };
        let (interface, name) = (subject.interface(), &feature.name);
        subject.run(&format!("ethtool -K {interface} {name} {state}"))?;
    }
    let still = differences(before, &read(subject)?);
    ensure!(still.is_empty(), "offloads cannot be put back: {still:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_named() {
        let said = "Features for eth0:\nrx-checksumming: on\ntcp-segmentation-offload: on\n\
            \ttx-tcp-segmentation: on\n\ttx-tcp-ecn-segmentation: off [fixed]\n";
        let of = |text: &str| -> Features {
            let states = parse(text).map(|(name, state)| ((End::Own, name), state));
            states.collect()
        };
        let changed = said.replace(
            "tx-tcp-segmentation: on",
            "tx-tcp-segmentation: off [requested on]",
        );
        let (before, now) = (of(said), of(&changed));
        assert_eq!(before.len(), 4);
        let expected = Feature {
            end: End::Own,
            name: "tx-tcp-segmentation".to_owned(),
            on: false,
            part: true,
        };
        assert_eq!(differences(&before, &now), [expected]);
        assert!(differences(&before, &before).is_empty());
    }
}
