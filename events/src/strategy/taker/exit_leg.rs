//! The EXIT leg: it alone decides when something is closed.

use super::decide::{Around, LOGIC, shortened};
use super::event::*;
use super::family::ExitProposal;
use super::legs::Leg;
use super::plan::share_of;
use super::quiet::Quiet;
use super::state::Taker;
use super::trade::{PartialStep, Trade};
use super::view::View;
use crate::market::Size;
use crate::order::{Intent, Purpose, Terms, Way};

impl Taker {
    /// What it wants of all its trades, in one event.
    pub(super) fn tick_exit(&self, view: &View<'_>, around: &Around<'_>) -> Event {
        let peaks = self.peaks(view);
        let mut steps = Vec::new();
        let mut quiet = Quiet::Flat;
        for trade in self.trades.iter().filter(|trade| !trade.held().is_zero()) {
            let peak = peaks.iter().find(|peak| peak.trade == trade.id).map(|peak| peak.price);
            let seen = Trade { peak: peak.or(trade.peak), ..trade.clone() };
            let asked = steps.iter().filter(|step: &&ExitStep| matches!(step.action, ExitAction::Asked { .. })).count();
            match self.look_after(&seen, asked as u32, view, around) {
                Ok(action) => steps.push(ExitStep { trade: trade.id.clone(), action }),
                Err(why) => quiet = why,
            }
        }
        if !steps.is_empty() {
            let saw = view.ticks.last().copied();
            return Event::ExitDecided(ExitDecided { logic: LOGIC, saw, peaks, steps });
        }
        if !peaks.is_empty() {
            return Event::ExitMarked(ExitMarked { peaks, quiet });
        }
        Self::did_nothing(Leg::Exit, quiet, None)
    }

    fn look_after(&self, trade: &Trade, index: u32, view: &View<'_>, around: &Around<'_>) -> Result<ExitAction, Quiet> {
        if trade.exit.is_some() {
            return Err(Quiet::ExitPending);
        }
        let wanted = self.family().and_then(|family| family.on_position(view, trade)).ok_or(Quiet::Holds)?;
        let (way, size, why) = match wanted {
            ExitProposal::MoveStop { to } if trade.improves(to) => return Ok(ExitAction::StopMoved { to }),
            ExitProposal::MoveStop { .. } => return Err(Quiet::Holds),
            ExitProposal::Partial { .. } if trade.partial != PartialStep::Due => return Err(Quiet::Holds),
            ExitProposal::Partial { share, why } => (Way::Partial, partial_size(trade.held(), share, view), why),
            ExitProposal::Close { way, why } => (way, trade.held(), why),
        };
        if size.is_zero() {
            return Ok(ExitAction::PartialSkipped);
        }
        // What protects is never held back by a flag.
        if !way.is_protective() && !around.allowed.exit {
            let told = trade.held_back == Some(way);
            return if told { Err(Quiet::ExitOff) } else { Ok(ExitAction::HeldBack { way }) };
        }
        // And it goes at once where only something lesser was refused before.
        let graver = way.is_protective() && trade.refused.is_some_and(|refused| !refused.is_protective());
        if view.now < trade.retry_at && !graver {
            return Err(Quiet::ExitWaits);
        }
        let size = view.instrument.size_max.map_or(size, |most| size.min(most));
        let intent = Box::new(self.exit_intent(trade, way, size, &why)?);
        Ok(ExitAction::Asked { order: self.name(around, index, view.now), intent })
    }

    fn exit_intent(&self, trade: &Trade, way: Way, size: Size, why: &str) -> Result<Intent, Quiet> {
        let market = self.market.clone().ok_or(Quiet::MarketCold)?;
        let side = trade.side.opposite();
        Ok(Intent {
            strategy: self.id.clone(),
            market,
            purpose: Purpose::Exit(way),
            terms: Terms { side, size, price: None, post_only: false, reduce_only: true },
            trade: Some(trade.id.clone()),
            probability: None,
            loss_exit: None,
            valid_until: None,
            why: shortened(why),
        })
    }
}

/// Rounded down to what the venue trades; nothing where that, or what it leaves, is less than the venue takes.
fn partial_size(held: Size, share: crate::market::Ratio, view: &View<'_>) -> Size {
    let size = Size(share_of(held.0, share)).floor_to(view.instrument.step);
    let least = view.instrument.size_min;
    if size < least || held - size < least { Size::ZERO } else { size }
}
