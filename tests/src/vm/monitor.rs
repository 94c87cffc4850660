//! Giving qemu orders: pulling and putting back the cable of a card, pausing the machine.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// What its monitor writes when it takes the next order.
const PROMPT: &[u8] = b"(qemu) ";
/// How long one order may take.
const ORDER: Duration = Duration::from_secs(10);
/// The longest answer; more is a mistake in the order.
const LONGEST: usize = 1 << 16;

/// Puts the cable of a card in, or pulls it: the card's driver sees its carrier come or go.
pub(super) fn set_link(monitor: &Path, card: &str, plugged: bool) -> Result<()> {
    let state = if plugged { "on" } else { "off" };
    give(monitor, &format!("set_link {card} {state}"))
}

/// Stops the machine's processors and clocks, or lets them go on.
pub(super) fn pause(monitor: &Path, paused: bool) -> Result<()> {
    give(monitor, if paused { "stop" } else { "cont" })
}

fn give(monitor: &Path, order: &str) -> Result<()> {
    let mut stream = UnixStream::connect(monitor)
        .with_context(|| format!("cannot reach qemu's monitor at {}", monitor.display()))?;
    stream.set_read_timeout(Some(ORDER))?;
    answer(&mut stream)?;
    stream.write_all(format!("{order}\n").as_bytes())?;
    let said = answer(&mut stream)?;
    ensure!(!said.contains("Error"), "`{order}`: {said}");
    Ok(())
}

/// Reads up to the prompt.
fn answer(stream: &mut UnixStream) -> Result<String> {
    let mut said = Vec::new();
    while !said.ends_with(PROMPT) {
        let mut buffer = [0; 1024];
        let length = stream
            .read(&mut buffer)
            .context("no answer of qemu's monitor")?;
        ensure!(
            length > 0 && said.len() < LONGEST,
            "qemu's monitor ends with {:?}",
            String::from_utf8_lossy(&said)
        );
        said.extend(buffer.get(..length).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
