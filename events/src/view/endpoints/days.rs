//! Daily sums for each endpoint, model and part of the interface.

use super::speed::ModelNo;
use crate::endpoint::{Api, Outcome, RequestFinished};
use crate::id::EndpointId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days that are kept in memory.
const DAYS_MAX: usize = 400;
/// Rows that are kept in memory: the oldest days give way. Of one day that has as many, what is new counts as other.
pub const ROWS_MAX: usize = 50_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Days {
    /// By days since 1970-01-01.
    days: BTreeMap<i64, BTreeMap<Row, Bucket>>,
    rows: usize,
}

/// Whose day it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// None: those that came to no endpoint. One that is not there any more was removed.
    pub endpoint: Option<EndpointId>,
    pub model: ModelNo,
    pub api: Api,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    pub success: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Of the successes, in microseconds.
    pub duration: u64,
    /// Of the samples of speed: tokens, and microseconds.
    pub speed: (u64, u64),
}

impl Days {
    /// The days from the first to the last, oldest first.
    pub fn range(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, &BTreeMap<Row, Bucket>)> {
        let range = (first <= last).then(|| self.days.range(first..=last));
        range.into_iter().flatten().map(|(date, rows)| (*date, rows))
    }
    /// Sums from the first day to the last, by what each row is looked at as; none leaves it out.
    pub fn sums<K: Ord>(&self, first: i64, last: i64, by: impl Fn(i64, &Row) -> Option<K>) -> BTreeMap<K, Bucket> {
        let mut sums = BTreeMap::<K, Bucket>::new();
        for (date, rows) in self.range(first, last) {
            for (row, bucket) in rows {
                if let Some(key) = by(date, row) {
                    sums.entry(key).or_default().take_in(bucket);
                }
            }
        }
        sums
    }
    pub fn of(&self, date: i64) -> Option<&BTreeMap<Row, Bucket>> {
        self.days.get(&date)
    }
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn add(&mut self, date: i64, row: Row, finished: &RequestFinished) {
        let row = self.room_for(date, row);
        let bucket = self.days.entry(date).or_default().entry(row).or_insert_with(|| {
            self.rows += 1;
            Bucket::default()
        });
        bucket.take_in(&Bucket::of(finished));
        while self.days.len() > DAYS_MAX {
            self.forget_oldest();
        }
    }

    /// The row itself, where it is there or there is room; else that of the others.
    fn room_for(&mut self, date: i64, row: Row) -> Row {
        let there = |days: &Self| days.days.get(&date).is_some_and(|rows| rows.contains_key(&row));
        while self.rows + 1 >= ROWS_MAX && !there(self) {
            match self.days.first_key_value() {
                Some((oldest, _)) if *oldest < date => self.forget_oldest(),
                _ => return Row { endpoint: None, model: ModelNo::OTHER, api: Api::Other },
            }
        }
        row
    }

    fn forget_oldest(&mut self) {
        if let Some((_, rows)) = self.days.pop_first() {
            self.rows -= rows.len();
        }
    }
}

impl Bucket {
    /// What one request adds.
    pub fn of(finished: &RequestFinished) -> Self {
        let took = finished.duration.0.unsigned_abs();
        let (success, output) = (finished.outcome == Outcome::Success, finished.tokens.output);
        Bucket {
            success: success.into(),
            failed: (!success).into(),
            input_tokens: finished.tokens.input,
            output_tokens: output,
            duration: if success { took } else { 0 },
            speed: finished.speed().map_or((0, 0), |_| (output, took)),
        }
    }
    pub fn total(&self) -> u64 {
        self.success + self.failed
    }

    pub fn take_in(&mut self, other: &Bucket) {
        self.success += other.success;
        self.failed += other.failed;
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.duration = self.duration.saturating_add(other.duration);
        self.speed.0 = self.speed.0.saturating_add(other.speed.0);
        self.speed.1 = self.speed.1.saturating_add(other.speed.1);
    }
}
