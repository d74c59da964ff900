//! The plainest maker: one order on each side, so many ticks outside the best. What others are measured by.

use super::drive::{Desk, Row, Trader};
use super::word::{MarketNo, Report, Request, Ticket, What};
use serde::{Deserialize, Serialize};
use tidehelm_events::market::{Instrument, Price, Quote, Said, Size};
use tidehelm_events::order::Terms;
use tidehelm_events::trade::Side;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outside {
    pub market: MarketNo,
    pub size: Size,
    /// How far outside the best, and by how much the wanted price must have moved to quote anew.
    pub ticks: u32,
    pub hysteresis_ticks: u32,
    /// Neither side grows what is held beyond this.
    pub held_max: Option<Size>,
}

pub struct Quoter {
    settings: Outside,
    tick: Price,
    orders: u64,
    best: Option<Quote>,
    held: Size,
    sides: [Slot; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    order: u64,
    price: Price,
    is: Is,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Is {
    #[default]
    Over,
    /// On its way: nothing is done about it until the venue has answered.
    Sent,
    Open,
}

impl Quoter {
    pub fn new(settings: Outside, instrument: &Instrument) -> Self {
        let tick = instrument.tick;
        Quoter { settings, tick, orders: 0, best: None, held: Size::ZERO, sides: [Slot::default(); 2] }
    }
    /// How many orders it sent.
    pub fn orders(&self) -> u64 {
        self.orders
    }

    fn quote(&mut self, slot: usize, side: Side, price: Price, desk: &mut Desk<'_, u64>) {
        let known = self.sides[slot];
        let moved = (known.price - price).abs().0 >= i64::from(self.settings.hysteresis_ticks) * self.tick.0;
        match known.is {
            Is::Sent => return,
            Is::Open if !moved => return,
            Is::Open => desk.ask(Request::Cancel { order: known.order }),
            Is::Over => {}
        }
        let full = self.settings.held_max.is_some_and(|most| match side {
            Side::Buy => self.held + self.settings.size > most,
            Side::Sell => self.held - self.settings.size < -most,
        });
        if full || price.0 <= 0 {
            self.sides[slot] = Slot::default();
            return;
        }
        self.orders += 1;
        self.sides[slot] = Slot { order: self.orders, price, is: Is::Sent };
        let terms = Terms { side, size: self.settings.size, price: Some(price), post_only: true, reduce_only: false };
        let ticket = Ticket { order: self.orders, market: self.settings.market, terms, valid_until: None };
        desk.ask(Request::Submit(ticket));
    }
}

impl Trader for Quoter {
    type Id = u64;

    fn heard(&mut self, row: &Row, desk: &mut Desk<'_, u64>) {
        if row.market != self.settings.market {
            return;
        }
        if let Said::Quote(quote) = &row.heard.said
            && quote.is_valid()
        {
            self.best = Some(*quote);
        }
        let Some(best) = self.best else { return };
        let outside = Price(i64::from(self.settings.ticks) * self.tick.0);
        self.quote(0, Side::Buy, best.bid - outside, desk);
        self.quote(1, Side::Sell, best.ask + outside, desk);
    }

    fn told(&mut self, report: &Report<u64>, _desk: &mut Desk<'_, u64>) {
        let (order, is) = match &report.what {
            What::Accepted { order } => (*order, Is::Open),
            What::Rejected { order, .. } | What::Cancelled { order, .. } => (*order, Is::Over),
            What::TimedOut { order: Some(order), .. } => (*order, Is::Open),
            What::Filled(fill) => {
                self.held = if fill.side == Side::Buy { self.held + fill.size } else { self.held - fill.size };
                if !fill.leaves.is_zero() {
                    return;
                }
                (fill.order, Is::Over)
            }
            _ => return,
        };
        if let Some(slot) = self.sides.iter_mut().find(|slot| slot.order == order) {
            slot.is = is;
        }
    }

    fn state(&self) -> &'static str {
        if self.best.is_some() { "QUOTING" } else { "WAITING" }
    }
}
