//! What a master does: it opens, closes parts, moves stops, places pending orders, and now and then opens a great many at once.

use super::broker::{Broker, Request};
use super::house::Listing;
use super::market::{INSTRUMENTS, Market, exact};
use super::rng::Rng;
use rust_decimal::Decimal;
use tidehelm_events::money::{Lots, Price};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::{Entry, Side, Symbol, Ticket, Trade};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habits {
    /// Mean time between two acts.
    pub pace: Span,
    /// With so many trades it opens no more, short of a burst.
    pub trades_max: usize,
    /// In a thousand acts.
    pub bursts: u64,
    /// Trades that a burst opens.
    pub burst: usize,
    /// Hundredths of a lot, at most.
    pub lots_max: i64,
}

impl Habits {
    pub const USUAL: Habits = Habits { pace: Span::seconds(1), trades_max: 12, bursts: 2, burst: 50, lots_max: 300 };
}

#[derive(Debug, Clone)]
pub struct Trader {
    habits: Habits,
    rng: Rng,
    pub due: Timestamp,
    bursts: u64,
}

impl Trader {
    pub fn new(habits: Habits, mut rng: Rng, now: Timestamp) -> Self {
        let due = now + Span(rng.between(0, habits.pace.0));
        Trader { habits, rng, due, bursts: 0 }
    }

    pub fn bursts(&self) -> u64 {
        self.bursts
    }

    /// What it asks of its broker, when it is time.
    pub fn act(&mut self, now: Timestamp, broker: &Broker, market: &Market) -> Vec<Request> {
        if now < self.due {
            return Vec::new();
        }
        self.due = now + Span(self.rng.between(self.habits.pace.0 / 4, self.habits.pace.0 * 7 / 4));
        let full = broker.count() >= self.habits.trades_max;
        if self.rng.permille(self.habits.bursts) {
            self.bursts += 1;
            return (0..self.habits.burst).filter_map(|_| self.open(broker, market)).collect();
        }
        let one = match self.rng.below(100) {
            0..40 if !full => self.open(broker, market),
            40..50 if !full => self.place(broker, market),
            0..50 | 80..100 => self.close(broker),
            50..65 => self.close_part(broker),
            _ => self.modify(broker, market),
        };
        one.into_iter().collect()
    }

    /// Everything that it has, closed and cancelled.
    pub fn leave(&self, broker: &Broker) -> Vec<Request> {
        broker.trades().map(end).collect()
    }

    fn open(&mut self, broker: &Broker, market: &Market) -> Option<Request> {
        let (symbol, listing) = self.instrument(broker)?;
        let side = self.side();
        let (sl, tp) = self.stops(market, listing.instrument, side, None);
        Some(Request::Deal {
            symbol,
            side,
            lots: self.lots(&listing),
            near: None,
            sl,
            tp,
            magic: 0,
            comment: String::new(),
        })
    }

    fn place(&mut self, broker: &Broker, market: &Market) -> Option<Request> {
        let (symbol, listing) = self.instrument(broker)?;
        let side = self.side();
        let entry = if self.rng.permille(500) { Entry::Limit } else { Entry::Stop };
        let price = self.waiting_price(market, listing.instrument, side, entry);
        let (sl, tp) = self.stops(market, listing.instrument, side, Some(price));
        Some(Request::Place {
            symbol,
            side,
            entry,
            lots: self.lots(&listing),
            price,
            sl,
            tp,
            magic: 0,
            comment: String::new(),
            expires_at: None,
        })
    }

    fn close(&mut self, broker: &Broker) -> Option<Request> {
        self.one_of(broker, |_| true).map(|trade| end(&trade))
    }

    fn close_part(&mut self, broker: &Broker) -> Option<Request> {
        let step_of = |trade: &Trade| broker.house.listing(&trade.symbol).map(|listing| listing.contract.lots_step);
        let trade = self.one_of(broker, |trade| {
            !trade.entry.is_pending() && step_of(trade).is_some_and(|step| trade.lots > step)
        })?;
        let step = step_of(&trade)?.get();
        let steps = i64::try_from((trade.lots.get() / step).trunc().mantissa()).unwrap_or(i64::MAX);
        let part = Decimal::from(self.rng.between(1, steps - 1)) * step;
        Some(Request::Close { ticket: trade.ticket, lots: Some(exact(Lots::new(part))) })
    }

    /// Moves one or both stops, takes them away, or moves a pending order.
    fn modify(&mut self, broker: &Broker, market: &Market) -> Option<Request> {
        let trade = self.one_of(broker, |_| true)?;
        let instrument = broker.house.listing(&trade.symbol)?.instrument;
        let pending = trade.entry.is_pending();
        let price = pending.then(|| self.waiting_price(market, instrument, trade.side, trade.entry));
        let (sl, tp) = self.stops(market, instrument, trade.side, price);
        let (sl, tp) = match self.rng.below(5) {
            0 if !pending => (sl, trade.tp),
            1 if !pending => (trade.sl, tp),
            2 => (None, None),
            _ => (sl, tp),
        };
        Some(Request::Modify { ticket: trade.ticket, price, sl, tp })
    }

    fn instrument(&mut self, broker: &Broker) -> Option<(Symbol, Listing)> {
        let (symbol, listing) = broker.house.symbol(self.rng.below(INSTRUMENTS.len() as u64) as usize)?;
        Some((symbol.clone(), listing.clone()))
    }

    fn side(&mut self) -> Side {
        if self.rng.permille(500) { Side::Buy } else { Side::Sell }
    }

    /// Small ones are likelier.
    fn lots(&mut self, listing: &Listing) -> Lots {
        let step = listing.contract.lots_step.get();
        let most = (Decimal::new(self.habits.lots_max, 2) / step).trunc().max(Decimal::ONE);
        let most = i64::try_from(most.mantissa()).unwrap_or(1);
        let steps = self.rng.between(1, most).min(self.rng.between(1, most));
        exact(Lots::new(Decimal::from(steps) * step))
    }

    fn waiting_price(&mut self, market: &Market, instrument: usize, side: Side, entry: Entry) -> Price {
        let far = self.distance(instrument);
        let below = matches!((side, entry), (Side::Buy, Entry::Limit) | (Side::Sell, Entry::Stop));
        market.away(instrument, if below { -far } else { far })
    }

    /// Stop-loss and take-profit around where it is, or will be, opened; often only one of them, or none.
    fn stops(
        &mut self,
        market: &Market,
        instrument: usize,
        side: Side,
        at: Option<Price>,
    ) -> (Option<Price>, Option<Price>) {
        let tick = INSTRUMENTS[instrument].price(1).get();
        let base = at.unwrap_or(market.price(instrument, side)).get();
        let mut away = |sign: i64| {
            let far = Decimal::from(sign * 2 * self.distance(instrument)) * tick;
            (!self.rng.permille(400)).then(|| exact(Price::new(base + far)))
        };
        match side {
            Side::Buy => (away(-1), away(1)),
            Side::Sell => (away(1), away(-1)),
        }
    }

    /// Ticks that a price needs a while for.
    fn distance(&mut self, instrument: usize) -> i64 {
        let spread = INSTRUMENTS[instrument].spread;
        self.rng.between(spread * 5, spread * 40)
    }

    fn one_of(&mut self, broker: &Broker, fits: impl Fn(&Trade) -> bool) -> Option<Trade> {
        let all: Vec<&Trade> = broker.trades().filter(|trade| fits(trade)).collect();
        self.rng.pick(&all).map(|trade| (*trade).clone())
    }
}

fn end(trade: &Trade) -> Request {
    let ticket: Ticket = trade.ticket;
    match trade.entry.is_pending() {
        true => Request::Cancel { ticket },
        false => Request::Close { ticket, lots: None },
    }
}
