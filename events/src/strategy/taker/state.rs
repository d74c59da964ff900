//! What a taker remembers.

use super::command::News;
use super::event::*;
use super::family::Family;
use super::legs::{Leg, LegState, LegStatus};
use super::quiet::Quiet;
use super::settings::{Host, Set};
use super::trade::{Entry, Exit, PartialStep, Trade};
use crate::id::{MarketId, StrategyId};
use crate::market::{Cash, Price, Size};
use crate::order::{ClientOrderId, Life, Purpose, TradeId, Way};
use crate::stream::Stamp;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

pub(super) const SETS_MAX: usize = 32;
const DENIED_MAX: usize = 16;
/// The next entry after one that was refused waits so long. That is no cooldown: nothing was traded.
const REFUSED_WAIT: Span = Span::seconds(1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taker {
    pub id: StrategyId,
    pub market: Option<MarketId>,
    pub removed_at: Option<Timestamp>,
    /// Oldest first.
    pub sets: Vec<Set>,
    pub sets_ever: u32,
    /// The number of the one that is active; zero before the first.
    pub active: u32,
    legs: [LegState; 2],
    pub trades: Vec<Trade>,
    /// No entry before that, since something was traded.
    pub cooldown_until: Timestamp,
    /// No entry before that, since one was refused.
    pub refused_until: Timestamp,
    /// The last bar that the family was asked about.
    pub bar_heard: Option<Timestamp>,
    /// The last bar that stood when an entry was proposed.
    pub bar_entered: Option<Timestamp>,
    /// Orders that it ever wanted; the next one's index.
    pub orders: u32,
    /// How often each cause kept it quiet, in the order of [`Quiet::ALL`].
    quiet: Vec<u64>,
    pub last_quiet: [Option<Quiet>; 2],
    /// The newest last.
    pub denied: VecDeque<Denied>,
    pub closed: u64,
    pub result: Cash,
}

/// An order that was refused or came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    pub at: Timestamp,
    pub order: ClientOrderId,
    pub code: Box<str>,
}

impl Taker {
    pub fn new(id: StrategyId) -> Self {
        Taker {
            id,
            market: None,
            removed_at: None,
            sets: Vec::new(),
            sets_ever: 0,
            active: 0,
            legs: Default::default(),
            trades: Vec::new(),
            cooldown_until: Timestamp::ZERO,
            refused_until: Timestamp::ZERO,
            bar_heard: None,
            bar_entered: None,
            orders: 0,
            quiet: Vec::new(),
            last_quiet: [None; 2],
            denied: VecDeque::new(),
            closed: 0,
            result: Cash::ZERO,
        }
    }

    pub fn is_there(&self) -> bool {
        self.market.is_some() && self.removed_at.is_none()
    }
    pub fn set(&self) -> Option<&Set> {
        self.sets.iter().rev().find(|set| set.no == self.active)
    }
    pub fn leg(&self, leg: Leg) -> &LegState {
        &self.legs[leg as usize]
    }
    /// Trades that nobody looks after: something is held and the EXIT leg does not live. They are the guardian's.
    pub fn unguarded(&self, now: Timestamp) -> impl Iterator<Item = &Trade> {
        let alive = self.leg(Leg::Exit).status(now) == LegStatus::Alive;
        self.trades.iter().filter(move |trade| !alive && !trade.held().is_zero())
    }
    /// True where a tick of the leg would be heard now: the market's reactions ask first.
    pub fn is_due(&self, leg: Leg, now: Timestamp) -> bool {
        let host = self.set().map(|set| set.settings.host).unwrap_or_default();
        self.is_there() && self.leg(leg).failed.is_none() && self.leg(leg).is_due(self.every(leg, &host), now)
    }
    /// When the leg has to be heard next even if the market is silent.
    pub fn due_at(&self, leg: Leg) -> Option<Timestamp> {
        let host = self.set()?.settings.host;
        let waits = self.is_there() && self.leg(leg).failed.is_none();
        waits.then(|| self.leg(leg).ticked_at.map_or(Timestamp::ZERO, |at| at + self.every(leg, &host)))
    }
    pub fn quiet_count(&self, cause: Quiet) -> u64 {
        self.quiet.get(cause as usize).copied().unwrap_or(0)
    }

    pub(super) fn every(&self, leg: Leg, host: &Host) -> Span {
        match leg {
            Leg::Exit if self.trades.is_empty() => host.tick().max(super::legs::IDLE_TICK),
            Leg::Entry | Leg::Exit => host.tick(),
        }
    }
    pub(super) fn family(&self) -> Option<&dyn Family> {
        self.set().map(|set| set.settings.family.family())
    }
    pub(super) fn trade(&self, id: &TradeId) -> Option<&Trade> {
        self.trades.iter().find(|trade| trade.id == *id)
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::Registered(registered) => {
                assert!(self.market.is_none(), "taker {} was registered twice", self.id);
                self.market = Some(registered.market.clone());
                self.put(&registered.set);
                self.active = registered.set.no;
            }
            Event::ParamsPut(put) => self.put(&put.set),
            Event::ParamsActivated(activated) => {
                self.active = activated.set;
                assert!(self.set().is_some(), "taker {} has no set {}", self.id, self.active);
            }
            Event::Removed(_) => self.removed_at = Some(at.recorded_at),
            Event::Ticked(ticked) => {
                self.ticked(ticked.leg, Some(ticked.quiet), at);
                self.bar_heard = ticked.bar.or(self.bar_heard);
            }
            Event::EntryProposed(proposed) => self.proposed(proposed, at),
            Event::ExitMarked(marked) => {
                self.ticked(Leg::Exit, Some(marked.quiet), at);
                self.mark(&marked.peaks);
            }
            Event::ExitDecided(decided) => {
                self.ticked(Leg::Exit, None, at);
                self.mark(&decided.peaks);
                decided.steps.iter().for_each(|step| self.step(step, at));
            }
            Event::OrderHeard(heard) => self.heard(heard, at),
            Event::TradeClosed(closed) => self.close(closed, at),
            Event::TradeCorrected(corrected) => {
                let trade = self.trade_mut(&corrected.trade);
                trade.closed = trade.filled - corrected.held;
                trade.is_corrected = true;
            }
            Event::LegFailed(failed) => {
                self.legs[failed.leg as usize].failed = Some((at.recorded_at, failed.why.clone()));
            }
            Event::LegRestarted(restarted) => self.legs[restarted.leg as usize].failed = None,
        }
    }

    fn put(&mut self, set: &Set) {
        assert!(set.no == self.sets_ever + 1, "set {} of taker {} comes after {}", set.no, self.id, self.sets_ever);
        self.sets_ever = set.no;
        self.sets.push(set.clone());
        if self.sets.len() > SETS_MAX {
            let oldest = self.sets.iter().position(|set| set.no != self.active);
            oldest.map(|place| self.sets.remove(place));
        }
    }

    fn ticked(&mut self, leg: Leg, quiet: Option<Quiet>, at: &Stamp) {
        let state = &mut self.legs[leg as usize];
        (state.ticked_at, state.ticks) = (Some(at.recorded_at), state.ticks + 1);
        self.last_quiet[leg as usize] = quiet;
        if let Some(cause) = quiet {
            let place = cause as usize;
            if self.quiet.len() <= place {
                self.quiet.resize(place + 1, 0);
            }
            self.quiet[place] += 1;
        }
    }

    fn proposed(&mut self, proposed: &EntryProposed, at: &Stamp) {
        self.ticked(Leg::Entry, None, at);
        self.orders += 1;
        self.bar_heard = proposed.bar.or(self.bar_heard);
        self.bar_entered = proposed.bar.or(self.bar_entered);
        let Some(loss_exit) = proposed.intent.loss_exit else {
            unreachable!("entry {} of taker {} has no loss exit", proposed.order, self.id)
        };
        self.trades.push(Trade {
            id: TradeId(proposed.order.clone()),
            side: proposed.intent.terms.side,
            set: proposed.set,
            plan: proposed.plan,
            loss_exit,
            proposed_at: at.recorded_at,
            entry: Entry::Proposed,
            filled: Size::ZERO,
            paid: Cash::ZERO,
            closed: Size::ZERO,
            received: Cash::ZERO,
            fees: Cash::ZERO,
            opened_at: None,
            peak: None,
            stop: None,
            partial: PartialStep::Due,
            exit: None,
            refusals: 0,
            refused: None,
            retry_at: Timestamp::ZERO,
            held_back: None,
            last_way: None,
            is_corrected: false,
        });
    }

    fn trade_mut(&mut self, id: &TradeId) -> &mut Trade {
        match self.trades.iter_mut().find(|trade| trade.id == *id) {
            Some(trade) => trade,
            None => unreachable!("an event of trade {id:?}, which taker {} does not have", self.id),
        }
    }

    fn mark(&mut self, peaks: &[Peak]) {
        for peak in peaks {
            self.trade_mut(&peak.trade).peak = Some(peak.price);
        }
    }

    fn step(&mut self, step: &ExitStep, at: &Stamp) {
        let trade = self.trade_mut(&step.trade);
        match &step.action {
            ExitAction::Asked { order, intent } => {
                let Purpose::Exit(way) = intent.purpose else { unreachable!("order {order} is no exit") };
                assert!(trade.exit.is_none(), "trade {:?} has an exit under way", trade.id);
                (trade.held_back, trade.last_way) = (None, Some(way));
                if way == Way::Partial {
                    trade.partial = PartialStep::Asked;
                }
                let (size, asked_at) = (intent.terms.size, at.recorded_at);
                trade.exit = Some(Exit { order: order.clone(), way, size, filled: Size::ZERO, asked_at });
                self.orders += 1;
            }
            ExitAction::StopMoved { to } => trade.stop = Some(*to),
            ExitAction::PartialSkipped => trade.partial = PartialStep::Done,
            ExitAction::HeldBack { way } => trade.held_back = Some(*way),
        }
    }

    fn heard(&mut self, heard: &OrderHeard, at: &Stamp) {
        let cooldown = self.set().map_or(Span(0), |set| set.settings.host.cooldown());
        let trade = self.trade_mut(&heard.trade);
        let of_entry = heard.order == trade.id.0;
        trade.hear(&heard.order, &heard.news, at.recorded_at);
        let nothing_came = trade.entry == Entry::Over && trade.filled.is_zero();
        if of_entry && matches!(heard.news, News::Submitted | News::Filled { .. }) {
            self.cooldown_until = self.cooldown_until.max(at.recorded_at + cooldown);
        }
        if let Some(code) = denial_code(&heard.news) {
            self.deny(Denied { at: at.recorded_at, order: heard.order.clone(), code });
        }
        if of_entry && matches!(heard.news, News::Refused { .. }) {
            self.refused_until = at.recorded_at + REFUSED_WAIT;
        }
        if nothing_came {
            self.trades.retain(|trade| trade.id != heard.trade);
        }
    }

    fn deny(&mut self, denied: Denied) {
        if self.denied.len() == DENIED_MAX {
            self.denied.pop_front();
        }
        self.denied.push_back(denied);
    }

    fn close(&mut self, closed: &TradeClosed, at: &Stamp) {
        let reentry = self.set().map_or(Span(0), |set| set.settings.host.reentry());
        let before = self.trades.len();
        self.trades.retain(|trade| trade.id != closed.trade);
        assert!(self.trades.len() + 1 == before, "trade {:?} of taker {} is not open", closed.trade, self.id);
        self.closed += 1;
        self.result = self.result + closed.result;
        self.cooldown_until = self.cooldown_until.max(at.recorded_at + reentry);
    }
}

fn denial_code(news: &News) -> Option<Box<str>> {
    match news {
        News::Refused { code } => Some(code.clone()),
        News::Over { life: Life::Rejected } => Some("REJECTED".into()),
        News::Submitted | News::Filled { .. } | News::Over { .. } => None,
    }
}

/// Exits that come to nothing are asked for again after 1, 2, 4 … seconds.
const BACKOFF: Span = Span::seconds(1);
/// At the latest, for one that protects and for the others.
const BACKOFF_PROTECTIVE: Span = Span::seconds(5);
const BACKOFF_MAX: Span = Span::seconds(60);

impl Trade {
    /// Takes in what became of an order. Any order but the entry makes the trade smaller.
    pub(super) fn hear(&mut self, order: &ClientOrderId, news: &News, now: Timestamp) {
        if *order == self.id.0 {
            return self.hear_entry(news, now);
        }
        if let News::Filled { price, size, fee } = news {
            self.closed = self.closed + *size;
            (self.received, self.fees) = (self.received + *price * *size, self.fees + *fee);
            // None where it was no order of the EXIT leg.
            self.last_way = self.exit.as_ref().filter(|exit| exit.order == *order).map(|exit| exit.way);
        }
        let Some(exit) = self.exit.as_mut().filter(|exit| exit.order == *order) else { return };
        match news {
            News::Submitted => {}
            News::Filled { size, .. } => {
                exit.filled = exit.filled + *size;
                (self.refusals, self.refused) = (0, None);
                if exit.way == Way::Partial {
                    self.partial = PartialStep::Done;
                }
            }
            News::Refused { .. } | News::Over { .. } => self.exit_over(now),
        }
    }

    fn hear_entry(&mut self, news: &News, now: Timestamp) {
        match news {
            News::Submitted => self.entry = Entry::Submitted,
            News::Filled { price, size, fee } => {
                self.filled = self.filled + *size;
                (self.paid, self.fees) = (self.paid + *price * *size, self.fees + *fee);
                self.opened_at = self.opened_at.or(Some(now));
            }
            News::Refused { .. } | News::Over { .. } => self.entry = Entry::Over,
        }
    }

    /// What nothing came of is asked for again, later each time.
    fn exit_over(&mut self, now: Timestamp) {
        let Some(exit) = self.exit.take() else { return };
        if !exit.filled.is_zero() {
            return;
        }
        if exit.way == Way::Partial {
            self.partial = PartialStep::Due;
        }
        let most = if exit.way.is_protective() { BACKOFF_PROTECTIVE } else { BACKOFF_MAX };
        let wait = Span(BACKOFF.0 << self.refusals.min(6)).min(most);
        self.refusals = self.refusals.saturating_add(1);
        (self.refused, self.retry_at) = (Some(exit.way), now + wait);
    }

    /// A better price than all before.
    pub(super) fn new_peak(&self, price: Price) -> bool {
        self.peak.is_none_or(|peak| super::flow::along(self.side, price - peak) > Price::ZERO)
    }
}
