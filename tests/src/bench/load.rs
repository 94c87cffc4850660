//! Every core busy: loops at ordinary priority, twice as many as there are cores.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};

/// Busy until dropped.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start() -> Result<Self> {
        let cores = std::thread::available_parallelism().context("how many cores are there?")?;
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..cores.get().saturating_mul(2)).map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut number = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    number = black_box(number.wrapping_mul(31).wrapping_add(7));
                }
            })
        });
        Ok(Self {
            threads: threads.collect(),
            stop,
        })
    }

    pub(super) fn loops(&self) -> usize {
        self.threads.len()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A loop has nothing to panic with.
            let _ = thread.join();
        }
    }
}
