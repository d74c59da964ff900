//! What the guard remembers.

use super::event::*;
use crate::id::{Principal, StrategyId, Version};
use crate::reason::Reason;
use crate::stream::Stamp;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const STRATEGIES_MAX: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    pub desk: Requested,
    pub lock: bool,
    pub strategies: BTreeMap<StrategyId, Requested>,
    pub stop: Option<Stop>,
    /// When the control plane last said anything. None: never.
    pub heard_at: Option<Timestamp>,
    /// Version of the last event that changed what may be done; what a gateway acknowledges.
    pub revision: Version,
}

/// What people set for the desk or for a strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    pub flags: Flags,
    pub note: Option<Reason>,
    /// None: nobody ever set it.
    pub by: Option<Principal>,
    pub at: Timestamp,
    pub revision: Version,
    pub expires_at: Option<Timestamp>,
    /// That it ran out was noted.
    pub expired: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub degree: Degree,
    pub reason: Reason,
    pub by: Principal,
    pub at: Timestamp,
}

impl Default for Guard {
    fn default() -> Self {
        let desk = Requested {
            flags: Flags::ON,
            note: None,
            by: None,
            at: Timestamp::ZERO,
            revision: Version(0),
            expires_at: None,
            expired: false,
        };
        let strategies = BTreeMap::new();
        Guard { desk, lock: false, strategies, stop: None, heard_at: None, revision: Version(0) }
    }
}

impl Requested {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl Guard {
    /// How long the control plane has been silent. None: it never said anything.
    pub fn age(&self, now: Timestamp) -> Option<Span> {
        self.heard_at.map(|at| now.since(at))
    }

    pub fn requested(&self, scope: &Scope) -> Option<&Requested> {
        match scope {
            Scope::Desk => Some(&self.desk),
            Scope::Strategy(strategy) => self.strategies.get(strategy),
        }
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::Enrolled(enrolled) => {
                let requested = Requested {
                    flags: enrolled.flags,
                    note: None,
                    by: Some(enrolled.by.clone()),
                    at: at.recorded_at,
                    revision: at.version,
                    expires_at: None,
                    expired: false,
                };
                let known = self.strategies.insert(enrolled.strategy.clone(), requested);
                assert!(known.is_none(), "strategy {} was enrolled twice", enrolled.strategy);
                self.revision = at.version;
            }
            Event::Withdrawn(withdrawn) => {
                let known = self.strategies.remove(&withdrawn.strategy);
                assert!(known.is_some(), "strategy {} was withdrawn and not there", withdrawn.strategy);
                self.revision = at.version;
            }
            Event::Changed(changed) => self.changed(changed, at),
            Event::Expired(expired) => {
                if let Some(requested) = self.requested_mut(&expired.scope) {
                    requested.expired = true;
                }
                self.revision = at.version;
            }
            Event::Stopped(stopped) => {
                let Stopped { degree, reason, by } = stopped.clone();
                self.stop = Some(Stop { degree, reason, by, at: at.recorded_at });
                self.revision = at.version;
            }
            Event::Resumed(_) => {
                assert!(self.stop.is_some(), "strategies were resumed and not stopped");
                (self.stop, self.revision) = (None, at.version);
            }
            Event::Beaten(_) => {}
        }
        self.heard_at = Some(at.recorded_at);
    }

    fn changed(&mut self, changed: &Changed, at: &Stamp) {
        if changed.scope == Scope::Desk {
            self.lock = changed.lock;
        }
        let Some(requested) = self.requested_mut(&changed.scope) else {
            unreachable!("the control of {:?} changed, which is not there", changed.scope);
        };
        *requested = Requested {
            flags: changed.flags,
            note: changed.note.clone(),
            by: Some(changed.by.clone()),
            at: at.recorded_at,
            revision: at.version,
            expires_at: changed.expires_at,
            expired: false,
        };
        self.revision = at.version;
    }

    fn requested_mut(&mut self, scope: &Scope) -> Option<&mut Requested> {
        match scope {
            Scope::Desk => Some(&mut self.desk),
            Scope::Strategy(strategy) => self.strategies.get_mut(strategy),
        }
    }
}
