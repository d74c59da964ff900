//! Cutting telemetry away without losing what follows from it.

use super::sample::{Tale, node};
use super::{Database, whole, write};
use crate::store::Store;
use crate::store::retention::Limits;
use tidehelm_actors::journal::{self, Journal};
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::{CommitLog, Depot, Saved};
use tidehelm_actors::restore::Restored;
use tidehelm_actors::writer::restore;
use tidehelm_events::account::{self, HeartbeatSeen, Registered, StateHash};
use tidehelm_events::answer::BodyHash;
use tidehelm_events::commit::{Entry, Hash};
use tidehelm_events::desk::{self, TelemetryCut};
use tidehelm_events::id::{AccountId, DeskId, Position, Principal, StreamId};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::truth;
use uuid::Uuid;

/// A desk of three accounts over a store.
struct Desk {
    store: Store,
    journal: Journal<()>,
    now: Timestamp,
}

impl Desk {
    async fn open(mut store: Store) -> Self {
        let head = store.take_over(node()).await.unwrap();
        let (restored, _) = restore(&mut store, Position(u64::MAX), &[]).await.unwrap();
        let journal = Journal::new(restored, head, node(), journal::Limits::default());
        let mut desk = Desk { store, journal, now: Timestamp::from_millis(1_700_000_000_000).max(head.committed_at) };
        if desk.journal.truth().desk_id().is_none() {
            let opening = desk::Command::Open { desk: DeskId(Uuid::from_u128(3)), build: "test".into() };
            desk.tell(StreamId::Desk, Command::Desk(opening));
            let (master, slave) = (AccountId::new("M_1").unwrap(), AccountId::new("S_1").unwrap());
            for stream in accounts() {
                desk.tell(stream, Command::Account(account::Command::Register(Box::new(registered()))));
            }
            desk.tell(
                StreamId::slave(&slave),
                Command::Account(account::Command::Link { master, enabled: true, settings: Box::default() }),
            );
            desk.commit().await;
        }
        desk
    }

    fn tell(&mut self, to: StreamId, command: Command) {
        let (occurred_at, received_at) = (self.now, self.now);
        let (by, id, body, expected) = (Principal::Desk, None, BodyHash(0), None);
        self.journal
            .submit(Order { to, command, by, id, body, expected, occurred_at, received_at }, (), self.now)
            .unwrap();
    }

    async fn commit(&mut self) {
        let Some(sealed) = self.journal.seal(self.now) else { return };
        self.store.append(&sealed.commit, &sealed.audit, &sealed.expected).await.unwrap();
        self.journal.durable();
    }

    /// So many seconds of heartbeats, with a switch now and then.
    async fn live(&mut self, seconds: u32) {
        for second in 0..seconds {
            self.now = self.now + Span::seconds(1);
            for stream in accounts() {
                self.tell(stream, Command::Account(account::Command::Heartbeat(heartbeat(second))));
            }
            if second % 7 == 3 {
                let enabled = second % 2 == 0;
                let stream = accounts()[second as usize % 3].clone();
                self.tell(stream, Command::Account(account::Command::SetIntent { enabled }));
            }
            self.commit().await;
        }
    }

    /// Everything that retention does, in its order.
    async fn cut(&mut self, limits: Limits) -> u64 {
        let due = self.store.reader().due(self.now, limits).await.unwrap().unwrap();
        let (Restored { fold, debts }, _) = restore(&mut self.store, due.through, &[]).await.unwrap();
        assert!(debts.is_empty() && fold.truth.position() == due.through, "nothing is owed where a cut ends");
        let bytes = fold.to_bytes();
        let base = saved(due.through, bytes);
        self.store.save_base(&base).await.unwrap();
        let cut = TelemetryCut { through: due.through, base_hash: base.hash, events: due.events };
        self.tell(StreamId::Desk, Command::Desk(desk::Command::NoteCut(cut)));
        self.commit().await;
        let mut removed = 0;
        while let Some(piece) = self.store.cut_piece(due.through).await.unwrap() {
            removed += piece.events;
        }
        assert_eq!(removed, due.events, "as many as were announced");
        assert_eq!(self.store.reader().cut_through().await.unwrap(), due.through);
        assert_eq!(self.store.base().await.unwrap(), Some(base));
        removed
    }
}

fn limits(age: Span, bytes: u64) -> Limits {
    Limits { age, bytes, through: Position(u64::MAX) }
}

fn saved(position: Position, bytes: Vec<u8>) -> Saved {
    let (hash, at, build) = (Hash::of(&bytes), Timestamp(1), "test".into());
    Saved { position, schema: truth::SCHEMA, build, at, hash, bytes }
}

fn accounts() -> [StreamId; 3] {
    let account = |name| AccountId::new(name).unwrap();
    [StreamId::master(&account("M_1")), StreamId::slave(&account("S_1")), StreamId::slave(&account("S_2"))]
}

fn registered() -> Registered {
    Registered {
        platform: "MT5".into(),
        broker: "B".into(),
        server: "S".into(),
        name: "N".into(),
        currency: "USD".into(),
        leverage: 100,
        trade_allowed: true,
        ea_version: "1".into(),
        ..Registered::default()
    }
}

fn heartbeat(open_positions: u32) -> HeartbeatSeen {
    HeartbeatSeen {
        balance: "1000".parse().unwrap(),
        equity: "1000.25".parse().unwrap(),
        free_margin: "900".parse().unwrap(),
        open_positions,
        trade_allowed: true,
        state_hash: StateHash::default(),
        through_signal_seq: 0,
    }
}

fn events(entries: &[Entry]) -> (u64, u64) {
    let (mut there, mut cut) = (0, 0);
    for entry in entries {
        match entry {
            Entry::Commit(commit) => {
                let held = commit.unpack().unwrap().records.len() as u64;
                there += held;
                cut += u64::from(commit.header.kept_count + commit.header.telemetry_count) - held;
            }
            Entry::Seal(seal) => cut += seal.counts.iter().map(|(_, count)| count).sum::<u64>(),
        }
    }
    (there, cut)
}

pub async fn a_cut_log_restores_and_still_proves_itself(mut site: impl Database) {
    let mut desk = Desk::open(site.log().await).await;
    desk.live(60).await;
    assert_eq!(desk.store.reader().due(desk.now, limits(Span::hours(1), 1 << 40)).await.unwrap(), None);
    let (total, _) = events(&whole(&mut desk.store).await.unwrap());
    let by_age = limits(Span::seconds(20), u64::MAX);
    let removed = desk.cut(by_age).await;
    assert!(removed >= 100, "{removed}");
    let entries = whole(&mut desk.store).await.unwrap();
    let seals = entries.iter().filter(|entry| matches!(entry, Entry::Seal(_))).count();
    assert!(seals > 3 && entries.len() < 50, "{seals} seals in {} entries", entries.len());
    assert_eq!(events(&entries), (total + 1 - removed, removed), "every event is there or counted");
    assert_eq!(desk.store.reader().due(desk.now, by_age).await.unwrap(), None);

    // Again, by size this time: half of what is left.
    desk.live(60).await;
    let bytes = entries.iter().map(|entry| match entry {
        Entry::Commit(commit) => commit.telemetry.as_ref().map_or(0, |blob| blob.len() as u64),
        Entry::Seal(_) => 0,
    });
    let left = bytes.sum();
    assert!(left > 0 && desk.store.sizes().await.unwrap().telemetry > left, "and what came since");
    let by_size = limits(Span::hours(1000), left);
    assert!(desk.cut(by_size).await >= 100);
    assert!(desk.store.sizes().await.unwrap().telemetry <= left);
    let entries = whole(&mut desk.store).await.unwrap();
    let live = desk.journal.truth().hash();
    let (restored, _) = restore(&mut desk.store, Position(u64::MAX), &[]).await.unwrap();
    assert_eq!(restored.fold.truth.hash(), live, "what follows from the log is what it was");
    let desk = Desk::open(site.log().await).await;
    assert_eq!(desk.journal.truth().hash(), live);
    assert_eq!(desk.journal.durable_head().hash, entries.last().unwrap().head().hash);
}

pub async fn a_cut_goes_on_where_it_was_stopped(mut site: impl Database) {
    const COMMITS: u32 = 2300;
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    for index in 0..COMMITS {
        write(&mut log, &mut tale, 1, u32::from(index % 500 == 499)).await.unwrap();
    }
    let through = tale.head.position;
    log.save_base(&saved(through, b"a fold".to_vec())).await.unwrap();
    write(&mut log, &mut tale, 1, 0).await.unwrap();
    let mut ends = Vec::new();
    loop {
        // Each piece by a handle of its own, as after a crash.
        let Some(piece) = site.log().await.cut_piece(through).await.unwrap() else { break };
        ends.push(piece);
        let entries = whole(&mut log).await.unwrap();
        let (there, cut) = events(&entries);
        assert_eq!(there + cut, tale.head.position.0);
        assert_eq!(cut, ends.iter().map(|piece| piece.events).sum::<u64>());
    }
    assert_eq!(ends.len(), 3, "no more than a thousand commits at a time: {ends:?}");
    let entries = whole(&mut log).await.unwrap();
    let seals: Vec<u64> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Seal(seal) => Some(seal.commits),
            Entry::Commit(_) => None,
        })
        .collect();
    // The very first commit names a stream, so it is kept.
    assert_eq!(seals, [498, 499, 499, 499, 300], "a run that two pieces share makes one seal");
}

pub async fn nothing_is_cut_without_a_base_or_when_it_is_damaged(mut site: impl Database) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    for _ in 0..6 {
        write(&mut log, &mut tale, 2, 0).await.unwrap();
    }
    let (through, before) = (Position(10), whole(&mut log).await.unwrap());
    let refused = log.cut_piece(through).await.unwrap_err().to_string();
    assert!(refused.contains("no whole base"), "{refused}");
    let torn = Saved { bytes: b"torn".to_vec(), ..saved(through, b"a fold".to_vec()) };
    log.save_base(&torn).await.unwrap();
    let refused = log.cut_piece(through).await.unwrap_err().to_string();
    assert!(refused.contains("no whole base"), "{refused}");
    assert_eq!(whole(&mut log).await.unwrap(), before);

    site.say("DELETE FROM bases").await;
    log.save_base(&saved(through, b"a fold".to_vec())).await.unwrap();
    site.say("UPDATE commits SET telemetry = kept_hash WHERE first_position = 5").await;
    let refused = log.cut_piece(through).await.unwrap_err().to_string();
    assert!(refused.contains("commit 5") && refused.contains("telemetry blob"), "{refused}");
    assert_eq!(log.reader().cut_through().await.unwrap(), Position(0));
}
