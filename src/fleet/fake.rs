//! A desk for tests: it answers terminals as the wire says, and copies in the plainest way. It keeps nothing on a disk.

use super::cast::{BelowMin, Cast, Link, Volume};
use super::market::exact;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tidehelm_events::id::{AccountId, DeskId, Position, Role};
use tidehelm_events::money::Lots;
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{
    Change, Entry, Instruction, Order, OrderId, OrderReason, OrderResult, Outcome, Stamps, Ticket, Trade,
};
use tidehelm_terminal::wire::{self, Answer, Codec, Delivery, Envelope, Nonce, Request};
use uuid::Uuid;

type Terminal = (Role, AccountId);

/// Where an answer goes: the connection and the request's own number.
pub type Address = (u64, u64);

#[derive(Default)]
pub struct Fake {
    pub cast: Option<Cast>,
    epochs: BTreeMap<Terminal, u64>,
    signals: BTreeMap<AccountId, u64>,
    answers: BTreeMap<(Terminal, u64, u64), Vec<u8>>,
    polls: BTreeMap<Terminal, (Address, Envelope<Request>)>,
    outbox: BTreeMap<AccountId, BTreeMap<u64, Order>>,
    offered: BTreeMap<AccountId, u64>,
    seqs: BTreeMap<AccountId, u64>,
    copies: BTreeMap<(usize, Ticket), Copy>,
    orders: u64,
    pub results: u64,
    pub snapshots: u64,
}

#[derive(Debug, Clone, Default)]
struct Copy {
    trade: Option<Trade>,
    put_in: Decimal,
    left: Decimal,
    legs: Vec<Leg>,
}

#[derive(Debug, Clone)]
struct Leg {
    order: OrderId,
    asked: Decimal,
    filled: Option<Decimal>,
    closed: Decimal,
    closing: Option<OrderId>,
    over: bool,
}

impl Fake {
    /// The answers that a request leads to: its own, and those of polls that waited for what it brought.
    pub fn session(&mut self, from: Address, message: &[u8], now: Timestamp) -> Vec<(Address, Vec<u8>)> {
        let frame = wire::open(message).unwrap();
        let envelope: Envelope<Request> = wire::decode(frame.inner).unwrap();
        let who = (envelope.role, envelope.account.clone());
        let key = (who.clone(), envelope.epoch, envelope.seq);
        let again = |answer: &Vec<u8>| vec![(from, answer.clone())];
        let repeatable = !matches!(envelope.body, Request::Hello(_) | Request::Register(_) | Request::Next(_));
        if let Some(answer) = self.answers.get(&key).filter(|_| repeatable) {
            return again(answer);
        }
        if repeatable && envelope.epoch != self.epochs.get(&who).copied().unwrap_or_default() {
            return vec![(from, refusal(&envelope, wire::code::EPOCH_SUPERSEDED, None, now))];
        }
        let said = self.answer(from, &who, &envelope, now);
        let mut answers = Vec::new();
        if let Some(said) = said {
            let bytes = encoded(&envelope, said, now);
            if repeatable {
                self.answers.insert(key, bytes.clone());
            }
            answers.push((from, bytes));
        }
        answers.extend(self.deliver(now));
        answers
    }

    /// A connection came or went: what was offered on it may be lost.
    pub fn reconnected(&mut self, account: &AccountId) {
        self.offered.remove(account);
    }

    fn answer(
        &mut self,
        from: Address,
        who: &Terminal,
        envelope: &Envelope<Request>,
        now: Timestamp,
    ) -> Option<Answer> {
        let accepted = Answer::Accepted(wire::Accepted { position: None });
        Some(match &envelope.body {
            Request::Hello(_) => {
                Answer::Welcome(wire::Welcome { desk: DeskId(Uuid::from_u128(1)), nonce: Nonce([7; 16]) })
            }
            Request::Register(_) => self.register(who, now),
            Request::Signal(signal) => {
                let last = self.signals.entry(who.1.clone()).or_default();
                match signal.signal_seq {
                    seq if seq <= *last => return Some(accepted),
                    seq if seq > *last + 1 => {
                        return Some(Answer::Refused(wire::Refused {
                            code: wire::code::SIGNAL_GAP.into(),
                            detail: "a signal is missing".into(),
                            field: None,
                            expected: Some(*last + 1),
                        }));
                    }
                    seq => *last = seq,
                }
                let stamps = Stamps {
                    broker: signal.broker_at,
                    seen: Some(signal.seen_at),
                    received: Some(now),
                    decided: Some(now),
                };
                self.hear(&who.1, &signal.change, stamps);
                accepted
            }
            Request::OrderResult(result) => {
                self.results += 1;
                self.take(&who.1, result, now);
                accepted
            }
            Request::PositionSnapshot(snapshot) => {
                self.snapshots += 1;
                if who.0 == Role::Master
                    && self.signals.get(&who.1).copied().unwrap_or(0) == snapshot.through_signal_seq
                {
                    self.reconcile(&who.1, snapshot, now);
                }
                accepted
            }
            Request::Next(_) => {
                self.polls.insert(who.clone(), (from, envelope.clone()));
                return None;
            }
            Request::Unregister(_) | Request::Ack(_) | Request::RequestConfig(_) => accepted,
            Request::Pair(_) | Request::Heartbeat(_) | Request::Quote(_) => return None,
        })
    }

    fn register(&mut self, who: &Terminal, now: Timestamp) -> Answer {
        let epoch = self.epochs.entry(who.clone()).or_default();
        let last = self.signals.get(&who.1).copied().unwrap_or(0);
        let previous = (*epoch > 0).then_some(wire::Previous { epoch: *epoch, signal_seq: last });
        *epoch += 1;
        self.polls.remove(who);
        self.offered.remove(&who.1);
        if who.0 == Role::Master {
            self.signals.insert(who.1.clone(), 0);
        }
        Answer::Registered(wire::Registered { epoch: *epoch, now, heartbeat_ms: 1000, previous })
    }

    /// What is new for those who wait.
    fn deliver(&mut self, now: Timestamp) -> Vec<(Address, Vec<u8>)> {
        let mut answers = Vec::new();
        let waiting: Vec<Terminal> = self.polls.keys().filter(|(role, _)| *role == Role::Slave).cloned().collect();
        for who in waiting {
            let offered = self.offered.get(&who.1).copied().unwrap_or(0);
            let Some(outbox) = self.outbox.get(&who.1) else { continue };
            let list: Vec<Delivery> = outbox
                .range(offered + 1..)
                .take(100)
                .map(|(_, order)| Delivery::Order(Box::new(order.clone())))
                .collect();
            let Some(last) = outbox.range(offered + 1..).take(100).last().map(|(seq, _)| *seq) else { continue };
            self.offered.insert(who.1.clone(), last);
            let Some((address, envelope)) = self.polls.remove(&who) else { continue };
            answers.push((address, encoded(&envelope, Answer::Deliveries(wire::Deliveries { list }), now)));
        }
        answers
    }

    fn links_of(&self, master: &AccountId) -> Vec<(usize, Link)> {
        let cast = self.cast.as_ref().unwrap();
        cast.links.iter().cloned().enumerate().filter(|(_, link)| link.master == *master).collect()
    }

    fn hear(&mut self, master: &AccountId, change: &Change, stamps: Stamps) {
        for (at, link) in self.links_of(master) {
            let key = (at, change.ticket());
            let mut copy = self.copies.remove(&key).unwrap_or_default();
            match change {
                Change::Open(trade) if copy.trade.is_none() => {
                    (copy.put_in, copy.left) = (trade.lots.get(), trade.lots.get());
                    copy.trade = Some(trade.clone());
                    self.grow(&link, &mut copy, stamps);
                }
                Change::Modify { lots: Some(lots), .. } if lots.get() > copy.left && copy.trade.is_some() => {
                    copy.put_in += lots.get() - copy.left;
                    copy.left = lots.get();
                    copy.trade = copy.trade.map(|trade| Trade { entry: Entry::Market, ..trade });
                    self.grow(&link, &mut copy, stamps);
                }
                Change::Close { remaining, .. } => {
                    copy.left = copy.left.min(remaining.map_or(Decimal::ZERO, Lots::get));
                    self.shrink(&link, change.ticket(), &mut copy);
                }
                Change::Open(_) | Change::Modify { .. } => {}
            }
            self.copies.insert(key, copy);
        }
    }

    /// What the master no longer has is closed, what it has and was not told of is opened.
    fn reconcile(&mut self, master: &AccountId, snapshot: &wire::PositionSnapshot, now: Timestamp) {
        let held: BTreeMap<Ticket, &Trade> =
            snapshot.trades.iter().map(|held| (held.trade.ticket, &held.trade)).collect();
        let links: Vec<usize> = self.links_of(master).into_iter().map(|(at, _)| at).collect();
        let known: Vec<Ticket> =
            self.copies.keys().filter(|(at, _)| links.first() == Some(at)).map(|(_, ticket)| *ticket).collect();
        for ticket in known {
            let remaining = held.get(&ticket).map(|trade| trade.lots);
            self.hear(master, &Change::Close { ticket, ratio: None, remaining, price: None }, Stamps::default());
        }
        for trade in held.values() {
            let stamps = Stamps { received: Some(now), ..Stamps::default() };
            self.hear(master, &Change::Open((*trade).clone()), stamps);
        }
    }

    /// Opens what is wanted beyond what was asked for.
    fn grow(&mut self, link: &Link, copy: &mut Copy, stamps: Stamps) {
        let Some(trade) = copy.trade.clone() else { return };
        let cast = self.cast.as_ref().unwrap();
        let master = cast.masters.iter().find(|player| player.account == link.master).unwrap();
        let slave = cast.slaves.iter().find(|player| player.account == link.slave).unwrap();
        let instrument = master.house.listing(&trade.symbol).unwrap().instrument;
        let (symbol, listing) = slave.house.symbol(instrument).unwrap();
        let wanted = wanted(link, copy.put_in, &listing.contract, slave.balance / master.balance);
        let asked: Decimal = copy.legs.iter().map(|leg| leg.asked).sum();
        if wanted <= asked {
            return;
        }
        let reverse = link.terms.reverse;
        let instruction = Instruction::Open {
            symbol: symbol.clone(),
            side: if reverse { trade.side.opposite() } else { trade.side },
            entry: match (trade.entry, reverse) {
                (Entry::Limit, true) => Entry::Stop,
                (Entry::Stop, true) => Entry::Limit,
                (entry, _) => entry,
            },
            lots: exact(Lots::new(wanted - asked)),
            price: trade.price,
            sl: None,
            tp: None,
            slippage_max: None,
            retries_max: 3,
            magic: 0,
            comment: String::new(),
            expires_at: None,
        };
        let order = self.send(link, trade.ticket, instruction, stamps);
        let leg = Leg { order, asked: wanted - asked, filled: None, closed: Decimal::ZERO, closing: None, over: false };
        copy.legs.push(leg);
    }

    /// Closes what is too much, once it is known how much there is.
    fn shrink(&mut self, link: &Link, ticket: Ticket, copy: &mut Copy) {
        let all_known = copy.legs.iter().all(|leg| leg.over || (leg.filled.is_some() && leg.closing.is_none()));
        let step = self.step(link, copy);
        let filled: Decimal = copy.legs.iter().filter_map(|leg| leg.filled).sum();
        let standing: Decimal = copy.legs.iter().map(|leg| leg.filled.unwrap_or_default() - leg.closed).sum();
        let keep = if copy.put_in.is_zero() { Decimal::ZERO } else { filled * copy.left / copy.put_in };
        let mut close = ((standing - keep) / step).floor() * step;
        let mut legs = std::mem::take(&mut copy.legs);
        for leg in legs.iter_mut().filter(|leg| !leg.over && leg.closing.is_none()) {
            if copy.left.is_zero() {
                let instruction = Instruction::Close { of: leg.order, lots: None };
                leg.closing = Some(self.send(link, ticket, instruction, Stamps::default()));
            } else if all_known && close > Decimal::ZERO {
                let part = close.min(leg.filled.unwrap_or_default() - leg.closed);
                close -= part;
                if part > Decimal::ZERO {
                    let instruction = Instruction::Close { of: leg.order, lots: Some(exact(Lots::new(part))) };
                    leg.closing = Some(self.send(link, ticket, instruction, Stamps::default()));
                }
            }
        }
        copy.legs = legs;
    }

    fn step(&self, link: &Link, copy: &Copy) -> Decimal {
        let cast = self.cast.as_ref().unwrap();
        let master = cast.masters.iter().find(|player| player.account == link.master).unwrap();
        let slave = cast.slaves.iter().find(|player| player.account == link.slave).unwrap();
        let Some(trade) = &copy.trade else { return Decimal::ONE };
        let instrument = master.house.listing(&trade.symbol).unwrap().instrument;
        slave.house.symbol(instrument).unwrap().1.contract.lots_step.get()
    }

    fn send(&mut self, link: &Link, ticket: Ticket, instruction: Instruction, stamps: Stamps) -> OrderId {
        self.orders += 1;
        let id = OrderId(Uuid::new_v5(&Uuid::from_u128(99), &self.orders.to_be_bytes()));
        let seq = self.seqs.entry(link.slave.clone()).or_default();
        *seq += 1;
        let order = Order {
            id,
            seq: *seq,
            instruction,
            deadline: None,
            reason: OrderReason::Signal,
            master: Some(link.master.clone()),
            ticket: Some(ticket),
            signal: Some(Position(1)),
            stamps,
        };
        self.outbox.entry(link.slave.clone()).or_default().insert(*seq, order);
        id
    }

    fn take(&mut self, slave: &AccountId, result: &OrderResult, _now: Timestamp) {
        if let Some(outbox) = self.outbox.get_mut(slave) {
            outbox.retain(|_, order| order.id != result.order);
        }
        let mut found = None;
        for ((at, ticket), copy) in &mut self.copies {
            for leg in &mut copy.legs {
                let lots = result.lots.map_or(Decimal::ZERO, Lots::get);
                if leg.order == result.order {
                    found = Some((*at, *ticket));
                    match result.outcome {
                        Outcome::Filled | Outcome::Partial | Outcome::Placed => leg.filled = Some(lots),
                        Outcome::Rejected
                        | Outcome::Expired
                        | Outcome::Cancelled
                        | Outcome::Nothing
                        | Outcome::Unknown => {
                            leg.over = true;
                        }
                    }
                }
                if leg.closing == Some(result.order) {
                    found = Some((*at, *ticket));
                    leg.closing = None;
                    leg.closed += lots;
                    leg.over |=
                        result.outcome == Outcome::Nothing || leg.filled.is_some_and(|filled| leg.closed >= filled);
                }
            }
        }
        let Some((at, ticket)) = found else { return };
        let link = self.cast.as_ref().unwrap().links[at].clone();
        if let Some(mut copy) = self.copies.remove(&(at, ticket)) {
            self.shrink(&link, ticket, &mut copy);
            self.copies.insert((at, ticket), copy);
        }
    }
}

/// By steps, as somebody with a pocket calculator would: not as the reference does it.
pub fn wanted(link: &Link, lots: Decimal, contract: &tidehelm_events::trade::Contract, ratio: Decimal) -> Decimal {
    let exactly = match link.terms.volume {
        Volume::Fixed(lots) => lots,
        Volume::Multiplier(factor) => lots * factor,
        Volume::BalanceRatio => lots * ratio,
    };
    let wanted = exactly - exactly % contract.lots_step.get();
    if wanted < contract.lots_min.get() {
        return if link.terms.below_min == BelowMin::Force { contract.lots_min.get() } else { Decimal::ZERO };
    }
    wanted.min(contract.lots_max.get())
}

fn encoded(asked: &Envelope<Request>, body: Answer, now: Timestamp) -> Vec<u8> {
    let Envelope { account, role, epoch, seq, .. } = asked.clone();
    wire::encode(&Envelope { account, role, epoch, seq, sent_at: now, body }, Codec::Binary)
}

fn refusal(asked: &Envelope<Request>, code: &str, expected: Option<u64>, now: Timestamp) -> Vec<u8> {
    let refused = wire::Refused { code: code.into(), detail: code.into(), field: None, expected };
    encoded(asked, Answer::Refused(refused), now)
}
