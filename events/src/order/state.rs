//! What a venue's gateway remembers.

use super::book::{Blocked, Book, Exiting, Owner, PositionView};
use super::check::{Check, Finding};
use super::command::ListedOrder;
use super::event::*;
use super::life::{self, Turn};
use super::risk::Risk;
use super::settings::{Bounds, Rate, Settings, millis};
use super::word::{Category, ClientOrderId, Intent, Life, Purpose, Terms, TradeId};
use crate::id::{MarketId, StrategyId, VenueId, Version};
use crate::market::{Instrument, Price, Size};
use crate::strategy::guard::Knowing;
use crate::stream::Stamp;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Orders that are over and still known by name: a fill of theirs may come late.
pub const DONE_MAX: usize = 512;
/// The last refusals.
pub const REFUSED_MAX: usize = 128;
/// The last times that the venue failed us.
const TROUBLES_MAX: usize = 64;
pub const FOREIGN_MAX: usize = 100;
/// After a venue said that it was asked too often, nothing but cancels and exits goes out for so long.
const RATE_PAUSE: Span = Span::seconds(1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Venue {
    pub id: VenueId,
    /// None: it was never opened.
    pub settings: Option<Box<Settings>>,
    pub revision: Version,
    /// The revision of the control that it enforces.
    pub control: Version,
    pub link: Link,
    /// The venue cancels by itself if it hears nothing until then. None: it would not.
    pub dead_man: Option<Timestamp>,
    pub listed: BTreeMap<MarketId, ListedMarket>,
    pub bounds: BTreeMap<StrategyId, Bounds>,
    pub orphans: BTreeMap<StrategyId, Orphan>,
    /// Orders of which something may come yet.
    pub live: BTreeMap<ClientOrderId, Order>,
    pub done: VecDeque<Order>,
    pub refused: VecDeque<Refused>,
    /// When each strategy last entered: an order was submitted, or filled.
    pub entered: BTreeMap<StrategyId, Timestamp>,
    pub book: Book,
    pub risk: Risk,
    pub tokens: Tokens,
    pub troubles: VecDeque<Timestamp>,
    /// Orders at the venue that are not ours.
    pub foreign: Vec<ListedOrder>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub up: bool,
    pub since: Timestamp,
    /// Orders, fills and positions were compared since it came.
    pub reconciled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedMarket {
    pub instrument: Box<Instrument>,
    pub open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    pub why: Orphaned,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub id: ClientOrderId,
    /// As it was wanted.
    pub intent: Box<Intent>,
    /// As the venue was asked.
    pub terms: Terms,
    pub filled: Size,
    /// What the venue says is filled; the trades may follow.
    pub told: Size,
    pub life: Life,
    pub venue_order: Option<Box<str>>,
    pub submitted_at: Timestamp,
    pub changed_at: Timestamp,
    /// Why it ended, or why its cancel or amendment was rejected.
    pub category: Option<Category>,
    pub amending: Option<(Price, Size)>,
    /// When its cancel was last rejected.
    pub cancel_rejected_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub order: ClientOrderId,
    pub finding: Finding,
    pub at: Timestamp,
}

/// How often the venue may still be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Millionths of one; below zero where cancels went out all the same.
    micros: i64,
    at: Option<Timestamp>,
    /// Nothing new until then: the venue said that it was too often.
    pub until: Option<Timestamp>,
}

/// What became of what somebody wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It is, or was, at the venue or on its way.
    Accepted(&'a Order),
    Refused(&'a Finding),
    /// No reply came; it is asked for by this id and never sent again.
    Unknown(&'a Order),
}

impl Order {
    pub(super) fn new(submitted: &OrderSubmitted, at: Timestamp) -> Self {
        Order {
            id: submitted.order.clone(),
            intent: submitted.intent.clone(),
            terms: submitted.terms.clone(),
            filled: Size::ZERO,
            told: Size::ZERO,
            life: Life::Submitted,
            venue_order: None,
            submitted_at: at,
            changed_at: at,
            category: None,
            amending: None,
            cancel_rejected_at: None,
        }
    }

    /// What of it may still be filled.
    pub fn remaining(&self) -> Size {
        (self.terms.size - self.filled).max(Size::ZERO)
    }
    /// It can make a position larger.
    pub fn may_grow(&self) -> bool {
        matches!(self.intent.purpose, Purpose::Quote { .. } | Purpose::Entry)
    }
    /// Whose its fills are.
    pub fn owner(&self) -> Owner {
        match (self.intent.purpose, &self.intent.trade) {
            (Purpose::Entry, _) => Owner::Trade(TradeId(self.id.clone())),
            (Purpose::Exit(_), Some(trade)) => Owner::Trade(trade.clone()),
            (Purpose::Exit(_) | Purpose::Quote { .. } | Purpose::Reduce { .. }, _) => {
                Owner::Inventory(self.id.strategy.clone())
            }
        }
    }
    pub(super) fn goes(&self, turn: Turn) -> Option<Life> {
        life::after(self.life, turn, !self.filled.is_zero())
    }
    fn turn(&mut self, turn: Turn, at: Timestamp) {
        if let Some(life) = self.goes(turn) {
            (self.life, self.changed_at) = (life, at);
        }
    }
}

/// The number first: it differs where names do not.
fn is(one: &ClientOrderId, other: &ClientOrderId) -> bool {
    one.ulid == other.ulid && one.strategy == other.strategy
}

impl Tokens {
    /// How many there are.
    pub fn left(&self, rate: &Rate, now: Timestamp) -> i64 {
        self.micros_at(rate, now).div_euclid(1_000_000)
    }
    fn micros_at(&self, rate: &Rate, now: Timestamp) -> i64 {
        let full = i64::from(rate.burst) * 1_000_000;
        let Some(at) = self.at else { return full };
        let passed = now.since(at).0.max(0);
        self.micros.saturating_add(passed.saturating_mul(i64::from(rate.per_second))).min(full)
    }
    fn spend(&mut self, rate: &Rate, now: Timestamp) {
        let full = i64::from(rate.burst) * 1_000_000;
        (self.micros, self.at) = ((self.micros_at(rate, now) - 1_000_000).max(-full), Some(now));
    }
}

impl Venue {
    pub fn new(id: VenueId) -> Self {
        Venue {
            id,
            settings: None,
            revision: Version(0),
            control: Version(0),
            link: Link::default(),
            dead_man: None,
            listed: BTreeMap::new(),
            bounds: BTreeMap::new(),
            orphans: BTreeMap::new(),
            live: BTreeMap::new(),
            done: VecDeque::new(),
            refused: VecDeque::new(),
            entered: BTreeMap::new(),
            book: Book::default(),
            risk: Risk::default(),
            tokens: Tokens::default(),
            troubles: VecDeque::new(),
            foreign: Vec::new(),
        }
    }

    /// The order, as long as it is known.
    pub fn order(&self, id: &ClientOrderId) -> Option<&Order> {
        self.live.get(id).or_else(|| self.done.iter().rev().find(|order| is(&order.id, id)))
    }

    /// What became of it. None: nobody knows it, or it is held back and may be wanted again.
    pub fn outcome(&self, id: &ClientOrderId) -> Option<Outcome<'_>> {
        if let Some(order) = self.order(id) {
            return Some(match order.life {
                Life::Unknown => Outcome::Unknown(order),
                _ => Outcome::Accepted(order),
            });
        }
        self.refused
            .iter()
            .rev()
            .find(|refused| is(&refused.order, id))
            .map(|refused| Outcome::Refused(&refused.finding))
    }

    /// Orders of a strategy of which something may come yet.
    pub fn working<'a>(&'a self, strategy: &'a StrategyId, market: &'a MarketId) -> impl Iterator<Item = &'a Order> {
        self.live.values().filter(move |order| order.id.strategy == *strategy && order.intent.market == *market)
    }

    /// Those that the venue is to be asked about: no reply came, and it had time enough.
    pub fn unanswered(&self, now: Timestamp) -> impl Iterator<Item = &Order> {
        let grace = self.settings.as_ref().map_or(0, |settings| settings.unknown_grace_ms);
        let old = move |order: &&Order| now.since(order.changed_at) >= millis(grace);
        self.live.values().filter(|order| matches!(order.life, Life::Submitted | Life::Unknown)).filter(old)
    }

    /// What a strategy holds, and how well that is known. Without a comparison with the venue nothing is.
    pub fn position(&self, strategy: &StrategyId, market: &MarketId, now: Timestamp) -> PositionView {
        let size = self.book.of_strategy(strategy, market);
        match self.knowing(Some(market), now) {
            Knowing::Fresh => PositionView::Fresh(size),
            Knowing::Stale => PositionView::Stale(size),
            Knowing::Unavailable => PositionView::Unavailable,
        }
    }

    pub fn knowing(&self, market: Option<&MarketId>, now: Timestamp) -> Knowing {
        match &self.settings {
            Some(settings) if self.link.up && self.link.reconciled => {
                self.book.knowing(market, now, millis(settings.positions_age_max_ms))
            }
            _ => Knowing::Unavailable,
        }
    }

    /// How often the venue failed us lately.
    pub fn troubles_since(&self, since: Timestamp) -> usize {
        self.troubles.iter().filter(|at| **at >= since).count()
    }

    /// How the position that an exit is of is being given up.
    pub(super) fn exiting(&self, intent: &Intent) -> Option<&Exiting> {
        match &intent.trade {
            // Another's trade is none of its business.
            Some(trade) if trade.0.strategy != intent.strategy => None,
            Some(trade) => self.book.trades.get(trade).map(|trade| &trade.exiting),
            None => self.book.inventory(&intent.strategy, &intent.market).map(|holding| &holding.exiting),
        }
    }

    fn exiting_mut(
        &mut self,
        strategy: &StrategyId,
        market: &MarketId,
        trade: Option<&TradeId>,
    ) -> Option<&mut Exiting> {
        match trade {
            Some(trade) => self.book.trades.get_mut(trade).map(|trade| &mut trade.exiting),
            None => {
                let held = self.book.markets.get_mut(market)?;
                held.inventories.get_mut(strategy).map(|holding| &mut holding.exiting)
            }
        }
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        let now = at.recorded_at;
        match event {
            Event::Opened(Opened { settings }) => {
                assert!(self.settings.is_none(), "venue {} was opened twice", self.id);
                (self.settings, self.revision) = (Some(settings.clone()), at.version);
            }
            Event::SettingsChanged(SettingsChanged { settings }) => {
                (self.settings, self.revision) = (Some(settings.clone()), at.version);
            }
            Event::MarketListed(MarketListed { market, instrument }) => {
                let open = self.listed.get(market).is_none_or(|known| known.open);
                self.listed.insert(market.clone(), ListedMarket { instrument: instrument.clone(), open });
            }
            Event::SessionChanged(SessionChanged { market, open }) => {
                if let Some(listed) = self.listed.get_mut(market) {
                    listed.open = *open;
                }
            }
            Event::StrategyBound(bound) => drop(self.bounds.insert(bound.strategy.clone(), bound.bounds.clone())),
            Event::StrategyUnbound(unbound) => drop(self.bounds.remove(&unbound.strategy)),
            Event::ControlAcknowledged(acknowledged) => self.control = acknowledged.revision,
            Event::LinkChanged(changed) => self.linked(changed.up, now),
            Event::DeadManArmed(armed) => self.dead_man = Some(armed.until),
            Event::DeadManFailed(_) => {
                self.dead_man = None;
                self.trouble(now);
            }
            Event::OrderSubmitted(submitted) => self.submitted(submitted, now),
            Event::OrderRefused(refused) => {
                let OrderRefused { order, finding, .. } = refused.as_ref();
                self.refused.push_back(Refused { order: order.clone(), finding: finding.clone(), at: now });
                if self.refused.len() > REFUSED_MAX {
                    self.refused.pop_front();
                }
            }
            Event::OrderAccepted(OrderAccepted { order, venue_order }) => {
                self.change(order, |order| {
                    order.venue_order = venue_order.clone().or(order.venue_order.take());
                    order.turn(Turn::Accept, now);
                });
            }
            Event::OrderRejected(rejected) => self.rejected(rejected, now),
            Event::OrderUnknown(OrderUnknown { order }) => {
                self.trouble(now);
                self.change(order, |order| order.turn(Turn::TimeOut, now));
            }
            Event::OrderResolved(resolved) => self.resolved(resolved, now),
            Event::OrderFilled(filled) => self.filled(filled, now),
            Event::OrderEnded(OrderEnded { order, how, .. }) => {
                let turn = if *how == Ending::Expired { Turn::Expire } else { Turn::Cancel };
                self.change(order, |order| order.turn(turn, now));
            }
            Event::CancelRequested(CancelRequested { order, .. }) => {
                self.spend(now);
                self.change(order, |order| {
                    order.turn(Turn::RequestCancel, now);
                    order.amending = None;
                });
            }
            Event::CancelRejected(CancelRejected { order, category, .. }) => {
                self.trouble(now);
                self.change(order, |order| {
                    (order.category, order.cancel_rejected_at) = (Some(*category), Some(now));
                    order.turn(Turn::RejectCancel, now);
                });
            }
            Event::AmendRequested(AmendRequested { order, price, size }) => {
                self.spend(now);
                self.change(order, |order| order.amending = Some((*price, *size)));
            }
            Event::Amended(Amended { order, price, size }) => self.change(order, |order| {
                (order.terms.price, order.terms.size, order.amending) = (Some(*price), *size, None);
                order.changed_at = now;
                if order.remaining().is_zero() {
                    order.turn(Turn::Cancel, now);
                }
            }),
            Event::AmendRejected(AmendRejected { order, category, .. }) => {
                self.change(order, |order| (order.amending, order.category) = (None, Some(*category)));
            }
            Event::OrderTold(OrderTold { order, filled }) => self.change(order, |order| order.told = *filled),
            Event::FillDoubted(doubted) => self.book.note(&doubted.execution),
            Event::PositionAdjusted(adjusted) => {
                self.book.adjust(&adjusted.market, &adjusted.owner, adjusted.by, now);
            }
            Event::PositionsConfirmed(_) => {
                self.book.confirmed_at = Some(now);
                self.book.markets.values_mut().for_each(|held| held.drift = None);
            }
            Event::PositionDiffers(PositionDiffers { market, ours, theirs, asked_at }) => {
                let drift = super::book::Drift { ours: *ours, theirs: *theirs, asked_at: *asked_at };
                self.book.markets.entry(market.clone()).or_default().drift = Some(drift);
            }
            Event::Reconciled(_) => self.link.reconciled = true,
            Event::ForeignOrdersSeen(ForeignOrdersSeen { orders }) => self.foreign.clone_from(orders),
            Event::StrategyOrphaned(StrategyOrphaned { strategy, why }) => {
                self.orphans.insert(strategy.clone(), Orphan { why: *why, since: now });
            }
            Event::StrategyAdopted(StrategyAdopted { strategy }) => drop(self.orphans.remove(strategy)),
            Event::ExitBlocked(blocked) => {
                let ExitBlocked { strategy, market, trade, finding, .. } = blocked.as_ref();
                if let Some(exiting) = self.exiting_mut(strategy, market, trade.as_ref()) {
                    let since = exiting.blocked.as_ref().map_or(now, |blocked| blocked.since);
                    exiting.blocked = Some(Box::new(Blocked { finding: finding.clone(), since }));
                }
            }
            Event::ExitEscalated(ExitEscalated { strategy, market, trade, .. }) => {
                if let Some(exiting) = self.exiting_mut(strategy, market, trade.as_ref()) {
                    exiting.escalated = true;
                }
            }
            Event::AccountSeen(seen) => self.risk.seen(seen, now),
            Event::DayBegan(began) => self.risk.began(began),
            Event::RiskHalted(halted) => self.risk.halt(halted, now),
            Event::RiskCleared(_) => self.risk.cleared(),
        }
    }

    /// What was known of positions is known no more until they are compared again.
    fn linked(&mut self, up: bool, now: Timestamp) {
        self.link = Link { up, since: now, reconciled: false };
        (self.book.confirmed_at, self.dead_man) = (None, None);
        if !up {
            self.trouble(now);
        }
    }

    fn submitted(&mut self, submitted: &OrderSubmitted, now: Timestamp) {
        self.spend(now);
        let Intent { strategy, market, purpose, trade, .. } = submitted.intent.as_ref();
        match purpose {
            Purpose::Entry => drop(self.entered.insert(strategy.clone(), now)),
            Purpose::Exit(_) => {
                if let Some(exiting) = self.exiting_mut(strategy, market, trade.as_ref()) {
                    (exiting.live, exiting.blocked) = (Some(submitted.order.clone()), None);
                }
            }
            Purpose::Quote { .. } | Purpose::Reduce { .. } => {}
        }
        let known = self.live.insert(submitted.order.clone(), Order::new(submitted, now));
        assert!(known.is_none(), "order {} was submitted twice", submitted.order);
    }

    fn rejected(&mut self, rejected: &OrderRejected, now: Timestamp) {
        let OrderRejected { order, category, .. } = rejected;
        match category {
            Category::PostOnly => {}
            Category::RateLimit => {
                self.tokens.until = Some(now + RATE_PAUSE);
                self.trouble(now);
            }
            _ => self.trouble(now),
        }
        self.change(order, |order| {
            order.category = Some(*category);
            order.turn(Turn::Reject, now);
        });
        let Some(Order { intent, .. }) = self.order(order) else { return };
        let (strategy, market, trade) = (intent.strategy.clone(), intent.market.clone(), intent.trade.clone());
        if !matches!(intent.purpose, Purpose::Exit(_)) {
            return;
        }
        if let Some(exiting) = self.exiting_mut(&strategy, &market, trade.as_ref()) {
            exiting.tries = exiting.tries.saturating_add(1);
            exiting.after = now + Exiting::backoff(exiting.tries);
            let since = exiting.blocked.as_ref().map_or(now, |blocked| blocked.since);
            let finding = Finding::code(Check::Venue, category.code());
            exiting.blocked = Some(Box::new(Blocked { finding, since }));
        }
    }

    /// It was found at the venue, though we may have thought otherwise; or it never came.
    fn resolved(&mut self, resolved: &OrderResolved, now: Timestamp) {
        match &resolved.found {
            Found::There { venue_order } => {
                if let Some(place) = self.done.iter().position(|order| order.id == resolved.order)
                    && let Some(mut order) = self.done.remove(place)
                {
                    order.life = if order.filled.is_zero() { Life::Accepted } else { Life::PartiallyFilled };
                    order.changed_at = now;
                    self.live.insert(order.id.clone(), order);
                }
                self.change(&resolved.order, |order| {
                    order.venue_order = venue_order.clone().or(order.venue_order.take());
                    order.turn(Turn::Accept, now);
                });
                self.exits_again(&resolved.order);
            }
            Found::Never => self.change(&resolved.order, |order| {
                order.category = Some(Category::Network);
                order.turn(Turn::Reject, now);
            }),
        }
    }

    /// An exit that stands there is the one that is under way, unless another one is.
    fn exits_again(&mut self, id: &ClientOrderId) {
        let Some(order) = self.live.get(id).filter(|order| matches!(order.intent.purpose, Purpose::Exit(_))) else {
            return;
        };
        let (strategy, market, trade) = (id.strategy.clone(), order.intent.market.clone(), order.intent.trade.clone());
        if let Some(exiting) = self.exiting_mut(&strategy, &market, trade.as_ref())
            && exiting.live.is_none()
        {
            exiting.live = Some(id.clone());
        }
    }

    fn filled(&mut self, filled: &OrderFilled, now: Timestamp) {
        let OrderFilled { order, owner, market, execution, .. } = filled;
        let of = order.as_ref().and_then(|order| self.order(order));
        let loss_exit = of.and_then(|order| order.intent.loss_exit);
        let entering = of.is_some_and(|order| order.intent.purpose == Purpose::Entry);
        let exit = of.filter(|order| matches!(order.intent.purpose, Purpose::Exit(_)));
        let exit = exit.map(|order| (order.intent.strategy.clone(), order.intent.trade.clone()));
        self.book.fill(market, owner, execution, loss_exit, now);
        if let (true, Some(order)) = (entering, order) {
            self.entered.insert(order.strategy.clone(), now);
        }
        if let Some((strategy, trade)) = exit
            && let Some(exiting) = self.exiting_mut(&strategy, market, trade.as_ref())
        {
            exiting.tries = 0;
        }
        let Some(order) = order else { return };
        let count = |order: &mut Order| {
            order.filled = order.filled + execution.size;
            let turn = if order.remaining().is_zero() { Turn::FillAll } else { Turn::FillPart };
            order.turn(turn, now);
        };
        if self.live.contains_key(order) {
            self.change(order, count);
        } else if let Some(done) = self.done.iter_mut().find(|done| done.id == *order) {
            count(done);
        }
    }

    /// Changes a live order, and puts it aside if it is over.
    fn change(&mut self, id: &ClientOrderId, change: impl FnOnce(&mut Order)) {
        let Some(order) = self.live.get_mut(id) else { return };
        change(order);
        if order.life.is_over()
            && let Some(order) = self.live.remove(id)
        {
            self.put_aside(order);
        }
    }

    fn put_aside(&mut self, order: Order) {
        let Intent { strategy, market, purpose, trade, .. } = order.intent.as_ref();
        if matches!(purpose, Purpose::Exit(_))
            && let Some(exiting) = self.exiting_mut(strategy, market, trade.as_ref())
            && exiting.live.as_ref() == Some(&order.id)
        {
            exiting.live = None;
        }
        self.done.push_back(order);
        if self.done.len() > DONE_MAX {
            self.done.pop_front();
        }
    }

    fn spend(&mut self, now: Timestamp) {
        if let Some(settings) = &self.settings {
            self.tokens.spend(&settings.rate, now);
        }
    }

    fn trouble(&mut self, now: Timestamp) {
        self.troubles.push_back(now);
        if self.troubles.len() > TROUBLES_MAX {
            self.troubles.pop_front();
        }
    }
}
