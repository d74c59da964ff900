//! The ENTRY leg: whether it may, and what its family wants.

use super::decide::{Around, LOGIC, shortened};
use super::event::*;
use super::family::{EntryProposal, Family};
use super::flow::along;
use super::legs::{Leg, LegStatus};
use super::quiet::Quiet;
use super::settings::Set;
use super::state::Taker;
use super::trade::Trade;
use super::view::View;
use crate::market::Price;
use crate::order::{Intent, Purpose, Terms};
use crate::time::Timestamp;
use crate::trade::Side;

impl Taker {
    pub(super) fn tick_entry(&self, set: &Set, view: &View<'_>, around: &Around<'_>) -> Event {
        if let Err(quiet) = self.may_enter(set, view, around) {
            return Self::did_nothing(Leg::Entry, quiet, None);
        }
        let family = set.settings.family.family();
        let (asked, found) = self.ask(family, view);
        let proposed = found.and_then(|proposal| self.propose(set, family, proposal, view, around));
        match proposed {
            Ok(proposed) => Event::EntryProposed(Box::new(proposed)),
            Err(quiet) => Self::did_nothing(Leg::Entry, quiet, asked),
        }
    }

    /// The first thing that keeps it from looking at all, in this order. Tests hold the order.
    fn may_enter(&self, set: &Set, view: &View<'_>, around: &Around<'_>) -> Result<(), Quiet> {
        let refuse = |when: bool, quiet| if when { Err(quiet) } else { Ok(()) };
        refuse(!around.is_warm, Quiet::MarketCold)?;
        refuse(!around.allowed.entry, Quiet::EntryOff)?;
        refuse(self.leg(Leg::Exit).status(view.now) != LegStatus::Alive, Quiet::ExitLegSilent)?;
        refuse(self.trades.iter().any(Trade::is_pending), Quiet::EntryPending)?;
        refuse(self.trades.len() >= set.settings.host.trades_max as usize, Quiet::TradesFull)?;
        refuse(view.now < self.cooldown_until, Quiet::Cooldown)?;
        refuse(view.now < self.refused_until, Quiet::RefusedLately)?;
        refuse(!view.is_fresh, Quiet::MarketStale)
    }

    /// The new bar first, where there is one; then the tick. Which bar it was asked about, and what it wants.
    fn ask(&self, family: &dyn Family, view: &View<'_>) -> (Option<Timestamp>, Result<EntryProposal, Quiet>) {
        let bar = last_bar(family, view).filter(|bar| self.bar_heard.is_none_or(|heard| *bar > heard));
        let on_bar = match bar {
            Some(_) => family.on_bar(view),
            None => Err(Quiet::WaitsForBar),
        };
        match on_bar {
            Ok(proposal) => (bar, Ok(proposal)),
            Err(on_bar) => match family.on_tick(view) {
                // It looks at bars only: what it said of the bar is the better word.
                Err(Quiet::WaitsForBar) => (bar, Err(on_bar)),
                found => (bar, found),
            },
        }
    }

    /// Refused are entries on a bar that led to one, and entries that risk more than the family declared.
    fn propose(
        &self,
        set: &Set,
        family: &dyn Family,
        proposal: EntryProposal,
        view: &View<'_>,
        around: &Around<'_>,
    ) -> Result<EntryProposed, Quiet> {
        let bar = last_bar(family, view);
        if bar.is_some() && bar == self.bar_entered {
            return Err(Quiet::BarUsed);
        }
        let Some(market) = self.market.clone() else { return Err(Quiet::MarketCold) };
        let saw = *view.quote()?;
        let loss_exit = loss_exit(family, &proposal, view).ok_or(Quiet::LossExitMissing)?;
        let host = &set.settings.host;
        let intent = Intent {
            strategy: self.id.clone(),
            market,
            purpose: Purpose::Entry,
            terms: Terms { side: proposal.side, size: host.size, price: None, post_only: false, reduce_only: false },
            trade: None,
            probability: proposal.probability,
            loss_exit: Some(loss_exit),
            valid_until: Some(view.now + host.valid()),
            why: shortened(&proposal.why),
        };
        let order = self.name(around, 0, view.now);
        Ok(EntryProposed { logic: LOGIC, order, intent, plan: proposal.plan, set: set.no, saw, bar })
    }
}

/// The last bar that closed of those that it looks at; None for one that looks at quotes only.
fn last_bar(family: &dyn Family, view: &View<'_>) -> Option<Timestamp> {
    let (timeframe, _) = family.needs().bars?;
    view.bars[timeframe as usize].last().map(|bar| bar.open_at)
}

/// Where the entry is given up: on a tick of the venue, rounded towards the entry, above zero and not at the entry itself.
fn loss_exit(family: &dyn Family, proposal: &EntryProposal, view: &View<'_>) -> Option<Price> {
    let loss = proposal.plan.loss().filter(|loss| loss.0 > 0)?;
    let most = view.pips(family.loss_exit()?.pips_max);
    let entry = view.price_in(proposal.side)?;
    let level = entry - along(proposal.side, loss);
    let tick = view.instrument.tick;
    let level = match proposal.side {
        Side::Buy => level.ceil_to(tick),
        Side::Sell => level.floor_to(tick),
    };
    let is_good = loss <= most && level > Price::ZERO && along(proposal.side, entry - level) > Price::ZERO;
    is_good.then_some(level)
}
