//! What the BPF programs say, on its way from the kernel's ring into the log.
//!
//! They say something only if they were loaded with debugging on, which is decided by the same question as
//! here: whether anybody wants lines of [`TARGET`]. A ring that nobody drains would fill up and cost each
//! rejected advert a failed write.

use std::io;
use std::os::fd::AsFd as _;

use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use thiserror::Error;
use tokio::io::unix::AsyncFd;
use tracing::{Level, debug, warn};

use crate::datapath::object::Programs;
use crate::os::async_fd;

/// The target of these lines in the log, for `--log-level ha_ebpf=debug`.
pub(super) const TARGET: &str = "ha_ebpf";

/// Whether anybody wants to hear the BPF programs.
pub(super) fn is_wanted() -> bool {
    tracing::enabled!(target: TARGET, Level::DEBUG)
}

/// Why the BPF programs cannot be heard.
#[derive(Debug, Error)]
enum ListenError {
    /// The ring cannot be had.
    #[error(transparent)]
    Ring(#[from] aya_log::Error),
    /// It cannot be waited for.
    #[error(transparent)]
    Wait(#[from] io::Error),
}

/// Listens from now on, in a task that ends with the runtime; once, and only if it is wanted.
pub(super) fn start(programs: &mut Programs) {
    match listen(programs) {
        Ok((logger, bell)) => drop(tokio::spawn(drain(logger, bell))),
        Err(error) => warn!("cannot read the log of the BPF programs: {error}"),
    }
}

type Bell = AsyncFd<std::os::fd::OwnedFd>;

fn listen(programs: &mut Programs) -> Result<(EbpfLogger<ToTracing>, Bell), ListenError> {
    let logger = EbpfLogger::init_with_logger(programs.object_mut(), ToTracing)?;
    let bell = async_fd::watch(logger.as_fd().try_clone_to_owned()?)?;
    Ok((logger, bell))
}

async fn drain(mut logger: EbpfLogger<ToTracing>, bell: Bell) {
    while let Ok(mut ready) = bell.readable().await {
        // Cleared first: what comes while the ring is read rings again.
        ready.clear_ready();
        logger.flush();
    }
}

/// Hands records of the `log` crate, which is what aya-log speaks, to ours.
#[derive(Debug)]
struct ToTracing;

impl Log for ToTracing {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    /// Whatever its level there: to the host's operator it is all for debugging.
    fn log(&self, record: &Record<'_>) {
        debug!(target: TARGET, "BPF program: {}", record.args());
    }

    fn flush(&self) {}
}
