//! The guardian gives up what must go and what nobody looks after: when all is to be flattened, after a halt that wants it so, a
//! trade that lost as much as any may, and the positions of orphans, at their loss exit or after a time.

use super::book::signed;
use super::check::Around;
use super::decide::is_quote;
use super::event::{Event, Orphaned, StrategyAdopted, Why};
use super::settings::millis;
use super::state::{Order, Venue};
use super::word::{ClientOrderId, Intent, Purpose, Terms, TradeId, Way};
use crate::id::{MarketId, Position, StrategyId, Version};
use crate::market::{Cash, Price, Size};
use crate::strategy::guard::Degree;
use crate::stream::{Seen, Stamp};
use crate::time::Timestamp;
use crate::trade::Side;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Names the guardian's own orders.
const GUARDIAN: Uuid = Uuid::from_u128(0x1d5c_0a7e_6b43_4f19_8e52_c36f_90ab_7d24);

/// A position that is to go.
struct Going {
    strategy: StrategyId,
    market: MarketId,
    trade: Option<TradeId>,
    /// Below zero for what is short.
    size: Size,
    /// What its fills brought in, of a trade.
    cash: Option<Cash>,
    loss_exit: Option<Price>,
    why: &'static str,
}

impl Venue {
    /// Looks at everything once. What goes out passes the same checks as any other exit.
    pub(super) fn watch(&self, around: &Around<'_>, seen: &Seen<'_>) -> Vec<Event> {
        let Some(settings) = &self.settings else { return vec![] };
        let mut events = self.strangers(around, seen.now);
        let stopped = around.guard.stopped(seen.stopped.map(Degree::of_desk));
        let flattening = match self.risk.halted() {
            _ if stopped == Some(Degree::Flatten) => Some("flatten was asked"),
            Some(_) if settings.limits.halt_flattens => Some("risk halt"),
            _ => None,
        };
        let growing = flattening.is_some() || around.guard.lock || stopped >= Some(Degree::CloseOnly);
        if growing {
            let all = |order: &Order| order.may_grow() || flattening.is_some() && is_quote(order);
            events.extend(self.cancels(Why::Control, seen.now, all));
        }
        let asked = |order: &Order| flattening.is_some() && is_quote(order);
        let bare = |order: &Order| !order.may_grow() && !asked(order) && !self.covers(order);
        events.extend(self.cancels(Why::NothingHeld, seen.now, bare));
        let at = Stamp { position: Position(0), version: Version(0), received_at: seen.now, recorded_at: seen.now };
        let mut then = None;
        for going in self.held() {
            let goes =
                flattening.or_else(|| self.lost(&going, around)).or_else(|| self.orphan_goes(&going, around, seen.now));
            let Some(why) = goes else { continue };
            let then = then.get_or_insert_with(|| {
                let mut then = self.clone();
                events.iter().for_each(|event| then.evolve(event, &at));
                then
            });
            let (order, intent) = then.giving_up(Going { why, ..going }, around, seen.now);
            for event in then.submit(order, Box::new(intent), around, seen) {
                then.evolve(&event, &at);
                events.push(event);
            }
        }
        events
    }

    /// What is held for a strategy that the guard does not know is an orphan, until it knows it again.
    fn strangers(&self, around: &Around<'_>, now: Timestamp) -> Vec<Event> {
        let known = |strategy: &StrategyId| around.guard.strategies.contains_key(strategy);
        let holders: BTreeSet<_> = self.held().into_iter().map(|going| going.strategy).collect();
        let strangers = holders.into_iter().filter(|strategy| !known(strategy));
        let mut events: Vec<_> = strangers.flat_map(|strategy| self.orphan(strategy, Orphaned::Unknown, now)).collect();
        for (strategy, orphan) in &self.orphans {
            if orphan.why == Orphaned::Unknown && known(strategy) {
                events.push(Event::StrategyAdopted(StrategyAdopted { strategy: strategy.clone() }));
            }
        }
        events
    }

    /// There is as much as the order would give up.
    fn covers(&self, order: &Order) -> bool {
        let held = self.book.of(&order.intent.market, &order.owner());
        let toward = if order.terms.side == Side::Sell { held } else { -held };
        toward >= order.remaining()
    }

    /// All that any strategy holds. What is nobody's is for a person to decide.
    fn held(&self) -> Vec<Going> {
        let trades = self.book.trades.iter().map(|(id, trade)| Going {
            strategy: id.0.strategy.clone(),
            market: trade.market.clone(),
            trade: Some(id.clone()),
            size: signed(trade.side, trade.size),
            cash: Some(trade.cash),
            loss_exit: trade.loss_exit,
            why: "",
        });
        let inventories = self.book.markets.iter().flat_map(|(market, held)| {
            held.inventories.iter().filter(|(_, holding)| !holding.size.is_zero()).map(|(strategy, holding)| Going {
                strategy: strategy.clone(),
                market: market.clone(),
                trade: None,
                size: holding.size,
                cash: None,
                loss_exit: None,
                why: "",
            })
        });
        trades.chain(inventories).collect()
    }

    /// A trade that would bring in no more than what it may lose at most, whatever its strategy thinks of it.
    fn lost(&self, going: &Going, around: &Around<'_>) -> Option<&'static str> {
        let limit = self.settings.as_ref()?.limits.loss_per_trade_max;
        let (quote, cash) = (around.markets.quote(&going.market)?.quote, going.cash?);
        let price = if going.size.0 > 0 { quote.bid } else { quote.ask };
        let worth = cash + price * going.size;
        (worth <= -limit).then_some("it lost as much as a trade may")
    }

    /// The default exit of an orphan: where its trade was to be given up, and after a time in any case.
    fn orphan_goes(&self, going: &Going, around: &Around<'_>, now: Timestamp) -> Option<&'static str> {
        let orphan = self.orphans.get(&going.strategy)?;
        let patience = millis(self.settings.as_ref()?.guardian.time_stop_ms);
        if now.since(orphan.since) >= patience {
            return Some("orphan: time stop");
        }
        let (quote, loss_exit) = (around.markets.quote(&going.market)?.quote, going.loss_exit?);
        let reached = if going.size.0 > 0 { quote.bid <= loss_exit } else { quote.ask >= loss_exit };
        reached.then_some("orphan: loss exit")
    }

    fn giving_up(&self, going: Going, around: &Around<'_>, now: Timestamp) -> (ClientOrderId, Intent) {
        let Going { strategy, market, trade, size, why, .. } = going;
        let orphan = self.orphans.contains_key(&strategy) || !around.guard.strategies.contains_key(&strategy);
        let way = if orphan { Way::Orphan } else { Way::RiskFlatten };
        let of = trade.as_ref().map_or_else(|| format!("{strategy}/{market}"), |trade| trade.0.to_string());
        // Another try has another name, and the same one at the same time the same.
        let cause = Uuid::new_v5(&GUARDIAN, format!("{}/{of}/{}", self.id, now.0).as_bytes());
        let order = ClientOrderId::derive(&strategy, cause, 0, now);
        let side = if size.0 > 0 { Side::Sell } else { Side::Buy };
        let terms = Terms { side, size: size.abs(), price: None, post_only: false, reduce_only: true };
        let intent = Intent {
            strategy,
            market,
            purpose: Purpose::Exit(way),
            terms,
            trade,
            probability: None,
            loss_exit: None,
            valid_until: None,
            why: why.into(),
        };
        (order, intent)
    }
}
