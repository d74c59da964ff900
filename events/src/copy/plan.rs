//! The story of a signal on one link: from what the master did to the orders of one slave, or the rule that stood against it.

use super::book::{Copy, Leg, minus};
use super::reverse::{Shape, reverse};
use super::rule::{Rule, Verdict};
use super::settings::{Effective, LateOpens, Levels, Mode, SyncMode, WindDown};
use super::share::{self, MasterLots, master_after};
use super::step::Step;
use super::stop::StopDegree;
use super::volume::{self, Fit, Sizes, Sizing};
use super::{exact, filter, symbol};
use crate::money::{Lots, Money, Price};
use crate::reason::RuntimeStatus;
use crate::time::{Span, Timestamp};
use crate::trade::{Affixes, Change, Contract, Entry, Holding, Instruction, Side, Symbol, Trade};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Grows with each change of what is decided, so that an old decision is not measured by a new rule.
pub const LOGIC: u16 = 1;

/// Everything that the decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub change: &'a Change,
    pub origin: Origin,
    /// When it happened, by whichever clock the caller believes; the age counts from here.
    pub signal_at: Timestamp,
    pub now: Timestamp,
    /// The master's trade as it was before the change.
    pub before: Option<&'a Trade>,
    /// What the slave holds of it; none once that is forgotten.
    pub copy: Option<&'a Copy>,
    pub link: LinkFacts,
    pub settings: &'a Effective<'a>,
    pub master: MasterFacts<'a>,
    pub slave: SlaveFacts<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The master did it just now.
    Signal,
    /// It was open before the link was.
    Sync,
    /// A snapshot showed it.
    Snapshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkFacts {
    pub enabled: bool,
    /// Of this link: 2 if both ends are ready.
    pub status: RuntimeStatus,
    /// Set once the link was removed while copies are left.
    pub winding: Option<WindDown>,
}

#[derive(Debug, Clone, Copy)]
pub struct MasterFacts<'a> {
    pub funds: Option<Funds>,
    pub currency: &'a str,
    pub affixes: &'a Affixes,
    /// Of the trade's symbol.
    pub contract: Option<&'a Contract>,
    /// How many other trades the master has in the symbol; asked only while a link is wound down by symbol.
    pub others_in_symbol: u32,
}

#[derive(Debug, Clone, Copy)]
pub struct SlaveFacts<'a> {
    pub funds: Option<Funds>,
    pub currency: &'a str,
    pub affixes: &'a Affixes,
    pub symbols: &'a BTreeMap<Symbol, Contract>,
    /// Prices where they are known, by the slave's names.
    pub quotes: &'a BTreeMap<Symbol, Quote>,
    pub holding: Holding,
    pub exposure: &'a Exposure,
    /// What forbids to open anything.
    pub block: Option<&'a Block>,
}

/// An account's figures, and when they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    pub balance: Money,
    pub equity: Money,
    pub free_margin: Money,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub bid: Price,
    pub ask: Price,
}

impl Quote {
    /// What one pays who goes this way.
    pub fn price(self, side: Side) -> Price {
        match side {
            Side::Buy => self.ask,
            Side::Sell => self.bid,
        }
    }
}

/// What a slave holds in copies, and what it has orders for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    pub lots: Lots,
    pub positions: u32,
    /// By the slave's names.
    pub symbols: BTreeMap<Symbol, Held>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub lots: Lots,
    pub positions: u32,
}

impl Exposure {
    /// Counts what is left of a copy, each leg as a position.
    pub fn add(&mut self, copy: &Copy) {
        let (lots, positions) = (copy.left(), copy.legs.iter().filter(|leg| leg.left() > Lots::ZERO).count());
        let positions = u32::try_from(positions).unwrap_or(u32::MAX);
        let held = self.symbols.entry(copy.symbol.clone()).or_default();
        held.lots = super::book::plus([held.lots, lots]);
        held.positions = held.positions.saturating_add(positions);
        self.lots = super::book::plus([self.lots, lots]);
        self.positions = self.positions.saturating_add(positions);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    Stop(StopDegree),
    /// Which limit, by its code, what was seen, and where the limit is.
    Protection {
        limit: String,
        seen: Money,
        bound: Money,
    },
}

/// What was decided, and all that it rested on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub logic: u16,
    pub verdict: Verdict,
    pub rule: Rule,
    pub steps: Vec<Step>,
    /// Orders to open come first; each becomes a leg of the copy.
    pub instructions: Vec<Instruction>,
}

impl Plan {
    /// What a person can do; empty where nothing needs to be done.
    pub fn remedy(&self) -> &'static str {
        self.rule.remedy()
    }
}

/// What is decided about one signal on one link.
pub fn plan(ask: &Ask<'_>) -> Plan {
    let mut walk = Walk { ask, steps: Vec::new() };
    let outcome = match (ask.change, ask.copy) {
        (Change::Open(trade), None) => walk.open(trade),
        (Change::Open(trade), Some(copy)) => walk.known(trade, copy),
        (Change::Modify { .. } | Change::Close { .. }, None) => Err(Rule::NotCopied),
        (Change::Modify { price, sl, tp, .. }, Some(copy)) => walk.modify(copy, *price, (*sl, *tp)),
        (Change::Close { .. }, Some(copy)) => walk.close(copy),
    };
    walk.conclude(outcome)
}

/// Until when an order to open that is decided now may be carried out; none for no limit.
pub fn deadline(settings: &Effective<'_>, now: Timestamp) -> Option<Timestamp> {
    let ms = settings.order_deadline_ms.get();
    (ms > 0).then(|| now + Span::millis(i64::from(ms)))
}

struct Walk<'a> {
    ask: &'a Ask<'a>,
    steps: Vec<Step>,
}

/// The rule that decided, and the orders; or the rule that stood against it.
type Outcome = Result<(Rule, Vec<Instruction>), Rule>;

/// Where, when and how a copy comes about.
#[derive(Debug, Clone, Copy)]
struct Timing {
    entry: Entry,
    expires_at: Option<Timestamp>,
    slippage_max: Option<Price>,
}

/// A volume that was agreed to.
struct Agreed {
    rule: Rule,
    orders: Vec<Lots>,
}

impl<'a> Walk<'a> {
    /// A trade of which nothing is held yet. The order of the questions is that of the specification; tests hold it.
    fn open(&mut self, trade: &'a Trade) -> Outcome {
        let (settings, slave) = (self.ask.settings, &self.ask.slave);
        self.link_for_entries()?;
        let late = self.timeliness()?;
        let plain = symbol::plain(&trade.symbol, self.ask.master.affixes, settings);
        filter::pass(trade, &plain, settings, &mut self.steps)?;
        self.pending_allowed(trade.entry)?;
        self.source_lots(trade.lots)?;
        let (symbol, contract) = self.symbol(&trade.symbol, &plain)?;
        let shape = self.shape(trade);
        let quote = slave.quotes.get(symbol).copied();
        let timing = self.timing(&shape, trade.price, quote, late)?;
        let anchor = if timing.entry == Entry::Market { quote.map(|quote| quote.price(shape.side)) } else { None };
        let levels = Anchors { master: trade.price, slave: anchor.unwrap_or(trade.price) };
        let (sl, tp) = self.levels((shape.sl, shape.tp), levels, Some(contract.digits));
        let agreed = self.volume(trade.lots, trade.price, risk(shape.side, levels.slave, sl), symbol, contract)?;
        let price = exact::price(trade.price.get(), Some(contract.digits)).ok_or(Rule::NumberOverflow)?;
        let order = |lots: &Lots| Instruction::Open {
            symbol: symbol.clone(),
            side: shape.side,
            entry: timing.entry,
            lots: *lots,
            price,
            sl,
            tp,
            slippage_max: timing.slippage_max,
            retries_max: settings.retries_max.get(),
            magic: trade.magic,
            comment: short(&trade.comment),
            expires_at: timing.expires_at,
        };
        Ok((agreed.rule, agreed.orders.iter().map(order).collect()))
    }

    /// A trade of which a copy is held: its pending order was filled, or it is told again. Whatever differs is brought in line.
    fn known(&mut self, trade: &'a Trade, copy: &'a Copy) -> Outcome {
        let filled = copy.is_pending() && trade.entry == Entry::Market;
        if filled {
            self.steps.push(Step::PendingFilled);
        }
        let price = trade.entry.is_pending().then_some(trade.price);
        match self.modify(copy, price, (trade.sl, trade.tp)) {
            Ok((Rule::Unchanged, _)) if filled => Ok((Rule::PendingFilled, Vec::new())),
            outcome => outcome,
        }
    }

    /// Stop-loss, take-profit, a pending order's price, and for netting the volume.
    fn modify(&mut self, copy: &'a Copy, price: Option<Price>, levels: (Option<Price>, Option<Price>)) -> Outcome {
        self.link_for_exits()?;
        if copy.is_over() {
            return Err(Rule::CopyOver);
        }
        let after = master_after(copy, self.ask.change);
        let grown = minus(after.left, copy.master_left);
        let shrunk = minus(copy.master_left, after.left);
        let (sl, tp) = if self.is_reversed(copy) { (levels.1, levels.0) } else { levels };
        let mut orders = self.level_orders(copy, price, (sl, tp));
        let mut rule = if orders.is_empty() { Rule::Unchanged } else { Rule::Copied };
        if grown > Lots::ZERO {
            match self.grow(copy, grown, price, (sl, tp)) {
                Ok((agreed, legs)) => {
                    rule = agreed;
                    orders.splice(0..0, legs);
                }
                Err(refused) if orders.is_empty() => return Err(refused),
                Err(refused) => rule = refused,
            }
        } else if shrunk > Lots::ZERO {
            match self.shrink(copy, after) {
                Ok((_, closes)) => {
                    rule = Rule::Copied;
                    orders.extend(closes);
                }
                Err(refused) if orders.is_empty() => return Err(refused),
                Err(refused) => rule = refused,
            }
        }
        Ok((rule, orders))
    }

    fn close(&mut self, copy: &'a Copy) -> Outcome {
        self.link_for_exits()?;
        if copy.is_over() {
            return Err(Rule::CopyOver);
        }
        self.shrink(copy, master_after(copy, self.ask.change))
    }

    /// Closes what is more than the master's share.
    fn shrink(&mut self, copy: &'a Copy, after: MasterLots) -> Outcome {
        let left = copy.left();
        if after.left == Lots::ZERO {
            let orders = share::close_all(copy);
            self.steps.push(Step::CloseAll { lots: left });
            return if orders.is_empty() { Err(Rule::CopyOver) } else { Ok((Rule::Copied, orders)) };
        }
        let sizes = share::sizes(self.ask.slave.symbols.get(&copy.symbol));
        let opened = copy.opened();
        let target = share::target(opened, after).ok_or(Rule::NumberOverflow)?;
        let (orders, closing) = share::close_part(&copy.legs, Leg::left, left.get() - target, sizes);
        let rounded = |value: Decimal| exact::lots(value.trunc_with_scale(8)).ok_or(Rule::NumberOverflow);
        self.steps.push(Step::ClosePart {
            master_lots: after.lots,
            master_left: after.left,
            opened,
            target: rounded(target)?,
            left,
            step: rounded(sizes.step)?,
            closing: rounded(closing)?,
        });
        if !orders.is_empty() {
            return Ok((Rule::Copied, orders));
        }
        Err(if copy.legs.iter().any(share::waits) { Rule::PendingIndivisible } else { Rule::CloseWaits })
    }

    /// A netting position that grew: one more leg, as if the growth were a trade of its own.
    fn grow(
        &mut self,
        copy: &'a Copy,
        grown: Lots,
        price: Option<Price>,
        levels: (Option<Price>, Option<Price>),
    ) -> Outcome {
        let (settings, slave) = (self.ask.settings, &self.ask.slave);
        self.steps.push(Step::Grown { from: copy.master_left, by: grown });
        self.link_for_entries()?;
        self.timeliness()?;
        let Some((symbol, contract)) = slave.symbols.get_key_value(&copy.symbol) else {
            self.steps.push(Step::SymbolMissing { master: copy.symbol.clone(), tried: Vec::new() });
            return Err(if slave.symbols.is_empty() { Rule::SymbolsUnknown } else { Rule::SymbolUnmapped });
        };
        let pending = copy.legs.iter().find(|leg| copy.is_pending() && share::waits(leg)).map(|leg| leg.entry);
        let entry = pending.unwrap_or(Entry::Market);
        let quote = slave.quotes.get(symbol).map(|quote| quote.price(copy.side));
        let known = if entry == Entry::Market { quote } else { price };
        let at = known.or(price).unwrap_or(copy.price);
        let anchors = Anchors { master: self.ask.before.map_or(copy.price, |trade| trade.price), slave: at };
        let (sl, tp) = self.levels(levels, anchors, Some(contract.digits));
        let agreed = self.volume(grown, at, risk(copy.side, at, sl), symbol, contract)?;
        let price = exact::price(at.get(), Some(contract.digits)).ok_or(Rule::NumberOverflow)?;
        let trade = self.ask.before;
        let order = |lots: &Lots| Instruction::Open {
            symbol: symbol.clone(),
            side: copy.side,
            entry,
            lots: *lots,
            price,
            sl,
            tp,
            slippage_max: known.and(limit(settings.slippage_max.get())),
            retries_max: settings.retries_max.get(),
            magic: trade.map_or(0, |trade| trade.magic),
            comment: trade.map_or_else(String::new, |trade| short(&trade.comment)),
            expires_at: None,
        };
        Ok((agreed.rule, agreed.orders.iter().map(order).collect()))
    }

    /// Nothing is opened unless the link is on and both ends are ready.
    fn link_for_entries(&mut self) -> Result<(), Rule> {
        let (mode, link) = (self.ask.settings.mode, self.ask.link);
        self.note_link();
        if link.winding.is_some() {
            return Err(Rule::LinkWindingDown);
        }
        if mode.get() == Mode::Off {
            return Err(Rule::LinkOff);
        }
        if !link.enabled {
            return Err(Rule::LinkDisabled);
        }
        match link.status {
            RuntimeStatus::Disabled => Err(Rule::SlaveNotReady),
            RuntimeStatus::Enabled => Err(Rule::MasterNotConnected),
            RuntimeStatus::Connected => Ok(()),
        }
    }

    /// Closes and modifications pass whatever the link is, unless somebody chose otherwise.
    fn link_for_exits(&mut self) -> Result<(), Rule> {
        let (settings, link) = (self.ask.settings, self.ask.link);
        self.note_link();
        match link.winding {
            Some(WindDown::Keep) => return Err(Rule::WoundDown),
            Some(WindDown::CloseOnlyBySymbol) if self.ask.master.others_in_symbol > 0 => {
                return Err(Rule::WaitsForSymbol);
            }
            Some(WindDown::CloseOnlyBySymbol | WindDown::CloseOnlyByPosition | WindDown::CloseNow) | None => {}
        }
        let on = settings.mode.get() != Mode::Off && link.enabled && link.status == RuntimeStatus::Connected;
        if on || settings.closes_when_off.get() {
            return Ok(());
        }
        self.steps.push(Step::ClosesOff { from: settings.closes_when_off.from });
        Err(Rule::ClosesOff)
    }

    fn note_link(&mut self) {
        let (mode, link) = (self.ask.settings.mode, self.ask.link);
        let LinkFacts { enabled, status, winding } = link;
        let step = Step::Link { mode: mode.get(), from: mode.from, enabled, status, winding };
        if !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }

    /// Whether the signal comes in time; if not, for how long an order may wait instead.
    fn timeliness(&mut self) -> Result<Option<LateOpens>, Rule> {
        if self.ask.origin != Origin::Signal {
            return Ok(None);
        }
        let (max, late) = (self.ask.settings.signal_age_max_ms, self.ask.settings.late_opens);
        let age_ms = self.ask.now.since(self.ask.signal_at).0.max(0) / 1000;
        self.steps.push(Step::Age { age_ms, max_ms: max.get(), from: max.from });
        if max.get() == 0 || age_ms <= i64::from(max.get()) {
            return Ok(None);
        }
        match late.get() {
            LateOpens::Skip => Err(Rule::SignalLate),
            LateOpens::Pending { expires_ms } => {
                self.steps.push(Step::Late { expires_ms, from: late.from });
                Ok(Some(late.get()))
            }
        }
    }

    fn pending_allowed(&mut self, entry: Entry) -> Result<(), Rule> {
        if !entry.is_pending() {
            return Ok(());
        }
        let copy_pending = self.ask.settings.copy_pending;
        self.steps.push(Step::Pending { entry, allowed: copy_pending.get(), from: copy_pending.from });
        if copy_pending.get() { Ok(()) } else { Err(Rule::PendingOff) }
    }

    fn source_lots(&mut self, lots: Lots) -> Result<(), Rule> {
        let (min, max) = (self.ask.settings.source_lots_min, self.ask.settings.source_lots_max);
        if min.get() == Lots::ZERO && max.get() == Lots::ZERO {
            return Ok(());
        }
        let from = min.from.max(max.from);
        self.steps.push(Step::SourceLots { lots, min: min.get(), max: max.get(), from });
        if lots < min.get() {
            return Err(Rule::SourceLotsLow);
        }
        if max.get() > Lots::ZERO && lots > max.get() { Err(Rule::SourceLotsHigh) } else { Ok(()) }
    }

    fn symbol(&mut self, master: &Symbol, plain: &Symbol) -> Result<(&'a Symbol, &'a Contract), Rule> {
        let (slave, settings) = (&self.ask.slave, self.ask.settings);
        if slave.symbols.is_empty() {
            return Err(Rule::SymbolsUnknown);
        }
        match symbol::find(master, plain, slave.affixes, slave.symbols, settings) {
            Ok(found) => {
                let symbol::Found { symbol, contract, way, from } = found;
                let plain = (plain != master).then(|| plain.clone());
                self.steps.push(Step::Symbol { master: master.clone(), plain, slave: symbol.clone(), way, from });
                Ok((symbol, contract))
            }
            Err(symbol::Missing { tried }) => {
                self.steps.push(Step::SymbolMissing { master: master.clone(), tried });
                Err(Rule::SymbolUnmapped)
            }
        }
    }

    fn shape(&mut self, trade: &Trade) -> Shape {
        let shape = Shape { side: trade.side, entry: trade.entry, sl: trade.sl, tp: trade.tp };
        let on = self.ask.settings.reverse;
        if !on.get() {
            return shape;
        }
        let shape = reverse(shape);
        self.steps.push(Step::Reversed { side: shape.side, entry: shape.entry, from: on.from });
        shape
    }

    /// At once, or waiting at the master's price because it is late or was missed.
    fn timing(
        &mut self,
        shape: &Shape,
        price: Price,
        quote: Option<Quote>,
        late: Option<LateOpens>,
    ) -> Result<Timing, Rule> {
        let settings = self.ask.settings;
        let slippage_max = limit(settings.slippage_max.get());
        let as_is = Timing { entry: shape.entry, expires_at: None, slippage_max };
        let sync = settings.sync_mode;
        if self.ask.origin != Origin::Signal {
            self.steps.push(Step::Sync { origin: self.ask.origin, mode: sync.get(), from: sync.from });
        }
        if self.ask.origin != Origin::Signal && sync.get() == SyncMode::Skip {
            return Err(Rule::SyncOff);
        }
        if shape.entry.is_pending() {
            return Ok(Timing { slippage_max: None, ..as_is });
        }
        let seen = quote.map(|quote| quote.price(shape.side));
        match (self.ask.origin, sync.get(), late) {
            (Origin::Signal, _, Some(LateOpens::Pending { expires_ms })) => {
                Ok(self.wait(shape, price, seen, expires_ms))
            }
            (Origin::Signal, _, Some(LateOpens::Skip) | None) => Ok(as_is),
            (_, SyncMode::LimitOrder { expires_ms }, _) => Ok(self.wait(shape, price, seen, expires_ms)),
            (_, SyncMode::MarketOrder { distance_max }, _) => self.near(as_is, price, seen, distance_max),
            (_, SyncMode::Skip, _) => Err(Rule::SyncOff),
        }
    }

    /// A limit order at the master's price; at once where the price is as good or better already.
    fn wait(&mut self, shape: &Shape, price: Price, seen: Option<Price>, expires_ms: u32) -> Timing {
        let good = seen.is_some_and(|seen| match shape.side {
            Side::Buy => seen <= price,
            Side::Sell => seen >= price,
        });
        self.steps.push(Step::Wait { price, seen, at_once: good });
        let slippage_max = limit(self.ask.settings.slippage_max.get()).filter(|_| good);
        let expires_at = (!good && expires_ms > 0).then(|| self.ask.now + Span::millis(i64::from(expires_ms)));
        Timing { entry: if good { Entry::Market } else { Entry::Limit }, expires_at, slippage_max }
    }

    /// At once, unless the price went too far. The terminal looks again, since it knows the price better.
    fn near(
        &mut self,
        at_once: Timing,
        price: Price,
        seen: Option<Price>,
        distance_max: Price,
    ) -> Result<Timing, Rule> {
        let Some(distance_max) = limit(distance_max) else { return Ok(at_once) };
        self.steps.push(Step::Near { price, seen, distance_max });
        let far = seen.is_some_and(|seen| (seen.get() - price.get()).abs() > distance_max.get());
        if far { Err(Rule::SyncTooFar) } else { Ok(Timing { slippage_max: Some(distance_max), ..at_once }) }
    }

    fn volume(
        &mut self,
        master_lots: Lots,
        price: Price,
        risk: Option<Price>,
        symbol: &Symbol,
        contract: &Contract,
    ) -> Result<Agreed, Rule> {
        let (settings, now) = (self.ask.settings, self.ask.now);
        let sizing = Sizing { master_lots, price, risk, contract, now };
        let asked = volume::ask(&sizing, settings, &self.ask.master, &self.ask.slave);
        let asked = asked.inspect_err(|_| {
            self.steps.push(Step::VolumeRefused {
                mode: settings.volume.get(),
                from: settings.volume.from,
                master_lots,
            });
        })?;
        let volume::Asked { lots, inputs } = asked;
        let (mode, from) = (settings.volume.get(), settings.volume.from);
        self.steps.push(Step::Volume { mode, from, master_lots, inputs, lots });
        let agreed = self.fit(lots, contract)?;
        self.limits(&agreed.orders, symbol)?;
        Ok(agreed)
    }

    fn fit(&mut self, asked: Lots, contract: &Contract) -> Result<Agreed, Rule> {
        let (below, above) = (self.ask.settings.below_min, self.ask.settings.above_max);
        let fitted = volume::fit(asked, Sizes::of(contract)?, below.get(), above.get())?;
        let (rule, from) = match fitted.fit {
            Fit::Step => (Rule::Copied, None),
            Fit::Split => (Rule::Copied, Some(above.from)),
            Fit::Clamped => (Rule::AboveMaxClamped, Some(above.from)),
            Fit::SplitCapped => (Rule::SplitCapped, Some(above.from)),
            Fit::Forced => (Rule::BelowMinForced, Some(below.from)),
            Fit::TooSmall => (Rule::LotBelowMin, Some(below.from)),
        };
        let Contract { lots_step, lots_min, lots_max, .. } = *contract;
        let lots = super::book::plus(fitted.orders.iter().copied());
        let orders = u8::try_from(fitted.orders.len()).unwrap_or(u8::MAX);
        self.steps.push(Step::Fitted { lots_step, lots_min, lots_max, fit: fitted.fit, from, lots, orders });
        if fitted.orders.is_empty() { Err(rule) } else { Ok(Agreed { rule, orders: fitted.orders }) }
    }

    /// What the slave may hold, then what forbids to open at all.
    fn limits(&mut self, orders: &[Lots], symbol: &Symbol) -> Result<(), Rule> {
        let (settings, slave) = (self.ask.settings, &self.ask.slave);
        let here = slave.exposure.symbols.get(symbol).copied().unwrap_or_default();
        let adds = match slave.holding {
            Holding::Hedging => u32::try_from(orders.len()).unwrap_or(u32::MAX),
            Holding::Netting => u32::from(here.positions == 0),
        };
        let adding = super::book::plus(orders.iter().copied());
        let (held, max) = (slave.exposure.lots, settings.lots_total_max);
        if max.get() > Lots::ZERO {
            self.steps.push(Step::LotsTotal { held, adding, max: max.get(), from: max.from });
            if held.get() + adding.get() > max.get().get() {
                return Err(Rule::LotsTotalMax);
            }
        }
        let (held, max) = (slave.exposure.positions, settings.positions_max);
        if max.get() > 0 {
            self.steps.push(Step::Positions { held, adding: adds, max: max.get(), from: max.from });
            if held.saturating_add(adds) > max.get() {
                return Err(Rule::PositionsMax);
            }
        }
        let (held, max) = (here.positions, settings.positions_per_symbol_max);
        if max.get() > 0 {
            self.steps.push(Step::PositionsPerSymbol { held, adding: adds, max: max.get(), from: max.from });
            if held.saturating_add(adds) > max.get() {
                return Err(Rule::PositionsPerSymbolMax);
            }
        }
        let Some(block) = slave.block else { return Ok(()) };
        self.steps.push(Step::Barred(block.clone()));
        Err(match block {
            Block::Stop(_) => Rule::Stopped,
            Block::Protection { .. } => Rule::Protected,
        })
    }

    fn levels(
        &mut self,
        (sl, tp): (Option<Price>, Option<Price>),
        anchors: Anchors,
        digits: Option<u8>,
    ) -> (Option<Price>, Option<Price>) {
        let (copy_sl, copy_tp) = (self.ask.settings.copy_sl, self.ask.settings.copy_tp);
        let told = (
            sl.and_then(|level| anchors.level(copy_sl.get(), level, digits)),
            tp.and_then(|level| anchors.level(copy_tp.get(), level, digits)),
        );
        let shift =
            if copy_sl.get() == Levels::Distance || copy_tp.get() == Levels::Distance { anchors.shift() } else { None };
        self.steps.push(Step::Levels {
            sl: copy_sl.get(),
            sl_from: copy_sl.from,
            tp: copy_tp.get(),
            tp_from: copy_tp.from,
            shift,
        });
        told
    }

    /// Tells each leg its levels, unless the copy was told just these before.
    fn level_orders(
        &mut self,
        copy: &Copy,
        price: Option<Price>,
        levels: (Option<Price>, Option<Price>),
    ) -> Vec<Instruction> {
        let (copy_sl, copy_tp) = (self.ask.settings.copy_sl.get(), self.ask.settings.copy_tp.get());
        let digits = self.ask.slave.symbols.get(&copy.symbol).map(|contract| contract.digits);
        let price = price.and_then(|price| exact::price(price.get(), digits));
        let master = price.or(self.ask.before.map(|trade| trade.price)).unwrap_or(copy.price);
        let mut orders = Vec::new();
        for leg in copy.legs.iter().filter(|leg| leg.left() > Lots::ZERO) {
            let waits = share::waits(leg);
            let slave = if waits { price.unwrap_or(copy.price) } else { leg.price.unwrap_or(copy.price) };
            let anchors = Anchors { master, slave };
            let level = |how, level: Option<Price>, told| match how {
                Levels::Off => told,
                Levels::Price | Levels::Distance => level.and_then(|level| anchors.level(how, level, digits)),
            };
            let sl = level(copy_sl, levels.0, copy.sl);
            let tp = level(copy_tp, levels.1, copy.tp);
            let price = price.filter(|price| waits && *price != copy.price);
            if (sl, tp) != (copy.sl, copy.tp) || price.is_some() {
                orders.push(Instruction::Modify { of: leg.order, price, sl, tp });
            }
        }
        if !orders.is_empty() {
            let settings = self.ask.settings;
            self.steps.push(Step::Levels {
                sl: copy_sl,
                sl_from: settings.copy_sl.from,
                tp: copy_tp,
                tp_from: settings.copy_tp.from,
                shift: None,
            });
        }
        orders
    }

    /// As it was when the copy was opened, whatever the settings say now.
    fn is_reversed(&self, copy: &Copy) -> bool {
        self.ask.before.map_or(self.ask.settings.reverse.get(), |trade| trade.side != copy.side)
    }

    /// An observed link sends nothing that opens; what it holds from before is closed and modified.
    fn conclude(self, outcome: Outcome) -> Plan {
        let observes = self.ask.settings.mode.get() == Mode::Observe;
        let (mut rule, mut instructions) = match outcome {
            Ok(decided) => decided,
            Err(rule) => (rule, Vec::new()),
        };
        if observes && instructions.iter().any(Instruction::is_entry) {
            instructions.retain(|instruction| !instruction.is_entry());
            rule = Rule::Observed;
        }
        let verdict = match rule.verdict() {
            Verdict::Skipped | Verdict::Blocked if !instructions.is_empty() => Verdict::Resized,
            verdict => verdict,
        };
        Plan { logic: LOGIC, verdict, rule, steps: self.steps, instructions }
    }
}

/// The prices that distances count from.
#[derive(Debug, Clone, Copy)]
struct Anchors {
    master: Price,
    slave: Price,
}

impl Anchors {
    fn level(self, how: Levels, level: Price, digits: Option<u8>) -> Option<Price> {
        match how {
            Levels::Off => None,
            Levels::Price => exact::price(level.get(), digits),
            Levels::Distance => exact::price(level.get() + self.slave.get() - self.master.get(), digits),
        }
    }
    fn shift(self) -> Option<Price> {
        Price::new(self.slave.get() - self.master.get()).ok().filter(|shift| *shift != Price::ZERO)
    }
}

/// How far it is to a stop-loss that lies on the losing side.
fn risk(side: Side, price: Price, sl: Option<Price>) -> Option<Price> {
    let distance = match side {
        Side::Buy => price.get() - sl?.get(),
        Side::Sell => sl?.get() - price.get(),
    };
    Price::new(distance).ok().filter(|distance| *distance > Price::ZERO)
}

/// Zero means no limit.
fn limit(distance: Price) -> Option<Price> {
    (distance > Price::ZERO).then_some(distance)
}

/// Brokers keep 31 characters.
const COMMENT_MAX: usize = 31;

fn short(comment: &str) -> String {
    comment.chars().take(COMMENT_MAX).collect()
}
