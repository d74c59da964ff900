//! Looking back: pages of the log, and the state as it was.

use crate::why;
use std::sync::Arc;
use tidehelm_actors::durable::Durable;
use tidehelm_actors::port::{LogFault, Saved, Store};
use tidehelm_actors::restore::RestoreError;
use tidehelm_actors::writer::{OpenError, restore};
use tidehelm_events::codec;
use tidehelm_events::commit::{Entry, Unpacked};
use tidehelm_events::envelope::Record;
use tidehelm_events::id::{DeskId, Position, StreamId};
use tidehelm_events::truth::Names;
use tidehelm_events::view::{Fold, Trail};
use tokio::sync::{Mutex, MutexGuard, Semaphore};

/// So many questions wait for their turn; more are told to come again.
const WAITING_MAX: usize = 64;
const PIECE: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("telemetry up to position {through} was cut; ask for a later moment")]
    Cut { through: Position },
    #[error("too many questions about the past at once; ask again in a moment")]
    Busy,
    #[error("cannot read the log: {0}")]
    Log(#[from] LogFault),
    #[error("cannot restore the past: {0}")]
    Restore(String),
}

/// Where the names of streams come from.
pub enum Known {
    /// A running desk.
    Live(Arc<Durable>),
    /// A log that was read through.
    Read(Box<Names>, DeskId),
}

/// One event of the past and what is needed to show it.
pub struct Reading<'a> {
    pub record: &'a Record,
    pub stream: &'a StreamId,
    pub desk: DeskId,
}

pub struct History {
    store: Mutex<Box<dyn Store>>,
    known: Known,
    waiting: Semaphore,
    /// The last state that somebody looked back at: people look around one moment.
    cache: std::sync::Mutex<Option<Arc<Fold>>>,
}

impl History {
    pub fn new(store: Box<dyn Store>, known: Known) -> Self {
        History {
            store: Mutex::new(store),
            known,
            waiting: Semaphore::new(WAITING_MAX),
            cache: std::sync::Mutex::new(None),
        }
    }

    /// Shows events after a position to `each`, in order, until it says false or `max` events were looked at. Answers the last
    /// position looked at, so that the next question can go on there.
    pub async fn scan(
        &self,
        from: Position,
        max: usize,
        mut each: impl FnMut(&Reading<'_>) -> bool,
    ) -> Result<Position, HistoryError> {
        let mut store = self.turn().await?;
        let (mut last, mut looked, mut space) = (from, 0, Unpacked::default());
        let (mut cursor, end) = (from, self.end());
        loop {
            let entries = store.read(cursor, PIECE).await?;
            if entries.is_empty() {
                return Ok(last);
            }
            for entry in &entries {
                if entry.head().position > end {
                    return Ok(last);
                }
                cursor = entry.head().position;
                let Entry::Commit(commit) = entry else {
                    last = last.max(cursor);
                    continue;
                };
                commit.unpack_into(&mut space).map_err(|error| LogFault::new("unpacking a commit", error))?;
                let mut go_on = true;
                self.with_names(|names, desk| {
                    for record in space.records.iter().filter(|record| record.position > from) {
                        let Some(stream) = names.get(record.stream) else { continue };
                        (last, looked) = (record.position, looked + 1);
                        go_on = each(&Reading { record, stream, desk }) && looked < max;
                        if !go_on {
                            return;
                        }
                    }
                    last = last.max(cursor);
                });
                if !go_on {
                    return Ok(last);
                }
            }
        }
    }

    /// The newest snapshot at or before a position; without one the base.
    pub async fn saved(&self, before: Option<(Position, u16)>) -> Result<Option<Saved>, HistoryError> {
        let mut store = self.turn().await?;
        Ok(match before {
            Some((position, schema)) => store.newest(position, schema).await?,
            None => store.base().await?,
        })
    }

    /// The state at a position.
    pub async fn fold_at(&self, position: Position) -> Result<Arc<Fold>, HistoryError> {
        let cached = self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(fold) = cached.filter(|fold| fold.truth.position() == position) {
            return Ok(fold);
        }
        let mut store = self.turn().await?;
        let fold = Arc::new(fold_at(&mut **store, position).await?);
        *self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(fold.clone());
        Ok(fold)
    }

    /// The last position that was committed at or before a time.
    pub async fn position_at(&self, ms: i64) -> Result<Position, HistoryError> {
        let mut store = self.turn().await?;
        position_at(&mut **store, ms).await
    }

    /// What stands in the log of these trails.
    pub async fn tell(&self, found: Vec<why::Found>) -> Result<Vec<why::Story>, HistoryError> {
        let mut store = self.turn().await?;
        why::tell(&mut **store, found).await
    }

    /// What came of a signal that is older than the index.
    pub async fn search(&self, signal: Position) -> Result<Vec<Trail>, HistoryError> {
        let mut store = self.turn().await?;
        why::search(&mut **store, signal).await
    }

    /// Entries as bytes: a list in bincode.
    pub async fn raw(&self, after: Position, limit: usize) -> Result<Vec<u8>, HistoryError> {
        let mut store = self.turn().await?;
        let entries = store.read(after, limit).await?;
        let mut bytes = Vec::new();
        codec::write(&entries, &mut bytes);
        Ok(bytes)
    }

    async fn turn(&self) -> Result<MutexGuard<'_, Box<dyn Store>>, HistoryError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| HistoryError::Busy)?;
        Ok(self.store.lock().await)
    }

    /// A commit is in the log a moment before the names in it are known.
    fn end(&self) -> Position {
        match &self.known {
            Known::Read(..) => Position(u64::MAX),
            Known::Live(durable) => durable.head().position,
        }
    }

    fn with_names(&self, look: impl FnOnce(&Names, DeskId)) {
        match &self.known {
            Known::Read(names, desk) => look(names, *desk),
            Known::Live(durable) => durable.read(|fold| {
                if let Some(desk) = fold.truth.desk_id() {
                    look(fold.truth.names(), desk);
                }
            }),
        }
    }
}

/// The state at a position: the newest snapshot before it, then the log up to it, to the event.
pub async fn fold_at(store: &mut dyn Store, position: Position) -> Result<Fold, HistoryError> {
    let (restored, _) = restore(store, position, &[]).await.map_err(past)?;
    let mut fold = restored.fold;
    if fold.truth.position() > position {
        return Err(HistoryError::Cut { through: fold.truth.position() });
    }
    if fold.truth.position() == position {
        return Ok(fold);
    }
    let entries = store.read(fold.truth.position(), 1).await?;
    let Some(Entry::Commit(commit)) = entries.first() else {
        return Err(HistoryError::Restore(format!("the log ends before position {position}")));
    };
    let unpacked = commit.unpack().map_err(|error| HistoryError::Restore(error.to_string()))?;
    fold.truth.learn(&unpacked.names).map_err(|error| HistoryError::Restore(error.to_string()))?;
    for record in unpacked.records.iter().take_while(|record| record.position <= position) {
        fold.apply(record).map_err(|error| HistoryError::Restore(error.to_string()))?;
    }
    Ok(fold)
}

/// The last position that was committed at or before a time, by halving: commits never go back in time.
pub async fn position_at(store: &mut dyn Store, ms: i64) -> Result<Position, HistoryError> {
    let (mut low, mut high) = (Position(0), store.head().await?.position);
    while low < high {
        let middle = Position(low.0 + (high.0 - low.0) / 2);
        let entries = store.read(middle, 1).await?;
        match entries.first().map(Entry::head) {
            Some(head) if head.committed_at.millis() <= ms => low = head.position.min(high),
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

fn past(error: OpenError) -> HistoryError {
    match error {
        OpenError::Log(fault) => HistoryError::Log(fault),
        OpenError::Restore(RestoreError::Cut { at }) => HistoryError::Cut { through: at },
        OpenError::Restore(error) => HistoryError::Restore(error.to_string()),
        OpenError::Commit(error) => HistoryError::Restore(error.to_string()),
    }
}
