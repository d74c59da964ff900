//! A master that trades at random, and slaves whose brokers fill, refuse and stop out at random: in the end the slaves hold what
//! they should, and nothing when the master has nothing.

use super::scene::Scene;
use super::*;
use crate::copy::book::{LegState, minus, plus};
use crate::money::Lots;
use crate::trade::{Change, Entry, Instruction, Order, OrderId, OrderResult, Outcome, Side, Trade};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

/// What is done, by whom, and with what.
type Step = (u8, u8, u8);

const SLAVES: [&str; 2] = ["S", "T"];

/// A slave's terminal with its broker: it carries out each order once, in their order, and tells what became of it.
#[derive(Default)]
struct Broker {
    next: u64,
    held: BTreeMap<OrderId, Held>,
    results: VecDeque<OrderResult>,
}

struct Held {
    lots: Lots,
    waits: bool,
}

impl Broker {
    /// Carries out the next order; `luck` says how well. 0 is all that was asked.
    fn works(&mut self, order: &Order, luck: u8) {
        assert!(order.seq == self.next + 1, "{order:?} after {}", self.next);
        self.next = order.seq;
        let (outcome, lots) = match &order.instruction {
            Instruction::Open { .. } if luck % 8 == 1 => (Outcome::Rejected, None),
            Instruction::Open { lots, entry, .. } => {
                let part = Lots::new((lots.get() / rust_decimal::Decimal::TWO).round_dp(2)).unwrap();
                let part = if luck % 8 == 2 && part > Lots::ZERO { part } else { *lots };
                let waits = entry.is_pending();
                self.held.insert(order.id, Held { lots: part, waits });
                match (waits, part == *lots) {
                    (true, _) => (Outcome::Placed, None),
                    (false, true) => (Outcome::Filled, Some(part)),
                    (false, false) => (Outcome::Partial, Some(part)),
                }
            }
            Instruction::Modify { of, .. } if self.held.contains_key(of) => (Outcome::Filled, None),
            Instruction::Modify { .. } => (Outcome::Nothing, None),
            Instruction::Close { .. } if luck % 4 == 1 => (Outcome::Rejected, None),
            Instruction::Close { of, lots } => self.closes(*of, *lots),
        };
        self.tells(order.id, outcome, lots);
    }

    fn closes(&mut self, of: OrderId, lots: Option<Lots>) -> (Outcome, Option<Lots>) {
        let Some(held) = self.held.get_mut(&of) else { return (Outcome::Nothing, None) };
        if held.waits {
            self.held.remove(&of);
            return (Outcome::Cancelled, None);
        }
        let part = lots.map_or(held.lots, |lots| lots.min(held.lots));
        held.lots = minus(held.lots, part);
        if held.lots == Lots::ZERO {
            self.held.remove(&of);
        }
        let outcome = if lots.is_some_and(|lots| part < lots) { Outcome::Partial } else { Outcome::Filled };
        (outcome, Some(part))
    }

    /// A pending order's price is reached.
    fn fills(&mut self, which: u8) {
        let waiting: Vec<OrderId> = self.held.iter().filter(|(_, held)| held.waits).map(|(id, _)| *id).collect();
        let Some(id) = waiting.get(usize::from(which) % (waiting.len() + 1)).copied() else { return };
        let held = self.held.get_mut(&id).unwrap();
        held.waits = false;
        let lots = held.lots;
        self.tells(id, Outcome::Filled, Some(lots));
    }

    fn tells(&mut self, order: OrderId, outcome: Outcome, lots: Option<Lots>) {
        let (price, sl, tp, error) = (None, None, None, None);
        let ticket = Some(Ticket(order.0.as_u64_pair().0));
        let result =
            OrderResult { order, outcome, ticket, price, lots, sl, tp, error, received_at: None, done_at: None };
        self.results.push_back(result);
    }

    fn all(&self) -> Vec<SnapshotTrade> {
        let trade = |(id, held): (&OrderId, &Held)| SnapshotTrade {
            trade: Trade {
                lots: held.lots,
                entry: if held.waits { Entry::Limit } else { Entry::Market },
                ..crate::sample::trade::trade(id.0.as_u64_pair().0)
            },
            order: Some(*id),
        };
        self.held.iter().map(trade).collect()
    }
}

struct Play {
    scene: Scene,
    brokers: BTreeMap<&'static str, Broker>,
    signals: u64,
    tickets: u64,
    /// Orders to open are filled as a whole, and nobody but the desk closes anything: so that a copy holds no less than its share
    /// either.
    gentle: bool,
}

impl Play {
    fn new(gentle: bool) -> Self {
        let scene =
            Scene::new("master M\nslave S of M\nslave T of M {\"volume\":{\"multiplier\":\"0.37\"},\"reverse\":true}");
        let brokers = SLAVES.map(|slave| (slave, Broker::default())).into();
        Play { scene, brokers, signals: 0, tickets: 0, gentle }
    }

    fn step(&mut self, (what, whom, with): Step) {
        let slave = SLAVES[usize::from(whom) % 2];
        match what % 16 {
            0..=4 => self.master(with),
            5..=8 => drop(self.executes(slave, with)),
            9..=12 => drop(self.reports(slave, if with % 16 == 0 { 1 } else { 0 })),
            13 => self.brokers.get_mut(slave).unwrap().fills(with),
            14 if with % 4 == 0 && !self.gentle => self.stopped_out(slave, with),
            _ => drop(self.reports(slave, 0)),
        }
    }

    fn master(&mut self, with: u8) {
        let account = self.scene.account("master/M");
        let open: Vec<Trade> =
            account.master_book.iter().flat_map(|book| book.trades.values()).map(|known| known.trade.clone()).collect();
        let change = match open.get(usize::from(with / 16) % (open.len() + 2)) {
            Some(known) => changed(known, with),
            None => {
                self.tickets += 1;
                Some(Change::Open(opened(self.tickets, with)))
            }
        };
        if let Some(change) = change {
            self.signal(change);
        }
    }

    fn signal(&mut self, change: Change) {
        self.signals += 1;
        let signal = Signal { signal_seq: self.signals, change, broker_at: None, seen_at: None };
        let done = self.scene.log.account(&"master/M".parse().unwrap(), Command::Signal(Box::new(signal)));
        done.unwrap_or_else(|no| panic!("a signal was refused: {no:?}"));
    }

    /// The slave's terminal gets its next order; false where there is none.
    fn executes(&mut self, slave: &'static str, luck: u8) -> bool {
        let broker = self.brokers.get_mut(slave).unwrap();
        let book = self.scene.account(&format!("slave/{slave}")).slave_book.as_deref();
        let next = book.and_then(|book| book.outbox.values().find(|order| order.seq == broker.next + 1));
        let luck = |order: &Order| if self.gentle && order.instruction.is_entry() { 0 } else { luck };
        next.map(|order| broker.works(order, luck(order))).is_some()
    }

    /// The desk hears of a result; the one after the next where `skip` is one and there is such.
    fn reports(&mut self, slave: &'static str, skip: usize) -> bool {
        let broker = self.brokers.get_mut(slave).unwrap();
        let Some(result) = broker.results.remove(skip).or_else(|| broker.results.pop_front()) else { return false };
        for _ in 0..2 {
            let result = Command::Result { result: Box::new(result.clone()), durable_at: None, sent_at: None };
            let done = self.scene.log.account(&format!("slave/{slave}").parse().unwrap(), result);
            // What was overtaken by a later word of the same order is refused, and that is final.
            assert!(done.is_ok() || result_is_old(&done), "{done:?}");
        }
        true
    }

    /// The broker closes a position, or somebody does by hand.
    fn stopped_out(&mut self, slave: &'static str, which: u8) {
        let broker = self.brokers.get_mut(slave).unwrap();
        let ids: Vec<OrderId> = broker.held.iter().filter(|(_, held)| !held.waits).map(|(id, _)| *id).collect();
        if let Some(id) = ids.get(usize::from(which / 4) % (ids.len() + 1)) {
            broker.held.remove(id);
        }
    }

    /// Everything that is under way comes to its end, and all is told.
    fn comes_to_rest(&mut self) {
        for slave in SLAVES {
            for round in 0.. {
                assert!(round < 20, "{slave} never comes to rest");
                while self.executes(slave, 0) || self.reports(slave, 0) {}
                let trades = self.brokers[slave].all();
                let snapshot = Snapshot { trades, through_signal_seq: self.brokers[slave].next };
                let to = format!("slave/{slave}").parse().unwrap();
                self.scene.log.account(&to, Command::Snapshot(Box::new(snapshot))).unwrap();
                if self.scene.account(&format!("slave/{slave}")).slave_book.as_ref().unwrap().outbox.is_empty() {
                    break;
                }
            }
        }
    }

    /// What the desk thinks is what the broker has; no copy holds more than the master's share.
    fn check(&self) {
        for slave in SLAVES {
            let (book, broker) = (self.scene.book(slave), &self.brokers[slave]);
            let mut thought: BTreeMap<OrderId, Lots> = BTreeMap::new();
            for (_, ticket, copy) in book.all_copies() {
                thought
                    .extend(copy.legs.iter().filter(|leg| leg.held() > Lots::ZERO).map(|leg| (leg.order, leg.held())));
                let held = plus(copy.legs.iter().map(|leg| leg.held()));
                let rule = copy.master_left.get() * multiplier(slave);
                let step = rust_decimal::Decimal::new(1, 2);
                assert!(held.get() < rule + step, "{slave} {ticket} holds {held} of {rule}: {copy:?}");
                // An order that waits cannot be made smaller, so that more goes of what is filled.
                let waits = copy.legs.iter().any(|leg| leg.state == LegState::Pending);
                let enough = !self.gentle || waits || held.get() > rule - step;
                assert!(enough, "{slave} {ticket} holds only {held} of {rule}: {copy:?}");
            }
            let has: BTreeMap<OrderId, Lots> =
                broker.held.iter().filter(|(_, held)| !held.waits).map(|(id, held)| (*id, held.lots)).collect();
            assert_eq!(thought, has, "{slave}");
        }
    }

    fn ends(&mut self) {
        let tickets: Vec<Ticket> =
            self.scene.account("master/M").master_book.iter().flat_map(|book| book.trades.keys().copied()).collect();
        for ticket in tickets {
            self.signal(Change::Close { ticket, ratio: None, remaining: None, price: None });
        }
        self.comes_to_rest();
        for slave in SLAVES {
            assert!(self.brokers[slave].held.is_empty(), "{slave} holds something that the master has not");
            assert!(self.scene.book(slave).copies.is_empty(), "{slave}: {:?}", self.scene.book(slave).copies);
            let noticed = self.scene.account(&format!("slave/{slave}")).noticed;
            assert!(!noticed.has(Warning::UnknownPosition) && !noticed.has(Warning::OrderUnproven), "{noticed:?}");
        }
    }
}

/// What the slave holds for a lot of the master, however often the trade grew and shrank.
fn multiplier(slave: &str) -> rust_decimal::Decimal {
    if slave == "T" { rust_decimal::Decimal::new(37, 2) } else { rust_decimal::Decimal::ONE }
}

fn result_is_old(done: &Result<usize, crate::answer::Denial>) -> bool {
    done.as_ref().is_err_and(|no| ["order_answered", "order_unknown"].contains(&no.code.as_str()))
}

fn opened(ticket: u64, with: u8) -> Trade {
    let (side, entry) = match with % 4 {
        0 | 1 => (Side::Buy, Entry::Market),
        2 => (Side::Sell, Entry::Market),
        _ => (Side::Buy, Entry::Limit),
    };
    let lots = crate::sample::trade::lots(&format!("0.{:02}", u16::from(with) % 90 + 5));
    Trade { side, entry, lots, ..crate::sample::trade::trade(ticket) }
}

/// None where nothing can be changed that way.
fn changed(known: &Trade, with: u8) -> Option<Change> {
    let ticket = known.ticket;
    let pending = known.entry.is_pending();
    Some(match with % 8 {
        0 | 1 => Change::Close { ticket, ratio: None, remaining: None, price: None },
        2..=4 if !pending => {
            let left =
                Lots::new((known.lots.get() * rust_decimal::Decimal::new(i64::from(with % 7) + 2, 1)).round_dp(2))
                    .unwrap();
            if left == Lots::ZERO || left >= known.lots {
                return None;
            }
            Change::Close { ticket, ratio: None, remaining: Some(left), price: None }
        }
        5 if !pending => {
            // Often too little for a slave.
            let lots = Some(plus([known.lots, crate::sample::trade::lots(&format!("0.0{}", with % 9 + 1))]));
            Change::Modify { ticket, price: None, sl: known.sl, tp: known.tp, lots }
        }
        6 if pending => Change::Open(Trade { entry: Entry::Market, ..known.clone() }),
        _ => {
            let sl = Some(crate::sample::trade::price(&format!("1.0{}", with % 9 + 1)));
            Change::Modify { ticket, price: None, sl, tp: None, lots: None }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn slaves_hold_what_they_should_and_in_the_end_nothing(
        steps in prop::collection::vec(any::<Step>(), 1..150),
        gentle in any::<bool>(),
    ) {
        let mut play = Play::new(gentle);
        steps.iter().for_each(|step| play.step(*step));
        crate::sample::log::trading::check_books(&play.scene.log);
        play.comes_to_rest();
        play.check();
        crate::sample::log::trading::check_books(&play.scene.log);
        play.ends();
    }

    /// The book of a master is what a list of trades says that takes each word at its face.
    #[test]
    fn a_masters_book_is_what_was_said(steps in prop::collection::vec(any::<u8>(), 1..80)) {
        let mut play = Play::new(true);
        let mut model: BTreeMap<Ticket, Trade> = BTreeMap::new();
        for with in steps {
            let open: Vec<Trade> = model.values().cloned().collect();
            let change = match open.get(usize::from(with / 16) % (open.len() + 2)) {
                Some(known) => changed(known, with),
                None => {
                    play.tickets += 1;
                    Some(Change::Open(opened(play.tickets, with)))
                }
            };
            let Some(change) = change else { continue };
            match &change {
                Change::Open(trade) => drop(model.insert(trade.ticket, trade.clone())),
                Change::Modify { ticket, sl, tp, lots, .. } => {
                    let known = model.get_mut(ticket).unwrap();
                    (known.sl, known.tp, known.lots) = (*sl, *tp, lots.unwrap_or(known.lots));
                }
                Change::Close { ticket, remaining: Some(left), .. } => model.get_mut(ticket).unwrap().lots = *left,
                Change::Close { ticket, .. } => drop(model.remove(ticket)),
            }
            play.signal(change);
            let book = play.scene.account("master/M").master_book.as_ref().unwrap();
            let trades: Vec<&Trade> = book.trades.values().map(|known| &known.trade).collect();
            prop_assert_eq!(trades, model.values().collect::<Vec<_>>());
            prop_assert_eq!(book.hash(), crate::trade::hash::state_hash(model.values()));
        }
    }
}
