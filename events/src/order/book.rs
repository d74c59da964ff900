//! What is held, and by whom: the sum of fills and of adjustments that are marked as such.

use super::check::Finding;
use super::word::{ClientOrderId, Execution, TradeId};
use crate::id::{MarketId, StrategyId};
use crate::market::{Cash, Price, Size};
use crate::strategy::guard::Knowing;
use crate::time::{Span, Timestamp};
use crate::trade::Side;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// So many fills are known by name. What is older than all of them is doubted.
pub const FILLS_MAX: usize = 8_192;

/// Whose a position is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Nobody's at the desk: a person's at the venue, or of an order that nobody remembers.
    Nobody,
    /// What a maker gathered.
    Inventory(StrategyId),
    Trade(TradeId),
}

/// What is held as far as anybody knows. What nobody knows is never flat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionView {
    Fresh(Size),
    /// As it was when somebody last knew.
    Stale(Size),
    Unavailable,
}

impl PositionView {
    /// The size where it is known for sure.
    pub fn known(self) -> Option<Size> {
        match self {
            PositionView::Fresh(size) => Some(size),
            PositionView::Stale(_) | PositionView::Unavailable => None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    pub markets: BTreeMap<MarketId, Held>,
    pub trades: BTreeMap<TradeId, Trade>,
    fills: Fills,
    /// When the venue was last asked and held what the book says. None: not since the connection came.
    pub confirmed_at: Option<Timestamp>,
}

/// What is held in a market.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The sum over all owners, which is what the venue holds.
    pub net: Size,
    pub unowned: Size,
    pub inventories: BTreeMap<StrategyId, Holding>,
    pub price: Option<Price>,
    /// When it last became another.
    pub changed_at: Timestamp,
    /// What the venue said that differs.
    pub drift: Option<Drift>,
    /// When each strategy's last trade here ended.
    pub ended: BTreeMap<StrategyId, Timestamp>,
}

/// What a maker gathered in a market.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    pub size: Size,
    /// What all its fills brought in, fees taken off. With the size at a price it is what was earned.
    pub cash: Cash,
    pub exiting: Exiting,
}

/// A position that one entry opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    pub market: MarketId,
    pub side: Side,
    /// What is left, above zero.
    pub size: Size,
    pub entered: Size,
    /// What the entry's fills cost.
    pub cost: Cash,
    pub cash: Cash,
    pub opened_at: Timestamp,
    pub loss_exit: Option<Price>,
    pub exiting: Exiting,
}

/// How a position is being given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exiting {
    /// The one exit that is under way.
    pub live: Option<ClientOrderId>,
    /// How often in a row the venue rejected it.
    pub tries: u8,
    /// Not again before.
    pub after: Timestamp,
    /// Why it does not get out.
    pub blocked: Option<Box<Blocked>>,
    /// It takes any price.
    pub escalated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    pub finding: Finding,
    pub since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub ours: Size,
    pub theirs: Option<Size>,
    pub asked_at: Timestamp,
}

/// Which fills are in the book: of the last ones each by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Fills {
    known: BTreeSet<u128>,
    order: VecDeque<(u128, Timestamp)>,
    /// What happened until then may be in it without being known by name.
    forgotten: Option<Timestamp>,
}

/// Whether a fill is in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    No,
    Yes,
    /// It is older than what is known by name.
    Doubtful,
}

impl Trade {
    /// Below zero for what is short.
    pub fn signed(&self) -> Size {
        signed(self.side, self.size)
    }
    /// What one unit cost.
    pub fn price(&self) -> Option<Price> {
        self.cost.price_of(self.entered)
    }
}

impl Exiting {
    /// How long to wait before the next try, after so many that the venue rejected.
    pub(super) fn backoff(tries: u8) -> Span {
        Span::seconds(1 << tries.saturating_sub(1).min(5))
    }
}

pub fn signed(side: Side, size: Size) -> Size {
    match side {
        Side::Buy => size,
        Side::Sell => -size,
    }
}

impl Book {
    pub fn is_known(&self, execution: &Execution) -> Known {
        if self.fills.known.contains(&name(execution)) {
            Known::Yes
        } else if self.fills.forgotten.is_some_and(|until| execution.at <= until) {
            Known::Doubtful
        } else {
            Known::No
        }
    }

    /// What the owner holds in the market; below zero for what is short.
    pub fn of(&self, market: &MarketId, owner: &Owner) -> Size {
        match owner {
            Owner::Nobody => self.markets.get(market).map_or(Size::ZERO, |held| held.unowned),
            Owner::Inventory(strategy) => self.inventory(strategy, market).map_or(Size::ZERO, |holding| holding.size),
            Owner::Trade(trade) => self.trades.get(trade).map_or(Size::ZERO, Trade::signed),
        }
    }

    pub fn net(&self, market: &MarketId) -> Size {
        self.markets.get(market).map_or(Size::ZERO, |held| held.net)
    }

    pub fn inventory(&self, strategy: &StrategyId, market: &MarketId) -> Option<&Holding> {
        self.markets.get(market).and_then(|held| held.inventories.get(strategy))
    }

    /// All that a strategy holds in a market, trades and inventory.
    pub fn of_strategy(&self, strategy: &StrategyId, market: &MarketId) -> Size {
        let inventory = self.inventory(strategy, market).map_or(Size::ZERO, |holding| holding.size);
        self.trades_of(strategy)
            .filter(|(_, trade)| trade.market == *market)
            .fold(inventory, |sum, (_, trade)| sum + trade.signed())
    }

    /// What is held that way, with nothing taken off for what is held the other way; of one strategy, or of everybody.
    pub fn gross(&self, market: &MarketId, side: Side, strategy: Option<&StrategyId>) -> Size {
        let Some(held) = self.markets.get(market) else { return Size::ZERO };
        let ours = |of: &StrategyId| strategy.is_none_or(|strategy| of == strategy);
        let inventories = held.inventories.iter().filter(|(of, _)| ours(of)).map(|(_, holding)| holding.size);
        let trades = self.trades.iter().filter(|(id, trade)| trade.market == *market && ours(&id.0.strategy));
        let unowned = if strategy.is_none() { held.unowned } else { Size::ZERO };
        let all = inventories.chain(trades.map(|(_, trade)| trade.signed())).chain([unowned]);
        all.fold(Size::ZERO, |sum, size| sum + signed(side, size).max(Size::ZERO))
    }

    pub fn trades_of<'a>(&'a self, strategy: &'a StrategyId) -> impl Iterator<Item = (&'a TradeId, &'a Trade)> {
        self.trades.iter().filter(move |(id, _)| id.0.strategy == *strategy)
    }

    /// How well what is held in a market is known.
    pub fn knowing(&self, market: Option<&MarketId>, now: Timestamp, age_max: Span) -> Knowing {
        let Some(confirmed_at) = self.confirmed_at else { return Knowing::Unavailable };
        let differs = |market| self.markets.get(market).is_some_and(|held| held.drift.is_some());
        let differs = match market {
            Some(market) => differs(market),
            None => self.markets.values().any(|held| held.drift.is_some()),
        };
        if differs || now.since(confirmed_at) > age_max { Knowing::Stale } else { Knowing::Fresh }
    }

    /// Whose a fill is that no order of ours explains: whoever is the only one whose position it makes smaller.
    pub fn explains(&self, market: &MarketId, change: Size) -> Owner {
        let against =
            |size: Size| size.0.signum() == -change.0.signum() && size.0.unsigned_abs() >= change.0.unsigned_abs();
        let Some(held) = self.markets.get(market) else { return Owner::Nobody };
        if against(held.unowned) {
            return Owner::Nobody;
        }
        let inventories = held.inventories.iter().filter(|(_, holding)| !holding.size.is_zero());
        let inventories = inventories.map(|(strategy, holding)| (Owner::Inventory(strategy.clone()), holding.size));
        let trades = self.trades.iter().filter(|(_, trade)| trade.market == *market);
        let mut owners = inventories.chain(trades.map(|(id, trade)| (Owner::Trade(id.clone()), trade.signed())));
        match (owners.next(), owners.next()) {
            (Some((owner, size)), None) if against(size) => owner,
            _ => Owner::Nobody,
        }
    }

    /// Counts a fill once. What is more than a trade had left is nobody's.
    pub(super) fn fill(
        &mut self,
        market: &MarketId,
        owner: &Owner,
        execution: &Execution,
        loss_exit: Option<Price>,
        at: Timestamp,
    ) {
        self.note(execution);
        let change = signed(execution.side, execution.size);
        let amount = execution.price * execution.size;
        let cash = match execution.side {
            Side::Buy => -amount - execution.fee,
            Side::Sell => amount - execution.fee,
        };
        let held = self.markets.entry(market.clone()).or_default();
        (held.net, held.price, held.changed_at) = (held.net + change, Some(execution.price), at);
        match owner {
            Owner::Nobody => held.unowned = held.unowned + change,
            Owner::Inventory(strategy) => {
                let holding = held.inventories.entry(strategy.clone()).or_default();
                (holding.size, holding.cash) = (holding.size + change, holding.cash + cash);
                if holding.size.is_zero() {
                    // Nothing is left to be given up.
                    holding.exiting = Exiting { live: holding.exiting.live.take(), ..Exiting::default() };
                }
            }
            Owner::Trade(id) => {
                let side = self.trades.get(id).map_or(execution.side, |trade| trade.side);
                if side == execution.side {
                    self.grow(id, market, execution, loss_exit, at);
                    if let Some(trade) = self.trades.get_mut(id) {
                        trade.cash = trade.cash + cash;
                    }
                } else {
                    self.shrink(id, market, execution.size, at);
                    if let Some(trade) = self.trades.get_mut(id) {
                        trade.cash = trade.cash + cash;
                    }
                }
            }
        }
    }

    /// That a fill is in the book, or was doubted and is not asked about again.
    pub(super) fn note(&mut self, execution: &Execution) {
        let fresh = self.fills.known.insert(name(execution));
        assert!(fresh, "fill {} is in the book twice", execution.id);
        self.fills.order.push_back((name(execution), execution.at));
        if self.fills.order.len() > FILLS_MAX
            && let Some((oldest, at)) = self.fills.order.pop_front()
        {
            self.fills.known.remove(&oldest);
            self.fills.forgotten = self.fills.forgotten.max(Some(at));
        }
    }

    /// What is held was set right.
    pub(super) fn adjust(&mut self, market: &MarketId, owner: &Owner, by: Size, at: Timestamp) {
        let held = self.markets.entry(market.clone()).or_default();
        (held.net, held.drift, held.changed_at) = (held.net + by, None, at);
        match owner {
            Owner::Nobody => held.unowned = held.unowned + by,
            Owner::Inventory(strategy) => {
                let holding = held.inventories.entry(strategy.clone()).or_default();
                holding.size = holding.size + by;
            }
            Owner::Trade(id) => match self.trades.get_mut(id) {
                Some(trade) if signed(trade.side, Size::ONE).0.signum() == by.0.signum() => {
                    (trade.size, trade.entered) = (trade.size + by.abs(), trade.entered + by.abs());
                }
                Some(_) => self.shrink(id, market, by.abs(), at),
                None => {
                    let held = self.markets.entry(market.clone()).or_default();
                    held.unowned = held.unowned + by;
                }
            },
        }
    }

    fn grow(
        &mut self,
        id: &TradeId,
        market: &MarketId,
        execution: &Execution,
        loss_exit: Option<Price>,
        at: Timestamp,
    ) {
        let trade = self.trades.entry(id.clone()).or_insert_with(|| Trade {
            market: market.clone(),
            side: execution.side,
            size: Size::ZERO,
            entered: Size::ZERO,
            cost: Cash::ZERO,
            cash: Cash::ZERO,
            opened_at: at,
            loss_exit,
            exiting: Exiting::default(),
        });
        trade.size = trade.size + execution.size;
        trade.entered = trade.entered + execution.size;
        trade.cost = trade.cost + execution.price * execution.size;
    }

    fn shrink(&mut self, id: &TradeId, market: &MarketId, by: Size, at: Timestamp) {
        let Some(trade) = self.trades.get_mut(id) else { return };
        let part = by.min(trade.size);
        let rest = signed(trade.side.opposite(), by - part);
        trade.size = trade.size - part;
        let over = trade.size.is_zero();
        let held = self.markets.entry(market.clone()).or_default();
        held.unowned = held.unowned + rest;
        if over {
            self.trades.remove(id);
            held.ended.insert(id.0.strategy.clone(), at);
        }
    }
}

/// As good as the venue's own name, and of one size.
fn name(execution: &Execution) -> u128 {
    let hash = blake3::hash(execution.id.as_bytes());
    u128::from_le_bytes(hash.as_bytes()[..16].try_into().unwrap_or([0; 16]))
}
