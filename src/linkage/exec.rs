//! How a join is executed: serially or on a pool, cancellable, with progress.
//!
//! May see: rayon and atomics. Must not see: clocks, files, encodings.

use super::join::JoinError;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared between a running join and whoever watches it.
#[derive(Debug, Default)]
pub struct Control {
    cancel: AtomicBool,
    pairs_done: AtomicU64,
    pairs_total: AtomicU64,
    #[cfg(test)]
    longest_step: AtomicU64,
}

impl Control {
    /// Nothing done, not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Asks the join to stop; it returns [`JoinError::Cancelled`] within 100 ms.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
    /// Whether somebody asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
    /// Pairs decided so far, those excluded by a bound included.
    #[must_use]
    pub fn pairs_done(&self) -> u64 {
        self.pairs_done.load(Ordering::Relaxed)
    }
    /// Pairs to decide, over all joins started with this control.
    #[must_use]
    pub fn pairs_total(&self) -> u64 {
        self.pairs_total.load(Ordering::Relaxed)
    }
    /// Most pairs decided between two looks at the cancel flag.
    #[cfg(test)]
    pub(super) fn longest_step(&self) -> u64 {
        self.longest_step.load(Ordering::Relaxed)
    }
    pub(super) fn plan(&self, pairs: u64) {
        self.pairs_total.fetch_add(pairs, Ordering::Relaxed);
    }
    pub(super) fn advance(&self, pairs: u64) -> Result<(), JoinError> {
        self.pairs_done.fetch_add(pairs, Ordering::Relaxed);
        #[cfg(test)]
        self.longest_step.fetch_max(pairs, Ordering::Relaxed);
        if self.is_cancelled() { Err(JoinError::Cancelled) } else { Ok(()) }
    }
}

/// Where the work runs. Both ways give equal results.
#[derive(Debug, Clone, Copy)]
pub enum Exec<'p> {
    /// On the calling thread.
    Serial,
    /// On this pool.
    Pool(&'p rayon::ThreadPool),
}

impl Exec<'_> {
    /// `work(0), work(1) .. work(tasks - 1)` in order; stops at the first error in time.
    ///
    /// # Errors
    /// The error of a task that failed.
    pub fn map<T: Send>(
        &self,
        tasks: usize,
        work: impl Fn(usize) -> Result<T, JoinError> + Sync + Send,
    ) -> Result<Vec<T>, JoinError> {
        match self {
            Self::Serial => (0..tasks).map(work).collect(),
            Self::Pool(pool) => {
                pool.install(|| (0..tasks).into_par_iter().with_max_len(1).map(work).collect())
            }
        }
    }
}

impl Exec<'_> {
    /// `work(i, chunk i of words)` for each chunk of `len` words.
    pub(super) fn fill(&self, words: &mut [u64], len: usize, work: impl Fn(usize, &mut [u64]) + Sync + Send) {
        match self {
            Self::Serial => words.chunks_mut(len).enumerate().for_each(|(i, chunk)| work(i, chunk)),
            Self::Pool(pool) => pool.install(|| {
                words.par_chunks_mut(len).enumerate().for_each(|(i, chunk)| work(i, chunk));
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_and_pool_agree_and_both_stop() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let square = |i: usize| Ok(i * i);
        assert_eq!(Exec::Serial.map(100, square).unwrap(), Exec::Pool(&pool).map(100, square).unwrap());
        let control = Control::new();
        control.cancel();
        for exec in [Exec::Serial, Exec::Pool(&pool)] {
            assert!(matches!(exec.map(9, |_| control.advance(1)), Err(JoinError::Cancelled)));
        }
    }
}
