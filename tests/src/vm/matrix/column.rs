//! A column of the table: one kernel and one card, whose machine plays one cell after another.

use anyhow::Result;

use super::cell::{self, Expected, Outcome};
use super::shape::Shape;
use crate::vm::{Card, Machine, Vm, machine};

/// A kernel and a card.
#[derive(Clone, Debug)]
pub struct Column {
    /// The kernel, as `cargo xtask vm --matrix` calls it; `None`: that of the ordinary tests.
    pub kernel: Option<String>,
    /// The card.
    pub card: Card,
}

/// A machine that is up, and what its kernel says of itself.
#[derive(Debug)]
struct Guest {
    vm: Vm,
    release: String,
    real_time: bool,
}

impl Column {
    /// Plays the shapes: the kernel's release, and what became of each.
    pub fn play(
        &self,
        shapes: &[Shape],
        datapath: &str,
        told: &dyn Fn(&Shape, &Outcome),
    ) -> (Option<String>, Vec<Outcome>) {
        let mut release = None;
        let mut guest = None;
        let mut outcomes = Vec::new();
        for shape in shapes {
            let outcome = match guest.take().map_or_else(|| self.boot(), Ok) {
                Err(outcome) => outcome,
                Ok(booted) => {
                    release = Some(booted.release.clone());
                    let outcome = booted.play(shape, datapath);
                    if !matches!(outcome, Outcome::Failed(..)) {
                        guest = Some(booted);
                    }
                    outcome
                }
            };
            told(shape, &outcome);
            outcomes.push(outcome);
        }
        (release, outcomes)
    }

    fn boot(&self) -> Result<Guest, Outcome> {
        let lacking = |error: anyhow::Error| Outcome::Lacking(format!("{error:#}"));
        let failed = |error: anyhow::Error| Outcome::Failed(None, format!("{error:#}"));
        machine::qemu(self.card).map_err(lacking)?;
        let machine = Machine::of_matrix(self.card, self.kernel.as_deref()).map_err(lacking)?;
        let vm = Vm::start(&machine, &[]).map_err(failed)?;
        let cards = vm.try_run("ls -d /sys/class/net/eth0 /sys/class/net/eth1");
        if cards.map_err(failed)?.0 != 0 {
            let reason = format!("the kernel has no driver for {}", self.card.name());
            return Err(Outcome::Lacking(reason));
        }
        Guest::of(vm).map_err(failed)
    }
}

impl Guest {
    fn of(vm: Vm) -> Result<Self> {
        let release = vm.run("uname -r")?.trim().to_owned();
        let real_time = vm.run("uname -v")?.contains("PREEMPT_RT");
        Ok(Self {
            vm,
            release,
            real_time,
        })
    }

    fn play(&self, shape: &Shape, datapath: &str) -> Outcome {
        // Kernels for real time have no BPF timers.
        let by_itself = if self.real_time { "socket" } else { "tc" };
        let kind = if datapath == "auto" {
            by_itself
        } else {
            datapath
        };
        let expected = Expected {
            configured: datapath,
            kinds: &[kind],
        };
        cell::play(&self.vm, shape, &expected)
    }
}
