//! What every log must do, held against memory, SQLite and PostgreSQL.

mod sample;

use self::sample::{Tale, node};
use crate::store::{Mode, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};
use std::future::Future;
use std::time::Duration;
use tidehelm_actors::memory::MemoryLog;
use tidehelm_actors::port::{AppendFault, CommitLog, Depot, Saved};
use tidehelm_events::commit::{Entry, Hash, Head};
use tidehelm_events::id::{Epoch, Position};
use tidehelm_events::time::Timestamp;

/// A store of its own for each test.
trait Site {
    type Log: CommitLog + Depot + 'static;
    /// A handle on the store; the store itself is made by the first.
    fn log(&mut self) -> impl Future<Output = Self::Log>;
}

struct InMemory;

impl Site for InMemory {
    type Log = MemoryLog;
    async fn log(&mut self) -> MemoryLog {
        MemoryLog::default()
    }
}

struct OnSqlite {
    dir: tempfile::TempDir,
    first: Option<SqliteStore>,
    options: SqliteOptions,
}

impl OnSqlite {
    fn new() -> Self {
        let options = SqliteOptions { stall_after: Duration::from_millis(800), ..SqliteOptions::default() };
        OnSqlite { dir: tempfile::tempdir().unwrap(), first: None, options }
    }
}

impl Site for OnSqlite {
    type Log = SqliteStore;
    async fn log(&mut self) -> SqliteStore {
        let first = match self.first.take() {
            Some(first) => first,
            None => SqliteStore::open(&self.dir.path().join("data"), Mode::Write, self.options.clone()).await.unwrap(),
        };
        let twin = first.twin();
        self.first = Some(first);
        twin
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
        let schema = format!("{test}_{}", std::process::id());
        let stall_after = Duration::from_millis(800);
        let options = PostgresOptions { schema, stall_after, ..PostgresOptions::default() };
        Some(OnPostgres { url, options })
    }
}

impl Site for OnPostgres {
    type Log = PostgresStore;
    async fn log(&mut self) -> PostgresStore {
        PostgresStore::open(&self.url, Mode::Write, self.options.clone()).await.unwrap()
    }
}

macro_rules! suite {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::$name(super::InMemory).await })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::OnSqlite::new()).await })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() {
                if let Some(site) = super::OnPostgres::new(stringify!($name)) {
                    super::$name(site).await
                }
            })*
        }
    };
}

suite! {
    what_is_appended_is_read
    a_wrong_head_is_a_conflict
    an_older_epoch_is_fenced
    folds_are_kept_and_found
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
