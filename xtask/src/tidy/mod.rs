//! `cargo xtask tidy`: what rustfmt, clippy and the compiler do not check. All findings are listed, then it fails.

mod docs;
mod exceptions;
pub(crate) mod file;
mod imports;
mod licences;
mod long_functions;
mod manifests;
mod purity;
mod rust;
mod text;
mod unused;

use anyhow::{Result, bail};

use crate::compliance;
use crate::workspace::Workspace;

use file::files;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let files = files(workspace)?;
    let mut findings = Vec::new();
    for file in &files {
        findings.extend(text::check(file));
        findings.extend(manifests::check(file));
        findings.extend(docs::check_links(file, &|path| {
            workspace.path(path).exists()
        }));
    }
    findings.extend(manifests::check_used(&files));
    findings.extend(rust::check(&files));
    findings.extend(purity::check(&files));
    findings.extend(imports::check(&files));
    findings.extend(long_functions::check(&files));
    findings.extend(unused::check(&files));
    findings.extend(docs::check_subcommands(&files));
    findings.extend(docs::check_sources(&files));
    findings.extend(licences::check(workspace)?);
    findings.extend(compliance::check(&files)?);
    findings.sort();
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings", findings.len());
    }
    println!("tidy: {} files, no findings", files.len());
    Ok(())
}
