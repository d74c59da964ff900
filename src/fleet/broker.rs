//! An account at a simulated broker, in whatever time it is told. Its list of executions is the truth: it says what happened,
//! whoever heard of it.

use super::house::{Comments, House};
use super::market::{INSTRUMENTS, Instrument, Market, exact};
use super::rng::Rng;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidehelm_events::id::AccountId;
use tidehelm_events::money::{Lots, Money, Price};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::{Entry, Holding, OrderId, Side, Symbol, Ticket, Trade};

/// What is asked of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Buy or sell at once. Where positions net, this also closes.
    Deal {
        symbol: Symbol,
        side: Side,
        lots: Lots,
        /// The price that was meant, and how far from it will do.
        near: Option<(Price, Price)>,
        sl: Option<Price>,
        tp: Option<Price>,
        magic: i64,
        comment: String,
    },
    Place {
        symbol: Symbol,
        side: Side,
        entry: Entry,
        lots: Lots,
        price: Price,
        sl: Option<Price>,
        tp: Option<Price>,
        magic: i64,
        comment: String,
        expires_at: Option<Timestamp>,
    },
    /// A position's stops as they shall be, or a pending order's price and stops.
    Modify {
        ticket: Ticket,
        price: Option<Price>,
        sl: Option<Price>,
        tp: Option<Price>,
    },
    /// Closes so much of a position, or all of it.
    Close {
        ticket: Ticket,
        lots: Option<Lots>,
    },
    Cancel {
        ticket: Ticket,
    },
}

impl Request {
    /// Opens something, or may.
    pub fn is_entry(&self) -> bool {
        matches!(self, Request::Deal { .. } | Request::Place { .. })
    }
}

/// Which order of the desk a request carries out. The broker only writes it down beside what happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    pub order: OrderId,
    /// Whose trade it copies, as the order said.
    pub master: AccountId,
    pub ticket: Ticket,
    /// False where it closes or modifies.
    pub opens: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    pub at: Timestamp,
    /// The request that it came from, 1, 2, 3 … for each account; none where the market did it.
    pub request: Option<u64>,
    pub tag: Option<Tag>,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Bought or sold. Against the side of its position it closes.
    Dealt {
        ticket: Ticket,
        symbol: Symbol,
        side: Side,
        lots: Lots,
        price: Price,
        by: By,
    },
    /// The part of a request that was never filled.
    Unfilled {
        symbol: Symbol,
        side: Side,
        lots: Lots,
    },
    Refused {
        lots: Lots,
        why: Reject,
    },
    Placed {
        ticket: Ticket,
        symbol: Symbol,
        side: Side,
        entry: Entry,
        lots: Lots,
        price: Price,
    },
    /// The market reached a pending order. A deal follows.
    Triggered {
        ticket: Ticket,
        lots: Lots,
    },
    Withdrawn {
        ticket: Ticket,
        lots: Lots,
        by: By,
    },
    Modified {
        ticket: Ticket,
    },
}

/// Why something was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    Request,
    Pending,
    StopLoss,
    TakeProfit,
    Expiry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reject {
    #[error("requote")]
    Requote,
    #[error("not enough money")]
    NoMoney,
    #[error("market closed")]
    MarketClosed,
    #[error("invalid stops")]
    InvalidStops,
    #[error("invalid price")]
    InvalidPrice,
    #[error("invalid volume")]
    InvalidVolume,
    #[error("unknown symbol")]
    UnknownSymbol,
    #[error("unknown ticket")]
    UnknownTicket,
}

impl Reject {
    /// Worth another try.
    pub fn passes(self) -> bool {
        self == Reject::Requote
    }
    /// The request was wrong, rather than the moment.
    pub fn blames_the_request(self) -> bool {
        matches!(self, Reject::InvalidVolume | Reject::UnknownSymbol)
    }
}

/// What the terminal hears of a request, if it hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub request: u64,
    pub said: Result<Done, Reject>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    pub ticket: Option<Ticket>,
    pub lots: Lots,
    pub price: Option<Price>,
    pub sl: Option<Price>,
    pub tp: Option<Price>,
}

/// What a terminal finds in the history of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    pub comment: String,
    pub done: Done,
    /// It was a pending order.
    pub entry: Entry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub balance: Money,
    pub equity: Money,
    pub free_margin: Money,
}

#[derive(Debug, Clone)]
struct Held {
    trade: Trade,
    instrument: usize,
    tag: Option<Tag>,
    expires_at: Option<Timestamp>,
}

/// What an execution comes from.
#[derive(Debug, Clone)]
struct Cause {
    at: Timestamp,
    request: Option<u64>,
    tag: Option<Tag>,
    by: By,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    request: Request,
    tag: Option<Tag>,
}

pub struct Broker {
    pub house: Arc<House>,
    pub holding: Holding,
    /// Stop-loss, take-profit are carried out here. Off, they are only kept.
    pub stops: bool,
    /// Gains and losses are not booked: for volumes that follow from balances.
    pub balance_stays: bool,
    rng: Rng,
    balance: Decimal,
    held: BTreeMap<Ticket, Held>,
    past: Vec<Past>,
    requests: u64,
    tickets: u64,
    /// On their way in, by the time of arrival.
    coming: BTreeMap<(Timestamp, u64), Waiting>,
    /// On their way back.
    going: BTreeMap<(Timestamp, u64), Answer>,
    moves_seen: u64,
    executions: Vec<Execution>,
}

/// An answer that is late is as late as this.
const LATE: [i64; 2] = [3_000, 9_000];

impl Broker {
    /// Tickets count from the same number everywhere, so that those of different accounts coincide.
    pub fn new(house: Arc<House>, holding: Holding, balance: Decimal, rng: Rng) -> Self {
        Broker {
            house,
            holding,
            stops: true,
            balance_stays: false,
            rng,
            balance,
            held: BTreeMap::new(),
            past: Vec::new(),
            requests: 0,
            tickets: 5_000_000,
            coming: BTreeMap::new(),
            going: BTreeMap::new(),
            moves_seen: 0,
            executions: Vec::new(),
        }
    }

    /// Sends a request; its number is in the answer.
    pub fn send(&mut self, now: Timestamp, request: Request, tag: Option<Tag>) -> u64 {
        self.requests += 1;
        let number = self.requests;
        let arrives = now + Span::millis(self.travel() / 2);
        self.coming.insert((arrives, number), Waiting { number, request, tag });
        number
    }

    /// Works off what has arrived, lets the market act, and gives the answers that have come back.
    pub fn advance(&mut self, now: Timestamp, market: &Market) -> Vec<Answer> {
        if self.moves_seen != market.moves() {
            self.moves_seen = market.moves();
            self.react(now, market);
        }
        while let Some(entry) = self.coming.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((arrived, _), waiting) = entry.remove_entry();
            self.work(arrived, waiting, market);
        }
        let mut answers = Vec::new();
        while let Some(entry) = self.going.first_entry().filter(|entry| entry.key().0 <= now) {
            answers.push(entry.remove());
        }
        answers
    }

    /// When something will happen here, short of the market moving.
    pub fn due(&self) -> Option<Timestamp> {
        let first = |at: Option<&(Timestamp, u64)>| at.map(|(at, _)| *at);
        let (coming, going) = (first(self.coming.keys().next()), first(self.going.keys().next()));
        coming.into_iter().chain(going).min()
    }

    /// Nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.coming.is_empty()
    }

    /// Answers that were on their way to a terminal that is gone.
    pub fn hang_up(&mut self) {
        self.going.clear();
    }

    /// Positions and pending orders, by ticket.
    pub fn trades(&self) -> impl Iterator<Item = &Trade> {
        self.held.values().map(|held| &held.trade)
    }
    pub fn trade(&self, ticket: Ticket) -> Option<&Trade> {
        self.held.get(&ticket).map(|held| &held.trade)
    }
    pub fn count(&self) -> usize {
        self.held.len()
    }
    pub fn executions(&self) -> &[Execution] {
        &self.executions
    }

    /// What was ever done under a comment that holds this text.
    pub fn find(&self, text: &str) -> Option<&Past> {
        self.past.iter().rev().find(|past| past.comment.contains(text))
    }

    pub fn figures(&self, market: &Market) -> Figures {
        let (mut gain, mut margin) = (Decimal::ZERO, Decimal::ZERO);
        for held in self.held.values().filter(|held| !held.trade.entry.is_pending()) {
            gain += self.gain(held, self.exit(held, market), held.trade.lots);
            margin += self.margin(held.instrument, held.trade.lots, held.trade.price);
        }
        let gain = if self.balance_stays { Decimal::ZERO } else { gain };
        let money = |amount: Decimal| exact(Money::new(amount.round_dp(2)));
        let equity = self.balance + gain;
        Figures { balance: money(self.balance), equity: money(equity), free_margin: money(equity - margin) }
    }

    fn travel(&mut self) -> i64 {
        let [least, most] = self.house.latency;
        self.rng.between(least, most)
    }

    fn work(&mut self, at: Timestamp, Waiting { number, request, tag }: Waiting, market: &Market) {
        let faults = self.house.faults;
        let cause = Cause { at, request: Some(number), tag, by: By::Request };
        let asked = self.asked(&request);
        // Who closes or moves stops may try again, and then succeeds.
        let reject =
            if request.is_entry() && cause.tag.as_ref().is_none_or(|tag| tag.opens) { faults.reject } else { 0 };
        let said = match self.rng.below(1000) {
            drawn if drawn < faults.requote => Err(Reject::Requote),
            drawn if drawn < faults.requote + reject => Err(Reject::MarketClosed),
            _ => self.execute(&cause, &request, market),
        };
        if let Err(why) = said {
            self.note(&cause, What::Refused { lots: asked, why });
        }
        self.answer(at, Answer { request: number, said });
    }

    fn answer(&mut self, at: Timestamp, answer: Answer) {
        let faults = self.house.faults;
        let drawn = self.rng.below(1000);
        if drawn < faults.lost {
            return;
        }
        let late = if drawn < faults.lost + faults.late { self.rng.between(LATE[0], LATE[1]) } else { 0 };
        let back = at + Span::millis(self.travel() / 2 + late);
        self.going.insert((back, answer.request), answer);
    }

    fn asked(&self, request: &Request) -> Lots {
        match request {
            Request::Deal { lots, .. } | Request::Place { lots, .. } | Request::Close { lots: Some(lots), .. } => *lots,
            Request::Close { ticket, lots: None } | Request::Cancel { ticket } | Request::Modify { ticket, .. } => {
                self.trade(*ticket).map_or(Lots::ZERO, |trade| trade.lots)
            }
        }
    }

    fn execute(&mut self, cause: &Cause, request: &Request, market: &Market) -> Result<Done, Reject> {
        match request {
            Request::Deal { .. } => self.deal(cause, request, market),
            Request::Place { .. } => self.place(cause, request, market),
            Request::Modify { ticket, price, sl, tp } => {
                self.modify(*ticket, *price, *sl, *tp, market)?;
                self.note(cause, What::Modified { ticket: *ticket });
                Ok(Done { ticket: Some(*ticket), lots: Lots::ZERO, price: *price, sl: *sl, tp: *tp })
            }
            Request::Close { ticket, lots } => self.close(cause, *ticket, *lots, market),
            Request::Cancel { ticket } => {
                let pending = self.trade(*ticket).filter(|trade| trade.entry.is_pending());
                let lots = pending.ok_or(Reject::UnknownTicket)?.lots;
                self.held.remove(ticket);
                self.note(cause, What::Withdrawn { ticket: *ticket, lots, by: By::Request });
                Ok(Done { ticket: Some(*ticket), lots, ..Done::default() })
            }
        }
    }

    fn deal(&mut self, cause: &Cause, request: &Request, market: &Market) -> Result<Done, Reject> {
        let Request::Deal { symbol, side, lots, near, sl, tp, magic, comment } = request else {
            return Err(Reject::InvalidPrice);
        };
        let instrument = self.check_volume(symbol, *lots)?;
        let price = market.price(instrument, *side);
        if near.is_some_and(|(meant, far)| (price.get() - meant.get()).abs() > far.get()) {
            return Err(Reject::Requote);
        }
        check_stops(*side, market, instrument, *sl, *tp)?;
        let closes = cause.tag.as_ref().is_some_and(|tag| !tag.opens);
        let filled = if closes { *lots } else { self.filled(symbol, *lots) };
        let reduces = self.netted(symbol).is_some_and(|held| held.trade.side != *side);
        if !reduces && self.margin(instrument, filled, price) > self.figures(market).free_margin.get() {
            return Err(Reject::NoMoney);
        }
        let trade = Trade {
            ticket: Ticket(0),
            symbol: symbol.clone(),
            side: *side,
            entry: Entry::Market,
            lots: filled,
            price,
            sl: *sl,
            tp: *tp,
            magic: *magic,
            comment: self.rewritten(comment),
        };
        let comment = trade.comment.clone();
        let ticket = self.take(cause, trade, instrument);
        if filled < *lots {
            let rest = exact(Lots::new(lots.get() - filled.get()));
            self.note(cause, What::Unfilled { symbol: symbol.clone(), side: *side, lots: rest });
        }
        let done = Done { ticket: Some(ticket), lots: filled, price: Some(price), sl: *sl, tp: *tp };
        self.past.push(Past { comment, done: done.clone(), entry: Entry::Market });
        Ok(done)
    }

    fn place(&mut self, cause: &Cause, request: &Request, market: &Market) -> Result<Done, Reject> {
        let Request::Place { symbol, side, entry, lots, price, sl, tp, magic, comment, expires_at } = request else {
            return Err(Reject::InvalidPrice);
        };
        let instrument = self.check_volume(symbol, *lots)?;
        if reached(*side, *entry, *price, market.price(instrument, *side)) {
            return Err(Reject::InvalidPrice);
        }
        check_order(*side, *price, *sl, *tp)?;
        let ticket = self.new_ticket();
        let comment = self.rewritten(comment);
        let trade = Trade {
            ticket,
            symbol: symbol.clone(),
            side: *side,
            entry: *entry,
            lots: *lots,
            price: *price,
            sl: *sl,
            tp: *tp,
            magic: *magic,
            comment: comment.clone(),
        };
        self.held.insert(ticket, Held { trade, instrument, tag: cause.tag.clone(), expires_at: *expires_at });
        let what =
            What::Placed { ticket, symbol: symbol.clone(), side: *side, entry: *entry, lots: *lots, price: *price };
        self.note(cause, what);
        let done = Done { ticket: Some(ticket), lots: *lots, price: Some(*price), sl: *sl, tp: *tp };
        self.past.push(Past { comment, done: done.clone(), entry: *entry });
        Ok(done)
    }

    fn modify(
        &mut self,
        ticket: Ticket,
        price: Option<Price>,
        sl: Option<Price>,
        tp: Option<Price>,
        market: &Market,
    ) -> Result<(), Reject> {
        let held = self.held.get_mut(&ticket).ok_or(Reject::UnknownTicket)?;
        let trade = &mut held.trade;
        if trade.entry.is_pending() {
            let price = price.unwrap_or(trade.price);
            if reached(trade.side, trade.entry, price, market.price(held.instrument, trade.side)) {
                return Err(Reject::InvalidPrice);
            }
            check_order(trade.side, price, sl, tp)?;
            trade.price = price;
        } else {
            check_stops(trade.side, market, held.instrument, sl, tp)?;
        }
        (trade.sl, trade.tp) = (sl, tp);
        Ok(())
    }

    fn close(&mut self, cause: &Cause, ticket: Ticket, lots: Option<Lots>, market: &Market) -> Result<Done, Reject> {
        let held = self.held.get(&ticket).filter(|held| !held.trade.entry.is_pending());
        let held = held.ok_or(Reject::UnknownTicket)?;
        let asked = lots.unwrap_or(held.trade.lots).min(held.trade.lots);
        if asked < held.trade.lots {
            self.check_volume(&held.trade.symbol, asked)?;
        }
        let price = self.exit(held, market);
        let (sl, tp) = (held.trade.sl, held.trade.tp);
        self.reduce(cause, ticket, asked, price);
        Ok(Done { ticket: Some(ticket), lots: asked, price: Some(price), sl, tp })
    }

    /// Stop-losses, take-profits, pending orders that the price has reached, and those that ran out.
    fn react(&mut self, now: Timestamp, market: &Market) {
        let mut hit: Vec<(Ticket, By)> = Vec::new();
        for (ticket, held) in &self.held {
            if let Some(by) = self.hit(now, held, market) {
                hit.push((*ticket, by));
            }
        }
        for (ticket, by) in hit {
            match by {
                By::Expiry => self.expire(now, ticket),
                By::Pending => self.trigger(now, ticket, market),
                By::StopLoss | By::TakeProfit | By::Request => {
                    let Some(held) = self.held.get(&ticket) else { continue };
                    let (lots, price) = (held.trade.lots, self.exit(held, market));
                    let cause = Cause { at: now, request: None, tag: held.tag.clone(), by };
                    self.reduce(&cause, ticket, lots, price);
                }
            }
        }
    }

    fn hit(&self, now: Timestamp, held: &Held, market: &Market) -> Option<By> {
        let trade = &held.trade;
        if trade.entry.is_pending() {
            if held.expires_at.is_some_and(|at| at <= now) {
                return Some(By::Expiry);
            }
            let here = market.price(held.instrument, trade.side);
            return reached(trade.side, trade.entry, trade.price, here).then_some(By::Pending);
        }
        if !self.stops {
            return None;
        }
        let here = self.exit(held, market);
        let below = |limit: Option<Price>| limit.is_some_and(|limit| here <= limit);
        let above = |limit: Option<Price>| limit.is_some_and(|limit| here >= limit);
        let (stopped, taken) = match trade.side {
            Side::Buy => (below(trade.sl), above(trade.tp)),
            Side::Sell => (above(trade.sl), below(trade.tp)),
        };
        if stopped { Some(By::StopLoss) } else { taken.then_some(By::TakeProfit) }
    }

    fn expire(&mut self, now: Timestamp, ticket: Ticket) {
        if let Some(Held { trade, tag, .. }) = self.held.remove(&ticket) {
            let cause = Cause { at: now, request: None, tag, by: By::Expiry };
            self.note(&cause, What::Withdrawn { ticket, lots: trade.lots, by: By::Expiry });
        }
    }

    /// A pending order becomes a position of its number, or is netted with the one that is there.
    fn trigger(&mut self, now: Timestamp, ticket: Ticket, market: &Market) {
        let Some(Held { trade, instrument, tag, .. }) = self.held.remove(&ticket) else { return };
        let cause = Cause { at: now, request: None, tag, by: By::Pending };
        self.note(&cause, What::Triggered { ticket, lots: trade.lots });
        let price = market.price(instrument, trade.side);
        let trade = Trade { entry: Entry::Market, price, ..trade };
        self.take(&cause, trade, instrument);
    }

    /// Puts what was bought or sold to the positions.
    fn take(&mut self, cause: &Cause, mut trade: Trade, instrument: usize) -> Ticket {
        let known = self.netted(&trade.symbol).map(|held| held.trade.clone());
        match known {
            Some(known) if known.side == trade.side => {
                self.note_deal(cause, known.ticket, &trade, trade.lots);
                self.grow(known.ticket, &trade);
                return known.ticket;
            }
            Some(known) => {
                let closed = known.lots.min(trade.lots);
                self.reduce(cause, known.ticket, closed, trade.price);
                if closed == trade.lots {
                    return known.ticket;
                }
                trade.lots = exact(Lots::new(trade.lots.get() - closed.get()));
            }
            None => {}
        }
        if trade.ticket == Ticket(0) {
            trade.ticket = self.new_ticket();
        }
        let ticket = trade.ticket;
        self.note_deal(cause, ticket, &trade, trade.lots);
        self.held.insert(ticket, Held { trade, instrument, tag: cause.tag.clone(), expires_at: None });
        ticket
    }

    /// A netting position grows: its price is the mean, its stops are those of the last request.
    fn grow(&mut self, ticket: Ticket, by: &Trade) {
        let Some(held) = self.held.get_mut(&ticket) else { return };
        let (old, new) = (held.trade.lots.get(), by.lots.get());
        let mean = (held.trade.price.get() * old + by.price.get() * new) / (old + new);
        let digits = u32::from(INSTRUMENTS[held.instrument].digits);
        held.trade.price = exact(Price::new(mean.round_dp(digits)));
        held.trade.lots = exact(Lots::new(old + new));
        (held.trade.sl, held.trade.tp) = (by.sl, by.tp);
    }

    fn reduce(&mut self, cause: &Cause, ticket: Ticket, lots: Lots, price: Price) {
        let Some(held) = self.held.get(&ticket) else { return };
        let gain = self.gain(held, price, lots);
        let closing = Trade { side: held.trade.side.opposite(), price, ..held.trade.clone() };
        let left = exact(Lots::new(held.trade.lots.get() - lots.get()));
        if !self.balance_stays {
            self.balance += gain;
        }
        self.note_deal(cause, ticket, &closing, lots);
        if left == Lots::ZERO {
            self.held.remove(&ticket);
        } else if let Some(held) = self.held.get_mut(&ticket) {
            held.trade.lots = left;
        }
    }

    fn netted(&self, symbol: &Symbol) -> Option<&Held> {
        if self.holding == Holding::Hedging {
            return None;
        }
        self.held.values().find(|held| held.trade.symbol == *symbol && !held.trade.entry.is_pending())
    }

    fn note_deal(&mut self, cause: &Cause, ticket: Ticket, trade: &Trade, lots: Lots) {
        let (symbol, side, price) = (trade.symbol.clone(), trade.side, trade.price);
        self.note(cause, What::Dealt { ticket, symbol, side, lots, price, by: cause.by });
    }

    fn note(&mut self, cause: &Cause, what: What) {
        let Cause { at, request, tag, .. } = cause.clone();
        self.executions.push(Execution { at, request, tag, what });
    }

    fn new_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn check_volume(&self, symbol: &Symbol, lots: Lots) -> Result<usize, Reject> {
        let listing = self.house.listing(symbol).ok_or(Reject::UnknownSymbol)?;
        let contract = &listing.contract;
        let whole = (lots.get() % contract.lots_step.get()).is_zero();
        match whole && lots >= contract.lots_min && lots <= contract.lots_max {
            true => Ok(listing.instrument),
            false => Err(Reject::InvalidVolume),
        }
    }

    /// How much of a market order there is somebody for.
    fn filled(&mut self, symbol: &Symbol, lots: Lots) -> Lots {
        let Some(listing) = self.house.listing(symbol) else { return lots };
        let contract = &listing.contract;
        let (step, least) = (contract.lots_step.get(), contract.lots_min);
        if !self.rng.permille(self.house.faults.partial) {
            return lots;
        }
        let share = Decimal::new(self.rng.between(20, 90), 2);
        let part = exact(Lots::new((lots.get() * share / step).floor() * step));
        part.max(least)
    }

    fn rewritten(&mut self, comment: &str) -> String {
        match self.house.comments {
            Comments::Kept => comment.into(),
            Comments::Longer => format!("{comment} [{}]", self.rng.below(1000)),
            Comments::SometimesLost => {
                if self.rng.permille(100) {
                    String::new()
                } else {
                    comment.into()
                }
            }
        }
    }

    /// What a position would be closed at.
    fn exit(&self, held: &Held, market: &Market) -> Price {
        market.price(held.instrument, held.trade.side.opposite())
    }

    fn gain(&self, held: &Held, exit: Price, lots: Lots) -> Decimal {
        let Some(listing) = self.house.listing(&held.trade.symbol) else { return Decimal::ZERO };
        let contract = &listing.contract;
        let ticks = (exit.get() - held.trade.price.get()) / contract.tick_size.get();
        let gain = ticks * contract.tick_value.get() * lots.get();
        match held.trade.side {
            Side::Buy => gain,
            Side::Sell => -gain,
        }
    }

    /// What a position ties up. The account's currency is the dollar; other quotes are taken as they are.
    fn margin(&self, instrument: usize, lots: Lots, price: Price) -> Decimal {
        let Instrument { size, name, .. } = INSTRUMENTS[instrument];
        let size = Decimal::from(size);
        let value = match name {
            _ if name.starts_with("USD") => size,
            _ if name.ends_with("JPY") => size * price.get() / Decimal::from(150),
            _ => size * price.get(),
        };
        value * lots.get() / Decimal::from(self.house.leverage)
    }
}

/// True where the price of this side has come to a pending order.
fn reached(side: Side, entry: Entry, price: Price, here: Price) -> bool {
    match (side, entry) {
        (Side::Buy, Entry::Limit) | (Side::Sell, Entry::Stop) => here <= price,
        (Side::Sell, Entry::Limit) | (Side::Buy, Entry::Stop) => here >= price,
        (_, Entry::Market) => true,
    }
}

/// Stops of a position lie on their sides of the price that would close it.
fn check_stops(
    side: Side,
    market: &Market,
    instrument: usize,
    sl: Option<Price>,
    tp: Option<Price>,
) -> Result<(), Reject> {
    check_order(side, market.price(instrument, side.opposite()), sl, tp)
}

fn check_order(side: Side, price: Price, sl: Option<Price>, tp: Option<Price>) -> Result<(), Reject> {
    let (below, above) = match side {
        Side::Buy => (sl, tp),
        Side::Sell => (tp, sl),
    };
    match below.is_none_or(|below| below < price) && above.is_none_or(|above| above > price) {
        true => Ok(()),
        false => Err(Reject::InvalidStops),
    }
}
