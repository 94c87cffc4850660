//! The demo as lines, for a file or a pipe.

use super::board::{Board, Progress, span};
use crate::scenario::{Observer, Report, Stage, Step};

/// Writes to standard output.
pub(super) struct Plain {
    board: Board,
}

impl Plain {
    pub(super) fn new(board: Board) -> Self {
        println!(
            "Adverts every {}, received by datapath {}",
            span(board.settings.interval),
            board.settings.datapath
        );
        Self { board }
    }

    pub(super) fn into_board(self) -> Board {
        self.board
    }
}

impl Observer for Plain {
    fn begin(&mut self, step: &Step, _: &Stage) {
        println!("{}. {}", step.number, step.title);
        println!("     does     {}", step.action);
        println!("     expects  {}", step.expectation);
    }

    fn done(&mut self, step: &Step, _: &Stage, report: &Report) {
        let page = report.page.as_deref().unwrap_or("nothing");
        println!(
            "     master {}, the client gets the page of {page}",
            report.master
        );
        self.board.set(step.number, Progress::Held(report.clone()));
        if let Some(row) = self.board.rows.iter().find(|row| row.number == step.number) {
            println!("     outage   {}", row.cost());
        }
        for fact in Board::measured(report) {
            println!("     {}: {}", fact.what, fact.value);
        }
        if let Some(line) = Board::logged(report) {
            println!("     log      {line}");
        }
    }

    fn failed(&mut self, step: &Step, _: &Stage, error: &anyhow::Error) {
        println!("     FAILED   {error:#}");
        self.board
            .set(step.number, Progress::Failed(format!("{error:#}")));
    }
}
