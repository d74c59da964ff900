//! What an account answers to a command.

use super::command::{Command, MasterNote, Refusal};
use super::event::*;
use super::settings::AccountSettings;
use super::state::{Account, Connection};
use super::status::Evaluation;
use crate::copy::settings::{Overrides, validate};
use crate::id::{AccountId, Role, StreamId};
use crate::react::Effect;
use crate::reason::{RuntimeStatus, Warning};
use crate::stream::{Decision, Seen, Stamp, Stream};
use crate::time::Span;

/// A broker with more symbols than this tells those that are traded.
const SYMBOLS_MAX: usize = 5_000;
/// A terminal whose clock is further off than this is told so.
const CLOCK_SKEW_MAX: Span = Span::seconds(10);

impl Stream for Account {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        self.decide_one(command, seen).map(|decision| self.with_withheld(decision, seen))
    }

    fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }
}

impl Account {
    fn decide_one(&self, command: Command, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        let events = match command {
            Command::Heartbeat(heartbeat) => return self.heartbeat(heartbeat, seen),
            Command::Signal(signal) => return self.signal(*signal),
            Command::Snapshot(snapshot) => return self.snapshot(*snapshot, seen),
            Command::Copy(notes) => return Ok(self.copy(&notes, seen)),
            Command::Result { result, durable_at, sent_at } => {
                return self.result(*result, (durable_at, sent_at), seen);
            }
            Command::Ack { order_seq } => return Ok(self.ack(order_seq, seen)),
            Command::Stop { degree, stop } => return Ok(self.stop(degree, stop, seen)),
            Command::Unlink { master, wind_down, expected } => return self.unlink(&master, wind_down, expected, seen),
            Command::NoteGroupRemoved { master, group, settings } => {
                return Ok(self.note_group_removed(&master, (&group, settings.as_deref()), seen));
            }
            Command::Register(registered) => self.register(*registered)?,
            Command::Unregister => self.unregister()?,
            Command::SetIntent { enabled } => self.set_intent(enabled, seen)?,
            Command::NoteStaleEpoch => {
                self.warn(Warning::DuplicateEa, "a terminal uses a registration that was replaced")
            }
            Command::CreateGroup { name, settings, enabled } => self.create_group(name, settings, enabled, seen)?,
            Command::ChangeGroup { name, settings, enabled } => self.change_group(name, settings, enabled, seen)?,
            Command::RemoveGroup => self.remove_group()?,
            Command::ChangeSettings(settings) => self.change_settings(settings)?,
            Command::Link { master, enabled, settings } => self.add_link(master, enabled, settings, seen)?,
            Command::SwitchLink { master, enabled, expected } => self.switch_link(master, enabled, expected, seen)?,
            Command::ChangeLink { master, settings, enabled, expected } => {
                self.change_link(master, settings, enabled, expected, seen)?
            }
            Command::Rearm(rearm) => self.rearm(*rearm)?,
            Command::Quote(quote) => return self.quote(quote),
            Command::CheckSilence => self.check_silence(seen),
            Command::NoteMaster(note) => self.note_master(note),
        };
        Ok(self.with_status(events, Vec::new(), seen))
    }

    /// Most heartbeats change nothing that the status depends on; they cost their own record and no evaluation.
    fn heartbeat(&self, heartbeat: HeartbeatSeen, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        if self.identity.is_none() {
            return Err(Refusal::AccountUnknown);
        }
        let came_online = self.connection != Connection::Online;
        let allowed = self.trade_allowed != heartbeat.trade_allowed;
        let skew = self.skew(seen);
        let differed = self.differs(&heartbeat);
        let (limits, action) = self.limits(&heartbeat, seen);
        if !came_online && !allowed && skew.is_none() && differed.is_none() && limits.is_empty() && action.is_none() {
            return Ok(Decision::of(Event::HeartbeatSeen(heartbeat)));
        }
        let mut events = Vec::with_capacity(4);
        events.push(Event::HeartbeatSeen(heartbeat));
        if came_online {
            events.push(Event::Connected(Connected {}));
        }
        events.extend(skew);
        events.extend(limits);
        let mut effects = Vec::new();
        if let Some(differed) = differed {
            events.push(differed);
            effects.push(Effect::SnapshotDue { stream: self.stream() });
        }
        let mut decision = self.with_status(events, effects, seen);
        if let Some(action) = action {
            let Decision { events, effects } = self.protect(action, seen);
            decision.events.extend(events);
            decision.effects.extend(effects);
        }
        Ok(decision)
    }

    fn quote(&self, quote: QuoteSeen) -> Result<Decision<Event>, Refusal> {
        if self.identity.is_none() {
            return Err(Refusal::AccountUnknown);
        }
        Ok(Decision::of(Event::QuoteSeen(quote)))
    }

    /// The clocks' difference, where it began or ended to matter. A message that was on its way for long looks like one too.
    fn skew(&self, seen: &Seen<'_>) -> Option<Event> {
        let off = seen.received_at.since(seen.sent_at);
        let skewed = off.0.unsigned_abs() > CLOCK_SKEW_MAX.0.unsigned_abs();
        let warning = Warning::ClockSkew;
        match (skewed, self.noticed.has(warning)) {
            (true, false) => {
                let (seconds, word) = (off.0.unsigned_abs() / 1_000_000, if off.0 > 0 { "behind" } else { "ahead" });
                let why = format!("the terminal's clock is {seconds} s {word}");
                Some(Event::WarningRaised(WarningRaised { warning, why }))
            }
            (false, true) => Some(Event::WarningCleared(WarningCleared { warning })),
            _ => None,
        }
    }

    /// Refuses in this order: texts that no terminal sends, contracts that make no sense, another identity. The last repeats
    /// what was claimed and is recorded.
    fn register(&self, registered: Registered) -> Result<Vec<Event>, Refusal> {
        check_texts(&registered)?;
        check_contracts(&registered)?;
        if let Some(known) = &self.identity
            && (&known.broker, &known.server) != (&registered.broker, &registered.server)
        {
            return Err(Refusal::IdentityMismatch {
                known: format!("{} ({})", known.broker, known.server),
                claimed: format!("{} ({})", registered.broker, registered.server),
            });
        }
        let mut events = Vec::with_capacity(2);
        if self.role == Role::Master && !self.is_known() {
            let name = if registered.name.is_empty() { self.id.to_string() } else { registered.name.clone() };
            events.push(Event::GroupCreated(GroupCreated { name, settings: Box::default() }));
        }
        events.push(Event::Registered(Registered { epoch: self.epoch + 1, ..registered }));
        Ok(events)
    }

    fn unregister(&self) -> Result<Vec<Event>, Refusal> {
        match self.connection {
            Connection::Never => Err(Refusal::AccountUnknown),
            Connection::Unregistered => Ok(vec![]),
            Connection::Registered | Connection::Online | Connection::Lost => {
                Ok(self.clear(Warning::DuplicateEa).into_iter().chain([Event::Unregistered(Unregistered {})]).collect())
            }
        }
    }

    fn set_intent(&self, enabled: bool, seen: &Seen<'_>) -> Result<Vec<Event>, Refusal> {
        if !self.is_known() {
            return Err(Refusal::AccountUnknown);
        }
        if enabled && seen.locked {
            return Err(Refusal::DeskLocked);
        }
        Ok(self.switch(enabled, seen)?.into_iter().collect())
    }

    /// A group may stand before its terminal has ever come: it is wanted state.
    fn create_group(
        &self,
        name: String,
        settings: Box<Overrides>,
        enabled: bool,
        seen: &Seen<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        if self.role != Role::Master {
            return Err(Refusal::NotAMaster);
        }
        if self.group.is_some() {
            return Err(Refusal::GroupKnown);
        }
        check_group(&name, &settings)?;
        let mut events = vec![Event::GroupCreated(GroupCreated { name, settings })];
        events.extend(self.switch(enabled, seen)?);
        Ok(events)
    }

    fn change_group(
        &self,
        name: String,
        settings: Box<Overrides>,
        enabled: Option<bool>,
        seen: &Seen<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        let Some(group) = &self.group else { return Err(Refusal::GroupUnknown) };
        check_group(&name, &settings)?;
        let same = group.name == name && group.settings == settings;
        let mut events = if same { vec![] } else { vec![Event::GroupChanged(GroupChanged { name, settings })] };
        events.extend(enabled.map(|enabled| self.switch(enabled, seen)).transpose()?.flatten());
        Ok(events)
    }

    /// The switch of the account, where it is to be another, or nobody has touched it yet.
    fn switch(&self, enabled: bool, seen: &Seen<'_>) -> Result<Option<Event>, Refusal> {
        if enabled && !self.intent && seen.locked {
            return Err(Refusal::DeskLocked);
        }
        // A slave that a person has switched off is more than off: no first link switches it on.
        let counts = enabled || self.intent_by_person || self.role == Role::Master;
        Ok((enabled != self.intent || !counts).then_some(Event::IntentSet(IntentSet { enabled })))
    }

    fn remove_group(&self) -> Result<Vec<Event>, Refusal> {
        match &self.group {
            Some(group) => Ok(vec![Event::GroupRemoved(GroupRemoved { settings: group.settings.clone() })]),
            None => Err(Refusal::GroupUnknown),
        }
    }

    /// Settings may stand before the account's terminal has come; a stranger's name is no reason to refuse them, a typing
    /// error is: so the account must be known, linked or grouped.
    fn change_settings(&self, settings: Box<AccountSettings>) -> Result<Vec<Event>, Refusal> {
        if !self.is_known() && self.links.is_empty() {
            return Err(Refusal::AccountUnknown);
        }
        settings.validate().map_err(Refusal::SettingInvalid)?;
        let same = match &self.settings {
            Some(known) => *known == settings,
            None => *settings == AccountSettings::default(),
        };
        Ok(if same { vec![] } else { vec![Event::SettingsChanged(SettingsChanged { settings })] })
    }

    fn check_silence(&self, seen: &Seen<'_>) -> Vec<Event> {
        match (self.deadline(seen.listening_since, seen.settings.timeout()), self.last_heartbeat_at()) {
            (Some(deadline), Some(last_heartbeat_at)) if deadline <= seen.now => {
                let lost = Event::Disconnected(Disconnected { last_heartbeat_at });
                self.clear(Warning::DuplicateEa).into_iter().chain([lost]).collect()
            }
            _ => vec![],
        }
    }

    fn note_master(&self, note: MasterNote) -> Vec<Event> {
        match self.links.get(&note.master) {
            Some(seen) if (seen.master_status, seen.master_warnings) != (note.status, note.warnings) => {
                let MasterNote { master, status, warnings } = note;
                vec![Event::MasterNoted(MasterNoted { master, status, warnings })]
            }
            _ => vec![],
        }
    }

    pub(super) fn warn(&self, warning: Warning, why: impl Into<String>) -> Vec<Event> {
        match self.noticed.has(warning) {
            true => vec![],
            false => vec![Event::WarningRaised(WarningRaised { warning, why: why.into() })],
        }
    }
    pub(super) fn clear(&self, warning: Warning) -> Vec<Event> {
        match self.noticed.has(warning) {
            true => vec![Event::WarningCleared(WarningCleared { warning })],
            false => vec![],
        }
    }

    pub(crate) fn stream(&self) -> StreamId {
        StreamId::Account(self.role, self.id.clone())
    }

    /// Adds what the events do to the statuses: one event each with old and new, and the terminal's configuration once durable.
    pub(super) fn with_status(
        &self,
        mut events: Vec<Event>,
        mut effects: Vec<Effect>,
        seen: &Seen<'_>,
    ) -> Decision<Event> {
        if events.is_empty() {
            return Decision { events, effects };
        }
        let mut next = self.after(&events, seen);
        let at = self.stamp(seen);
        let mut add = |next: &mut Account, event: Event| {
            next.remember(&event, &at);
            events.push(event);
        };
        let masters: Vec<AccountId> = next.links.keys().cloned().collect();
        for master in &masters {
            let Some(link) = next.links.get(master) else { continue };
            let Evaluation { status, warnings } = next.evaluate_link(link);
            if (status, warnings) == (link.status, link.warnings) {
                continue;
            }
            let (old, first) = (link.status, status == RuntimeStatus::Connected && !link.synced);
            let change = LinkStatusChanged { master: master.clone(), old, new: status, warnings };
            add(&mut next, Event::LinkStatusChanged(change));
            if first {
                add(&mut next, Event::SyncWanted(SyncWanted { master: master.clone() }));
            }
        }
        let Evaluation { status, warnings } = next.evaluate();
        if (status, warnings) != (self.status, self.warnings) {
            add(&mut next, Event::StatusChanged(StatusChanged { old: self.status, new: status, warnings }));
        }
        if next.epoch != self.epoch {
            let book = self.master_book.as_deref();
            let last = book.filter(|book| book.signal_seq > 0).map(|book| (self.epoch, book.signal_seq));
            let previous = last.or_else(|| book.and_then(|book| book.previous));
            effects.push(Effect::Registered { stream: self.stream(), epoch: next.epoch, previous });
            effects.push(Effect::SnapshotDue { stream: self.stream() });
        }
        if next.config_version != self.config_version {
            effects.push(Effect::ConfigDue { stream: self.stream(), config: Box::new(next.config()) });
        }
        Decision { events, effects }
    }

    fn after(&self, events: &[Event], seen: &Seen<'_>) -> Account {
        let mut next = self.standing();
        let at = self.stamp(seen);
        events.iter().filter(|event| !event.is_of_the_book()).for_each(|event| next.remember(event, &at));
        next
    }

    fn stamp(&self, seen: &Seen<'_>) -> Stamp {
        Stamp {
            position: crate::id::Position(0),
            version: self.revision,
            received_at: seen.received_at,
            recorded_at: seen.now,
        }
    }
}

impl Event {
    /// It changes what is traded, and no status.
    fn is_of_the_book(&self) -> bool {
        matches!(
            self,
            Event::SignalTaken(_)
                | Event::StateDiffered(_)
                | Event::SnapshotTaken(_)
                | Event::CopyDecided(_)
                | Event::OrderIssued(_)
                | Event::OrderAnswered(_)
                | Event::StopTaken(_)
                | Event::NumbersSkipped(_)
                | Event::QuoteSeen(_)
        )
    }
}

fn is_text(text: &str) -> bool {
    text.chars().count() <= 100 && !text.chars().any(char::is_control)
}

pub(super) fn check_group(name: &str, settings: &Overrides) -> Result<(), Refusal> {
    if name.trim().is_empty() || !is_text(name) {
        return Err(Refusal::TextInvalid { field: "display_name" });
    }
    validate(settings).map_err(|invalid| {
        let field = format!("settings.{}", invalid.field);
        Refusal::SettingInvalid(crate::copy::settings::Invalid { field, ..invalid })
    })
}

fn check_texts(registered: &Registered) -> Result<(), Refusal> {
    let Registered { platform, broker, server, name, currency, ea_version, affixes, .. } = registered;
    for (field, text) in [
        ("platform", platform),
        ("broker", broker),
        ("server", server),
        ("name", name),
        ("currency", currency),
        ("ea_version", ea_version),
        ("affixes.prefix", &affixes.prefix),
        ("affixes.suffix", &affixes.suffix),
    ] {
        if !is_text(text) {
            return Err(Refusal::TextInvalid { field });
        }
    }
    Ok(())
}

fn check_contracts(registered: &Registered) -> Result<(), Refusal> {
    if registered.contracts.len() > SYMBOLS_MAX || registered.affixes.specials.len() > SYMBOLS_MAX {
        return Err(Refusal::SymbolsTooMany(SYMBOLS_MAX));
    }
    for (symbol, contract) in &registered.contracts {
        let zero = crate::money::Lots::ZERO;
        let why = if contract.lots_step <= zero {
            "the step of its volume is not above zero"
        } else if contract.lots_min > contract.lots_max {
            "its least volume is above its greatest"
        } else if contract.lots_max <= zero {
            "its greatest volume is not above zero"
        } else if contract.digits > 12 {
            "it has more than 12 digits"
        } else {
            continue;
        };
        return Err(Refusal::ContractInvalid { symbol: symbol.to_string(), why });
    }
    Ok(())
}
