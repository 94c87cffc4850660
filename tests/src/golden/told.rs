//! Inputs of an election as a recording has them, read back: the reverse of `ha_agent::record::words`.

use ha_common::election::{CheckId, Claim, Departure, FaultCause, Input, Params};
use ha_common::units::Instant;

use super::problem::Problem;
use super::words::Words;

/// What may stand behind `<`.
const ALLOWED: &str = "`begins`, `ready`, `fault`, `advert`, `master-down`, `tick`, `priority`, \
    `own-address`, `configure`, `resume`, `taken-over`, `sender-stopped`, `events-lost`, `claimed`, `group-leads`, `group-joins`, \
    `group-leaves`, `group-waits` or `shutdown`";
const FAULTS: &str = "`check NAME`, `interface-down`, `interface-gone`, `no-own-address`, \
    `source-missing`, `addresses-refused`, `cannot-send`, `maintenance`, `tracked #N` or `member #N`";

/// What an election is told, its beginning included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// It comes into being.
    Begins(Params),
    /// This.
    Input(Input),
}

/// The names of checks by number. Recordings know them by name only, and the election by number only.
#[derive(Clone, Debug, Default)]
pub struct CheckNames(Vec<String>);

impl CheckNames {
    /// In the order of a configuration.
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        Self(names.collect())
    }

    /// All of them, in order.
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// The number of a check, which may be new: a reload may have brought it.
    fn number(&mut self, name: &str) -> Option<CheckId> {
        let known = self.0.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        u16::try_from(index).ok().map(CheckId)
    }
}

/// Reads what stands behind `<`, at that time.
pub fn read(words: &mut Words<'_>, now: Instant, checks: &mut CheckNames) -> Result<Told, Problem> {
    let kind = words.next(ALLOWED)?;
    let input = match kind {
        "begins" => {
            let params = words.params()?;
            words.end()?;
            return Ok(Told::Begins(params));
        }
        "ready" => Input::Ready,
        "fault" => Input::Fault(fault(words, checks)?),
        "advert" => Input::Advert(words.advert()?),
        "master-down" => master_down(words, now)?,
        "tick" => Input::Tick,
        "priority" => Input::Priority(words.priority()?),
        "own-address" => Input::OwnAddress(words.address()?),
        "configure" => Input::Configure(words.params()?),
        "resume" => Input::Resume,
        "taken-over" => Input::TakenOver(words.advert()?),
        "sender-stopped" => Input::SenderStopped,
        "events-lost" => Input::EventsLost,
        "claimed" => Input::Claimed(claim(words)?),
        "group-leads" => Input::GroupLeads,
        "group-joins" => Input::GroupJoins(words.member()?),
        "group-leaves" => Input::GroupLeaves(departure(words)?),
        "group-waits" => Input::GroupWaits,
        "shutdown" => Input::Shutdown,
        other => return Err(words.wrong(other, ALLOWED)),
    };
    words.end()?;
    Ok(Told::Input(input))
}

fn claim(words: &mut Words<'_>) -> Result<Claim, Problem> {
    let address = words.address()?;
    words.keyword("by")?;
    let mac = words.value("a MAC such as 02:00:00:00:00:09", mac)?;
    Ok(Claim { address, mac })
}

/// Six octets of two digits each.
fn mac(word: &str) -> Option<[u8; 6]> {
    let octets = word
        .split(':')
        .map(|octet| {
            u8::from_str_radix(octet, 16)
                .ok()
                .filter(|_| octet.len() == 2)
        })
        .collect::<Option<Vec<u8>>>()?;
    octets.try_into().ok()
}

fn departure(words: &mut Words<'_>) -> Result<Departure, Problem> {
    let by = words.member()?;
    words.keyword("stagger")?;
    let stagger = words.value("a number from 0 to 255", |word| word.parse().ok())?;
    Ok(Departure { by, stagger })
}

fn master_down(words: &mut Words<'_>, now: Instant) -> Result<Input, Problem> {
    let heard = words.value("`heard SPAN ago` or `never-heard`", |word| match word {
        "heard" => Some(true),
        "never-heard" => Some(false),
        _ => None,
    })?;
    let last_heard = if heard {
        let span = words.span()?;
        words.keyword("ago")?;
        Some(now - span)
    } else {
        None
    };
    Ok(Input::MasterDown { last_heard })
}

fn fault(words: &mut Words<'_>, checks: &mut CheckNames) -> Result<FaultCause, Problem> {
    let kind = words.next(FAULTS)?;
    if kind == "check" {
        let id = words.value(
            "the name of a check, or its number as #N",
            |name| match name.strip_prefix('#') {
                Some(number) => number.parse().ok().map(CheckId),
                None => checks.number(name),
            },
        )?;
        return Ok(FaultCause::Check(id));
    }
    if kind == "tracked" {
        let what = "the number of what is tracked as #N";
        let id = words.value(what, |word| word.strip_prefix('#')?.parse().ok())?;
        return Ok(FaultCause::Tracked(CheckId(id)));
    }
    if kind == "member" {
        return words.member().map(FaultCause::Member);
    }
    named_fault(kind).ok_or_else(|| words.wrong(kind, FAULTS))
}

/// The causes that are one word.
pub fn named_fault(word: &str) -> Option<FaultCause> {
    Some(match word {
        "interface-down" => FaultCause::InterfaceDown,
        "interface-gone" => FaultCause::InterfaceGone,
        "no-own-address" => FaultCause::NoOwnAddress,
        "source-missing" => FaultCause::SourceMissing,
        "addresses-refused" => FaultCause::AddressesRefused,
        "cannot-send" => FaultCause::CannotSend,
        "maintenance" => FaultCause::Maintenance,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ha_agent::record::words::{begins, failed_check, input};

    use super::super::alphabet;
    use super::*;

    const NOW: Instant = Instant(5_000_000_000);

    fn read_one(text: &str, checks: &mut CheckNames) -> Result<Told, Problem> {
        read(&mut Words::new("events.txt", 1, text), NOW, checks)
    }

    #[test]
    fn every_input_is_read_back_as_it_was_written() {
        let names = ["disk", "nginx"].map(str::to_owned);
        for told in alphabet::inputs() {
            let mut checks = CheckNames::new(names.iter().cloned());
            let name = failed_check(&told).and_then(|id| names.get(usize::from(id.0)));
            let text = input(NOW, &told, name.map(String::as_str));
            assert_eq!(
                read_one(&text, &mut checks),
                Ok(Told::Input(told)),
                "{text}"
            );
        }
        for params in alphabet::parameters() {
            let text = begins(&params);
            let told = read_one(&text, &mut CheckNames::default());
            assert_eq!(told, Ok(Told::Begins(params)), "{text}");
        }
    }

    #[test]
    fn a_check_that_is_not_configured_gets_the_next_number() {
        let mut checks = CheckNames::new(["disk".to_owned()].into_iter());
        let told = read_one("fault check nginx", &mut checks);
        let failed = Input::Fault(FaultCause::Check(CheckId(1)));
        assert_eq!(told, Ok(Told::Input(failed)));
        assert_eq!(checks.all(), ["disk", "nginx"]);
    }

    #[test]
    fn an_unknown_input_is_refused_with_those_that_there_are() {
        let message = |text| {
            let error = read_one(text, &mut CheckNames::default()).unwrap_err();
            error.to_string()
        };
        assert!(
            message("raedy")
                .starts_with("events.txt:1: `raedy` is wrong here: allowed is `begins`, ")
        );
        assert!(message("fault tired").contains("allowed is `check NAME`, `interface-down`, "));
        assert!(message("claimed 10.99.0.100 by 02:0:00:00:00:9").contains("a MAC such as "));
        assert!(message("ready now").ends_with("allowed is the end of the line"));
        assert!(message("master-down heard 1s").ends_with("here stands `ago`"));
    }
}
