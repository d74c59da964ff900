//! What every slave should hold, from what the brokers executed and the terms of each link. It shares no code with the copy
//! engine, hears nothing from the desk, and counts in plain decimals.

use super::broker::{By, Execution, Tag, What};
use super::cast::{BelowMin, Link, Terms, Volume};
use super::house::House;
use super::story::story;
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tidehelm_events::id::{AccountId, Role};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::{Contract, Holding, OrderId, Side, Symbol, Ticket};

/// So many findings are told with all that led to them.
const STORIES: usize = 100;

/// An account and what its broker did.
#[derive(Clone, Copy)]
pub struct Book<'a> {
    pub account: &'a AccountId,
    pub house: &'a House,
    pub holding: Holding,
    /// In the beginning.
    pub balance: Decimal,
    pub executions: &'a [Execution],
}

/// A time in which somebody could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// None: the desk itself.
    pub who: Option<(Role, AccountId)>,
    pub from: Timestamp,
    pub to: Timestamp,
}

/// Everything that the judgement rests on.
pub struct Evidence<'a> {
    pub masters: Vec<Book<'a>>,
    pub slaves: Vec<Book<'a>>,
    pub links: &'a [Link],
    pub outages: &'a [Outage],
    /// Orders of which a terminal said that it cannot prove what became of them, by slave, with their symbols.
    pub unproven: &'a BTreeMap<(AccountId, OrderId), Option<Symbol>>,
    /// Trades from before are not copied.
    pub since: Timestamp,
    /// How long a trade must have been open for its copy to be missed, and how long it takes to come back after an outage.
    pub patience: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The slave should hold it and nothing was tried.
    Lost,
    /// Opened twice, or more than it should be.
    Doubled,
    /// The volume is another one.
    Drift,
    WrongSide,
    WrongSymbol,
    /// The master has closed it, the slave has not.
    Orphaned,
    /// Nobody should have opened it.
    Stray,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub fault: Fault,
    pub slave: AccountId,
    pub master: Option<AccountId>,
    pub ticket: Option<Ticket>,
    #[serde(serialize_with = "as_text")]
    pub expected: Decimal,
    #[serde(serialize_with = "as_text")]
    pub held: Decimal,
    /// What the brokers did; of the first findings only.
    pub story: Vec<String>,
}

fn as_text<S: serde::Serializer>(decimal: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(decimal)
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Verdict {
    pub links: u64,
    pub master_trades: u64,
    /// Trades × links that should have been copied, and those of which all or a part was.
    pub wanted: u64,
    pub copied: u64,
    /// Copies that still stand at the end.
    pub standing: u64,
    /// Volume too small for the slave, so rightly nothing.
    pub too_small: u64,
    /// A broker refused the whole, or filled only a part.
    pub refused: u64,
    pub filled_in_part: u64,
    /// Somebody was away for longer than an open may be late.
    pub too_late: u64,
    /// A terminal had just registered and no heartbeat had come: until then an account is offline, and nothing is opened for it.
    pub not_ready: u64,
    /// Closed again before it could be seen.
    pub too_brief: u64,
    /// The slave's own broker closed it: stops, expiry.
    pub stopped_out: u64,
    pub unproven: u64,
    /// Grown positions of which the slave's broker refused a part: only bounds are known.
    pub bounded: u64,
    /// From the master's broker to the slave's, in microseconds.
    #[serde(skip)]
    pub delays: Vec<i64>,
    pub findings: Vec<Finding>,
}

impl Verdict {
    pub fn is_equal(&self) -> bool {
        self.findings.is_empty()
    }
    /// How often it was said why a copy is not there, or not as it should be.
    fn reasons(&self) -> u64 {
        let said = [self.too_small, self.refused, self.too_late, self.not_ready, self.too_brief, self.unproven];
        said.iter().sum::<u64>() + self.bounded + self.findings.len() as u64
    }
    pub fn count(&self, fault: Fault) -> usize {
        self.findings.iter().filter(|finding| finding.fault == fault).count()
    }
}

/// Compares every slave with what it should hold.
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let mut verdict = Verdict { links: evidence.links.len() as u64, ..Verdict::default() };
    let masters: BTreeMap<&AccountId, (Book<'_>, BTreeMap<Ticket, Source>)> =
        evidence.masters.iter().map(|book| (book.account, (*book, sources(book.executions)))).collect();
    verdict.master_trades = masters.values().map(|(_, sources)| sources.len() as u64).sum();
    for book in &evidence.slaves {
        let mut copies = copies(book.executions, &mut |what| verdict.findings.push(stray(book.account, None, what)));
        for link in evidence.links.iter().filter(|link| link.slave == *book.account) {
            let Some((master, sources)) = masters.get(&link.master) else { continue };
            for (ticket, source) in sources.iter().filter(|(_, source)| source.opened_at >= evidence.since) {
                let copy = copies.remove(&(link.master.clone(), *ticket)).unwrap_or_default();
                let case = Case { evidence, link, master, slave: book, ticket: *ticket, source, copy: &copy };
                case.judge_whole(&mut verdict);
            }
        }
        for ((master, ticket), copy) in copies {
            verdict.findings.push(stray(book.account, Some((master, ticket)), copy.opened - copy.closed));
        }
    }
    for finding in verdict.findings.iter_mut().take(STORIES) {
        finding.story = story(finding, evidence);
    }
    verdict
}

fn stray(slave: &AccountId, of: Option<(AccountId, Ticket)>, held: Decimal) -> Finding {
    let (master, ticket) = of.unzip();
    Finding { fault: Fault::Stray, slave: slave.clone(), master, ticket, expected: Decimal::ZERO, held, story: vec![] }
}

/// A master's trade, by what its broker did.
#[derive(Debug)]
struct Source {
    symbol: Symbol,
    side: Side,
    opened_at: Timestamp,
    ended_at: Option<Timestamp>,
    /// What was put in, at most, and what is left.
    put_in: Decimal,
    most: Decimal,
    left: Decimal,
    /// When something was put in.
    added: Vec<Timestamp>,
    /// What was left each time that it changed.
    levels: Vec<(Timestamp, Decimal)>,
}

fn sources(executions: &[Execution]) -> BTreeMap<Ticket, Source> {
    let mut sources: BTreeMap<Ticket, Source> = BTreeMap::new();
    for Execution { at, what, .. } in executions {
        match what {
            What::Dealt { ticket, symbol, side, lots, .. } | What::Placed { ticket, symbol, side, lots, .. } => {
                let fresh = || Source::new(symbol, *side, *at);
                sources.entry(*ticket).or_insert_with(fresh).add(*at, *side, lots.get());
            }
            What::Triggered { ticket, lots } => {
                if let Some(source) = sources.get_mut(ticket) {
                    source.put_in -= lots.get();
                    source.added.pop();
                    source.take(*at, lots.get());
                }
            }
            What::Withdrawn { ticket, lots, .. } => {
                if let Some(source) = sources.get_mut(ticket) {
                    source.take(*at, lots.get());
                }
            }
            What::Unfilled { .. } | What::Refused { .. } | What::Modified { .. } => {}
        }
    }
    sources
}

impl Source {
    fn new(symbol: &Symbol, side: Side, opened_at: Timestamp) -> Source {
        let zero = Decimal::ZERO;
        Source {
            symbol: symbol.clone(),
            side,
            opened_at,
            ended_at: None,
            put_in: zero,
            most: zero,
            left: zero,
            added: Vec::new(),
            levels: Vec::new(),
        }
    }

    fn add(&mut self, at: Timestamp, side: Side, lots: Decimal) {
        if side != self.side {
            return self.take(at, lots);
        }
        self.added.push(at);
        self.put_in += lots;
        self.most = self.most.max(self.put_in);
        self.left += lots;
        self.levels.push((at, self.left));
        self.ended_at = None;
    }

    fn take(&mut self, at: Timestamp, lots: Decimal) {
        self.left -= lots;
        self.levels.push((at, self.left));
        if self.left <= Decimal::ZERO {
            self.ended_at = Some(at);
        }
    }
}

/// What a slave's broker did for one trade of one master.
#[derive(Debug, Default)]
struct Copied {
    opened: Decimal,
    closed: Decimal,
    /// What the market closed: stops, expiry.
    market_closed: Decimal,
    unfilled: Decimal,
    /// In pending orders that the market has not reached yet.
    waiting: Decimal,
    opened_at: Option<Timestamp>,
    at_market: bool,
    names: BTreeSet<Symbol>,
    sides: BTreeSet<Side>,
    orders: BTreeMap<OrderId, Fate>,
}

/// What became of one order to open.
#[derive(Debug, Default)]
struct Fate {
    /// Requests that opened something.
    opening: BTreeSet<u64>,
    refused: Decimal,
    /// The request itself was wrong: no excuse.
    senseless: bool,
}

type Key = (AccountId, Ticket);

/// Copies by what they copy. Whatever was opened without an order of the desk is told apart.
fn copies(executions: &[Execution], untold: &mut dyn FnMut(Decimal)) -> BTreeMap<Key, Copied> {
    let mut copies: BTreeMap<Key, Copied> = BTreeMap::new();
    for execution in executions {
        let Some(tag) = &execution.tag else {
            if let What::Dealt { lots, .. } | What::Placed { lots, .. } = &execution.what {
                untold(lots.get());
            }
            continue;
        };
        copies.entry((tag.master.clone(), tag.ticket)).or_default().hear(execution, tag);
    }
    copies
}

impl Copied {
    fn hear(&mut self, execution: &Execution, tag: &Tag) {
        match &execution.what {
            What::Placed { symbol, side, lots, .. } => {
                self.waiting += lots.get();
                self.open(execution, tag, symbol, *side, lots.get());
            }
            What::Dealt { symbol, side, lots, by: By::Request, .. } if tag.opens => {
                self.at_market = true;
                self.open(execution, tag, symbol, *side, lots.get());
            }
            // Counted when it was placed.
            What::Triggered { lots, .. } => self.waiting -= lots.get(),
            What::Dealt { by: By::Pending, .. } | What::Modified { .. } => {}
            What::Dealt { lots, by, .. } => self.close(lots.get(), *by),
            What::Withdrawn { lots, by, .. } => {
                self.waiting -= lots.get();
                self.close(lots.get(), *by);
            }
            What::Unfilled { lots, .. } if tag.opens => self.unfilled += lots.get(),
            What::Refused { lots, why } if tag.opens => {
                let fate = self.orders.entry(tag.order).or_default();
                fate.refused = fate.refused.max(lots.get());
                fate.senseless |= why.blames_the_request();
            }
            What::Unfilled { .. } | What::Refused { .. } => {}
        }
    }

    fn open(&mut self, execution: &Execution, tag: &Tag, symbol: &Symbol, side: Side, lots: Decimal) {
        self.opened += lots;
        self.opened_at.get_or_insert(execution.at);
        self.names.insert(symbol.clone());
        self.sides.insert(side);
        self.orders.entry(tag.order).or_default().opening.extend(execution.request);
    }

    fn close(&mut self, lots: Decimal, by: By) {
        self.closed += lots;
        if by != By::Request {
            self.market_closed += lots;
        }
    }

    /// What the broker did not open although it was asked to as it should be.
    fn withheld(&self) -> Decimal {
        let refused =
            |fate: &Fate| if fate.opening.is_empty() && !fate.senseless { fate.refused } else { Decimal::ZERO };
        self.unfilled + self.orders.values().map(refused).sum::<Decimal>()
    }
}

/// One trade of a master and one slave that should copy it.
struct Case<'a> {
    evidence: &'a Evidence<'a>,
    link: &'a Link,
    master: &'a Book<'a>,
    slave: &'a Book<'a>,
    ticket: Ticket,
    source: &'a Source,
    copy: &'a Copied,
}

impl Case<'_> {
    /// Nothing that is missing goes without a reason: what was not copied is counted under one, or found lost.
    fn judge_whole(&self, verdict: &mut Verdict) {
        let (before, found) = (verdict.reasons(), verdict.findings.len());
        self.judge(verdict);
        if verdict.findings.len() > found && self.is_in_doubt() {
            verdict.findings.truncate(found);
            verdict.unproven += 1;
        }
        if self.copy.opened > Decimal::ZERO || verdict.reasons() > before {
            return;
        }
        let Some((_, contract)) = self.counterpart() else { return };
        let ratio = self.slave.balance / self.master.balance;
        let lasting = volume(&self.link.terms, self.lasting(), contract, ratio);
        if lasting == Decimal::ZERO {
            verdict.too_brief += 1;
        } else if self.copy.withheld() > Decimal::ZERO {
            verdict.refused += 1;
        } else if !self.is_explained(lasting, verdict) {
            verdict.findings.push(self.finding(Fault::Lost, lasting, Decimal::ZERO));
        }
    }

    /// Where positions are netted, an order of which nobody knows what became is in the same position as this copy.
    fn is_in_doubt(&self) -> bool {
        let Some((name, _)) = self.counterpart() else { return false };
        let of_slave = self.evidence.unproven.iter().filter(|((slave, _), _)| slave == self.slave.account);
        self.slave.holding == Holding::Netting && of_slave.into_iter().any(|(_, symbol)| symbol.as_ref() == Some(name))
    }

    /// The most that the trade was for long enough to be seen.
    fn lasting(&self) -> Decimal {
        let levels = &self.source.levels;
        let ends = levels.iter().skip(1).map(|(at, _)| *at).chain([Timestamp(i64::MAX)]);
        let patience = self.evidence.patience;
        let lasting = levels.iter().zip(ends).filter(|((at, _), end)| end.since(*at) > patience);
        lasting.map(|((_, left), _)| *left).max().unwrap_or_default()
    }

    fn judge(&self, verdict: &mut Verdict) {
        let Some((name, contract)) = self.counterpart() else { return };
        let (copy, source) = (self.copy, self.source);
        let target = volume(&self.link.terms, source.most, contract, self.slave.balance / self.master.balance);
        let held = copy.opened - copy.closed;
        verdict.wanted += u64::from(target > Decimal::ZERO);
        verdict.too_small += u64::from(target == Decimal::ZERO);
        verdict.copied += u64::from(copy.opened > Decimal::ZERO);
        verdict.standing += u64::from(held > Decimal::ZERO);
        if copy.at_market {
            verdict.delays.extend(copy.opened_at.map(|at| at.since(source.opened_at).0));
        }
        let mut find = |fault, expected| verdict.findings.push(self.finding(fault, expected, held));
        let of_ours = |order: &OrderId| (self.slave.account.clone(), *order);
        if copy.orders.keys().any(|order| self.evidence.unproven.contains_key(&of_ours(order))) {
            verdict.unproven += 1;
            return;
        }
        if copy.names.iter().any(|known| known != name) {
            return find(Fault::WrongSymbol, target);
        }
        if copy.sides.iter().any(|side| *side != self.side()) {
            return find(Fault::WrongSide, target);
        }
        if copy.orders.values().any(|fate| fate.opening.len() > 1) {
            return find(Fault::Doubled, target);
        }
        // A position that grows and shrinks at once looks to its terminal like less than was dealt: only what is left counts.
        if self.master.holding == Holding::Netting {
            return self.judge_netted(held, contract, verdict);
        }
        self.judge_hedged(held, contract, verdict);
    }

    /// What was opened against what should have been, and what is left against what is left of the trade.
    fn judge_hedged(&self, held: Decimal, contract: &Contract, verdict: &mut Verdict) {
        let (copy, source) = (self.copy, self.source);
        let ratio = self.slave.balance / self.master.balance;
        let target = |seen: Decimal| volume(&self.link.terms, seen, contract, ratio);
        let fits = |seen: &Decimal| copy.opened == target(*seen) && self.rest_fits(held, *seen, step_of(contract));
        let stopped = copy.market_closed > Decimal::ZERO;
        if self.seen().iter().any(fits) {
            verdict.stopped_out += u64::from(stopped);
            return;
        }
        let all_but_withheld = |seen: &Decimal| {
            let target = target(*seen);
            copy.opened < target
                && copy.opened + copy.withheld() >= target
                && self.rest_fits(held, *seen, step_of(contract))
        };
        if self.seen().iter().any(all_but_withheld) {
            verdict.filled_in_part += 1;
            return;
        }
        // A pending order cannot be made smaller: what is too much of it is closed once the market has reached it.
        if held > Decimal::ZERO && copy.waiting == held && source.left > Decimal::ZERO {
            verdict.bounded += 1;
            return;
        }
        let most = target(source.most);
        let fault = match copy.opened {
            opened if opened > most && copy.orders.len() > 1 => Fault::Doubled,
            opened if opened > most => Fault::Drift,
            opened if opened < most && !self.is_explained(most - opened, verdict) => match opened == Decimal::ZERO {
                true => Fault::Lost,
                false => Fault::Drift,
            },
            _ if self.rest_fits(held, source.most, step_of(contract)) => return,
            _ if source.left <= Decimal::ZERO => Fault::Orphaned,
            _ => Fault::Drift,
        };
        let expected = if fault == Fault::Lost { most } else { copy.opened * source.left / source.most };
        verdict.findings.push(self.finding(fault, expected, held));
    }

    /// What is left of the copy is its share of what is left of the trade.
    fn rest_fits(&self, held: Decimal, seen: Decimal, step: Decimal) -> bool {
        let source = self.source;
        if source.left <= Decimal::ZERO {
            return held == Decimal::ZERO;
        }
        let share = self.copy.opened * source.left / seen;
        let least = if self.copy.market_closed > Decimal::ZERO { Decimal::ZERO } else { share - step };
        held <= share + step && held >= least
    }

    /// The volumes that the master's terminal may have seen first: all of it, or what was left when it came to look.
    fn seen(&self) -> Vec<Decimal> {
        let source = self.source;
        let looked = self.arrives(source.opened_at) + self.evidence.patience;
        let later = source.levels.iter().filter(|(at, left)| *at <= looked && *left > Decimal::ZERO);
        std::iter::once(source.most).chain(later.map(|(_, left)| *left)).collect()
    }

    fn judge_ended(&self, held: Decimal, verdict: &mut Verdict) {
        if held != Decimal::ZERO {
            verdict.findings.push(self.finding(Fault::Orphaned, Decimal::ZERO, held));
        }
    }

    /// However often it grew and shrank: within the least difference that the slave's broker can make.
    fn judge_netted(&self, held: Decimal, contract: &Contract, verdict: &mut Verdict) {
        let (copy, source) = (self.copy, self.source);
        if source.left <= Decimal::ZERO {
            return self.judge_ended(held, verdict);
        }
        let exactly = |lots| exact_volume(&self.link.terms, lots, self.slave.balance / self.master.balance);
        let share = exactly(source.left);
        let room = step_of(contract);
        if (share - held).abs() <= room {
            return;
        }
        let late = || source.added.iter().any(|at| self.was_too_late(*at));
        let clamped = exactly(source.most) > contract.lots_max.get();
        let stopped = copy.market_closed > Decimal::ZERO;
        let waits = held > Decimal::ZERO && copy.waiting == held;
        if clamped || waits || copy.withheld() > Decimal::ZERO || (held < share && (stopped || late())) {
            verdict.bounded += 1;
            verdict.stopped_out += u64::from(stopped);
            return;
        }
        let opening = copy.orders.values().filter(|fate| !fate.opening.is_empty()).count();
        let fault = match copy.opened == Decimal::ZERO {
            true => Fault::Lost,
            false if held > share && opening > source.added.len() => Fault::Doubled,
            false => Fault::Drift,
        };
        verdict.findings.push(self.finding(fault, share, held));
    }

    fn is_explained(&self, short: Decimal, verdict: &mut Verdict) -> bool {
        if self.copy.withheld() >= short {
            match self.copy.opened == Decimal::ZERO {
                true => verdict.refused += 1,
                false => verdict.filled_in_part += 1,
            }
            return true;
        }
        if self.was_too_late(self.source.opened_at) {
            verdict.too_late += 1;
            return true;
        }
        if self.copy.opened == Decimal::ZERO && self.came_before_a_heartbeat() {
            verdict.not_ready += 1;
            return true;
        }
        let lived = self.source.ended_at.map(|ended| ended.since(self.source.opened_at));
        if lived.is_some_and(|lived| lived <= self.evidence.patience) || self.ended_unseen() {
            verdict.too_brief += 1;
            return true;
        }
        false
    }

    /// Outages, one after the other, kept it back for longer than the link allows.
    fn was_too_late(&self, at: Timestamp) -> bool {
        self.arrives(at).since(at) >= self.link.terms.age_max
    }

    /// Word of it may have come when master or slave had just registered.
    fn came_before_a_heartbeat(&self) -> bool {
        let (patience, from) = (self.evidence.patience, self.source.opened_at);
        let until = self.arrives(from) + patience;
        let mut registered =
            self.evidence.outages.iter().filter(|outage| self.concerns(outage)).map(|outage| outage.to);
        registered.any(|to| to + patience >= from && to <= until)
    }

    fn concerns(&self, outage: &Outage) -> bool {
        match &outage.who {
            None => true,
            Some((Role::Master, account)) => *account == self.link.master,
            Some((Role::Slave, account)) => *account == self.link.slave,
        }
    }

    /// It ended before anybody could be told of it.
    fn ended_unseen(&self) -> bool {
        let arrives = self.arrives(self.source.opened_at);
        arrives > self.source.opened_at && self.source.ended_at.is_some_and(|ended| ended <= arrives)
    }

    /// When word of what happened then could be at the slave, at the latest.
    fn arrives(&self, at: Timestamp) -> Timestamp {
        let patience = self.evidence.patience;
        let mut outages: Vec<&Outage> = self.evidence.outages.iter().filter(|outage| self.concerns(outage)).collect();
        outages.sort_by_key(|outage| outage.from);
        let mut arrives = at;
        for outage in outages {
            if outage.from <= arrives + patience && outage.to + patience > arrives {
                arrives = outage.to + patience;
            }
        }
        arrives
    }

    fn side(&self) -> Side {
        if self.link.terms.reverse { self.source.side.opposite() } else { self.source.side }
    }

    /// What the slave's broker calls the master's symbol.
    fn counterpart(&self) -> Option<(&Symbol, &Contract)> {
        let instrument = self.master.house.listing(&self.source.symbol)?.instrument;
        self.slave.house.symbol(instrument).map(|(name, listing)| (name, &listing.contract))
    }

    fn finding(&self, fault: Fault, expected: Decimal, held: Decimal) -> Finding {
        Finding {
            fault,
            slave: self.link.slave.clone(),
            master: Some(self.link.master.clone()),
            ticket: Some(self.ticket),
            expected: expected.normalize(),
            held: held.normalize(),
            story: vec![],
        }
    }
}

/// What the slave opens in all for so much of the master's. `ratio` is the slave's balance by the master's.
fn volume(terms: &Terms, of: Decimal, contract: &Contract, ratio: Decimal) -> Decimal {
    let wanted = exact_volume(terms, of, ratio);
    let (step, least, most) = (contract.lots_step.get(), contract.lots_min.get(), contract.lots_max.get());
    let whole = (wanted / step).floor() * step;
    match terms.below_min {
        BelowMin::Skip if whole < least => Decimal::ZERO,
        BelowMin::Force if whole < least => least,
        BelowMin::Skip | BelowMin::Force => whole.min(most),
    }
}

/// Before it is rounded.
fn exact_volume(terms: &Terms, of: Decimal, ratio: Decimal) -> Decimal {
    match terms.volume {
        Volume::Fixed(lots) => lots,
        Volume::Multiplier(factor) => of * factor,
        Volume::BalanceRatio => of * ratio,
    }
}

/// The least difference that a broker can make.
fn step_of(contract: &Contract) -> Decimal {
    contract.lots_step.max(contract.lots_min).get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::market::INSTRUMENTS;

    #[test]
    fn a_volume_is_what_a_person_would_work_out() {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        let contract = |name: &str| INSTRUMENTS.iter().find(|one| one.name == name).unwrap().contract();
        let terms = |volume, below_min| Terms { volume, reverse: false, below_min, age_max: Span::seconds(5) };
        let by = |factor: &str| Volume::Multiplier(decimal(factor));
        let fixed = |lots: &str| Volume::Fixed(decimal(lots));
        for (volume_of, below_min, of, symbol, ratio, then) in [
            (by("1"), BelowMin::Skip, "0.37", "EURUSD", "1", "0.37"),
            (by("0.5"), BelowMin::Skip, "0.37", "EURUSD", "1", "0.18"),
            (by("0.1"), BelowMin::Skip, "0.05", "EURUSD", "1", "0"),
            (by("0.1"), BelowMin::Force, "0.05", "EURUSD", "1", "0.01"),
            (by("2"), BelowMin::Skip, "30", "EURUSD", "1", "50"),
            (by("0.25"), BelowMin::Skip, "1.9", "US500", "1", "0.4"),
            (fixed("0.07"), BelowMin::Skip, "3", "EURUSD", "1", "0.07"),
            (fixed("0.07"), BelowMin::Skip, "3", "US500", "1", "0"),
            (Volume::BalanceRatio, BelowMin::Skip, "0.5", "EURUSD", "0.25", "0.12"),
            (Volume::BalanceRatio, BelowMin::Skip, "0.5", "EURUSD", "8", "4"),
        ] {
            let found = volume(&terms(volume_of, below_min), decimal(of), &contract(symbol), decimal(ratio));
            assert_eq!(found, decimal(then), "{volume_of:?} of {of} {symbol}");
        }
    }
}
