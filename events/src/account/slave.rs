//! What a slave does about its masters' trades, and what its terminal says of it.

use super::book::{SlaveBook, Until};
use super::command::{Refusal, SignalNote, Snapshot};
use super::compare::{Compared, compare};
use super::event::*;
use super::protection::Action;
use super::state::{Account, Figures, Link};
use crate::copy::book::{Copy, LegState, minus, plus};
use crate::copy::settings::{Effective, Layer, Mode, Overrides, WindDown, resolve};
use crate::copy::{Ask, Block, Exposure, LinkFacts, Origin, Rule, SlaveFacts, StopDegree, wind};
use crate::copy::{plan, symbol};
use crate::id::{AccountId, Position, Role};
use crate::money::Lots;
use crate::react::Effect;
use crate::reason::{RuntimeStatus, Warning};
use crate::stream::{Decision, Seen, Stamp};
use crate::time::Timestamp;
use crate::trade::{
    Affixes, Change, Contract, Holding, Instruction, Order, OrderId, OrderReason, OrderResult, Outcome, Stamps, Symbol,
    Ticket,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// So often in a row a copy that will not become what it should be is corrected; then somebody has to look.
const CORRECTIONS_MAX: u8 = 5;
const ERROR_MAX: usize = 200;
/// No change of one trade makes more orders than this for its own copy.
const ORDERS_A_CHANGE_MAX: u32 = 500;

/// No terminal has had more orders than this; and own orders are named by their number in 32 bits.
const ORDER_SEQ_MAX: u64 = 1 << 31;

/// Names the orders that a slave's own state causes; with its order numbers, which are never given twice.
const OWN_ORDERS: Uuid = Uuid::from_u128(0x3b0c_9a44_5d1e_4c0f_8d27_6f2e_11aa_70c3);

impl Account {
    /// One decision for each note, with the orders that follow from it.
    pub(super) fn copy(&self, notes: &[SignalNote], seen: &Seen<'_>) -> Decision<Event> {
        let new = SlaveBook::default();
        let mut book = std::borrow::Cow::Borrowed(self.slave_book.as_deref().unwrap_or(&new));
        let mut issue = Issue::new(self, &book, seen);
        for (done, note) in notes.iter().enumerate() {
            let Some(link) = self.links.get(&note.master) else { continue };
            let from = issue.decision.events.len();
            self.copy_one(note, link, &book, &mut issue, seen);
            if done + 1 < notes.len() {
                let at = unplaced(self, seen);
                issue.decision.events[from..].iter().for_each(|event| book.to_mut().remember(event, &at));
            }
        }
        let mut decision = issue.decision;
        self.note_warnings(&mut decision);
        self.end_wound_down(notes, &mut decision);
        self.finish(decision, seen)
    }

    fn copy_one(&self, note: &SignalNote, link: &Link, book: &SlaveBook, issue: &mut Issue<'_>, seen: &Seen<'_>) {
        let observe = Overrides { mode: Some(Mode::Observe), ..Overrides::default() };
        let unsure = self.noticed.has(Warning::LogBehindTerminal).then_some(&observe);
        let settings = self.effective_with(&note.master, note.group.as_deref(), note.settings.as_deref(), unsure, seen);
        let ticket = note.ticket();
        // A ticket that is opened anew is another trade.
        let copy = book.copy(&note.master, ticket).filter(|copy| !(copy.is_over() && opens_anew(note, copy)));
        let unknown = Unknown::default();
        let exposure = exposure(book);
        let block = self.block(seen);
        let slave = self.slave_facts(&exposure, block.as_ref(), &unknown);
        let mut plan = plan::plan(&Ask {
            change: &note.change,
            origin: note.origin,
            signal_at: note.received_at - note.age_at_receipt,
            now: seen.now,
            before: note.before.as_ref(),
            copy,
            link: LinkFacts { enabled: link.enabled, status: self.status_for_entries(link), winding: link.winding },
            settings: &settings,
            master: note.side.facts(),
            slave,
        });
        let master_lots = match copy {
            Some(copy) => plus([copy.master_lots, minus(note.master_left, copy.master_left)]),
            None => note.master_left,
        };
        let instructions = std::mem::take(&mut plan.instructions);
        let begins = plan.begins.take();
        let orders: Vec<OrderId> =
            (0..instructions.len()).map(|at| OrderId::derive(note.cause, &self.id, note.index + at as u32)).collect();
        issue.decision.events.push(Event::CopyDecided(CopyDecided {
            master: note.master.clone(),
            signal: note.signal,
            ticket,
            origin: note.origin,
            plan: Box::new(plan),
            orders: orders.clone(),
            master_lots,
            master_left: note.master_left,
            copy: begins,
        }));
        let reason = if note.origin == Origin::Signal { OrderReason::Signal } else { OrderReason::Sync };
        let deadline = plan::deadline(&settings, seen.now);
        for (id, instruction) in orders.into_iter().zip(instructions) {
            let of = Of { master: &note.master, ticket, signal: Some(note.signal), stamps: note.stamps, deadline };
            issue.order(id, instruction, reason, of);
        }
        if link.winding == Some(WindDown::CloseOnlyBySymbol)
            && note.side.others_in_symbol == 0
            && note.master_left == Lots::ZERO
        {
            self.close_waiting(note, copy, book, &settings, &slave, issue);
        }
        if settings.mode.get() != Mode::Off || settings.closes_when_off.get() {
            self.close_held_back(note, book, issue);
        }
    }

    /// The mode that held closes back has ended: what the master has closed meanwhile is closed, whichever trade tells so.
    fn close_held_back(&self, note: &SignalNote, book: &SlaveBook, issue: &mut Issue<'_>) {
        let held = book.withheld.get(&note.master).into_iter().flatten().filter(|(_, until)| **until == Until::Mode);
        for ticket in held.map(|(ticket, _)| *ticket).filter(|ticket| *ticket != note.ticket()) {
            let Some(copy) = book.copy(&note.master, ticket).filter(|_| !book.is_under_way(&note.master, ticket))
            else {
                continue;
            };
            let contract = self.identity.as_ref().and_then(|identity| identity.contracts.get(&copy.symbol));
            for instruction in wind::settle(copy, contract) {
                issue.own(instruction, OrderReason::Correction, &note.master, ticket);
            }
        }
    }

    /// The master has nothing left in the symbol: the copies that waited for that are closed, whichever trade was the last.
    fn close_waiting(
        &self,
        note: &SignalNote,
        copy: Option<&Copy>,
        book: &SlaveBook,
        settings: &Effective<'_>,
        slave: &SlaveFacts<'_>,
        issue: &mut Issue<'_>,
    ) {
        let mapped = || {
            let master = &note.before.as_ref()?.symbol;
            let plain = symbol::plain(master, &note.side.affixes, settings);
            Some(symbol::find(master, &plain, slave.affixes, slave.symbols, settings).ok()?.symbol)
        };
        let Some(symbol) = copy.map(|copy| &copy.symbol).or_else(mapped) else { return };
        let waits = |((of, ticket), copy): &((&AccountId, Ticket), &Copy)| {
            **of == note.master && *ticket != note.ticket() && copy.master_left == Lots::ZERO
        };
        let copies: Vec<_> = book.keyed().filter(waits).collect();
        for (at, ((master, ticket), instruction)) in (ORDERS_A_CHANGE_MAX..).zip(wind::flatten_symbol(symbol, copies)) {
            let id = OrderId::derive(note.cause, &self.id, note.index + at);
            let of = Of { master, ticket, signal: Some(note.signal), stamps: note.stamps, deadline: None };
            issue.order(id, instruction, OrderReason::WindDown, of);
        }
    }

    /// The link's status as far as it opens trades: it waits with the slave where the slave waits for all its masters.
    fn status_for_entries(&self, link: &Link) -> RuntimeStatus {
        match link.status {
            RuntimeStatus::Connected if !self.allows_new_orders(link) => RuntimeStatus::Enabled,
            status => status,
        }
    }

    fn block(&self, seen: &Seen<'_>) -> Option<Block> {
        if let Some(degree) = seen.stopped {
            return Some(Block::Stop(degree));
        }
        let block = self.protection.as_ref()?.blocks()?;
        let money = |number: crate::money::Number| crate::money::Money::new(number.get()).unwrap_or_default();
        let (seen, bound) = (money(block.used), money(block.allowed));
        Some(Block::Protection { limit: block.limit.as_str().into(), seen, bound })
    }

    /// The settings that a link goes by.
    pub(super) fn effective<'a>(
        &'a self,
        master: &AccountId,
        group: Option<&'a Overrides>,
        of_master: Option<&'a Overrides>,
        seen: &Seen<'a>,
    ) -> Effective<'a> {
        self.effective_with(master, group, of_master, None, seen)
    }

    fn effective_with<'a>(
        &'a self,
        master: &AccountId,
        group: Option<&'a Overrides>,
        of_master: Option<&'a Overrides>,
        above_all: Option<&'a Overrides>,
        seen: &Seen<'a>,
    ) -> Effective<'a> {
        let mut layers = vec![(Layer::Global, seen.copy_defaults)];
        layers.extend(of_master.map(|settings| (Layer::Master, settings)));
        layers.extend(group.map(|settings| (Layer::Group, settings)));
        layers.extend(self.links.get(master).map(|link| (Layer::Link, link.settings.as_ref())));
        layers.extend(self.settings.as_ref().map(|settings| (Layer::Slave, &settings.copy)));
        layers.extend(above_all.map(|settings| (Layer::Slave, settings)));
        resolve(&layers)
    }

    fn slave_facts<'a>(
        &'a self,
        exposure: &'a Exposure,
        block: Option<&'a Block>,
        unknown: &'a Unknown,
    ) -> SlaveFacts<'a> {
        let identity = self.identity.as_deref();
        SlaveFacts {
            funds: self.figures.as_deref().map(Figures::funds),
            currency: identity.map_or("", |identity| identity.currency.as_str()),
            affixes: identity.map_or(&unknown.affixes, |identity| &identity.affixes),
            symbols: identity.map_or(&unknown.symbols, |identity| &identity.contracts),
            quotes: &self.quotes,
            holding: identity.map(|identity| identity.holding).unwrap_or_default(),
            exposure,
            block,
        }
    }

    /// Warnings that decisions make: what could not be copied for want of a symbol or of volume.
    fn note_warnings(&self, decision: &mut Decision<Event>) {
        let mut warnings = Vec::new();
        for event in &decision.events {
            let Event::CopyDecided(decided) = event else { continue };
            for (rule, warning) in [
                (Rule::SymbolUnmapped, Warning::SymbolUnmapped),
                (Rule::LotBelowMin, Warning::LotBelowMin),
                (Rule::FiguresOld, Warning::StaleAccount),
            ] {
                let why = || format!("ticket {} of {}: {}", decided.ticket, decided.master, rule.sentence());
                if decided.plan.rule == rule {
                    warnings.extend(self.warn(warning, why()));
                } else if !decided.orders.is_empty() {
                    warnings.extend(self.clear(warning));
                }
            }
        }
        warnings.dedup();
        decision.events.extend(warnings);
    }

    /// Links on their way out that have nothing left.
    fn end_wound_down(&self, notes: &[SignalNote], decision: &mut Decision<Event>) {
        if !notes.iter().any(|note| self.links.get(&note.master).is_some_and(|link| link.winding.is_some())) {
            return;
        }
        let mut book = self.slave_book.as_deref().cloned().unwrap_or_default();
        book.follow(&decision.events);
        let masters: BTreeSet<&AccountId> = notes.iter().map(|note| &note.master).collect();
        for master in masters {
            let winding = self.links.get(master).is_some_and(|link| link.winding.is_some());
            if winding && book.is_done_with(master) {
                decision.events.push(Event::LinkEnded(LinkEnded { master: master.clone() }));
            }
        }
    }

    /// Refuses in this order: a master, an order that was never given, one that was answered otherwise.
    pub(super) fn result(
        &self,
        result: OrderResult,
        (durable_at, sent_at): (Option<Timestamp>, Option<Timestamp>),
        seen: &Seen<'_>,
    ) -> Result<Decision<Event>, Refusal> {
        if self.role != Role::Slave {
            return Err(Refusal::NotASlave);
        }
        let new = SlaveBook::default();
        let book = self.slave_book.as_deref().unwrap_or(&new);
        let Some(seq) = self.expected_answer(book, &result)? else { return Ok(Decision::nothing()) };
        let cut = |error: String| error.chars().filter(|c| !c.is_control()).take(ERROR_MAX).collect();
        let result = OrderResult { error: result.error.map(cut), ..result };
        let concerned = match book.outbox.get(&seq) {
            Some(order) => order.master.clone().zip(order.ticket),
            None => book.copy_of(result.order).map(|(master, ticket, _)| (master.clone(), ticket)),
        };
        let (outcome, order) = (result.outcome, result.order);
        let answered = Event::OrderAnswered(OrderAnswered { seq, result: Box::new(result), durable_at, sent_at });
        let mut issue = Issue::new(self, book, seen);
        issue.decision.effects.push(Effect::OrderDone { stream: self.stream(), order, seq });
        issue.decision.events.push(answered);
        let mut looked_at = false;
        if let Some((master, ticket)) = concerned {
            let mut small = book.about(&master, ticket);
            small.follow(&issue.decision.events);
            looked_at = small.is_to_be_looked_at(&master, ticket);
            // What an older log thinks of a copy may be done already: its terminal says first what it holds.
            if !self.noticed.has(Warning::LogBehindTerminal) {
                self.settle(&small, &master, ticket, seen, &mut issue);
            }
            let mut others = book.copies.get(&master).into_iter().flatten().filter(|(other, _)| **other != ticket);
            let ended = small.is_done_with(&master) && others.all(|(_, copy)| copy.is_over());
            if ended && self.links.get(&master).is_some_and(|link| link.winding.is_some()) {
                issue.decision.events.push(Event::LinkEnded(LinkEnded { master }));
            }
        }
        if outcome == Outcome::Unknown || looked_at || is_unsure_after(book, seq, &issue.decision.events) {
            issue.decision.effects.push(Effect::SnapshotDue { stream: self.stream() });
        }
        if outcome == Outcome::Unknown {
            issue
                .decision
                .events
                .extend(self.warn(Warning::OrderUnproven, "a terminal cannot prove what became of an order"));
        }
        let decision = issue.decision;
        Ok(self.finish(decision, seen))
    }

    /// The number of the order that the result is for; none where this was said before.
    fn expected_answer(&self, book: &SlaveBook, result: &OrderResult) -> Result<Option<u64>, Refusal> {
        let order = result.order;
        if let Some(issued) = book.outstanding(order) {
            return Ok(Some(issued.seq));
        }
        let placed = |book: &SlaveBook| {
            let leg = book.copy_of(order).and_then(|(_, _, copy)| copy.leg(order));
            leg.is_some_and(|leg| leg.state == LegState::Pending)
        };
        match book.answer_of(order) {
            Some(known) if known.outcome == result.outcome => Ok(None),
            Some(known) if known.outcome == Outcome::Placed => Ok(Some(known.seq)),
            Some(_) => Err(Refusal::OrderAnsweredAlready { order }),
            None if placed(book) => Ok(Some(0)),
            None => Err(Refusal::OrderUnknown(order)),
        }
    }

    /// Once nothing is under way for a copy, what is more than it should be is closed; where everything is to go, all of it.
    fn settle(&self, book: &SlaveBook, master: &AccountId, ticket: Ticket, seen: &Seen<'_>, issue: &mut Issue<'_>) {
        if book.is_under_way(master, ticket) || self.withholds(book, master, ticket, seen) {
            return;
        }
        let Some(copy) = book.copy(master, ticket) else { return };
        let winding = self.links.get(master).and_then(|link| link.winding);
        let all = seen.stopped == Some(StopDegree::Flatten) || winding == Some(WindDown::CloseNow);
        let without_master = Copy { master_left: Lots::ZERO, ..copy.clone() };
        let copy = if all { &without_master } else { copy };
        let contract = self.identity.as_ref().and_then(|identity| identity.contracts.get(&copy.symbol));
        let mut instructions = wind::settle(copy, contract);
        if self.cancels(winding, seen) {
            let known: BTreeSet<OrderId> = instructions.iter().map(target).collect();
            let waiting = wind::cancel_pending([((), copy)]).into_iter().map(|(_, instruction)| instruction);
            instructions.extend(waiting.filter(|instruction| !known.contains(&target(instruction))));
        }
        if instructions.is_empty() {
            return;
        }
        let tried = |of: OrderId| book.corrections.get(&of).copied().unwrap_or(0);
        for instruction in instructions {
            if tried(target(&instruction)) >= CORRECTIONS_MAX {
                let why = format!(
                    "ticket {ticket} of {master}: the copy could not be made what it should be; close the rest by hand"
                );
                issue.decision.events.extend(self.warn(Warning::VolumeDrift, why));
                continue;
            }
            issue.own(instruction, OrderReason::Correction, master, ticket);
        }
    }

    /// What waits for its price is to go, too: after STOP, at the end of a link, or by a limit of the account.
    fn cancels(&self, winding: Option<WindDown>, seen: &Seen<'_>) -> bool {
        let limited = self.protection.as_ref().and_then(|protection| protection.blocks());
        seen.stopped >= Some(StopDegree::Cancel)
            || matches!(winding, Some(WindDown::CloseOnlyByPosition | WindDown::CloseOnlyBySymbol))
            || limited.is_some_and(|block| block.action > Action::BlockEntry)
    }

    /// The close of the copy is held back on purpose, and still is.
    fn withholds(&self, book: &SlaveBook, master: &AccountId, ticket: Ticket, seen: &Seen<'_>) -> bool {
        let Some(until) = book.withheld.get(master).and_then(|tickets| tickets.get(&ticket)) else { return false };
        let Some(link) = self.links.get(master) else { return true };
        match until {
            Until::Link => {}
            Until::Symbol => return link.winding == Some(WindDown::CloseOnlyBySymbol),
            // Which mode the group has is told with the master's next change.
            Until::Mode => return link.winding.is_none(),
        }
        let settings = self.effective(master, None, None, seen);
        let (wanted, mode) = (settings.closes_when_off, settings.mode);
        let off = mode.get() == Mode::Off && mode.from >= Layer::Link;
        let on = link.enabled && self.status_for_entries(link) == RuntimeStatus::Connected && !off;
        let passes = wanted.get() && wanted.from >= Layer::Link;
        !on && !passes && link.winding.is_none()
    }

    /// Adds the closes that were held back while a link was off, where that has ended with these events.
    pub(super) fn with_withheld(&self, mut decision: Decision<Event>, seen: &Seen<'_>) -> Decision<Event> {
        let waits = |book: &SlaveBook| !book.withheld.is_empty();
        let telemetry = |event: &Event| matches!(event, Event::HeartbeatSeen(_) | Event::QuoteSeen(_));
        if !self.slave_book.as_deref().is_some_and(waits) || decision.events.iter().all(telemetry) {
            return decision;
        }
        let (mut next, at) = (self.clone(), unplaced(self, seen));
        decision.events.iter().for_each(|event| next.remember(event, &at));
        let Some(book) = next.slave_book.as_deref() else { return decision };
        let mut issue = Issue::new(&next, book, seen);
        for (master, tickets) in &book.withheld {
            tickets.keys().for_each(|ticket| next.settle(book, master, *ticket, seen, &mut issue));
        }
        decision.events.extend(issue.decision.events);
        decision.effects.extend(issue.decision.effects);
        decision
    }

    /// What the terminal has against what we think it has. Orders that are under way are left alone: their results are to come.
    pub(super) fn slave_snapshot(&self, snapshot: &Snapshot, seen: &Seen<'_>) -> Decision<Event> {
        let new = SlaveBook::default();
        let book = self.slave_book.as_deref().unwrap_or(&new);
        let holding = self.identity.as_ref().map_or(Holding::Hedging, |identity| identity.holding);
        let Compared { drifted, unknown, odd } = compare(book, holding, snapshot);
        let changed = drifted.iter().any(|drift| drift.found > Lots::ZERO);
        let mut issue = Issue::new(self, book, seen);
        issue.decision.effects.push(Effect::SnapshotDone { stream: self.stream() });
        issue.decision.events.push(Event::SnapshotTaken(SnapshotTaken {
            trades: snapshot.trades.len() as u32,
            through_signal_seq: snapshot.through_signal_seq,
            drifted,
            unknown: unknown.clone(),
            agreed: snapshot.hash(),
        }));
        let mut next = book.clone();
        next.follow(&issue.decision.events);
        let held: Vec<(AccountId, Ticket)> =
            next.all_copies().map(|(master, ticket, _)| (master.clone(), ticket)).collect();
        held.iter().for_each(|(master, ticket)| self.settle(&next, master, *ticket, seen, &mut issue));
        for (master, link) in &self.links {
            if link.winding.is_some() && next.is_done_with(master) {
                issue.decision.events.push(Event::LinkEnded(LinkEnded { master: master.clone() }));
            }
        }
        let mut decision = issue.decision;
        let raise = |holds: bool, warning: Warning, why: String| {
            if holds { self.warn(warning, why) } else { self.clear(warning) }
        };
        let strangers = unknown.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        decision.events.extend(raise(
            !unknown.is_empty(),
            Warning::UnknownPosition,
            format!("{} positions that no order of the desk opened: {strangers}", unknown.len()),
        ));
        let which = odd.iter().take(5).map(Symbol::as_str).collect::<Vec<_>>().join(", ");
        let why = match odd.is_empty() {
            true => "copies have another volume than the desk thought".into(),
            false => format!("{which}: the position is not what its copies are together; look at it by hand"),
        };
        decision.events.extend(raise(changed || !odd.is_empty(), Warning::VolumeDrift, why));
        let unproven = next.all_copies().any(|(_, _, copy)| copy.legs.iter().any(|leg| leg.state == LegState::Unknown));
        if !unproven {
            decision.events.extend(self.clear(Warning::OrderUnproven));
        }
        decision.events.extend(self.clear(Warning::LogBehindTerminal));
        self.finish(decision, seen)
    }

    /// A terminal that knows orders which the log does not have: the log is an older copy of itself. No number and no name of the
    /// orders that were lost is given again. What was withdrawn comes again by the snapshot, as far as it is still wanted.
    pub(super) fn ack(&self, order_seq: u64, seen: &Seen<'_>) -> Decision<Event> {
        let new = SlaveBook::default();
        let book = self.slave_book.as_deref().unwrap_or(&new);
        let ours = book.order_seq;
        if self.role != Role::Slave || order_seq <= ours {
            return Decision::nothing();
        }
        let why =
            format!("the terminal knows order {order_seq}, the log ends at {ours}: was an older backup restored?");
        let mut events = self.warn(Warning::LogBehindTerminal, why);
        let mut effects = Vec::new();
        if order_seq <= ORDER_SEQ_MAX {
            events.push(Event::NumbersSkipped(NumbersSkipped { through: order_seq }));
            let mut next = book.clone();
            next.skip(order_seq);
            let stream = || self.stream();
            let done =
                |(seq, order): (&u64, &Order)| Effect::OrderDone { stream: stream(), order: order.id, seq: *seq };
            effects.extend(book.outbox.iter().map(done));
            let due = |order: Order| Effect::OrderDue { stream: stream(), order: Box::new(order) };
            effects.extend(next.outbox.into_values().map(due));
            effects.push(Effect::SnapshotDue { stream: stream() });
        }
        self.with_status(events, effects, seen)
    }

    pub(crate) fn stop(&self, degree: StopDegree, stop: Uuid, seen: &Seen<'_>) -> Decision<Event> {
        let new = SlaveBook::default();
        let book = self.slave_book.as_deref().unwrap_or(&new);
        let mut issue = Issue::new(self, book, seen);
        let mut index = 0;
        for ((master, ticket), instruction) in wind::stop(degree, book.keyed()) {
            let of = Of { master, ticket, signal: None, stamps: Stamps::default(), deadline: None };
            let id = OrderId::ending(stop, &self.id, target(&instruction));
            issue.order(id, instruction, OrderReason::Stop, of);
            index += 1;
        }
        issue.decision.events.insert(0, Event::StopTaken(StopTaken { degree, orders: index }));
        issue.decision
    }

    /// The link was removed: what goes at once.
    pub(super) fn wind_down(
        &self,
        master: &AccountId,
        mode: WindDown,
        seen: &Seen<'_>,
        decision: &mut Decision<Event>,
    ) {
        let Some(book) = self.slave_book.as_deref() else { return };
        let mut issue = Issue::new(self, book, seen);
        let copies = book.keyed().filter(|((of, _), _)| *of == master);
        for ((master, ticket), instruction) in wind::wind_down(mode, copies) {
            issue.own(instruction, OrderReason::WindDown, master, ticket);
        }
        decision.events.extend(issue.decision.events);
        decision.effects.extend(issue.decision.effects);
    }

    /// Orders that end copies, for a reason of the account's own.
    pub(super) fn end_copies<'a>(
        &'a self,
        which: impl FnOnce(Keyed<'a>) -> Vec<wind::For<(&'a AccountId, Ticket)>>,
        reason: OrderReason,
        seen: &Seen<'_>,
    ) -> Decision<Event> {
        let Some(book) = self.slave_book.as_deref() else { return Decision::nothing() };
        let mut issue = Issue::new(self, book, seen);
        for ((master, ticket), instruction) in which(book.keyed().collect()) {
            // What is unproven is looked at first; what is being closed is not told again.
            let of = target(&instruction);
            let unproven = book
                .copy(master, ticket)
                .and_then(|copy| copy.leg(of))
                .is_some_and(|leg| leg.state == LegState::Unknown);
            if book.is_closing(of) || (unproven && book.snapshot_wanted) {
                continue;
            }
            issue.own(instruction, reason, master, ticket);
        }
        issue.decision
    }

    /// Adds what the events do to the statuses, where any of them can do something.
    fn finish(&self, decision: Decision<Event>, seen: &Seen<'_>) -> Decision<Event> {
        let matters =
            |event: &Event| matches!(event, Event::WarningRaised(_) | Event::WarningCleared(_) | Event::LinkEnded(_));
        match decision.events.iter().any(matters) {
            true => self.with_status(decision.events, decision.effects, seen),
            false => decision,
        }
    }
}

impl SlaveBook {
    /// The book after these events.
    fn follow(&mut self, events: &[Event]) {
        let at = Stamp {
            position: Position(0),
            version: crate::id::Version(0),
            received_at: crate::time::Timestamp::ZERO,
            recorded_at: crate::time::Timestamp::ZERO,
        };
        for event in events {
            match event {
                Event::CopyDecided(_) | Event::OrderIssued(_) | Event::OrderAnswered(_) => self.remember(event, &at),
                Event::SnapshotTaken(snapshot) => self.correct(&snapshot.drifted, snapshot.agreed),
                Event::LinkEnded(ended) => self.forget(&ended.master),
                Event::NumbersSkipped(skipped) => self.skip(skipped.through),
                _ => {}
            }
        }
    }

    /// Only what concerns one copy, which is little to copy.
    fn about(&self, master: &AccountId, ticket: Ticket) -> SlaveBook {
        let concerns = |order: &Order| order.master.as_ref() == Some(master) && order.ticket == Some(ticket);
        let mut copies = BTreeMap::new();
        if let Some(copy) = self.copy(master, ticket) {
            copies.insert(master.clone(), BTreeMap::from([(ticket, copy.clone())]));
        }
        SlaveBook {
            order_seq: self.order_seq,
            outbox: self
                .outbox
                .iter()
                .filter(|(_, order)| concerns(order))
                .map(|(seq, order)| (*seq, order.clone()))
                .collect(),
            copies,
            corrections: self.corrections.clone(),
            withheld: self
                .withheld
                .get_key_value(master)
                .into_iter()
                .map(|(of, held)| (of.clone(), held.clone()))
                .collect(),
            ..SlaveBook::default()
        }
    }
}

/// What stands for a terminal that has not said anything yet.
#[derive(Default)]
struct Unknown {
    affixes: Affixes,
    symbols: BTreeMap<Symbol, Contract>,
}

fn exposure(book: &SlaveBook) -> Exposure {
    let mut exposure = Exposure::default();
    book.all_copies().for_each(|(_, _, copy)| exposure.add(copy));
    exposure
}

/// All copies of a slave, as the copy engine takes them.
type Keyed<'a> = Vec<((&'a AccountId, Ticket), &'a Copy)>;

/// Orders that are being given, each with the next number.
struct Issue<'a> {
    account: &'a Account,
    seen: &'a Seen<'a>,
    seq: u64,
    decision: Decision<Event>,
}

/// What an order is about.
struct Of<'a> {
    master: &'a AccountId,
    ticket: Ticket,
    signal: Option<Position>,
    stamps: Stamps,
    deadline: Option<Timestamp>,
}

impl<'a> Issue<'a> {
    fn new(account: &'a Account, book: &SlaveBook, seen: &'a Seen<'a>) -> Self {
        Issue { account, seen, seq: book.order_seq, decision: Decision::nothing() }
    }

    fn order(&mut self, id: OrderId, instruction: Instruction, reason: OrderReason, of: Of<'_>) {
        self.seq += 1;
        let deadline = of.deadline.filter(|_| instruction.is_entry());
        let order = Order {
            id,
            seq: self.seq,
            instruction,
            deadline,
            reason,
            master: Some(of.master.clone()),
            ticket: Some(of.ticket),
            signal: of.signal,
            stamps: Stamps { decided: Some(self.seen.now), ..of.stamps },
        };
        let order = Box::new(order);
        self.decision.effects.push(Effect::OrderDue { stream: self.account.stream(), order: order.clone() });
        self.decision.events.push(Event::OrderIssued(OrderIssued { order }));
    }

    /// An order that the slave's own state causes; its number names it.
    fn own(&mut self, instruction: Instruction, reason: OrderReason, master: &AccountId, ticket: Ticket) {
        let next = u32::try_from(self.seq + 1).unwrap_or(u32::MAX);
        let id = OrderId::derive(OWN_ORDERS, &self.account.id, next);
        let of = Of { master, ticket, signal: None, stamps: Stamps::default(), deadline: None };
        self.order(id, instruction, reason, of);
    }
}

fn target(instruction: &Instruction) -> OrderId {
    match instruction {
        Instruction::Close { of, .. } | Instruction::Modify { of, .. } => *of,
        Instruction::Open { .. } => OrderId(Uuid::nil()),
    }
}

fn unplaced(account: &Account, seen: &Seen<'_>) -> Stamp {
    Stamp { position: Position(0), version: account.revision, received_at: seen.received_at, recorded_at: seen.now }
}

/// It was the last thing under way, and only a snapshot that leaves nothing out can say what the terminal has.
fn is_unsure_after(book: &SlaveBook, seq: u64, events: &[Event]) -> bool {
    let unproven = |book: &SlaveBook| {
        book.all_copies().any(|(_, _, copy)| copy.legs.iter().any(|leg| leg.state == LegState::Unknown))
    };
    let last = book.outbox.len() == usize::from(book.outbox.contains_key(&seq));
    if !last || !unproven(book) {
        return false;
    }
    let mut next = book.clone();
    next.follow(events);
    unproven(&next)
}

/// The master's pending order was filled: that opens again only what never was.
fn opens_anew(note: &SignalNote, copy: &Copy) -> bool {
    matches!(note.change, Change::Open(_)) && (note.before.is_none() || copy.opened() == Lots::ZERO)
}
