//! The log's figures, each beside its peer in the same run: `make bench`. Ratios count, since machines differ.
//!
//! `cargo bench --bench log -- append` runs the parts whose names begin so: append, callers, replay, restart, actors.
//! `TIDEHELM_BENCH_EVENTS` says how many events the restart is measured with (10 million without it).
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidehelm::ambient::{DeskClock, uuid};
use tidehelm::store::{Mode, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};
use tidehelm_actors::desk::{Host, Parts, start};
use tidehelm_actors::journal::{Journal, Limits};
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::{AppendFault, Clock, CommitLog, Outlet, Store};
use tidehelm_actors::projector::Policy;
use tidehelm_actors::writer::{self, Job};
use tidehelm_events::account::{self, HeartbeatSeen, Registered, StateHash};
use tidehelm_events::answer::BodyHash;
use tidehelm_events::commit::{Entry, Unpacked};
use tidehelm_events::id::{AccountId, DeskId, NodeId, Position, Principal, Role, StreamId};
use tidehelm_events::react::Effect;
use tidehelm_events::time::Span;
use tidehelm_events::view::Fold;
use tokio::sync::oneshot;

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STREAMS: usize = 10_000;
const APPENDED: usize = 1_000_000;
const ACTORS: usize = 100_000;

struct Nowhere;
impl Outlet for Nowhere {
    fn restored(&mut self, _: &Fold) {}
    fn release(&mut self, _: Vec<Effect>) {}
}

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, dir, keep] = arguments.as_slice()
        && child == "--restarted"
    {
        return restarted(Path::new(dir), keep == "with");
    }
    let place = std::env::var_os("TIDEHELM_BENCH_DIR").map_or_else(|| std::env::current_dir().unwrap(), Into::into);
    let dir = tempfile::Builder::new().prefix(".bench-").tempdir_in(place).unwrap();
    let mut table = Table::default();
    let sync = sync_speed(dir.path());
    let tmpfs = if is_tmpfs(dir.path()) { ", tmpfs: no real disk" } else { "" };
    table.row("fdatasync of 4 KiB", format!("p50 {:.2} ms, p99 {:.2} ms{tmpfs}", sync.0 * 1e3, sync.1 * 1e3), "");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| part.starts_with(wanted.as_str()));
    if wants("append") || wants("replay") {
        let (journal, shape) = journal_sqlite(&dir.path().join("journal"), &mut table);
        let alone = journal_alone(&dir.path().join("alone"));
        table.row("journal and SQLite alone, without actors", rate(alone), "");
        let bare = bare_loop(dir.path(), &shape);
        let share = format!("journal is {:.0} %, with actors {:.0} %", 100.0 * alone / bare, 100.0 * journal / bare);
        table.row("bare loop, same bytes, same commits", rate(bare), share);
        let rows = rusqlite_rows(dir.path(), &shape);
        let share = format!("journal is {:.2} ×, with actors {:.2} ×", alone / rows, journal / rows);
        table.row("rusqlite, a row an event, same commits", rate(rows), share);
        postgres(&mut table, journal);
    }
    if wanted.iter().any(|wanted| wanted == "alone") {
        table.row("journal and SQLite alone, without actors", rate(journal_alone(&dir.path().join("alone"))), "");
    }
    if wants("callers") {
        callers(&dir.path().join("callers"), &mut table);
    }
    if wants("replay") {
        replay(&dir.path().join("journal"), &mut table);
    }
    if wants("restart") {
        restart(&dir.path().join("restart"), &mut table);
    }
    if wants("actors") {
        actors(&dir.path().join("actors"), &mut table);
    }
    table.print();
}

#[derive(Default)]
struct Table(Vec<(String, String, String)>);

impl Table {
    fn row(&mut self, what: impl Into<String>, figure: impl Into<String>, ratio: impl Into<String>) {
        let row = (what.into(), figure.into(), ratio.into());
        eprintln!("  {} — {} {}", row.0, row.1, row.2);
        self.0.push(row);
    }
    fn print(&self) {
        let width = |of: fn(&(String, String, String)) -> &String| {
            self.0.iter().map(|row| of(row).chars().count()).max().unwrap_or(0)
        };
        let (a, b) = (width(|row| &row.0), width(|row| &row.1));
        println!("\n{:<a$}  {:<b$}  beside it", "what", "figure");
        for (what, figure, ratio) in &self.0 {
            println!("{what:<a$}  {figure:<b$}  {ratio}");
        }
    }
}

fn rate(per_second: f64) -> String {
    format!("{:.0} events/s", per_second)
}

fn sync_speed(dir: &Path) -> (f64, f64) {
    let mut file = File::create(dir.join("sync")).unwrap();
    let mut took: Vec<f64> = (0..500)
        .map(|_| {
            file.write_all(&[7; 4096]).unwrap();
            let started = Instant::now();
            file.sync_data().unwrap();
            started.elapsed().as_secs_f64()
        })
        .collect();
    took.sort_by(f64::total_cmp);
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

fn is_tmpfs(dir: &Path) -> bool {
    let path = dir.canonicalize().unwrap();
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounted = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?.to_string(), fields.next()?.to_string()))
    });
    let best = mounted.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.len());
    best.is_some_and(|(_, kind)| kind == "tmpfs")
}

fn account(index: usize) -> AccountId {
    AccountId::new(format!("IC_Markets_{index}")).unwrap()
}

fn stream(index: usize) -> StreamId {
    StreamId::slave(&account(index))
}

/// A heartbeat whose record takes about 150 bytes on the wire of a terminal.
fn heartbeat(index: usize, round: usize) -> account::Command {
    account::Command::Heartbeat(HeartbeatSeen {
        balance: format!("{}.{:02}", 10_000 + index, round % 100).parse().unwrap(),
        equity: format!("{}.{:02}", 10_100 + index, round % 97).parse().unwrap(),
        free_margin: format!("{}.{:02}", 9_000 + index, round % 89).parse().unwrap(),
        open_positions: (index % 40) as u32,
        trade_allowed: true,
        state_hash: StateHash(*blake3::hash(&index.to_le_bytes()).as_bytes()),
        through_signal_seq: round as u64,
    })
}

fn order(clock: &DeskClock, to: StreamId, command: account::Command) -> Order {
    let now = clock.now();
    Order {
        to,
        command: Command::Account(command),
        by: Principal::Terminal,
        id: None,
        body: BodyHash(0),
        expected: None,
        occurred_at: now,
        received_at: now,
    }
}

fn registration() -> account::Command {
    account::Command::Register(Box::new(Registered {
        platform: "MT5".into(),
        broker: "IC Markets".into(),
        server: "Live".into(),
        name: "A trader".into(),
        currency: "USD".into(),
        leverage: 100,
        trade_allowed: true,
        ea_version: "1.0".into(),
        ..Registered::default()
    }))
}

/// A desk on its own thread, with the store that is given.
struct Desk {
    host: Host,
    clock: Arc<DeskClock>,
}

impl Desk {
    async fn start(mut store: Box<dyn Store>, wait: Span, every: u64) -> Desk {
        let node = NodeId(uuid());
        let (restored, head, _) = writer::open(&mut *store, node, &[]).await.unwrap();
        let clock = Arc::new(DeskClock::default());
        let (sender, receiver) = std::sync::mpsc::channel();
        let limits = Limits { telemetry_wait: wait, ..Limits::default() };
        let parts_clock = clock.clone();
        actix::Arbiter::new().spawn_fn(move || {
            let parts = Parts {
                store,
                clock: parts_clock,
                outlet: Box::new(Nowhere),
                node,
                new_desk: DeskId(uuid()),
                build: "bench".into(),
                limits,
                policy: Policy { every_events: every, every: Span::hours(9) },
                mailbox: 256,
                inflight_max: 1 << 20,
                tick: Duration::from_millis(250),
                renew_every: Duration::from_secs(2),
                restored,
                head,
            };
            sender.send(start(parts)).unwrap();
        });
        Desk { host: receiver.recv().unwrap().unwrap(), clock }
    }

    async fn register(&self, count: usize) {
        for start in (0..count).step_by(10_000) {
            let wait = |index| self.host.send(order(&self.clock, stream(index), registration())).unwrap();
            let sent: Vec<_> = (start..count.min(start + 10_000)).map(wait).collect();
            for receiver in sent {
                receiver.await.unwrap().unwrap();
            }
        }
    }

    /// Sends heartbeats with at most so many under way, and says how many a second became durable.
    async fn beat(&self, count: usize, streams: usize, window: usize) -> f64 {
        let orders: Vec<_> = (0..streams).map(|index| (stream(index), heartbeat(index, 1))).collect();
        let first = self.host.durable.head().position.0;
        let started = Instant::now();
        let mut sent = 0;
        while sent < count {
            let durable = (self.host.durable.head().position.0 - first) as usize;
            let room = (durable + window).saturating_sub(sent).min(count - sent);
            for _ in 0..room {
                let (to, command) = &orders[sent % streams];
                match self.host.send(order(&self.clock, to.clone(), command.clone())) {
                    Ok(_nobody_waits) => sent += 1,
                    Err(_) => break,
                }
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        assert!(
            self.host.durable.shows(Position(first + count as u64), Duration::from_secs(60)).await,
            "not all became durable"
        );
        count as f64 / started.elapsed().as_secs_f64()
    }
}

/// What a run committed: so many bytes and events in each commit.
struct Shape {
    commits: Vec<(Vec<u8>, usize)>,
}

fn journal_sqlite(dir: &Path, table: &mut Table) -> (f64, Shape) {
    let per_second = actix::System::new().block_on(async {
        let desk = Desk::start(sqlite(dir).await, Span::millis(20), u64::MAX).await;
        desk.register(STREAMS).await;
        desk.beat(STREAMS * 2, STREAMS, 40_000).await;
        let per_second = desk.beat(APPENDED, STREAMS, 60_000).await;
        desk.host.stop().await;
        per_second
    });
    let shape = actix::System::new().block_on(async {
        let mut store = SqliteStore::open(dir, Mode::ReadOnly, SqliteOptions::default()).await.unwrap();
        let mut commits = Vec::new();
        let mut after = Position(0);
        loop {
            let entries = store.read(after, 500).await.unwrap();
            let Some(last) = entries.last() else { break };
            after = last.head().position;
            for entry in entries {
                if let Entry::Commit(commit) = entry
                    && commit.header.telemetry_count > 0
                {
                    let count = commit.header.telemetry_count as usize;
                    commits.push((commit.telemetry.unwrap_or_default(), count));
                }
            }
        }
        Shape { commits }
    });
    let events: usize = shape.commits.iter().map(|commit| commit.1).sum();
    let bytes: usize = shape.commits.iter().map(|commit| commit.0.len()).sum();
    let file = std::fs::metadata(dir.join("tidehelm.db")).unwrap().len() as f64;
    table.row(
        "journal and SQLite, heartbeats over 10,000 streams",
        rate(per_second),
        format!("{} commits", shape.commits.len()),
    );
    table.row(
        "bytes an event",
        format!("{:.0} packed", bytes as f64 / events as f64),
        format!("{:.0} in the file", file / events as f64),
    );
    (per_second, shape)
}

/// The journal with its writer thread, one commit in flight while the next is gathered.
fn journal_alone(dir: &Path) -> f64 {
    actix::System::new().block_on(async {
        let mut store = sqlite(dir).await;
        let node = NodeId(uuid());
        let (restored, head, _) = writer::open(&mut *store, node, &[]).await.unwrap();
        let (jobs, _thread) = writer::spawn(store, node, vec![]).unwrap();
        let mut journal: Journal<()> = Journal::new(restored, head, node, Limits::default());
        let clock = DeskClock::default();
        let mut flight: Option<oneshot::Receiver<Result<(), AppendFault>>> = None;
        for index in 0..STREAMS {
            journal.submit(order(&clock, stream(index), registration()), (), clock.now()).unwrap();
        }
        let orders: Vec<_> = (0..STREAMS).map(|index| order(&clock, stream(index), heartbeat(index, 1))).collect();
        let mut started = Instant::now();
        for sent in 0..APPENDED + STREAMS * 10 {
            if sent == STREAMS * 10 {
                started = Instant::now();
            }
            let now = clock.now();
            journal.submit(Order { received_at: now, ..orders[sent % STREAMS].clone() }, (), now).unwrap();
            if sent % 20_000 == 19_999 {
                if let Some(written) = flight.take() {
                    written.await.unwrap().unwrap();
                    journal.durable();
                }
                let (done, outcome) = oneshot::channel();
                let sealed = journal.seal(clock.now()).unwrap();
                jobs.send(Job::Append(Box::new(sealed), done)).await.ok().unwrap();
                flight = Some(outcome);
            }
        }
        flight.unwrap().await.unwrap().unwrap();
        journal.durable();
        APPENDED as f64 / started.elapsed().as_secs_f64()
    })
}

async fn sqlite(dir: &Path) -> Box<dyn Store> {
    Box::new(
        SqliteStore::open(
            dir,
            Mode::Write,
            SqliteOptions { now: tidehelm::ambient::wall(), ..SqliteOptions::default() },
        )
        .await
        .unwrap(),
    )
}

fn bare_loop(dir: &Path, shape: &Shape) -> f64 {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join("bare")).unwrap();
    let started = Instant::now();
    for (bytes, _) in &shape.commits {
        file.write_all(bytes).unwrap();
        file.sync_data().unwrap();
    }
    shape.commits.iter().map(|commit| commit.1).sum::<usize>() as f64 / started.elapsed().as_secs_f64()
}

fn rusqlite_rows(dir: &Path, shape: &Shape) -> f64 {
    let mut db = rusqlite::Connection::open(dir.join("rows.db")).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE events(position INTEGER PRIMARY KEY, stream INTEGER, version INTEGER, payload BLOB)",
    )
    .unwrap();
    let (started, mut position) = (Instant::now(), 0i64);
    for (bytes, count) in &shape.commits {
        let size = bytes.len() / count;
        let transaction = db.transaction().unwrap();
        {
            let mut insert = transaction.prepare("INSERT INTO events VALUES (?1, ?2, ?3, ?4)").unwrap();
            for piece in bytes.chunks(size.max(1)).take(*count) {
                position += 1;
                insert.execute((position, position % 10_000, position / 10_000, piece)).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
    position as f64 / started.elapsed().as_secs_f64()
}

/// The same through PostgreSQL, where the run was given one: `make bench` starts its own.
fn postgres(table: &mut Table, sqlite: f64) {
    let url = std::env::var("TIDEHELM_TEST_POSTGRES_SOCKET").or_else(|_| std::env::var("TIDEHELM_TEST_POSTGRES"));
    let Ok(url) = url else {
        return table.row("journal and PostgreSQL", "not run: TIDEHELM_TEST_POSTGRES is not set", "");
    };
    let per_second = actix::System::new().block_on(async {
        let options = PostgresOptions { now: tidehelm::ambient::wall(), ..PostgresOptions::default() };
        let store = Box::new(PostgresStore::open(&url, Mode::Write, options).await.unwrap());
        let desk = Desk::start(store, Span::millis(20), u64::MAX).await;
        desk.register(STREAMS).await;
        let per_second = desk.beat(APPENDED, STREAMS, 60_000).await;
        desk.host.stop().await;
        per_second
    });
    table.row("journal and PostgreSQL", rate(per_second), format!("{:.0} % of SQLite", 100.0 * per_second / sqlite));
}

/// Callers that wait for each heartbeat to be durable before the next.
fn callers(dir: &Path, table: &mut Table) {
    actix::System::new().block_on(async {
        let desk = Arc::new(Desk::start(sqlite(dir).await, Span::micros(0), u64::MAX).await);
        desk.register(512).await;
        for count in [1, 64, 512] {
            let took = Arc::new(std::sync::Mutex::new(Vec::new()));
            let done = Arc::new(AtomicU64::new(0));
            let (started, until) = (Instant::now(), Instant::now() + Duration::from_secs(3));
            let tasks: Vec<_> = (0..count)
                .map(|index| {
                    let (desk, took, done) = (desk.clone(), took.clone(), done.clone());
                    actix::spawn(async move {
                        let mut own = Vec::new();
                        while Instant::now() < until {
                            let asked = Instant::now();
                            desk.host
                                .ask(order(&desk.clock, stream(index), heartbeat(index, own.len())))
                                .await
                                .unwrap();
                            own.push(asked.elapsed());
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        took.lock().unwrap().extend(own);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let per_second = done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
            let mut took = std::mem::take(&mut *took.lock().unwrap());
            took.sort();
            let at = |share: f64| took[(took.len() as f64 * share) as usize].as_secs_f64() * 1e3;
            table.row(
                format!("{count} callers, each waits until durable"),
                rate(per_second),
                format!("p50 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.99)),
            );
        }
        desk.host.stop().await;
    });
}

/// Decode and fold, on one core, from memory.
fn replay(dir: &Path, table: &mut Table) {
    let entries = actix::System::new().block_on(async {
        let mut store = SqliteStore::open(dir, Mode::ReadOnly, SqliteOptions::default()).await.unwrap();
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = entries.last().map_or(Position(0), |entry| entry.head().position);
            let more = store.read(after, 500).await.unwrap();
            if more.is_empty() {
                return entries;
            }
            entries.extend(more);
        }
    });
    let best = (0..3)
        .map(|_| {
            let (mut fold, mut space) = (Fold::default(), Unpacked::default());
            let started = Instant::now();
            for entry in &entries {
                if let Entry::Commit(commit) = entry {
                    fold.apply_commit(commit, &mut space, |_, _| {}).unwrap();
                }
            }
            fold.truth.position().0 as f64 / started.elapsed().as_secs_f64()
        })
        .fold(0.0, f64::max);
    table.row("replay: decode and fold, one core", rate(best), "bar: 5 million/s");
}

fn restart(dir: &Path, table: &mut Table) {
    let wanted: usize =
        std::env::var("TIDEHELM_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
    actix::System::new().block_on(async {
        let desk = Desk::start(sqlite(dir).await, Span::millis(20), u64::MAX).await;
        desk.register(STREAMS).await;
        let per_second = desk.beat(wanted, STREAMS, 60_000).await;
        table.row(format!("the same, {} million events", wanted / 1_000_000), rate(per_second), "");
        desk.host.stop().await;
    });
    for (what, keep) in [("without snapshots", "without"), ("with snapshots", "with")] {
        let own = std::env::current_exe().unwrap();
        let child = std::process::Command::new(own).arg("--restarted").arg(dir).arg(keep).output().unwrap();
        let said = String::from_utf8_lossy(&child.stdout).trim().to_string();
        let (ready, memory) =
            said.split_once(' ').unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&child.stderr)));
        table.row(
            format!("restart with {} million events, {what}", wanted / 1_000_000),
            format!("{ready} s"),
            format!("{memory} MB resident"),
        );
    }
}

/// In a process of its own: opens the log, is ready, and says how long that took and what it holds.
fn restarted(dir: &Path, keep: bool) {
    actix::System::new().block_on(async {
        let started = Instant::now();
        let mut store = sqlite_again(dir).await;
        if !keep {
            for (position, _) in store.list().await.unwrap() {
                store.discard(position).await.unwrap();
            }
        }
        let desk = Desk::start(store, Span::millis(20), 200_000).await;
        let ready = started.elapsed().as_secs_f64();
        println!("{ready:.2} {}", resident() / 1024);
        desk.host.ask(order(&desk.clock, stream(0), heartbeat(0, 1))).await.unwrap();
        desk.host.stop().await;
    });
}

/// The lock of the desk before is given up a moment after it has stopped.
async fn sqlite_again(dir: &Path) -> Box<dyn Store> {
    let options = || SqliteOptions { now: tidehelm::ambient::wall(), ..SqliteOptions::default() };
    for _ in 0..500 {
        if let Ok(store) = SqliteStore::open(dir, Mode::Write, options()).await {
            return Box::new(store);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the directory stays locked");
}

fn actors(dir: &Path, table: &mut Table) {
    actix::System::new().block_on(async {
        let desk = Desk::start(sqlite(dir).await, Span::millis(20), u64::MAX).await;
        desk.register(1_000).await;
        let before = resident();
        let mut sent = Vec::new();
        for index in 1_000..ACTORS + 1_000 {
            let order = order(&desk.clock, StreamId::Account(Role::Slave, account(index)), registration());
            sent.push(desk.host.send(order).unwrap());
            if sent.len() >= 5_000 {
                for receiver in sent.drain(..) {
                    receiver.await.unwrap().unwrap();
                }
            }
        }
        for receiver in sent {
            receiver.await.unwrap().unwrap();
        }
        let each = (resident().saturating_sub(before)) as f64 * 1024.0 / ACTORS as f64;
        table.row(
            format!("{ACTORS} account actors"),
            format!("{each:.0} bytes each"),
            "with the accepted and the durable state; bar: 4096",
        );
        desk.host.stop().await;
    });
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}
