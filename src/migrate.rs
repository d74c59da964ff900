//! The same log in another store: every commit as it is, its audit rows, the base after a cut, and the vault.

use crate::store::{Model, Reader, RequestQuery, RequestRow, Rows, Store};
use crate::verify::credentials;
use std::collections::BTreeMap;
use tidehelm_actors::port::{CommitLog, LogFault};
use tidehelm_actors::writer::restore;
use tidehelm_events::commit::{Entry, Head, Unpacked};
use tidehelm_events::desk;
use tidehelm_events::envelope::{Class, Envelope};
use tidehelm_events::event::Event;
use tidehelm_events::id::{DeskId, Position, StreamId, StreamNo};

/// What one transaction takes over.
const ENTRIES: usize = 256;
const BYTES: usize = 4 << 20;
/// Rows of a table, in one.
const ROWS: usize = 20_000;

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("the target holds a log already, up to position {0}; name one that is empty")]
    Taken(Position),
    #[error("the source has moved on from position {0} meanwhile: a server writes it; stop it and begin again")]
    Moved(Position),
    #[error("the state that follows from the copy is not the state of the source: {copy}, not {original}")]
    Different { copy: String, original: String },
    #[error("cannot read the source at position {at}: {why}")]
    Source { at: Position, why: String },
    #[error("the copy cannot be folded: {0}")]
    Unfoldable(String),
    #[error(transparent)]
    Store(#[from] LogFault),
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Moved {
    pub position: u64,
    pub entries: u64,
    pub audit_rows: u64,
    pub requests: u64,
    pub credentials: u64,
    pub credentials_missing: u64,
    pub hash: String,
    pub state_hash: String,
}

/// Copies everything up to where the source ends; `seen` is told how far it is.
pub async fn migrate(
    source: &mut Store,
    target: &mut Store,
    mut seen: impl FnMut(Position),
) -> Result<Moved, MigrateError> {
    let mut end = target.head().await?;
    if end.position != Position(0) {
        return Err(MigrateError::Taken(end.position));
    }
    let reader = source.reader();
    let head = reader.head().await?;
    if let Some(base) = reader.base().await? {
        target.save_base(&base).await?;
    }
    let mut moved = Moved { position: head.position.0, hash: head.hash.to_string(), ..Moved::default() };
    let mut audits = Audits::default();
    while end.position < head.position {
        let entries = reader.read(end.position, ENTRIES).await?;
        if entries.is_empty() {
            let why = "the log ends before its head".into();
            return Err(MigrateError::Source { at: end.position, why });
        }
        for chunk in chunks(&entries) {
            let rows = audits.of(chunk)?;
            target.adopt(chunk, &rows, &end).await?;
            end = chunk.last().map_or(end, Entry::head);
            moved.entries += chunk.len() as u64;
            moved.audit_rows += rows.len() as u64;
        }
        seen(end.position);
    }
    if reader.head().await?.position != head.position {
        return Err(MigrateError::Moved(head.position));
    }
    moved.requests = requests(target, &reader).await?;
    check(source, target, &reader, head, &mut moved).await?;
    Ok(moved)
}

/// Copies the tables of requests, whose events may have been cut from the log: rows, sums of days, and how far they have come.
/// What came since is filled from the log by the first start.
async fn requests(target: &mut Store, reader: &Reader) -> Result<u64, LogFault> {
    let (mut from, mut copied) = (Position(0), 0);
    if let Some(known) = known(reader, Model::Requests).await? {
        loop {
            let query =
                RequestQuery { after: from, before: Some(known.next()), limit: ROWS, ..RequestQuery::default() };
            let rows = reader.requests(&query).await?.rows;
            let to = if rows.len() < ROWS { known } else { rows.last().map_or(known, RequestRow::position) };
            target.project(Rows::Requests(&rows), from, to).await?;
            copied += rows.len() as u64;
            if to == known {
                break;
            }
            from = to;
        }
    }
    if let Some(known) = known(reader, Model::RequestDays).await? {
        let days = reader.request_days("", "9999").await?;
        target.project(Rows::RequestDays(&days), Position(0), known).await?;
    }
    Ok(copied)
}

/// How far a table of this build has come.
async fn known(reader: &Reader, model: Model) -> Result<Option<Position>, LogFault> {
    let known = reader.checkpoint(model).await?;
    Ok(known.filter(|known| known.schema == model.schema() && known.position > Position(0)).map(|known| known.position))
}

/// Moves the vault, and compares what follows from both logs.
async fn check(
    source: &mut Store,
    target: &mut Store,
    reader: &Reader,
    head: Head,
    moved: &mut Moved,
) -> Result<(), MigrateError> {
    let folded = |error: &dyn std::fmt::Display| MigrateError::Unfoldable(error.to_string());
    let (original, _) = restore(source, Position(u64::MAX), &[]).await.map_err(|error| folded(&error))?;
    for (id, _, _) in credentials(&original.fold.truth) {
        match reader.secret(id).await? {
            Some(secret) => {
                target.put_secret(id, &secret).await?;
                moved.credentials += 1;
            }
            None => moved.credentials_missing += 1,
        }
    }
    // The copy has no snapshots: this reads all of it and checks its chain.
    let (copy, _) = restore(target, Position(u64::MAX), &[]).await.map_err(|error| folded(&error))?;
    let (copy, original) = (copy.fold.truth.hash(), original.fold.truth.hash());
    let end = target.head().await?;
    if copy != original || (end.position, end.hash) != (head.position, head.hash) {
        return Err(MigrateError::Different { copy: copy.to_string(), original: original.to_string() });
    }
    moved.state_hash = copy.to_string();
    Ok(())
}

/// Runs of entries that are not too large for one transaction; one entry alone may be.
fn chunks(entries: &[Entry]) -> Vec<&[Entry]> {
    let (mut chunks, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, entry) in entries.iter().enumerate() {
        let size = match entry {
            Entry::Commit(commit) => commit.kept.len() + commit.telemetry.as_ref().map_or(0, Vec::len),
            Entry::Seal(_) => 0,
        };
        if bytes + size > BYTES && index > start {
            chunks.push(&entries[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    chunks.push(&entries[start..]);
    chunks
}

/// Makes the audit rows of entries, which follow from their events.
#[derive(Default)]
struct Audits {
    names: BTreeMap<StreamNo, StreamId>,
    desk: Option<DeskId>,
    space: Unpacked,
}

impl Audits {
    fn of(&mut self, entries: &[Entry]) -> Result<Vec<Envelope>, MigrateError> {
        let mut rows = Vec::new();
        for entry in entries {
            let Entry::Commit(commit) = entry else { continue };
            let at = commit.header.first;
            let wrong = |why: String| MigrateError::Source { at, why };
            commit.unpack_into(&mut self.space).map_err(|error| wrong(error.to_string()))?;
            self.names.extend(self.space.names.drain(..));
            for record in &self.space.records {
                if let Event::Desk(desk::Event::Opened(opened)) = &record.event {
                    self.desk = Some(opened.desk);
                }
                if record.event.class() == Class::Business {
                    let stream =
                        self.names.get(&record.stream).ok_or_else(|| wrong("a stream without a name".into()))?;
                    let desk = self.desk.ok_or_else(|| wrong("no event opened the desk".into()))?;
                    rows.push(record.envelope(desk, stream));
                }
            }
        }
        Ok(rows)
    }
}
