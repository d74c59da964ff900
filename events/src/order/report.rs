//! What follows from a venue's report. Reports come late, twice and in any order; what they say counts once.

use super::book::{Known, Owner};
use super::command::{Refusal, Report};
use super::decide::short;
use super::event::*;
use super::life::Turn;
use super::settings::millis;
use super::state::{Order, Venue};
use super::word::{Category, ClientOrderId, Execution, Life, Purpose};
use crate::id::MarketId;
use crate::market::Size;
use crate::time::Timestamp;

impl Venue {
    pub(super) fn report(&self, report: Report, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        Ok(match report {
            Report::Accepted { order, venue_order } => self.accepted(order, venue_order)?,
            Report::Rejected { order, category, detail } => {
                let known = self.named(&order)?;
                if known.goes(Turn::Reject).is_none() {
                    return Ok(vec![]);
                }
                let escalated = self.escalated(known);
                let rejected = OrderRejected { order, category, detail: short(&detail) };
                std::iter::once(Event::OrderRejected(rejected)).chain(escalated).collect()
            }
            Report::TimedOut { order } => match self.named(&order)?.goes(Turn::TimeOut) {
                Some(_) => vec![Event::OrderUnknown(OrderUnknown { order })],
                None => vec![],
            },
            Report::Filled { market, execution, .. }
                if execution.size.0 <= 0 || market.venue != self.id || execution.id.is_empty() =>
            {
                return Err(Refusal::FillInvalid(execution.id));
            }
            Report::Filled { order, market, execution } => self.fill(order, market, execution),
            Report::Told { order, filled } => self.told(order, filled)?,
            Report::Cancelled { order } => self.ended(order, Ending::Cancelled)?,
            Report::Expired { order } => self.ended(order, Ending::Expired)?,
            Report::CancelRejected { order, category, detail } => match self.named(&order)?.goes(Turn::RejectCancel) {
                Some(_) => {
                    let rejected = CancelRejected { order, category, detail: short(&detail) };
                    vec![Event::CancelRejected(rejected)]
                }
                None => vec![],
            },
            Report::Amended { order, price, size } => match self.named(&order)? {
                known if known.life.is_over() => vec![],
                _ => vec![Event::Amended(Amended { order, price, size })],
            },
            Report::AmendRejected { order, category, detail } => match self.named(&order)?.amending {
                Some(_) => vec![Event::AmendRejected(AmendRejected { order, category, detail: short(&detail) })],
                None => vec![],
            },
            Report::NotThere { order, asked_at } => self.not_there(order, asked_at)?,
            Report::DeadManArmed { until } => vec![Event::DeadManArmed(DeadManArmed { until })],
            Report::DeadManFailed { why } => {
                let cancels =
                    self.cancels(Why::Control, now, |order| matches!(order.intent.purpose, Purpose::Quote { .. }));
                std::iter::once(Event::DeadManFailed(DeadManFailed { why: short(&why) })).chain(cancels).collect()
            }
        })
    }

    fn named(&self, id: &ClientOrderId) -> Result<&Order, Refusal> {
        self.order(id).ok_or_else(|| Refusal::OrderUnknown(id.clone()))
    }

    /// One that was thought never to have come is taken in again, and never sent twice.
    fn accepted(&self, id: ClientOrderId, venue_order: Option<Box<str>>) -> Result<Vec<Event>, Refusal> {
        let order = self.named(&id)?;
        Ok(match order.life {
            Life::Submitted => vec![Event::OrderAccepted(OrderAccepted { order: id, venue_order })],
            Life::Unknown => vec![found(id, venue_order)],
            // That it never came was our conclusion, not the venue's word.
            Life::Rejected if order.category == Some(Category::Network) => vec![found(id, venue_order)],
            _ => vec![],
        })
    }

    /// A trade of ours, once. It is the order's owner's; without an order, whoever's position it makes smaller.
    pub(super) fn fill(&self, order: Option<ClientOrderId>, market: MarketId, execution: Execution) -> Vec<Event> {
        if execution.size.0 <= 0 || market.venue != self.id || execution.id.is_empty() {
            return vec![];
        }
        match self.book.is_known(&execution) {
            Known::Yes => return vec![],
            Known::Doubtful => {
                return vec![Event::FillDoubted(Box::new(FillDoubted { order, market, execution }))];
            }
            Known::No => {}
        }
        let known = order.as_ref().and_then(|order| self.order(order));
        let known = known.filter(|known| known.intent.market == market && known.terms.side == execution.side);
        let change = super::book::signed(execution.side, execution.size);
        let owner = match known.map(|known| (known.owner(), known.intent.purpose)) {
            Some((Owner::Trade(trade), Purpose::Exit(_))) if !self.book.trades.contains_key(&trade) => Owner::Nobody,
            Some((owner, _)) => owner,
            None => self.book.explains(&market, change),
        };
        let held = self.book.of(&market, &owner);
        let left = match &owner {
            // What is more than a trade had left is nobody's.
            Owner::Trade(_) if held.0.signum() == -change.0.signum() && change.abs() > held.abs() => Size::ZERO,
            _ => held + change,
        };
        let order = known.map(|known| known.id.clone());
        vec![Event::OrderFilled(Box::new(OrderFilled { order, owner, market, execution, left }))]
    }

    /// It only says that trades will follow.
    fn told(&self, id: ClientOrderId, filled: Size) -> Result<Vec<Event>, Refusal> {
        let order = self.named(&id)?;
        match filled > order.told.max(order.filled) {
            true => Ok(vec![Event::OrderTold(OrderTold { order: id, filled })]),
            false => Ok(vec![]),
        }
    }

    pub(super) fn ended(&self, id: ClientOrderId, how: Ending) -> Result<Vec<Event>, Refusal> {
        let order = self.named(&id)?;
        let turn = if how == Ending::Expired { Turn::Expire } else { Turn::Cancel };
        match order.goes(turn) {
            Some(_) => Ok(vec![Event::OrderEnded(OrderEnded { order: id, how, filled: order.filled })]),
            None => Ok(vec![]),
        }
    }

    /// What was asked too early says nothing: the order may have been on its way.
    fn not_there(&self, id: ClientOrderId, asked_at: Timestamp) -> Result<Vec<Event>, Refusal> {
        let order = self.named(&id)?;
        let grace = millis(self.settings()?.unknown_grace_ms);
        match order.life {
            Life::Submitted | Life::Unknown if asked_at.since(order.submitted_at) >= grace => {
                Ok(vec![Event::OrderResolved(OrderResolved { order: id, found: Found::Never })])
            }
            Life::Accepted | Life::PartiallyFilled | Life::CancelRequested if asked_at > order.changed_at => {
                self.ended(id, Ending::Gone)
            }
            _ => Ok(vec![]),
        }
    }

    /// An exit that was rejected too often takes any price from now on.
    fn escalated(&self, order: &Order) -> Option<Event> {
        let Purpose::Exit(_) = order.intent.purpose else { return None };
        let exiting = self.exiting(&order.intent)?;
        let tries = exiting.tries.saturating_add(1);
        let patience = self.settings.as_ref()?.guardian.escalate_after_tries;
        let intent = &order.intent;
        let (strategy, market, trade) = (intent.strategy.clone(), intent.market.clone(), intent.trade.clone());
        (tries >= patience && !exiting.escalated).then_some(Event::ExitEscalated(ExitEscalated {
            strategy,
            market,
            trade,
            tries,
        }))
    }
}

pub(super) fn found(order: ClientOrderId, venue_order: Option<Box<str>>) -> Event {
    Event::OrderResolved(OrderResolved { order, found: Found::There { venue_order } })
}
