//! The scenario on a screen: what happens, who is master, what the client gets, what it cost.
//!
//! `board` knows what there is to show and how it looks; `screen` repaints it on a terminal; `plain`
//! writes lines where there is none.

mod board;
mod plain;
mod screen;

use anyhow::Result;
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::lab::VIP;
use crate::scenario::{Settings, Stage, play};

pub use board::{Board, Row};
use plain::Plain;
use screen::Screen;

/// How the demo is played.
#[derive(Clone, Debug)]
pub struct Options {
    /// One run of each.
    pub runs: Vec<Settings>,
    /// Leave the last lab up until Enter is pressed.
    pub keep: bool,
}

/// Plays it. An error is a step that did not hold.
pub fn run(options: &Options) -> Result<()> {
    let mut boards = Vec::new();
    for (index, settings) in options.runs.iter().enumerate() {
        let last = index + 1 == options.runs.len();
        let (stage, board) = play_once(*settings)?;
        boards.push(board);
        if last && options.keep {
            print!("{}", summary(&boards));
            wait_at(&stage)?;
            return Ok(());
        }
    }
    print!("{}", summary(&boards));
    Ok(())
}

fn play_once(settings: Settings) -> Result<(Stage, Board)> {
    if std::io::stdout().is_terminal() {
        let mut screen = Screen::new(Board::new(settings));
        let stage = play(settings, &mut screen);
        let board = screen.close();
        Ok((stage?, board))
    } else {
        let mut plain = Plain::new(Board::new(settings));
        let stage = play(settings, &mut plain)?;
        Ok((stage, plain.into_board()))
    }
}

/// Every step's outage, a column for each run.
fn summary(boards: &[Board]) -> String {
    let mut text = String::from(
        "\nLongest outage that the client saw, by step, advert interval and datapath\n\n",
    );
    let _ = write!(text, "{:46}", "");
    for board in boards {
        let _ = write!(text, "{:>12}", board::span(board.settings.interval));
    }
    let _ = write!(text, "\n{:46}", "");
    for board in boards {
        let _ = write!(text, "{:>12}", board.settings.datapath);
    }
    text.push('\n');
    let rows = boards.first().map_or(0, |board| board.rows.len());
    for row in 0..rows {
        for (column, board) in boards.iter().enumerate() {
            let Some(row) = board.rows.get(row) else {
                continue;
            };
            if column == 0 {
                let _ = write!(text, "{:>2}  {:42}", row.number, row.title);
            }
            let _ = write!(text, "{:>12}", row.cost());
        }
        text.push('\n');
    }
    text
}

/// Says how to enter the lab, and keeps it up until Enter.
fn wait_at(stage: &Stage) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\nThe lab is up. The address is {VIP}. In another terminal:\n"
    )?;
    for host in stage.lab().hosts() {
        writeln!(
            out,
            "  enter {0}:        ip netns exec {1} bash",
            host.name(),
            host.ns().name()
        )?;
        writeln!(
            out,
            "  ask its agent:   ha-agent status --runtime-dir {}",
            host.run_dir().display()
        )?;
        writeln!(
            out,
            "  its peers:       ha-agent peers --runtime-dir {} --pin-dir {}",
            host.run_dir().display(),
            host.bpf_dir().display()
        )?;
        writeln!(
            out,
            "  its log:         {}\n",
            host.log_dir().join("agent.log").display()
        )?;
    }
    let client = stage.lab().client_host().ns().name().to_owned();
    writeln!(
        out,
        "  as the client:   ip netns exec {client} curl http://{VIP}/"
    )?;
    writeln!(
        out,
        "  on the wire:     ip netns exec {client} tcpdump -ni eth0 vrrp or arp\n"
    )?;
    writeln!(
        out,
        "`ha-agent` is {}",
        crate::lab::agent::program()?.display()
    )?;
    write!(out, "Enter ends the lab. ")?;
    out.flush()?;
    drop(out);
    // The end of the input ends it too.
    std::io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}
