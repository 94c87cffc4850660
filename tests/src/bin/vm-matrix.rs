//! `cargo xtask vm --matrix`: the agent on every kind of interface, by every card and kernel; ends with a table.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
use ha_tests::vm::Card;
use ha_tests::vm::matrix::cell::Outcome;
use ha_tests::vm::matrix::table::Table;
use ha_tests::vm::matrix::{Column, Shape, shapes};

/// Plays an election on every kind of interface, with every card and kernel
#[derive(Debug, Parser)]
#[command(name = "cargo xtask vm --matrix")]
struct Args {
    /// A kernel: its directory in target/vm/kernels
    #[arg(long, required = true)]
    kernel: Vec<String>,
    /// Only these cards
    #[arg(long)]
    card: Vec<String>,
    /// Only these interfaces
    #[arg(long)]
    shape: Vec<String>,
    /// `datapath` of the agent
    #[arg(long, default_value = "auto")]
    datapath: String,
    /// How many machines run at once; default: one for each processor
    #[arg(long)]
    jobs: Option<usize>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let shapes = chosen_shapes(&args.shape)?;
    let columns = columns(&args)?;
    let begin = Instant::now();
    let table = Mutex::new(Table::new(
        columns.iter().map(name_of).collect(),
        shapes.iter().map(|shape| shape.name).collect(),
    ));
    let next = AtomicUsize::new(0);
    let jobs = match args.jobs {
        Some(jobs) => jobs,
        None => std::thread::available_parallelism()?.get(),
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(column) = columns.get(number) else {
                        return;
                    };
                    play(number, column, &shapes, &args.datapath, &table);
                }
            });
        }
    });
    let table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (passed, failed, lacking) = table.tally();
    println!("\n`datapath = \"{}\"`\n\n{}", args.datapath, table.text());
    println!(
        "\n{passed} cells passed, {failed} failed, {lacking} unavailable; {} s",
        begin.elapsed().as_secs()
    );
    Ok(if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn play(number: usize, column: &Column, shapes: &[Shape], datapath: &str, table: &Mutex<Table>) {
    let name = name_of(column);
    let told = |shape: &Shape, outcome: &Outcome| println!("{}", line(&name, shape, outcome));
    let (release, outcomes) = column.play(shapes, datapath, &told);
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(release) = release {
        table.rename(number, format!("{release} {}", column.card.name()));
    }
    for (row, outcome) in outcomes.into_iter().enumerate() {
        table.set(number, row, outcome);
    }
}

fn line(column: &str, shape: &Shape, outcome: &Outcome) -> String {
    let said = match outcome {
        Outcome::Passed(hook) => format!("{hook:?}"),
        Outcome::Failed(hook, reason) => format!("FAILS, {hook:?}: {reason}"),
        Outcome::Lacking(reason) => format!("unavailable: {reason}"),
    };
    format!("{column}, {}: {said}", shape.name)
}

fn name_of(column: &Column) -> String {
    let kernel = column.kernel.as_deref().unwrap_or("own");
    format!("{kernel} {}", column.card.name())
}

fn chosen_shapes(names: &[String]) -> Result<Vec<Shape>> {
    if names.is_empty() {
        return Ok(shapes::all());
    }
    names.iter().map(|name| shapes::named(name)).collect()
}

fn columns(args: &Args) -> Result<Vec<Column>> {
    let cards = if args.card.is_empty() {
        Card::ALL.to_vec()
    } else {
        let cards = args.card.iter().map(|name| {
            let found = Card::ALL.into_iter().find(|card| card.name() == name);
            let known = Card::ALL.map(Card::name).join(", ");
            found.with_context(|| format!("no such card: {name:?}; available: {known}"))
        });
        cards.collect::<Result<_>>()?
    };
    let pairs = args.kernel.iter().flat_map(|kernel| {
        cards.iter().map(|&card| Column {
            kernel: Some(kernel.clone()),
            card,
        })
    });
    Ok(pairs.collect())
}
