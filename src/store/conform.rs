//! What every log must do, held against memory, SQLite and PostgreSQL.

mod cut;
mod postgres;
mod requests;
pub mod sample;
mod sqlite;

use self::cut::{
    a_cut_goes_on_where_it_was_stopped, a_cut_log_restores_and_still_proves_itself,
    nothing_is_cut_without_a_base_or_when_it_is_damaged,
};
use self::requests::{
    a_store_of_an_earlier_format_is_brought_up, many_requests_fit_into_one_batch, old_requests_go_and_the_sums_stay,
    requests_can_be_asked_for, sums_of_days_add_up,
};
use self::sample::{Tale, node};
use crate::store::{
    AuditQuery, AuditRow, Checkpoint, Mode, Model, Order, PostgresOptions, PostgresStore, Rows, STORE_FORMAT, Secret,
    SqliteOptions, SqliteStore, StatusChange, Store, StoreError, sqlite as on_sqlite,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use std::future::Future;
use std::time::Duration;
use tidehelm_actors::memory::MemoryLog;
use tidehelm_actors::port::{AppendFault, CommitLog, Depot, Saved};
use tidehelm_events::commit::{CommitError, Entry, Hash, Head};
use tidehelm_events::id::{AccountId, CredentialId, Epoch, Position, StreamId};
use tidehelm_events::reason::{RuntimeStatus, Warning, Warnings};
use tidehelm_events::time::Timestamp;
use uuid::Uuid;

/// Short, so that a stall is quick to see.
const STALL_AFTER: Duration = Duration::from_millis(800);

/// A log of its own for each test.
trait Site: Send {
    type Log: CommitLog + Depot + 'static;
    fn log(&mut self) -> impl Future<Output = Self::Log> + Send;
}

/// A log in a database, which others can get at.
trait Database: Site<Log = Store> {
    fn open(&self, mode: Mode) -> impl Future<Output = Result<Store, StoreError>> + Send;
    /// Says something to the database behind the store's back.
    fn say(&self, sql: &str) -> impl Future<Output = ()> + Send;
    /// Gives up every right to write that the site itself holds.
    fn leave(&mut self);
    /// Holds what an append needs until it is dropped.
    fn hold(&self) -> impl Future<Output = Box<dyn Send>> + Send;
}

struct InMemory;

impl Site for InMemory {
    type Log = MemoryLog;
    async fn log(&mut self) -> MemoryLog {
        MemoryLog::default()
    }
}

struct OnSqlite {
    root: tempfile::TempDir,
    first: Option<SqliteStore>,
    options: SqliteOptions,
}

impl OnSqlite {
    fn new() -> Self {
        let options = SqliteOptions { stall_after: STALL_AFTER, ..SqliteOptions::default() };
        OnSqlite { root: tempfile::tempdir().unwrap(), first: None, options }
    }

    fn dir(&self) -> std::path::PathBuf {
        self.root.path().join("data")
    }

    async fn connect(&self) -> SqliteConnection {
        let path = self.dir().join(on_sqlite::FILE);
        SqliteConnection::connect(path.to_str().unwrap()).await.unwrap()
    }
}

impl Site for OnSqlite {
    type Log = Store;
    async fn log(&mut self) -> Store {
        if self.first.is_none() {
            self.first = Some(SqliteStore::open(&self.dir(), Mode::Write, self.options.clone()).await.unwrap());
        }
        Store::Sqlite(self.first.as_ref().unwrap().twin())
    }
}

impl Database for OnSqlite {
    async fn open(&self, mode: Mode) -> Result<Store, StoreError> {
        SqliteStore::open(&self.dir(), mode, self.options.clone()).await.map(Store::Sqlite)
    }

    async fn say(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn hold(&self) -> Box<dyn Send> {
        let mut connection = self.connect().await;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        Box::new(connection)
    }

    fn leave(&mut self) {
        self.first = None;
    }
}

struct OnPostgres {
    url: String,
    options: PostgresOptions,
}

impl OnPostgres {
    /// None, and a word about it, where the tests were not given a PostgreSQL.
    fn new(test: &str) -> Option<Self> {
        let Ok(url) = std::env::var("TIDEHELM_TEST_POSTGRES") else {
            eprintln!("skipped: TIDEHELM_TEST_POSTGRES is not set (scripts/postgres.sh starts one)");
            return None;
        };
        // A schema for each test, so that they can run side by side.
        let schema = format!("{test:.40}_{}", std::process::id());
        let options = PostgresOptions { schema, stall_after: STALL_AFTER, ..PostgresOptions::default() };
        Some(OnPostgres { url, options })
    }

    async fn connect(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let sql = format!("SET search_path = \"{}\"", self.options.schema);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection
    }
}

impl Site for OnPostgres {
    type Log = Store;
    async fn log(&mut self) -> Store {
        self.open(Mode::Write).await.unwrap()
    }
}

impl Database for OnPostgres {
    async fn open(&self, mode: Mode) -> Result<Store, StoreError> {
        PostgresStore::open(&self.url, mode, self.options.clone()).await.map(|store| Store::Postgres(Box::new(store)))
    }

    async fn say(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }

    async fn hold(&self) -> Box<dyn Send> {
        let mut connection = self.connect().await;
        sqlx::raw_sql("BEGIN; SELECT * FROM head FOR UPDATE").execute(&mut connection).await.unwrap();
        Box::new(connection)
    }

    fn leave(&mut self) {}
}

macro_rules! suite {
    (every log [$($every:ident)*] every database [$($database:ident)*]) => {
        mod memory {
            $(#[tokio::test] async fn $every() { super::$every(super::InMemory).await })*
        }
        mod in_sqlite {
            $(#[tokio::test] async fn $every() { super::$every(super::OnSqlite::new()).await })*
            $(#[tokio::test] async fn $database() { super::$database(super::OnSqlite::new()).await })*
        }
        mod in_postgres {
            $(#[tokio::test] async fn $every() {
                let Some(site) = super::OnPostgres::new(stringify!($every)) else { return };
                super::$every(site).await
            })*
            $(#[tokio::test] async fn $database() {
                let Some(site) = super::OnPostgres::new(stringify!($database)) else { return };
                super::$database(site).await
            })*
        }
    };
}

suite! {
    every log [
    what_is_appended_is_read
    a_reader_may_ask_from_the_middle_of_a_commit
    a_wrong_head_is_a_conflict
    an_older_epoch_is_fenced
    a_commit_that_does_not_follow_is_not_tried
    folds_are_kept_and_found
    ]
    every database [
    of_two_writers_one_wins
    a_commit_is_there_with_its_audit_rows_or_not_at_all
    readers_see_no_gap_while_a_writer_writes
    a_stall_is_seen_in_time_and_heals
    large_commits_come_in_pieces
    audit_rows_can_be_asked_for
    the_vault_keeps_what_no_event_may
    a_read_model_moves_with_its_checkpoint
    a_store_of_an_earlier_format_is_brought_up
    many_requests_fit_into_one_batch
    requests_can_be_asked_for
    sums_of_days_add_up
    old_requests_go_and_the_sums_stay
    a_commit_is_found_by_its_time
    what_opens_for_reading_does_not_write
    changed_bytes_are_found_by_name
    a_hole_is_found
    a_head_that_is_not_the_end_is_refused
    a_later_format_is_refused_by_name
    a_log_moves_with_every_hash
    a_cut_log_restores_and_still_proves_itself
    a_cut_goes_on_where_it_was_stopped
    nothing_is_cut_without_a_base_or_when_it_is_damaged
    ]
}

async fn what_is_appended_is_read(mut site: impl Site) {
    let mut log = site.log().await;
    assert_eq!(log.head().await.unwrap(), Head::default());
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    assert_eq!(tale.head.epoch, Epoch(1));
    let mut written = Vec::new();
    for (telemetry, kept) in [(3, 1), (5, 0), (0, 2), (1, 0)] {
        let next = tale.next(telemetry, kept);
        log.append(&next.commit, &next.audit, &next.expected).await.unwrap();
        written.push(Entry::Commit(Box::new(next.commit)));
    }
    assert_eq!(log.read(Position(0), 100).await.unwrap(), written);
    assert_eq!(log.read(written[0].head().position, 2).await.unwrap(), written[1..3]);
    assert_eq!(log.read(tale.head.position, 100).await.unwrap(), []);
    assert_eq!(log.head().await.unwrap(), tale.head);
    let mut before = Head::default();
    for entry in &written {
        entry.check(&before).unwrap();
        before = entry.head();
    }
}

async fn a_reader_may_ask_from_the_middle_of_a_commit(mut site: impl Site) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    for _ in 0..3 {
        let next = tale.next(3, 1);
        log.append(&next.commit, &next.audit, &next.expected).await.unwrap();
    }
    for (after, first) in [(0, 1), (1, 1), (3, 1), (4, 5), (7, 5), (8, 9), (11, 9)] {
        let read = log.read(Position(after), 10).await.unwrap();
        assert_eq!(read[0].first(), Position(first), "after {after}");
        assert_eq!(read.last().unwrap().head(), tale.head);
    }
    assert_eq!(log.read(Position(12), 10).await.unwrap(), []);
}

async fn a_commit_that_does_not_follow_is_not_tried(mut site: impl Site) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    let first = tale.next(1, 1);
    let second = tale.next(1, 1);
    let refused = log.append(&second.commit, &second.audit, &first.expected).await;
    assert!(matches!(refused, Err(AppendFault::Unavailable(_))), "{refused:?}");
    assert_eq!(log.read(Position(0), 10).await.unwrap(), []);
}

async fn a_wrong_head_is_a_conflict(mut site: impl Site) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    let mut other = tale.clone();
    let (ours, theirs) = (tale.next(2, 1), other.next(1, 1));
    log.append(&ours.commit, &ours.audit, &ours.expected).await.unwrap();
    match log.append(&theirs.commit, &theirs.audit, &theirs.expected).await {
        Err(AppendFault::Conflict { expected, found }) => assert_eq!((expected, found), (theirs.expected, tale.head)),
        other => panic!("{other:?}"),
    }
    assert_eq!(log.head().await.unwrap(), tale.head);
    let next = tale.next(1, 1);
    log.append(&next.commit, &next.audit, &next.expected).await.unwrap();
}

async fn an_older_epoch_is_fenced(mut site: impl Site) {
    let mut log = site.log().await;
    let mut old = Tale::new(log.take_over(node()).await.unwrap());
    let mut new = Tale::new(log.take_over(node()).await.unwrap());
    assert!(new.head.epoch > old.head.epoch);
    let late = old.next(1, 1);
    match log.append(&late.commit, &late.audit, &late.expected).await {
        Err(AppendFault::Fenced { ours, found }) => assert_eq!((ours, found), (Epoch(1), Epoch(2))),
        other => panic!("{other:?}"),
    }
    assert!(matches!(log.renew(node(), Epoch(1)).await, Err(AppendFault::Fenced { .. })));
    log.renew(node(), Epoch(2)).await.unwrap();
    let next = new.next(1, 1);
    log.append(&next.commit, &next.audit, &next.expected).await.unwrap();
}

async fn folds_are_kept_and_found(mut site: impl Site) {
    let mut log = site.log().await;
    let saved = |position: u64, schema| Saved {
        position: Position(position),
        schema,
        build: "test".into(),
        at: Timestamp::from_millis(position as i64),
        hash: Hash::of(&[position as u8; 100]),
        bytes: vec![position as u8; 100],
    };
    for fold in [saved(30, 1), saved(10, 1), saved(20, 2)] {
        log.save(&fold).await.unwrap();
    }
    assert_eq!(log.newest(Position(29), 1).await.unwrap(), Some(saved(10, 1)));
    assert_eq!(log.newest(Position(30), 1).await.unwrap(), Some(saved(30, 1)));
    assert_eq!(log.newest(Position(9), 1).await.unwrap(), None);
    let at = |position: u64| (Position(position), Timestamp::from_millis(position as i64));
    assert_eq!(log.list().await.unwrap(), [at(10), at(20), at(30)]);
    log.discard(Position(30)).await.unwrap();
    assert_eq!(log.newest(Position(99), 1).await.unwrap(), Some(saved(10, 1)));
    assert_eq!(log.base().await.unwrap(), None);
}

async fn write<L: CommitLog>(log: &mut L, tale: &mut Tale, telemetry: u32, kept: u32) -> Result<(), AppendFault> {
    let next = tale.next(telemetry, kept);
    log.append(&next.commit, &next.audit, &next.expected).await
}

/// Every entry of the log, each held against the one before it.
async fn whole(log: &mut Store) -> Result<Vec<Entry>, CommitError> {
    let (mut entries, mut end) = (Vec::new(), Head::default());
    loop {
        let read = log.read(end.position, 7).await.unwrap();
        if read.is_empty() {
            return Ok(entries);
        }
        for entry in read {
            entry.check(&end)?;
            end = entry.head();
            entries.push(entry);
        }
    }
}

async fn of_two_writers_one_wins(mut site: impl Database) {
    let (mut one, mut other) = (site.log().await, site.log().await);
    let tale = Tale::new(one.take_over(node()).await.unwrap());
    let (mut left, mut right) = (tale.clone(), tale);
    for _ in 0..20 {
        let (a, b) = (left.next(2, 1), right.next(1, 2));
        let (first, second) =
            tokio::join!(one.append(&a.commit, &a.audit, &a.expected), other.append(&b.commit, &b.audit, &b.expected));
        let (winner, loser) = if first.is_ok() { (&a, second) } else { (&b, first) };
        assert!(
            matches!(loser, Err(AppendFault::Conflict { found, .. }) if found == winner.commit.head()),
            "{loser:?}"
        );
        (left.head, right.head) = (winner.commit.head(), winner.commit.head());
        let end =
            one.reader().audit(&AuditQuery { limit: 1, order: Order::NewestFirst, ..AuditQuery::default() }).await;
        assert_eq!(end.unwrap()[0].position, winner.commit.header.last);
        (left, right) = (Tale::new(left.head), Tale::new(right.head));
    }
    assert_eq!(whole(&mut one).await.unwrap().len(), 20);
}

async fn a_commit_is_there_with_its_audit_rows_or_not_at_all(mut site: impl Database) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    write(&mut log, &mut tale, 2, 2).await.unwrap();
    let before = tale.clone();
    let mut next = tale.next(3, 3);
    // The last of its audit rows says that it is a version that is there already.
    next.audit[2].version = before.next_version_of_kept();
    let refused = log.append(&next.commit, &next.audit, &next.expected).await;
    assert!(matches!(refused, Err(AppendFault::Unavailable(_))), "{refused:?}");
    assert_eq!(log.head().await.unwrap(), before.head);
    assert_eq!(whole(&mut log).await.unwrap().len(), 1);
    let all = AuditQuery { limit: 100, ..AuditQuery::default() };
    assert_eq!(log.reader().audit(&all).await.unwrap().len(), 2);
    let mut tale = before;
    write(&mut log, &mut tale, 3, 3).await.unwrap();
    assert_eq!(log.reader().audit(&all).await.unwrap().len(), 5);
}

async fn readers_see_no_gap_while_a_writer_writes(mut site: impl Database) {
    const COMMITS: usize = 150;
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let reader = log.reader();
            tokio::spawn(async move {
                let (mut end, mut seen, mut asked) = (Head::default(), 0, 0);
                while seen < COMMITS {
                    asked += 1;
                    for entry in reader.read(end.position, 20).await.unwrap() {
                        entry.check(&end).unwrap();
                        end = entry.head();
                        seen += 1;
                    }
                }
                (end, asked)
            })
        })
        .collect();
    for index in 0..COMMITS as u32 {
        write(&mut log, &mut tale, 1 + index % 5, index % 3).await.unwrap();
    }
    for reader in readers {
        let (end, asked) = reader.await.unwrap();
        assert_eq!(end, tale.head);
        assert!(asked > 10, "the reader was to read while the writer wrote, and asked {asked} times only");
    }
}

async fn a_stall_is_seen_in_time_and_heals(mut site: impl Database) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    write(&mut log, &mut tale, 2, 1).await.unwrap();
    let held = site.hold().await;
    let next = tale.next(1, 1);
    let asked = tokio::time::Instant::now();
    let stalled = log.append(&next.commit, &next.audit, &next.expected).await;
    assert!(matches!(stalled, Err(AppendFault::Unavailable(_))), "{stalled:?}");
    assert!(asked.elapsed() < STALL_AFTER * 2, "{:?}", asked.elapsed());
    assert_eq!(log.reader().head().await.unwrap(), next.expected, "readers go on");
    drop(held);
    // Whoever held it may need a moment to let go.
    let mut healed = log.append(&next.commit, &next.audit, &next.expected).await;
    for _ in 0..5 {
        if healed.is_err() {
            healed = log.append(&next.commit, &next.audit, &next.expected).await;
        }
    }
    healed.unwrap();
    assert_eq!(whole(&mut log).await.unwrap().len(), 2);
}

async fn large_commits_come_in_pieces(mut site: impl Database) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    for _ in 0..4 {
        let mut next = tale.next(1, 0);
        next.stretch(20 << 20);
        tale.head = next.commit.head();
        log.append(&next.commit, &next.audit, &next.expected).await.unwrap();
    }
    let mut pieces = Vec::new();
    let mut end = Position(0);
    loop {
        let read = log.read(end, 100).await.unwrap();
        let Some(last) = read.last() else { break };
        end = last.head().position;
        pieces.push(read.len());
    }
    assert_eq!(pieces, [3, 1], "64 MiB at a time");
}

async fn audit_rows_can_be_asked_for(mut site: impl Database) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    let mut rows = Vec::new();
    for kept in [3, 0, 4, 600] {
        let mut next = tale.next(2, kept);
        for row in &mut next.audit {
            // Text that JSONB or a C string would refuse, and a number that it would change.
            row.payload = serde_json::from_str(r#"{"text": "a\u0000b \ud83d\ude00 'q'", "number": 1.50e3}"#).unwrap();
        }
        log.append(&next.commit, &next.audit, &next.expected).await.unwrap();
        rows.extend(next.audit.iter().map(AuditRow::of));
    }
    let reader = log.reader();
    let ask =
        async |query: AuditQuery| reader.audit(&AuditQuery { limit: query.limit.max(1000), ..query }).await.unwrap();
    assert_eq!(ask(AuditQuery::default()).await, rows, "what is read is what was written, to the last field");
    let from = |after: u64| AuditQuery { after: Position(after), ..AuditQuery::default() };
    assert_eq!(ask(from(rows[3].position.0)).await, rows[4..]);
    let account = |name| Some(StreamId::master(&AccountId::new(name).unwrap()));
    assert_eq!(ask(AuditQuery { stream: account("Broker_1"), ..from(0) }).await.len(), rows.len());
    assert_eq!(ask(AuditQuery { stream: account("Broker_2"), ..from(0) }).await, []);
    assert_eq!(ask(AuditQuery { kind: Some("intent_set".into()), ..from(0) }).await.len(), rows.len());
    assert_eq!(ask(AuditQuery { by: Some("terminal".into()), ..from(0) }).await, []);
    assert_eq!(ask(AuditQuery { command: rows[1].command_id, ..from(0) }).await, rows[1..2]);
    assert_eq!(ask(AuditQuery { from: Some(rows[3].at), until: Some(rows[7].at), ..from(0) }).await, rows[3..7]);
    assert_eq!(ask(AuditQuery { before: Some(rows[2].position), ..from(0) }).await, rows[..2]);
    let newest = AuditQuery { order: Order::NewestFirst, limit: 2, ..from(0) };
    let newest = reader.audit(&newest).await.unwrap();
    assert_eq!(newest.iter().map(|row| row.position).collect::<Vec<_>>(), [rows[606].position, rows[605].position]);
}

async fn the_vault_keeps_what_no_event_may(mut site: impl Database) {
    let mut log = site.log().await;
    let (id, other) = (CredentialId(Uuid::from_u128(1)), CredentialId(Uuid::from_u128(2)));
    let secret = |bytes: &[u8]| Secret { kind: "password".into(), bytes: bytes.to_vec(), created_at: Timestamp(5) };
    log.put_secret(id, &secret(b"\0first")).await.unwrap();
    log.put_secret(other, &secret(b"other")).await.unwrap();
    log.put_secret(id, &secret(b"second\xff")).await.unwrap();
    let reader = log.reader();
    assert_eq!(reader.secret(id).await.unwrap(), Some(secret(b"second\xff")));
    assert_eq!(reader.secrets().await.unwrap(), [(id, secret(b"second\xff")), (other, secret(b"other"))]);
    assert!(log.delete_secret(id).await.unwrap() && !log.delete_secret(id).await.unwrap());
    assert_eq!(reader.secret(id).await.unwrap(), None);
    assert_eq!(reader.secret(other).await.unwrap(), Some(secret(b"other")));
}

async fn a_read_model_moves_with_its_checkpoint(mut site: impl Database) {
    let mut log = site.log().await;
    let reader = log.reader();
    assert_eq!(reader.checkpoint(Model::StatusChanges).await.unwrap(), None);
    let slave = StreamId::slave(&AccountId::new("B_2").unwrap());
    let change = |position: u64, stream: &StreamId| StatusChange {
        position: Position(position),
        stream: stream.clone(),
        at: Timestamp::from_millis(position as i64),
        old: RuntimeStatus::Disabled,
        new: RuntimeStatus::Connected,
        warnings: Warnings::NONE.with(Warning::MasterOffline),
    };
    let at = |position| Checkpoint { position: Position(position), schema: 1 };
    let (first, second) = ([change(3, &slave), change(4, &StreamId::Desk)], [change(9, &slave)]);
    log.project(Rows::StatusChanges(&first), Position(0), Position(5)).await.unwrap();
    assert!(
        log.project(Rows::StatusChanges(&second), Position(0), Position(9)).await.is_err(),
        "it stands at 5 already"
    );
    assert!(log.project(Rows::StatusChanges(&first), Position(5), Position(9)).await.is_err(), "the same rows again");
    assert_eq!(
        reader.checkpoint(Model::StatusChanges).await.unwrap(),
        Some(at(5)),
        "rows and checkpoint move together"
    );
    log.project(Rows::StatusChanges(&second), Position(5), Position(9)).await.unwrap();
    assert_eq!(reader.status_changes(None, Position(0), 10).await.unwrap().len(), 3);
    assert_eq!(reader.status_changes(Some(&slave), Position(3), 10).await.unwrap(), second);
    log.clear(Model::StatusChanges, Position(0)).await.unwrap();
    assert_eq!(reader.checkpoint(Model::StatusChanges).await.unwrap(), Some(at(0)));
    assert_eq!(reader.status_changes(None, Position(0), 10).await.unwrap(), []);
}

async fn a_commit_is_found_by_its_time(mut site: impl Database) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    assert_eq!(log.reader().commit_at(Timestamp(i64::MAX)).await.unwrap(), None);
    let mut ends = Vec::new();
    for telemetry in [1, 9, 2, 30, 1, 1, 4] {
        write(&mut log, &mut tale, telemetry, 0).await.unwrap();
        ends.push(tale.head);
    }
    let reader = log.reader();
    let before = Timestamp(ends[0].committed_at.0 - 1);
    assert_eq!(reader.commit_at(before).await.unwrap(), None);
    for end in &ends {
        for (time, name) in [(end.committed_at, "then"), (Timestamp(end.committed_at.0 + 1), "right after")] {
            let found = reader.commit_at(time).await.unwrap().unwrap();
            assert_eq!(found.last, end.position, "{name}");
        }
    }
}

async fn what_opens_for_reading_does_not_write(mut site: impl Database) {
    let missing = site.open(Mode::ReadOnly).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. } | StoreError::Absent { .. })), "{missing:?}");
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    write(&mut log, &mut tale, 2, 1).await.unwrap();
    let mut beside = site.open(Mode::ReadOnly).await.unwrap();
    assert_eq!(beside.head().await.unwrap(), tale.head);
    write(&mut log, &mut tale, 2, 1).await.unwrap();
    assert_eq!(whole(&mut beside).await.unwrap().len(), 2, "it sees what comes later");
    assert!(beside.take_over(node()).await.is_err());
    let next = tale.next(1, 0);
    let refused = beside.append(&next.commit, &next.audit, &next.expected).await;
    assert!(matches!(refused, Err(AppendFault::Unavailable(why)) if why.contains("reading only")));
    assert_eq!(log.head().await.unwrap(), next.expected);
}

async fn changed_bytes_are_found_by_name(mut site: impl Database) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    for _ in 0..5 {
        write(&mut log, &mut tale, 2, 2).await.unwrap();
    }
    let at = Position(9);
    let blob = |blob| CommitError::Blob { at, blob };
    let before = CommitError::Chain { at: Position(13) };
    for (column, other, found) in [
        ("kept", "(SELECT kept FROM commits WHERE first_position = 5)", blob("kept")),
        ("telemetry", "(SELECT telemetry FROM commits WHERE first_position = 5)", blob("telemetry")),
        ("last_position", "11", CommitError::Header { at }),
        ("committed_at", "committed_at + 1", CommitError::Header { at }),
        ("epoch", "epoch + 1", CommitError::Header { at }),
        ("reacted_index", "1", CommitError::Header { at }),
        ("kept_hash", "telemetry_hash", CommitError::Header { at }),
        ("prev_hash", "hash", CommitError::Chain { at }),
        ("hash", "prev_hash", CommitError::Header { at }),
        ("format", "99", CommitError::Future { at, format: 99 }),
    ] {
        site.say(&format!("CREATE TABLE kept_back AS SELECT {column} AS was FROM commits WHERE first_position = 9"))
            .await;
        site.say(&format!("UPDATE commits SET {column} = {other} WHERE first_position = 9")).await;
        assert_eq!(whole(&mut log).await.unwrap_err(), found, "{column}");
        let undo = format!("UPDATE commits SET {column} = (SELECT was FROM kept_back) WHERE first_position = 9");
        site.say(&format!("{undo}; DROP TABLE kept_back")).await;
    }
    // Hash and header made to fit each other: the commit after it tells.
    let mut forged = match &whole(&mut log).await.unwrap()[2] {
        Entry::Commit(commit) => commit.clone(),
        Entry::Seal(_) => unreachable!(),
    };
    forged.header.committed_at = Timestamp(forged.header.committed_at.0 + 1);
    let (time, hash) = (forged.header.committed_at.0, forged.header.hash());
    let hash =
        if site.log().await.kind() == "sqlite" { format!("x'{hash}'") } else { format!("decode('{hash}', 'hex')") };
    site.say(&format!("UPDATE commits SET committed_at = {time}, hash = {hash} WHERE first_position = 9")).await;
    assert_eq!(whole(&mut log).await.unwrap_err(), before);
    site.say("UPDATE commits SET node = 'nobody' WHERE first_position = 9").await;
    let error = log.read(Position(0), 10).await.unwrap_err().to_string();
    assert!(error.contains("commit 9") && error.contains("node is not a uuid"), "{error}");
}

async fn a_hole_is_found(mut site: impl Database) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    for _ in 0..5 {
        write(&mut log, &mut tale, 2, 2).await.unwrap();
    }
    site.say("DELETE FROM commits WHERE first_position = 9").await;
    let hole = CommitError::Hole { at: Position(13), expected: Position(9) };
    assert_eq!(whole(&mut log).await.unwrap_err(), hole);
}

async fn a_head_that_is_not_the_end_is_refused(mut site: impl Database) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    for _ in 0..3 {
        write(&mut log, &mut tale, 2, 2).await.unwrap();
    }
    site.say("DELETE FROM commits WHERE first_position = 9").await;
    let error = log.take_over(node()).await.unwrap_err().to_string();
    assert!(error.contains("ends at position 12") && error.contains("ends at 8"), "{error}");
}

async fn a_later_format_is_refused_by_name(mut site: impl Database) {
    site.log().await.close().await.unwrap();
    site.say("UPDATE meta SET format = 99").await;
    site.leave();
    for mode in [Mode::ReadOnly, Mode::Write] {
        let error = site.open(mode).await.unwrap_err();
        assert!(matches!(&error, StoreError::Future { found: 99, .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains(&format!("written by a later build (format 99, this build reads up to {STORE_FORMAT})")),
            "{error}"
        );
    }
}

/// From memory into the database: what `migrate` does from SQLite to PostgreSQL.
async fn a_log_moves_with_every_hash(mut site: impl Database) {
    let mut source = MemoryLog::default();
    let mut audit = Vec::new();
    for _ in 0..3 {
        let mut tale = Tale::new(source.take_over(node()).await.unwrap());
        for kept in 0..3 {
            let next = tale.next(2, kept);
            source.append(&next.commit, &next.audit, &next.expected).await.unwrap();
            audit.extend(next.audit);
        }
    }
    let mut log = site.log().await;
    let (first, second) = source.entries.split_at(4);
    log.adopt(first, &audit[..3], &Head::default()).await.unwrap();
    let middle = first[3].head();
    assert_eq!(log.head().await.unwrap(), middle);
    assert!(log.adopt(second, &audit[3..], &Head::default()).await.is_err(), "they go on elsewhere");
    assert!(log.adopt(&second[1..], &[], &middle).await.is_err(), "one is missing");
    log.adopt(second, &audit[3..], &middle).await.unwrap();
    assert_eq!(whole(&mut log).await.unwrap(), source.entries);
    assert_eq!(log.head().await.unwrap(), source.end());
    let rows = log.reader().audit(&AuditQuery { limit: 100, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(rows, audit.iter().map(AuditRow::of).collect::<Vec<_>>());
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    assert_eq!(tale.head.epoch, Epoch(4));
    write(&mut log, &mut tale, 1, 1).await.unwrap();
}
