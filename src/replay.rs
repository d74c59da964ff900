//! The log folded from its start, without the help of snapshots.

use crate::history::HistoryError;
use tidehelm_actors::port::Store;
use tidehelm_actors::restore::{RestoreError, Restorer};
use tidehelm_events::commit::{Entry, Unpacked};
use tidehelm_events::id::Position;
use tidehelm_events::view::Fold;

const PIECE: usize = 256;

/// What one pass over the log came to.
pub struct Pass {
    pub fold: Fold,
    pub commits: u64,
    pub events: u64,
    /// Where it began: the fold that replaces cut telemetry, or none.
    pub base: Option<Position>,
}

/// Folds everything up to a position, to the event; `seen` is told how far it is.
pub async fn replay(store: &mut dyn Store, to: Position, mut seen: impl FnMut(Position)) -> Result<Pass, HistoryError> {
    let base = store.base().await?;
    let begin = match &base {
        Some(saved) => Fold::from_bytes(&saved.bytes)
            .map_err(|error| HistoryError::Restore(format!("the base of the log: {error}")))?,
        None => Fold::default(),
    };
    let base = base.map(|saved| saved.position);
    if let Some(through) = base.filter(|base| *base > to) {
        return Err(HistoryError::Cut { through });
    }
    let mut restorer = Restorer::new(begin, []);
    let mut commits = 0;
    loop {
        let entries = store.read(restorer.position(), PIECE).await?;
        for entry in &entries {
            if entry.head().position > to {
                let events = restorer.events();
                return part(entry, restorer.finish().fold, to, Pass { fold: Fold::default(), commits, events, base });
            }
            restorer.entry(entry).map_err(restored)?;
            commits += 1;
        }
        seen(restorer.position());
        if entries.is_empty() || restorer.position() >= to {
            let events = restorer.events();
            return Ok(Pass { fold: restorer.finish().fold, commits, events, base });
        }
    }
}

/// The first events of a commit that goes beyond the end.
fn part(entry: &Entry, mut fold: Fold, to: Position, pass: Pass) -> Result<Pass, HistoryError> {
    let wrong = |error: &dyn std::fmt::Display| HistoryError::Restore(error.to_string());
    let Entry::Commit(commit) = entry else { return Err(HistoryError::Cut { through: entry.head().position }) };
    let mut space = Unpacked::default();
    commit.unpack_into(&mut space).map_err(|error| wrong(&error))?;
    let before = fold.truth.position();
    if before < to {
        fold.truth.learn(&space.names).map_err(|error| wrong(&error))?;
    }
    for record in space.records.iter().take_while(|record| record.position <= to) {
        fold.apply(record).map_err(|error| wrong(&error))?;
    }
    let events = pass.events + fold.truth.position().0 - before.0;
    Ok(Pass { fold, events, ..pass })
}

fn restored(error: RestoreError) -> HistoryError {
    match error {
        RestoreError::Cut { at } => HistoryError::Cut { through: at },
        error => HistoryError::Restore(error.to_string()),
    }
}
