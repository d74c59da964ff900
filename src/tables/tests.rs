//! The tables say what the fold says: from the beginning, in pieces, after a cut, after they were emptied, across midnight.

use super::Tables;
use super::gather::{day, days_of};
use crate::ambient;
use crate::store::models::{DayRow, Model, RequestQuery, RequestRow};
use crate::store::retention::Limits;
use crate::store::{Mode, Reader, SqliteOptions, SqliteStore, Store};
use crate::walk::Walk;
use tidehelm_actors::journal::{self, Journal};
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::{CommitLog, LogFault, Saved};
use tidehelm_actors::writer::restore;
use tidehelm_events::answer::BodyHash;
use tidehelm_events::commit::Hash;
use tidehelm_events::desk::{self, TelemetryCut};
use tidehelm_events::endpoint::{
    self, Api, Ending, Outcome, ProxyCommand, ProxySettings, RequestFinished, Settings, Tokens, TokensKnown,
};
use tidehelm_events::id::{CredentialId, DeskId, EndpointId, NodeId, Position, Principal, StreamId};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::truth;
use uuid::Uuid;

struct Desk {
    _dir: tempfile::TempDir,
    store: Store,
    journal: Journal<()>,
    now: Timestamp,
    seq: u64,
}

fn id(number: u64) -> EndpointId {
    EndpointId(Uuid::from_u128(0x0e9d_0000 + u128::from(number)))
}

impl Desk {
    /// With three endpoints, at this time.
    async fn open(now: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions::default();
        let store = SqliteStore::open(&dir.path().join("data"), Mode::Write, options).await.unwrap();
        let mut store = Store::Sqlite(store);
        let head = store.take_over(node()).await.unwrap();
        let (restored, _) = restore(&mut store, Position(u64::MAX), &[]).await.unwrap();
        let journal = Journal::new(restored, head, node(), journal::Limits::default());
        let mut desk = Desk { _dir: dir, store, journal, now: time(now), seq: 0 };
        let opening = desk::Command::Open { desk: DeskId(Uuid::from_u128(3)), build: "test".into() };
        desk.tell(StreamId::Desk, Command::Desk(opening));
        for number in 1..=3 {
            let (name, base_url) = (format!("box {number}"), format!("http://box-{number}.example:8000"));
            let settings = Box::new(Settings { name, base_url, ..Settings::default() });
            desk.tell(StreamId::Endpoint(id(number)), Command::Endpoint(endpoint::Command::Register(settings)));
        }
        desk.commit().await;
        desk
    }

    fn tell(&mut self, to: StreamId, command: Command) {
        let (occurred_at, received_at) = (self.now, self.now);
        let (by, id, body, expected) = (Principal::Desk, None, BodyHash(0), None);
        let order = Order { to, command, by, id, body, expected, occurred_at, received_at };
        self.journal.submit(order, (), self.now).unwrap();
    }

    async fn commit(&mut self) {
        while let Some(sealed) = self.journal.seal(self.now) {
            self.store.append(&sealed.commit, &sealed.audit, &sealed.expected).await.unwrap();
            self.journal.durable();
        }
    }

    /// One of many kinds of requests, told by its endpoint, or by none.
    fn request(&mut self) {
        self.seq += 1;
        let seq = self.seq;
        let outcome = Outcome::ALL[(seq % 5) as usize];
        let finished = RequestFinished {
            request: Uuid::from_u128(seq.into()),
            run: 7,
            seq,
            model: format!("model-{}", seq % 4),
            api: if seq.is_multiple_of(2) { Api::ChatCompletions } else { Api::Embeddings },
            outcome,
            http_status: (outcome == Outcome::Success).then_some(200),
            tokens: Tokens { input: 40 + seq, output: seq % 90, known: TokensKnown::Reported },
            duration: Span::millis(20 + (seq % 70) as i64),
            first_byte: (!seq.is_multiple_of(3)).then_some(Span::millis(9)),
            ending: Ending::Whole,
            client: (!seq.is_multiple_of(6)).then(|| format!("192.0.2.{}", seq % 6)),
            key: (!seq.is_multiple_of(2)).then_some(CredentialId(Uuid::from_u128(9))),
        };
        let finished = Box::new(finished);
        match seq % 4 {
            0 => self.tell(StreamId::Proxy, Command::Proxy(ProxyCommand::FinishRequest(finished))),
            number => self.tell(
                StreamId::Endpoint(id(number)),
                Command::Endpoint(endpoint::Command::FinishRequest { finished, jitter: 500 }),
            ),
        }
    }

    async fn requests(&mut self, count: usize) {
        for _ in 0..count {
            self.now = self.now + Span::millis(100);
            self.request();
        }
        self.commit().await;
    }

    async fn zone(&mut self, zone: &str) {
        let settings = Box::new(ProxySettings { zone: zone.into(), ..ProxySettings::default() });
        self.tell(StreamId::Proxy, Command::Proxy(ProxyCommand::Change(settings)));
        self.commit().await;
    }

    /// Brings tables to the end of the log, as far as they are not there.
    async fn fill(&mut self, mut tables: Tables) -> usize {
        let mut walk = Walk::after(&mut self.store, tables.looked()).await.unwrap();
        let mut rows = 0;
        loop {
            let step = walk.step(&mut self.store, |seen| {
                tables.take_in(seen.record, seen.stream);
                Ok::<_, LogFault>(())
            });
            let ended = step.await.unwrap().is_none();
            tables.looked_to(walk.position());
            rows += tables.write(&mut self.store).await.unwrap();
            if ended {
                return rows + tables.finish(&mut self.store).await.unwrap();
            }
        }
    }

    async fn follow(&mut self) -> usize {
        let end = self.store.head().await.unwrap().position;
        let tables = Tables::open(&mut self.store, end).await.unwrap();
        self.fill(tables).await
    }

    async fn cut(&mut self) -> Position {
        let through = self.begin_cut().await;
        self.end_cut(through).await;
        through
    }

    async fn end_cut(&mut self, through: Position) {
        while self.store.cut_piece(through).await.unwrap().is_some() {}
    }

    /// It is recorded, and nothing is removed yet.
    async fn begin_cut(&mut self) -> Position {
        let reached = self.store.reader().checkpoint(Model::Requests).await.unwrap().unwrap().position;
        let limits = Limits { age: Span(0), bytes: 0, through: reached };
        let due = self.store.reader().due(self.now, limits).await.unwrap().unwrap();
        assert!(due.through <= reached);
        let (restored, _) = restore(&mut self.store, due.through, &[]).await.unwrap();
        let bytes = restored.fold.to_bytes();
        let (hash, at, build) = (Hash::of(&bytes), self.now, "test".to_string());
        let base = Saved { position: due.through, schema: truth::SCHEMA, build, at, hash, bytes };
        self.store.save_base(&base).await.unwrap();
        let cut = TelemetryCut { through: due.through, base_hash: hash, events: due.events };
        self.tell(StreamId::Desk, Command::Desk(desk::Command::NoteCut(cut)));
        self.commit().await;
        due.through
    }

    fn reader(&self) -> Reader {
        self.store.reader()
    }
    async fn rows(&self) -> Vec<RequestRow> {
        let all = RequestQuery { limit: 100_000, ..RequestQuery::default() };
        self.reader().requests(&all).await.unwrap().rows
    }
    async fn days(&self) -> Vec<DayRow> {
        self.reader().request_days("", "9999").await.unwrap()
    }

    /// The tables against what was told, and against the fold.
    async fn check(&self) {
        let rows = self.rows().await;
        let mut seqs: Vec<u64> =
            rows.iter().map(|row| Uuid::parse_str(&row.request_id).unwrap().as_u128() as u64).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=self.seq).collect::<Vec<_>>(), "every request is there, once");
        let (restored, _) = restore(&mut self.store.twin(), Position(u64::MAX), &[]).await.unwrap();
        let fold = restored.fold;
        assert_eq!(self.days().await, days_of(&fold), "the days are those of the fold");
        let view = &fold.views.endpoints;
        let sum = |of: fn(&RequestRow) -> i64| rows.iter().map(of).sum::<i64>();
        assert_eq!(sum(|_| 1) as u64, view.total.total());
        assert_eq!(sum(|row| i64::from(row.outcome == "success")) as u64, view.total.success());
        assert_eq!(sum(|row| row.output_tokens) as u64, view.total.tokens.output());
        for number in 1..=3 {
            let own = rows.iter().filter(|row| row.endpoint_id == Some(id(number).to_string())).count();
            assert_eq!(own as u64, view.share(Some(id(number))).unwrap().tally.total(), "endpoint {number}");
        }
    }
}

fn node() -> NodeId {
    NodeId(Uuid::from_u128(7))
}

fn time(text: &str) -> Timestamp {
    match crate::cli::time::parse(text, 0).unwrap() {
        crate::cli::time::Moment::TimeMs(ms) => Timestamp::from_millis(ms),
        crate::cli::time::Moment::Position(_) => panic!("{text}"),
    }
}

#[tokio::test]
async fn the_tables_say_what_the_fold_says_however_they_were_filled() {
    let mut desk = Desk::open("2026-01-31T10:00:00Z").await;
    desk.requests(300).await;
    assert!(desk.follow().await > 300);
    desk.check().await;
    assert_eq!(desk.follow().await, 0, "nothing twice");
    for count in [1, 0, 40, 250] {
        desk.requests(count).await;
        desk.follow().await;
        desk.check().await;
    }
    // One that was emptied is filled without the others being written again.
    for model in Model::ALL {
        let tables = Tables::anew(&mut desk.store, model).await.unwrap();
        desk.fill(tables).await;
        desk.check().await;
    }
    desk.store.clear(Model::RequestDays, Position(0)).await.unwrap();
    desk.requests(10).await;
    desk.follow().await;
    desk.check().await;
}

#[tokio::test]
async fn a_cut_takes_nothing_from_the_tables_and_a_rebuild_after_it_neither() {
    let mut desk = Desk::open("2026-01-31T23:59:50Z").await;
    desk.requests(200).await;
    desk.follow().await;
    desk.requests(100).await;
    let reached = desk.reader().checkpoint(Model::Requests).await.unwrap().unwrap().position;
    assert!(desk.cut().await <= reached, "what the table has not seen is not cut");
    assert!(desk.reader().cut_through().await.unwrap() > Position(0));
    desk.follow().await;
    desk.check().await;
    for model in [Model::Requests, Model::RequestDays] {
        let tables = Tables::anew(&mut desk.store, model).await.unwrap();
        assert!(tables.looked() > Position(0), "it begins where the log does");
        assert!(desk.fill(tables).await > 0);
        desk.check().await;
    }
    // In another store there is only the base and what comes after it: the days are whole all the same.
    desk.store.clear(Model::RequestDays, Position(0)).await.unwrap();
    let tables = Tables::anew(&mut desk.store, Model::RequestDays).await.unwrap();
    desk.fill(tables).await;
    desk.check().await;
}

#[tokio::test]
async fn a_table_that_begins_anew_beside_a_cut_loses_nothing() {
    let mut desk = Desk::open("2026-01-31T10:00:00Z").await;
    desk.requests(200).await;
    desk.follow().await;
    desk.requests(100).await;
    let through = desk.begin_cut().await;
    let tables = Tables::anew(&mut desk.store, Model::Requests).await.unwrap();
    desk.end_cut(through).await;
    desk.fill(tables).await;
    desk.follow().await;
    desk.check().await;
}

#[tokio::test]
async fn a_day_ends_at_midnight_of_the_zone_that_holds_then() {
    for (zone, start, days) in [
        ("UTC", "2026-01-31T23:59:55Z", ["2026-01-31", "2026-02-01"]),
        ("Asia/Tokyo", "2026-01-31T14:59:55Z", ["2026-01-31", "2026-02-01"]),
        ("America/New_York", "2026-03-01T04:59:55Z", ["2026-02-28", "2026-03-01"]),
    ] {
        let mut desk = Desk::open(start).await;
        desk.zone(zone).await;
        desk.requests(100).await;
        desk.follow().await;
        desk.check().await;
        let mut found: Vec<String> = desk.days().await.into_iter().map(|row| row.day).collect();
        found.dedup();
        assert_eq!(found, days, "{zone}");
        let count = |day: &str, rows: &[DayRow]| {
            rows.iter().filter(|row| row.day == day).map(|row| row.success + row.failed).sum::<i64>()
        };
        let rows = desk.days().await;
        assert_eq!((count(days[0], &rows), count(days[1], &rows)), (49, 51), "{zone}: one every 100 ms");
        // Another zone counts from then on, also where the table goes on after a restart, and where it is built anew.
        desk.zone("Pacific/Kiritimati").await;
        desk.requests(20).await;
        desk.follow().await;
        desk.check().await;
        // Also where the checkpoint comes after the change.
        desk.requests(20).await;
        desk.follow().await;
        desk.check().await;
        let tables = Tables::anew(&mut desk.store, Model::RequestDays).await.unwrap();
        desk.fill(tables).await;
        desk.check().await;
    }
    assert_eq!([day(0), day(20_484)], ["1970-01-01", "2026-01-31"].map(String::from));
}

#[tokio::test]
async fn forty_thousand_requests_of_one_batch_are_taken_in_at_once() {
    let mut desk = Desk::open("2026-01-31T10:00:00Z").await;
    for _ in 0..40 {
        for _ in 0..1_000 {
            desk.request();
        }
        desk.commit().await;
    }
    let began = ambient::stopwatch();
    let rows = desk.follow().await;
    let took = began.elapsed();
    println!("{rows} rows in {took:?}");
    assert!(rows >= 40_000 && took < std::time::Duration::from_secs(60), "{rows} rows in {took:?}");
    desk.check().await;
}
