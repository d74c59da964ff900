//! One market of the paper venue: orders that rest, and what the tape's quotes and trades do to them.
//!
//! The tape cannot be changed: what we take stays in it. So that nothing is taken twice, what we took of a level is remembered until
//! its price is no longer the best, and each print is given out once.

use super::book::{Book, worse};
use super::queue::{Place, Queue};
use super::settings::{Fills, Model, Unseen};
use super::word::{Ended, Fill, MarketNo, Name, Rejection, Ticket};
use serde::{Deserialize, Serialize};
use tidehelm_events::market::{Cash, Deal, Instrument, Level, Price, Quote, Said, Size};
use tidehelm_events::order::Liquidity;
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::Side;

/// What happened in a market by itself or because of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened<Id> {
    Filled(Fill<Id>),
    Ended { order: Id, leaves: Size, filled: Size, why: Ended },
}

/// An order that rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting<Id> {
    pub order: Id,
    pub side: Side,
    pub price: Price,
    pub size: Size,
    pub filled: Size,
    pub post_only: bool,
    pub reduce_only: bool,
    pub valid_until: Option<Timestamp>,
    pub since: Timestamp,
    place: Place,
}

impl<Id> Resting<Id> {
    pub fn leaves(&self) -> Size {
        self.size - self.filled
    }
    /// How much is thought to stand before it; None where nobody knows.
    pub fn ahead(&self) -> Option<Size> {
        (self.place != Place::UNSEEN).then_some(Size(self.place.ahead))
    }
}

/// What is held in a market, and what it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    pub size: Size,
    /// What came in for what was sold less what went out for what was bought, before fees.
    pub cash: Cash,
    pub fees: Cash,
    /// Paid; below zero where we were paid.
    pub funding: Cash,
    pub fills: u64,
    /// Price times size of all fills.
    pub turnover: Cash,
}

impl Holding {
    /// What it is worth at the price, all paid.
    pub fn worth(&self, price: Price) -> Cash {
        self.cash + price * self.size - self.fees - self.funding
    }
}

#[derive(Debug, Clone)]
pub struct Market<Id> {
    no: MarketNo,
    instrument: Instrument,
    model: Model,
    book: Book,
    /// The first is the next to be filled.
    bids: Vec<Resting<Id>>,
    asks: Vec<Resting<Id>>,
    holding: Holding,
    mark: Option<Price>,
    funding_due: Option<(Timestamp, Size)>,
    /// What we took of the best level of each side.
    took_bid: Level,
    took_ask: Level,
    /// The earliest that a resting order is only good until.
    expires: Option<Timestamp>,
    unused: u64,
}

impl<Id: Name> Market<Id> {
    pub fn new(no: MarketNo, instrument: Instrument, model: Model) -> Self {
        let nothing = Level { price: Price::ZERO, size: Size::ZERO };
        Market {
            no,
            instrument,
            model,
            book: Book::default(),
            bids: Vec::new(),
            asks: Vec::new(),
            holding: Holding::default(),
            mark: None,
            funding_due: None,
            took_bid: nothing,
            took_ask: nothing,
            expires: None,
            unused: 0,
        }
    }

    pub fn instrument(&self) -> &Instrument {
        &self.instrument
    }
    pub fn book(&self) -> &Book {
        &self.book
    }
    pub fn holding(&self) -> &Holding {
        &self.holding
    }
    pub fn mark(&self) -> Option<Price> {
        self.mark.or_else(|| self.book.quote().map(|quote| quote.mid()))
    }
    /// Quotes that were crossed, and changes of books that did not follow on what was known.
    pub fn unused(&self) -> u64 {
        self.unused
    }
    pub fn open(&self) -> impl Iterator<Item = &Resting<Id>> {
        self.bids.iter().chain(&self.asks)
    }
    pub fn open_count(&self) -> usize {
        self.bids.len() + self.asks.len()
    }
    pub fn find(&self, order: &Id) -> Option<&Resting<Id>> {
        self.open().find(|resting| resting.order == *order)
    }
    /// What a restart found on the desk's side.
    pub fn adopt(&mut self, holding: Holding, resting: impl IntoIterator<Item = (Ticket<Id>, Size, Timestamp)>) {
        self.holding = holding;
        for (ticket, filled, since) in resting {
            if let Some(price) = ticket.terms.price {
                self.rest(&ticket, price, filled, since);
            }
        }
    }

    /// The market moves.
    pub fn heard(&mut self, said: &Said, at: Timestamp, out: &mut Vec<Happened<Id>>) {
        match said {
            Said::Quote(quote) => self.quoted(quote, at, out),
            Said::Deal(deal) => self.dealt(deal, at, out),
            Said::Mark(mark) => self.mark = Some(*mark),
            Said::Index(_) => {}
            Said::Funding { rate, due_at } => self.funding_due = due_at.map(|due_at| (due_at, *rate)),
            Said::BookWhole { seq, bids, asks } => {
                let before = (self.sizes(), self.book.quote());
                self.book.told(*seq, bids, asks);
                self.moved(before, at, out);
            }
            Said::BookChanged { after, seq, bids, asks } => {
                let before = (self.sizes(), self.book.quote());
                if !self.book.changed(*after, *seq, bids, asks, self.instrument.deltas_add) {
                    self.unused += 1;
                }
                self.moved(before, at, out);
            }
        }
    }

    /// When something happens by itself.
    pub fn next_at(&self) -> Option<Timestamp> {
        let funding = self.funding_due.map(|(due_at, _)| due_at);
        [self.expires, funding].into_iter().flatten().min()
    }

    /// What was due by now: orders that were only good until then, and funding, which comes back.
    pub fn elapse(&mut self, now: Timestamp, out: &mut Vec<Happened<Id>>) -> Option<Cash> {
        if self.expires.is_some_and(|expires| expires <= now) {
            let over = |resting: &Resting<Id>| resting.valid_until.is_some_and(|until| until <= now);
            self.end(over, Ended::Expired, out);
        }
        let (due_at, rate) = self.funding_due?;
        if due_at > now {
            return None;
        }
        self.funding_due = None;
        let value = self.mark()? * self.holding.size;
        let amount = Cash(value.0 / i128::from(Size::ONE.0) * i128::from(rate.0));
        self.holding.funding = self.holding.funding + amount;
        (!amount.is_zero()).then_some(amount)
    }

    /// Why the venue does not take it. In this order: size, price, market, reduce only, post only.
    pub fn refuse(&self, ticket: &Ticket<Id>, now: Timestamp) -> Result<(), Rejection> {
        let (terms, instrument) = (&ticket.terms, &self.instrument);
        if ticket.valid_until.is_some_and(|until| until <= now) {
            return Err(Rejection::Outlived);
        }
        if terms.size.0 <= 0 {
            return Err(Rejection::SizeNotPositive);
        }
        if !terms.size.is_multiple_of(instrument.step) {
            return Err(Rejection::OffStep);
        }
        if terms.size < instrument.size_min {
            return Err(Rejection::BelowMinimum);
        }
        if instrument.size_max.is_some_and(|most| terms.size > most) {
            return Err(Rejection::AboveMaximum);
        }
        self.price_fits(terms.price, terms.post_only)?;
        let Some(best) = self.book.best(terms.side.opposite()) else { return Err(Rejection::NoMarket) };
        let value = terms.price.unwrap_or(best.price) * terms.size;
        if !terms.reduce_only && instrument.notional_min.is_some_and(|least| value < least) {
            return Err(Rejection::BelowMinimum);
        }
        if terms.reduce_only && self.reducible(terms.side).0 <= 0 {
            return Err(Rejection::NothingToReduce);
        }
        let takes = terms.price.is_none_or(|price| !worse(terms.side, price, best.price));
        if terms.post_only && takes {
            return Err(Rejection::WouldTake);
        }
        Ok(())
    }

    fn price_fits(&self, price: Option<Price>, post_only: bool) -> Result<(), Rejection> {
        match price {
            None if post_only => Err(Rejection::PriceMissing),
            None => Ok(()),
            Some(price) if price.0 <= 0 => Err(Rejection::PriceNotPositive),
            Some(price) if !price.is_multiple_of(self.instrument.tick) => Err(Rejection::OffTick),
            Some(_) => Ok(()),
        }
    }

    /// Takes what it can, and rests or ends with what is left.
    pub fn submit(&mut self, ticket: &Ticket<Id>, now: Timestamp, out: &mut Vec<Happened<Id>>) {
        let terms = &ticket.terms;
        let wanted = if terms.reduce_only { terms.size.min(self.reducible(terms.side)) } else { terms.size };
        let filled = self.take(ticket, wanted, now, out);
        let leaves = terms.size - filled;
        if leaves.0 <= 0 {
            return;
        }
        let why = if terms.reduce_only && filled == wanted && wanted < terms.size {
            Ended::NothingToReduce
        } else if terms.price.is_none() {
            Ended::NoMoreThere
        } else {
            return self.rest(ticket, terms.price.unwrap_or_default(), filled, now);
        };
        out.push(Happened::Ended { order: ticket.order.clone(), leaves, filled, why });
    }

    /// Whether there was one.
    pub fn cancel(&mut self, order: &Id, out: &mut Vec<Happened<Id>>) -> bool {
        let before = out.len();
        self.end(|resting| resting.order == *order, Ended::Asked, out);
        out.len() > before
    }
    pub fn cancel_all(&mut self, why: Ended, out: &mut Vec<Happened<Id>>) {
        self.end(|_| true, why, out);
    }

    /// The new price and what is open, if it is as it was asked for; where the new price takes, it is filled before.
    pub fn amend(
        &mut self,
        order: &Id,
        price: Price,
        size: Size,
        now: Timestamp,
        out: &mut Vec<Happened<Id>>,
    ) -> Result<(Price, Size), Rejection> {
        let resting = self.find(order).ok_or(Rejection::OrderUnknown)?.clone();
        self.price_fits(Some(price), true)?;
        if size <= resting.filled {
            return Err(Rejection::SizeNotPositive);
        }
        if !size.is_multiple_of(self.instrument.step) {
            return Err(Rejection::OffStep);
        }
        if size < self.instrument.size_min || self.instrument.size_max.is_some_and(|most| size > most) {
            return Err(if size < self.instrument.size_min {
                Rejection::BelowMinimum
            } else {
                Rejection::AboveMaximum
            });
        }
        let best = self.book.best(resting.side.opposite()).ok_or(Rejection::NoMarket)?;
        let takes = !worse(resting.side, price, best.price);
        if resting.post_only && takes {
            return Err(Rejection::WouldTake);
        }
        let side = self.orders(resting.side);
        let place = side.iter().position(|known| known.order == *order).ok_or(Rejection::OrderUnknown)?;
        if price == resting.price && size <= resting.size {
            side[place].size = size;
            return Ok((price, size - resting.filled));
        }
        side.remove(place);
        let terms = tidehelm_events::order::Terms {
            side: resting.side,
            size: size - resting.filled,
            price: Some(price),
            post_only: resting.post_only,
            reduce_only: resting.reduce_only,
        };
        let mut ticket = Ticket { order: order.clone(), market: self.no, terms, valid_until: resting.valid_until };
        let wanted =
            if resting.reduce_only { ticket.terms.size.min(self.reducible(resting.side)) } else { ticket.terms.size };
        let took = if takes { self.take(&ticket, wanted, now, out) } else { Size::ZERO };
        let leaves = ticket.terms.size - took;
        ticket.terms.size = size;
        if leaves.0 > 0 {
            self.rest(&ticket, price, resting.filled + took, now);
        }
        Ok((price, leaves))
    }

    fn orders(&mut self, side: Side) -> &mut Vec<Resting<Id>> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// How much a trade of the side can take off the position.
    fn reducible(&self, side: Side) -> Size {
        let held = match side {
            Side::Buy => -self.holding.size,
            Side::Sell => self.holding.size,
        };
        held.max(Size::ZERO)
    }

    fn quoted(&mut self, quote: &Quote, at: Timestamp, out: &mut Vec<Happened<Id>>) {
        if !quote.is_valid() {
            self.unused += 1;
            return;
        }
        if self.book.is_whole() {
            return;
        }
        if !self.bids.is_empty() {
            let (queue, best) = (self.model.queue, Level { price: quote.bid, size: quote.bid_size });
            stand(&mut self.bids, &self.book, queue, Side::Buy, best);
        }
        if !self.asks.is_empty() {
            let (queue, best) = (self.model.queue, Level { price: quote.ask, size: quote.ask_size });
            stand(&mut self.asks, &self.book, queue, Side::Sell, best);
        }
        self.replenished(quote, self.book.quote());
        self.book.quoted(quote);
        self.crossed(quote, at, out);
    }

    /// What stands at the price of each resting order, before a whole book or a change of it.
    fn sizes(&self) -> Vec<Size> {
        self.open().map(|resting| self.book.size_at(resting.side, resting.price).unwrap_or_default()).collect()
    }

    fn moved(&mut self, before: (Vec<Size>, Option<Quote>), at: Timestamp, out: &mut Vec<Happened<Id>>) {
        let Some(quote) = self.book.quote() else { return };
        for (resting, before) in self.bids.iter_mut().chain(&mut self.asks).zip(before.0) {
            let now = self.book.size_at(resting.side, resting.price).unwrap_or_default();
            if now != before || resting.place == Place::UNSEEN {
                self.model.queue.changed(&mut resting.place, before, now);
            }
        }
        self.replenished(&quote, before.1);
        if quote.is_valid() {
            self.crossed(&quote, at, out);
        } else {
            self.unused += 1;
        }
    }

    /// Orders whose price the other side has come to are filled at their own price, by what stands there.
    fn crossed(&mut self, quote: &Quote, at: Timestamp, out: &mut Vec<Happened<Id>>) {
        while self.bids.first().is_some_and(|first| first.price >= quote.ask) {
            if !self.meet(Side::Buy, Level { price: quote.ask, size: quote.ask_size }, at, out) {
                break;
            }
        }
        while self.asks.first().is_some_and(|first| first.price <= quote.bid) {
            if !self.meet(Side::Sell, Level { price: quote.bid, size: quote.bid_size }, at, out) {
                break;
            }
        }
    }

    /// Whether the first order of the side is out of the way.
    fn meet(&mut self, side: Side, level: Level, at: Timestamp, out: &mut Vec<Happened<Id>>) -> bool {
        let leaves = self.orders(side)[0].leaves();
        let size = match self.model.fills {
            Fills::Whole => leaves,
            Fills::Partial => leaves.min(self.left_at(side.opposite(), level)),
        };
        if size.0 <= 0 {
            return false;
        }
        let (filled, gone) = self.fill(side, 0, size, at, out);
        self.took(side.opposite(), level.price, filled);
        gone
    }

    fn dealt(&mut self, deal: &Deal, at: Timestamp, out: &mut Vec<Happened<Id>>) {
        if self.bids.is_empty() && self.asks.is_empty() {
            return;
        }
        let Some(taker) = deal.taker.or_else(|| self.taker_by(deal.price)) else { return };
        let (side, mut left) = (taker.opposite(), deal.size);
        // Better prices than the print's come first: it went through them.
        while let Some(first) = self.orders(side).first()
            && worse(side, deal.price, first.price)
            && left.0 > 0
        {
            let leaves = first.leaves();
            let size = if self.model.fills == Fills::Whole { leaves } else { leaves.min(left) };
            let (filled, _) = self.fill(side, 0, size, at, out);
            left = if self.model.fills == Fills::Whole { left } else { left - filled };
        }
        self.touched(side, deal.price, left, at, out);
    }

    /// A print at the very price of orders: it goes through those who stand before them.
    fn touched(&mut self, side: Side, price: Price, size: Size, at: Timestamp, out: &mut Vec<Happened<Id>>) {
        let (model, mut ours, mut place) = (self.model, Size::ZERO, 0);
        while size.0 > 0
            && let Some(resting) = self.orders(side).get_mut(place)
            && resting.price == price
        {
            let reached = model.queue.traded(&mut resting.place, size) - ours;
            let leaves = resting.leaves();
            let size = match model.fills {
                Fills::Whole if reached.0 > 0 => leaves,
                Fills::Whole => Size::ZERO,
                Fills::Partial => leaves.min(reached),
            };
            let (filled, gone) = if size.0 > 0 { self.fill(side, place, size, at, out) } else { (Size::ZERO, false) };
            ours = if model.fills == Fills::Partial { ours + filled } else { ours };
            place += usize::from(!gone);
        }
    }

    /// Who took, by the price against the middle; nobody knows in the very middle.
    fn taker_by(&self, price: Price) -> Option<Side> {
        let twice = self.book.quote()?.mid_twice();
        match (2 * i128::from(price.0)).cmp(&twice) {
            std::cmp::Ordering::Greater => Some(Side::Buy),
            std::cmp::Ordering::Less => Some(Side::Sell),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// What is added to a level is there for us; what we took of it does not come back by being said again.
    fn replenished(&mut self, quote: &Quote, before: Option<Quote>) {
        let before = before.unwrap_or(*quote);
        for (took, price, size, before) in [
            (&mut self.took_bid, quote.bid, quote.bid_size, before.bid_size),
            (&mut self.took_ask, quote.ask, quote.ask_size, before.ask_size),
        ] {
            let added = (size - before).max(Size::ZERO);
            took.size = if took.price == price { (took.size - added).max(Size::ZERO) } else { Size::ZERO };
        }
    }

    /// What of the level we did not take yet.
    fn left_at(&self, side: Side, level: Level) -> Size {
        let took = if side == Side::Buy { self.took_bid } else { self.took_ask };
        if took.price == level.price { level.size - took.size } else { level.size }
    }
    fn took(&mut self, side: Side, price: Price, size: Size) {
        let took = if side == Side::Buy { &mut self.took_bid } else { &mut self.took_ask };
        if took.price != price {
            *took = Level { price, size: Size::ZERO };
        }
        took.size = took.size + size;
    }

    /// Takes from the other side, level by level, at their prices. What was filled comes back.
    fn take(&mut self, ticket: &Ticket<Id>, wanted: Size, at: Timestamp, out: &mut Vec<Happened<Id>>) -> Size {
        let side = ticket.terms.side;
        let mut filled = Size::ZERO;
        let levels = self.book.side(side.opposite()).len();
        let (best, depth) = (levels.saturating_sub(1), if self.book.is_whole() { levels } else { levels.min(1) });
        for index in 0..depth {
            let level = self.book.side(side.opposite())[best - index];
            if filled >= wanted || ticket.terms.price.is_some_and(|limit| worse(side, limit, level.price)) {
                break;
            }
            let there = match (self.model.fills, index) {
                (Fills::Whole, _) => wanted,
                (Fills::Partial, 0) => self.left_at(side.opposite(), level),
                (Fills::Partial, _) => level.size,
            };
            let size = there.min(wanted - filled);
            if size.0 <= 0 {
                continue;
            }
            if index == 0 {
                self.took(side.opposite(), level.price, size);
            }
            filled = filled + size;
            let leaves = ticket.terms.size - filled;
            let fill = self.book_fill(ticket.order.clone(), side, level.price, size, leaves, Liquidity::Taker, at);
            out.push(Happened::Filled(fill));
        }
        filled
    }

    fn rest(&mut self, ticket: &Ticket<Id>, price: Price, filled: Size, since: Timestamp) {
        let side = ticket.terms.side;
        let place = match self.book.size_at(side, price) {
            Some(there) => self.model.queue.joined(there),
            None if self.model.queue == Queue::Front || self.model.unseen == Unseen::Empty => Place::FRONT,
            None => Place::UNSEEN,
        };
        let resting = Resting {
            order: ticket.order.clone(),
            side,
            price,
            size: ticket.terms.size,
            filled,
            post_only: ticket.terms.post_only,
            reduce_only: ticket.terms.reduce_only,
            valid_until: ticket.valid_until,
            since,
            place,
        };
        if let Some(until) = ticket.valid_until {
            self.expires = Some(self.expires.map_or(until, |known| known.min(until)));
        }
        let orders = self.orders(side);
        let behind = orders.iter().rev().take_while(|known| worse(side, known.price, price)).count();
        orders.insert(orders.len() - behind, resting);
    }

    /// Fills an order of the side, and takes it away when nothing is left of it. What was filled, and whether it is gone.
    fn fill(
        &mut self,
        side: Side,
        index: usize,
        size: Size,
        at: Timestamp,
        out: &mut Vec<Happened<Id>>,
    ) -> (Size, bool) {
        let reducible = self.reducible(side);
        let orders = self.orders(side);
        let resting = &mut orders[index];
        let size = if resting.reduce_only { size.min(reducible) } else { size };
        resting.filled = resting.filled + size;
        let (order, price, leaves, filled) = (resting.order.clone(), resting.price, resting.leaves(), resting.filled);
        let nothing_to_reduce = resting.reduce_only && size >= reducible && leaves.0 > 0;
        let gone = leaves.0 <= 0 || nothing_to_reduce;
        if gone {
            orders.remove(index);
        }
        if size.0 > 0 {
            let fill = self.book_fill(order.clone(), side, price, size, leaves, Liquidity::Maker, at);
            out.push(Happened::Filled(fill));
        }
        if nothing_to_reduce {
            out.push(Happened::Ended { order, leaves, filled, why: Ended::NothingToReduce });
        }
        (size, gone)
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fill's own fields")]
    fn book_fill(
        &mut self,
        order: Id,
        side: Side,
        price: Price,
        size: Size,
        leaves: Size,
        liquidity: Liquidity,
        at: Timestamp,
    ) -> Fill<Id> {
        let rate = match liquidity {
            Liquidity::Maker => self.instrument.fee_maker,
            Liquidity::Taker => self.instrument.fee_taker,
        };
        let (value, holding) = (price * size, &mut self.holding);
        let fee = fee(value, rate);
        match side {
            Side::Buy => (holding.size, holding.cash) = (holding.size + size, holding.cash - value),
            Side::Sell => (holding.size, holding.cash) = (holding.size - size, holding.cash + value),
        }
        holding.fees = holding.fees + fee;
        holding.fills += 1;
        holding.turnover = holding.turnover + value;
        Fill { order, market: self.no, number: 0, side, price, size, leaves, fee, liquidity, at }
    }

    /// Takes away those that it holds for.
    fn end(&mut self, holds: impl Fn(&Resting<Id>) -> bool, why: Ended, out: &mut Vec<Happened<Id>>) {
        for orders in [&mut self.bids, &mut self.asks] {
            orders.retain(|resting| {
                if !holds(resting) {
                    return true;
                }
                let order = resting.order.clone();
                out.push(Happened::Ended { order, leaves: resting.leaves(), filled: resting.filled, why });
                false
            });
        }
        if self.expires.is_some() {
            self.expires = self.open().filter_map(|resting| resting.valid_until).min();
        }
    }
}

/// Tells each order how its level changes with a new best one: those before it are gone, those behind it are not told of.
fn stand<Id>(orders: &mut [Resting<Id>], book: &Book, queue: Queue, side: Side, best: Level) {
    for resting in orders {
        if worse(side, resting.price, best.price) {
            return;
        }
        let now = if resting.price == best.price { best.size } else { Size::ZERO };
        let before = book.size_at(side, resting.price).unwrap_or_default();
        if now != before || resting.place == Place::UNSEEN {
            queue.changed(&mut resting.place, before, now);
        }
    }
}

/// What of a value is paid, in hundredths of a basis point; rounded up to the next 10⁻¹⁸.
fn fee(value: Cash, rate: i32) -> Cash {
    const PARTS: i128 = 1_000_000;
    let (whole, rest) = (value.0.div_euclid(PARTS), value.0.rem_euclid(PARTS));
    let rate = i128::from(rate);
    Cash(whole * rate - (-(rest * rate)).div_euclid(PARTS))
}
