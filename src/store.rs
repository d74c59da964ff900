//! The log's home: SQLite for one machine, PostgreSQL for a database that somebody runs already.
//!
//! Both keep the same tables and the same promises, which `conform` holds them to. What they say in the same words is in
//! `common`, what a row means in `rows`.

#[cfg(test)]
mod conform;
pub mod faulty;
pub mod models;
pub mod postgres;
pub mod retention;
pub mod rows;
pub mod sqlite;

pub use models::{DayRow, Model, RequestPage, RequestQuery, RequestRow, Rows, Whose};
pub use postgres::{PostgresOptions, PostgresStore};
pub use rows::{AuditRow, StatusChange};
pub use sqlite::{SqliteOptions, SqliteStore};

use crate::config::Config;
use crate::store::retention::{Due, Limits, Piece};
use async_trait::async_trait;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidehelm_actors::port::{AppendFault, CommitLog, Depot, LogFault, Saved};
use tidehelm_events::commit::{Commit, Entry, Head, Reacted};
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::{CommandId, CredentialId, Epoch, NodeId, Position, StreamId};
use tidehelm_events::time::Timestamp;

/// Number of the layout of the tables. A store with a higher one is from a later build.
pub const STORE_FORMAT: u32 = 2;
const BUILD: &str = env!("CARGO_PKG_VERSION");
/// Where a cut keeps how far it has come.
const CUT: &str = "cut";
/// Where the retention of requests keeps how far it has come.
const REQUESTS_CUT: &str = "requests_cut";

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
    #[error(
        "{what} is empty: it was cut off, or its first start did not finish; bring back a backup if there was a log in it, else \
         start the server once"
    )]
    Empty { what: String },
    #[error(
        "{} held a log, and its tidehelm.db is empty or gone: bring back a backup with `tidehelm restore`, or remove \
         tidehelm.begun there to begin a new log",
        dir.display()
    )]
    Emptied { dir: PathBuf },
    #[error("{what} holds something else than a Tidehelm store; choose another place")]
    Foreign { what: String },
    #[error("there is no store in {}; the server makes one when it starts", dir.display())]
    Missing { dir: PathBuf },
    #[error("the log is in PostgreSQL: back it up with the database's own tools, pg_dump or a base backup")]
    NoBackup,
    #[error("{} has a store already; name another directory", dir.display())]
    Taken { dir: PathBuf },
    #[error("store.url must begin with postgres:// or be empty, for SQLite in data.dir")]
    Url,
    #[error("there is no store in {what}; the server makes one when it starts")]
    Absent { what: String },
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

/// Where the log is to be kept.
#[derive(Clone)]
pub struct StoreConfig {
    pub data_dir: PathBuf,
    /// `postgres://…`, or empty for SQLite in the data directory.
    pub url: String,
    pub lease: Duration,
    pub stall_after: Duration,
}

impl From<&Config> for StoreConfig {
    fn from(config: &Config) -> Self {
        StoreConfig {
            data_dir: config.data.dir.clone(),
            url: config.store.url.as_str().into(),
            lease: config.store.lease.into(),
            stall_after: config.store.stall_after.into(),
        }
    }
}

/// The store that the server and the tools work with.
#[derive(Debug)]
pub enum Store {
    Sqlite(SqliteStore),
    Postgres(Box<PostgresStore>),
}

/// What only reads. Clones share a few connections and never wait for the writer; made on the runtime that will outlive them.
#[derive(Debug, Clone)]
pub enum Reader {
    Sqlite(sqlite::common::Reader),
    Postgres(postgres::common::Reader),
}

macro_rules! either {
    ($self:expr, $store:ident => $call:expr) => {
        match $self {
            Self::Sqlite($store) => $call,
            Self::Postgres($store) => $call,
        }
    };
}

impl Store {
    /// `now` is for the lock file and for the age of a new store.
    pub async fn open(config: &StoreConfig, mode: Mode, now: Timestamp) -> Result<Self, StoreError> {
        let stall_after = config.stall_after;
        if config.url.is_empty() {
            let options = SqliteOptions { stall_after, now, ..SqliteOptions::default() };
            return SqliteStore::open(&config.data_dir, mode, options).await.map(Store::Sqlite);
        }
        if !config.url.starts_with("postgres://") && !config.url.starts_with("postgresql://") {
            return Err(StoreError::Url);
        }
        let options = PostgresOptions { lease: config.lease, stall_after, now, ..PostgresOptions::default() };
        PostgresStore::open(&config.url, mode, options).await.map(|store| Store::Postgres(Box::new(store)))
    }

    pub fn reader(&self) -> Reader {
        match self {
            Store::Sqlite(store) => Reader::Sqlite(store.reader()),
            Store::Postgres(store) => Reader::Postgres(store.reader()),
        }
    }

    /// Another handle with a connection of its own, for work that should not wait in the queue of the log's writer.
    pub fn twin(&self) -> Self {
        match self {
            Store::Sqlite(store) => Store::Sqlite(store.twin()),
            Store::Postgres(store) => Store::Postgres(Box::new(store.twin())),
        }
    }

    /// `sqlite` or `postgres`: a word for metrics and messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Store::Sqlite(_) => "sqlite",
            Store::Postgres(_) => "postgres",
        }
    }

    pub async fn close(self) -> Result<(), LogFault> {
        either!(self, store => store.close().await)
    }

    /// Saves the fold that replaces what a cut removes. One that is there stays.
    pub async fn save_base(&mut self, saved: &Saved) -> Result<(), LogFault> {
        either!(self, store => store.save_base(saved).await)
    }

    pub async fn put_secret(&mut self, id: CredentialId, secret: &Secret) -> Result<(), LogFault> {
        either!(self, store => store.put_secret(id, secret).await)
    }

    /// False if there was none.
    pub async fn delete_secret(&mut self, id: CredentialId) -> Result<bool, LogFault> {
        either!(self, store => store.delete_secret(id).await)
    }

    /// Adds to a read model and moves its checkpoint, both or neither.
    pub async fn project(&mut self, rows: Rows<'_>, from: Position, to: Position) -> Result<(), LogFault> {
        either!(self, store => store.project(rows, from, to).await)
    }

    /// Forgets what a read model says of everything after a position, so that it is built again from there. Of sums that
    /// cannot be told apart: everything; see [`Store::begin_days`].
    pub async fn clear(&mut self, model: Model, through: Position) -> Result<(), LogFault> {
        either!(self, store => store.clear(model, through).await)
    }

    /// Begins the sums of days anew: these are what is known up to a position. Days before the first of them stay.
    pub async fn begin_days(&mut self, known: &[DayRow], at: Position) -> Result<(), LogFault> {
        either!(self, store => store.begin_days(known, at).await)
    }

    /// Removes a piece of the requests up to a position, oldest first, and says how many; 0 once there are none.
    pub async fn forget_requests(&mut self, through: Position) -> Result<u64, LogFault> {
        either!(self, store => store.forget_requests(through).await)
    }

    /// Removes the sums of the days before one.
    pub async fn forget_days(&mut self, before: &str) -> Result<u64, LogFault> {
        either!(self, store => store.forget_days(before).await)
    }

    /// Cuts a piece of what lies before `through`, in one transaction, and says how far it came; none once all is cut. A base
    /// at `through` must be saved, and its hash be in the log.
    pub async fn cut_piece(&mut self, through: Position) -> Result<Option<Piece>, LogFault> {
        either!(self, store => store.cut_piece(through).await)
    }

    /// Gives room that a cut freed back to the file system, a piece at a time, as long as more than `keep` bytes are free.
    /// False once there is no more to give.
    pub async fn shrink(&mut self, keep: u64) -> Result<bool, LogFault> {
        match self {
            Store::Sqlite(store) => store.shrink(keep).await,
            Store::Postgres(_) => Ok(false),
        }
    }

    /// Takes over entries of another log as they are, where this one ends: for moving to another store.
    pub async fn adopt(&mut self, entries: &[Entry], audit: &[Envelope], expected: &Head) -> Result<(), LogFault> {
        either!(self, store => store.adopt(entries, audit, expected).await)
    }

    /// Copies the whole store, as it is at one moment, into a directory that has none, and makes the copy durable.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        match self {
            Store::Sqlite(store) => store.backup(to).await,
            Store::Postgres(_) => Err(StoreError::NoBackup),
        }
    }

    pub async fn sizes(&self) -> Result<Sizes, LogFault> {
        either!(self, store => store.sizes().await)
    }
}

#[async_trait]
impl CommitLog for Store {
    async fn take_over(&mut self, node: NodeId) -> Result<Head, LogFault> {
        either!(self, store => store.take_over(node).await)
    }
    async fn append(&mut self, commit: &Commit, audit: &[Envelope], expected: &Head) -> Result<(), AppendFault> {
        either!(self, store => store.append(commit, audit, expected).await)
    }
    async fn read(&mut self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        either!(self, store => store.read(after, limit).await)
    }
    async fn head(&mut self) -> Result<Head, LogFault> {
        either!(self, store => store.head().await)
    }
    async fn renew(&mut self, node: NodeId, epoch: Epoch) -> Result<(), AppendFault> {
        either!(self, store => store.renew(node, epoch).await)
    }
    async fn release(&mut self, node: NodeId, epoch: Epoch) -> Result<(), LogFault> {
        either!(self, store => store.release(node, epoch).await)
    }
}

#[async_trait]
impl Depot for Store {
    async fn save(&mut self, saved: &Saved) -> Result<(), LogFault> {
        either!(self, store => store.save(saved).await)
    }
    async fn newest(&mut self, at_or_before: Position, schema: u16) -> Result<Option<Saved>, LogFault> {
        either!(self, store => store.newest(at_or_before, schema).await)
    }
    async fn discard(&mut self, position: Position) -> Result<(), LogFault> {
        either!(self, store => store.discard(position).await)
    }
    async fn list(&mut self) -> Result<Vec<(Position, Timestamp)>, LogFault> {
        either!(self, store => store.list().await)
    }
    async fn base(&mut self) -> Result<Option<Saved>, LogFault> {
        either!(self, store => store.base().await)
    }
}

impl Reader {
    /// Entries after a position, in order, at most `limit`. Fewer than asked for is not the end: none is.
    pub async fn read(&self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        either!(self, reader => reader.read(after, limit).await)
    }
    /// Entries that begin after a position, wherever the ones before them say that they end: for checking them.
    pub async fn beginning_after(&self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        either!(self, reader => reader.beginning_after(after, limit).await)
    }
    /// Where the next entry begins, whether it can be read or not.
    pub async fn next_beginning(&self, after: Position) -> Result<Option<Position>, LogFault> {
        either!(self, reader => reader.next_beginning(after).await)
    }
    pub async fn head(&self) -> Result<Head, LogFault> {
        either!(self, reader => reader.head().await)
    }
    /// Commits without what they hold.
    pub async fn extents(&self, after: Position, limit: usize) -> Result<Vec<Extent>, LogFault> {
        either!(self, reader => reader.extents(after, limit).await)
    }
    /// The last commit at or before a time.
    pub async fn commit_at(&self, time: Timestamp) -> Result<Option<Extent>, LogFault> {
        either!(self, reader => reader.commit_at(time).await)
    }
    /// What retention should cut now, if anything.
    pub async fn due(&self, now: Timestamp, limits: Limits) -> Result<Option<Due>, LogFault> {
        either!(self, reader => reader.due(now, limits).await)
    }
    /// How far telemetry is cut.
    pub async fn cut_through(&self) -> Result<Position, LogFault> {
        either!(self, reader => reader.cut_through().await)
    }
    pub async fn newest(&self, at_or_before: Position, schema: u16) -> Result<Option<Saved>, LogFault> {
        either!(self, reader => reader.newest(at_or_before, schema).await)
    }
    pub async fn list(&self) -> Result<Vec<(Position, Timestamp)>, LogFault> {
        either!(self, reader => reader.list().await)
    }
    pub async fn base(&self) -> Result<Option<Saved>, LogFault> {
        either!(self, reader => reader.base().await)
    }
    pub async fn secret(&self, id: CredentialId) -> Result<Option<Secret>, LogFault> {
        either!(self, reader => reader.secret(id).await)
    }
    /// The whole vault, for moving to another store.
    pub async fn secrets(&self) -> Result<Vec<(CredentialId, Secret)>, LogFault> {
        either!(self, reader => reader.secrets().await)
    }
    pub async fn audit(&self, wanted: &AuditQuery) -> Result<Vec<AuditRow>, LogFault> {
        either!(self, reader => reader.audit(wanted).await)
    }
    /// How far a read model has come; none before its first row.
    pub async fn checkpoint(&self, model: Model) -> Result<Option<Checkpoint>, LogFault> {
        either!(self, reader => reader.checkpoint(model.name()).await)
    }
    /// Requests that were asked for, in the order that was asked for.
    pub async fn requests(&self, wanted: &RequestQuery) -> Result<RequestPage, LogFault> {
        either!(self, reader => reader.requests(wanted).await)
    }
    /// The last request before a time, or before the last so many.
    pub async fn requests_before(&self, time: Timestamp) -> Result<Option<Position>, LogFault> {
        either!(self, reader => reader.requests_before(time).await)
    }
    /// The newest request that is not among the last so many.
    pub async fn requests_beyond(&self, count: u64) -> Result<Option<Position>, LogFault> {
        either!(self, reader => reader.requests_beyond(count).await)
    }
    /// Up to where requests were removed.
    pub async fn requests_cut_through(&self) -> Result<Position, LogFault> {
        let cut = either!(self, reader => reader.checkpoint(REQUESTS_CUT).await)?;
        Ok(cut.map_or(Position(0), |known| known.position))
    }
    /// Sums of the days from one to another, both included, in their order.
    pub async fn request_days(&self, first: &str, last: &str) -> Result<Vec<DayRow>, LogFault> {
        either!(self, reader => reader.request_days(first, last).await)
    }
    pub async fn status_changes(
        &self,
        stream: Option<&StreamId>,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StatusChange>, LogFault> {
        either!(self, reader => reader.status_changes(stream, after, limit).await)
    }
}

/// How much room the store takes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Everything that the store keeps.
    pub total: u64,
    /// Of it, room that is free for what comes.
    pub free: u64,
    /// The write-ahead log beside the file; PostgreSQL's is not ours.
    pub wal: u64,
    /// Telemetry that is not cut yet.
    pub telemetry: u64,
}

/// Where a commit lies, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub first: Position,
    pub last: Position,
    pub committed_at: Timestamp,
    pub kept_bytes: u64,
    /// 0 once it is cut.
    pub telemetry_bytes: u64,
    /// Bytes of telemetry ever written, with this commit's.
    pub telemetry_through: u64,
    pub reacted: Reacted,
}

impl Extent {
    /// Nothing is owed at its end, so that a fold up to there is all that a restart needs.
    pub fn is_drained(&self) -> bool {
        self.reacted == Reacted::all_through(self.last)
    }
}

/// What one read may hold in memory: a commit of many events is a few megabytes.
#[derive(Debug)]
struct ReadCap {
    left: u64,
    first: bool,
}

impl ReadCap {
    const ENTRIES: usize = 1000;
    const BYTES: u64 = 64 << 20;

    fn of(bytes: u64) -> Self {
        ReadCap { left: bytes, first: true }
    }

    /// The first always fits.
    fn takes(&mut self, bytes: u64) -> bool {
        let fits = self.first || bytes <= self.left;
        self.first = false;
        self.left = self.left.saturating_sub(bytes);
        fits
    }
}

/// A hash of a password, token, invite or code, or a sealed key.
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

/// A read brings megabytes, so it may take longer than a commit; but a driver that fails may never say so.
fn read_patience(stall_after: Duration) -> Duration {
    stall_after * 6
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
