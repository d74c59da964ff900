//! What an account answers to a command.

use super::command::{Command, MasterNote, Refusal};
use super::event::*;
use super::state::{Account, Connection};
use super::status::Evaluation;
use crate::id::{AccountId, Role, StreamId};
use crate::react::Effect;
use crate::stream::{Decision, Seen, Stamp, Stream};

/// More masters than this make a status that nobody can read.
const MASTERS_MAX: usize = 64;

impl Stream for Account {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        let events = match command {
            Command::Heartbeat(heartbeat) => return self.heartbeat(heartbeat, seen),
            Command::Register(registered) => self.register(registered)?,
            Command::Unregister => self.unregister()?,
            Command::SetIntent { enabled } => self.set_intent(enabled, seen)?,
            Command::Link { master } => self.link(master)?,
            Command::Unlink { master } => self.unlink(master)?,
            Command::CheckSilence => self.check_silence(seen),
            Command::NoteMaster(note) => self.note_master(note),
        };
        Ok(self.with_status(events, seen))
    }

    fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }
}

impl Account {
    /// Most heartbeats change nothing that the status depends on; they cost their own record and no evaluation.
    fn heartbeat(&self, heartbeat: HeartbeatSeen, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        if self.identity.is_none() {
            return Err(Refusal::AccountUnknown);
        }
        let came_online = self.connection != Connection::Online;
        let changed = came_online || self.trade_allowed != heartbeat.trade_allowed;
        let mut events = Vec::with_capacity(if changed { 3 } else { 1 });
        events.push(Event::HeartbeatSeen(heartbeat));
        if !changed {
            return Ok(events.into());
        }
        if came_online {
            events.push(Event::Connected(Connected {}));
        }
        Ok(self.with_status(events, seen))
    }

    /// Refuses in this order: texts that no terminal sends, another identity. The second repeats what was claimed and is recorded.
    fn register(&self, registered: Registered) -> Result<Vec<Event>, Refusal> {
        check_texts(&registered)?;
        if let Some(known) = &self.identity
            && (&known.broker, &known.server) != (&registered.broker, &registered.server)
        {
            return Err(Refusal::IdentityMismatch {
                known: format!("{} ({})", known.broker, known.server),
                claimed: format!("{} ({})", registered.broker, registered.server),
            });
        }
        Ok(vec![Event::Registered(registered)])
    }

    fn unregister(&self) -> Result<Vec<Event>, Refusal> {
        match self.connection {
            Connection::Never => Err(Refusal::AccountUnknown),
            Connection::Unregistered => Ok(vec![]),
            Connection::Registered | Connection::Online | Connection::Lost => {
                Ok(vec![Event::Unregistered(Unregistered {})])
            }
        }
    }

    fn set_intent(&self, enabled: bool, seen: &Seen<'_>) -> Result<Vec<Event>, Refusal> {
        if self.identity.is_none() {
            return Err(Refusal::AccountUnknown);
        }
        if enabled && seen.locked {
            return Err(Refusal::DeskLocked);
        }
        Ok(if enabled == self.intent { vec![] } else { vec![Event::IntentSet(IntentSet { enabled })] })
    }

    /// A link may stand before its terminals have ever come: links are wanted state.
    fn link(&self, master: AccountId) -> Result<Vec<Event>, Refusal> {
        if self.role != Role::Slave {
            return Err(Refusal::NotASlave);
        }
        if master == self.id {
            return Err(Refusal::LinkToItself);
        }
        if self.masters.contains_key(&master) {
            return Err(Refusal::LinkKnown(master));
        }
        if self.masters.len() >= MASTERS_MAX {
            return Err(Refusal::LinksFull(MASTERS_MAX));
        }
        Ok(vec![Event::LinkAdded(LinkAdded { master })])
    }

    fn unlink(&self, master: AccountId) -> Result<Vec<Event>, Refusal> {
        if !self.masters.contains_key(&master) {
            return Err(Refusal::LinkUnknown(master));
        }
        Ok(vec![Event::LinkRemoved(LinkRemoved { master })])
    }

    fn check_silence(&self, seen: &Seen<'_>) -> Vec<Event> {
        match (self.deadline(seen.listening_since, seen.settings.timeout()), self.last_heartbeat_at()) {
            (Some(deadline), Some(last_heartbeat_at)) if deadline <= seen.now => {
                vec![Event::Disconnected(Disconnected { last_heartbeat_at })]
            }
            _ => vec![],
        }
    }

    fn note_master(&self, note: MasterNote) -> Vec<Event> {
        match self.masters.get(&note.master) {
            Some(seen) if (seen.status, seen.warnings) != (note.status, note.warnings) => {
                let MasterNote { master, status, warnings } = note;
                vec![Event::MasterNoted(MasterNoted { master, status, warnings })]
            }
            _ => vec![],
        }
    }

    /// Adds what the events do to the status: one event with old and new, and the terminal's configuration once durable.
    fn with_status(&self, mut events: Vec<Event>, seen: &Seen<'_>) -> Decision<Event> {
        if events.is_empty() {
            return Decision::nothing();
        }
        let Evaluation { status, warnings } = self.after(&events, seen).evaluate();
        if (status, warnings) == (self.status, self.warnings) {
            return events.into();
        }
        events.push(Event::StatusChanged(StatusChanged { old: self.status, new: status, warnings }));
        let stream = StreamId::Account(self.role, self.id.clone());
        Decision { events, effects: vec![Effect::ConfigDue { stream, status, warnings }] }
    }

    fn after(&self, events: &[Event], seen: &Seen<'_>) -> Account {
        let mut next = self.clone();
        let at = Stamp {
            position: crate::id::Position(0),
            version: self.revision,
            received_at: seen.received_at,
            recorded_at: seen.now,
        };
        events.iter().for_each(|event| next.remember(event, &at));
        next
    }
}

fn check_texts(registered: &Registered) -> Result<(), Refusal> {
    let Registered { platform, broker, server, name, currency, ea_version, leverage: _, trade_allowed: _ } = registered;
    for (field, text) in [
        ("platform", platform),
        ("broker", broker),
        ("server", server),
        ("name", name),
        ("currency", currency),
        ("ea_version", ea_version),
    ] {
        if text.chars().count() > 100 || text.chars().any(char::is_control) {
            return Err(Refusal::TextInvalid { field });
        }
    }
    Ok(())
}
