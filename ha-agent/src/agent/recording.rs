//! `run --record` as the agent sees it: something that may fail without anybody's addresses moving for it.

use std::path::Path;

use tracing::{error, info, warn};

use crate::config::Config;
use crate::record::{self, Recorder, Recording};

/// Begins to record, if that is wanted. A file that cannot be had is said and done without: an agent that is
/// started again by itself must not stay down for it.
pub(super) fn start(path: Option<&Path>, config: &Config) -> (Recorder, Option<Recording>) {
    let Some(path) = path else {
        return (Recorder::off(), None);
    };
    match record::start(path, config) {
        Ok((recorder, recording)) => {
            info!("recording to {}", recording.path().display());
            (recorder, Some(recording))
        }
        Err(error) => {
            error!("{error}; nothing is recorded");
            (Recorder::off(), None)
        }
    }
}

/// Ends the recording, after the driver.
pub(super) async fn finish(recording: Option<Recording>) {
    let Some(recording) = recording else { return };
    let path = recording.path().to_owned();
    // Beside the runtime's own threads, for the disk may hang.
    let finished = tokio::task::spawn_blocking(move || recording.finish()).await;
    if !matches!(finished, Ok(true)) {
        warn!(
            "the recording {} is incomplete: the disk is too slow",
            path.display()
        );
    }
}
