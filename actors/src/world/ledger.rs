//! What the auditor knows of trades: every order, where it came from, and whether its volume is what a person with a pocket
//! calculator would say. The rule is written here a second time and shares nothing with the copy engine but its data.

use super::invariants::{Checked, Invariant, hold, violation};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use tidehelm_events::account::{self, Account, CopyDecided, SignalTaken};
use tidehelm_events::copy::Origin;
use tidehelm_events::copy::book::{Copy, Leg, LegState};
use tidehelm_events::copy::settings::{Mapping, Mode, Overrides, SyncMode, Volume, WindDown};
use tidehelm_events::envelope::Record;
use tidehelm_events::event::Event;
use tidehelm_events::id::{AccountId, Position, Role, StreamId};
use tidehelm_events::money::Lots;
use tidehelm_events::reason::{RuntimeStatus, Warning};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::{
    Change, Entry, Instruction, Order, OrderId, OrderReason, Outcome, Side, Symbol, Ticket, Trade,
};
use tidehelm_events::truth::Truth;

/// A signal by the number under which a terminal told it.
pub type Told = (StreamId, u64, u64);

#[derive(Debug, Default)]
pub struct Ledger {
    orders: BTreeMap<OrderId, (StreamId, Box<Order>)>,
    seqs: BTreeMap<StreamId, u64>,
    told: BTreeMap<Told, Change>,
    causes: BTreeMap<Position, Cause>,
    changes: BTreeMap<(Position, Ticket), Change>,
    /// What the master has left of a trade that is copied, and what the rule asks for beyond what was ordered.
    totals: BTreeMap<Traded, Total>,
    /// The part of what an order opened that the master's closes have left.
    shares: BTreeMap<OrderId, Decimal>,
    deciding: Option<Deciding>,
    /// Orders whose positions are not what was asked for, or were closed for another reason than the master's.
    disturbed: BTreeSet<OrderId>,
    /// Orders whose positions were left to their owner.
    released: BTreeSet<OrderId>,
    pub decisions: u64,
    pub copies_begun: u64,
    pub orders_issued: u64,
    pub corrections: u64,
    pub differences: u64,
    pub stops: u64,
    pub limits_hit: u64,
    pub wound_down: u64,
}

type Traded = (StreamId, AccountId, Ticket);

#[derive(Debug, Clone, Copy, Default)]
struct Total {
    left: Decimal,
    kept: Decimal,
}

/// What a decision rests on that is settled where its cause stands.
#[derive(Debug, Clone)]
struct Cause {
    group: Option<Overrides>,
    master: Option<Overrides>,
    happened_at: Timestamp,
}

/// A decision whose orders are being read.
#[derive(Debug)]
struct Deciding {
    slave: StreamId,
    at: Position,
    missing: usize,
    expected: Expected,
    opened: Decimal,
    closed: Decimal,
    closes_all: BTreeSet<OrderId>,
}

/// What should be ordered.
#[derive(Debug, Default)]
struct Expected {
    /// Lots to open, and as what.
    opens: Option<(Decimal, Symbol, Side)>,
    /// Lots to close, at least and at most.
    closes: (Decimal, Decimal),
    /// Orders that must be closed as a whole.
    all: BTreeSet<OrderId>,
    left_of: BTreeMap<OrderId, Decimal>,
    /// What the rule asks for beyond what should be ordered, where this changes it.
    kept: Option<Decimal>,
    why: &'static str,
}

impl Ledger {
    /// A terminal tells a change under this number.
    pub fn told(&mut self, number: Told, change: Change) {
        self.told.insert(number, change);
    }
    /// Somebody at the broker did something to an order's position, or nobody knows what became of it.
    pub fn disturb(&mut self, order: OrderId) {
        self.disturbed.insert(order);
    }
    pub fn is_disturbed(&self, order: OrderId) -> bool {
        self.disturbed.contains(&order)
    }
    pub fn is_released(&self, order: OrderId) -> bool {
        self.released.contains(&order)
    }

    /// What should be left of a copy by what its orders opened and the master closed since.
    pub fn due(&self, copy: &Copy, volume: fn(&Leg) -> Lots) -> Decimal {
        let share = |leg: &Leg| self.shares.get(&leg.order).copied().unwrap_or(Decimal::ONE);
        copy.legs.iter().map(|leg| volume(leg).get() * share(leg)).sum()
    }

    /// An order is about to be offered.
    pub fn offered(&self, to: &StreamId, order: &Order) -> Checked {
        let Some((owner, known)) = self.orders.get(&order.id) else {
            return Err(violation(Invariant::OrdersLogged, format!("{order:?} is offered and not in the log")));
        };
        hold!(owner == to, CrossTalk, "{to} is offered {order:?}, which is for {owner}");
        hold!(**known == *order, OrdersLogged, "{order:?} is offered, the log has {known:?}");
        Ok(())
    }

    /// Reads a record of an account before the fold does.
    pub fn read(&mut self, truth: &Truth, stream: &StreamId, record: &Record) -> Checked {
        let Event::Account(event) = &record.event else { return self.is_complete(record.position) };
        if !matches!(event, account::Event::OrderIssued(_)) {
            self.is_complete(record.position)?;
        }
        let known = truth.account(stream);
        match event {
            account::Event::SignalTaken(taken) => self.signal(truth, stream, record, taken)?,
            account::Event::SyncWanted(wanted) => {
                let master = truth.account(&StreamId::master(&wanted.master));
                for (ticket, known) in
                    master.and_then(|master| master.master_book.as_ref()).iter().flat_map(|book| &book.trades)
                {
                    self.changes.insert((record.position, *ticket), Change::Open(known.trade.clone()));
                }
                self.cause(truth, &wanted.master, record, None);
            }
            account::Event::CopyDecided(decided) => self.decided(truth, stream, record, decided)?,
            account::Event::OrderIssued(issued) => self.issued(stream, record, &issued.order)?,
            account::Event::OrderAnswered(answered) => {
                let result = &answered.result;
                let Some((owner, order)) = self.orders.get(&result.order) else {
                    return Err(violation(Invariant::OrdersLogged, format!("{result:?} answers nothing")));
                };
                hold!(owner == stream, CrossTalk, "{stream} answers {order:?} of {owner}");
                let late = result.outcome == Outcome::Expired && !order.instruction.is_entry();
                hold!(!late, NeverLate, "{order:?} came too late, it was no entry");
                if result.outcome == Outcome::Unknown {
                    self.disturbed.insert(target(order));
                }
            }
            account::Event::LinkRemoved(removed) => {
                self.wound_down += u64::from(removed.wind_down != WindDown::Keep);
            }
            account::Event::LinkEnded(ended) => {
                let book = known.and_then(|known| known.slave_book.as_ref());
                let copies = book.and_then(|book| book.copies.get(&ended.master)).into_iter().flatten();
                let legs = copies.flat_map(|(_, copy)| copy.legs.iter().map(|leg| leg.order));
                let keeps = |link: &account::Link| link.winding == Some(WindDown::Keep);
                if known.and_then(|known| known.links.get(&ended.master)).is_some_and(keeps) {
                    self.released.extend(legs);
                }
            }
            account::Event::StateDiffered(_) => self.differences += 1,
            account::Event::StopTaken(_) => self.stops += 1,
            account::Event::LimitHit(_) => self.limits_hit += 1,
            _ => {}
        }
        Ok(())
    }

    /// A signal is what the terminal told under this number, and nothing of another epoch.
    fn signal(&mut self, truth: &Truth, stream: &StreamId, record: &Record, taken: &SignalTaken) -> Checked {
        let StreamId::Account(_, master) = stream else { return Ok(()) };
        let epoch = truth.account(stream).map_or(0, |known| known.epoch);
        if taken.origin == Origin::Signal {
            let told = self.told.get(&(stream.clone(), epoch, taken.signal_seq));
            let (seq, change) = (taken.signal_seq, &taken.change);
            hold!(
                told == Some(change),
                Signals,
                "{stream} is taken to say {change:?} as {epoch}/{seq}, it said {told:?}"
            );
        }
        self.changes.insert((record.position, taken.change.ticket()), taken.change.clone());
        self.cause(truth, master, record, taken.seen_at);
        Ok(())
    }

    fn cause(&mut self, truth: &Truth, master: &AccountId, record: &Record, seen: Option<Timestamp>) {
        let known = truth.account(&StreamId::master(master));
        let sending = seen.map_or(Span(0), |seen| record.occurred_at.since(seen).max(Span(0)));
        let cause = Cause {
            group: known.and_then(|known| known.group.as_ref()).map(|group| group.settings.as_ref().clone()),
            master: known.and_then(|known| known.settings.as_ref()).map(|settings| settings.copy.clone()),
            happened_at: record.received_at - sending,
        };
        self.causes.insert(record.position, cause);
    }

    fn decided(&mut self, truth: &Truth, stream: &StreamId, record: &Record, decided: &CopyDecided) -> Checked {
        self.decisions += 1;
        self.copies_begun += u64::from(decided.copy.is_some());
        let at = record.position;
        let (Some(slave), Some(cause)) = (truth.account(stream), self.causes.get(&decided.signal)) else {
            return Err(violation(Invariant::OneDecision, format!("event {at} decides about nothing")));
        };
        let key = (stream.clone(), decided.master.clone(), decided.ticket);
        let left = decided.master_left.get();
        let book = slave.slave_book.as_ref();
        let copy = book.and_then(|book| book.copy(&decided.master, decided.ticket));
        let mut total = self.totals.get(&key).copied().filter(|_| decided.copy.is_none()).unwrap_or_default();
        if left < total.left {
            total.kept *= left / total.left;
            for leg in copy.iter().flat_map(|copy| &copy.legs) {
                *self.shares.entry(leg.order).or_insert(Decimal::ONE) *= left / total.left;
            }
        }
        total.left = left;
        let due = copy.map_or(Decimal::ZERO, |copy| self.due(copy, Leg::opened));
        let rule = Rule { truth, slave, cause, decided, due, kept: total.kept, now: record.recorded_at };
        let change = self.changes.get(&(decided.signal, decided.ticket));
        let expected = change.map(|change| rule.expected(change)).unwrap_or_default();
        total.kept = expected.kept.unwrap_or(total.kept);
        self.totals.insert(key, total);
        self.deciding = Some(Deciding {
            slave: stream.clone(),
            at,
            missing: decided.orders.len(),
            expected,
            opened: Decimal::ZERO,
            closed: Decimal::ZERO,
            closes_all: BTreeSet::new(),
        });
        Ok(())
    }

    fn issued(&mut self, stream: &StreamId, record: &Record, order: &Order) -> Checked {
        self.orders_issued += 1;
        let last = self.seqs.entry(stream.clone()).or_default();
        hold!(order.seq == *last + 1, OrderNumbers, "{stream} gets order {} after {last}", order.seq);
        *last = order.seq;
        let entry = order.instruction.is_entry();
        hold!(entry || order.deadline.is_none(), NeverLate, "{order:?} has a deadline and is no entry");
        let known = self.orders.insert(order.id, (stream.clone(), Box::new(order.clone())));
        hold!(known.is_none(), OrderNumbers, "{order:?} has the id of {known:?}");
        match order.reason {
            OrderReason::Signal | OrderReason::Sync => return self.follow(stream, record, order),
            OrderReason::Correction => self.corrections += 1,
            OrderReason::Stop | OrderReason::WindDown | OrderReason::Protection => {
                self.disturbed.insert(target(order));
            }
        }
        hold!(!entry, Entries, "{order:?} opens something of the desk's own accord");
        self.is_complete(record.position)
    }

    /// One of the orders of the last decision.
    fn follow(&mut self, stream: &StreamId, record: &Record, order: &Order) -> Checked {
        let position = record.position;
        let Some(deciding) =
            self.deciding.as_mut().filter(|deciding| deciding.slave == *stream && deciding.missing > 0)
        else {
            return Err(violation(Invariant::OneDecision, format!("event {position}: {order:?} was not decided")));
        };
        deciding.missing -= 1;
        match &order.instruction {
            Instruction::Open { symbol, side, lots, .. } => {
                let Some((_, known, way)) = &deciding.expected.opens else {
                    let why = deciding.expected.why;
                    return Err(violation(Invariant::Entries, format!("event {position}: {order:?}, although {why}")));
                };
                hold!((known, way) == (symbol, side), Volumes, "event {position}: {order:?} is not {way:?} of {known}");
                deciding.opened += lots.get();
            }
            Instruction::Close { of, lots } => {
                let all = deciding.expected.left_of.get(of).copied().unwrap_or_default();
                deciding.closed += lots.map_or(all, |lots| lots.get());
                if lots.is_none() {
                    deciding.closes_all.insert(*of);
                }
            }
            Instruction::Modify { .. } => {}
        }
        Ok(())
    }

    /// The last decision has all its orders, and they are what they should be.
    fn is_complete(&mut self, position: Position) -> Checked {
        let Some(deciding) = self.deciding.take() else { return Ok(()) };
        let Deciding { slave, at, missing, expected, opened, closed, closes_all } = deciding;
        hold!(missing == 0, OneDecision, "{missing} orders of the decision at {at} are missing at {position}");
        let (least, most) = expected.closes;
        let opens = expected.opens.as_ref().map_or(Decimal::ZERO, |(lots, ..)| *lots);
        let why = expected.why;
        hold!(opened == opens, Volumes, "{slave} opens {opened} at {at}, it should open {opens} ({why})");
        let within = least <= closed && closed <= most;
        hold!(within, Volumes, "{slave} closes {closed} at {at}, it should close {least} to {most} ({why})");
        let all = &expected.all;
        hold!(closes_all.is_superset(all), Volumes, "{slave} closes {closes_all:?} at {at}, it should close {all:?}");
        Ok(())
    }
}

/// The order that opened what this one is about.
fn target(order: &Order) -> OrderId {
    match order.instruction {
        Instruction::Modify { of, .. } | Instruction::Close { of, .. } => of,
        Instruction::Open { .. } => order.id,
    }
}

/// What the specification says of one change for one slave.
struct Rule<'a> {
    truth: &'a Truth,
    slave: &'a Account,
    cause: &'a Cause,
    decided: &'a CopyDecided,
    /// What should be left of what was opened.
    due: Decimal,
    /// What was asked for before and not ordered.
    kept: Decimal,
    now: Timestamp,
}

impl Rule<'_> {
    fn expected(&self, change: &Change) -> Expected {
        let book = self.slave.slave_book.as_ref();
        let copy = book.and_then(|book| book.copy(&self.decided.master, self.decided.ticket));
        match (change, copy) {
            (Change::Open(trade), None) => self.entry(trade, trade.lots.get()),
            (Change::Open(trade), Some(copy)) if over(copy) || copy.master_left.get().is_zero() => {
                self.entry(trade, trade.lots.get())
            }
            (Change::Open(trade), Some(copy)) => self.resized(copy, trade.lots.get()),
            (Change::Modify { lots: Some(lots), .. }, Some(copy)) if !over(copy) => self.resized(copy, lots.get()),
            (Change::Close { .. }, Some(copy)) if !over(copy) => self.shrunk(copy),
            (Change::Modify { .. } | Change::Close { .. }, _) => {
                Expected { why: "nothing changes", ..Expected::default() }
            }
        }
    }

    fn resized(&self, copy: &Copy, now: Decimal) -> Expected {
        let before = copy.master_left.get();
        if now > before {
            if let Some(why) = self.hindrance() {
                return Expected { why, ..Expected::default() };
            }
            let (lots, kept) = self.size(now - before, self.kept, &copy.symbol);
            let opens = lots.map(|lots| (lots, copy.symbol.clone(), copy.side));
            return Expected { opens, kept: Some(kept), why: "the trade grew", ..Expected::default() };
        }
        if now < before { self.shrunk(copy) } else { Expected { why: "as it was", ..Expected::default() } }
    }

    /// Down to the share of what was opened that the master's closes have left, in whole steps.
    fn shrunk(&self, copy: &Copy) -> Expected {
        let winding = self.slave.links.get(&self.decided.master).and_then(|link| link.winding);
        if matches!(winding, Some(WindDown::Keep | WindDown::CloseOnlyBySymbol)) {
            return Expected { closes: (Decimal::ZERO, Decimal::MAX), why: "wound down", ..Expected::default() };
        }
        let left_of: BTreeMap<OrderId, Decimal> = copy.legs.iter().map(|leg| (leg.order, leg.left().get())).collect();
        let left: Decimal = left_of.values().sum();
        if self.decided.master_left.get().is_zero() {
            let there = copy.legs.iter().filter(|leg| leg.left().get() > Decimal::ZERO);
            let all = there.map(|leg| leg.order).collect();
            return Expected {
                closes: (left, left),
                all,
                left_of,
                why: "the master has none left",
                ..Expected::default()
            };
        }
        if copy.legs.iter().any(|leg| leg.entry == Entry::Market && leg.state == LegState::Sent) {
            return Expected { why: "the opening is not answered yet", ..Expected::default() };
        }
        let most = (left - self.due).max(Decimal::ZERO);
        let waits = copy.legs.iter().any(|leg| leg.entry != Entry::Market && leg.state != LegState::Open);
        let step = super::terminals::step(&copy.symbol);
        let least = if waits { Decimal::ZERO } else { (most - step).max(Decimal::ZERO) };
        let tiny = Decimal::new(1, 7);
        Expected { closes: (least, most + tiny), left_of, why: "the master's share", ..Expected::default() }
    }

    fn entry(&self, trade: &Trade, lots: Decimal) -> Expected {
        if let Some(why) = self.hindrance() {
            return Expected { why, ..Expected::default() };
        }
        if trade.entry.is_pending() && !self.setting(|layer| layer.copy_pending).unwrap_or(true) {
            return Expected { why: "pending orders are not copied", ..Expected::default() };
        }
        let Some(symbol) = self.symbol(&trade.symbol) else {
            return Expected { why: "the slave does not have the symbol", ..Expected::default() };
        };
        let reversed = self.setting(|layer| layer.reverse).unwrap_or(false);
        let side = if reversed { trade.side.opposite() } else { trade.side };
        let (lots, kept) = self.size(lots, Decimal::ZERO, &symbol);
        let opens = lots.map(|lots| (lots, symbol, side));
        Expected { opens, kept: Some(kept), why: "the master opened", ..Expected::default() }
    }

    /// Why nothing may be opened.
    fn hindrance(&self) -> Option<&'static str> {
        let Some(link) = self.slave.links.get(&self.decided.master) else { return Some("there is no link") };
        let desk = self.truth.desk();
        let all = self.slave.settings.as_ref().is_none_or(|settings| settings.require_all_masters);
        let hits = self.slave.protection.as_ref().is_some_and(|protection| protection.hits().next().is_some());
        let age = self.now.since(self.cause.happened_at).0.max(0) / 1000;
        let sync = self.setting(|layer| layer.sync_mode).unwrap_or(SyncMode::Skip);
        let connected = RuntimeStatus::Connected;
        [
            (link.winding.is_some(), "the link was removed"),
            (self.setting(|layer| layer.mode).unwrap_or(Mode::Live) != Mode::Live, "the link is not live"),
            (self.slave.warnings.has(Warning::LogBehindTerminal), "the log is behind"),
            (!link.enabled, "the link is off"),
            (link.status != connected, "the link is not connected"),
            (all && self.slave.status != connected, "the slave waits for all its masters"),
            (desk.is_some_and(|desk| desk.stopped.is_some()), "STOP was pressed"),
            (hits, "a limit was reached"),
            (self.decided.origin == Origin::Signal && age > 5_000, "the signal is too old"),
            (self.decided.origin != Origin::Signal && sync == SyncMode::Skip, "what was open before is skipped"),
        ]
        .into_iter()
        .find_map(|(holds, why)| holds.then_some(why))
    }

    /// Times the factor, or so many, and what was kept before; whole steps, not more than the largest; none below the smallest. And
    /// what is kept then: nothing of what is above the largest.
    fn size(&self, lots: Decimal, kept: Decimal, symbol: &Symbol) -> (Option<Decimal>, Decimal) {
        let asked = match self.setting(|layer| layer.volume) {
            None => lots,
            Some(Volume::Multiplier(factor)) => lots * factor.get(),
            Some(Volume::Fixed(fixed)) => fixed.get(),
            Some(other) => unreachable!("the world does not set {other:?}"),
        };
        let step = super::terminals::step(symbol);
        let due = kept + asked;
        let (whole, most) = ((due / step).floor() * step, Decimal::from(50));
        match whole {
            whole if whole < step => (None, due),
            whole if whole > most => (Some(most), Decimal::ZERO),
            whole => (Some(whole), due - whole),
        }
    }

    /// Without what the master's broker adds, mapped, and with what the slave's adds.
    fn symbol(&self, name: &Symbol) -> Option<Symbol> {
        let master = self.truth.account(&StreamId::Account(Role::Master, self.decided.master.clone()))?;
        let special = master.identity.as_ref()?.affixes.specials.iter().find(|(_, theirs)| *theirs == name);
        let bare = || name.as_str().trim_end_matches(".m").to_string();
        let plain = special.map_or_else(bare, |(plain, _)| plain.to_string());
        let map: Vec<Mapping> = self.setting(|layer| layer.symbol_map.clone()).unwrap_or_default();
        let mapped = map.iter().find(|mapping| mapping.from == *name || mapping.from.as_str() == plain);
        let plain = mapped.map_or(plain, |mapping| mapping.to.to_string());
        let own = self.slave.identity.as_ref()?;
        let dressed = Symbol::new(format!("{}{plain}{}", own.affixes.prefix, own.affixes.suffix)).ok()?;
        own.contracts.contains_key(&dressed).then_some(dressed)
    }

    /// The slave's own, else the link's, the group's, the master's, the desk's.
    fn setting<T>(&self, of: impl Fn(&Overrides) -> Option<T>) -> Option<T> {
        let slave = self.slave.settings.as_ref().map(|settings| &settings.copy);
        let link = self.slave.links.get(&self.decided.master).map(|link| link.settings.as_ref());
        let desk = self.truth.desk().map(|desk| &*desk.copy_defaults);
        let layers = [slave, link, self.cause.group.as_ref(), self.cause.master.as_ref(), desk];
        layers.into_iter().flatten().find_map(of)
    }
}

fn over(copy: &Copy) -> bool {
    !copy.legs.is_empty() && copy.legs.iter().all(|leg| leg.state == LegState::Over)
}
