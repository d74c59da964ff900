//! What a maker remembers.

use super::event::{Decided, Event, ParametersSet};
use super::mode::Mode;
use super::parameter::Parameters;
use super::quote::{LEVELS_MAX, index};
use super::reason::{Reason, Reasons, Why};
use crate::id::{MarketId, Position, Principal, StrategyId};
use crate::market::Size;
use crate::reason::Reason as Text;
use crate::stream::Stamp;
use crate::time::Timestamp;
use crate::trade::Side;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// Parameter sets that are kept, besides the active one.
pub const SETS_MAX: usize = 50;

/// Number of a parameter set: 1, 2, 3 … in the order in which they were set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SetId(pub u32);

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterSet {
    pub id: SetId,
    pub by: Principal,
    pub comment: Text,
    pub at: Timestamp,
    pub values: Parameters,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Maker {
    pub id: StrategyId,
    /// None: it was never set up.
    pub market: Option<MarketId>,
    pub closed_at: Option<Timestamp>,
    /// The one that it goes by.
    pub active: Option<Box<ParameterSet>>,
    /// Oldest first.
    pub sets: VecDeque<ParameterSet>,
    pub sets_ever: u32,
    pub mode: Mode,
    pub mode_since: Timestamp,
    /// What held when last something changed.
    pub why: Why,
    /// Since when nothing leads to PAUSE.
    pub pause_clear_at: Timestamp,
    /// Since when nothing leads to DEFENSIVE.
    pub defensive_clear_at: Timestamp,
    /// Since when something that it needs is missing.
    pub missing_since: Option<Timestamp>,
    /// The venue said since the PAUSE began that nothing of ours is left.
    pub drained: bool,
    /// When the venue was last asked that.
    pub verify_asked_at: Option<Timestamp>,
    pub(super) slots: [[Slot; LEVELS_MAX]; 2],
    /// When it last wrote something.
    pub heard_at: Timestamp,
    pub decisions: u64,
    pub placed: u64,
    pub cancelled: u64,
}

/// One side and level of the quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slot {
    pub placed: Option<Placed>,
    /// When the order there was last to be cancelled.
    pub cancel_asked_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Placed {
    pub at: Timestamp,
    /// Of the decision.
    pub position: Position,
    pub mode: Mode,
    pub size: Size,
}

impl Maker {
    /// One that was never set up. Until the venue says otherwise, something of it may be there.
    pub fn new(id: StrategyId) -> Self {
        Maker {
            id,
            market: None,
            closed_at: None,
            active: None,
            sets: VecDeque::new(),
            sets_ever: 0,
            mode: Mode::Pause,
            mode_since: Timestamp::ZERO,
            why: Why {
                all: Reasons::of(Reason::NoParameters),
                pausing: Reasons::of(Reason::NoParameters),
                defensive: Reasons::NONE,
            },
            pause_clear_at: Timestamp::ZERO,
            defensive_clear_at: Timestamp::ZERO,
            missing_since: None,
            drained: false,
            verify_asked_at: None,
            slots: Default::default(),
            heard_at: Timestamp::ZERO,
            decisions: 0,
            placed: 0,
            cancelled: 0,
        }
    }

    /// Those that it goes by; none where none were activated.
    pub fn parameters(&self) -> Option<&Parameters> {
        self.active.as_ref().map(|set| &set.values)
    }
    pub fn active_set(&self) -> Option<SetId> {
        self.active.as_ref().map(|set| set.id)
    }
    pub fn is_open(&self) -> bool {
        self.market.is_some() && self.closed_at.is_none()
    }
    /// The set, where it is still kept.
    pub fn set(&self, id: SetId) -> Option<&ParameterSet> {
        let active = self.active.as_deref().filter(|set| set.id == id);
        active.or_else(|| self.sets.iter().find(|set| set.id == id))
    }

    pub(super) fn slot(&self, side: Side, level: u8) -> Option<&Slot> {
        self.slots[index(side)].get(usize::from(level))
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        self.heard_at = at.recorded_at;
        match event {
            Event::Opened(opened) => {
                assert!(self.market.is_none(), "strategy {} was set up twice", self.id);
                self.market = Some(opened.market.clone());
                self.mode_since = at.recorded_at;
            }
            Event::ParametersSet(set) => self.keep(set, at),
            Event::ParametersActivated(activated) => {
                let set = self.set(activated.set).cloned();
                assert!(set.is_some(), "strategy {} has no set {}", self.id, activated.set);
                self.active = set.map(Box::new);
            }
            Event::ModeChanged(change) => {
                assert_eq!(change.old, self.mode, "strategy {} changed from a mode that it had not", self.id);
                (self.mode, self.mode_since) = (change.new, at.recorded_at);
                if change.new == Mode::Pause {
                    (self.drained, self.verify_asked_at) = (false, None);
                }
                self.hold(change.why, at.recorded_at);
            }
            Event::ReasonsChanged(change) => self.hold(change.why, at.recorded_at),
            Event::Decided(decided) => self.decided(decided, at),
            Event::Drained(_) => self.drained = true,
            Event::Ticked(_) => {}
            Event::Closed(_) => self.closed_at = Some(at.recorded_at),
        }
    }

    fn keep(&mut self, set: &ParametersSet, at: &Stamp) {
        self.sets_ever += 1;
        assert_eq!(set.set.0, self.sets_ever, "a parameter set of strategy {} is not the next", self.id);
        self.sets.push_back(ParameterSet {
            id: set.set,
            by: set.by.clone(),
            comment: set.comment.clone(),
            at: at.recorded_at,
            values: (*set.values).clone(),
        });
        if self.sets.len() > SETS_MAX {
            self.sets.pop_front();
        }
    }

    fn hold(&mut self, why: Why, now: Timestamp) {
        let why = Why { all: why.all.without(Reasons::of(Reason::Cleared)), ..why };
        if why.pausing.is_empty() && !self.why.pausing.is_empty() {
            self.pause_clear_at = now;
        }
        if why.defensive.is_empty() && !self.why.defensive.is_empty() {
            self.defensive_clear_at = now;
        }
        self.missing_since = match (why.all.has(Reason::FeatureMissing), self.missing_since) {
            (false, _) => None,
            (true, Some(since)) => Some(since),
            (true, None) => Some(now),
        };
        self.why = why;
    }

    fn decided(&mut self, decided: &Decided, at: &Stamp) {
        for place in &decided.place {
            let placed = Placed { at: at.recorded_at, position: at.position, mode: decided.mode, size: place.size };
            self.slots[index(place.side)][usize::from(place.level)] =
                Slot { placed: Some(placed), cancel_asked_at: None };
        }
        for cancel in &decided.cancel {
            if let Some(slot) = self.slots[index(cancel.side)].get_mut(usize::from(cancel.level)) {
                slot.cancel_asked_at = Some(at.recorded_at);
            }
        }
        if !decided.cancel.is_empty() {
            (self.drained, self.verify_asked_at) = (false, None);
        }
        if decided.verify {
            self.verify_asked_at = Some(at.recorded_at);
        }
        self.decisions += 1;
        self.placed += decided.place.len() as u64;
        self.cancelled += decided.cancel.len() as u64;
    }
}
