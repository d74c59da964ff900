//! The log's home: SQLite for one machine, PostgreSQL for a database that somebody runs already.
//!
//! Both keep the same tables and the same promises, which `conform` holds them to. What they say in the same words is in
//! `common`, what a row means in `rows`.

#[cfg(test)]
mod conform;
pub mod rows;
pub mod sqlite;

pub use SqliteStore as Store;
pub use rows::{AuditRow, StatusChange};
pub use sqlite::{SqliteOptions, SqliteStore};

use std::io;
use std::path::PathBuf;
use tidehelm_actors::port::{AppendFault, LogFault};
use tidehelm_events::commit::{Commit, Head, Reacted};
use tidehelm_events::id::{CommandId, Position, StreamId};
use tidehelm_events::time::Timestamp;

/// Number of the layout of the tables. A store with a higher one is from a later build.
pub const STORE_FORMAT: u32 = 1;
const BUILD: &str = env!("CARGO_PKG_VERSION");
const STATUS_CHANGES: &str = "status_changes";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Write,
    /// Beside a running server, without its lock.
    ReadOnly,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} is in use by {holder}; stop it, or use --url", dir.display())]
    InUse { dir: PathBuf, holder: sqlite::Holder },
    #[error("{what} was written by a later build (format {found}, this build reads up to {ours}); use that build")]
    Future { what: String, found: u32, ours: u32 },
    #[error(
        "{what} was written by an earlier build (format {found}, now {ours}); start the server once, which brings it up to date"
    )]
    Past { what: String, found: u32, ours: u32 },
    #[error("{what} holds something else than a Tidehelm store; choose another place")]
    Foreign { what: String },
    #[error("there is no store in {}; the server makes one when it starts", dir.display())]
    Missing { dir: PathBuf },
    #[error("cannot {doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{doing}: {why}")]
    Database { doing: String, why: String },
}

impl StoreError {
    fn database(doing: impl Into<String>, why: impl Into<String>) -> Self {
        StoreError::Database { doing: doing.into(), why: why.into() }
    }
}

/// Where a commit lies, and how much of it a cut would free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub first: Position,
    pub last: Position,
    pub committed_at: Timestamp,
    pub bytes: u64,
    pub telemetry_bytes: u64,
    pub reacted: Reacted,
}

impl Extent {
    fn from_row(row: (i64, i64, i64, i64, i64, i64, i64)) -> Self {
        let (first, last, committed_at, bytes, telemetry_bytes, cause, index) = row;
        Extent {
            first: Position(first.unsigned_abs()),
            last: Position(last.unsigned_abs()),
            committed_at: Timestamp(committed_at),
            bytes: bytes.unsigned_abs(),
            telemetry_bytes: telemetry_bytes.unsigned_abs(),
            reacted: Reacted { cause: Position(cause.unsigned_abs()), index: index as u32 },
        }
    }
}

/// What one read may hold in memory: a commit of many events is a few megabytes.
#[derive(Debug, Default)]
struct ReadCap {
    bytes: u64,
}

impl ReadCap {
    const ENTRIES: usize = 1000;
    const BYTES: u64 = 64 << 20;

    /// The first always fits.
    fn takes(&mut self, bytes: u64) -> bool {
        let fits = self.bytes == 0 || self.bytes + bytes <= Self::BYTES;
        self.bytes += bytes;
        fits
    }
}

/// A hash of a password, token or invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub kind: String,
    pub bytes: Vec<u8>,
    pub created_at: Timestamp,
}

/// How far a read model has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    pub position: Position,
    pub schema: u16,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

/// Which audit rows are wanted: each field that is given narrows.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    pub after: Position,
    pub before: Option<Position>,
    pub stream: Option<StreamId>,
    pub kind: Option<String>,
    pub by: Option<String>,
    pub command: Option<CommandId>,
    pub correlation: Option<Position>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub order: Order,
    pub limit: usize,
}

fn fault(doing: impl Into<String>, error: &sqlx::Error) -> LogFault {
    LogFault::new(doing, error)
}

/// Why a commit does not fit onto the log's end.
fn refusal(new: &Commit, expected: &Head, found: Head) -> AppendFault {
    if new.header.epoch != found.epoch {
        return AppendFault::Fenced { ours: new.header.epoch, found: found.epoch };
    }
    AppendFault::Conflict { expected: *expected, found }
}

/// A commit that does not follow what its writer expects would make a hole: it is not even tried.
fn check_follows(new: &Commit, expected: &Head) -> Result<(), AppendFault> {
    if new.header.first == expected.position.next() && new.header.prev_hash == expected.hash {
        return Ok(());
    }
    let (first, position) = (new.header.first, expected.position);
    Err(AppendFault::Unavailable(format!(
        "a commit that starts at position {first} does not follow position {position}"
    )))
}

/// The head must be where the entries end: else one of them is from another backup than the other.
fn check_end(doing: &str, head: &Head, last: &Head) -> Result<(), LogFault> {
    if (head.position, head.hash) == (last.position, last.hash) {
        return Ok(());
    }
    let why = format!(
        "its head says that it ends at position {}, but its last commit ends at {}",
        head.position, last.position
    );
    Err(LogFault::new(doing, why))
}
