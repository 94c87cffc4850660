//! `[[instance]]`: its keys one by one. What they must be to each other is in `check`.

use std::time::Duration;

use ha_common::timing::DEFAULT_DOWN_MULTIPLIER;
use ha_common::units::{Centiseconds, Priority, Version, Vrid};

use super::owned_addresses::{OwnedAddresses, values};
use super::table::{At, Field, Table};
use super::transport::{self, RawTransport};
use super::virtual_mac::{self, RequestedMac};
use super::{hmac, parse_names, track};
use crate::config::model::{
    Auth, Carrier, ChecksumFlavour, Consume, DatapathChoice, Garp, Hmac, Instance, Track,
    VirtualMac,
};

/// What could be read of a section: each key that could, with its place.
pub(crate) struct RawInstance {
    pub(crate) name: Option<At<String>>,
    pub(crate) interface: Option<At<String>>,
    pub(crate) vrid: Option<At<Vrid>>,
    pub(crate) version: Option<At<Version>>,
    pub(crate) priority: Option<At<Priority>>,
    advert_interval: Option<At<Centiseconds>>,
    pub(crate) down_multiplier: Option<At<u8>>,
    pub(crate) owned: OwnedAddresses,
    pub(crate) transport: RawTransport,
    pub(crate) virtual_mac: Option<At<RequestedMac>>,
    pub(crate) preempt: Option<At<bool>>,
    pub(crate) preempt_delay: Option<At<Duration>>,
    pub(crate) auth: Option<At<Auth>>,
    pub(crate) hmac: Option<At<Option<Hmac>>>,
    /// Those that could be read; the place is that of the name of what is tracked.
    pub(crate) track: Vec<At<Track>>,
    /// False if there are more that could not be read.
    pub(crate) all_track: bool,
    pub(crate) last_resort: Option<At<Option<Priority>>>,
    pub(crate) carrier: Option<At<Carrier>>,
    carrier_delay: Option<At<Duration>>,
    address_delay: Option<At<Duration>>,
    datapath: Option<At<DatapathChoice>>,
    consume: Option<At<Consume>>,
    pub(crate) checksum: Option<At<ChecksumFlavour>>,
    garp: Option<At<Garp>>,
    start_delay: Option<At<Duration>>,
    /// The whole, if all of it could be read.
    pub(crate) model: Option<Instance>,
}

/// Reads one section.
pub(super) fn read(mut table: Table<'_>) -> RawInstance {
    let t = &mut table;
    let name = t.required("name", parse_names::name);
    let interface = t.required("interface", parse_names::interface);
    let version = t.optional("version", Version::V3, read_version);
    let interval = t.optional("advert_interval", Centiseconds(100), |f| {
        read_interval(f, *version.as_ref()?.get_ref())
    });
    let own_interval = interval.as_ref().map(|at| *at.get_ref());
    // Those entries that could be read are worth a look even if others could not.
    let tracked = t.optional("track", (Vec::new(), true), track::read);
    let (track, all_track) = tracked.map(At::into_inner).unwrap_or_default();
    let mut raw = RawInstance {
        name,
        vrid: t.required("vrid", |f| Vrid::new(byte(f, "")?)),
        version,
        priority: t.optional("priority", Priority(100), |f| Some(Priority(byte(f, "")?))),
        advert_interval: interval,
        down_multiplier: t.optional("down_multiplier", DEFAULT_DOWN_MULTIPLIER, |f| {
            byte(f, " intervals")
        }),
        owned: OwnedAddresses::read(t, interface.as_ref()),
        interface,
        transport: transport::read(t),
        virtual_mac: t.optional("virtual_mac", RequestedMac::No, virtual_mac::read),
        preempt: t.optional("preempt", true, Field::boolean),
        preempt_delay: t.optional("preempt_delay", Duration::ZERO, Field::duration),
        auth: t.optional("auth", Auth::None, read_auth),
        hmac: t.optional("hmac", None, |f| hmac::read(f, own_interval).map(Some)),
        track,
        all_track,
        last_resort: t.optional("last_resort", None, |f| Some(Some(Priority(byte(f, "")?)))),
        carrier: t.optional("carrier", Carrier::Fault, read_carrier),
        carrier_delay: t.optional("carrier_delay", Duration::ZERO, Field::duration),
        address_delay: t.optional("address_delay", Duration::from_secs(3), Field::duration),
        datapath: t.optional("datapath", DatapathChoice::Auto, read_datapath),
        consume: t.optional("consume", Consume::Auto, read_consume),
        checksum: t.optional("checksum", ChecksumFlavour::PseudoHeader, read_checksum),
        garp: t.optional("garp", Garp::default(), read_garp),
        start_delay: t.optional("start_delay", Duration::ZERO, Field::duration),
        model: None,
    };
    table.finish();
    raw.model = raw.complete();
    raw
}

impl RawInstance {
    /// The device of its virtual MAC, if it wants one.
    pub(crate) fn device(&self) -> Option<VirtualMac> {
        let (family, vrid) = (self.owned.family?, value(self.vrid.as_ref())?);
        self.virtual_mac.as_ref()?.get_ref().resolve(family, vrid)
    }

    fn complete(&self) -> Option<Instance> {
        if !self.owned.complete || !self.all_track {
            return None;
        }
        let family = self.owned.family?;
        let (source, transport) = self.transport.model(family)?;
        // It could be read, whatever it comes to.
        self.virtual_mac.as_ref()?;
        Some(Instance {
            name: value(self.name.as_ref())?,
            interface: value(self.interface.as_ref())?,
            vrid: value(self.vrid.as_ref())?,
            family,
            version: value(self.version.as_ref())?,
            priority: value(self.priority.as_ref())?,
            advert_interval: value(self.advert_interval.as_ref())?,
            down_multiplier: value(self.down_multiplier.as_ref())?,
            addresses: values(&self.owned.addresses),
            excluded: values(&self.owned.excluded),
            routes: values(&self.owned.routes),
            rules: values(&self.owned.rules),
            source,
            transport,
            virtual_mac: self.device(),
            preempt: value(self.preempt.as_ref())?,
            preempt_delay: value(self.preempt_delay.as_ref())?,
            auth: value(self.auth.as_ref())?,
            hmac: value(self.hmac.as_ref())?,
            track: values(&self.track),
            last_resort: value(self.last_resort.as_ref())?,
            carrier: value(self.carrier.as_ref())?,
            carrier_delay: value(self.carrier_delay.as_ref())?,
            address_delay: value(self.address_delay.as_ref())?,
            datapath: value(self.datapath.as_ref())?,
            consume: value(self.consume.as_ref())?,
            checksum: value(self.checksum.as_ref())?,
            garp: value(self.garp.as_ref())?,
            start_delay: value(self.start_delay.as_ref())?,
        })
    }
}

fn value<T: Clone>(at: Option<&At<T>>) -> Option<T> {
    at.map(|at| at.get_ref().clone())
}

/// `advert_interval`: its range and step are the version's.
fn read_interval(field: &Field<'_>, version: Version) -> Option<Centiseconds> {
    let (expected, step, most) = match version {
        // RFC 9568 section 5.2.7: 12 bits of centiseconds.
        Version::V3 => (
            "a duration from 10ms to 40.95s in steps of 10ms",
            Duration::from_millis(10),
            4095,
        ),
        // RFC 3768 section 5.3.7: one byte of seconds.
        Version::V2 => (
            "a duration of whole seconds from 1s to 255s, because version = 2",
            Duration::from_secs(1),
            255,
        ),
    };
    let duration = field.any_duration(expected)?;
    let steps = duration.as_nanos() / step.as_nanos();
    let centiseconds = u16::try_from(duration.as_millis() / 10);
    let whole = duration.as_nanos() % step.as_nanos() == 0;
    match centiseconds {
        Ok(value) if whole && (1..=most).contains(&steps) => Some(Centiseconds(value)),
        _ => field.wrong(expected),
    }
}

/// A number that fits a byte.
fn byte(field: &Field<'_>, unit: &str) -> Option<u8> {
    u8::try_from(field.integer(unit)?).ok()
}

fn read_version(field: &Field<'_>) -> Option<Version> {
    match field.integer(" (VRRP's version)")? {
        2 => Some(Version::V2),
        _ => Some(Version::V3),
    }
}

fn read_carrier(field: &Field<'_>) -> Option<Carrier> {
    field.choice(&[("fault", Carrier::Fault), ("ignore", Carrier::Ignore)])
}

fn read_datapath(field: &Field<'_>) -> Option<DatapathChoice> {
    field.choice(&DatapathChoice::ALL.map(|choice| (choice.name(), choice)))
}

fn read_checksum(field: &Field<'_>) -> Option<ChecksumFlavour> {
    field.choice(&[
        ("pseudo-header", ChecksumFlavour::PseudoHeader),
        ("payload", ChecksumFlavour::Payload),
    ])
}

fn read_auth(field: &Field<'_>) -> Option<Auth> {
    if field.text_if_any().is_some() {
        // It may be the password.
        return field.problem("must be a table, such as { type = \"none\" }, not a text");
    }
    let mut table = field.table()?;
    let kind = table.required("type", |f| f.choice(&[("none", false), ("pass", true)]));
    let password = table.get("password");
    table.finish();
    match (kind?.into_inner(), password) {
        (false, None) => Some(Auth::None),
        (false, Some(password)) => {
            password.problem("goes with type = \"pass\"; this is type = \"none\"")
        }
        (true, Some(password)) => read_password(&password),
        (true, None) => field.problem("of type \"pass\" must have a password of at most 8 bytes"),
    }
}

fn read_password(field: &Field<'_>) -> Option<Auth> {
    let text = field.secret("1 to 8 bytes of text")?;
    let mut padded = [0; 8];
    match padded.get_mut(..text.len()) {
        Some(start) if !text.is_empty() => {
            start.copy_from_slice(text.as_bytes());
            Some(Auth::Pass(padded))
        }
        _ => field.problem(format_args!(
            "must be 1 to 8 bytes long, and it has {}",
            text.len()
        )),
    }
}

fn read_consume(field: &Field<'_>) -> Option<Consume> {
    if let Some(value) = field.boolean_if_any() {
        return Some(if value {
            Consume::Always
        } else {
            Consume::Never
        });
    }
    match field.text("\"auto\", true or false")? {
        "auto" => Some(Consume::Auto),
        _ => field.wrong("\"auto\", or true or false without quotes"),
    }
}

fn read_garp(field: &Field<'_>) -> Option<Garp> {
    let default = Garp::default();
    let mut table = field.table()?;
    let t = &mut table;
    let count = t.optional("count", default.count, |f| byte(f, " announcements"));
    let repeat_after = t.optional("repeat_after", default.repeat_after, Field::duration);
    let repeat_count = t.optional("repeat_count", default.repeat_count, |f| {
        byte(f, " announcements")
    });
    let refresh = t.optional("refresh", default.refresh, Field::duration);
    let gap = t.optional("gap", default.gap, Field::duration);
    table.finish();
    Some(Garp {
        count: count?.into_inner(),
        repeat_after: repeat_after?.into_inner(),
        repeat_count: repeat_count?.into_inner(),
        refresh: refresh?.into_inner(),
        gap: gap?.into_inner(),
    })
}
