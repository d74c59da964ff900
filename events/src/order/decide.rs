//! What a venue's gateway answers to a command.

use super::book::{Exiting, Owner, signed};
use super::check::{Around, Check, Finding, Measure};
use super::command::{Command, Refusal};
use super::event::*;
use super::settings::{Bounds, MARKETS_MAX, STRATEGIES_MAX, Settings, millis};
use super::state::{Order, Venue};
use super::word::{ClientOrderId, Intent, Life, Purpose, TradeId, Way};
use crate::id::{MarketId, Position, Principal, StrategyId, Version};
use crate::market::{Instrument, Price, Size};
use crate::reason::Reason;
use crate::strategy::guard::Degree;
use crate::stream::{Decision, Seen, Stamp};
use crate::time::{Span, Timestamp};

/// A cancel that the venue rejected is asked for again after so long.
const CANCEL_AGAIN: Span = Span::seconds(1);
const TEXT_MAX: usize = 200;

impl Venue {
    /// What follows from the command. What the venue is asked follows from the events: [`super::Ask::of`].
    pub fn decide(&self, command: Command, around: &Around<'_>, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        if !matches!(command, Command::Open(_)) {
            self.settings()?;
        }
        let events = match command {
            Command::Open(settings) => self.open(*settings)?,
            Command::Change(settings) => self.change_settings(*settings)?,
            Command::ListMarket { market, instrument } => self.list(market, *instrument)?,
            Command::SetSession { market, open } => match self.listed.get(&market) {
                Some(listed) if listed.open == open => vec![],
                Some(_) => vec![Event::SessionChanged(SessionChanged { market, open })],
                None => return Err(Refusal::MarketUnknown(market)),
            },
            Command::Bind { strategy, bounds } => self.bind(strategy, *bounds)?,
            Command::Unbind { strategy } => self.unbind(strategy, seen.now)?,
            Command::Submit { order, intent } => match intent.purpose {
                // The guardian's own.
                Purpose::Exit(Way::Orphan) => {
                    let finding = Finding::code(Check::Ids, "only_the_guardian_exits_orphans");
                    vec![Event::OrderRefused(Box::new(OrderRefused { order, intent: shortened(intent), finding }))]
                }
                _ => self.submit(order, shortened(intent), around, seen),
            },
            Command::Several(commands) => self.several(commands, around, seen),
            Command::Cancel { order, by } => self.cancel(&order, by, seen.now)?,
            Command::CancelAll { strategy, market, by } => self.cancel_all(strategy, market, by, seen.now),
            Command::Amend { order, price, size, by } => self.amend(order, price, size, by, around, seen)?,
            Command::Report(report) => self.report(*report, seen.now)?,
            Command::Reconcile(listing) => self.reconcile(*listing, seen.now),
            Command::TakeAccount { equity, margin_free } => {
                let mut events = self.risk.take(equity, margin_free, &self.settings()?.limits, seen.now);
                if events.iter().any(|event| matches!(event, Event::RiskHalted(_))) {
                    events.extend(self.cancels(Why::RiskHalt, seen.now, Order::may_grow));
                }
                events
            }
            Command::AcknowledgeControl => self.acknowledge(around, seen),
            Command::Link { up, .. } if up == self.link.up => vec![],
            Command::Link { up, why } => vec![Event::LinkChanged(LinkChanged { up, why: short(&why) })],
            Command::Orphan { strategy, why } => self.orphan(strategy, why, seen.now),
            Command::Adopt { strategy } => match self.orphans.contains_key(&strategy) {
                true => vec![Event::StrategyAdopted(StrategyAdopted { strategy })],
                false => vec![],
            },
            Command::Watch => self.watch(around, seen),
            Command::ClearHalt { reason, by } => {
                self.risk.halted().ok_or(Refusal::NotHalted)?;
                if seen.locked {
                    return Err(Refusal::DeskLocked);
                }
                vec![Event::RiskCleared(RiskCleared { reason, by })]
            }
            Command::Adjust { market, owner, size, reason, by } => self.adjust(market, owner, size, reason, by)?,
        };
        Ok(events.into())
    }

    pub fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }

    pub(super) fn settings(&self) -> Result<&Settings, Refusal> {
        self.settings.as_deref().ok_or_else(|| Refusal::VenueUnknown(self.id.clone()))
    }

    fn several(&self, commands: Vec<Command>, around: &Around<'_>, seen: &Seen<'_>) -> Vec<Event> {
        let at = Stamp { position: Position(0), version: Version(0), received_at: seen.now, recorded_at: seen.now };
        let (mut then, last) = (self.clone(), commands.len().saturating_sub(1));
        let mut events = Vec::new();
        for (place, command) in commands.into_iter().enumerate() {
            let Ok(decided) = then.decide(command, around, seen) else { continue };
            if place < last {
                decided.events.iter().for_each(|event| then.evolve(event, &at));
            }
            events.extend(decided.events);
        }
        events
    }

    fn open(&self, settings: Settings) -> Result<Vec<Event>, Refusal> {
        if self.settings.is_some() {
            return Err(Refusal::VenueKnown(self.id.clone()));
        }
        Ok(vec![Event::Opened(Opened { settings: Box::new(settings.checked()?) })])
    }

    fn change_settings(&self, settings: Settings) -> Result<Vec<Event>, Refusal> {
        let settings = settings.checked()?;
        if settings == *self.settings()? {
            return Ok(vec![]);
        }
        Ok(vec![Event::SettingsChanged(SettingsChanged { settings: Box::new(settings) })])
    }

    fn list(&self, market: MarketId, instrument: Instrument) -> Result<Vec<Event>, Refusal> {
        if market.venue != self.id {
            return Err(Refusal::MarketUnknown(market));
        }
        if instrument.tick.0 <= 0 || instrument.step.0 <= 0 || instrument.size_min.0 < 0 {
            let why = "tick and step are above zero, and the least size is not below".into();
            return Err(Refusal::SettingInvalid { field: "instrument", why });
        }
        match self.listed.get(&market) {
            Some(known) if *known.instrument == instrument => Ok(vec![]),
            None if self.listed.len() >= MARKETS_MAX => Err(Refusal::Full(MARKETS_MAX)),
            _ => Ok(vec![Event::MarketListed(MarketListed { market, instrument: Box::new(instrument) })]),
        }
    }

    /// Who comes back finds what it held.
    fn bind(&self, strategy: StrategyId, bounds: Bounds) -> Result<Vec<Event>, Refusal> {
        let bounds = bounds.checked()?;
        match self.bounds.get(&strategy) {
            Some(known) if *known == bounds => return Ok(vec![]),
            None if self.bounds.len() >= STRATEGIES_MAX => return Err(Refusal::Full(STRATEGIES_MAX)),
            _ => {}
        }
        let adopted = self.orphans.get(&strategy).is_some_and(|orphan| orphan.why == Orphaned::Unbound);
        let mut events = vec![Event::StrategyBound(Box::new(StrategyBound { strategy: strategy.clone(), bounds }))];
        if adopted {
            events.push(Event::StrategyAdopted(StrategyAdopted { strategy }));
        }
        Ok(events)
    }

    fn unbind(&self, strategy: StrategyId, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        if !self.bounds.contains_key(&strategy) {
            return Err(Refusal::StrategyUnknown(strategy));
        }
        let mut events = vec![Event::StrategyUnbound(StrategyUnbound { strategy: strategy.clone() })];
        events.extend(self.orphan(strategy, Orphaned::Unbound, now));
        Ok(events)
    }

    /// Its quotes and entries go; what it holds stays, for the guardian.
    pub(super) fn orphan(&self, strategy: StrategyId, why: Orphaned, now: Timestamp) -> Vec<Event> {
        if self.orphans.contains_key(&strategy) {
            return vec![];
        }
        let cancels = self.cancels(Why::Orphaned, now, |order| {
            order.id.strategy == strategy && (is_quote(order) || order.may_grow())
        });
        std::iter::once(Event::StrategyOrphaned(StrategyOrphaned { strategy: strategy.clone(), why }))
            .chain(cancels)
            .collect()
    }

    /// The same id is the same order. An exit that is held back leaves no trace: it will be wanted again.
    pub(super) fn submit(
        &self,
        order: ClientOrderId,
        intent: Box<Intent>,
        around: &Around<'_>,
        seen: &Seen<'_>,
    ) -> Vec<Event> {
        if self.outcome(&order).is_some() {
            return vec![];
        }
        let exit = match intent.purpose {
            Purpose::Exit(way) => self.exiting(&intent).map(|exiting| (way, exiting)),
            Purpose::Quote { .. } | Purpose::Reduce { .. } | Purpose::Entry => None,
        };
        if let Some((way, exiting)) = exit {
            if let Some(live) = &exiting.live {
                return self.superseded(live, way, seen.now);
            }
            if seen.now < exiting.after {
                return vec![];
            }
        }
        match (self.check(&order, &intent, None, around, seen), exit) {
            (Ok(approved), _) => {
                let mut events = self.making_way(&intent, seen.now);
                let ((terms, steps), control) = (approved.taken(), around.guard.revision);
                events.push(Event::OrderSubmitted(Box::new(OrderSubmitted { order, intent, terms, steps, control })));
                events
            }
            (Err(finding), Some((way, exiting))) => self.blocked(&intent, way, exiting, finding, seen.now),
            (Err(finding), None) => vec![Event::OrderRefused(Box::new(OrderRefused { order, intent, finding }))],
        }
    }

    /// One exit at a time. One that must be takes the place of one that may be, once that is gone.
    fn superseded(&self, live: &ClientOrderId, way: Way, now: Timestamp) -> Vec<Event> {
        let Some(order) = self.live.get(live) else { return vec![] };
        if !way.is_protective() || order.intent.purpose.is_protective() {
            return vec![];
        }
        self.ask_cancel(order, Why::Superseded, now).into_iter().collect()
    }

    /// What would make a position larger that is being given up is cancelled.
    fn making_way(&self, intent: &Intent, now: Timestamp) -> Vec<Event> {
        let Purpose::Exit(_) = intent.purpose else { return vec![] };
        match &intent.trade {
            Some(TradeId(entry)) => {
                let entry = self.live.get(entry);
                entry.and_then(|entry| self.ask_cancel(entry, Why::TradeEnding, now)).into_iter().collect()
            }
            None => self.cancels(Why::TradeEnding, now, |order| {
                let (strategy, market) = (&order.id.strategy, &order.intent.market);
                (strategy, market) == (&intent.strategy, &intent.market) && is_quote(order)
            }),
        }
    }

    /// Said once for each reason, and once more when it has lasted too long.
    fn blocked(&self, intent: &Intent, way: Way, exiting: &Exiting, finding: Finding, now: Timestamp) -> Vec<Event> {
        let Intent { strategy, market, trade, .. } = intent;
        let (strategy, market, trade) = (strategy.clone(), market.clone(), trade.clone());
        let patience = self.settings.as_ref().map_or(0, |settings| settings.guardian.escalate_after_ms);
        match &exiting.blocked {
            Some(known) if same(&known.finding, &finding) => {
                if exiting.escalated || now.since(known.since) < millis(patience) {
                    return vec![];
                }
                let tries = exiting.tries;
                vec![Event::ExitEscalated(ExitEscalated { strategy, market, trade, tries })]
            }
            _ => vec![Event::ExitBlocked(Box::new(ExitBlocked { strategy, market, trade, way, finding }))],
        }
    }

    fn cancel(&self, id: &ClientOrderId, by: Option<StrategyId>, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        let order = self.owned(id, by.as_ref())?;
        let why = if by.is_some() { Why::Strategy } else { Why::Operator };
        Ok(self.ask_cancel(order, why, now).into_iter().collect())
    }

    fn cancel_all(
        &self,
        strategy: Option<StrategyId>,
        market: Option<MarketId>,
        by: Option<StrategyId>,
        now: Timestamp,
    ) -> Vec<Event> {
        let why = if by.is_some() { Why::Strategy } else { Why::Operator };
        let strategy = by.or(strategy);
        self.cancels(why, now, |order| {
            strategy.as_ref().is_none_or(|strategy| order.id.strategy == *strategy)
                && market.as_ref().is_none_or(|market| order.intent.market == *market)
        })
    }

    fn owned(&self, id: &ClientOrderId, by: Option<&StrategyId>) -> Result<&Order, Refusal> {
        let order = self.order(id).ok_or_else(|| Refusal::OrderUnknown(id.clone()))?;
        match by.filter(|by| **by != order.id.strategy) {
            Some(by) => {
                let owner = order.id.strategy.clone();
                Err(Refusal::NotOwner { order: id.clone(), owner, by: by.clone() })
            }
            None => Ok(order),
        }
    }

    /// Cancels have their own budget and always go out: nothing refuses them.
    pub(super) fn cancels(&self, why: Why, now: Timestamp, of: impl Fn(&Order) -> bool) -> Vec<Event> {
        self.live.values().filter(|order| of(order)).filter_map(|order| self.ask_cancel(order, why, now)).collect()
    }

    /// None where nothing is left to cancel, it is asked for already, or it was just rejected.
    fn ask_cancel(&self, order: &Order, why: Why, now: Timestamp) -> Option<Event> {
        let cancellable = order.goes(super::life::Turn::RequestCancel).is_some();
        let just_rejected = order.cancel_rejected_at.is_some_and(|at| now.since(at) < CANCEL_AGAIN);
        (cancellable && !just_rejected)
            .then(|| Event::CancelRequested(CancelRequested { order: order.id.clone(), why }))
    }

    /// Another price, or smaller. It passes the checks of what may change: the guard, a halt, the session, the market's age.
    fn amend(
        &self,
        id: ClientOrderId,
        price: Price,
        size: Size,
        by: Option<StrategyId>,
        around: &Around<'_>,
        seen: &Seen<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        let order = self.owned(&id, by.as_ref())?;
        if !matches!(order.life, Life::Accepted | Life::PartiallyFilled) || order.amending.is_some() {
            return Err(Refusal::NotAmendable(id));
        }
        let Some(listed) = self.listed.get(&order.intent.market) else {
            return Err(Refusal::MarketUnknown(order.intent.market.clone()));
        };
        if price.0 <= 0 || !price.is_multiple_of(listed.instrument.tick) || order.terms.price.is_none() {
            return Err(Refusal::AmendInvalid("the price"));
        }
        if size > order.terms.size || size <= order.filled || !size.is_multiple_of(listed.instrument.step) {
            return Err(Refusal::AmendInvalid("the size"));
        }
        let mut intent = order.intent.clone();
        (intent.terms.price, intent.terms.size) = (Some(price), size - order.filled);
        match self.check(&id, &intent, Some(&id), around, seen) {
            Ok(approved) if approved.size() < size - order.filled => {
                let observed = format!("only {} would pass", approved.size());
                Err(Refusal::AmendRefused { check: Check::MaxUnits.code(), observed })
            }
            Ok(_) => Ok(vec![Event::AmendRequested(AmendRequested { order: id, price, size })]),
            Err(finding) => {
                let observed = finding.observed.to_string();
                Err(Refusal::AmendRefused { check: finding.check.code(), observed })
            }
        }
    }

    /// Enforces what the guard says from now on: what may not stand any more is cancelled.
    fn acknowledge(&self, around: &Around<'_>, seen: &Seen<'_>) -> Vec<Event> {
        let (revision, stopped) = (around.guard.revision, around.guard.stopped(seen.stopped.map(Degree::of_desk)));
        let mut events = Vec::new();
        if revision > self.control {
            events.push(Event::ControlAcknowledged(ControlAcknowledged { revision }));
        }
        if around.guard.lock || stopped >= Some(Degree::CloseOnly) {
            events.extend(self.cancels(Why::Control, seen.now, Order::may_grow));
        }
        events
    }

    /// A person says what is held. The book follows, and it is marked.
    fn adjust(
        &self,
        market: MarketId,
        owner: Owner,
        size: Size,
        reason: Reason,
        by: Principal,
    ) -> Result<Vec<Event>, Refusal> {
        if !self.listed.contains_key(&market) {
            return Err(Refusal::MarketUnknown(market));
        }
        if let Owner::Trade(id) = &owner {
            let fits = |trade: &super::Trade| {
                trade.market == market && signed(trade.side, Size::ONE).0.signum() != -size.0.signum()
            };
            if !self.book.trades.get(id).is_some_and(fits) {
                return Err(Refusal::NothingToAdjust(market));
            }
        }
        let by_size = size - self.book.of(&market, &owner);
        if by_size.is_zero() {
            return Ok(vec![]);
        }
        let why = Adjustment::Person { reason, by };
        Ok(vec![Event::PositionAdjusted(PositionAdjusted { market, owner, by: by_size, why })])
    }
}

pub(super) fn is_quote(order: &Order) -> bool {
    matches!(order.intent.purpose, Purpose::Quote { .. } | Purpose::Reduce { .. })
}

/// For the same reason: what was seen may differ where it is a number, since that changes with each look.
fn same(one: &Finding, other: &Finding) -> bool {
    let code = |finding: &Finding| match &finding.observed {
        Measure::Code(code) => Some(code.clone()),
        _ => None,
    };
    one.check == other.check && code(one) == code(other)
}

pub(super) fn short(text: &str) -> Box<str> {
    text.chars().take(TEXT_MAX).collect::<String>().into()
}

fn shortened(mut intent: Box<Intent>) -> Box<Intent> {
    if intent.why.chars().count() > TEXT_MAX {
        intent.why = short(&intent.why);
    }
    intent
}
