//! What is kept how long: when telemetry is cut, how a cut goes, and which snapshots stay.
//!
//! A cut goes in this order, and each step may be the last one before a crash:
//! 1. [`Reader::due`](crate::store::Reader::due) says up to which commit; nothing is owed there.
//! 2. The fold up to there is saved as a base.
//! 3. `TelemetryCut` with the base's hash goes through the journal like any other event.
//! 4. [`Store::cut_piece`](crate::store::Store::cut_piece) until there is no more. A restart that finds the event's `through`
//!    beyond [`Reader::cut_through`](crate::store::Reader::cut_through) goes on here.

use crate::store::Extent;
use std::collections::{BTreeMap, BTreeSet};
use tidehelm_events::commit::{Commit, CommitError, Entry, Seal, Unpacked};
use tidehelm_events::id::{Position, StreamNo};
use tidehelm_events::time::{Span, Timestamp};

/// What one transaction of a cut reads and rewrites: a commit of the log may have to wait for so much.
pub const PIECE_BYTES: u64 = 8 << 20;

/// Telemetry goes once it is older than `age`, or once more than `bytes` of it came later, whichever is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub age: Span,
    pub bytes: u64,
    /// No further than this: a read model that follows from what is cut has not come beyond it.
    pub through: Position,
}

impl Limits {
    /// True for every commit up to some point and for none after it. `written` is how much telemetry was ever written.
    pub fn is_due(&self, extent: &Extent, written: u64, now: Timestamp) -> bool {
        let from_here = written.saturating_sub(extent.telemetry_through) + extent.telemetry_bytes;
        extent.last <= self.through && (extent.committed_at + self.age <= now || from_here > self.bytes)
    }
}

/// What retention should cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Cut already up to here.
    pub after: Position,
    /// The end of a commit at which nothing is owed.
    pub through: Position,
    pub committed_at: Timestamp,
    /// Events of telemetry between the two.
    pub events: u64,
}

/// What one step of a cut did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub through: Position,
    pub events: u64,
    pub bytes: u64,
}

/// What one step of a cut is going to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Commits that lose their telemetry, by their first positions.
    pub cuts: Vec<Position>,
    /// What replaces runs of commits with nothing kept.
    pub seals: Vec<Seal>,
    /// Where the step ends; none if there was nothing.
    pub end: Option<Position>,
    pub events: u64,
    pub bytes: u64,
}

/// What becomes of entries up to `through`. Nothing is removed that is not what was committed.
pub fn plan(entries: Vec<Entry>, through: Position) -> Result<Plan, CommitError> {
    let mut plan = Plan::default();
    let mut run: Option<Run> = None;
    let mut space = Unpacked::default();
    for entry in entries.into_iter().take_while(|entry| entry.head().position <= through) {
        plan.end = Some(entry.head().position);
        let Entry::Commit(commit) = entry else {
            plan.seals.extend(run.take().map(Run::seal));
            continue;
        };
        commit.check_self()?;
        if commit.telemetry.is_some() {
            plan.events += u64::from(commit.header.telemetry_count);
            plan.bytes += commit.telemetry.as_ref().map_or(0, |blob| blob.len() as u64);
        }
        if commit.kept.is_empty() {
            commit.unpack_into(&mut space)?;
            run.get_or_insert_with(|| Run::from(&commit)).add(&commit, &space);
            continue;
        }
        plan.seals.extend(run.take().map(Run::seal));
        if commit.telemetry.is_some() && commit.header.telemetry_count > 0 {
            plan.cuts.push(commit.header.first);
        }
    }
    plan.seals.extend(run.map(Run::seal));
    Ok(plan)
}

/// Commits in a row with nothing kept.
struct Run {
    seal: Seal,
    counts: BTreeMap<StreamNo, u64>,
}

impl Run {
    fn from(commit: &Commit) -> Self {
        let header = &commit.header;
        let seal = Seal {
            first: header.first,
            last: header.last,
            prev_hash: header.prev_hash,
            last_hash: commit.hash,
            epoch: header.epoch,
            committed_at: header.committed_at,
            commits: 0,
            counts: Vec::new(),
        };
        Run { seal, counts: BTreeMap::new() }
    }

    fn add(&mut self, commit: &Commit, unpacked: &Unpacked) {
        let end = commit.head();
        self.seal.last = end.position;
        self.seal.last_hash = end.hash;
        self.seal.epoch = end.epoch;
        self.seal.committed_at = end.committed_at;
        self.seal.commits += 1;
        for record in &unpacked.records {
            *self.counts.entry(record.stream).or_default() += 1;
        }
    }

    fn seal(self) -> Seal {
        Seal { counts: self.counts.into_iter().collect(), ..self.seal }
    }
}

/// One seal for both, where one ends right before the other begins.
pub fn joined(before: Option<Seal>, seal: &Seal) -> Seal {
    let Some(before) = before.filter(|before| before.last.next() == seal.first && before.last_hash == seal.prev_hash)
    else {
        return seal.clone();
    };
    let mut counts: BTreeMap<StreamNo, u64> = before.counts.into_iter().collect();
    for (stream, count) in &seal.counts {
        *counts.entry(*stream).or_default() += count;
    }
    Seal {
        first: before.first,
        prev_hash: before.prev_hash,
        commits: before.commits + seal.commits,
        counts: counts.into_iter().collect(),
        ..seal.clone()
    }
}

/// How many snapshots stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    pub newest: usize,
    /// One an hour, for so many hours.
    pub hourly: usize,
    /// One a day, for so many days.
    pub daily: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Keep { newest: 2, hourly: 24, daily: 30 }
    }
}

/// The snapshots to discard. Of each hour and day the first one stays, so that thinning again and again keeps the same ones.
pub fn thin(snapshots: &[(Position, Timestamp)], now: Timestamp, keep: Keep) -> Vec<Position> {
    let mut kept: BTreeSet<Position> =
        snapshots.iter().rev().take(keep.newest).map(|(position, _)| *position).collect();
    for (length, count) in [(Span::hours(1), keep.hourly), (Span::hours(24), keep.daily)] {
        let bucket = |at: Timestamp| at.0.div_euclid(length.0);
        let oldest = bucket(now) - i64::try_from(count).unwrap_or(i64::MAX);
        let mut seen = BTreeSet::new();
        for (position, at) in snapshots {
            if bucket(*at) > oldest && seen.insert(bucket(*at)) {
                kept.insert(*position);
            }
        }
    }
    snapshots.iter().map(|(position, _)| *position).filter(|position| !kept.contains(position)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidehelm_events::commit::Reacted;

    fn log(bytes: &[u64]) -> (Vec<Extent>, u64) {
        let mut through = 0;
        let extents = bytes.iter().enumerate().map(|(index, bytes)| {
            through += bytes;
            let position = Position(index as u64 + 1);
            Extent {
                first: position,
                last: position,
                committed_at: Timestamp::from_millis(index as i64 * 1000),
                kept_bytes: 0,
                telemetry_bytes: *bytes,
                telemetry_through: through,
                reacted: Reacted::all_through(position),
            }
        });
        (extents.collect(), through)
    }

    #[test]
    fn telemetry_goes_by_age_or_by_size_whichever_is_first() {
        let (extents, written) = log(&[10, 10, 0, 10, 10]);
        let now = Timestamp::from_millis(5000);
        for (age_s, bytes, due) in
            [(100, 100, 0), (4, 100, 2), (100, 40, 0), (100, 39, 1), (100, 20, 2), (3, 10, 4), (0, 0, 5)]
        {
            let limits = Limits { age: Span::seconds(age_s), bytes, through: Position(u64::MAX) };
            let found: Vec<bool> = extents.iter().map(|extent| limits.is_due(extent, written, now)).collect();
            assert_eq!(found.iter().filter(|due| **due).count(), due, "{age_s} s, {bytes} bytes");
            assert!(found.is_sorted_by(|a, b| a >= b), "one point divides what is due from what is not");
        }
    }

    #[test]
    fn nothing_goes_that_a_read_model_has_not_seen() {
        let (extents, written) = log(&[10, 10, 10, 10]);
        for (through, due) in [(0, 0), (1, 1), (3, 3), (9, 4)] {
            let limits = Limits { age: Span::seconds(0), bytes: 0, through: Position(through) };
            let now = Timestamp::from_millis(9_000);
            let found = extents.iter().filter(|extent| limits.is_due(extent, written, now)).count();
            assert_eq!(found, due, "through {through}");
        }
    }

    #[test]
    fn snapshots_grow_thin_with_age_and_stay_so() {
        let hour = |hours: i64| Timestamp::ZERO + Span::hours(24 * 365) + Span::hours(hours);
        let mut held: Vec<(Position, Timestamp)> = Vec::new();
        // One every 20 minutes for 50 days, thinned each time.
        for step in 0..50 * 72 {
            let now = hour(0) + Span::seconds(step * 1200);
            held.push((Position(step as u64 + 1), now));
            let gone = thin(&held, now, Keep::default());
            held.retain(|(position, _)| !gone.contains(position));
            assert!(held.len() <= 2 + 24 + 30, "{} at step {step}", held.len());
        }
        let now = held.last().unwrap().1;
        let newer_than = |hours| held.iter().filter(|(_, at)| now.since(*at) < Span::hours(hours)).count();
        assert!(newer_than(1) >= 2 && newer_than(24) >= 23 && newer_than(24 * 30) >= 24 + 28, "{held:?}");
        assert!(thin(&held, now, Keep::default()).is_empty());
    }

    #[test]
    fn the_newest_snapshots_stay_however_old() {
        let old: Vec<_> = (1..=5).map(|position| (Position(position), Timestamp::ZERO)).collect();
        let now = Timestamp::ZERO + Span::hours(24 * 365);
        assert_eq!(thin(&old, now, Keep::default()), [Position(1), Position(2), Position(3)]);
        assert_eq!(thin(&[], now, Keep::default()), []);
    }
}
