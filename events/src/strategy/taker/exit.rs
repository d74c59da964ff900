//! What a plan says of a trade that is held.

use super::family::ExitProposal;
use super::flow::along;
use super::plan::share_of;
use super::trade::{PartialStep, Trade};
use super::view::View;
use crate::market::Price;
use crate::order::Way;
use crate::time::Timestamp;
use crate::trade::Side;

impl Trade {
    /// In this order: stop and greatest loss, time, the stop that a partial take moves, what was locked in, take, partial take.
    /// On an old quote only what protects.
    pub fn by_plan(&self, view: &View<'_>) -> Option<ExitProposal> {
        let entry = self.entry_price()?;
        let price = view.price_out(self.side);
        if let Some(protective) = self.protective(entry, price, view.now) {
            return Some(protective);
        }
        if let Some(to) = self.stop_due(entry) {
            return Some(ExitProposal::MoveStop { to });
        }
        if view.is_fresh { self.discretionary(entry, price?) } else { None }
    }

    /// The nearer one of where it was said to end and of the loss counted from the fills: neither makes the other wider.
    pub fn loss_level(&self) -> Option<Price> {
        let from_fills = self.entry_price()? - along(self.side, self.plan.loss()?);
        Some(nearer(self.side, from_fills, self.loss_exit))
    }

    /// Where it is given up now.
    pub fn stop_level(&self) -> Option<Price> {
        let loss = self.loss_level()?;
        Some(self.stop.map_or(loss, |moved| nearer(self.side, moved, loss)))
    }

    fn protective(&self, entry: Price, price: Option<Price>, now: Timestamp) -> Option<ExitProposal> {
        let gain = price.map(|price| along(self.side, price - entry));
        let close = |way, why: String| Some(ExitProposal::Close { way, why: why.into() });
        if let (Some(price), Some(gain), Some(level)) = (price, gain, self.stop_level())
            && along(self.side, price - level) <= Price::ZERO
        {
            let adverse = self.plan.adverse_max.is_some_and(|most| -gain >= most);
            let way = if adverse { Way::MaxAdverse } else { Way::Stop };
            return close(way, format!("{price} is at or beyond {level}"));
        }
        let held_for = now.since(self.opened_at?);
        if let Some(limit) = self.plan.time_stop.filter(|limit| held_for >= *limit) {
            return close(Way::TimeStop, format!("held for {} s", limit.0 / 1_000_000));
        }
        let at_a_loss = gain.is_some_and(|gain| gain < Price::ZERO);
        if let Some(limit) = self.plan.losers_out.filter(|limit| at_a_loss && held_for >= *limit) {
            return close(Way::TimeStop, format!("at a loss after {} s", limit.0 / 1_000_000));
        }
        None
    }

    /// Where the stop belongs since the partial take, if it does not stand there.
    fn stop_due(&self, entry: Price) -> Option<Price> {
        let partial = self.plan.partial.filter(|_| self.partial == PartialStep::Done)?;
        let to = entry + along(self.side, partial.stop_to);
        self.improves(to).then_some(to)
    }

    /// A stop only ever comes nearer.
    pub(super) fn improves(&self, to: Price) -> bool {
        self.stop_level().is_some_and(|level| along(self.side, to - level) > Price::ZERO)
    }

    fn discretionary(&self, entry: Price, price: Price) -> Option<ExitProposal> {
        let gain = along(self.side, price - entry);
        let best = self.peak.map_or(gain, |peak| along(self.side, peak - entry).max(gain));
        if let Some(lock) = self.plan.lock.filter(|lock| best >= lock.from)
            && gain.0 <= share_of(best.0, lock.share)
        {
            let why = format!("{gain} is left of {best}");
            return Some(ExitProposal::Close { way: Way::Trail, why: why.into() });
        }
        if let Some(take) = self.plan.take.filter(|take| gain >= *take) {
            let why = format!("{gain} of {take}");
            return Some(ExitProposal::Close { way: Way::Take, why: why.into() });
        }
        let partial = self.plan.partial.filter(|at| self.partial == PartialStep::Due && gain >= at.at)?;
        let why = format!("{gain} of {}", partial.at);
        Some(ExitProposal::Partial { share: partial.share, why: why.into() })
    }
}

/// The one at which less is lost.
fn nearer(side: Side, one: Price, other: Price) -> Price {
    match side {
        Side::Buy => one.max(other),
        Side::Sell => one.min(other),
    }
}
