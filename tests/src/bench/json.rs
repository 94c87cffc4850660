//! All that was measured, sample by sample, as a file for programs.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Writes it, and says where it is.
pub(super) fn write(path: &Path, report: &impl Serialize) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let json = serde_json::to_string_pretty(report).context("the results are no JSON")?;
    std::fs::write(path, json + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("\nevery sample: {}", path.display());
    Ok(())
}
