//! The checks that an order passes, in their order. The first that does not let it pass says what it saw and what its limit is.

use super::risk::Halted;
use super::settings::{Bounds, Settings, Shape, millis};
use super::size::{self, Room, Step};
use super::state::{Order, Venue};
use super::word::{ClientOrderId, Intent, Purpose, Terms};
use crate::id::{MarketId, StrategyId};
use crate::market::{Bps, Cash, Instrument, Price, Quote, Ratio, Size, word};
use crate::strategy::guard::{Conditions, Degree, Guard, Sight, Why, Wish};
use crate::stream::Seen;
use crate::time::{Span, Timestamp};
use crate::trade::Side;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What the gateway looks at outside its own stream.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    pub guard: &'a Guard,
    pub markets: &'a dyn Markets,
}

/// The last good quote of each market.
pub trait Markets {
    fn quote(&self, market: &MarketId) -> Option<QuoteSeen>;

    /// One that the venue told when it was asked, where the feed is silent.
    fn venue_quote(&self, _market: &MarketId) -> Option<QuoteSeen> {
        None
    }
}

impl Markets for BTreeMap<MarketId, QuoteSeen> {
    fn quote(&self, market: &MarketId) -> Option<QuoteSeen> {
        self.get(market).copied()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuoteSeen {
    pub quote: Quote,
    pub source_at: Timestamp,
    pub received_at: Timestamp,
}

/// A question that each order is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Ids,
    Terms,
    DuplicateIntent,
    Guard,
    RiskHalt,
    Session,
    DeadMan,
    MarketData,
    ValidUntil,
    SpreadCap,
    Cooldown,
    Reentry,
    OpenLimit,
    Held,
    Exposure,
    Probability,
    Margin,
    LossCap,
    MaxUnits,
    MinUnits,
    LossExit,
    Rate,
    /// Of an exit: the venue rejected it.
    Venue,
}

impl Check {
    pub const ALL: [Check; 23] = [
        Check::Ids,
        Check::Terms,
        Check::DuplicateIntent,
        Check::Guard,
        Check::RiskHalt,
        Check::Session,
        Check::DeadMan,
        Check::MarketData,
        Check::ValidUntil,
        Check::SpreadCap,
        Check::Cooldown,
        Check::Reentry,
        Check::OpenLimit,
        Check::Held,
        Check::Exposure,
        Check::Probability,
        Check::Margin,
        Check::LossCap,
        Check::MaxUnits,
        Check::MinUnits,
        Check::LossExit,
        Check::Rate,
        Check::Venue,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Check::Ids => "ids",
            Check::Terms => "terms",
            Check::DuplicateIntent => "duplicate_intent",
            Check::Guard => "guard",
            Check::RiskHalt => "risk_halt",
            Check::Session => "session",
            Check::DeadMan => "dead_man",
            Check::MarketData => "market_data",
            Check::ValidUntil => "valid_until",
            Check::SpreadCap => "spread_cap",
            Check::Cooldown => "cooldown",
            Check::Reentry => "reentry",
            Check::OpenLimit => "open_limit",
            Check::Held => "held",
            Check::Exposure => "exposure",
            Check::Probability => "probability",
            Check::Margin => "margin",
            Check::LossCap => "loss_cap",
            Check::MaxUnits => "max_units",
            Check::MinUnits => "min_units",
            Check::LossExit => "loss_exit",
            Check::Rate => "rate",
            Check::Venue => "venue",
        }
    }
}

/// Why an order does not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub check: Check,
    pub observed: Measure,
    pub limit: Measure,
}

/// What a check saw, or where it draws the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Nothing,
    Count(u64),
    Span(Span),
    Time(Timestamp),
    Size(Size),
    Price(Price),
    Cash(Cash),
    Bps(Bps),
    Ratio(Ratio),
    /// A stable code.
    Code(Box<str>),
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::Nothing => f.write_str("nothing"),
            Measure::Count(count) => fmt::Display::fmt(count, f),
            Measure::Span(span) => write!(f, "{} ms", span.0 / 1_000),
            Measure::Time(at) => fmt::Display::fmt(at, f),
            Measure::Size(size) => fmt::Display::fmt(size, f),
            Measure::Price(price) => fmt::Display::fmt(price, f),
            Measure::Cash(cash) => fmt::Display::fmt(cash, f),
            Measure::Bps(bps) => write!(f, "{bps} bps"),
            Measure::Ratio(ratio) => fmt::Display::fmt(ratio, f),
            Measure::Code(code) => f.write_str(code),
        }
    }
}

impl Finding {
    pub fn of(check: Check, observed: Measure, limit: Measure) -> Self {
        Finding { check, observed, limit }
    }
    pub(super) fn code(check: Check, code: &str) -> Self {
        Finding { check, observed: Measure::Code(code.into()), limit: Measure::Nothing }
    }
}

/// Terms that all checks let pass. They come from here only, and an order is submitted with nothing else.
pub(super) struct Approved {
    terms: Terms,
    steps: Vec<Step>,
}

impl Approved {
    pub(super) fn size(&self) -> Size {
        self.terms.size
    }
    pub(super) fn taken(self) -> (Terms, Vec<Step>) {
        (self.terms, self.steps)
    }
}

/// What the checks of one order look at.
struct Case<'a> {
    venue: &'a Venue,
    settings: &'a Settings,
    intent: &'a Intent,
    instrument: &'a Instrument,
    bounds: Option<&'a Bounds>,
    quote: Option<QuoteSeen>,
    amended: Option<&'a ClientOrderId>,
    around: &'a Around<'a>,
    now: Timestamp,
}

impl Venue {
    /// The order of the lines is the order of the checks. Tests hold it. `amended`: the order that this one is to take the place of.
    pub(super) fn check(
        &self,
        order: &ClientOrderId,
        intent: &Intent,
        amended: Option<&ClientOrderId>,
        around: &Around<'_>,
        seen: &Seen<'_>,
    ) -> Result<Approved, Finding> {
        let case = Case { amended, ..self.ids(order, intent, around, seen.now)? };
        case.terms()?;
        case.duplicate()?;
        let ruling = case.ruling(seen);
        case.ruled(ruling, Check::Guard)?;
        case.ruled(ruling, Check::RiskHalt)?;
        case.session()?;
        case.dead_man()?;
        case.ruled(ruling, Check::MarketData)?;
        case.valid()?;
        case.spread()?;
        case.cooldown()?;
        case.open_limit()?;
        let (size, steps) = case.size()?;
        case.loss_exit()?;
        case.rate()?;
        Ok(Approved { terms: case.approved(size), steps })
    }

    fn ids<'a>(
        &'a self,
        order: &ClientOrderId,
        intent: &'a Intent,
        around: &'a Around<'a>,
        now: Timestamp,
    ) -> Result<Case<'a>, Finding> {
        let no = |code| Err(Finding::code(Check::Ids, code));
        let (Some(settings), Some(listed)) = (&self.settings, self.listed.get(&intent.market)) else {
            return no("market_unknown");
        };
        if order.strategy != intent.strategy {
            return no("order_of_another_strategy");
        }
        let bounds = self.bounds.get(&intent.strategy);
        match (intent.purpose, bounds.map(|bounds| bounds.shape)) {
            (Purpose::Exit(_), _) => {}
            (_, None) => return no("strategy_not_bound"),
            (Purpose::Entry, Some(Shape::Maker)) => return no("entry_of_a_maker"),
            (Purpose::Quote { .. } | Purpose::Reduce { .. }, Some(Shape::Taker { .. })) => {
                return no("quote_of_a_taker");
            }
            (Purpose::Entry, Some(Shape::Taker { .. })) => {}
            (Purpose::Quote { .. } | Purpose::Reduce { .. }, Some(Shape::Maker)) => {}
        }
        if let Some(id) = &intent.trade {
            match self.book.trades.get(id) {
                _ if !matches!(intent.purpose, Purpose::Exit(_)) => return no("trade_of_no_exit"),
                _ if id.0.strategy != intent.strategy => return no("trade_of_another_strategy"),
                Some(trade) if trade.market != intent.market => return no("trade_of_another_market"),
                Some(_) => {}
                None => return no("trade_unknown"),
            }
        }
        let quote = around.markets.quote(&intent.market);
        Ok(Case {
            venue: self,
            settings,
            intent,
            instrument: &listed.instrument,
            bounds,
            quote,
            amended: None,
            around,
            now,
        })
    }

    /// How much is held that way at worst: all that may grow and works or is on its way is filled, but for one order, and what
    /// is held the other way, by whomever, is given up first.
    fn worst(&self, market: &MarketId, side: Side, strategy: Option<&StrategyId>, but: Option<&ClientOrderId>) -> Size {
        let held = self.book.gross(market, side, strategy);
        let of = |order: &&Order| {
            order.intent.market == *market
                && order.terms.side == side
                && order.may_grow()
                && strategy.is_none_or(|strategy| order.id.strategy == *strategy)
                && but != Some(&order.id)
        };
        self.live.values().filter(of).fold(held, |sum, order| sum + order.remaining())
    }

    /// What can go wrong at worst: the larger of long and short with all that works or is on its way, at the last price.
    pub fn exposure(&self, market: &MarketId, around: &Around<'_>) -> Option<Cash> {
        let worst = self.worst(market, Side::Buy, None, None).max(self.worst(market, Side::Sell, None, None));
        if worst.is_zero() { Some(Cash::ZERO) } else { Some(self.price(market, around)? * worst) }
    }

    fn price(&self, market: &MarketId, around: &Around<'_>) -> Option<Price> {
        let quoted = around.markets.quote(market).map(|seen| seen.quote.ask);
        quoted.or_else(|| self.book.markets.get(market)?.price)
    }

    /// Markets in which something is held or ordered.
    fn busy(&self) -> impl Iterator<Item = &MarketId> {
        let held = self.book.markets.keys();
        let ordered = self.live.values().map(|order| &order.intent.market);
        held.chain(ordered.filter(|market| !self.book.markets.contains_key(market)))
    }
}

impl Case<'_> {
    fn is_exit(&self) -> bool {
        matches!(self.intent.purpose, Purpose::Exit(_))
    }
    /// It can make a position larger.
    fn may_grow(&self) -> bool {
        matches!(self.intent.purpose, Purpose::Quote { .. } | Purpose::Entry)
    }
    fn is_quote(&self) -> bool {
        matches!(self.intent.purpose, Purpose::Quote { .. } | Purpose::Reduce { .. })
    }

    /// All that works or is on its way, but for what it takes the place of.
    fn others(&self) -> impl Iterator<Item = &Order> {
        self.venue.live.values().filter(|order| self.amended != Some(&order.id))
    }

    fn terms(&self) -> Result<(), Finding> {
        let Terms { side, size, price, post_only, .. } = &self.intent.terms;
        let no = |code| Err(Finding::code(Check::Terms, code));
        if size.0 <= 0 {
            return no("size_not_above_zero");
        }
        if price.is_some_and(|price| price.0 <= 0) {
            return no("price_not_above_zero");
        }
        if let Some(price) = price.filter(|price| !price.is_multiple_of(self.instrument.tick)) {
            return Err(Finding::of(Check::Terms, Measure::Price(price), Measure::Price(self.instrument.tick)));
        }
        if *post_only && price.is_none() || self.is_quote() && !*post_only {
            return no("quote_not_post_only");
        }
        let trade = self.intent.trade.as_ref().and_then(|id| self.venue.book.trades.get(id));
        if trade.is_some_and(|trade| trade.side == *side) {
            return no("exit_on_the_wrong_side");
        }
        Ok(())
    }

    /// One order for each side and level of a maker, one entry on its way for each strategy and market, one exit for each position.
    fn duplicate(&self) -> Result<(), Finding> {
        let Intent { strategy, market, purpose, trade, terms, .. } = self.intent;
        let same = |order: &&Order| {
            let known = &order.intent;
            if order.id.strategy != *strategy || known.market != *market {
                return false;
            }
            match (*purpose, known.purpose) {
                (Purpose::Quote { level } | Purpose::Reduce { level }, Purpose::Quote { level: other })
                | (Purpose::Quote { level } | Purpose::Reduce { level }, Purpose::Reduce { level: other }) => {
                    level == other && terms.side == order.terms.side
                }
                (Purpose::Entry, Purpose::Entry) => true,
                (Purpose::Exit(_), Purpose::Exit(_)) => *trade == known.trade,
                _ => false,
            }
        };
        match self.others().find(same) {
            Some(order) => Err(Finding::code(Check::DuplicateIntent, &order.id.to_string())),
            None => Ok(()),
        }
    }

    fn ruling(&self, seen: &Seen<'_>) -> Result<(), Why> {
        let Intent { strategy, market, purpose, trade, .. } = self.intent;
        if self.venue.orphans.contains_key(strategy) && !self.is_exit() {
            return Err(Why::StrategyUnknown);
        }
        let age_max = millis(self.settings.data_age_max_ms);
        let fresh = |quote: Option<QuoteSeen>| {
            quote.is_some_and(|seen| {
                let age = word::age(self.now, seen.source_at, seen.received_at);
                seen.quote.is_valid() && age <= age_max
            })
        };
        let sight = if fresh(self.quote) {
            Sight::Fresh
        } else if fresh(self.around.markets.venue_quote(market)) {
            Sight::VenueQuote
        } else {
            Sight::Stale
        };
        let given = Conditions {
            now: self.now,
            desk_stop: seen.stopped.map(Degree::of_desk),
            market: sight,
            positions: self.venue.knowing(Some(market), self.now),
            trade_known: trade.is_some(),
            risk_halted: self.venue.risk.halted().is_some(),
        };
        self.around.guard.rule(strategy, Wish::of(*purpose), &given)
    }

    /// What the guard says, told by the check that it belongs to. It looks at things in the order of the checks.
    fn ruled(&self, ruling: Result<(), Why>, check: Check) -> Result<(), Finding> {
        let Err(why) = ruling else { return Ok(()) };
        match why {
            Why::RiskHalt if check == Check::RiskHalt => match self.venue.risk.halted() {
                Some(Halted { observed, limit, .. }) => {
                    Err(Finding::of(check, Measure::Cash(*observed), Measure::Cash(*limit)))
                }
                None => Ok(()),
            },
            Why::MarketStale if check == Check::MarketData => {
                let age = self.quote.map(|seen| word::age(self.now, seen.source_at, seen.received_at));
                let limit = Measure::Span(millis(self.settings.data_age_max_ms));
                Err(Finding::of(check, age.map_or(Measure::Nothing, Measure::Span), limit))
            }
            Why::RiskHalt | Why::MarketStale => Ok(()),
            why if check == Check::Guard => Err(Finding::code(check, why.code())),
            _ => Ok(()),
        }
    }

    fn session(&self) -> Result<(), Finding> {
        if !self.venue.link.up {
            return Err(Finding::code(Check::Session, "venue_not_connected"));
        }
        match self.venue.listed.get(&self.intent.market) {
            Some(listed) if listed.open => Ok(()),
            _ => Err(Finding::code(Check::Session, "closed")),
        }
    }

    fn dead_man(&self) -> Result<(), Finding> {
        if !self.settings.dead_man || !self.is_quote() {
            return Ok(());
        }
        match self.venue.dead_man {
            Some(until) if until > self.now => Ok(()),
            Some(until) => Err(Finding::of(Check::DeadMan, Measure::Time(until), Measure::Time(self.now))),
            None => Err(Finding::code(Check::DeadMan, "not_armed")),
        }
    }

    fn valid(&self) -> Result<(), Finding> {
        match self.intent.valid_until {
            Some(until) if until <= self.now && !self.intent.purpose.is_protective() => {
                Err(Finding::of(Check::ValidUntil, Measure::Time(self.now), Measure::Time(until)))
            }
            _ => Ok(()),
        }
    }

    /// Of entries only: a maker lives on wide spreads.
    fn spread(&self) -> Result<(), Finding> {
        let (Purpose::Entry, Some(seen)) = (self.intent.purpose, self.quote) else { return Ok(()) };
        let Some(limit) = self.bounds.and_then(|bounds| bounds.spread_max) else { return Ok(()) };
        // Twice the spread over twice the middle, rounded up.
        let spread = i128::from(seen.quote.spread().0) * 2 * 10_000 * i128::from(Bps::ONE.0);
        let spread = (spread + seen.quote.mid_twice() - 1) / seen.quote.mid_twice().max(1);
        let spread = Bps(i64::try_from(spread).unwrap_or(i64::MAX));
        if spread > limit {
            Err(Finding::of(Check::SpreadCap, Measure::Bps(spread), Measure::Bps(limit)))
        } else {
            Ok(())
        }
    }

    fn cooldown(&self) -> Result<(), Finding> {
        let (Purpose::Entry, Some(bounds), None) = (self.intent.purpose, self.bounds, self.amended) else {
            return Ok(());
        };
        let Intent { strategy, market, .. } = self.intent;
        let ended = self.venue.book.markets.get(market).and_then(|held| held.ended.get(strategy));
        for (check, since, limit) in [
            (Check::Cooldown, self.venue.entered.get(strategy), millis(bounds.cooldown_ms)),
            (Check::Reentry, ended, millis(bounds.reentry_ms)),
        ] {
            if let Some(passed) = since.map(|since| self.now.since(*since)).filter(|passed| *passed < limit) {
                return Err(Finding::of(check, Measure::Span(passed), Measure::Span(limit)));
            }
        }
        Ok(())
    }

    /// An exit is never one too many.
    fn open_limit(&self) -> Result<(), Finding> {
        let (Some(bounds), false) = (self.bounds, self.is_exit()) else { return Ok(()) };
        let over = |count: usize, limit: u32| {
            let full = count >= limit as usize;
            let finding = || Finding::of(Check::OpenLimit, Measure::Count(count as u64), Measure::Count(limit.into()));
            if full { Err(finding()) } else { Ok(()) }
        };
        over(self.others().count(), self.settings.limits.orders_max)?;
        let strategy = &self.intent.strategy;
        let live = self.others().filter(|order| order.id.strategy == *strategy);
        match self.intent.purpose {
            Purpose::Entry => {
                let open = self.venue.book.trades_of(strategy).count();
                let entering = live.filter(|order| order.intent.purpose == Purpose::Entry && order.filled.is_zero());
                over(open + entering.count(), bounds.open_max)
            }
            _ => over(live.count(), bounds.open_max),
        }
    }

    fn size(&self) -> Result<(Size, Vec<Step>), Finding> {
        let held = if self.may_grow() { None } else { Some(self.held()) };
        let price = self.price();
        let mut room = Room {
            held,
            exposure: None,
            probability: None,
            margin: None,
            loss: None,
            units: None,
            step: self.instrument.step,
            size_min: self.instrument.size_min,
            notional_min: None,
            price: price.unwrap_or_default(),
        };
        if let (true, Some(price), Some(bounds)) = (self.may_grow(), price, self.bounds) {
            room.exposure = self.exposure(price, bounds)?;
            room.probability = self.probability(bounds);
            room.margin = self.margin(price);
            room.loss = self.loss(price, bounds);
            room.units = Some(self.units(bounds));
            room.notional_min = self.instrument.notional_min;
        }
        let unknown = self.venue.risk.margin_free.is_none();
        size::size(self.intent.terms.size, &room).map_err(|finding| match finding.check {
            Check::Margin if unknown => Finding::code(Check::Margin, "unknown"),
            _ => finding,
        })
    }

    /// What there is to be given up: no more than the owner has, what somebody else took of it at the venue taken off, and what
    /// other orders give up already.
    fn held(&self) -> Size {
        let Intent { strategy, market, trade, terms, .. } = self.intent;
        let book = &self.venue.book;
        let signed = match trade {
            Some(id) => book.trades.get(id).map_or(Size::ZERO, |trade| trade.signed()),
            None => book.inventory(strategy, market).map_or(Size::ZERO, |holding| holding.size),
        };
        let unowned = book.markets.get(market).map_or(Size::ZERO, |held| held.unowned);
        let taken = if unowned.0.signum() == -signed.0.signum() { unowned } else { Size::ZERO };
        let toward = |size: Size| if terms.side == Side::Sell { size } else { -size };
        let leaving = self.others().filter(|order| {
            order.id.strategy == *strategy
                && order.intent.market == *market
                && order.terms.side == terms.side
                && order.intent.trade == *trade
                && !order.may_grow()
        });
        toward(signed + taken) - leaving.fold(Size::ZERO, |sum, order| sum + order.remaining())
    }

    /// At what price the order is reckoned: its own, else the other side's.
    fn price(&self) -> Option<Price> {
        let Terms { side, price, .. } = self.intent.terms;
        price.or_else(|| self.quote.map(|seen| seen.quote.best(side.opposite())))
    }

    fn exposure(&self, price: Price, bounds: &Bounds) -> Result<Option<Size>, Finding> {
        let Intent { strategy, market, terms, .. } = self.intent;
        let limits = &self.settings.limits;
        let (side, mut room) = (terms.side, None);
        let caps = [
            (limits.exposure_max, None, false),
            (limits.direction_max, None, true),
            (bounds.exposure_max, Some(strategy), false),
        ];
        for (cap, of, one_way) in caps {
            let Some(cap) = cap else { continue };
            let mut others = Cash::ZERO;
            for other in self.venue.busy().filter(|other| *other != market) {
                let mut worst = self.venue.worst(other, side, of, None);
                if !one_way {
                    worst = worst.max(self.venue.worst(other, side.opposite(), of, None));
                }
                if worst.is_zero() {
                    continue;
                }
                let Some(price) = self.venue.price(other, self.around) else {
                    return Err(Finding::code(Check::Exposure, "price_unknown"));
                };
                others = others + price * worst;
            }
            let left = cap - others;
            let most = left.size_at(price).unwrap_or(if left.0 < 0 { Size(-1) } else { Size::MAX });
            let most = most - self.venue.worst(market, side, of, self.amended);
            room = Some(room.map_or(most, |room: Size| room.min(most)));
        }
        Ok(room)
    }

    fn probability(&self, bounds: &Bounds) -> Option<(Ratio, Ratio)> {
        let probability = self.intent.probability?.get().trunc_with_scale(crate::market::number::PLACES);
        Some((Ratio::of_decimal(probability).unwrap_or(Ratio::MAX), bounds.probability_min))
    }

    /// Only where the venue has a margin. What is not known is not free.
    fn margin(&self, price: Price) -> Option<Size> {
        let leverage = self.settings.limits.leverage?;
        let Some(free) = self.venue.risk.margin_free else { return Some(Size::ZERO) };
        let growing = self.others().filter(|order| order.may_grow());
        let bound = growing.fold(Cash::ZERO, |sum, order| sum + order.terms.price.unwrap_or(price) * order.remaining());
        let left = Cash(free.0.saturating_mul(i128::from(leverage))) - bound;
        Some(left.size_at(price).unwrap_or(if left.0 < 0 { Size(-1) } else { Size::MAX }))
    }

    /// So that it loses no more than it may where it is given up.
    fn loss(&self, price: Price, bounds: &Bounds) -> Option<Size> {
        let distance = self.distance(price)?;
        let cap = bounds.loss_max.min(self.settings.limits.loss_per_trade_max);
        if distance.0 > 0 { cap.size_at(distance) } else { None }
    }

    /// From the price to where it is given up; below zero on the wrong side.
    fn distance(&self, price: Price) -> Option<Price> {
        let loss_exit = self.intent.loss_exit?;
        Some(match self.intent.terms.side {
            Side::Buy => price - loss_exit,
            Side::Sell => loss_exit - price,
        })
    }

    fn units(&self, bounds: &Bounds) -> Size {
        let Intent { strategy, market, terms, .. } = self.intent;
        let worst = |of| self.venue.worst(market, terms.side, of, self.amended);
        let (venue, strategy) =
            (self.settings.units_max(market) - worst(None), bounds.units_max - worst(Some(strategy)));
        let largest = self.instrument.size_max.unwrap_or(Size::MAX).min(self.settings.units_max(market));
        venue.min(strategy).min(largest)
    }

    fn loss_exit(&self) -> Result<(), Finding> {
        if self.intent.purpose != Purpose::Entry {
            return Ok(());
        }
        let price = self.price().unwrap_or_default();
        match (self.intent.loss_exit, self.distance(price)) {
            (Some(exit), _) if exit.0 <= 0 => Err(Finding::code(Check::LossExit, "not_above_zero")),
            (Some(exit), Some(distance)) if distance.0 <= 0 => {
                Err(Finding::of(Check::LossExit, Measure::Price(exit), Measure::Price(price)))
            }
            (Some(_), _) => Ok(()),
            (None, _) => Err(Finding::code(Check::LossExit, "missing")),
        }
    }

    /// Exits may use what is kept back for cancels, and are not refused for it.
    fn rate(&self) -> Result<(), Finding> {
        if self.is_exit() {
            return Ok(());
        }
        let rate = &self.settings.rate;
        if let Some(until) = self.venue.tokens.until.filter(|until| *until > self.now) {
            return Err(Finding::of(Check::Rate, Measure::Time(self.now), Measure::Time(until)));
        }
        let left = self.venue.tokens.left(rate, self.now);
        if left > i64::from(rate.reserve) {
            return Ok(());
        }
        Err(Finding::of(Check::Rate, Measure::Count(left.max(0) as u64), Measure::Count(rate.reserve.into())))
    }

    /// As the venue is asked. An exit that was blocked for long takes any price. The venue knows only its own sum: where other
    /// owners hold the other way, an exit of ours makes that larger and cannot be marked as one that may not.
    fn approved(&self, size: Size) -> Terms {
        let Intent { market, terms, .. } = self.intent;
        let net = self.venue.book.net(market);
        let toward = if terms.side == Side::Sell { net } else { -net };
        let escalated = self.is_exit() && self.venue.exiting(self.intent).is_some_and(|exiting| exiting.escalated);
        Terms {
            side: terms.side,
            size,
            price: if escalated { None } else { terms.price },
            post_only: terms.post_only && !escalated,
            reduce_only: !self.may_grow() && toward >= size,
        }
    }
}
