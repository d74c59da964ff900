//! Whatever comes in between, a client that reads ends with the server's state, and knows every happening or its gap.

use super::feed::Why;
use super::flow::{Backlog, Flow, Next};
use super::hub::{Hub, Live, Missed, from_feed};
use bytestring::ByteString;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use tidehelm_actors::durable::Durable;
use tidehelm_actors::journal::{Journal, Limits};
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::restore::Restored;
use tidehelm_events::account::{self, HeartbeatSeen, Registered, StateHash};
use tidehelm_events::commit::Head;
use tidehelm_events::desk::{self, Settings};
use tidehelm_events::endpoint::{self, Failure, ProbeOutcome, ProxyCommand, RequestFinished};
use tidehelm_events::envelope::{Class, Record};
use tidehelm_events::id::{AccountId, DeskId, EndpointId, Epoch, NodeId, Position, Principal, Role, StreamId};
use tidehelm_events::money::Money;
use tidehelm_events::reason::Reason;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::view::Fold;
use tidehelm_events::view::live::Topics;

const WINDOW: u64 = 4000;
/// Few enough for gaps.
const HAPPENINGS_BYTES: usize = 6000;
const ACCOUNTS: [&str; 3] = ["A_1", "A_12", "B_7"];

/// A desk without a store, and clients that read when they are told to.
struct World {
    journal: Option<Journal<()>>,
    durable: std::sync::Arc<Durable>,
    live: Live,
    hub: Hub,
    now: Timestamp,
    log: Vec<(StreamId, Record)>,
    clients: Vec<Client>,
}

impl World {
    fn new() -> Self {
        let head = Head { epoch: Epoch(1), ..Head::default() };
        let durable = Durable::new(Fold::default(), head);
        let mut world = World {
            journal: Some(Journal::new(Restored::default(), head, node(), Limits::default())),
            hub: Hub::new(&durable),
            live: Live::with_happenings(Position(0), HAPPENINGS_BYTES),
            durable,
            now: Timestamp::from_millis(1_700_000_000_000),
            log: Vec::new(),
            clients: Vec::new(),
        };
        let open = desk::Command::Open { desk: DeskId(uuid::Uuid::from_u128(7)), build: "0".into() };
        world.want(StreamId::Desk, Command::Desk(open));
        world.settle();
        (0..2).for_each(|_| world.join());
        world
    }

    fn want(&mut self, to: StreamId, command: Command) {
        self.now = self.now + Span::millis(300);
        let order = Order::once(to, Principal::Operator, command, self.now);
        let journal = self.journal.as_mut().unwrap();
        journal.submit(order, (), self.now).unwrap();
        journal.release_ready();
    }

    /// Makes everything durable that was accepted.
    fn settle(&mut self) {
        let journal = self.journal.as_mut().unwrap();
        while journal.seal(self.now).is_some() {
            let batch = journal.durable().batch;
            self.durable.take_in(&batch);
            let name = |record: &Record| self.durable.read(|fold| fold.truth.names().get(record.stream).cloned());
            self.log.extend(batch.records.iter().map(|record| (name(record).unwrap(), record.clone())));
        }
    }

    /// The desk starts again from the log: what was accepted and not durable is forgotten.
    fn recover(&mut self) {
        let fold = self.durable.read(Clone::clone);
        let old = self.durable.head();
        let head = Head { epoch: Epoch(old.epoch.0 + 1), ..old };
        self.durable.reset(fold.clone(), head);
        let restored = Restored { fold, debts: Vec::new() };
        self.journal = Some(Journal::new(restored, head, node(), Limits::default()));
    }

    fn join(&mut self) {
        self.live.change(|feed| feed.enter());
        let backlog = self.live.snapshot(&self.durable, Topics::all(), Why::Connected);
        self.clients.push(Client::new(Flow::new(WINDOW, Topics::all(), backlog)));
    }

    /// The connection breaks: what was not read is gone.
    fn leave(&mut self, client: usize) {
        if self.clients[client].connected {
            self.clients[client].connected = false;
            self.clients[client].unread.clear();
            self.live.change(|feed| feed.leave());
        }
    }

    fn come_back(&mut self, client: usize) {
        if self.clients[client].connected {
            return;
        }
        self.live.change(|feed| feed.enter());
        let backlog = self.missed(self.clients[client].since);
        let client = &mut self.clients[client];
        (client.connected, client.flow) = (true, Flow::new(WINDOW, Topics::all(), backlog));
    }

    fn missed(&self, since: Position) -> Backlog {
        if let Some(backlog) = from_feed(&self.live, since) {
            return backlog;
        }
        let (number, mut missed) = (self.live.feed().last(), Missed::default());
        let position = self.durable.head().position;
        for (stream, record) in self.log.iter().filter(|(_, record)| record.position > since) {
            missed.take_in(record, stream, DeskId(uuid::Uuid::from_u128(7)));
        }
        missed.backlog(&self.durable, Topics::all(), since, position, number)
    }

    /// The server's end of a client: tells what may be told, at most `count` messages.
    fn tell(&mut self, client: usize, count: usize) {
        let client = &mut self.clients[client];
        for _ in 0..if client.connected { count } else { 0 } {
            let next = client.flow.next(&self.live.feed());
            match next {
                Next::Send(text) => client.unread.push_back(Sent::Text(text)),
                Next::Ping => client.ping(),
                Next::Snapshot(why) => {
                    let backlog = self.live.snapshot(&self.durable, Topics::all(), why);
                    client.flow.begin(backlog);
                }
                Next::Wait => return,
            }
            let out: usize = client.unread.iter().map(Sent::len).sum();
            assert!(out as u64 <= WINDOW || client.unread.iter().filter(|sent| sent.len() > 0).count() == 1, "{out}");
        }
    }

    fn step(&mut self, (what, whom, with): (u8, u8, u8)) {
        let client = usize::from(whom) % self.clients.len();
        match what % 23 {
            0..=7 => self.want_something(what % 23, whom, with),
            20..=22 => self.want_of_endpoint(u64::from(whom % 3), with),
            8 | 9 => self.settle(),
            10 | 11 => drop(self.hub.catch_up(&self.durable, &self.live, usize::from(with % 4))),
            12..=14 => self.tell(client, usize::from(with % 16)),
            15 | 16 => self.clients[client].read(usize::from(with % 16)),
            17 => self.leave(client),
            18 => self.come_back(client),
            _ if with % 4 == 0 => self.recover(),
            _ if with % 4 == 1 => self.hub.changes.figures_are_due(),
            _ if with % 4 == 2 => self.hub.changes.counts_are_due(),
            _ => self.tell(client, usize::from(with)),
        }
    }

    fn want_something(&mut self, what: u8, whom: u8, with: u8) {
        let id = account_id(ACCOUNTS[usize::from(whom) % 3]);
        let role = if whom & 4 == 0 { Role::Master } else { Role::Slave };
        let (to, slave) = (StreamId::Account(role, id.clone()), StreamId::slave(&id));
        let master = account_id(ACCOUNTS[usize::from(with) % 3]);
        let reason = || Reason::new("because").unwrap();
        let command = match what {
            0 => (to, Command::Account(account::Command::Register(Box::new(registered(with))))),
            1 | 2 => (to, Command::Account(account::Command::Heartbeat(heartbeat(with)))),
            3 => (to, Command::Account(account::Command::SetIntent { enabled: !with.is_multiple_of(3) })),
            4 => (slave, Command::Account(account::Command::Link { master, enabled: true, settings: Box::default() })),
            5 => (slave, Command::Account(account::Command::Unlink { master, wind_down: None, expected: None })),
            6 if with.is_multiple_of(2) => (to, Command::Account(account::Command::CheckSilence)),
            6 => (to, Command::Account(account::Command::Unregister)),
            _ => (
                StreamId::Desk,
                Command::Desk(match with % 3 {
                    0 => desk::Command::Lock { reason: reason() },
                    1 => desk::Command::Unlock { reason: reason() },
                    _ => desk::Command::ChangeSettings(Settings {
                        timeout_seconds: 2 + u32::from(with),
                        ..Settings::default()
                    }),
                }),
            ),
        };
        self.want(command.0, command.1);
    }

    fn want_of_endpoint(&mut self, number: u64, with: u8) {
        let id = EndpointId(uuid::Uuid::from_u128(0x0e9d_0000 + u128::from(number)));
        let known = self.journal.as_ref().unwrap().truth().endpoint(id).map(|known| known.revision);
        let (name, base_url) = (format!("box {}", with % 5), format!("http://box-{}.example", with % 5));
        let settings = Box::new(endpoint::Settings { name, base_url, ..endpoint::Settings::default() });
        let finished = Box::new(finished(self.now, with));
        let command = match with % 10 {
            0 => endpoint::Command::Register(settings),
            1 => endpoint::Command::Change(settings),
            2 if with > 150 => endpoint::Command::Remove,
            2 | 3 => {
                let failed = ProbeOutcome::Failed { failure: Failure::Connect, detail: "refused".into() };
                let outcome = if with.is_multiple_of(4) {
                    failed
                } else {
                    ProbeOutcome::Answered { took: Span::millis(with.into()) }
                };
                endpoint::Command::TakeProbe { outcome, found: None, revision: known.unwrap_or_default(), jitter: 5 }
            }
            4 => endpoint::Command::SyncModels(vec![endpoint::Model { id: format!("m{}", with % 3), context: None }]),
            5 => return self.want(StreamId::Proxy, Command::Proxy(ProxyCommand::FinishRequest(finished))),
            _ => endpoint::Command::FinishRequest { finished, jitter: 5 },
        };
        self.want(StreamId::Endpoint(id), Command::Endpoint(command));
    }

    /// Everybody comes back, reads everything, and everything is told.
    fn end(&mut self) {
        self.settle();
        self.hub.catch_up(&self.durable, &self.live, 0);
        self.hub.changes.figures_are_due();
        self.hub.changes.counts_are_due();
        self.hub.catch_up(&self.durable, &self.live, usize::MAX);
        for client in 0..self.clients.len() {
            self.come_back(client);
            let mut quiet = 0;
            while quiet < 2 {
                self.tell(client, 1000);
                quiet = if self.clients[client].unread.is_empty() { quiet + 1 } else { 0 };
                self.clients[client].read(1000);
            }
        }
    }

    fn check(&self) {
        // Of a hub that kept none from before.
        let fresh = Live::new(self.durable.head().position);
        let backlog = fresh.snapshot(&self.durable, Topics::all(), Why::Connected);
        let mut truth = Picture::default();
        for text in [&backlog.first].into_iter().chain(backlog.rest.iter()) {
            truth.see(text);
        }
        for client in &self.clients {
            let keys = client.picture.things.keys().chain(truth.things.keys());
            for key in keys {
                assert_eq!(client.picture.things.get(key), truth.things.get(key), "{key}");
            }
            self.check_happenings(&client.picture);
        }
    }

    fn check_happenings(&self, picture: &Picture) {
        for (_, record) in &self.log {
            let position = record.position.0;
            if record.event.class() != Class::Business || position <= picture.begun {
                continue;
            }
            let in_gap = picture.gaps.iter().any(|(from, to)| (*from..=*to).contains(&position));
            let times = picture.happenings.get(&position).copied().unwrap_or(0);
            assert!(
                times == 1 || (times == 0 && in_gap),
                "event {position} was told {times} times, in a gap: {in_gap}"
            );
        }
    }
}

enum Sent {
    Text(ByteString),
    Ping(Vec<u8>),
}

impl Sent {
    fn len(&self) -> usize {
        match self {
            Sent::Text(text) => text.len(),
            Sent::Ping(_) => 0,
        }
    }
}

struct Client {
    flow: Flow,
    connected: bool,
    unread: VecDeque<Sent>,
    /// The largest position that it has read.
    since: Position,
    picture: Picture,
    pings: u64,
}

impl Client {
    fn new(flow: Flow) -> Self {
        let (unread, picture) = (VecDeque::new(), Picture::default());
        Client { flow, connected: true, unread, since: Position(0), picture, pings: 0 }
    }

    fn ping(&mut self) {
        self.pings += 1;
        let content = self.pings.to_be_bytes().to_vec();
        self.flow.credit().ping(content.clone());
        self.unread.push_back(Sent::Ping(content));
    }

    fn read(&mut self, count: usize) {
        for sent in self.unread.drain(..count.min(self.unread.len())).collect::<Vec<_>>() {
            match sent {
                Sent::Ping(content) => assert!(self.flow.credit().pong(&content)),
                Sent::Text(text) => {
                    let position = self.picture.see(&text);
                    // Who begins anew forgets its position, too.
                    let begins = text.contains(r#""type":"snapshot""#) && text.contains(r#""part":1,"#);
                    self.since = if begins { position } else { self.since.max(position) };
                }
            }
        }
    }
}

/// What a client makes of what it is told, by the rules of docs/live.md.
#[derive(Default)]
struct Picture {
    things: BTreeMap<String, Value>,
    happenings: BTreeMap<u64, u32>,
    gaps: Vec<(u64, u64)>,
    begun: u64,
}

impl Picture {
    fn see(&mut self, text: &str) -> Position {
        let message: Value = serde_json::from_str(text).unwrap();
        let (kind, data) = (message["type"].as_str().unwrap(), &message["data"]);
        let number = |value: &Value| value.as_u64().unwrap();
        match kind {
            "snapshot" => self.begin(data),
            "event" => *self.happenings.entry(number(&data["position"])).or_default() += 1,
            "gap" => self.gaps.push((number(&data["from"]), number(&data["to"]))),
            "resumed" => {}
            "member_deleted" => drop(self.things.remove(&key("members", data))),
            "desk_updated" => self.put("desk", data),
            "settings_updated" => self.put("settings", data),
            "connection_changed" => self.put("accounts", data),
            "trade_group_updated" => self.put("groups", data),
            "member_added" | "member_updated" => self.put("members", data),
            "endpoint_registered" | "endpoint_status_changed" => self.put("endpoints", data),
            "endpoint_removed" => {
                self.things.remove(&key("endpoints", data));
                self.things.remove(&key("endpoint_tps", data));
            }
            "counters_updated" if data["endpoint"].is_null() => self.put("totals", &data["stats"]),
            "counters_updated" => self.add(data, data.as_object().unwrap().keys().map(String::as_str)),
            "tps_updated" => {
                self.put("endpoint_tps", data);
                self.add(data, ["tps"].into_iter());
            }
            other => panic!("what is {other}?"),
        }
        Position(number(&message["position"]))
    }

    fn begin(&mut self, data: &Value) {
        if data["part"] == 1 {
            *self = Picture { begun: data["at"].as_u64().unwrap(), ..Picture::default() };
            self.put("desk", &data["desk"]);
            self.put("settings", &data["settings"]);
            self.put("totals", &data["totals"]["stats"]);
        }
        for list in ["accounts", "groups", "members", "endpoints", "endpoint_tps"] {
            data[list].as_array().into_iter().flatten().for_each(|object| self.put(list, object));
        }
    }

    /// Fields of an endpoint's row that are told by themselves.
    fn add<'a>(&mut self, data: &Value, fields: impl Iterator<Item = &'a str>) {
        let Some(row) = self.things.get_mut(&key("endpoints", data)) else { return };
        fields.filter(|field| *field != "endpoint").for_each(|field| row[field] = data[field].clone());
    }

    fn put(&mut self, list: &str, object: &Value) {
        self.things.insert(key(list, object), object.clone());
    }
}

fn key(list: &str, object: &Value) -> String {
    let ids = ["role", "account", "master_account", "trade_group_id", "slave_account", "id", "endpoint"];
    ids.iter().filter_map(|id| object[*id].as_str()).fold(list.to_string(), |key, id| format!("{key}/{id}"))
}

fn node() -> NodeId {
    NodeId(uuid::Uuid::from_u128(1))
}
fn account_id(text: &str) -> AccountId {
    AccountId::new(text).unwrap()
}

fn registered(with: u8) -> Registered {
    let text = |text: &str| text.to_string();
    Registered {
        platform: text("mt5"),
        broker: text("B"),
        server: text("S"),
        name: format!("name {}", with % 4),
        currency: text("USD"),
        leverage: 100,
        trade_allowed: !with.is_multiple_of(3),
        ea_version: text("1"),
        ..Registered::default()
    }
}

fn finished(now: Timestamp, with: u8) -> RequestFinished {
    let outcome = endpoint::Outcome::ALL[usize::from(with / 4) % 5];
    RequestFinished {
        request: uuid::Uuid::from_u128(with.into()),
        run: 1,
        seq: now.0.unsigned_abs(),
        model: format!("m{}", with % 3),
        api: endpoint::Api::ChatCompletions,
        outcome,
        http_status: (outcome == endpoint::Outcome::Success).then_some(200),
        tokens: endpoint::Tokens { input: 4, output: u64::from(with % 9), known: endpoint::TokensKnown::Reported },
        duration: Span::millis(10 + i64::from(with)),
        first_byte: None,
        ending: endpoint::Ending::Whole,
        client: None,
        key: None,
    }
}

fn heartbeat(with: u8) -> HeartbeatSeen {
    HeartbeatSeen {
        balance: Money::ZERO,
        equity: Money::ZERO,
        free_margin: Money::ZERO,
        open_positions: with.into(),
        trade_allowed: !with.is_multiple_of(4),
        state_hash: StateHash::default(),
        through_signal_seq: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 2000 }))]

    #[test]
    fn whatever_comes_in_between_a_client_ends_with_the_servers_state(
        steps in prop::collection::vec(any::<(u8, u8, u8)>(), 1..200),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.end();
        world.check();
    }
}
