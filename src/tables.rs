//! Read models in SQL, for people who query them: each is a fold with its checkpoint in the same transaction.

use crate::http::Data;
use crate::store::{Checkpoint, StatusChange, Store};
use std::time::Duration;
use tidehelm_actors::port::LogFault;
use tidehelm_events::id::Position;

/// Schema of `status_changes`: a table of another one is filled anew.
pub const STATUS_CHANGES_SCHEMA: u16 = 1;
/// Changes wait this long for company.
const PAUSE: Duration = Duration::from_millis(500);
/// Without a change, the checkpoint moves on this often.
const MOVE_EVERY: u64 = 50_000;
const SCAN_MAX: usize = 50_000;

/// Follows the log until the desk stops; the next start goes on from the checkpoint.
pub async fn keep(app: Data, mut store: Store) {
    let (mut head, mut stopping) = (app.host.durable.subscribe(), app.stopping.clone());
    let mut reached = None;
    loop {
        let from = match reached {
            Some(reached) => reached,
            None => match begin(&app, &mut store).await {
                Ok(position) => Reached { saved: position, looked: position },
                Err(error) => {
                    tracing::warn!(%error, "the table of status changes cannot be read; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            },
        };
        match catch_up(&app, &mut store, from).await {
            Ok(now) => reached = Some(now),
            Err(error) => {
                tracing::warn!(%error, "the table of status changes falls behind; trying again");
                reached = None;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        let seen = reached.unwrap_or(from).looked;
        tokio::select! {
            changed = head.wait_for(|head| head.position > seen) => if changed.is_err() { return },
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Where the table stands. One that is from another build, or ahead of the log, is emptied.
async fn begin(app: &Data, store: &mut Store) -> Result<Position, LogFault> {
    let end = app.host.durable.head().position;
    match store.reader().checkpoint().await? {
        Some(known) if known.schema == STATUS_CHANGES_SCHEMA && known.position <= end => Ok(known.position),
        Some(_) => {
            store.clear_projection(STATUS_CHANGES_SCHEMA).await?;
            Ok(Position(0))
        }
        None => Ok(Position(0)),
    }
}

/// How far the log was looked through, and how far the table says so.
#[derive(Clone, Copy)]
struct Reached {
    saved: Position,
    looked: Position,
}

async fn catch_up(app: &Data, store: &mut Store, from: Reached) -> Result<Reached, LogFault> {
    let Reached { mut saved, mut looked } = from;
    loop {
        let (changes, to) = changes(app, looked).await?;
        let far = to.0.saturating_sub(saved.0) >= MOVE_EVERY;
        if !changes.is_empty() || far {
            let checkpoint = Checkpoint { position: to, schema: STATUS_CHANGES_SCHEMA };
            store.project(&changes, saved, checkpoint).await?;
            saved = to;
        }
        looked = to;
        if to >= app.host.durable.head().position {
            return Ok(Reached { saved, looked });
        }
    }
}

/// The changes after a position, and up to where they were looked for: in memory where the last events are, else in the log.
async fn changes(app: &Data, after: Position) -> Result<(Vec<StatusChange>, Position), LogFault> {
    let mut found = Vec::new();
    if let Some(batches) = app.host.durable.recent(after) {
        let mut to = after;
        app.host.durable.read(|fold| {
            for batch in &batches {
                for record in batch.records.iter().filter(|record| record.position > after) {
                    let stream = fold.truth.names().get(record.stream);
                    found.extend(stream.and_then(|stream| StatusChange::of(record, stream)));
                }
                to = batch.head.position;
            }
        });
        return Ok((found, to));
    }
    let read = app.history.scan(after, SCAN_MAX, |reading| {
        found.extend(StatusChange::of(reading.record, reading.stream));
        true
    });
    let to = read.await.map_err(|error| LogFault::new("reading the log for the table of status changes", error))?;
    Ok((found, to))
}
