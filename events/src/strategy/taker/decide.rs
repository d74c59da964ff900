//! What a taker answers to a command.

use super::command::{Command, News, Refusal};
use super::event::*;
use super::legs::Leg;
use super::quiet::Quiet;
use super::settings::{Set, Settings};
use super::state::Taker;
use super::trade::Trade;
use super::view::View;
use crate::id::{MarketId, Principal};
use crate::market::{Bar, Instrument, Market, Phase, Size, Tick, Timeframe};
use crate::order::{ClientOrderId, TradeId};
use crate::reason::Reason;
use crate::stream::{Decision, Seen, Stamp};
use crate::time::{Span, Timestamp};
use uuid::Uuid;

/// The version of this code: a decision of another version cannot be compared with it.
pub(super) const LOGIC: u16 = 1;
const TEXT_MAX: usize = 200;

/// What a decision looks at besides its own stream, all of it from the log.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The event that it reacts to: orders are named after it.
    pub cause: Uuid,
    pub instrument: &'a Instrument,
    pub ticks: &'a [Tick],
    /// Final bars in the order of [`crate::market::Timeframe::ALL`].
    pub bars: [&'a [Bar]; 5],
    /// Of the last good quote, by the venue's clock or ours, whichever says older.
    pub quote_age: Option<Span>,
    pub is_warm: bool,
    pub allowed: Allowed,
}

impl<'a> Around<'a> {
    /// What a market shows now. None of one that nobody listens to.
    pub fn of(market: &'a Market, now: Timestamp, cause: Uuid, allowed: Allowed) -> Option<Self> {
        let settings = market.settings.as_deref()?;
        Some(Around {
            cause,
            instrument: &settings.instrument,
            ticks: market.ticks(),
            bars: Timeframe::ALL.map(|timeframe| market.bars(timeframe).finals()),
            quote_age: market.freshness(now).quote,
            // One that fell silent was warm; the age of its quote says the rest.
            is_warm: matches!(market.phase, Phase::Warm | Phase::Stale),
            allowed,
        })
    }
}

/// What the guard allows. Protective exits are always allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    pub entry: bool,
    pub exit: bool,
}

impl Taker {
    /// The state is as it was. `around` is needed for ticks only.
    pub fn decide(&self, command: Command, seen: &Seen<'_>, around: &Around<'_>) -> Result<Decision<Event>, Refusal> {
        let events = match command {
            Command::Register { market, settings, by, comment } => self.register(market, *settings, by, comment)?,
            Command::PutParams { settings, by, comment } => self.put_params(*settings, by, comment)?,
            Command::ActivateParams { set, by } => self.activate(set, by)?,
            Command::Remove => self.remove()?,
            Command::Tick(leg) => self.tick(leg, seen.now, around)?,
            Command::HearOrder { trade, order, news } => self.hear(trade, order, news, seen.now)?,
            Command::CorrectTrade { trade, held } => self.correct(trade, held)?,
            Command::FailLeg { leg, why } => {
                self.there()?;
                let why = shortened(&why);
                let failed = self.leg(leg).failed.is_some();
                if failed { vec![] } else { vec![Event::LegFailed(LegFailed { leg, why })] }
            }
            Command::RestartLeg { leg, by, why } => {
                self.there()?;
                if self.leg(leg).failed.is_none() {
                    return Err(Refusal::LegRuns(leg.as_str()));
                }
                vec![Event::LegRestarted(LegRestarted { leg, by, why })]
            }
        };
        Ok(events.into())
    }

    /// It asserts what must hold: a record that cannot be believed stops the fold.
    pub fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }

    pub(super) fn there(&self) -> Result<&Set, Refusal> {
        match (self.set(), self.removed_at) {
            (None, _) => Err(Refusal::TakerUnknown),
            (Some(_), Some(_)) => Err(Refusal::TakerRemoved),
            (Some(set), None) => Ok(set),
        }
    }

    /// Refuses in this order: known, removed, a parameter at fault, no loss exit.
    fn register(
        &self,
        market: MarketId,
        settings: Settings,
        by: Principal,
        comment: Reason,
    ) -> Result<Vec<Event>, Refusal> {
        match self.there() {
            Ok(_) => return Err(Refusal::TakerKnown),
            Err(Refusal::TakerUnknown) => {}
            Err(refusal) => return Err(refusal),
        }
        let set = self.next_set(settings, by, comment)?;
        Ok(vec![Event::Registered(Registered { market, set: Box::new(set) })])
    }

    fn put_params(&self, settings: Settings, by: Principal, comment: Reason) -> Result<Vec<Event>, Refusal> {
        let (is, asked) = (self.there()?.settings.family.as_str(), settings.family.as_str());
        if is != asked {
            return Err(Refusal::FamilyDiffers { is, asked });
        }
        let set = self.next_set(settings, by, comment)?;
        Ok(vec![Event::ParamsPut(ParamsPut { set: Box::new(set) })])
    }

    fn next_set(&self, settings: Settings, by: Principal, comment: Reason) -> Result<Set, Refusal> {
        Ok(Set { no: self.sets_ever + 1, by, comment, settings: settings.checked()? })
    }

    fn activate(&self, set: u32, by: Principal) -> Result<Vec<Event>, Refusal> {
        let active = self.there()?.no;
        if !self.sets.iter().any(|known| known.no == set) {
            return Err(Refusal::SetUnknown(set));
        }
        Ok(if set == active { vec![] } else { vec![Event::ParamsActivated(ParamsActivated { set, by })] })
    }

    fn remove(&self) -> Result<Vec<Event>, Refusal> {
        self.there()?;
        match self.trades.len() {
            0 => Ok(vec![Event::Removed(Removed {})]),
            open => Err(Refusal::TradesOpen(open)),
        }
    }

    /// One event with all that it decided; none where it is not due.
    fn tick(&self, leg: Leg, now: Timestamp, around: &Around<'_>) -> Result<Vec<Event>, Refusal> {
        let set = self.there()?;
        if !self.is_due(leg, now) {
            return Ok(vec![]);
        }
        let is_fresh = around.quote_age.is_some_and(|age| age <= set.settings.host.stale());
        let view = View { now, instrument: around.instrument, ticks: around.ticks, bars: around.bars, is_fresh };
        let event = match leg {
            Leg::Entry => self.tick_entry(set, &view, around),
            Leg::Exit => self.tick_exit(&view, around),
        };
        Ok(vec![event])
    }

    /// The cause's order with the next index: however often it is worked out, its name is the same.
    pub(super) fn name(&self, around: &Around<'_>, index: u32, now: Timestamp) -> ClientOrderId {
        ClientOrderId::derive(&self.id, around.cause, self.orders + index, now)
    }

    fn hear(&self, trade: TradeId, order: ClientOrderId, news: News, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        let mut then = match (self.trade(&trade), &news) {
            (Some(known), _) => known.clone(),
            (None, News::Filled { .. }) => return Err(Refusal::TradeUnknown(trade)),
            // The end of an order whose trade is over says nothing new.
            (None, News::Submitted | News::Refused { .. } | News::Over { .. }) => return Ok(vec![]),
        };
        let news = match news {
            News::Refused { code } => News::Refused { code: shortened(&code) },
            News::Submitted | News::Filled { .. } | News::Over { .. } => news,
        };
        then.hear(&order, &news, now);
        let mut events = vec![Event::OrderHeard(OrderHeard { trade, order, news })];
        events.extend(closed(&then));
        Ok(events)
    }

    fn correct(&self, trade: TradeId, held: Size) -> Result<Vec<Event>, Refusal> {
        let mut then = self.trade(&trade).ok_or_else(|| Refusal::TradeUnknown(trade.clone()))?.clone();
        let held = held.max(Size::ZERO).min(then.filled);
        if held == then.held() {
            return Ok(vec![]);
        }
        (then.closed, then.is_corrected) = (then.filled - held, true);
        let mut events = vec![Event::TradeCorrected(TradeCorrected { trade, held })];
        events.extend(closed(&then));
        Ok(events)
    }

    /// Which trades' best price is better than all before.
    pub(super) fn peaks(&self, view: &View<'_>) -> Vec<Peak> {
        let mut peaks = Vec::new();
        for trade in self.trades.iter().filter(|trade| view.is_fresh && !trade.held().is_zero()) {
            if let Some(price) = view.price_out(trade.side).filter(|price| trade.new_peak(*price)) {
                peaks.push(Peak { trade: trade.id.clone(), price });
            }
        }
        peaks
    }

    pub(super) fn did_nothing(leg: Leg, quiet: Quiet, bar: Option<Timestamp>) -> Event {
        Event::Ticked(Ticked { leg, quiet, bar })
    }
}

/// The end of a trade that was filled. One that was not just goes.
fn closed(then: &Trade) -> Option<Event> {
    let opened_at = then.opened_at.filter(|_| then.is_over())?;
    Some(Event::TradeClosed(TradeClosed {
        trade: then.id.clone(),
        result: then.result(),
        way: then.last_way,
        opened_at,
        is_corrected: then.is_corrected,
    }))
}

pub(super) fn shortened(text: &str) -> Box<str> {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect::<String>().into()
}
