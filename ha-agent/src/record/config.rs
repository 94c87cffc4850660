//! The configuration as a recording begins with it: what the election goes by, and no secret.

use std::fmt::Write as _;

use ha_common::units::Version;

use crate::config::model::{Auth, Check, Config, Instance, Track};

/// Stands in for a password: it must be there for the version, and must not be told.
const NO_PASSWORD: &str = "redacted";

/// A configuration file that gives the same elections as this one. Passwords are replaced, and of the checks
/// only the names are kept: a URL or a command line may hold a secret as well.
pub fn without_secrets(config: &Config) -> String {
    let mut text = String::new();
    for one in &config.instances {
        instance(&mut text, one);
    }
    for one in &config.checks {
        check(&mut text, one);
    }
    text
}

fn instance(text: &mut String, instance: &Instance) {
    // Taken apart whole, so that a new key must be put on one of the two sides.
    let Instance {
        name,
        interface,
        vrid,
        family: _,
        version,
        priority,
        advert_interval,
        addresses,
        down_multiplier,
        preempt,
        preempt_delay,
        auth,
        track,
        datapath: _,
        consume: _,
        checksum: _,
        garp: _,
        carrier: _,
        excluded: _,
        routes: _,
        rules: _,
        source: _,
        transport: _,
        virtual_mac: _,
        hmac: _,
        start_delay,
    } = instance;
    let addresses: Vec<String> = addresses
        .iter()
        .map(|net| quoted(&net.to_string()))
        .collect();
    let mut key = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} = {value}");
    };
    key("\n[[instance]]\nname", &quoted(name));
    key("interface", &quoted(interface));
    key("vrid", vrid);
    key(
        "version",
        &match version {
            Version::V2 => 2,
            Version::V3 => 3,
        },
    );
    key("priority", priority);
    let interval = u32::from(advert_interval.0) * 10;
    key("advert_interval", &quoted(&format!("{interval}ms")));
    key("addresses", &format!("[{}]", addresses.join(", ")));
    key("preempt", preempt);
    let delay = humantime::format_duration(*start_delay).to_string();
    key("start_delay", &quoted(&delay));
    key("down_multiplier", down_multiplier);
    if !preempt_delay.is_zero() {
        let delay = humantime::format_duration(*preempt_delay).to_string();
        key("preempt_delay", &quoted(&delay));
    }
    match auth {
        Auth::None => {}
        Auth::Pass(_) => key(
            "auth",
            &format!("{{ type = \"pass\", password = \"{NO_PASSWORD}\" }}"),
        ),
    }
    let entries: Vec<String> = track.iter().filter_map(tracked).collect();
    if !entries.is_empty() {
        key("track", &format!("[{}]", entries.join(", ")));
    }
}

/// What is tracked beside checks is only known by what it told the election.
fn tracked(track: &Track) -> Option<String> {
    let Track {
        subject,
        weight,
        reverse,
        delay: _,
    } = track;
    let mut text = format!("{{ check = {}", quoted(subject.check_name()?));
    if let Some(weight) = weight {
        // Writing to a string cannot fail.
        let _ = write!(text, ", weight = {weight}");
    }
    if *reverse {
        text.push_str(", reverse = true");
    }
    text.push_str(" }");
    Some(text)
}

fn check(text: &mut String, check: &Check) {
    let _ = writeln!(
        text,
        "\n[[check]]\nname = {}\n# What it really looks at is not recorded.\nprocess = {{ name = \"recorded\" }}",
        quoted(&check.name)
    );
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const FILE: &str = r#"
        [[instance]]
        name = "web"
        interface = "et\"h0"
        vrid = 51
        version = 2
        priority = 120
        advert_interval = "2s"
        addresses = ["10.99.0.100/24", "10.99.0.101"]
        preempt = false
        start_delay = "1s 500ms"
        auth = { type = "pass", password = "hunter2" }
        track = [{ check = "nginx" }, { check = "disk", weight = -20 }]

        [[instance]]
        name = "fast"
        interface = "eth1"
        vrid = 7
        advert_interval = "10ms"
        addresses = ["fe80::7/64"]

        [[check]]
        name = "nginx"
        http = "http://127.0.0.1:80/health?token=hunter2"

        [[check]]
        name = "disk"
        command = ["/usr/bin/test", "hunter2"]
        user = "root"
    "#;

    #[test]
    fn the_recorded_configuration_is_valid_and_gives_the_same_elections() {
        let original = parse("original", FILE).unwrap();
        let recorded = parse("recorded", &without_secrets(&original)).unwrap();
        let pairs = original.instances.iter().zip(&recorded.instances);
        assert_eq!(original.instances.len(), recorded.instances.len());
        for (before, after) in pairs {
            let expected = Instance {
                auth: after.auth,
                ..before.clone()
            };
            assert_eq!(after, &expected);
        }
        let names = |config: &Config| -> Vec<String> {
            config.checks.iter().map(|it| it.name.clone()).collect()
        };
        assert_eq!(names(&original), names(&recorded));
    }

    #[test]
    fn no_password_url_or_command_line_is_recorded() {
        let text = without_secrets(&parse("original", FILE).unwrap());
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains(NO_PASSWORD), "{text}");
    }
}
