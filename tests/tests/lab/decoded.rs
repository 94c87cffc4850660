//! tshark, which shares no code with us, decodes every frame that an agent sends and finds nothing wrong.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::advert::{Advert, Sum};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::capture::Frame;
use ha_tests::lab::clock::now;
use ha_tests::lab::hmac;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::tshark::{Decoded, School, decode};
use ha_tests::lab::{Agent, Lab, wait_until};

/// Adverts to be seen before the agent is told to leave.
const ADVERTS: usize = 3;
/// What tshark calls a checksum that is right.
const GOOD: &str = "1";
/// What it calls one that is wrong.
const BAD: &str = "0";

/// RFC 3768 section 5.2.3 (ttl-sent).
#[test]
fn a_version_2_advert_is_right_to_the_last_field() -> Result<()> {
    let sent = Sent::by(version_2())?;
    sent.is_right(
        School::PseudoHeader,
        &[
            ("ip.src", "10.99.0.1"),
            ("vrrp.version", "2"),
            ("vrrp.addr_count", "1"),
            ("vrrp.auth_type", "0"),
            ("vrrp.auth_string", ""),
            ("vrrp.adver_int", "1"),
            ("vrrp.short_adver_int", ""),
            ("vrrp.ip_addr", "10.99.0.100"),
        ],
    )
}

#[test]
fn a_version_2_advert_with_a_password_is_right_to_the_last_field() -> Result<()> {
    let auth = toml::Table::from_iter([
        ("type".to_owned(), "pass".into()),
        ("password".to_owned(), "secret".into()),
    ]);
    let sent = Sent::by(version_2().with("auth", auth))?;
    sent.is_right(
        School::PseudoHeader,
        &[
            ("vrrp.version", "2"),
            ("vrrp.auth_type", "1"),
            ("vrrp.auth_string", "secret"),
            ("vrrp.adver_int", "1"),
            ("vrrp.ip_addr", "10.99.0.100"),
        ],
    )
}

/// RFC 9568 sections 5.1.1.3 (ttl-sent), 5.2.6 (reserve-sent).
#[test]
fn a_version_3_advert_over_ipv4_is_right_to_the_last_field() -> Result<()> {
    let sent = Sent::by(instance(100))?;
    sent.is_right(
        School::PseudoHeader,
        &[
            ("ip.src", "10.99.0.1"),
            ("vrrp.version", "3"),
            ("vrrp.addr_count", "1"),
            ("vrrp.auth_type", ""),
            ("vrrp.adver_int", ""),
            ("vrrp.short_adver_int", "10"),
            ("vrrp.reserved_mbz", "0"),
            ("vrrp.ip_addr", "10.99.0.100"),
        ],
    )
}

/// tshark goes by RFC 5798 unless told otherwise, and then calls wrong what RFC 9568 asks for: to both
/// schools the other one's checksum is wrong.
#[test]
fn each_way_to_sum_version_3_over_ipv4_is_right_to_those_who_sum_that_way() -> Result<()> {
    let fields = [("vrrp.version", "3"), ("vrrp.short_adver_int", "10")];
    for (flavour, school, other) in [
        ("payload", School::Payload, School::PseudoHeader),
        ("pseudo-header", School::PseudoHeader, School::Payload),
    ] {
        let sent = Sent::by(instance(100).with("checksum", flavour))?;
        sent.is_right(school, &fields)?;
        for advert in sent.adverts(other)? {
            ensure!(advert.get("vrrp.checksum.status")? == BAD, "{advert:?}");
        }
    }
    Ok(())
}

/// RFC 9568 sections 5.1.2.3 (hops-sent), 5.2.6 (reserve-sent), 5.2.9 (link-local).
#[test]
fn a_version_3_advert_over_ipv6_is_right_to_the_last_field() -> Result<()> {
    let six = Instance {
        addresses: vec!["fe80::100/64".to_owned(), "fd00:99::100/64".to_owned()],
        ..instance(100)
    };
    let fields = [
        ("ipv6.src", "fe80::1"),
        ("vrrp.version", "3"),
        ("vrrp.addr_count", "2"),
        ("vrrp.short_adver_int", "10"),
        ("vrrp.reserved_mbz", "0"),
        ("vrrp.ipv6_addr", "fe80::100,fd00:99::100"),
    ];
    let sent = Sent::by(six)?;
    // Over IPv6 there is one way only, whatever tshark is told about IPv4.
    sent.is_right(School::PseudoHeader, &fields)?;
    sent.is_right(School::Payload, &fields)
}

/// It knows no trailer. Over IPv6 the checksum covers it and is right to everybody. Over IPv4 it was made before
/// the trailer, as keepalived makes it: tshark sums the trailer as well, and calls that wrong.
#[test]
fn a_signed_advert_is_right_in_every_field_and_its_trailer_is_nobody_elses_business() -> Result<()>
{
    let key = tempfile::NamedTempFile::new()?;
    std::fs::write(&key, "x".repeat(32))?;
    let path = key.path().to_str().context("UTF-8")?;
    let mut entry = toml::Table::new();
    entry.insert("id".to_owned(), 1.into());
    entry.insert("file".to_owned(), path.into());
    let signed =
        |it: Instance| it.with("hmac", hmac::hmac(vec![entry.clone().into()], 1, "enforce"));
    let six = Instance {
        addresses: vec!["fe80::100/64".to_owned()],
        ..instance(100)
    };
    let fields = [("vrrp.version", "3"), ("vrrp.ipv6_addr", "fe80::100")];
    Sent::by(signed(six))?.is_right(School::PseudoHeader, &fields)?;
    let sent = Sent::by(signed(instance(100)))?;
    for advert in sent.adverts(School::PseudoHeader)? {
        ensure!(advert.get("vrrp.ip_addr")? == "10.99.0.100", "{advert:?}");
        ensure!(advert.get("vrrp.checksum.status")? == BAD, "{advert:?}");
    }
    Ok(())
}

#[test]
fn a_long_list_of_addresses_is_right_to_the_last_one() -> Result<()> {
    let list: Vec<String> = (1..=40).map(|host| format!("10.99.1.{host}")).collect();
    let many = Instance {
        addresses: list.iter().map(|it| format!("{it}/32")).collect(),
        ..instance(100)
    };
    let sent = Sent::by(many)?;
    let listed = list.join(",");
    sent.is_right(
        School::PseudoHeader,
        &[
            ("vrrp.addr_count", "40"),
            ("vrrp.short_adver_int", "10"),
            ("vrrp.ip_addr", &listed),
        ],
    )
}

/// A witness that never complains would be none.
#[test]
fn tshark_complains_of_a_wrong_checksum_and_of_a_wrong_ttl() -> Result<()> {
    let lab = Lab::new(1)?;
    let capture = lab.capture()?;
    let forger = lab.host(1).forger()?;
    let good = Advert::default();
    let wrong_sum = Advert {
        sum: Sum::Wrong,
        ..good.clone()
    };
    let wrong_ttl = Advert {
        ttl: 64,
        ..good.clone()
    };
    for advert in [&good, &wrong_sum, &wrong_ttl] {
        forger.send(&advert.frame())?;
    }
    let mut frames = Vec::new();
    wait_until(PATIENCE, "three frames", || {
        frames = capture.frames();
        frames.retain(|it| it.is_from(lab.host(1)) && it.vrrp().is_some());
        frames.len() == 3
    })?;
    let decoded = decode(lab.host(1).dir(), &frames, School::PseudoHeader)?;
    let complaints: Vec<&str> = decoded
        .iter()
        .map(Decoded::complaint)
        .collect::<Result<_>>()?;
    ensure!(complaints[0].is_empty(), "{complaints:?}");
    ensure!(complaints[1].contains("checksum"), "{complaints:?}");
    ensure!(complaints[2].contains("Time To Live"), "{complaints:?}");
    Ok(())
}

fn version_2() -> Instance {
    Instance {
        version: 2,
        advert_interval: Duration::from_secs(1),
        ..instance(100)
    }
}

/// Everything that an agent sent, from its first advert to its farewell.
struct Sent {
    frames: Vec<Frame>,
    lab: Lab,
}

impl Sent {
    fn by(instance: Instance) -> Result<Self> {
        let lab = Lab::new(1)?;
        let h1 = lab.host(1);
        let capture = lab.capture()?;
        let begin = now();
        let agent = Agent::start(h1, instance)?;
        let own = || -> Vec<Frame> {
            let mut frames = capture.frames_since(begin);
            frames.retain(|it| it.is_from(h1));
            frames
        };
        wait_until(PATIENCE, "a few adverts", || {
            own().iter().filter(|it| it.vrrp().is_some()).count() >= ADVERTS
        })?;
        agent.process().signal(Signal::TERM)?;
        capture.wait_advert(h1, 0, begin, PATIENCE)?;
        agent.process().wait(PATIENCE)?;
        let frames = own();
        ensure!(capture.dropped() == 0, "the capture has gaps");
        Ok(Self { frames, lab })
    }

    /// Fails unless tshark, of this school, finds nothing wrong with any frame, and reads in every advert
    /// what all have in common and these fields.
    fn is_right(&self, school: School, fields: &[(&str, &str)]) -> Result<()> {
        for frame in self.decoded(school)? {
            ensure!(frame.complaint()?.is_empty(), "{frame:?}");
        }
        let adverts = self.adverts(school)?;
        for advert in &adverts {
            for (field, value) in ALWAYS.iter().chain(family(advert)?).chain(fields) {
                let read = advert.get(field)?;
                ensure!(read == *value, "{field} is {read:?}, not {value:?}");
            }
        }
        // It leads, then leaves; nothing else is ever said.
        let said: Vec<&str> = adverts
            .iter()
            .map(|it| it.get("vrrp.prio"))
            .collect::<Result<_>>()?;
        let (last, others) = said.split_last().context("no advert")?;
        ensure!(others.len() >= ADVERTS, "{said:?}");
        ensure!(others.iter().all(|it| *it == "100"), "{said:?}");
        ensure!(*last == "0", "{said:?}");
        Ok(())
    }

    fn adverts(&self, school: School) -> Result<Vec<Decoded>> {
        let mut adverts = Vec::new();
        for frame in self.decoded(school)? {
            if frame.is_advert()? {
                adverts.push(frame);
            }
        }
        Ok(adverts)
    }

    fn decoded(&self, school: School) -> Result<Vec<Decoded>> {
        decode(self.lab.host(1).dir(), &self.frames, school)
    }
}

/// What every advert says.
const ALWAYS: [(&str, &str); 3] = [
    ("vrrp.type", "1"),
    ("vrrp.virt_rtr_id", "51"),
    ("vrrp.checksum.status", GOOD),
];
/// What every advert over IPv4 says around it.
const OVER_IPV4: [(&str, &str); 5] = [
    ("eth.dst", "01:00:5e:00:00:12"),
    ("ip.dst", "224.0.0.18"),
    ("ip.ttl", "255"),
    ("ip.dsfield", "0xc0"),
    ("ip.checksum.status", GOOD),
];
/// What every advert over IPv6 says around it.
const OVER_IPV6: [(&str, &str); 4] = [
    ("eth.dst", "33:33:00:00:00:12"),
    ("ipv6.dst", "ff02::12"),
    ("ipv6.hlim", "255"),
    ("ipv6.tclass", "0x000000c0"),
];

fn family(advert: &Decoded) -> Result<&'static [(&'static str, &'static str)]> {
    Ok(if advert.get("ipv6.src")?.is_empty() {
        &OVER_IPV4
    } else {
        &OVER_IPV6
    })
}
