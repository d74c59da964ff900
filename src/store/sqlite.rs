//! The log in one file, for one machine: no set-up, one writer, readers beside it.

mod files;

#[allow(clippy::duplicate_mod)] // what both databases say in the same words is compiled once for each
#[path = "common.rs"]
pub mod common;

use self::common::Reader;
pub use self::files::Holder;
use self::files::Lock;
use crate::store::rows::{self, AuditValues};
use crate::store::{Mode, STORE_FORMAT, Sizes, StoreError, check_end, check_follows, read_patience, refusal};
use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Sqlite};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tidehelm_actors::port::{AppendFault, CommitLog, LogFault};
use tidehelm_events::commit::{Commit, Entry, Head};
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::{Epoch, NodeId, Position};
use tidehelm_events::time::Timestamp;
use tokio::time::timeout;

type Connection = SqliteConnection;
type Database = Sqlite;
type Adapter = SqliteStore;
/// Begins a transaction that sees one state of the database.
const SNAPSHOT: &str = "BEGIN";

pub const FILE: &str = "tidehelm.db";
/// Says that this directory holds a log: an empty file beside it is one that was cut off, not a new one.
const BEGUN: &str = "tidehelm.begun";
const MIGRATIONS: &[&str] =
    &[include_str!("../../migrations/sqlite/0001_log.sql"), include_str!("../../migrations/sqlite/0002_requests.sql")];
/// `TIDE`, so that `file` and other tools know what this is.
const APPLICATION_ID: i64 = 0x5449_4445;

#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// How long a commit may take before the store counts as stalled.
    pub stall_after: Duration,
    /// False leaves syncing to chance: only for the tests that must see this fail.
    pub durable: bool,
    /// The file grows no further than this many pages of 4 KiB.
    pub pages_max: Option<u32>,
    /// For the lock file and for the age of a new store.
    pub now: Timestamp,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        SqliteOptions { stall_after: Duration::from_secs(5), durable: true, pages_max: None, now: Timestamp::ZERO }
    }
}

#[derive(Debug)]
pub struct SqliteStore {
    dir: PathBuf,
    options: SqliteOptions,
    /// None after a failure that leaves the connection in an unknown state: the next one who needs it opens another.
    writer: Option<SqliteConnection>,
    reader: Reader,
    /// None where the store is only read.
    lock: Option<Arc<Lock>>,
    /// A commit may still be under way on a connection that was given up.
    unsettled: bool,
}

impl SqliteStore {
    pub async fn open(dir: &Path, mode: Mode, options: SqliteOptions) -> Result<Self, StoreError> {
        let lock = match mode {
            Mode::Write => {
                files::durable_dir(dir)?;
                Some(Arc::new(Lock::take(dir, options.now)?))
            }
            Mode::ReadOnly => {
                files::must_exist(dir)?;
                None
            }
        };
        let opening = async {
            let writer = match mode {
                Mode::Write => Some(prepare(dir, &options).await?),
                Mode::ReadOnly => None,
            };
            Ok((writer, read_beside(dir, &options).await?))
        };
        let late = || StoreError::database(format!("cannot open {}", dir.join(FILE).display()), "it did not answer");
        let (writer, reader) = timeout(open_patience(&options), opening).await.map_err(|_| late())??;
        Ok(SqliteStore { dir: dir.to_path_buf(), options, writer, reader, lock, unsettled: mode == Mode::Write })
    }

    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Another handle on the same store, with a connection and under the lock of this one: for work that should not wait in
    /// the queue of the log's writer. The epoch still says which of them may append.
    pub fn twin(&self) -> Self {
        SqliteStore {
            dir: self.dir.clone(),
            options: self.options.clone(),
            writer: None,
            reader: self.reader.clone(),
            lock: self.lock.clone(),
            unsettled: false,
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub async fn sizes(&self) -> Result<Sizes, LogFault> {
        let sql = "SELECT page_size * page_count, page_size * freelist_count \
                   FROM pragma_page_size, pragma_page_count, pragma_freelist_count";
        let doing = "cannot measure the store";
        let (total, free): (i64, i64) =
            self.reader.ask(doing, async |connection| sqlx::query_as(sql).fetch_one(connection).await).await?;
        let wal = files::wal(&self.dir.join(FILE));
        let telemetry = self.reader.telemetry().await?;
        Ok(Sizes { total: total.unsigned_abs(), free: free.unsigned_abs(), wal, telemetry })
    }

    /// Gives free pages back to the file system, a few thousand at a time, as long as more than `keep` bytes are free.
    pub async fn shrink(&mut self, keep: u64) -> Result<bool, LogFault> {
        if self.sizes().await?.free <= keep {
            return Ok(false);
        }
        let doing = "cannot give room back to the file system";
        let sql = "PRAGMA incremental_vacuum(2000)";
        self.transact(doing, async |connection| sqlx::query(sql).execute(connection).await.map(drop)).await?;
        Ok(self.sizes().await?.free > keep)
    }

    /// Copies the store as it is at one moment; readers and the writer go on meanwhile.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        files::durable_dir(to)?;
        let path = to.join(FILE);
        if path.exists() {
            return Err(StoreError::Taken { dir: to.to_path_buf() });
        }
        let doing = || format!("cannot copy the store to {}", path.display());
        let Some(target) = path.to_str() else {
            return Err(StoreError::database(doing(), "the path is not valid UTF-8"));
        };
        files::claim(&path)?;
        // A connection of its own and no deadline: this takes as long as the store is large.
        let copied = async {
            let mut connection = self.reader.pool.connect_options().connect().await?;
            sqlx::query("VACUUM INTO $1").bind(target).execute(&mut connection).await?;
            connection.close().await
        };
        if let Err(error) = copied.await {
            files::remove(&path)?;
            return Err(StoreError::database(doing(), describe(&error)));
        }
        files::sync(&path)?;
        files::sync(to)
    }

    /// Closes every connection, the last of which folds the write-ahead log into the file, and then gives up the lock.
    /// Handles that share them are of no use afterwards.
    pub async fn close(mut self) -> Result<(), LogFault> {
        let doing = "cannot close the store";
        let closing = async {
            self.reader.pool.close().await;
            match self.writer.take() {
                Some(writer) => writer.close().await,
                None => Ok(()),
            }
        };
        match timeout(open_patience(&self.options), closing).await {
            Ok(closed) => closed.map_err(|error| LogFault::new(doing, describe(&error))),
            Err(_) => Err(LogFault::new(doing, "it did not answer")),
        }
    }

    /// One transaction: all of the work or nothing.
    async fn transact<T>(
        &mut self,
        doing: &str,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>,
    ) -> Result<T, LogFault> {
        let mut connection = self.take_writer().await.map_err(|error| LogFault::new(doing, error))?;
        let outcome = async {
            begin(&mut connection).await?;
            let done = work(&mut connection).await?;
            commit(&mut connection).await?;
            Ok(done)
        };
        match timeout(read_patience(self.options.stall_after), outcome).await {
            Ok(Ok(done)) => {
                self.writer = Some(connection);
                Ok(done)
            }
            Ok(Err(error)) => {
                self.give_back(connection).await;
                Err(LogFault::new(doing, describe(&error)))
            }
            Err(_) => Err(LogFault::new(doing, self.stalled())),
        }
    }

    /// Takes the connection away: whoever cannot say how his work ended does not put it back, and with it goes the
    /// transaction.
    async fn take_writer(&mut self) -> Result<SqliteConnection, String> {
        if self.lock.is_none() {
            return Err("this store was opened for reading only".into());
        }
        match self.writer.take() {
            Some(connection) => Ok(connection),
            None => match timeout(self.options.stall_after, connect_ready(&self.dir, &self.options)).await {
                Ok(connected) => connected.map_err(|error| describe(&error)),
                Err(_) => Err(self.stalled()),
            },
        }
    }

    /// Keeps the connection if nothing is left open on it; says whether there was a transaction that had to be undone.
    async fn give_back(&mut self, mut connection: SqliteConnection) -> Option<bool> {
        let undone = timeout(self.options.stall_after, roll_back(&mut connection)).await.ok()?.ok()?;
        self.writer = Some(connection);
        Some(undone)
    }

    /// Why the head was not moved.
    async fn refusal(&self, new: &Commit, expected: &Head) -> AppendFault {
        match self.reader.head().await {
            Ok(found) => refusal(new, expected, found),
            Err(error) => AppendFault::Unavailable(error.to_string()),
        }
    }

    fn stalled(&self) -> String {
        format!("the store did not answer within {:?}", self.options.stall_after)
    }

    /// Waits until no commit of an earlier connection can be under way, and makes what it left visible durable: after a
    /// failed sync only writing again does.
    async fn settle(&mut self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        if self.unsettled {
            begin(connection).await?;
            commit(connection).await?;
            let sql = "PRAGMA wal_checkpoint(FULL)";
            let (busy, _, _): (i64, i64, i64) = sqlx::query_as(sql).fetch_one(connection).await?;
            if busy != 0 {
                return Err(sqlx::Error::Protocol("a reader still looks at an older state of the database".into()));
            }
            self.unsettled = false;
        }
        Ok(())
    }

    async fn settled(&mut self, doing: &str) -> Result<(), LogFault> {
        let mut connection = self.take_writer().await.map_err(|error| LogFault::new(doing, error))?;
        let patience = read_patience(self.options.stall_after);
        match timeout(patience, self.settle(&mut connection)).await {
            Ok(Ok(())) => {
                self.writer = Some(connection);
                Ok(())
            }
            Ok(Err(error)) => Err(LogFault::new(doing, describe(&error))),
            Err(_) => Err(LogFault::new(doing, self.stalled())),
        }
    }
}

#[async_trait]
impl CommitLog for SqliteStore {
    async fn take_over(&mut self, node: NodeId) -> Result<Head, LogFault> {
        let doing = "cannot become the writer of the log";
        self.settled(doing).await?;
        let (head, last) = self
            .transact(doing, async |connection| {
                let head = common::next_epoch(connection, node).await?;
                Ok((head, common::last_entry(connection).await?.unwrap_or_default()))
            })
            .await?;
        check_end(doing, &head, &last)?;
        if let Some(Err(error)) = self.lock.as_ref().map(|lock| lock.name(node)) {
            tracing::warn!(%error, "the lock file does not name this server; the lock itself holds");
        }
        Ok(head)
    }

    async fn append(&mut self, new: &Commit, audit: &[Envelope], expected: &Head) -> Result<(), AppendFault> {
        check_follows(new, expected)?;
        let mut connection = self.take_writer().await.map_err(AppendFault::Unavailable)?;
        self.unsettled = true;
        let error = match timeout(self.options.stall_after, write(&mut connection, new, audit, expected)).await {
            Ok(Ok(moved)) => {
                self.unsettled = false;
                self.writer = Some(connection);
                return if moved { Ok(()) } else { Err(self.refusal(new, expected).await) };
            }
            Ok(Err(error)) => error,
            Err(_) => return Err(AppendFault::InDoubt(self.stalled())),
        };
        let was_open = self.give_back(connection).await;
        if was_open == Some(true) || is_never_of_a_commit(&error) {
            self.unsettled = false;
            return Err(AppendFault::Unavailable(describe(&error)));
        }
        self.writer = None;
        Err(AppendFault::InDoubt(describe(&error)))
    }

    async fn read(&mut self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        self.reader.read(after, limit).await
    }

    /// After a doubt this waits for the write lock, which a commit that is under way still holds.
    async fn head(&mut self) -> Result<Head, LogFault> {
        if self.unsettled && self.lock.is_some() {
            self.settled("cannot find out how a commit ended").await?;
        }
        self.reader.head().await
    }

    /// The lock on the directory is the lease: this only tells whether the epoch is still ours.
    async fn renew(&mut self, _: NodeId, epoch: Epoch) -> Result<(), AppendFault> {
        let head = self.reader.head().await.map_err(|error| AppendFault::Unavailable(error.to_string()))?;
        if head.epoch == epoch { Ok(()) } else { Err(AppendFault::Fenced { ours: epoch, found: head.epoch }) }
    }

    /// The lock is given up with the process. What can be done before is to fold the write-ahead log into the file, so that
    /// the file alone is the whole log; where a reader is in the way it stays beside it, and nothing is lost.
    async fn release(&mut self, _: NodeId, _: Epoch) -> Result<(), LogFault> {
        let doing = "cannot fold the write-ahead log into the file";
        let mut connection = self.take_writer().await.map_err(|error| LogFault::new(doing, error))?;
        let folding = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection);
        match timeout(self.options.stall_after, folding).await {
            Ok(Ok(_)) => {
                self.writer = Some(connection);
                Ok(())
            }
            Ok(Err(error)) => Err(LogFault::new(doing, error)),
            Err(_) => Err(LogFault::new(doing, "it takes too long")),
        }
    }
}

/// Where a commit with its audit rows is put in one statement: each statement's end wakes whoever waits for the connection's
/// thread. What a commit comes to is done by a trigger, which refuses where the head is not where the writer thinks. Both are
/// the connection's own: the file knows nothing of them (docs/adr/0027).
static ARRIVALS: LazyLock<String> = LazyLock::new(|| {
    let fields: Vec<String> = (1..=19).map(|field| format!("NULL AS v{field}")).collect();
    let values: Vec<String> = (1..=16).map(|field| format!("new.v{field}")).collect();
    let (fields, values, audit) = (fields.join(", "), values.join(", "), audit_sql("new.v19"));
    format!(
        "CREATE TEMP VIEW arrivals AS SELECT {fields}; \
         CREATE TEMP TRIGGER arrive INSTEAD OF INSERT ON arrivals BEGIN \
         SELECT raise(ABORT, '{HEAD_MOVED}') WHERE NOT EXISTS \
         (SELECT 1 FROM main.head WHERE id = 1 AND position = new.v17 AND hash = new.v18 AND epoch = new.v6); \
         INSERT INTO commits (first_position, last_position, committed_at, format, node, epoch, reacted_cause, \
         reacted_index, kept_count, telemetry_count, kept_hash, telemetry_hash, prev_hash, hash, kept, telemetry, \
         telemetry_through) SELECT {values}, telemetry_bytes + coalesce(length(new.v16), 0) FROM main.head; \
         {audit}; \
         UPDATE head SET position = new.v2, hash = new.v14, committed_at = new.v3, node = new.v5, \
         telemetry_bytes = telemetry_bytes + coalesce(length(new.v16), 0); \
         END"
    )
});
static ARRIVE: LazyLock<String> = LazyLock::new(|| {
    let values: Vec<String> = (1..=19).map(|field| format!("${field}")).collect();
    format!("INSERT INTO arrivals VALUES ({})", values.join(", "))
});
/// What the trigger says where somebody else wrote.
const HEAD_MOVED: &str = "the head is not where the writer thinks";
static INSERT_AUDIT: LazyLock<String> = LazyLock::new(|| audit_sql("$1"));

/// Inserts audit rows from a JSON array of arrays: one text and one value for any number of rows.
fn audit_sql(rows: &str) -> String {
    let values: Vec<String> = (0..14).map(|column| format!("fresh.value ->> {column}")).collect();
    format!(
        "INSERT INTO audit_events (position, stream_kind, stream_id, version, event_id, kind, schema, at, at_us, by, \
         command_id, causation, correlation, payload) SELECT {} FROM json_each({rows}) AS fresh",
        values.join(", ")
    )
}

/// The values of audit rows, in the order of the columns. The payload is text in it, so that SQLite does not touch it.
fn audit_json(audit: &[Envelope]) -> String {
    let rows = audit.iter().map(AuditValues::of).map(|row| {
        serde_json::json!([
            row.position,
            row.stream_kind,
            row.stream_id,
            row.version,
            row.event_id,
            row.kind,
            row.schema,
            row.at,
            row.at_us,
            row.by,
            row.command_id,
            row.causation,
            row.correlation,
            row.payload,
        ])
    });
    serde_json::Value::Array(rows.collect()).to_string()
}

/// Writes the commit with its audit rows if the head is where the writer thinks, and says whether it was: one statement, which
/// is a transaction of its own.
async fn write(
    connection: &mut SqliteConnection,
    new: &Commit,
    audit: &[Envelope],
    expected: &Head,
) -> sqlx::Result<bool> {
    let sql: &'static str = &ARRIVE;
    let query = common::bind_commit(sqlx::query(sql), new);
    let query = query.bind(rows::signed(expected.position.0)).bind(&expected.hash.0[..]).bind(audit_json(audit));
    match query.execute(connection).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.message() == HEAD_MOVED => Ok(false),
        Err(error) => Err(error),
    }
}

/// Columns out of the objects of a JSON array that is bound to `$1`.
fn from_json(_: &str, columns: &[&str]) -> String {
    let values: Vec<String> = columns.iter().map(|column| format!("fresh.value ->> '{column}'")).collect();
    format!("{} FROM json_each($1) AS fresh", values.join(", "))
}

async fn insert_audit(connection: &mut SqliteConnection, audit: &[Envelope]) -> sqlx::Result<()> {
    let sql: &'static str = &INSERT_AUDIT;
    sqlx::query(sql).bind(audit_json(audit)).execute(connection).await.map(drop)
}

/// Long enough for a large write-ahead log, which is read through at the start and folded into the file at the end.
fn open_patience(options: &SqliteOptions) -> Duration {
    options.stall_after * 24
}

/// A connection that writes, with the store in its file: made, brought up to this build's format, or refused.
async fn prepare(dir: &Path, options: &SqliteOptions) -> Result<SqliteConnection, StoreError> {
    let (path, begun) = (dir.join(FILE), dir.join(BEGUN));
    if begun.exists() && files::is_empty(&path) {
        return Err(StoreError::Emptied { dir: dir.to_path_buf() });
    }
    files::claim(&path)?;
    let fail = |error: sqlx::Error| StoreError::database(format!("cannot open {}", path.display()), describe(&error));
    check_ours(&path).await?;
    let mut connection = connect(dir, options).await.map_err(fail)?;
    let found = format(&mut connection, &path).await?;
    if found < STORE_FORMAT {
        migrate(&mut connection, found, options.now).await.map_err(fail)?;
        files::sync(&path)?;
        files::sync(dir)?;
    }
    if !begun.exists() {
        files::claim(&begun)?;
        files::sync(dir)?;
    }
    get_ready(&mut connection).await.map_err(fail)?;
    Ok(connection)
}

/// Looks into a file before a connection that writes says in its header how it wants it: somebody else's is left as it is.
/// What cannot be looked into is told by the connection that follows.
async fn check_ours(path: &Path) -> Result<(), StoreError> {
    let connect = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let Ok(mut connection) = connect.connect().await else { return Ok(()) };
    match format(&mut connection, path).await {
        Err(refused @ (StoreError::Foreign { .. } | StoreError::Future { .. })) => Err(refused),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn connect(dir: &Path, options: &SqliteOptions) -> sqlx::Result<SqliteConnection> {
    let synchronous = if options.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Off };
    let mut connect = SqliteConnectOptions::new()
        .filename(dir.join(FILE))
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .pragma("wal_autocheckpoint", "10000")
        .pragma("journal_size_limit", "67108864")
        .busy_timeout(options.stall_after.mul_f64(0.8))
        .disable_statement_logging();
    if let Some(pages) = options.pages_max {
        connect = connect.pragma("max_page_count", pages.to_string());
    }
    connect.connect().await
}

/// A connection that may append: it knows how a commit arrives, which needs the tables to be there.
async fn connect_ready(dir: &Path, options: &SqliteOptions) -> sqlx::Result<SqliteConnection> {
    let mut connection = connect(dir, options).await?;
    get_ready(&mut connection).await?;
    Ok(connection)
}

async fn get_ready(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let sql: &'static str = &ARRIVALS;
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}

/// Connections that cannot write. Where the directory cannot be written either and no server runs, the file is taken as it
/// lies: SQLite would want to make its shared memory beside it.
async fn read_beside(dir: &Path, options: &SqliteOptions) -> Result<Reader, StoreError> {
    let path = dir.join(FILE);
    let fail = |error: sqlx::Error| StoreError::database(format!("cannot read {}", path.display()), describe(&error));
    let connect = SqliteConnectOptions::new()
        .filename(&path)
        .read_only(true)
        .busy_timeout(options.stall_after.mul_f64(0.8))
        .disable_statement_logging();
    let mut probe = connect.connect().await;
    let mut settled = connect.clone();
    if probe.as_ref().is_err_and(cannot_open) && files::is_at_rest(&path) {
        settled = connect.immutable(true);
        probe = settled.connect().await;
    }
    let mut probe = probe.map_err(fail)?;
    let found = match format(&mut probe, &path).await {
        Err(StoreError::Database { .. }) if files::is_at_rest(&path) => {
            settled = settled.immutable(true);
            probe = settled.connect().await.map_err(fail)?;
            format(&mut probe, &path).await?
        }
        found => found?,
    };
    if found == 0 {
        return Err(StoreError::Empty { what: path.display().to_string() });
    }
    if found < STORE_FORMAT {
        return Err(StoreError::Past { what: path.display().to_string(), found, ours: STORE_FORMAT });
    }
    probe.close().await.map_err(fail)?;
    let pool = SqlitePoolOptions::new().max_connections(4).acquire_timeout(options.stall_after);
    Ok(Reader { pool: pool.connect_lazy_with(settled), patience: read_patience(options.stall_after) })
}

fn cannot_open(error: &sqlx::Error) -> bool {
    const CANTOPEN: i32 = 14;
    code(error).is_some_and(|code| code & 0xff == CANTOPEN)
}

/// The format of the store in the file, 0 where it is empty. What is not a store of ours, or of a later build, is refused by
/// name.
async fn format(connection: &mut SqliteConnection, path: &Path) -> Result<u32, StoreError> {
    let fail = |error: sqlx::Error| StoreError::database(format!("cannot read {}", path.display()), describe(&error));
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *connection).await.map_err(fail)?;
    if tables == 0 {
        return Ok(0);
    }
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'head', 'commits')";
    let ours: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await.map_err(fail)?;
    if ours != 3 {
        return Err(StoreError::Foreign { what: path.display().to_string() });
    }
    let found = common::format(connection).await.map_err(fail)?;
    if found > STORE_FORMAT {
        return Err(StoreError::Future { what: path.display().to_string(), found, ours: STORE_FORMAT });
    }
    Ok(found)
}

/// Brings the store from a format to this build's, in one transaction.
async fn migrate(connection: &mut SqliteConnection, from: u32, now: Timestamp) -> sqlx::Result<()> {
    begin(connection).await?;
    for migration in &MIGRATIONS[from as usize..] {
        sqlx::raw_sql(*migration).execute(&mut *connection).await?;
    }
    common::set_format(connection, STORE_FORMAT, now).await?;
    sqlx::query(AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}"))).execute(&mut *connection).await?;
    commit(connection).await
}

async fn begin(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await.map(drop)
}

async fn commit(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("COMMIT").execute(connection).await.map(drop)
}

/// Says whether there was a transaction to undo: SQLite may have done so by itself, and a commit leaves none.
async fn roll_back(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    match sqlx::query("ROLLBACK").execute(connection).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.message().contains("no transaction is active") => Ok(false),
        Err(error) => Err(error),
    }
}

/// An error that comes before a commit has begun to write its last page, so that it surely has not happened. After a failed
/// write or sync nobody can say that.
fn is_never_of_a_commit(error: &sqlx::Error) -> bool {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const READ_ONLY: i32 = 8;
    const CORRUPT: i32 = 11;
    const FULL: i32 = 13;
    const CANNOT_OPEN: i32 = 14;
    const CONSTRAINT: i32 = 19;
    const NOT_A_DATABASE: i32 = 26;
    let known = [BUSY, LOCKED, READ_ONLY, CORRUPT, FULL, CANNOT_OPEN, CONSTRAINT, NOT_A_DATABASE];
    code(error).is_some_and(|code| known.contains(&(code & 0xff)))
}

fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// The error with what it means here.
fn describe(error: &sqlx::Error) -> String {
    let meaning = match code(error).map(|code| code & 0xff) {
        Some(5 | 6) => "another process holds the database",
        Some(8) => "the database can only be read",
        Some(10) => "the disk failed",
        Some(11) => "the database file is damaged",
        Some(13) => "the disk is full",
        Some(14) => "the database file cannot be opened",
        Some(26) => "the file is not a database, or its beginning is damaged",
        _ if matches!(error, sqlx::Error::WorkerCrashed) => {
            "the database's driver failed, which a damaged file can cause"
        }
        _ => return error.to_string(),
    };
    format!("{meaning}: {error}")
}
