//! Why? What was decided about a signal on each link and by which rule, the orders that came of it, their results, and how long
//! each station took. An index says where it stands ([`Trails`]); it is told from the log.

use crate::history::HistoryError;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidehelm_actors::port::{LogFault, Store};
use tidehelm_events::account::{self, CopyDecided, OrderAnswered};
use tidehelm_events::commit::{Entry, Unpacked};
use tidehelm_events::envelope::Record;
use tidehelm_events::event::Event;
use tidehelm_events::id::{AccountId, Position, StreamId};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{Order, OrderId, OrderReason, Ticket};
use tidehelm_events::view::{Fold, Given, Trail, Trails};
use utoipa::ToSchema;

/// More than the newest so many are not told at once.
const TOLD_MAX: usize = 200;
/// What came of a signal that is not in the index is looked for in so many events after it.
const SEARCH_MAX: usize = 20_000;
const PIECE: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Of a signal, or of a decision about one.
    Position(Position),
    /// The master's, or a slave's.
    Ticket {
        ticket: Ticket,
        account: Option<AccountId>,
    },
    Order(OrderId),
}

/// A trail with the names that it needs.
pub struct Found {
    trail: Trail,
    slave: StreamId,
}

/// A signal with what each link made of it; or orders that no signal caused.
#[derive(Debug, Serialize, ToSchema)]
pub struct Story {
    /// None where the slave's own state caused it: a limit, STOP, a link that was removed, a correction.
    pub signal: Option<SignalStory>,
    pub links: Vec<LinkStory>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SignalStory {
    pub position: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// `signal_taken`; `sync_wanted` where the trade was open before the link was.
    pub kind: &'static str,
    pub master: Option<String>,
    pub ticket: Option<u64>,
    #[schema(value_type = Object)]
    pub payload: Value,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LinkStory {
    pub slave: String,
    pub master: Option<String>,
    /// The master's.
    pub ticket: Option<u64>,
    pub decision: Option<DecisionStory>,
    pub orders: Vec<OrderStory>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionStory {
    pub position: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// `copied`, `resized`, `skipped`, `blocked` or `observed`.
    pub verdict: &'static str,
    /// The rule's code; `GET /api/rules` lists them.
    pub rule: &'static str,
    pub sentence: &'static str,
    /// What a person can do; empty where nothing needs to be done.
    pub remedy: &'static str,
    /// Every question on the way, with its numbers.
    pub steps: Vec<String>,
    /// Version of the rules.
    pub logic: u16,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrderStory {
    pub id: String,
    /// None where the order is not in the log any more, which cannot be, or not looked for so far.
    pub position: Option<u64>,
    pub seq: Option<u64>,
    #[schema(value_type = Option<i64>)]
    pub at: Option<Timestamp>,
    /// `signal`, `sync`, `correction`, `wind_down`, `protection` or `stop`.
    pub reason: Option<&'static str>,
    pub sentence: Option<&'static str>,
    #[schema(value_type = Object)]
    pub instruction: Value,
    #[schema(value_type = Option<i64>)]
    pub deadline: Option<Timestamp>,
    /// None as long as the terminal has not said anything.
    pub results: Vec<ResultStory>,
    pub stamps: StampsStory,
    pub took: Took,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ResultStory {
    pub position: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// As the terminal said: `outcome`, `ticket`, `price`, `lots`, `error` …
    #[schema(value_type = Object)]
    pub result: Value,
}

/// When it passed each station, in microseconds since 1970. `broker` and `seen` are by the clock of the master's terminal,
/// `slave_received` and `filled` by that of the slave's, the others by the desk's.
#[derive(Debug, Default, Clone, Copy, Serialize, ToSchema)]
pub struct StampsStory {
    #[schema(value_type = Option<i64>)]
    pub broker: Option<Timestamp>,
    #[schema(value_type = Option<i64>)]
    pub seen: Option<Timestamp>,
    #[schema(value_type = Option<i64>)]
    pub received: Option<Timestamp>,
    #[schema(value_type = Option<i64>)]
    pub decided: Option<Timestamp>,
    #[schema(value_type = Option<i64>)]
    pub durable: Option<Timestamp>,
    #[schema(value_type = Option<i64>)]
    pub sent: Option<Timestamp>,
    #[schema(value_type = Option<i64>)]
    pub slave_received: Option<Timestamp>,
    #[schema(value_type = Option<i64>)]
    pub filled: Option<Timestamp>,
}

/// Microseconds from station to station. Below zero where two clocks differ.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Took {
    pub broker_to_seen: Option<i64>,
    pub seen_to_received: Option<i64>,
    pub received_to_decided: Option<i64>,
    pub decided_to_durable: Option<i64>,
    pub durable_to_sent: Option<i64>,
    pub sent_to_slave_received: Option<i64>,
    pub slave_received_to_filled: Option<i64>,
    /// From the master's broker to the slave's.
    pub broker_to_filled: Option<i64>,
    /// Within the desk.
    pub received_to_sent: Option<i64>,
}

impl StampsStory {
    fn took(&self) -> Took {
        let span = |from: Option<Timestamp>, to: Option<Timestamp>| Some(to?.since(from?).0);
        let StampsStory { broker, seen, received, decided, durable, sent, slave_received, filled } = *self;
        Took {
            broker_to_seen: span(broker, seen),
            seen_to_received: span(seen, received),
            received_to_decided: span(received, decided),
            decided_to_durable: span(decided, durable),
            durable_to_sent: span(durable, sent),
            sent_to_slave_received: span(sent, slave_received),
            slave_received_to_filled: span(slave_received, filled),
            broker_to_filled: span(broker, filled),
            received_to_sent: span(received, sent),
        }
    }
}

/// Where the answer stands, as far as the index knows, newest first.
pub fn find(fold: &Fold, question: &Question) -> Vec<Found> {
    let trails = &fold.views.trails;
    let found: Vec<&Trail> = match question {
        Question::Position(position) => {
            let about = trails.get(*position).and_then(|trail| trail.signal).unwrap_or(*position);
            let alone = trails.get(*position).filter(|trail| trail.signal.is_none());
            alone.into_iter().chain(trails.of_signal(about)).collect()
        }
        Question::Ticket { ticket, account } => {
            let concerns = |trail: &&Trail| account.as_ref().is_none_or(|account| is_of(fold, trail, *ticket, account));
            trails.of_ticket(*ticket).filter(concerns).take(TOLD_MAX).collect()
        }
        Question::Order(order) => trails.of_order(*order).into_iter().collect(),
    };
    named(fold, found.into_iter().cloned())
}

/// The ticket is this account's, not one of the same number at another broker.
fn is_of(fold: &Fold, trail: &Trail, ticket: Ticket, account: &AccountId) -> bool {
    let of_master = trail.master.as_ref() == Some(account) && trail.ticket == Some(ticket);
    of_master || fold.truth.names().get(trail.slave).is_some_and(|slave| slave.key() == account.as_str())
}

fn named(fold: &Fold, trails: impl Iterator<Item = Trail>) -> Vec<Found> {
    let with_names = |trail: Trail| Some(Found { slave: fold.truth.names().get(trail.slave)?.clone(), trail });
    trails.filter_map(with_names).collect()
}

/// What came of a signal that is older than the index, as far as it stands near it in the log.
pub async fn search(store: &mut dyn Store, signal: Position) -> Result<Vec<Trail>, HistoryError> {
    let (mut trails, mut looked, mut space) = (Trails::default(), 0, Unpacked::default());
    let mut cursor = Position(signal.0.saturating_sub(1));
    loop {
        let entries = store.read(cursor, PIECE).await?;
        if entries.is_empty() || looked >= SEARCH_MAX {
            return Ok(trails.of_signal(signal).cloned().collect());
        }
        for entry in &entries {
            cursor = entry.head().position;
            let Entry::Commit(commit) = entry else { continue };
            commit.unpack_into(&mut space).map_err(|error| LogFault::new("unpacking a commit", error))?;
            for record in space.records.iter().filter(|record| record.position >= signal) {
                looked += 1;
                if record.position == signal && !is_signal(record) {
                    return Ok(Vec::new());
                }
                trails.take(record);
            }
        }
    }
}

fn is_signal(record: &Record) -> bool {
    let Event::Account(event) = &record.event else { return false };
    matches!(event, account::Event::SignalTaken(_) | account::Event::SyncWanted(_))
}

/// Names what a search found.
pub fn with_names(fold: &Fold, trails: Vec<Trail>) -> Vec<Found> {
    named(fold, trails.into_iter())
}

/// The stories, read from the log.
pub async fn tell(store: &mut dyn Store, found: Vec<Found>) -> Result<Vec<Story>, HistoryError> {
    let wanted = found.iter().flat_map(|found| found.trail.positions()).collect();
    let records = read(store, &wanted).await?;
    Ok(stories(found, &records))
}

async fn read(store: &mut dyn Store, wanted: &BTreeSet<Position>) -> Result<BTreeMap<Position, Record>, HistoryError> {
    let (mut found, mut space, mut through) = (BTreeMap::new(), Unpacked::default(), Position(0));
    for position in wanted {
        if *position > through {
            let entries = store.read(Position(position.0 - 1), 1).await?;
            let Some(Entry::Commit(commit)) = entries.first() else { continue };
            commit.unpack_into(&mut space).map_err(|error| LogFault::new("unpacking a commit", error))?;
            through = commit.header.last;
        }
        let record = space.records.iter().find(|record| record.position == *position);
        found.extend(record.map(|record| (*position, record.clone())));
    }
    Ok(found)
}

/// Each signal's links together, in the order of signals; what no signal caused stands alone, at its own place.
fn stories(found: Vec<Found>, records: &BTreeMap<Position, Record>) -> Vec<Story> {
    let mut by_signal: BTreeMap<(Position, bool), Vec<Found>> = BTreeMap::new();
    for found in found {
        let at = found.trail.signal.unwrap_or(found.trail.position);
        by_signal.entry((at, found.trail.signal.is_some())).or_default().push(found);
    }
    let story = |((at, of_signal), mut found): ((Position, bool), Vec<Found>)| {
        found.sort_by(|a, b| (&a.slave, a.trail.position).cmp(&(&b.slave, b.trail.position)));
        let first = found.first().map(|found| &found.trail);
        let signal = records.get(&at).filter(|_| of_signal).map(|record| signal_story(record, first));
        Story { signal, links: found.iter().map(|found| link_story(found, records)).collect() }
    };
    by_signal.into_iter().map(story).collect()
}

fn signal_story(record: &Record, trail: Option<&Trail>) -> SignalStory {
    SignalStory {
        position: record.position.0,
        at: record.recorded_at,
        kind: record.event.kind().name,
        master: trail.and_then(|trail| trail.master.as_ref()).map(ToString::to_string),
        ticket: trail.and_then(|trail| trail.ticket).map(|ticket| ticket.0),
        payload: record.event.to_json(),
    }
}

fn link_story(found: &Found, records: &BTreeMap<Position, Record>) -> LinkStory {
    let trail = &found.trail;
    let decision = records.get(&trail.position).and_then(|record| match &record.event {
        Event::Account(account::Event::CopyDecided(decided)) => Some(decision_story(record, decided)),
        _ => None,
    });
    LinkStory {
        slave: found.slave.key().into(),
        master: trail.master.as_ref().map(ToString::to_string),
        ticket: trail.ticket.map(|ticket| ticket.0),
        decision,
        orders: trail.orders.iter().map(|given| order_story(given, records)).collect(),
    }
}

fn decision_story(record: &Record, decided: &CopyDecided) -> DecisionStory {
    let told = decided.plan.explain();
    DecisionStory {
        position: record.position.0,
        at: record.recorded_at,
        verdict: told.verdict.as_str(),
        rule: told.rule.code(),
        sentence: told.sentence,
        remedy: told.remedy,
        steps: told.steps,
        logic: decided.plan.logic,
    }
}

fn order_story(given: &Given, records: &BTreeMap<Position, Record>) -> OrderStory {
    let issued = records.get(&given.issued).and_then(|record| match &record.event {
        Event::Account(account::Event::OrderIssued(issued)) => Some((record, issued.order.as_ref())),
        _ => None,
    });
    let answers: Vec<(&Record, &OrderAnswered)> = given
        .answers
        .iter()
        .filter_map(|position| {
            let record = records.get(position)?;
            match &record.event {
                Event::Account(account::Event::OrderAnswered(answered)) => Some((record, answered)),
                _ => None,
            }
        })
        .collect();
    let order = issued.map(|(_, order)| order);
    let stamps = stamps(order, answers.last().map(|(_, answered)| *answered));
    OrderStory {
        id: given.order.to_string(),
        position: issued.map(|(record, _)| record.position.0),
        seq: order.map(|order| order.seq),
        at: issued.map(|(record, _)| record.recorded_at),
        reason: order.map(|order| reason(order.reason).0),
        sentence: order.map(|order| reason(order.reason).1),
        instruction: order.and_then(|order| serde_json::to_value(&order.instruction).ok()).unwrap_or_default(),
        deadline: order.and_then(|order| order.deadline),
        results: answers.iter().map(|(record, answered)| result_story(record, answered)).collect(),
        stamps,
        took: stamps.took(),
    }
}

fn result_story(record: &Record, answered: &OrderAnswered) -> ResultStory {
    let result = serde_json::to_value(&answered.result).unwrap_or_default();
    ResultStory { position: record.position.0, at: record.recorded_at, result }
}

fn stamps(order: Option<&Order>, answered: Option<&OrderAnswered>) -> StampsStory {
    let stamps = order.map(|order| order.stamps).unwrap_or_default();
    StampsStory {
        broker: stamps.broker,
        seen: stamps.seen,
        received: stamps.received,
        decided: stamps.decided,
        durable: answered.and_then(|answered| answered.durable_at),
        sent: answered.and_then(|answered| answered.sent_at),
        slave_received: answered.and_then(|answered| answered.result.received_at),
        filled: answered.and_then(|answered| answered.result.done_at),
    }
}

fn reason(reason: OrderReason) -> (&'static str, &'static str) {
    match reason {
        OrderReason::Signal => ("signal", "the master did it"),
        OrderReason::Sync => ("sync", "the trade was open before the link was, or a snapshot showed it"),
        OrderReason::Correction => ("correction", "what was filled is not what was asked for"),
        OrderReason::WindDown => ("wind_down", "the link or the group was removed"),
        OrderReason::Protection => ("protection", "a limit of the account was reached"),
        OrderReason::Stop => ("stop", "somebody pressed STOP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidehelm_actors::journal::{Journal, Limits};
    use tidehelm_actors::memory::MemoryLog;
    use tidehelm_actors::node::{Command, Order as Wish};
    use tidehelm_actors::restore::Restorer;
    use tidehelm_events::account::{HeartbeatSeen, Registered, Signal, StateHash};
    use tidehelm_events::id::{NodeId, Principal};
    use tidehelm_events::money::Money;
    use tidehelm_events::trade::{Change, Contract, Entry as How, OrderResult, Outcome, Side, Symbol, Trade};

    /// A desk without actors: one command, one commit.
    struct Desk {
        journal: Journal<()>,
        log: MemoryLog,
        fold: Fold,
        now: Timestamp,
    }

    impl Desk {
        fn new() -> Self {
            let mut log = MemoryLog::default();
            let (head, restored) = (log.next_epoch(), Restorer::new(Fold::default(), []).finish());
            let journal = Journal::new(restored, head, NodeId(uuid::Uuid::from_u128(1)), Limits::default());
            Desk { journal, log, fold: Fold::default(), now: Timestamp(1_700_000_000_000_000) }
        }

        fn wants(&mut self, to: &StreamId, command: account::Command) {
            self.now = self.now + tidehelm_events::time::Span::millis(1);
            let order = Wish::once(to.clone(), Principal::Terminal, Command::Account(command), self.now);
            self.journal.submit(order, (), self.now).unwrap();
            let (end, mut space) = (self.log.end(), Unpacked::default());
            let sealed = self.journal.seal(self.now + tidehelm_events::time::Span::seconds(1)).unwrap();
            self.log.put(&sealed.commit, &sealed.audit, &end).unwrap();
            self.journal.durable();
            self.fold.apply_commit(&sealed.commit, &mut space, |_, _| {}).unwrap();
        }

        fn is_there(&mut self, to: &StreamId) {
            let contract = Contract {
                lots_step: "0.01".parse().unwrap(),
                lots_min: "0.01".parse().unwrap(),
                lots_max: "100".parse().unwrap(),
                size: "100000".parse().unwrap(),
                digits: 5,
                tick_value: "1".parse().unwrap(),
                tick_size: "0.00001".parse().unwrap(),
            };
            let contracts = [(Symbol::new("EURUSD").unwrap(), contract)].into();
            let registered = Registered { trade_allowed: true, contracts, ..Registered::default() };
            self.wants(to, account::Command::Register(Box::new(registered)));
            self.wants(to, account::Command::SetIntent { enabled: true });
            self.beats(to);
        }

        fn beats(&mut self, to: &StreamId) {
            let amount: Money = "1000".parse().unwrap();
            self.wants(
                to,
                account::Command::Heartbeat(HeartbeatSeen {
                    balance: amount,
                    equity: amount,
                    free_margin: amount,
                    open_positions: 0,
                    trade_allowed: true,
                    state_hash: StateHash::default(),
                    through_signal_seq: 0,
                }),
            );
        }
    }

    fn told(stories: &[Story]) -> String {
        serde_json::to_string(stories).unwrap()
    }

    #[tokio::test]
    async fn what_the_index_forgot_is_found_in_the_log() {
        let mut desk = Desk::new();
        let (master, slave) = (AccountId::new("M_1").unwrap(), AccountId::new("S_1").unwrap());
        let (to_master, to_slave) = (StreamId::master(&master), StreamId::slave(&slave));
        desk.is_there(&to_master);
        desk.is_there(&to_slave);
        let link = account::Command::Link { master: master.clone(), enabled: true, settings: Box::default() };
        desk.wants(&to_slave, link);
        let trade = Trade {
            ticket: Ticket(7),
            symbol: Symbol::new("EURUSD").unwrap(),
            side: Side::Buy,
            entry: How::Market,
            lots: "0.5".parse().unwrap(),
            price: "1.1".parse().unwrap(),
            sl: None,
            tp: None,
            magic: 0,
            comment: String::new(),
        };
        let signal = desk.log.end().position.next();
        let change = Change::Open(trade);
        let seen_at = Some(desk.now);
        let taken = Signal { signal_seq: 1, change, broker_at: None, seen_at };
        desk.wants(&to_master, account::Command::Signal(Box::new(taken)));
        (0..300).for_each(|_| desk.beats(&to_slave));
        let order = desk.fold.truth.account(&to_slave).unwrap().slave_book.as_ref().unwrap().outbox[&1].id;
        let result = OrderResult {
            order,
            outcome: Outcome::Filled,
            ticket: Some(Ticket(900)),
            price: None,
            lots: Some("0.5".parse().unwrap()),
            sl: None,
            tp: None,
            error: None,
            received_at: None,
            done_at: None,
        };
        let result = account::Command::Result { result: Box::new(result), durable_at: None, sent_at: None };
        desk.wants(&to_slave, result);

        let known = find(&desk.fold, &Question::Position(signal));
        assert_eq!(known.len(), 1);
        let known = tell(&mut desk.log, known).await.unwrap();
        let searched = search(&mut desk.log, signal).await.unwrap();
        assert_eq!(searched.len(), 1);
        let found = tell(&mut desk.log, with_names(&desk.fold, searched)).await.unwrap();
        assert_eq!(told(&found), told(&known));
        let order = &found[0].links[0].orders[0];
        assert_eq!((order.seq, order.results[0].result["ticket"].as_u64()), (Some(1), Some(900)));
        for nothing in [signal.next(), Position(1), desk.log.end().position] {
            assert_eq!(search(&mut desk.log, nothing).await.unwrap(), [], "{nothing} is no signal");
        }
    }
}
