//! tshark as an independent witness: what it reads in a frame, and what it finds wrong with it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::capture::Frame;
use super::netns::output_of;
use super::pcap;
use super::require::require_tools;

/// Debian's tshark.
pub const PROGRAM: &str = "tshark";

/// How tshark is to take the checksum of version 3 over IPv4, of which there are two schools.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum School {
    /// With the pseudo-header (RFC 5798 section 5.2.8): what tshark does unless told otherwise.
    PseudoHeader,
    /// Over the message alone (RFC 9568 section 5.2.8): its option `vrrp.v3_checksum_as_in_v2`.
    Payload,
}

/// A frame as tshark reads it. A field that is not in the frame is empty; one that is there more than once
/// has its values joined by commas.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decoded(Vec<String>);

/// The fields that are asked for.
const FIELDS: [&str; 25] = [
    "frame.protocols",
    "eth.dst",
    "ip.src",
    "ip.dst",
    "ip.ttl",
    "ip.dsfield",
    "ip.checksum.status",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.hlim",
    "ipv6.tclass",
    "vrrp.version",
    "vrrp.type",
    "vrrp.virt_rtr_id",
    "vrrp.prio",
    "vrrp.addr_count",
    "vrrp.auth_type",
    "vrrp.auth_string",
    "vrrp.adver_int",
    "vrrp.short_adver_int",
    "vrrp.reserved_mbz",
    "vrrp.ip_addr",
    "vrrp.ipv6_addr",
    "vrrp.checksum.status",
    "_ws.expert.message",
];

impl Decoded {
    /// A field's value, by tshark's name for it.
    pub fn get(&self, field: &str) -> Result<&str> {
        let at = FIELDS.iter().position(|name| *name == field);
        let value = at.and_then(|at| self.0.get(at));
        value
            .map(String::as_str)
            .with_context(|| format!("tshark was not asked for {field}"))
    }

    /// What it finds odd or wrong; empty if nothing.
    pub fn complaint(&self) -> Result<&str> {
        self.get("_ws.expert.message")
    }

    /// Whether it calls this frame an advert.
    pub fn is_advert(&self) -> Result<bool> {
        Ok(self.get("frame.protocols")?.ends_with(":vrrp"))
    }
}

/// Has tshark read frames, by way of a file in this directory. It verifies every checksum there is.
pub fn decode(dir: &Path, frames: &[Frame], school: School) -> Result<Vec<Decoded>> {
    require_tools(&[PROGRAM])?;
    let file = dir.join("frames.pcap");
    pcap::write(&file, frames)?;
    let as_in_v2 = match school {
        School::PseudoHeader => "FALSE",
        School::Payload => "TRUE",
    };
    let mut tshark = Command::new(PROGRAM);
    tshark
        .arg("-r")
        .arg(&file)
        .args(["-n", "-T", "fields", "-E", "separator=/t"])
        .args(["-o", "ip.check_checksum:TRUE"])
        .args(["-o", &format!("vrrp.v3_checksum_as_in_v2:{as_in_v2}")])
        // Nobody's own preferences.
        .env("HOME", dir)
        .env("XDG_CONFIG_HOME", dir);
    for field in FIELDS {
        tshark.args(["-e", field]);
    }
    let text = output_of(tshark)?;
    let decoded: Vec<Decoded> = text.lines().map(line).collect();
    ensure!(
        decoded.len() == frames.len(),
        "tshark reads {} frames of {}",
        decoded.len(),
        frames.len()
    );
    Ok(decoded)
}

fn line(text: &str) -> Decoded {
    Decoded(text.split('\t').map(str::to_owned).collect())
}
