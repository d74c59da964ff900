//! A data directory's log, read with the library and believed link by link.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tidehelm::store::{AuditQuery, Mode, Store, StoreConfig};
use tidehelm_actors::port::CommitLog;
use tidehelm_actors::restore::Restorer;
use tidehelm_actors::writer;
use tidehelm_events::answer::Answered;
use tidehelm_events::commit::{Entry, Hash, Head};
use tidehelm_events::envelope::{Class, Record};
use tidehelm_events::event::Event;
use tidehelm_events::id::{CommandId, Position, StreamId};
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;

/// Follows a log from its beginning: every entry checked, every event folded from zero without a snapshot.
pub struct Follower {
    place: Place,
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

/// Where a log is: in a data directory, or in PostgreSQL with the desk's own files in one.
#[derive(Clone)]
pub struct Place(StoreConfig);

impl From<&Path> for Place {
    fn from(dir: &Path) -> Self {
        let (lease, stall_after) = (Duration::from_secs(1), Duration::from_millis(900));
        Place(StoreConfig { data_dir: dir.into(), url: String::new(), lease, stall_after })
    }
}

impl Place {
    pub fn postgres(url: &str) -> Self {
        let mut place = Place::from(Path::new("/nowhere"));
        place.0.url = url.into();
        place
    }

    pub async fn open(&self, mode: Mode) -> Store {
        Store::open(&self.0, mode, Timestamp(1)).await.unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    /// The program is to look at this place.
    pub fn name_to(&self, command: &mut Command) {
        match self.0.url.is_empty() {
            true => command.arg("--data").arg(&self.0.data_dir),
            false => command.args(["--set", &format!("store.url={}", self.0.url)]),
        };
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.0.data_dir.display(), self.0.url)
    }
}

pub async fn open(dir: &Path, mode: Mode) -> Store {
    Place::from(dir).open(mode).await
}

impl Follower {
    pub fn new(place: &Place) -> Self {
        Follower {
            place: place.clone(),
            restorer: Restorer::new(Fold::default(), []),
            head: Head::default(),
            commits: 0,
            records: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    /// All of a log at once.
    pub fn read(dir: &Path) -> Self {
        let mut follower = Follower::new(&dir.into());
        follower.catch_up();
        follower
    }

    /// Reads what was written since, beside a running desk or after its end.
    pub fn catch_up(&mut self) {
        block_on(async {
            let mut store = self.place.open(Mode::ReadOnly).await;
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
        entry.check(&self.head).unwrap_or_else(|error| panic!("{:?}: {error}", self.place));
        self.restorer.entry(entry).unwrap_or_else(|error| panic!("{:?}: {error}", self.place));
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
pub fn restored_hash(place: &Place) -> (Position, Hash, Option<Position>) {
    block_on(async {
        let mut store = place.open(Mode::ReadOnly).await;
        let (restored, report) = writer::restore(&mut store, Position(u64::MAX), &[]).await.unwrap();
        store.close().await.unwrap();
        (restored.fold.truth.position(), restored.fold.truth.hash(), report.snapshot)
    })
}

/// Positions of the audit rows.
pub fn audited(place: &Place) -> Vec<u64> {
    block_on(async {
        let store = place.open(Mode::ReadOnly).await;
        let mut positions: Vec<u64> = Vec::new();
        loop {
            let after = Position(positions.last().copied().unwrap_or(0));
            let rows = store.reader().audit(&AuditQuery { after, limit: 1000, ..AuditQuery::default() }).await.unwrap();
            if rows.is_empty() {
                break;
            }
            positions.extend(rows.iter().map(|row| row.position.0));
        }
        store.close().await.unwrap();
        positions
    })
}

/// `tidehelm verify` finds nothing wrong.
#[track_caller]
pub fn verified(place: &Place) {
    let mut command = crate::desk::tidehelm();
    command.arg("verify");
    place.name_to(&mut command);
    let (exit, said) = crate::desk::run(&mut command);
    assert_eq!(exit, 0, "{said}");
}
