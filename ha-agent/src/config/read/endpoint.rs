//! Where checks connect to: `ADDRESS:PORT` and `http://HOST[:PORT]/PATH`.
//!
//! Names are refused except `localhost`: a check that waits for a name server tells of the name
//! server's health.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::table::Field;

/// The longest URL; no server takes a longer request line without being told to.
const MAX_URL_BYTES: usize = 4096;

/// An HTTP URL taken apart.
pub(crate) struct Url {
    pub(crate) address: SocketAddr,
    /// What stands between `http://` and the path.
    pub(crate) authority: String,
    /// Path and query; `/` if there is none.
    pub(crate) path: String,
}

/// `ADDRESS:PORT`.
pub(crate) fn tcp(field: &Field<'_>) -> Option<SocketAddr> {
    let expected =
        "an IP address or localhost, and a port, such as \"127.0.0.1:80\" or \"[::1]:80\"";
    let text = field.text(expected)?;
    match authority(text) {
        Some((address, Some(port))) => Some(SocketAddr::new(address, port)),
        _ => field.wrong(expected),
    }
}

/// `http://HOST[:PORT]/PATH`.
pub(crate) fn http(field: &Field<'_>) -> Option<Url> {
    let expected = "a URL such as \"http://127.0.0.1:80/\"";
    let text = field.text(expected)?;
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    if scheme.eq_ignore_ascii_case("https") {
        return field.problem(
            "must start with http:// because checks do not speak TLS; let the service answer \
             plain HTTP on a local port, or check it with `tcp` or `command`",
        );
    }
    // A line break or a space in the request line would be a request of somebody else's making.
    let plain = text.len() <= MAX_URL_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
    if !scheme.eq_ignore_ascii_case("http") || !plain {
        return field.wrong(expected);
    }
    if rest.contains('#') {
        return field.problem("must not hold '#': what follows it is never sent to a server");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end)?;
    if host.contains('@') {
        return field.problem("must not hold a user or a password before '@'");
    }
    let Some((address, port)) = authority(host) else {
        return field.wrong(
            "a URL whose host is an IP address or localhost and whose port is 1 to 65535, \
             such as \"http://127.0.0.1:80/\" (`host` sets the Host header)",
        );
    };
    Some(Url {
        address: SocketAddr::new(address, port.unwrap_or(80)),
        authority: host.to_owned(),
        path: match path {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        },
    })
}

/// `HOST` or `HOST:PORT`, an IPv6 address in brackets; the port is not 0.
fn authority(text: &str) -> Option<(IpAddr, Option<u16>)> {
    // An address without port may end in digits after a colon, but only inside brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let digits = port.bytes().all(|b| b.is_ascii_digit());
            let port = port.parse().ok().filter(|p| digits && *p != 0)?;
            (host, Some(port))
        }
        _ => (text, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let address = match bracketed {
        Some(v6) => IpAddr::V6(v6.parse().ok()?),
        None if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST.into(),
        None => IpAddr::V4(host.parse().ok()?),
    };
    Some((address, port))
}
