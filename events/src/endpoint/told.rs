//! How far each run of a proxy has told a stream its requests, so that what is told again is counted once.

use super::request::RequestFinished;
use serde::{Deserialize, Serialize};

/// Runs that a stream remembers. One that was forgotten ended long before: no two servers write at a time.
const RUNS_MAX: usize = 16;

/// The last number of each run, in the order in which they were first heard of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told(Vec<(u64, u64)>);

impl Told {
    pub fn has(&self, finished: &RequestFinished) -> bool {
        self.0.iter().rev().any(|(run, seq)| *run == finished.run && finished.seq <= *seq)
    }
    pub fn note(&mut self, finished: &RequestFinished) {
        if let Some((_, seq)) = self.0.iter_mut().rev().find(|(run, _)| *run == finished.run) {
            *seq = finished.seq.max(*seq);
            return;
        }
        if self.0.len() == RUNS_MAX {
            self.0.remove(0);
        }
        self.0.push((finished.run, finished.seq));
    }
    /// Number of the last one that this run told.
    pub fn of(&self, run: u64) -> u64 {
        self.0.iter().find(|(known, _)| *known == run).map_or(0, |(_, seq)| *seq)
    }
}
