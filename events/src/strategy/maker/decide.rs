//! What a maker answers to a command, and what follows from a look at its market.

use super::LOGIC;
use super::command::{Command, Refusal};
use super::event::*;
use super::look::Look;
use super::mode::Mode;
use super::model::{Scene, Spread};
use super::parameter::Parameters;
use super::plan::{Aim, Plan};
use super::quote::{Care, Quotes};
use super::reason::{Reason, Why};
use super::state::{Maker, SetId};
use crate::id::Principal;
use crate::reason::Reason as Text;
use crate::stream::{Decision, Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};

/// A maker that has nothing to say says so this often.
const HEARTBEAT: Span = Span::seconds(5);

impl Stream for Maker {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command, _: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        let events = match command {
            Command::Open { market } => match self.market {
                None => vec![Event::Opened(Opened { market })],
                Some(_) => return Err(Refusal::StrategyKnown(self.id.clone())),
            },
            Command::SetParameters { values, comment, by, activate, expected } => {
                self.set_parameters(*values, comment, by, activate, expected)?
            }
            Command::Activate { set, by, expected } => self.activate(set, by, expected)?,
            Command::Close { reason } => {
                self.open()?;
                vec![Event::Closed(Closed { reason })]
            }
        };
        Ok(events.into())
    }

    fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }
}

impl Maker {
    /// What follows from how things are now: at most one change of mode or reasons, one decision and one word of the venue's book.
    /// A closed one still cancels what it has.
    pub fn tick(&self, look: &Look<'_>, now: Timestamp) -> Vec<Event> {
        if self.market.is_none() {
            return Vec::new();
        }
        let spread = self.spread(look);
        let mut why = self.weigh(look, spread.is_some(), now);
        let mode = self.next_mode(&why, now);
        let care = Care { defensive: mode == Mode::Defensive, reduce_only: why.all.has(Reason::InventoryLimit) };
        let quotes = self.quotes(look, spread, &why, mode, care);
        why.all = why.all.union(quotes.reasons);
        let mut events = self.turn(why, mode, look);
        // Without parameters nothing is placed, and what is there is cancelled by the usual ones.
        let usual;
        let parameters = match self.parameters() {
            Some(parameters) => parameters,
            None => {
                usual = Parameters::default();
                &usual
            }
        };
        let aim = Aim { quotes: &quotes, mode, reduce_only: care.reduce_only, parameters, now };
        let plan = self.plan(look, &aim);
        if !plan.is_empty() {
            let valid_until = now + parameters.stale_cancel();
            events.push(Event::Decided(Box::new(self.decision(plan, mode, spread, valid_until, look))));
        } else if mode == Mode::Pause && self.mode == Mode::Pause && !self.drained && self.is_drained(look) {
            events.push(Event::Drained(Drained {}));
        }
        if events.is_empty() && self.closed_at.is_none() && now.since(self.heard_at) >= HEARTBEAT {
            events.push(Event::Ticked(Ticked {}));
        }
        events
    }

    /// What the model makes of it; none where it lacks something.
    fn spread(&self, look: &Look<'_>) -> Option<Spread> {
        let (parameters, inventory) = (self.parameters()?, look.inventory.unwrap_or_default());
        parameters.model.spread(&Scene { parameters, features: look.features, inventory })
    }

    fn quotes(&self, look: &Look<'_>, spread: Option<Spread>, why: &Why, mode: Mode, care: Care) -> Quotes {
        let silent = mode == Mode::Pause || why.all.has(Reason::FeatureMissing);
        match (self.parameters(), spread, &look.features.quote, look.inventory) {
            (Some(parameters), Some(spread), Some(quote), Some(inventory)) if !silent => Quotes::of(
                &Scene { parameters, features: look.features, inventory },
                spread,
                quote,
                look.instrument,
                care,
            ),
            _ => Quotes::default(),
        }
    }

    fn turn(&self, mut why: Why, mode: Mode, look: &Look<'_>) -> Vec<Event> {
        if mode == self.mode {
            return if why == self.why { Vec::new() } else { vec![Event::ReasonsChanged(ReasonsChanged { why })] };
        }
        if mode < self.mode {
            why.all = why.all.with(Reason::Cleared);
        }
        let (features, inventory, set) = (*look.features, look.inventory, self.active_set());
        vec![Event::ModeChanged(Box::new(ModeChanged { old: self.mode, new: mode, why, set, features, inventory }))]
    }

    fn decision(
        &self,
        plan: Plan,
        mode: Mode,
        spread: Option<Spread>,
        valid_until: Timestamp,
        look: &Look<'_>,
    ) -> Decided {
        Decided {
            logic: LOGIC,
            set: self.active_set(),
            mode,
            features: *look.features,
            inventory: look.inventory,
            half: spread.map(|spread| spread.half),
            skew: spread.map(|spread| spread.skew),
            place: plan.place,
            valid_until,
            cancel: plan.cancel,
            verify: plan.verify,
        }
    }

    fn open(&self) -> Result<(), Refusal> {
        match (&self.market, self.closed_at) {
            (None, _) => Err(Refusal::StrategyUnknown(self.id.clone())),
            (Some(_), Some(_)) => Err(Refusal::StrategyClosed(self.id.clone())),
            (Some(_), None) => Ok(()),
        }
    }

    /// Refuses in this order: unknown or closed, another one is active than was seen, a number at fault.
    fn set_parameters(
        &self,
        values: Parameters,
        comment: Text,
        by: Principal,
        activate: bool,
        expected: Option<SetId>,
    ) -> Result<Vec<Event>, Refusal> {
        self.open()?;
        self.expect(expected)?;
        let set = SetId(self.sets_ever + 1);
        let values = Box::new(values.checked()?);
        let mut events = vec![Event::ParametersSet(ParametersSet { set, by: by.clone(), comment, values })];
        if activate {
            events.push(Event::ParametersActivated(ParametersActivated { set, by }));
        }
        Ok(events)
    }

    fn activate(&self, set: SetId, by: Principal, expected: Option<SetId>) -> Result<Vec<Event>, Refusal> {
        self.open()?;
        self.expect(expected)?;
        if self.set(set).is_none() {
            return Err(Refusal::SetUnknown(set));
        }
        let same = self.active_set() == Some(set);
        Ok(if same { vec![] } else { vec![Event::ParametersActivated(ParametersActivated { set, by })] })
    }

    fn expect(&self, expected: Option<SetId>) -> Result<(), Refusal> {
        match (expected, self.active_set()) {
            (Some(expected), Some(active)) if expected != active => Err(Refusal::ActiveChanged { active }),
            _ => Ok(()),
        }
    }
}
