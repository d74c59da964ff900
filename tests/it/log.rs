//! A data directory's log, read with the library and believed link by link.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidehelm::store::{Mode, SqliteOptions, SqliteStore};
use tidehelm_actors::port::CommitLog;
use tidehelm_actors::restore::Restorer;
use tidehelm_actors::writer;
use tidehelm_events::answer::Answered;
use tidehelm_events::commit::{Entry, Hash, Head};
use tidehelm_events::envelope::{Class, Record};
use tidehelm_events::event::Event;
use tidehelm_events::id::{CommandId, Position, StreamId};
use tidehelm_events::view::Fold;

/// Follows a log from its beginning: every entry checked, every event folded from zero without a snapshot.
pub struct Follower {
    dir: PathBuf,
    restorer: Restorer,
    pub head: Head,
    pub commits: u64,
    pub records: Vec<Record>,
    /// Where each command's answer stands.
    pub answers: BTreeMap<CommandId, usize>,
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub async fn open(dir: &Path, mode: Mode) -> SqliteStore {
    let options = SqliteOptions::default();
    SqliteStore::open(dir, mode, options).await.unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
}

impl Follower {
    pub fn new(dir: &Path) -> Self {
        Follower {
            dir: dir.into(),
            restorer: Restorer::new(Fold::default(), []),
            head: Head::default(),
            commits: 0,
            records: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    /// All of a log at once.
    pub fn read(dir: &Path) -> Self {
        let mut follower = Follower::new(dir);
        follower.catch_up();
        follower
    }

    /// Reads what was written since, beside a running desk or after its end.
    pub fn catch_up(&mut self) {
        block_on(async {
            let mut store = open(&self.dir, Mode::ReadOnly).await;
            loop {
                let entries = store.read(self.head.position, 256).await.unwrap();
                if entries.is_empty() {
                    break;
                }
                entries.iter().for_each(|entry| self.take(entry));
            }
            store.close().await.unwrap();
        });
    }

    fn take(&mut self, entry: &Entry) {
        entry.check(&self.head).unwrap_or_else(|error| panic!("{}: {error}", self.dir.display()));
        self.restorer.entry(entry).unwrap_or_else(|error| panic!("{}: {error}", self.dir.display()));
        let Entry::Commit(commit) = entry else { panic!("nothing was cut in this test") };
        for record in commit.unpack().unwrap().records {
            assert_eq!(record.position.0, self.records.len() as u64 + 1, "positions have a hole");
            if let Event::Answered(answered) = &record.event {
                let known = self.answers.insert(answered.command_id, self.records.len());
                assert!(known.is_none(), "command {} is answered twice in the log", answered.command_id);
            }
            self.records.push(record);
        }
        self.commits += 1;
        self.head = entry.head();
    }

    /// The recorded answer to the command with this idempotency key.
    pub fn answer(&self, key: &str) -> Option<(&Record, &Answered)> {
        let record = &self.records[*self.answers.get(&CommandId::from_key(key))?];
        match &record.event {
            Event::Answered(answered) => Some((record, answered)),
            other => unreachable!("{other:?} is no answer"),
        }
    }

    pub fn at(&self, position: u64) -> &Record {
        &self.records[usize::try_from(position).unwrap() - 1]
    }

    pub fn stream(&self, record: &Record) -> &StreamId {
        self.restorer.fold().truth.names().get(record.stream).unwrap()
    }

    /// Hash of the state, folded from zero.
    pub fn state_hash(&self) -> Hash {
        self.restorer.fold().truth.hash()
    }

    pub fn business(&self) -> Vec<u64> {
        let business = self.records.iter().filter(|record| record.event.class() == Class::Business);
        business.map(|record| record.position.0).collect()
    }
}

/// The state's hash at the log's end as a restart computes it, and the snapshot that it began with.
pub fn restored_hash(dir: &Path) -> (Position, Hash, Option<Position>) {
    block_on(async {
        let mut store = open(dir, Mode::ReadOnly).await;
        let (restored, report) = writer::restore(&mut store, Position(u64::MAX), &[]).await.unwrap();
        store.close().await.unwrap();
        (restored.fold.truth.position(), restored.fold.truth.hash(), report.snapshot)
    })
}

/// Positions of the audit rows, read as any SQL client would.
pub fn audited(dir: &Path) -> Vec<u64> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(dir.join("tidehelm.db"), flags).unwrap();
    let mut rows = connection.prepare("SELECT position FROM audit_events ORDER BY position").unwrap();
    let positions = rows.query_map([], |row| row.get::<_, i64>(0)).unwrap();
    positions.map(|position| position.unwrap().unsigned_abs()).collect()
}
