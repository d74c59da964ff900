//! The log in a PostgreSQL that somebody runs already: several servers, of which one writes.
//!
//! Every append is one statement, a transaction by itself: it moves the head if the head is where the writer thinks, which
//! locks its row, and what hangs on that is written with it. There is no sequence, so there is no gap; no advisory lock, so
//! nothing to lose with a connection. The epoch in the head fences off a writer that has been replaced.

#[allow(clippy::duplicate_mod)] // what both databases say in the same words is compiled once for each
#[path = "common.rs"]
pub mod common;

use self::common::Reader;
use crate::store::rows::{self, AuditValues, HeadRow};
use crate::store::{Mode, STORE_FORMAT, Sizes, StoreError, check_end, check_follows, fault, read_patience, refusal};
use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgPoolOptions, PgSeverity};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Postgres, Row as _};
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;
use tidehelm_actors::port::{AppendFault, CommitLog, LogFault};
use tidehelm_events::commit::{Commit, Entry, Head};
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::{Epoch, NodeId, Position};
use tidehelm_events::time::Timestamp;
use tokio::time::{Instant, sleep, timeout};

type Connection = PgConnection;
type Database = Postgres;
type Adapter = PostgresStore;
/// Begins a transaction that sees one state of the database.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_log.sql"),
    include_str!("../../migrations/postgres/0002_requests.sql"),
];
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// How long a silent writer keeps the log, by the database's clock.
    pub lease: Duration,
    /// How long a commit may take before the store counts as stalled.
    pub stall_after: Duration,
    pub schema: String,
    /// For the age of a new store.
    pub now: Timestamp,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        PostgresOptions {
            lease: Duration::from_secs(10),
            stall_after: Duration::from_secs(5),
            schema: "tidehelm".into(),
            now: Timestamp::ZERO,
        }
    }
}

#[derive(Debug)]
pub struct PostgresStore {
    options: PostgresOptions,
    connect: PgConnectOptions,
    /// None after a failure that leaves the connection in an unknown state: the next one who needs it opens another.
    writer: Option<PgConnection>,
    reader: Reader,
    mode: Mode,
    backoff: Backoff,
    /// A commit may still be under way on a connection that was given up.
    unsettled: bool,
}

/// When the database may be asked for a connection again, and what it said the last time.
#[derive(Debug, Clone, Default)]
struct Backoff {
    wait: Duration,
    until: Option<Instant>,
    why: String,
}

impl PostgresStore {
    pub async fn open(url: &str, mode: Mode, options: PostgresOptions) -> Result<Self, StoreError> {
        let given = PgConnectOptions::from_str(url)
            .map_err(|error| StoreError::database("cannot understand store.url", error.to_string()))?;
        let connect = with_settings(given.clone(), &options, options.stall_after);
        let place = place(&connect);
        let fail =
            |error: sqlx::Error| StoreError::database(format!("cannot open the store in {place}"), describe(&error));
        let opening = async {
            let mut first = session(&connect).await?;
            check_encoding(&mut first).await?;
            Ok(first)
        };
        let late = || StoreError::database(format!("cannot open the store in {place}"), "it did not answer");
        let mut first = timeout(options.stall_after, opening).await.map_err(|_| late())?.map_err(fail)?;
        let found = format(&mut first, &place).await?;
        match mode {
            Mode::Write if found < STORE_FORMAT => migrate(&mut first, found, &options, &place).await?,
            Mode::ReadOnly if found == 0 => return Err(StoreError::Absent { what: place }),
            Mode::ReadOnly if found < STORE_FORMAT => {
                return Err(StoreError::Past { what: place, found, ours: STORE_FORMAT });
            }
            Mode::Write | Mode::ReadOnly => {}
        }
        let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(options.stall_after);
        let patience = read_patience(options.stall_after);
        let read_only = with_settings(given, &options, patience).options([("default_transaction_read_only", "on")]);
        let reader = Reader { pool: pool.connect_lazy_with(read_only), patience };
        let writer = (mode == Mode::Write).then_some(first);
        Ok(PostgresStore {
            options,
            connect,
            writer,
            reader,
            mode,
            backoff: Backoff::default(),
            unsettled: mode == Mode::Write,
        })
    }

    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Another handle on the same store, with a connection of its own: for work that should not wait in the queue of the
    /// log's writer. The epoch still says which of them may append.
    pub fn twin(&self) -> Self {
        PostgresStore {
            options: self.options.clone(),
            connect: self.connect.clone(),
            writer: None,
            reader: self.reader.clone(),
            mode: self.mode,
            backoff: Backoff::default(),
            unsettled: false,
        }
    }

    pub async fn sizes(&self) -> Result<Sizes, LogFault> {
        let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class \
                   WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
        let doing = "cannot measure the store";
        let total: i64 =
            self.reader.ask(doing, async |connection| sqlx::query_scalar(sql).fetch_one(connection).await).await?;
        Ok(Sizes { total: total.unsigned_abs(), free: 0, wal: 0, telemetry: self.reader.telemetry().await? })
    }

    pub async fn close(mut self) -> Result<(), LogFault> {
        self.reader.pool.close().await;
        if let Some(writer) = self.writer.take() {
            writer.close().await.map_err(|error| fault("cannot close the store", &error))?;
        }
        Ok(())
    }

    /// One transaction: all of the work or nothing.
    async fn transact<T>(
        &mut self,
        doing: &str,
        work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, LogFault> {
        // It may write megabytes.
        let patience = read_patience(self.options.stall_after);
        let mut connection = self.take_writer().await.map_err(|error| LogFault::new(doing, error))?;
        let outcome = async {
            let begin = format!("BEGIN; SET LOCAL statement_timeout = {}", patience.mul_f64(0.8).as_millis());
            sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut connection).await?;
            let done = work(&mut connection).await?;
            sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
            Ok(done)
        };
        match timeout(patience, outcome).await {
            Ok(Ok(done)) => {
                self.writer = Some(connection);
                Ok(done)
            }
            Ok(Err(error)) => {
                if is_answer(&error) && is_rolled_back(&mut connection, self.options.stall_after).await {
                    self.writer = Some(connection);
                }
                Err(LogFault::new(doing, describe(&error)))
            }
            Err(_) => Err(LogFault::new(doing, self.stalled())),
        }
    }

    /// One statement that is a transaction by itself.
    async fn ask<T>(
        &mut self,
        doing: &str,
        question: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, LogFault> {
        let mut connection = self.take_writer().await.map_err(|error| LogFault::new(doing, error))?;
        match timeout(self.options.stall_after, question(&mut connection)).await {
            Ok(Ok(answer)) => {
                self.writer = Some(connection);
                Ok(answer)
            }
            Ok(Err(error)) => {
                if is_answer(&error) {
                    self.writer = Some(connection);
                }
                Err(LogFault::new(doing, describe(&error)))
            }
            Err(_) => Err(LogFault::new(doing, self.stalled())),
        }
    }

    /// Takes the connection away: whoever cannot say how his work ended does not put it back.
    async fn take_writer(&mut self) -> Result<PgConnection, String> {
        if self.mode == Mode::ReadOnly {
            return Err("this store was opened for reading only".into());
        }
        if let Some(connection) = self.writer.take() {
            return Ok(connection);
        }
        self.backoff.check()?;
        let why = match timeout(self.options.stall_after, session(&self.connect)).await {
            Ok(Ok(connection)) => {
                self.backoff = Backoff::default();
                return Ok(connection);
            }
            Ok(Err(error)) => describe(&error),
            Err(_) => self.stalled(),
        };
        self.backoff.failed(why.clone());
        Err(why)
    }

    fn stalled(&self) -> String {
        format!("the store did not answer within {:?}", self.options.stall_after)
    }

    /// Tries for the lease once: the head under a new epoch, or who has it and for how long.
    async fn try_take_over(&mut self, doing: &str, node: NodeId) -> Result<Result<Head, Holder>, LogFault> {
        let lease = self.lease_millis();
        self.ask(doing, async |connection| {
            let sql = "UPDATE head SET epoch = epoch + 1, node = $1, \
                       lease_until = clock_timestamp() + $2 * INTERVAL '1 millisecond' \
                       WHERE id = 1 AND (node = $1 OR lease_until <= clock_timestamp()) \
                       RETURNING position, hash, epoch, committed_at";
            let taken = sqlx::query_as::<_, HeadRow>(sql).bind(node.to_string()).bind(lease);
            if let Some(row) = taken.fetch_optional(&mut *connection).await? {
                return row.head().map(Ok);
            }
            let sql = "SELECT node, lease_until::text, \
                       (extract(epoch FROM lease_until - clock_timestamp()) * 1000)::float8 FROM head WHERE id = 1";
            let (node, until, left) = sqlx::query_as(sql).fetch_one(connection).await?;
            Ok(Err(Holder { node, until, left }))
        })
        .await
    }

    fn lease_millis(&self) -> f64 {
        self.options.lease.as_secs_f64() * 1000.0
    }
}

/// A writer whose lease has not run out.
#[derive(Debug)]
struct Holder {
    node: String,
    until: String,
    left: f64,
}

#[async_trait]
impl CommitLog for PostgresStore {
    async fn take_over(&mut self, node: NodeId) -> Result<Head, LogFault> {
        let doing = "cannot become the writer of the log";
        let mut first: Option<Holder> = None;
        let head = loop {
            let holder = match self.try_take_over(doing, node).await? {
                Ok(head) => break head,
                Err(holder) => holder,
            };
            match &first {
                None => {
                    tracing::info!(
                        node = holder.node,
                        seconds = holder.left / 1000.0,
                        "another server wrote last: waiting for its lease to run out"
                    );
                }
                Some(known) if known.until != holder.until => {
                    let why = format!("server {} writes to it and renews its lease", holder.node);
                    return Err(LogFault::new(doing, why));
                }
                Some(_) => {}
            }
            sleep(Duration::from_secs_f64((holder.left / 1000.0).clamp(0.02, 0.25))).await;
            first.get_or_insert(holder);
        };
        let last = self.ask(doing, async |connection| common::last_entry(connection).await).await?;
        check_end(doing, &head, &last.unwrap_or_default())?;
        self.unsettled = false;
        Ok(head)
    }

    async fn append(&mut self, new: &Commit, audit: &[Envelope], expected: &Head) -> Result<(), AppendFault> {
        check_follows(new, expected)?;
        let lease = self.lease_millis();
        let mut connection = self.take_writer().await.map_err(AppendFault::Unavailable)?;
        let moved = match timeout(self.options.stall_after, write(&mut connection, new, audit, expected, lease)).await {
            Ok(Ok(moved)) => moved,
            Ok(Err(error)) if is_answer(&error) => {
                self.writer = Some(connection);
                return Err(AppendFault::Unavailable(describe(&error)));
            }
            Ok(Err(error)) => {
                self.unsettled = true;
                return Err(AppendFault::InDoubt(describe(&error)));
            }
            Err(_) => {
                self.unsettled = true;
                return Err(AppendFault::InDoubt(self.stalled()));
            }
        };
        self.writer = Some(connection);
        if moved {
            return Ok(());
        }
        let found =
            self.ask("cannot read the head of the log", async |connection| common::head(connection).await).await;
        Err(found
            .map_or_else(|error| AppendFault::Unavailable(error.to_string()), |found| refusal(new, expected, found)))
    }

    async fn read(&mut self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        self.reader.read(after, limit).await
    }

    /// After a doubt this waits for the head's lock, which a commit that is under way still holds.
    async fn head(&mut self) -> Result<Head, LogFault> {
        if !self.unsettled || self.mode == Mode::ReadOnly {
            return self.reader.head().await;
        }
        let head = self
            .ask("cannot find out how a commit ended", async |connection| {
                let sql = "SELECT position, hash, epoch, committed_at FROM head WHERE id = 1 FOR UPDATE";
                sqlx::query_as::<_, HeadRow>(sql).fetch_one(connection).await?.head()
            })
            .await?;
        self.unsettled = false;
        Ok(head)
    }

    async fn renew(&mut self, node: NodeId, epoch: Epoch) -> Result<(), AppendFault> {
        let lease = self.lease_millis();
        let renewed = self
            .ask("cannot renew the lease", async |connection| {
                let sql = "UPDATE head SET lease_until = clock_timestamp() + $1 * INTERVAL '1 millisecond' \
                           WHERE id = 1 AND epoch = $2 AND node = $3";
                let query = sqlx::query(sql).bind(lease).bind(rows::signed(epoch.0)).bind(node.to_string());
                match query.execute(&mut *connection).await?.rows_affected() {
                    0 => common::head(connection).await.map(Some),
                    _ => Ok(None),
                }
            })
            .await;
        match renewed {
            Ok(None) => Ok(()),
            Ok(Some(found)) => Err(AppendFault::Fenced { ours: epoch, found: found.epoch }),
            Err(error) => Err(AppendFault::Unavailable(error.to_string())),
        }
    }

    async fn release(&mut self, node: NodeId, epoch: Epoch) -> Result<(), LogFault> {
        self.ask("cannot give the lease back", async |connection| {
            let sql = "UPDATE head SET lease_until = '-infinity' WHERE id = 1 AND epoch = $1 AND node = $2";
            let query = sqlx::query(sql).bind(rows::signed(epoch.0)).bind(node.to_string());
            query.execute(connection).await.map(drop)
        })
        .await
    }
}

const MOVE: &str = "WITH moved AS ( \
    UPDATE head SET position = $2, hash = $14, committed_at = $3, node = $5, \
        telemetry_bytes = telemetry_bytes + coalesce(length($16), 0), \
        lease_until = clock_timestamp() + $19 * INTERVAL '1 millisecond' \
    WHERE id = 1 AND position = $17 AND hash = $18 AND epoch = $6 RETURNING telemetry_bytes \
), written AS ( \
    INSERT INTO commits (first_position, last_position, committed_at, format, node, epoch, reacted_cause, reacted_index, \
        kept_count, telemetry_count, kept_hash, telemetry_hash, prev_hash, hash, kept, telemetry, telemetry_through) \
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, telemetry_bytes FROM moved \
)";

static APPEND: LazyLock<String> = LazyLock::new(|| format!("{MOVE} SELECT count(*) FROM moved"));
static APPEND_AUDITED: LazyLock<String> =
    LazyLock::new(|| format!("{MOVE}, audited AS ({}) SELECT count(*) FROM moved", audit_sql("moved, ", 20)));
static INSERT_AUDIT: LazyLock<String> = LazyLock::new(|| audit_sql("", 1));

/// Inserts audit rows from arrays that are bound from one parameter on, a column each.
fn audit_sql(from: &str, first: usize) -> String {
    const COLUMNS: [(&str, &str); 14] = [
        ("position", "bigint"),
        ("stream_kind", "text"),
        ("stream_id", "text"),
        ("version", "bigint"),
        ("event_id", "text"),
        ("kind", "text"),
        ("schema", "bigint"),
        ("at", "text"),
        ("at_us", "bigint"),
        ("by", "text"),
        ("command_id", "text"),
        ("causation", "bigint"),
        ("correlation", "bigint"),
        ("payload", "json"),
    ];
    let names = COLUMNS.map(|(name, _)| name).join(", ");
    let values = COLUMNS.map(|(name, kind)| format!("fresh.{name}::{kind}")).join(", ");
    let array = |(index, (_, kind)): (usize, &(&str, &str))| {
        let kind = if *kind == "json" { "text" } else { *kind };
        format!("${}::{kind}[]", first + index)
    };
    let arrays = COLUMNS.iter().enumerate().map(array).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO audit_events ({names}) SELECT {values} FROM {from}unnest({arrays}) AS fresh({names})")
}

/// Moves the head if it is where the writer thinks, and writes commit and audit rows with it; says whether it was there. One
/// round trip.
async fn write(
    connection: &mut PgConnection,
    new: &Commit,
    audit: &[Envelope],
    expected: &Head,
    lease: f64,
) -> sqlx::Result<bool> {
    let sql: &'static str = if audit.is_empty() { &APPEND } else { &APPEND_AUDITED };
    let query = common::bind_commit(sqlx::query(sql), new);
    let query = query.bind(rows::signed(expected.position.0)).bind(&expected.hash.0[..]).bind(lease);
    let query = if audit.is_empty() { query } else { bind_audit(query, audit) };
    let moved: i64 = query.fetch_one(connection).await?.try_get(0)?;
    Ok(moved == 1)
}

/// Columns out of the objects of a JSON array that is bound to `$1`.
fn from_json(table: &str, columns: &[&str]) -> String {
    let values: Vec<String> = columns.iter().map(|column| format!("fresh.{column}")).collect();
    format!("{} FROM json_populate_recordset(NULL::{table}, $1::json) AS fresh", values.join(", "))
}

async fn insert_audit(connection: &mut PgConnection, audit: &[Envelope]) -> sqlx::Result<()> {
    if audit.is_empty() {
        return Ok(());
    }
    let sql: &'static str = &INSERT_AUDIT;
    bind_audit(sqlx::query(sql), audit).execute(connection).await.map(drop)
}

type Query<'q> = sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments>;

/// Binds each column of the audit rows as an array.
fn bind_audit<'q>(query: Query<'q>, audit: &[Envelope]) -> Query<'q> {
    let values: Vec<AuditValues> = audit.iter().map(AuditValues::of).collect();
    macro_rules! bind_columns {
        ($query:expr, $($column:ident)*) => {
            $query$(.bind(values.iter().map(|row| row.$column.clone()).collect::<Vec<_>>()))*
        };
    }
    bind_columns!(query, position stream_kind stream_id version event_id kind schema at at_us by command_id causation
        correlation payload)
}

/// What every session is told: where our tables are, and to give up before we do.
fn with_settings(given: PgConnectOptions, options: &PostgresOptions, patience: Duration) -> PgConnectOptions {
    let patience = patience.mul_f64(0.8).as_millis().max(1).to_string();
    given
        .application_name("tidehelm")
        .options([
            ("search_path", options.schema.as_str()),
            ("statement_timeout", patience.as_str()),
            ("idle_in_transaction_session_timeout", patience.as_str()),
            ("default_transaction_isolation", "read committed"),
            // A partitioned writer would keep its lock for hours.
            ("tcp_keepalives_idle", "1"),
            ("tcp_keepalives_interval", "1"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "4000"),
            ("jit", "off"),
        ])
        .disable_statement_logging()
}

/// A connection whose commits are durable before they are answered, whatever the database's default is.
async fn session(connect: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let mut connection = connect.connect().await?;
    let sql =
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
    sqlx::raw_sql(sql).execute(&mut connection).await?;
    Ok(connection)
}

async fn check_encoding(connection: &mut PgConnection) -> sqlx::Result<()> {
    let encoding: String = sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut *connection).await?;
    if encoding != "UTF8" {
        let why = format!("the database stores text as {encoding}; make one with ENCODING 'UTF8'");
        return Err(sqlx::Error::Configuration(why.into()));
    }
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(connection).await?;
    if fsync == "off" {
        tracing::warn!("the database runs with fsync = off: a power cut can lose what was acknowledged");
    }
    Ok(())
}

/// The format of the store that is there, 0 where there is none.
async fn format(connection: &mut PgConnection, place: &str) -> Result<u32, StoreError> {
    let fail = |error: sqlx::Error| StoreError::database(format!("cannot read the store in {place}"), describe(&error));
    let sql = "SELECT to_regclass('meta') IS NOT NULL AND to_regclass('head') IS NOT NULL";
    let known: bool = sqlx::query_scalar(sql).fetch_one(&mut *connection).await.map_err(fail)?;
    if !known {
        return Ok(0);
    }
    let found = common::format(connection).await.map_err(fail)?;
    if found > STORE_FORMAT {
        return Err(StoreError::Future { what: format!("the store in {place}"), found, ours: STORE_FORMAT });
    }
    Ok(found)
}

/// Brings the store from a format to this build's, in one transaction. Of two servers that try at once, one finds it done.
async fn migrate(
    connection: &mut PgConnection,
    from: u32,
    options: &PostgresOptions,
    place: &str,
) -> Result<(), StoreError> {
    let error = match try_migrate(connection, from, options).await {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let fail = |error: &sqlx::Error| StoreError::database(format!("cannot make the store in {place}"), describe(error));
    sqlx::query("ROLLBACK").execute(&mut *connection).await.map_err(|_| fail(&error))?;
    match format(connection, place).await {
        Ok(found) if found == STORE_FORMAT => Ok(()),
        _ => Err(fail(&error)),
    }
}

async fn try_migrate(connection: &mut PgConnection, from: u32, options: &PostgresOptions) -> sqlx::Result<()> {
    let schema = options.schema.replace('"', "\"\"");
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    let sql = format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    for migration in &MIGRATIONS[from as usize..] {
        sqlx::raw_sql(*migration).execute(&mut *connection).await?;
    }
    common::set_format(connection, STORE_FORMAT, options.now).await?;
    sqlx::raw_sql("COMMIT").execute(connection).await.map(drop)
}

/// Where the database is, without its password.
fn place(connect: &PgConnectOptions) -> String {
    let database = connect.get_database().unwrap_or(connect.get_username());
    match connect.get_socket() {
        Some(socket) => format!("database {database} at {}", socket.display()),
        None => format!("database {database} at {}:{}", connect.get_host(), connect.get_port()),
    }
}

/// The database answered that it has undone the statement, and the session goes on. After anything else nobody knows: an
/// answer that ends the session may come after the commit.
fn is_answer(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else {
        return matches!(error, sqlx::Error::RowNotFound | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. });
    };
    database.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| error.severity() == PgSeverity::Error)
}

async fn is_rolled_back(connection: &mut PgConnection, patience: Duration) -> bool {
    matches!(timeout(patience, sqlx::raw_sql("ROLLBACK").execute(connection)).await, Ok(Ok(_)))
}

/// The error with what it means here.
fn describe(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code());
    let meaning = match code.as_deref() {
        Some("57014" | "55P03") => "another connection holds the head of the log",
        Some("25006") => "the database can only be read: is it a standby?",
        Some("53100") => "the database's disk is full",
        Some("57P01" | "57P02" | "57P03") => "the database is stopping or starting",
        _ => return error.to_string(),
    };
    format!("{meaning}: {error}")
}

impl Backoff {
    fn check(&self) -> Result<(), String> {
        match self.until {
            Some(until) if Instant::now() < until => Err(self.why.clone()),
            _ => Ok(()),
        }
    }

    fn failed(&mut self, why: String) {
        self.wait = (self.wait * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
        self.until = Some(Instant::now() + self.wait);
        self.why = why;
    }
}
