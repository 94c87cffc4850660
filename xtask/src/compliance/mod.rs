//! `cargo xtask compliance`: writes docs/compliance.md, which says of each rule of the VRRP standards where it
//! is implemented and which test shows it, or why not.
//!
//! The rules stand beside this file, in our own words. The code cites them where it keeps them, and the tests
//! where they show them: a section with the rule's name in brackets behind it, as in "section 6.4.3 (yield)".

mod citation;
mod items;
mod ledger;
mod survey;
mod table;

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::tidy::file::{self, File, Finding};
use crate::workspace::Workspace;

use ledger::Ledger;
use survey::{PAPER, Survey};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if the ledger is stale, as `tidy` does
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let files = file::files(workspace)?;
    let survey = Survey::of(Ledger::read()?, &files);
    if !args.check {
        fs::write(workspace.path(PAPER), table::render(&survey))
            .with_context(|| format!("writing {PAPER}"))?;
    }
    // What was just written is read again, so that both ways say the same.
    let findings = check(&file::files(workspace)?)?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("compliance: {} findings", findings.len());
    }
    println!("compliance: {}", table::counts(&survey));
    Ok(())
}

/// What is wrong with the citations, the rules, and the paper made of them.
pub(crate) fn check(files: &[File]) -> Result<Vec<Finding>> {
    let survey = Survey::of(Ledger::read()?, files);
    let mut findings = survey.findings();
    let paper = files.iter().find(|file| file.path == PAPER);
    if paper.is_none_or(|paper| paper.text != table::render(&survey)) {
        findings.push(Finding {
            path: PAPER.to_owned(),
            line: 0,
            message: "is not what `cargo xtask compliance` writes: run it".to_owned(),
        });
    }
    Ok(findings)
}
