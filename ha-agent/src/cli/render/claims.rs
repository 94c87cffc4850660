//! Claims of a master's addresses by other hosts.

use super::text::{WARN, field};
use crate::status::claims::Claims;
use crate::status::format::{count, span};

/// How many claimants are shown to a person.
const SHOWN: usize = 4;

/// Appends the claims, if there were any.
pub(super) fn render_claims(out: &mut String, claims: &Claims) {
    if claims.count == 0 {
        return;
    }
    let text = format!(
        "{}, {} in the last minute: another host has the addresses, or is a second master",
        count(claims.count, "time"),
        claims.per_minute,
    );
    field(out, "claimed", WARN, &text);
    for by in claims.by.iter().take(SHOWN) {
        let text = format!(
            "by {}: {}, {} since {} ago ({}), last {} ago",
            by.mac,
            by.address,
            count(by.count, "time"),
            span(by.since.ago_us),
            by.since.at,
            span(by.last.ago_us),
        );
        field(out, "", WARN, &text);
    }
    let more = claims.by.len().saturating_sub(SHOWN);
    if more > 0 {
        let text = format!("and by {}", count(more as u64, "other MAC"));
        field(out, "", WARN, &text);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::status::claims::Claimant;
    use crate::status::moment::WallTime;

    fn moment(seconds: u64) -> WallTime {
        WallTime {
            at: "2026-03-01T12:00:00.250Z".to_owned(),
            ago_us: seconds * 1_000_000,
        }
    }

    fn plain(claims: &Claims) -> String {
        let mut out = String::new();
        render_claims(&mut out, claims);
        anstream::adapter::strip_str(&out).to_string()
    }

    #[test]
    fn no_claims_are_no_line() {
        assert_eq!(plain(&Claims::default()), "");
    }

    #[test]
    fn of_many_claimants_the_last_few_are_shown_and_the_others_counted() {
        let by = |host: u8| Claimant {
            mac: format!("02:00:00:00:00:{host:02x}"),
            address: IpAddr::from([10, 99, 0, 100]),
            count: 1,
            since: moment(90),
            last: moment(90),
        };
        let claims = Claims {
            count: 6,
            per_minute: 0,
            unnamed: 0,
            by: (0..6).map(by).collect(),
        };
        let text = plain(&claims);
        assert_eq!(text.matches("by 02:00:").count(), SHOWN);
        assert!(text.ends_with("and by 2 other MACs\n"), "{text}");
    }
}
