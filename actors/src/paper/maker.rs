//! A maker of the desk on a tape: the same fold of the market, the same decisions, and the venue at the other end of the wire instead
//! of behind the desk's streams.
//!
//! What the desk puts in between is not here: the guard, and the order gateway's own checks.

use super::drive::{Desk, Row, Trader};
use super::word::{Asked, MarketNo, Rejection, Report, Request, State, Ticket, What};
use tidehelm_events::id::{MarketId, Position, Principal, StrategyId, Version};
use tidehelm_events::market::{self, Instrument, Market, Size};
use tidehelm_events::order::{ClientOrderId, Life};
use tidehelm_events::reason::Reason as Text;
use tidehelm_events::strategy::maker::{
    Decided, Event, Look, Maker, Opened, Parameters, ParametersActivated, ParametersSet, Reasons, Refusal, SetId,
    Working,
};
use tidehelm_events::stream::{Stamp, Stream};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::Side;
use uuid::Uuid;

/// A maker with its market and all that it knows of the venue.
pub struct Making {
    no: MarketNo,
    market: Market,
    instrument: Instrument,
    maker: Maker,
    inventory: Size,
    orders: Vec<Working>,
    listing_asked_at: Option<Timestamp>,
    none_left_at: Option<Timestamp>,
    /// Of the last event; the log of a run has no others.
    position: Position,
    next_tick_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum MakingError {
    #[error(transparent)]
    Market(#[from] market::Refusal),
    #[error(transparent)]
    Maker(#[from] Refusal),
}

impl Making {
    /// One that starts with the first word of the tape. `no` is the market's number there; the comment is that of its only set of
    /// parameters.
    pub fn new(
        no: MarketNo,
        id: MarketId,
        strategy: StrategyId,
        settings: market::Settings,
        parameters: Parameters,
        comment: Text,
    ) -> Result<Self, MakingError> {
        let parameters = parameters.checked()?;
        let instrument = settings.instrument.clone();
        let mut making = Making {
            no,
            market: Market::with(id.clone(), settings)?,
            instrument,
            maker: Maker::new(strategy),
            inventory: Size::ZERO,
            orders: Vec::new(),
            listing_asked_at: None,
            none_left_at: None,
            position: Position(0),
            next_tick_at: Timestamp(i64::MIN),
        };
        let (set, by) = (SetId(1), Principal::Desk);
        for event in [
            Event::Opened(Opened { market: id }),
            Event::ParametersSet(ParametersSet { set, by: by.clone(), comment, values: Box::new(parameters) }),
            Event::ParametersActivated(ParametersActivated { set, by }),
        ] {
            making.happened(&event, Timestamp(0));
        }
        Ok(making)
    }

    pub fn maker(&self) -> &Maker {
        &self.maker
    }
    pub fn market(&self) -> &Market {
        &self.market
    }
    pub fn inventory(&self) -> Size {
        self.inventory
    }

    fn tick(&mut self, desk: &mut Desk<'_, ClientOrderId>) {
        let now = desk.now;
        self.market.pass(now);
        let features = self.market.features(now);
        let look = Look {
            features: &features,
            instrument: &self.instrument,
            warm: matches!(self.market.phase, market::Phase::Warm | market::Phase::Stale),
            inventory: Some(self.inventory),
            orders: &self.orders,
            carried_through: self.position,
            outside: Reasons::NONE,
            none_left_at: self.none_left_at,
        };
        for event in self.maker.tick(&look, now) {
            self.happened(&event, now);
            if let Event::Decided(decided) = &event {
                self.carry(decided, desk);
            }
        }
        let tick = self.maker.parameters().map_or(Parameters::default().tick(), Parameters::tick);
        self.next_tick_at = now + tick;
        desk.wake_at(self.next_tick_at);
    }

    fn happened(&mut self, event: &Event, now: Timestamp) {
        self.position = Position(self.position.0 + 1);
        let version = Version(self.position.0);
        self.maker.evolve(event, &Stamp { position: self.position, version, received_at: now, recorded_at: now });
    }

    /// What was decided goes to the venue: what is taken away before what is placed.
    fn carry(&mut self, decided: &Decided, desk: &mut Desk<'_, ClientOrderId>) {
        for cancel in &decided.cancel {
            if let Some(order) = self.orders.iter_mut().find(|order| order.id == cancel.order) {
                order.life = Life::CancelRequested;
            }
            desk.ask(Request::Cancel { order: cancel.order.clone() });
        }
        let (cause, market) = (Uuid::from_u128(self.position.0.into()), self.market.id.clone());
        for (index, intent) in decided.intents(&self.maker.id, &market).enumerate() {
            let id = ClientOrderId::derive(&self.maker.id, cause, index as u32, desk.now);
            let (place, terms) = (&decided.place[index], intent.terms);
            self.orders.push(Working {
                id: id.clone(),
                side: place.side,
                level: place.level,
                price: place.price,
                left: place.size,
                life: Life::Submitted,
                since: desk.now,
            });
            let valid_until = intent.valid_until;
            desk.ask(Request::Submit(Ticket { order: id, market: self.no, terms, valid_until }));
        }
        if decided.verify {
            self.listing_asked_at = Some(desk.now);
            desk.ask(Request::List);
        }
    }

    fn known(&mut self, order: &ClientOrderId) -> Option<&mut Working> {
        self.orders.iter_mut().find(|known| known.id == *order)
    }
    fn over(&mut self, order: &ClientOrderId) {
        self.orders.retain(|known| known.id != *order);
    }
    /// The venue has it; one that is to be cancelled stays so.
    fn stands(&mut self, order: &ClientOrderId, life: Life) {
        if let Some(known) = self.known(order).filter(|known| known.life != Life::CancelRequested) {
            known.life = life;
        }
    }
}

impl Trader for Making {
    type Id = ClientOrderId;

    fn heard(&mut self, row: &Row, desk: &mut Desk<'_, ClientOrderId>) {
        if row.market != self.no {
            return;
        }
        // What is not used the market has counted, or it is none of its words.
        let _ = self.market.take(&row.heard);
        if desk.now >= self.next_tick_at {
            self.tick(desk);
        }
    }

    fn woken(&mut self, desk: &mut Desk<'_, ClientOrderId>) {
        if desk.now >= self.next_tick_at {
            self.tick(desk);
        }
    }

    fn told(&mut self, report: &Report<ClientOrderId>, desk: &mut Desk<'_, ClientOrderId>) {
        match &report.what {
            What::Accepted { order } => self.stands(order, Life::Accepted),
            What::Rejected { order, .. } | What::Cancelled { order, .. } => self.over(order),
            What::Filled(fill) => {
                let bought = fill.side == Side::Buy;
                self.inventory = if bought { self.inventory + fill.size } else { self.inventory - fill.size };
                if let Some(known) = self.known(&fill.order) {
                    known.left = fill.leaves;
                }
                self.stands(&fill.order, Life::PartiallyFilled);
                if fill.leaves.is_zero() {
                    self.over(&fill.order);
                }
            }
            What::CancelRejected { order, why: Rejection::OrderOver | Rejection::OrderUnknown } => self.over(order),
            What::CancelRejected { order, .. } => {
                if let Some(known) = self.known(order) {
                    known.life = Life::Accepted;
                }
            }
            What::TimedOut { order: Some(order), asked: Asked::Submit | Asked::Cancel | Asked::Look } => {
                if let Some(known) = self.known(order) {
                    known.life = Life::Unknown;
                    desk.ask(Request::Look { order: order.clone() });
                }
            }
            What::State { order, state: State::Open { leaves, .. } } => {
                if let Some(known) = self.known(order) {
                    (known.left, known.life) = (*leaves, Life::Accepted);
                }
            }
            What::State { order, .. } => self.over(order),
            What::Listed { open } if open.is_empty() => self.none_left_at = self.listing_asked_at,
            What::Listed { .. }
            | What::TimedOut { .. }
            | What::Amended { .. }
            | What::AmendRejected { .. }
            | What::AllCancelled { .. }
            | What::Armed { .. }
            | What::Disarmed
            | What::ArmRejected { .. }
            | What::FundingPaid { .. } => {}
        }
    }

    fn state(&self) -> &'static str {
        self.maker.mode.as_str()
    }
}

#[cfg(test)]
mod tests;
