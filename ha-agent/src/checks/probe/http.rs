//! The `http` probe: one GET, its status, and optionally a substring of its body.
//!
//! Whatever the server sends is untrusted: headers and body are bounded, and none of it is quoted.

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;

use super::finding::Finding;
use super::tcp;
use crate::config::model::HttpProbe;

/// How much of a body is looked at.
const BODY_LIMIT: usize = 64 * 1024;
/// How much memory the headers may take.
const HEADER_LIMIT: usize = 64 * 1024;

/// Asks once. It ends early only by being dropped; the time limit is the caller's.
pub(super) async fn probe(check: &HttpProbe) -> Finding {
    let stream = match tcp::connect(check.address).await {
        Ok(stream) => stream,
        Err(finding) => return finding,
    };
    let handshake = http1::Builder::new()
        .max_buf_size(HEADER_LIMIT)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = match handshake {
        Ok(parts) => parts,
        Err(error) => return broken(&error),
    };
    // The connection is driven here, not by a task of its own: dropping this future closes it.
    tokio::pin!(connection);
    let exchange = exchange(check, sender);
    tokio::pin!(exchange);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            finding = &mut exchange => return finding,
            _ = &mut connection, if open => open = false,
        }
    }
}

async fn exchange(check: &HttpProbe, mut sender: http1::SendRequest<Empty<Bytes>>) -> Finding {
    let request = Request::get(check.path.as_str())
        .header(HOST, check.host.as_str())
        .header(USER_AGENT, concat!("ha-agent/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::new());
    let request = match request {
        Ok(request) => request,
        Err(error) => return Finding::failed(format!("the request cannot be built: {error}")),
    };
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        Err(error) => return broken(&error),
    };
    let status = response.status().as_u16();
    if !check.status.contains(&status) {
        let (low, high) = (check.status.start(), check.status.end());
        return Finding::failed(format!("status {status}, not {low} to {high}"));
    }
    let Some(text) = &check.body else {
        // The body may be an endless stream, or break off: it was not asked for.
        return Finding::passed(format!("status {status}"));
    };
    match holds(response.into_body(), text.as_bytes()).await {
        Ok(true) => Finding::passed(format!("status {status}")),
        Ok(false) => Finding::failed(format!(
            "status {status}, but the body's first {} KiB do not contain the configured text",
            BODY_LIMIT / 1024
        )),
        Err(error) => broken(&error),
    }
}

/// Reads the body to its end, to the limit or to the text, whichever comes first; true if the text is there.
async fn holds(mut body: Incoming, needle: &[u8]) -> Result<bool, hyper::Error> {
    let mut seen = Vec::new();
    while seen.len() < BODY_LIMIT {
        let Some(frame) = body.frame().await else {
            break;
        };
        let frame = frame?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        // What was searched before need not be again, but for a text that straddles the border.
        let from = seen.len().saturating_sub(needle.len());
        let room = BODY_LIMIT.saturating_sub(seen.len()).min(data.len());
        seen.extend_from_slice(data.get(..room).unwrap_or_default());
        let fresh = seen.get(from..).unwrap_or_default();
        if fresh.windows(needle.len()).any(|window| window == needle) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn broken(error: &hyper::Error) -> Finding {
    let kind = if error.is_parse() {
        "the response is not HTTP/1 with headers of at most 64 KiB"
    } else if error.is_incomplete_message() {
        "the connection was closed before the response was complete"
    } else {
        "the connection broke"
    };
    Finding::failed(kind.to_owned())
}

#[cfg(test)]
mod tests;
