//! From the log back to a state: the newest good fold, then one ordered pass over the tail.

use std::collections::VecDeque;
use tidehelm_events::commit::{Commit, Entry, Head, Reacted, Unpacked};
use tidehelm_events::id::{Position, StreamId};
use tidehelm_events::react::{Reaction, reactions};
use tidehelm_events::view::{Fold, FoldError};

/// What a restart knows once it has read the log.
#[derive(Debug, Default)]
pub struct Restored {
    pub fold: Fold,
    /// Reactions whose causes are durable and that are not: made good by the next commit.
    pub debts: Vec<Reaction>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("cannot fold the commit at position {at}: {source}")]
    Fold { at: Position, source: FoldError },
    #[error("the log ends at position {found}, before position {expected} where the snapshot stands")]
    Short { found: Position, expected: Position },
    #[error(
        "telemetry at position {at} was cut and no base replaces it; restore a backup, or start with `--quarantine` if the \
         affected streams are known"
    )]
    Cut { at: Position },
    #[error(
        "the fold does not believe the log at position {at}: {why} (stream {stream}; `--quarantine {stream}` starts without it)"
    )]
    Disbelief { at: Position, stream: String, why: String },
}

/// Folds entries in order onto a fold that stands at a commit's end where nothing was owed.
pub struct Restorer {
    fold: Fold,
    debts: VecDeque<Reaction>,
    space: Unpacked,
    head: Head,
    events: u64,
}

impl Restorer {
    pub fn new(fold: Fold, quarantined: impl IntoIterator<Item = StreamId>) -> Self {
        let mut fold = fold;
        quarantined.into_iter().for_each(|stream| fold.truth.quarantine(stream));
        let head = Head { position: fold.truth.position(), ..Head::default() };
        Restorer { fold, debts: VecDeque::new(), space: Unpacked::default(), head, events: 0 }
    }

    pub fn position(&self) -> Position {
        self.fold.truth.position()
    }
    pub fn head(&self) -> Head {
        self.head
    }
    pub fn events(&self) -> u64 {
        self.events
    }
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    pub fn entry(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        match entry {
            Entry::Commit(commit) => self.commit(commit),
            Entry::Seal(seal) => Err(RestoreError::Cut { at: seal.first }),
        }
    }

    /// Reactions are made out where their cause stands, with the state of that moment; what the header says was worked off
    /// is dropped.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), RestoreError> {
        let at = commit.header.first;
        if commit.telemetry.is_none() && commit.header.telemetry_count > 0 {
            return Err(RestoreError::Cut { at });
        }
        let done = commit.header.reacted;
        let drained = done == Reacted::all_through(commit.header.last);
        let debts = &mut self.debts;
        let mut events = 0;
        let (fold, space) = (&mut self.fold, &mut self.space);
        let folded = believing(|| {
            fold.apply_commit(commit, space, |truth, record| {
                events += 1;
                if !drained {
                    debts.extend(reactions(truth, record));
                }
            })
        });
        match folded {
            Ok(Ok(())) => {}
            Ok(Err(source)) => return Err(RestoreError::Fold { at, source }),
            Err(why) => return Err(self.disbelief(why)),
        }
        self.events += events;
        match drained {
            true => self.debts.clear(),
            false => self.debts.retain(|debt| debt.through > done),
        }
        self.head = commit.head();
        Ok(())
    }

    pub fn finish(self) -> Restored {
        Restored { fold: self.fold, debts: self.debts.into() }
    }

    fn disbelief(&self, why: String) -> RestoreError {
        let at = self.fold.truth.position();
        let record = self.space.records.iter().find(|record| record.position == at);
        let stream = record.and_then(|record| self.fold.truth.names().get(record.stream));
        RestoreError::Disbelief { at, stream: stream.map_or_else(|| "desk".into(), ToString::to_string), why }
    }
}

thread_local! {
    static BELIEVING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// True while this thread folds the log and a panic is only a record that is not believed.
pub fn is_believing() -> bool {
    BELIEVING.get()
}

/// What the fold makes of it, or the sentence with which it refused to believe a record.
fn believing<T>(fold: impl FnOnce() -> T) -> Result<T, String> {
    BELIEVING.set(true);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(fold));
    BELIEVING.set(false);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "no reason given".into())
    })
}
