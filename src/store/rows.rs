//! What a row says, and what it must be to be believed. The same for both databases.

use crate::store::{Extent, Secret};
use sqlx::FromRow;
use sqlx::error::BoxDynError;
use std::str::FromStr;
use tidehelm_actors::port::Saved;
use tidehelm_events::account;
use tidehelm_events::codec;
use tidehelm_events::commit::{Commit, Entry, Hash, Head, Header, Reacted, Seal};
use tidehelm_events::envelope::{Envelope, Record};
use tidehelm_events::event::Event;
use tidehelm_events::id::{CommandId, CredentialId, Epoch, EventId, NodeId, Position, StreamId, StreamNo, Version};
use tidehelm_events::reason::{RuntimeStatus, Warnings};
use tidehelm_events::time::Timestamp;
use uuid::Uuid;

/// A row that cannot be believed: the database gave it, but no build wrote it so.
fn malformed(why: String) -> sqlx::Error {
    sqlx::Error::Decode(BoxDynError::from(why))
}

fn number<T: TryFrom<i64>>(what: &str, column: &str, value: i64) -> sqlx::Result<T> {
    T::try_from(value).map_err(|_| malformed(format!("{what}: its {column} cannot be {value}")))
}

fn hash(what: &str, column: &str, bytes: &[u8]) -> sqlx::Result<Hash> {
    Hash::from_slice(bytes).ok_or_else(|| malformed(format!("{what}: its {column} has {} bytes, not 32", bytes.len())))
}

fn uuid(what: &str, column: &str, text: &str) -> sqlx::Result<Uuid> {
    let not = || malformed(format!("{what}: its {column} is not a uuid"));
    // One spelling, so that no changed letter goes unnoticed.
    Uuid::try_parse(text).ok().filter(|id| id.to_string() == text).ok_or_else(not)
}

fn parsed<T: FromStr>(what: &str, column: &str, text: &str) -> sqlx::Result<T> {
    text.parse().map_err(|_| malformed(format!("{what}: its {column} cannot be `{text}`")))
}

/// Positions, epochs and counts fit: 2^63 events are not reached.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[derive(FromRow)]
pub struct HeadRow {
    position: i64,
    hash: Vec<u8>,
    epoch: i64,
    committed_at: i64,
}

impl HeadRow {
    pub fn head(&self) -> sqlx::Result<Head> {
        let what = "the head of the log";
        Ok(Head {
            position: Position(number(what, "position", self.position)?),
            hash: hash(what, "hash", &self.hash)?,
            epoch: Epoch(number(what, "epoch", self.epoch)?),
            committed_at: Timestamp(self.committed_at),
        })
    }
}

#[derive(FromRow)]
pub struct CommitRow {
    first_position: i64,
    last_position: i64,
    committed_at: i64,
    format: i64,
    node: String,
    epoch: i64,
    reacted_cause: i64,
    reacted_index: i64,
    kept_count: i64,
    telemetry_count: i64,
    kept_hash: Vec<u8>,
    telemetry_hash: Vec<u8>,
    prev_hash: Vec<u8>,
    hash: Vec<u8>,
    kept: Vec<u8>,
    telemetry: Option<Vec<u8>>,
}

impl CommitRow {
    pub fn commit(self) -> sqlx::Result<Commit> {
        let what = &format!("commit {}", self.first_position);
        let header = Header {
            format: number(what, "format", self.format)?,
            first: Position(number(what, "first position", self.first_position)?),
            last: Position(number(what, "last position", self.last_position)?),
            committed_at: Timestamp(self.committed_at),
            node: NodeId(uuid(what, "node", &self.node)?),
            epoch: Epoch(number(what, "epoch", self.epoch)?),
            reacted: Reacted {
                cause: Position(number(what, "reacted cause", self.reacted_cause)?),
                index: number(what, "reacted index", self.reacted_index)?,
            },
            kept_count: number(what, "kept count", self.kept_count)?,
            telemetry_count: number(what, "telemetry count", self.telemetry_count)?,
            kept_hash: hash(what, "kept hash", &self.kept_hash)?,
            telemetry_hash: hash(what, "telemetry hash", &self.telemetry_hash)?,
            prev_hash: hash(what, "previous hash", &self.prev_hash)?,
        };
        Ok(Commit { header, hash: hash(what, "hash", &self.hash)?, kept: self.kept, telemetry: self.telemetry })
    }
}

#[derive(FromRow)]
pub struct ExtentRow {
    first_position: i64,
    last_position: i64,
    committed_at: i64,
    kept_bytes: i64,
    telemetry_bytes: i64,
    telemetry_through: i64,
    reacted_cause: i64,
    reacted_index: i64,
}

impl ExtentRow {
    pub fn extent(self) -> sqlx::Result<Extent> {
        let what = &format!("commit {}", self.first_position);
        Ok(Extent {
            first: Position(number(what, "first position", self.first_position)?),
            last: Position(number(what, "last position", self.last_position)?),
            committed_at: Timestamp(self.committed_at),
            kept_bytes: number(what, "size", self.kept_bytes)?,
            telemetry_bytes: number(what, "size", self.telemetry_bytes)?,
            telemetry_through: number(what, "sum of telemetry", self.telemetry_through)?,
            reacted: Reacted {
                cause: Position(number(what, "reacted cause", self.reacted_cause)?),
                index: number(what, "reacted index", self.reacted_index)?,
            },
        })
    }
}

#[derive(FromRow)]
pub struct SealRow {
    first_position: i64,
    last_position: i64,
    committed_at: i64,
    epoch: i64,
    prev_hash: Vec<u8>,
    last_hash: Vec<u8>,
    commits: i64,
    counts: Vec<u8>,
}

impl SealRow {
    pub fn seal(self) -> sqlx::Result<Seal> {
        let what = &format!("seal {}", self.first_position);
        let counts = codec::read_large(&self.counts).map_err(|error| malformed(format!("{what}: {error}")))?;
        Ok(Seal {
            first: Position(number(what, "first position", self.first_position)?),
            last: Position(number(what, "last position", self.last_position)?),
            prev_hash: hash(what, "previous hash", &self.prev_hash)?,
            last_hash: hash(what, "last hash", &self.last_hash)?,
            epoch: Epoch(number(what, "epoch", self.epoch)?),
            committed_at: Timestamp(self.committed_at),
            commits: number(what, "number of commits", self.commits)?,
            counts,
        })
    }
}

/// The counts of a seal as its row holds them.
pub fn counts(counts: &Vec<(StreamNo, u64)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::write(counts, &mut bytes);
    bytes
}

/// Both in the order of their positions.
pub fn interleave(commits: Vec<Commit>, seals: Vec<Seal>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = commits.into_iter().map(|commit| Entry::Commit(Box::new(commit))).collect();
    if !seals.is_empty() {
        entries.extend(seals.into_iter().map(Entry::Seal));
        entries.sort_by_key(Entry::first);
    }
    entries
}

#[derive(FromRow)]
pub struct SavedRow {
    position: i64,
    schema: i64,
    build: String,
    at: i64,
    hash: Vec<u8>,
    bytes: Vec<u8>,
}

impl SavedRow {
    pub fn saved(self) -> sqlx::Result<Saved> {
        let what = &format!("the fold at position {}", self.position);
        Ok(Saved {
            position: Position(number(what, "position", self.position)?),
            schema: number(what, "schema", self.schema)?,
            build: self.build,
            at: Timestamp(self.at),
            hash: hash(what, "hash", &self.hash)?,
            bytes: self.bytes,
        })
    }
}

#[derive(FromRow)]
pub struct SecretRow {
    id: String,
    kind: String,
    bytes: Vec<u8>,
    created_at: i64,
}

impl SecretRow {
    pub fn secret(self) -> sqlx::Result<(CredentialId, Secret)> {
        let id = CredentialId(uuid("a row of the vault", "id", &self.id)?);
        Ok((id, Secret { kind: self.kind, bytes: self.bytes, created_at: Timestamp(self.created_at) }))
    }
}

/// A business event as SQL users see it: `docs/audit.md` explains each column.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AuditRow {
    pub position: Position,
    pub stream: StreamId,
    pub version: Version,
    pub event_id: EventId,
    pub kind: String,
    pub schema: u16,
    pub at: Timestamp,
    pub by: String,
    pub command_id: Option<CommandId>,
    pub causation: Option<Position>,
    pub correlation: Position,
    pub payload: serde_json::Value,
}

impl AuditRow {
    /// The row that an event must have: what `verify` compares with.
    pub fn of(envelope: &Envelope) -> Self {
        AuditRow {
            position: envelope.position,
            stream: envelope.stream.clone(),
            version: envelope.version,
            event_id: envelope.event_id,
            kind: envelope.kind.clone(),
            schema: envelope.schema,
            at: envelope.recorded_at,
            by: envelope.by.clone(),
            command_id: envelope.command_id,
            causation: envelope.causation,
            correlation: envelope.correlation,
            payload: envelope.payload.clone(),
        }
    }
}

/// The columns of an audit row as they are bound.
pub struct AuditValues {
    pub position: i64,
    pub stream_kind: &'static str,
    pub stream_id: String,
    pub version: i64,
    pub event_id: String,
    pub kind: String,
    pub schema: i64,
    pub at: String,
    pub at_us: i64,
    pub by: String,
    pub command_id: Option<String>,
    pub causation: Option<i64>,
    pub correlation: i64,
    pub payload: String,
}

impl AuditValues {
    pub fn of(envelope: &Envelope) -> Self {
        AuditValues {
            position: signed(envelope.position.0),
            stream_kind: envelope.stream.kind(),
            stream_id: envelope.stream.key().to_string(),
            version: signed(envelope.version.0),
            event_id: envelope.event_id.to_string(),
            kind: envelope.kind.clone(),
            schema: i64::from(envelope.schema),
            at: envelope.recorded_at.to_string(),
            at_us: envelope.recorded_at.0,
            by: envelope.by.clone(),
            command_id: envelope.command_id.map(|id| id.to_string()),
            causation: envelope.causation.map(|cause| signed(cause.0)),
            correlation: signed(envelope.correlation.0),
            payload: envelope.payload.to_string(),
        }
    }
}

#[derive(FromRow)]
pub struct StoredAuditRow {
    position: i64,
    stream_kind: String,
    stream_id: String,
    version: i64,
    event_id: String,
    kind: String,
    schema: i64,
    at_us: i64,
    by: String,
    command_id: Option<String>,
    causation: Option<i64>,
    correlation: i64,
    payload: String,
}

impl StoredAuditRow {
    pub fn row(self) -> sqlx::Result<AuditRow> {
        let what = &format!("audit row {}", self.position);
        let command = self.command_id.map(|id| uuid(what, "command id", &id).map(CommandId)).transpose()?;
        let causation = self.causation.map(|cause| number(what, "causation", cause).map(Position)).transpose()?;
        Ok(AuditRow {
            position: Position(number(what, "position", self.position)?),
            stream: stream(what, &self.stream_kind, &self.stream_id)?,
            version: Version(number(what, "version", self.version)?),
            event_id: EventId(uuid(what, "event id", &self.event_id)?),
            kind: self.kind,
            schema: number(what, "schema", self.schema)?,
            at: Timestamp(self.at_us),
            by: self.by,
            command_id: command,
            causation,
            correlation: Position(number(what, "correlation", self.correlation)?),
            payload: serde_json::from_str(&self.payload).map_err(|error| malformed(format!("{what}: {error}")))?,
        })
    }
}

fn stream(what: &str, kind: &str, id: &str) -> sqlx::Result<StreamId> {
    if id.is_empty() { parsed(what, "stream", kind) } else { parsed(what, "stream", &format!("{kind}/{id}")) }
}

/// A row of the read model of status changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    pub position: Position,
    pub stream: StreamId,
    pub at: Timestamp,
    pub old: RuntimeStatus,
    pub new: RuntimeStatus,
    pub warnings: Warnings,
}

impl StatusChange {
    /// The row that an event makes, if it is a change of a status.
    pub fn of(record: &Record, stream: &StreamId) -> Option<Self> {
        let Event::Account(account::Event::StatusChanged(change)) = &record.event else { return None };
        Some(StatusChange {
            position: record.position,
            stream: stream.clone(),
            at: record.recorded_at,
            old: change.old,
            new: change.new,
            warnings: change.warnings,
        })
    }
}

#[derive(FromRow)]
pub struct StatusChangeRow {
    position: i64,
    stream_kind: String,
    stream_id: String,
    at_us: i64,
    old_status: i64,
    new_status: i64,
    warnings: String,
}

impl StatusChangeRow {
    pub fn change(self) -> sqlx::Result<StatusChange> {
        let what = &format!("status change {}", self.position);
        let status = |column, code: i64| {
            serde_json::from_value::<RuntimeStatus>(code.into())
                .map_err(|error| malformed(format!("{what}: its {column}: {error}")))
        };
        Ok(StatusChange {
            position: Position(number(what, "position", self.position)?),
            stream: stream(what, &self.stream_kind, &self.stream_id)?,
            at: Timestamp(self.at_us),
            old: status("old status", self.old_status)?,
            new: status("new status", self.new_status)?,
            warnings: serde_json::from_str(&self.warnings).map_err(|error| malformed(format!("{what}: {error}")))?,
        })
    }
}
