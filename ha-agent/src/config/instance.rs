//! `[[instance]]`: its keys one by one. What they must be to each other is in `instance_rules`.

use std::time::Duration;

use ha_common::timing::DEFAULT_DOWN_MULTIPLIER;
use ha_common::units::{Centiseconds, Priority, Version, Vrid};

use super::held::{Held, values};
use super::instance_rules::{self, Parts};
use super::model::{
    Auth, Carrier, ChecksumFlavour, Consume, DatapathChoice, Garp, Instance, Track,
};
use super::reader::{At, Field, Table};
use super::track;
use super::transport_keys::{self, Context};
use super::virtual_mac::{self, Wish};
use super::{hmac, names};

/// What could be read of a section: the parts that are held against other sections, and the whole
/// if nothing was wrong with it.
pub(super) struct Draft {
    pub(super) name: Option<At<String>>,
    pub(super) interface: Option<At<String>>,
    pub(super) vrid: Option<At<Vrid>>,
    pub(super) held: Held,
    /// How its adverts travel.
    pub(super) transport: transport_keys::Draft,
    pub(super) priority: Option<At<Priority>>,
    /// Whether it has a MAC of its own.
    pub(super) virtual_mac: Option<At<Wish>>,
    /// Those that could be read; the place is that of the name of what is tracked.
    pub(super) track: Vec<At<Track>>,
    /// False if there are more that could not be read.
    pub(super) all_track: bool,
    pub(super) model: Option<Instance>,
}

/// Reads one section.
pub(super) fn read(mut table: Table<'_>) -> Draft {
    let t = &mut table;
    let name = t.required("name", names::name);
    let interface = t.required("interface", names::interface);
    let vrid = t.required("vrid", |f| Vrid::new(byte(f, "")?));
    let version = t.optional("version", Version::V3, read_version);
    let priority = t.optional("priority", Priority(100), |f| Some(Priority(byte(f, "")?)));
    let interval = t.optional("advert_interval", Centiseconds(100), |f| {
        instance_rules::advert_interval(f, *version.as_ref()?.get_ref())
    });
    let down_multiplier = t.optional("down_multiplier", DEFAULT_DOWN_MULTIPLIER, |f| {
        byte(f, " intervals")
    });
    let held = Held::read(t, interface.as_ref());
    let transport = transport_keys::read(t);
    let virtual_mac = t.optional("virtual_mac", Wish::No, virtual_mac::read);
    let preempt = t.optional("preempt", true, Field::boolean);
    let preempt_delay = t.optional("preempt_delay", Duration::ZERO, Field::duration);
    let auth = t.optional("auth", Auth::None, read_auth);
    let own_interval = interval.as_ref().map(|at| *at.get_ref());
    let hmac = t.optional("hmac", None, |f| hmac::read(f, own_interval).map(Some));
    let tracked = t.optional("track", (Vec::new(), true), track::read);
    let carrier = t.optional("carrier", Carrier::Fault, read_carrier);
    let datapath = t.optional("datapath", DatapathChoice::Auto, read_datapath);
    let consume = t.optional("consume", Consume::Auto, read_consume);
    let checksum = t.optional("checksum", ChecksumFlavour::PseudoHeader, read_checksum);
    let garp = t.optional("garp", Garp::default(), read_garp);
    let start_delay = t.optional("start_delay", Duration::ZERO, Field::duration);
    let report = table.report;
    table.finish();

    // Those entries that could be read are worth a look even if others could not.
    let (track, all_track) = tracked.map(At::into_inner).unwrap_or_default();
    instance_rules::check(&Parts {
        report,
        version: version.as_ref(),
        priority: priority.as_ref(),
        down_multiplier: down_multiplier.as_ref(),
        held: &held,
        preempt: preempt.as_ref(),
        preempt_delay: preempt_delay.as_ref(),
        auth: auth.as_ref(),
        hmac: hmac.as_ref(),
        checksum: checksum.as_ref(),
        interface: interface.as_ref(),
        carrier: carrier.as_ref(),
        track: &track,
    });
    let resolved = transport.resolve(&Context {
        report,
        family: held.family,
        addresses: &held.addresses,
        excluded: &held.excluded,
        priority: priority.as_ref().map(|p| *p.get_ref()),
    });
    let complete = held.complete && all_track;
    let draft = Draft {
        name,
        interface,
        vrid,
        held,
        transport,
        priority,
        virtual_mac,
        track,
        all_track,
        model: None,
    };
    let model = |d: &Draft| {
        let (source, transport) = resolved?;
        Some(Instance {
            name: d.name.clone()?.into_inner(),
            interface: d.interface.clone()?.into_inner(),
            vrid: d.vrid.clone()?.into_inner(),
            family: d.held.family?,
            version: version?.into_inner(),
            priority: d.priority.clone()?.into_inner(),
            advert_interval: interval?.into_inner(),
            down_multiplier: down_multiplier?.into_inner(),
            addresses: values(&d.held.addresses),
            excluded: values(&d.held.excluded),
            routes: values(&d.held.routes),
            rules: values(&d.held.rules),
            source,
            transport,
            virtual_mac: d.virtual_mac.as_ref()?.get_ref().resolve(d),
            preempt: preempt?.into_inner(),
            preempt_delay: preempt_delay?.into_inner(),
            auth: auth?.into_inner(),
            hmac: hmac?.into_inner(),
            track: values(&d.track),
            carrier: carrier?.into_inner(),
            datapath: datapath?.into_inner(),
            consume: consume?.into_inner(),
            checksum: checksum?.into_inner(),
            garp: garp?.into_inner(),
            start_delay: start_delay?.into_inner(),
        })
    };
    let model = complete.then(|| model(&draft)).flatten();
    Draft { model, ..draft }
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
