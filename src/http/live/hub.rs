//! Who follows the log for all sessions: makes each message once, keeps it in the feed, and wakes the sessions.

use super::feed::{Feed, HAPPENINGS_BYTES_MAX, Message, Why};
use super::flow::Backlog;
use super::frame::{frame, told};
use super::view::{DeskView, GroupView, SettingsView, TotalsView};
use crate::ambient::{Stopwatch, stopwatch};
use crate::history::{HistoryError, Reading};
use crate::http::accounts::AccountView;
use crate::http::alerts::AlertView;
use crate::http::groups::Member;
use crate::http::{App, Data};
use bytestring::ByteString;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tidehelm_actors::durable::Durable;
use tidehelm_actors::journal::Batch;
use tidehelm_events::account::Connection;
use tidehelm_events::envelope::Record;
use tidehelm_events::id::{DeskId, Epoch, Position, Role, StreamId};
use tidehelm_events::view::Fold;
use tidehelm_events::view::live::{Changes, How, Thing, Topic, Topics, happening};
use tokio::sync::watch;

/// The figures of an account are told no more often than this.
const FIGURES_EVERY: Duration = Duration::from_secs(1);
/// Counts of endpoints, which are few, are told no more often than this.
const COUNTS_EVERY: Duration = Duration::from_millis(200);
/// They are told in slices, so that nothing else waits behind all of them.
const FIGURES_SLICE: Duration = Duration::from_millis(100);
/// A slice is this large, over all sessions: the more there is to tell to the more, the rarer it is told.
const FIGURES_SLICE_BYTES: usize = 6 << 20;
/// What one message about an account's figures is reckoned with.
const FIGURES_BYTES: usize = 512;
/// After a publication the hub rests so long for each session: they take that long to write it out.
const REST_A_SESSION: Duration = Duration::from_micros(25);
/// The fold stands still for so many messages at a time.
const LOOK_MAX: usize = 256;
/// Somebody who was away for more events than this gets a snapshot.
const RESUME_EVENTS_MAX: usize = 10_000;
/// A list in a snapshot is broken up into messages of about this size.
const PART_BYTES: usize = 48 << 10;
/// A snapshot serves everybody who comes within this time.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_millis(250);

/// What all sessions share.
pub struct Live {
    feed: RwLock<Feed>,
    /// The number of the last message: wakes the sessions.
    news: watch::Sender<u64>,
    snapshots: Mutex<BTreeMap<Topics, (Stopwatch, Arc<Snapshot>)>>,
}

/// The state as messages, without the first one, which says why.
struct Snapshot {
    position: Position,
    number: u64,
    desk: Value,
    settings: Value,
    totals: Value,
    rest: Arc<[ByteString]>,
}

impl Live {
    pub fn new(position: Position) -> Self {
        Live::with_happenings(position, HAPPENINGS_BYTES_MAX)
    }

    pub(super) fn with_happenings(position: Position, bytes_max: usize) -> Self {
        Live {
            feed: RwLock::new(Feed::new(position, bytes_max)),
            news: watch::Sender::new(0),
            snapshots: Mutex::default(),
        }
    }

    pub fn feed(&self) -> RwLockReadGuard<'_, Feed> {
        self.feed.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn change<R>(&self, change: impl FnOnce(&mut Feed) -> R) -> R {
        let mut feed: RwLockWriteGuard<'_, Feed> = self.feed.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut feed)
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The whole state, for somebody who begins anew.
    pub fn snapshot(&self, durable: &Durable, topics: Topics, why: Why) -> Backlog {
        let snapshot = self.recent_snapshot(durable, topics);
        let mut data = json!({
            "why": why.as_str(), "at": snapshot.position, "part": 1, "parts": snapshot.rest.len() + 1,
        });
        if topics.has(Topic::Desk) {
            data["desk"] = snapshot.desk.clone();
            data["settings"] = snapshot.settings.clone();
        }
        if topics.has(Topic::Endpoints) {
            data["totals"] = snapshot.totals.clone();
        }
        // Who has only a part of it was told nothing.
        let position = if snapshot.rest.is_empty() { snapshot.position } else { Position(0) };
        Backlog {
            since: Position(0),
            position: snapshot.position,
            number: snapshot.number,
            first: frame(position, "snapshot", &data),
            rest: snapshot.rest.clone(),
        }
    }

    /// Gives back what no snapshot will be served from any more, unless one is being made right now.
    fn forget_old_snapshots(&self) {
        if let Ok(mut snapshots) = self.snapshots.try_lock() {
            snapshots.retain(|_, (made, _)| made.elapsed() < SNAPSHOT_AGE_MAX);
        }
    }

    fn recent_snapshot(&self, durable: &Durable, topics: Topics) -> Arc<Snapshot> {
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        snapshots.retain(|_, (made, _)| made.elapsed() < SNAPSHOT_AGE_MAX);
        let number = self.feed().last();
        if let Some((_, known)) = snapshots.get(&topics).filter(|(_, known)| self.feed().lost(known.number).is_none()) {
            return known.clone();
        }
        // Whatever is published from here on is told after the snapshot, whether it is in it or not.
        let snapshot = Arc::new(durable.read(|fold| Snapshot::of(fold, topics, number)));
        snapshots.insert(topics, (stopwatch(), snapshot.clone()));
        snapshot
    }
}

impl Snapshot {
    fn of(fold: &Fold, topics: Topics, number: u64) -> Self {
        let mut lists: Vec<(&str, Vec<String>)> = Vec::new();
        if topics.has(Topic::Accounts) {
            lists.push((
                "accounts",
                fold.truth.accounts().map(|(_, account)| json_of(&AccountView::of(account))).collect(),
            ));
        }
        if topics.has(Topic::Groups) {
            let masters = fold.truth.accounts().filter(|(_, account)| account.role == Role::Master);
            lists.push((
                "groups",
                masters.filter_map(|(_, master)| GroupView::of(master).map(|group| json_of(&group))).collect(),
            ));
            let links =
                fold.truth.accounts().flat_map(|(_, slave)| slave.members().map(|(master, _)| (&slave.id, master)));
            let members = links.filter_map(|(slave, master)| Member::of(fold, master, slave));
            lists.push(("members", members.map(|member| json_of(&member)).collect()));
        }
        if topics.has(Topic::Alerts) {
            let raised = fold.truth.alerts().into_iter().flat_map(|alerts| {
                alerts.raised().filter_map(|(_, _, at)| alerts.alerts.get(&at).map(|alert| (at, alert)))
            });
            lists.push(("alerts", raised.map(|(at, alert)| json_of(&AlertView::of(at, alert))).collect()));
        }
        let mut totals = Value::Null;
        if topics.has(Topic::Endpoints) {
            let (view, now) = (&fold.views.endpoints, fold.truth.time());
            let ids: Vec<_> = fold.truth.directory().iter().collect();
            let rows = ids.iter().filter_map(|id| view.one(&fold.truth, *id, now, 0));
            lists.push(("endpoints", rows.map(|row| json_of(&row)).collect()));
            let speeds = ids.iter().filter_map(|id| view.speeds_of(&fold.truth, *id, now));
            lists.push(("endpoint_tps", speeds.map(|row| json_of(&row)).collect()));
            totals = json!(TotalsView::of(fold));
        }
        let position = fold.truth.position();
        Snapshot {
            position,
            number,
            desk: json!(DeskView::of(fold)),
            settings: json!(SettingsView::of(fold)),
            totals,
            rest: parts(position, &lists).into(),
        }
    }
}

/// Lists of objects as messages of a bearable size; only the last one says the position.
fn parts(position: Position, lists: &[(&str, Vec<String>)]) -> Vec<ByteString> {
    let mut pieces: Vec<(&str, String)> = Vec::new();
    for (name, objects) in lists {
        let mut objects = objects.iter().peekable();
        while objects.peek().is_some() {
            let mut piece = String::new();
            while let Some(object) =
                objects.next_if(|object| piece.is_empty() || piece.len() + object.len() < PART_BYTES)
            {
                piece.push_str(if piece.is_empty() { "" } else { "," });
                piece.push_str(object);
            }
            pieces.push((name, piece));
        }
    }
    let count = pieces.len() + 1;
    let part = |(index, (name, piece)): (usize, (&str, String))| {
        let (part, at) = (index + 2, if index + 2 == count { position } else { Position(0) });
        format!(r#"{{"position":{at},"type":"snapshot","data":{{"at":{position},"part":{part},"parts":{count},"{name}":[{piece}]}}}}"#)
            .into()
    };
    pieces.into_iter().enumerate().map(part).collect()
}

fn json_of(view: &impl Serialize) -> String {
    match serde_json::to_string(view) {
        Ok(text) => text,
        Err(error) => unreachable!("a view that is no JSON: {error}"),
    }
}

/// Follows the log until the desk stops.
pub async fn keep(app: Data) {
    let (mut head, mut stopping) = (app.host.durable.subscribe(), app.stopping.clone());
    let mut hub = Hub::new(&app.host.durable);
    let (mut figures_due, mut counts_due, mut waiting_told) = (stopwatch(), stopwatch(), stopwatch());
    loop {
        app.live.forget_old_snapshots();
        let watchers = app.live.feed().watchers();
        if !hub.changes.has_figures_due() && figures_due.elapsed() >= FIGURES_EVERY {
            hub.changes.figures_are_due();
            figures_due = stopwatch();
        }
        if !hub.changes.has_counts_due() && counts_due.elapsed() >= COUNTS_EVERY {
            hub.changes.counts_are_due();
            counts_due = stopwatch();
        }
        let mut waiting_max = 0;
        if waiting_told.elapsed() >= FIGURES_SLICE {
            waiting_max = figures_in_a_slice(watchers);
            waiting_told = stopwatch();
        }
        if hub.catch_up(&app.host.durable, &app.live, waiting_max) {
            tokio::time::sleep(REST_A_SESSION * watchers as u32).await;
        }
        let (seen, epoch) = (hub.seen, hub.epoch);
        let (figures, counts) = (hub.changes.has_figures(), hub.changes.has_counts());
        let due_in = match hub.changes.has_figures_due() || hub.changes.has_counts_due() {
            true => FIGURES_SLICE.saturating_sub(waiting_told.elapsed()),
            false if counts => COUNTS_EVERY.saturating_sub(counts_due.elapsed()),
            false => FIGURES_EVERY.saturating_sub(figures_due.elapsed()),
        };
        tokio::select! {
            changed = head.wait_for(|head| head.position > seen || head.epoch != epoch) => if changed.is_err() { return },
            () = tokio::time::sleep(due_in), if figures || counts => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// What the hub has seen of the log, and what it has not told yet.
pub struct Hub {
    seen: Position,
    epoch: Epoch,
    pub(super) changes: Changes,
}

fn figures_in_a_slice(watchers: usize) -> usize {
    (FIGURES_SLICE_BYTES / FIGURES_BYTES / watchers.max(1)).max(1)
}

impl Hub {
    pub fn new(durable: &Durable) -> Self {
        let head = durable.head();
        Hub { seen: head.position, epoch: head.epoch, changes: Changes::default() }
    }

    /// Tells what came since the last time, and so many of the figures that are due; false if that was nothing.
    pub fn catch_up(&mut self, durable: &Durable, live: &Live, figures_max: usize) -> bool {
        let head = durable.head();
        if head.epoch != self.epoch {
            return self.begin_anew(head.position, head.epoch, live, Why::Recovered);
        }
        if live.change(|feed| self.pass_over(head.position, feed)) {
            return false;
        }
        match durable.recent(self.seen) {
            Some(batches) if batches.iter().any(|batch| batch.head.epoch != self.epoch) => {
                self.begin_anew(head.position, head.epoch, live, Why::Recovered)
            }
            Some(batches) => self.tell(&batches, durable, live, figures_max),
            None if head.position > self.seen => self.begin_anew(head.position, head.epoch, live, Why::FellBehind),
            None => self.tell(&[], durable, live, figures_max),
        }
    }

    fn begin_anew(&mut self, position: Position, epoch: Epoch, live: &Live, why: Why) -> bool {
        (self.seen, self.epoch, self.changes) = (position, epoch, Changes::default());
        live.change(|feed| feed.begin_anew(position, why));
        live.news.send_replace(live.feed().last());
        true
    }

    fn pass_over(&mut self, position: Position, feed: &mut Feed) -> bool {
        if feed.watchers() > 0 {
            return false;
        }
        feed.pass_over(position);
        (self.seen, self.changes) = (position, Changes::default());
        true
    }

    fn tell(&mut self, batches: &[Arc<Batch>], durable: &Durable, live: &Live, figures_max: usize) -> bool {
        let mut happenings = Vec::new();
        for batch in batches {
            durable.read(|fold| self.take_in(batch, fold, &mut happenings));
        }
        let things = durable.read(|fold| self.changes.told(&fold.truth, figures_max));
        if things.is_empty() && happenings.is_empty() {
            return false;
        }
        let before = live.feed().position();
        let last = if happenings.is_empty() { self.seen } else { before };
        let things = messages(durable, things, (before, last), self.seen);
        live.change(|feed| feed.publish(self.seen, things, happenings));
        live.news.send_replace(live.feed().last());
        true
    }

    fn take_in(&mut self, batch: &Batch, fold: &Fold, happenings: &mut Vec<Message>) {
        let Some(desk) = fold.truth.desk_id() else { return };
        for record in batch.records.iter().filter(|record| record.position > self.seen) {
            let Some(stream) = fold.truth.names().get(record.stream) else { continue };
            self.changes.take_in(stream, &record.event);
            happenings.extend(happened(record, stream, desk));
        }
        self.seen = self.seen.max(batch.head.position);
    }
}

/// The messages about things, as they are after a stretch of the log. The last one says that `last` was told, the others say
/// `before`.
fn messages(
    durable: &Durable,
    things: BTreeMap<Thing, How>,
    (before, last): (Position, Position),
    through: Position,
) -> Vec<(Thing, Message)> {
    let mut messages = Vec::with_capacity(things.len());
    let (count, mut things) = (things.len(), things.into_iter().enumerate().peekable());
    while things.peek().is_some() {
        durable.read(|fold| {
            for (index, (thing, how)) in things.by_ref().take(LOOK_MAX) {
                let position = if index + 1 == count { last } else { before };
                let Some(text) = told(fold, position, &thing, how) else { continue };
                let topic = thing.topic();
                messages.push((thing, Message { position, through, topic, text, once: false }));
            }
        });
    }
    messages
}

fn happened(record: &Record, stream: &StreamId, desk: DeskId) -> Option<Message> {
    let (topic, kind) = happening(&record.event)?;
    let (position, text) = (record.position, frame(record.position, kind, &record.envelope(desk, stream)));
    Some(Message { position, through: position, topic, text, once: true })
}

/// What to tell somebody who comes back, and the number from which to go on.
pub async fn resume(app: &App, since: Position, topics: Topics) -> Backlog {
    if let Some(backlog) = from_feed(&app.live, since) {
        return backlog;
    }
    let end = app.host.durable.head().position;
    let why = if since > end { Why::AheadOfLog } else { Why::TooFar };
    if since <= end && end.0 - since.0 <= RESUME_EVENTS_MAX as u64 {
        match from_log(app, since, topics).await {
            Ok(Some(backlog)) => return backlog,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a session that comes back gets a snapshot"),
        }
    }
    app.live.snapshot(&app.host.durable, topics, why)
}

pub(super) fn from_feed(live: &Live, since: Position) -> Option<Backlog> {
    let number = live.feed().number_at(since)?;
    let first = resumed(since, "feed");
    Some(Backlog { since, position: since, number, first, rest: Arc::default() })
}

/// None if that is too much.
async fn from_log(app: &App, since: Position, topics: Topics) -> Result<Option<Backlog>, HistoryError> {
    let (number, end) = (app.live.feed().last(), app.host.durable.head().position);
    let mut missed = Missed::default();
    let take = |reading: &Reading<'_>| {
        missed.take_in(reading.record, reading.stream, reading.desk);
        true
    };
    let position = app.history.scan(since, RESUME_EVENTS_MAX, take).await?;
    let all = position >= end;
    Ok(all.then(|| missed.backlog(&app.host.durable, topics, since, position, number)))
}

fn resumed(since: Position, from: &str) -> ByteString {
    frame(since, "resumed", &json!({"since": since, "from": from}))
}

/// What the log says that somebody missed.
#[derive(Default)]
pub(super) struct Missed {
    changes: Changes,
    happenings: Vec<Message>,
}

impl Missed {
    pub(super) fn take_in(&mut self, record: &Record, stream: &StreamId, desk: DeskId) {
        self.changes.take_in(stream, &record.event);
        self.happenings.extend(happened(record, stream, desk));
    }

    /// Everything after `since` up to `position`; `number` is where the feed stood before that was read.
    pub(super) fn backlog(
        mut self,
        durable: &Durable,
        topics: Topics,
        since: Position,
        position: Position,
        number: u64,
    ) -> Backlog {
        let mut things = durable.read(|fold| {
            let mut things = self.changes.told(&fold.truth, 0);
            // Their figures may have waited when the server ended, or changed since.
            let online = fold.truth.accounts().filter(|(_, account)| account.connection == Connection::Online);
            for (_, account) in online {
                things.entry(Thing::Account(account.role, account.id.clone())).or_insert(How::Changed);
            }
            for id in fold.truth.directory().iter() {
                things.entry(Thing::Endpoint(id)).or_insert(How::Changed);
                things.entry(Thing::Speed(id)).or_insert(How::Changed);
            }
            things.entry(Thing::Totals).or_insert(How::Changed);
            things
        });
        things.retain(|thing, _| topics.has(thing.topic()));
        let things = messages(durable, things, (since, since), position).into_iter().map(|(_, message)| message);
        let happenings = self.happenings.into_iter().filter(|message| topics.has(message.topic));
        let rest = things.chain(happenings).map(|message| message.text).collect();
        Backlog { since, position, number, first: resumed(since, "log"), rest }
    }
}
