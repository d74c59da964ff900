//! What the guard answers to a command.

use super::command::{Command, Refusal, TTL_MAX, Write};
use super::event::*;
use super::state::{Guard, STRATEGIES_MAX};
use crate::id::{Principal, StrategyId};
use crate::reason::Reason;
use crate::stream::{Decision, Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};

const TTL_MIN: Span = Span::seconds(1);

impl Stream for Guard {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        let events = match command {
            Command::Enroll { strategy, flags, by } => self.enroll(strategy, flags, by)?,
            Command::Withdraw { strategy } => {
                self.strategies.get(&strategy).ok_or_else(|| Refusal::StrategyUnknown(strategy.clone()))?;
                vec![Event::Withdrawn(Withdrawn { strategy })]
            }
            Command::Write(write) => self.write(*write, seen)?,
            Command::Stop { degree, reason, by } => self.stop(degree, reason, by)?,
            Command::Resume { reason, by } => {
                self.stop.as_ref().ok_or(Refusal::NotStopped)?;
                if seen.locked {
                    return Err(Refusal::DeskLocked);
                }
                vec![Event::Resumed(Resumed { reason, by })]
            }
            Command::Beat => self.beat(seen.now),
        };
        Ok(events.into())
    }

    fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }
}

impl Guard {
    fn enroll(&self, strategy: StrategyId, flags: Flags, by: Principal) -> Result<Vec<Event>, Refusal> {
        if self.strategies.contains_key(&strategy) {
            return Ok(vec![]);
        }
        if self.strategies.len() >= STRATEGIES_MAX {
            return Err(Refusal::Full(STRATEGIES_MAX));
        }
        Ok(vec![Event::Enrolled(Enrolled { strategy, flags, by })])
    }

    /// Refuses in this order: no flag, a lock that is not the desk's, unknown, the ttl, another revision, the desk is locked.
    fn write(&self, write: Write, seen: &Seen<'_>) -> Result<Vec<Event>, Refusal> {
        if write.entry.is_none() && write.exit.is_none() && write.lock.is_none() {
            return Err(Refusal::FlagsMissing);
        }
        if write.lock.is_some() && write.scope != Scope::Desk {
            return Err(Refusal::LockIsGlobal);
        }
        let known = match (self.requested(&write.scope), &write.scope) {
            (Some(known), _) => known,
            (None, Scope::Strategy(strategy)) => return Err(Refusal::StrategyUnknown(strategy.clone())),
            (None, Scope::Desk) => unreachable!("the desk has flags"),
        };
        if write.ttl.is_some_and(|ttl| ttl < TTL_MIN || ttl > TTL_MAX) {
            return Err(Refusal::TtlOutOfRange);
        }
        if let Some(expected) = write.expected.filter(|expected| *expected != known.revision) {
            return Err(Refusal::RevisionConflict { expected, found: known.revision });
        }
        let flags =
            Flags { entry: write.entry.unwrap_or(known.flags.entry), exit: write.exit.unwrap_or(known.flags.exit) };
        let lock = write.scope == Scope::Desk && write.lock.unwrap_or(self.lock);
        let expires_at = write.ttl.map(|ttl| seen.now + ttl);
        let was_locked = write.scope == Scope::Desk && self.lock;
        let longer = known.is_expired(seen.now) && expires_at.is_none_or(|at| at > seen.now);
        let on =
            flags.entry && (!known.flags.entry || longer) || flags.exit && !known.flags.exit || was_locked && !lock;
        if seen.locked && on {
            return Err(Refusal::DeskLocked);
        }
        let same = flags == known.flags && lock == was_locked && expires_at == known.expires_at;
        if same && write.note.is_none() {
            return Ok(vec![]);
        }
        let Write { scope, note, by, .. } = write;
        Ok(vec![Event::Changed(Changed { scope, flags, lock, note, by, expires_at })])
    }

    /// Only further: what is less needs a resume and its reason.
    fn stop(&self, degree: Degree, reason: Reason, by: Principal) -> Result<Vec<Event>, Refusal> {
        match &self.stop {
            Some(known) if known.degree >= degree => Err(Refusal::StoppedAlready(known.degree)),
            _ => Ok(vec![Event::Stopped(Stopped { degree, reason, by })]),
        }
    }

    fn beat(&self, now: Timestamp) -> Vec<Event> {
        let mut events = vec![Event::Beaten(Beaten {})];
        let ran_out = |requested: &super::Requested| requested.is_expired(now) && !requested.expired;
        if ran_out(&self.desk) {
            events.push(Event::Expired(Expired { scope: Scope::Desk }));
        }
        for (strategy, _) in self.strategies.iter().filter(|(_, requested)| ran_out(requested)) {
            events.push(Event::Expired(Expired { scope: Scope::Strategy(strategy.clone()) }));
        }
        events
    }
}
