//! The story of a signal on one link: from what the master did to the orders of one slave, or the rule that stood against it.

use super::ask::{Ask, LinkFacts};
use super::book::{Copy, Leg, LegState, minus};
use super::levels::{Anchors, risk};
use super::reverse::{Shape, reverse};
use super::rule::{Rule, Verdict};
use super::settings::{BelowMin, Effective, Levels, Mode, WindDown};
use super::share::{self, MasterLots, master_after};
use super::step::Step;
use super::timing::{Timing, timing, way};
use super::volume::{self, Fit, Sizes, Sizing};
use super::{exact, filter, limits, symbol};
use crate::money::{Lots, Number, Price};
use crate::reason::RuntimeStatus;
use crate::time::{Span, Timestamp};
use crate::trade::{Change, Contract, Entry, Holding, Instruction, Side, Symbol, Trade};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Grows with each change of what is decided, so that an old decision is not measured by a new rule.
pub const LOGIC: u16 = 2;

/// What was decided, and all that it rested on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub logic: u16,
    pub verdict: Verdict,
    pub rule: Rule,
    pub steps: Vec<Step>,
    /// What the rule asks for, before it is rounded; what the orders to open fall short of it is kept for the next growth.
    pub asked: Lots,
    /// The copy that this begins, before the first order is given.
    pub begins: Option<Box<Copy>>,
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
    let mut walk = Walk { ask, steps: Vec::new(), asked: Lots::ZERO, begins: None };
    let outcome = match (ask.change, ask.copy) {
        (Change::Open(trade), None) => walk.open(trade),
        (Change::Open(trade), Some(copy)) => walk.known(trade, copy),
        (Change::Modify { .. } | Change::Close { .. }, None) => Err(Rule::NotCopied),
        (Change::Modify { price, sl, tp, .. }, Some(copy)) => {
            walk.modify(copy, Wanted { price: *price, sl: *sl, tp: *tp })
        }
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
    asked: Lots,
    begins: Option<Box<Copy>>,
}

/// The rule that decided, and the orders; or the rule that stood against it.
type Outcome = Result<(Rule, Vec<Instruction>), Rule>;

/// Where the master's trade waits and ends now.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// Of a pending order.
    price: Option<Price>,
    sl: Option<Price>,
    tp: Option<Price>,
}

/// A volume that was agreed to.
struct Agreed {
    rule: Rule,
    /// Before it was rounded, but for what the settings cut off.
    asked: Lots,
    orders: Vec<Lots>,
}

/// An order to open, but for its volume.
struct Draft<'a> {
    symbol: &'a Symbol,
    side: Side,
    timing: Timing,
    price: Price,
    sl: Option<Price>,
    tp: Option<Price>,
    trade: Option<&'a Trade>,
}

impl<'a> Walk<'a> {
    /// A trade of which nothing is held yet. The order of the questions is that of the specification; tests hold it.
    fn open(&mut self, trade: &'a Trade) -> Outcome {
        let (settings, slave) = (self.ask.settings, &self.ask.slave);
        self.link_for_entries()?;
        let way = way(self.ask, &mut self.steps)?;
        let plain = symbol::plain(&trade.symbol, self.ask.master.affixes, settings);
        filter::pass(trade, &plain, settings, &mut self.steps)?;
        self.pending_allowed(trade.entry)?;
        self.source_lots(trade.lots)?;
        let (symbol, contract) = self.symbol(&trade.symbol, &plain)?;
        let shape = self.shape(trade);
        let seen = slave.quotes.get(symbol).map(|quote| quote.price(shape.side));
        let timing = timing(self.ask, way, shape, trade.price, seen, &mut self.steps)?;
        let at = seen.filter(|_| timing.entry == Entry::Market).unwrap_or(trade.price);
        let anchors = Anchors { master: trade.price, slave: at };
        let (sl, tp) = self.levels(shape.sl, shape.tp, anchors, contract);
        let asked = self.volume(trade.lots, trade.price, risk(shape.side, at, sl), contract)?;
        let price = exact::price(trade.price.get(), Some(contract.digits)).ok_or(Rule::NumberOverflow)?;
        let draft = Draft { symbol, side: shape.side, timing, price, sl, tp, trade: Some(trade) };
        let agreed = self.fit(asked, contract);
        if agreed.as_ref().is_err_and(|rule| *rule == Rule::LotBelowMin) && self.may_grow(trade) {
            self.begin(&draft, trade.lots, asked);
        }
        let agreed = agreed?;
        limits::pass(&agreed.orders, symbol, settings, slave, &mut self.steps)?;
        self.begin(&draft, trade.lots, agreed.asked);
        Ok((agreed.rule, self.entries(&draft, &agreed.orders)))
    }

    /// A position that is too small may be large enough once it has grown.
    fn may_grow(&self, trade: &Trade) -> bool {
        self.ask.master.holding == Holding::Netting && trade.entry == Entry::Market
    }

    fn begin(&mut self, draft: &Draft<'_>, master_lots: Lots, asked: Lots) {
        self.asked = asked;
        self.begins = Some(Box::new(Copy {
            symbol: draft.symbol.clone(),
            side: draft.side,
            // What went before the copy began is none of its business.
            master_lots,
            master_left: master_lots,
            kept: Number::ZERO,
            price: draft.price,
            sl: draft.sl,
            tp: draft.tp,
            legs: Vec::new(),
        }));
    }

    /// A trade of which a copy is held: its pending order was filled, or it is told again. Whatever differs is brought in line.
    fn known(&mut self, trade: &'a Trade, copy: &'a Copy) -> Outcome {
        let filled = copy.is_pending() && trade.entry == Entry::Market;
        if filled {
            self.steps.push(Step::PendingFilled);
        }
        let price = trade.entry.is_pending().then_some(trade.price);
        match self.modify(copy, Wanted { price, sl: trade.sl, tp: trade.tp }) {
            Ok((Rule::Unchanged, _)) | Err(Rule::PendingIndivisible) if filled => Ok((Rule::PendingFilled, Vec::new())),
            outcome => outcome,
        }
    }

    /// Stop-loss, take-profit, a pending order's price, and for netting the volume.
    fn modify(&mut self, copy: &'a Copy, wanted: Wanted) -> Outcome {
        self.link_for_exits()?;
        if copy.is_over() && !copy.is_unbegun() {
            return Err(Rule::CopyOver);
        }
        let wanted = if self.is_reversed(copy) { Wanted { sl: wanted.tp, tp: wanted.sl, ..wanted } } else { wanted };
        let levels = self.level_orders(copy, wanted);
        let after = master_after(copy, self.ask.change);
        let grown = minus(after.left, copy.master_left);
        let resized = if grown > Lots::ZERO {
            self.grow(copy, grown, wanted)
        } else if copy.is_unbegun() {
            Err(Rule::NotCopied)
        } else if after.left < copy.master_left {
            self.shrink(copy, after)
        } else {
            Ok((Rule::Unchanged, Vec::new()))
        };
        match resized {
            Ok((rule, orders)) if levels.is_empty() => Ok((rule, orders)),
            Ok((Rule::Unchanged, _)) => Ok((Rule::Copied, levels)),
            Ok((rule, orders)) => Ok((rule, entries_first(orders, levels))),
            Err(rule) if levels.is_empty() => Err(rule),
            Err(rule) => Ok((rule, levels)),
        }
    }

    fn close(&mut self, copy: &'a Copy) -> Outcome {
        if copy.is_unbegun() {
            return Err(Rule::NotCopied);
        }
        self.link_for_exits()?;
        if copy.is_over() {
            return Err(Rule::CopyOver);
        }
        self.shrink(copy, master_after(copy, self.ask.change))
    }

    /// Closes what is more than the master's share.
    fn shrink(&mut self, copy: &'a Copy, after: MasterLots) -> Outcome {
        let others = self.ask.master.others_in_symbol;
        if self.ask.link.winding == Some(WindDown::CloseOnlyBySymbol) && others > 0 {
            return Err(Rule::WaitsForSymbol);
        }
        if after.left == Lots::ZERO {
            let orders = share::close_all(copy);
            self.steps.push(Step::CloseAll { lots: copy.left() });
            if copy.legs.iter().any(share::waits) {
                self.steps.push(Step::CancelOrClose);
            }
            return Ok((if orders.is_empty() { Rule::Unchanged } else { Rule::Copied }, orders));
        }
        self.shrink_part(copy, after)
    }

    fn shrink_part(&mut self, copy: &'a Copy, after: MasterLots) -> Outcome {
        if copy.legs.iter().any(|leg| leg.state == LegState::Sent && leg.entry == Entry::Market) {
            // A share of what was asked for would be too much of what is filled in part; nothing is opened again for it.
            return Err(Rule::WaitsForFill);
        }
        let (before, left) = (copy.master_left, copy.left());
        let sizes = share::sizes(self.ask.slave.symbols.get(&copy.symbol));
        let due = share::due(&copy.legs, Leg::opened).ok_or(Rule::NumberOverflow)?;
        let target = share::target(due, before, after.left).ok_or(Rule::NumberOverflow)?;
        let excess = left.get() - target;
        let (orders, closing) = share::close_part(&copy.legs, Leg::left, excess, sizes);
        let noted = |value: Decimal| exact::lots(value.trunc_with_scale(8)).ok_or(Rule::NumberOverflow);
        self.steps.push(Step::ClosePart {
            before,
            master_left: after.left,
            due: noted(due)?,
            target: noted(target)?,
            left,
            step: noted(sizes.step)?,
            closing: noted(closing)?,
        });
        if !orders.is_empty() {
            return Ok((Rule::Copied, orders));
        }
        if excess <= Decimal::ZERO {
            return Ok((Rule::Unchanged, orders));
        }
        Err(if copy.legs.iter().any(share::waits) { Rule::PendingIndivisible } else { Rule::CloseWaits })
    }

    /// A netting position that grew: one more leg. What it asks for is added to what the growths before were too small for, and only
    /// whole steps of that are ordered: so any row of growths stays within a step of the rule. Where the master's price of it is not
    /// known, the slave's stands for it.
    fn grow(&mut self, copy: &'a Copy, grown: Lots, wanted: Wanted) -> Outcome {
        self.steps.push(Step::Grown { from: copy.master_left, by: grown });
        self.link_for_entries()?;
        let way = way(self.ask, &mut self.steps)?;
        let (symbol, contract) = self.same_symbol(copy)?;
        let waiting = copy.legs.iter().find(|leg| share::waits(leg)).filter(|_| copy.is_pending());
        let entry = waiting.map_or(Entry::Market, |leg| leg.entry);
        let shape = Shape { side: copy.side, entry, sl: wanted.sl, tp: wanted.tp };
        let master = wanted.price.or(self.ask.before.map(|trade| trade.price)).unwrap_or(copy.price);
        let seen = self.ask.slave.quotes.get(symbol).map(|quote| quote.price(shape.side));
        let mut timing = timing(self.ask, way, shape, master, seen, &mut self.steps)?;
        let at = seen.filter(|_| timing.entry == Entry::Market).unwrap_or(master);
        if seen.is_none() {
            timing.slippage_max = None;
        }
        let (sl, tp) = self.levels(shape.sl, shape.tp, Anchors { master, slave: at }, contract);
        let asked = self.volume(grown, at, risk(shape.side, at, sl), contract)?;
        let agreed = self.fit_growth(asked, copy, contract)?;
        limits::pass(&agreed.orders, symbol, self.ask.settings, &self.ask.slave, &mut self.steps)?;
        self.asked = agreed.asked;
        let price = exact::price(at.get(), Some(contract.digits)).ok_or(Rule::NumberOverflow)?;
        let draft = Draft { symbol, side: shape.side, timing, price, sl, tp, trade: self.ask.before };
        Ok((agreed.rule, self.entries(&draft, &agreed.orders)))
    }

    fn entries(&self, draft: &Draft<'_>, orders: &[Lots]) -> Vec<Instruction> {
        let order = |lots: &Lots| Instruction::Open {
            symbol: draft.symbol.clone(),
            side: draft.side,
            entry: draft.timing.entry,
            lots: *lots,
            price: draft.price,
            sl: draft.sl,
            tp: draft.tp,
            slippage_max: draft.timing.slippage_max,
            retries_max: self.ask.settings.retries_max.get(),
            magic: draft.trade.map_or(0, |trade| trade.magic),
            comment: draft.trade.map_or_else(String::new, |trade| short(&trade.comment)),
            expires_at: draft.timing.expires_at,
        };
        orders.iter().map(order).collect()
    }

    /// Nothing is opened unless the link is on and both ends are ready.
    fn link_for_entries(&mut self) -> Result<(), Rule> {
        let link = self.ask.link;
        self.note_link();
        if link.winding.is_some() {
            return Err(Rule::LinkWindingDown);
        }
        if self.ask.settings.mode.get() == Mode::Off {
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
            Some(WindDown::CloseOnlyByPosition | WindDown::CloseOnlyBySymbol | WindDown::CloseNow) => return Ok(()),
            None => {}
        }
        let on = settings.mode.get() != Mode::Off && link.enabled && link.status == RuntimeStatus::Connected;
        if on || settings.closes_when_off.get() {
            return Ok(());
        }
        self.steps.push(Step::ClosesOff { from: settings.closes_when_off.from });
        Err(Rule::ClosesOff)
    }

    fn note_link(&mut self) {
        let mode = self.ask.settings.mode;
        let LinkFacts { enabled, status, winding } = self.ask.link;
        let step = Step::Link { mode: mode.get(), from: mode.from, enabled, status, winding };
        if !self.steps.contains(&step) {
            self.steps.push(step);
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
            Ok(symbol::Found { symbol, contract, way, from }) => {
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

    /// A copy that grows stays in its symbol, whatever the map says now.
    fn same_symbol(&mut self, copy: &Copy) -> Result<(&'a Symbol, &'a Contract), Rule> {
        let table = self.ask.slave.symbols;
        if let Some(found) = table.get_key_value(&copy.symbol) {
            return Ok(found);
        }
        self.steps.push(Step::SymbolMissing { master: copy.symbol.clone(), tried: Vec::new() });
        Err(if table.is_empty() { Rule::SymbolsUnknown } else { Rule::SymbolUnmapped })
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

    fn volume(
        &mut self,
        master_lots: Lots,
        price: Price,
        risk: Option<Price>,
        contract: &Contract,
    ) -> Result<Lots, Rule> {
        let (settings, slave) = (self.ask.settings, &self.ask.slave);
        let volume::Asked { lots, inputs } = {
            let sizing = Sizing { master_lots, price, risk, contract, now: self.ask.now };
            let asked = volume::ask(&sizing, settings, &self.ask.master, slave);
            let (mode, from) = (settings.volume.get(), settings.volume.from);
            let refused = Step::VolumeRefused { mode, from, master_lots };
            asked.inspect_err(|_| self.steps.push(refused))?
        };
        let (mode, from) = (settings.volume.get(), settings.volume.from);
        self.steps.push(Step::Volume { mode, from, master_lots, inputs, lots });
        Ok(lots)
    }

    /// The whole steps of what a growth asks for and of what was kept. The settings force up to the smallest only where a step is due.
    fn fit_growth(&mut self, asked: Lots, copy: &Copy, contract: &Contract) -> Result<Agreed, Rule> {
        let kept = copy.kept.get();
        let due = kept.checked_add(asked.get()).ok_or(Rule::NumberOverflow)?.max(Decimal::ZERO);
        let due = exact::lots(due.trunc_with_scale(8)).ok_or(Rule::NumberOverflow)?;
        self.steps.push(Step::Kept { kept: copy.kept, due });
        let sizes = Sizes::of(contract)?;
        let force = self.ask.settings.below_min.get() == BelowMin::Force && due.get() >= sizes.step;
        if due.get() < sizes.min && !force {
            self.asked = asked;
            return Err(Rule::GrowthKept);
        }
        let agreed = self.fit(due, contract)?;
        // What the settings cut off is not made up for later.
        let cut = due.get() - agreed.asked.get();
        let asked = Lots::new((asked.get() - cut).max(Decimal::ZERO)).map_err(|_| Rule::NumberOverflow)?;
        Ok(Agreed { asked, ..agreed })
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
        let lots = limits::total(&fitted.orders)?;
        let orders = u8::try_from(fitted.orders.len()).unwrap_or(u8::MAX);
        self.steps.push(Step::Fitted { lots_step, lots_min, lots_max, fit: fitted.fit, from, lots, orders });
        let asked = match fitted.fit {
            Fit::Step | Fit::Split | Fit::Forced | Fit::TooSmall => asked,
            Fit::Clamped | Fit::SplitCapped => lots,
        };
        if fitted.orders.is_empty() { Err(rule) } else { Ok(Agreed { rule, asked, orders: fitted.orders }) }
    }

    fn levels(
        &mut self,
        sl: Option<Price>,
        tp: Option<Price>,
        anchors: Anchors,
        contract: &Contract,
    ) -> (Option<Price>, Option<Price>) {
        let (copy_sl, copy_tp) = (self.ask.settings.copy_sl.get(), self.ask.settings.copy_tp.get());
        let moved = copy_sl == Levels::Distance || copy_tp == Levels::Distance;
        self.note_levels(anchors.shift().filter(|_| moved));
        let digits = Some(contract.digits);
        (anchors.level(copy_sl, sl, digits), anchors.level(copy_tp, tp, digits))
    }

    fn note_levels(&mut self, shift: Option<Price>) {
        let (sl, tp) = (self.ask.settings.copy_sl, self.ask.settings.copy_tp);
        self.steps.push(Step::Levels { sl: sl.get(), sl_from: sl.from, tp: tp.get(), tp_from: tp.from, shift });
    }

    /// Tells each leg its levels, unless the copy was told just these before.
    fn level_orders(&mut self, copy: &Copy, wanted: Wanted) -> Vec<Instruction> {
        let digits = self.ask.slave.symbols.get(&copy.symbol).map(|contract| contract.digits);
        let price = wanted.price.and_then(|price| exact::price(price.get(), digits));
        let wanted = Wanted { price, ..wanted };
        let legs = copy.legs.iter().filter(|leg| leg.left() > Lots::ZERO);
        let orders: Vec<_> = legs.filter_map(|leg| self.level_order(copy, leg, wanted, digits)).collect();
        if !orders.is_empty() {
            self.note_levels(None);
        }
        orders
    }

    fn level_order(&self, copy: &Copy, leg: &Leg, wanted: Wanted, digits: Option<u8>) -> Option<Instruction> {
        let waits = share::waits(leg);
        let price = wanted.price.filter(|_| waits);
        let slave = price.or(leg.price).unwrap_or(copy.price);
        let anchors = Anchors { master: price.or(self.master_price()).unwrap_or(copy.price), slave };
        let level = |how, level, told| if how == Levels::Off { told } else { anchors.level(how, level, digits) };
        let sl = level(self.ask.settings.copy_sl.get(), wanted.sl, copy.sl);
        let tp = level(self.ask.settings.copy_tp.get(), wanted.tp, copy.tp);
        let price = price.filter(|price| *price != copy.price);
        let told = (sl, tp) == (copy.sl, copy.tp) && price.is_none();
        (!told).then_some(Instruction::Modify { of: leg.order, price, sl, tp })
    }

    /// The trade as it was, or as it is told now.
    fn master_trade(&self) -> Option<&'a Trade> {
        match self.ask.change {
            Change::Open(trade) => Some(trade),
            Change::Modify { .. } | Change::Close { .. } => self.ask.before,
        }
    }

    fn master_price(&self) -> Option<Price> {
        self.master_trade().map(|trade| trade.price)
    }

    /// As it was when the copy was opened, whatever the settings say now.
    fn is_reversed(&self, copy: &Copy) -> bool {
        self.master_trade().map_or(self.ask.settings.reverse.get(), |trade| trade.side != copy.side)
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
        let (asked, begins) = if observes { (Lots::ZERO, None) } else { (self.asked, self.begins) };
        let verdict = match rule.verdict() {
            Verdict::Skipped | Verdict::Blocked if !instructions.is_empty() => Verdict::Resized,
            verdict => verdict,
        };
        Plan { logic: LOGIC, verdict, rule, steps: self.steps, asked, begins, instructions }
    }
}

/// Orders to open stand before everything else, since their places become legs.
fn entries_first(resized: Vec<Instruction>, levels: Vec<Instruction>) -> Vec<Instruction> {
    let (mut orders, closes): (Vec<_>, Vec<_>) = resized.into_iter().partition(Instruction::is_entry);
    orders.extend(levels);
    orders.extend(closes);
    orders
}

/// Brokers keep 31 characters.
const COMMENT_MAX: usize = 31;

fn short(comment: &str) -> String {
    comment.chars().take(COMMENT_MAX).collect()
}
