//! A slave's links to its masters: wanted state, which may stand before any terminal has come.

use super::command::Refusal;
use super::event::*;
use super::state::{Account, Link};
use crate::copy::settings::{Invalid, Overrides, WindDown, validate};
use crate::id::{AccountId, Role, Version};
use crate::stream::{Decision, Seen};

/// More masters than this make a status that nobody can read.
const MASTERS_MAX: usize = 64;

impl Account {
    /// The first link that is switched on switches on the slave itself, if nobody has decided about that yet.
    pub(super) fn add_link(
        &self,
        master: AccountId,
        enabled: bool,
        settings: Box<Overrides>,
        seen: &Seen<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        if self.role != Role::Slave {
            return Err(Refusal::NotASlave);
        }
        if master == self.id {
            return Err(Refusal::LinkToItself);
        }
        if self.member(&master).is_some() {
            return Err(Refusal::LinkKnown(master));
        }
        if self.links.len() >= MASTERS_MAX {
            return Err(Refusal::LinksFull(MASTERS_MAX));
        }
        check_settings(&settings)?;
        let enabled = enabled && !seen.locked;
        let mut events = vec![Event::LinkAdded(LinkAdded { master, enabled, settings })];
        if enabled && !self.intent && !self.intent_by_person {
            events.push(Event::IntentSet(IntentSet { enabled }));
        }
        Ok(events)
    }

    pub(super) fn switch_link(
        &self,
        master: AccountId,
        enabled: bool,
        expected: Option<Version>,
        seen: &Seen<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        let link = self.expected_link(&master, expected)?;
        if enabled && seen.locked {
            return Err(Refusal::DeskLocked);
        }
        let mut events = Vec::new();
        if link.enabled != enabled {
            events.push(Event::LinkSwitched(LinkSwitched { master, enabled }));
        }
        if enabled && !self.intent && !self.intent_by_person {
            events.push(Event::IntentSet(IntentSet { enabled }));
        }
        Ok(events)
    }

    pub(super) fn change_link(
        &self,
        master: AccountId,
        settings: Box<Overrides>,
        enabled: Option<bool>,
        expected: Option<Version>,
        seen: &Seen<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        let link = self.expected_link(&master, expected)?;
        check_settings(&settings)?;
        let same = link.settings == settings;
        let mut events = match enabled {
            Some(enabled) => self.switch_link(master.clone(), enabled, expected, seen)?,
            None => Vec::new(),
        };
        if !same {
            events.push(Event::LinkChanged(LinkChanged { master, settings }));
        }
        Ok(events)
    }

    /// What becomes of the copies is said with it: kept as the terminal has them, closed with the master's, or closed now.
    pub(super) fn unlink(
        &self,
        master: &AccountId,
        wind_down: Option<WindDown>,
        expected: Option<Version>,
        seen: &Seen<'_>,
    ) -> Result<Decision<Event>, Refusal> {
        self.expected_link(master, expected)?;
        let wind_down = wind_down.unwrap_or_else(|| self.effective(master, None, None, seen).wind_down.get());
        Ok(self.end_link(master, wind_down, seen))
    }

    /// As the settings say at every level, those of the group that is gone included.
    pub(super) fn note_group_removed(
        &self,
        master: &AccountId,
        (group, of_master): (&Overrides, Option<&Overrides>),
        seen: &Seen<'_>,
    ) -> Decision<Event> {
        if self.member(master).is_none() {
            return Decision::nothing();
        }
        let wind_down = self.effective(master, Some(group), of_master, seen).wind_down.get();
        self.end_link(master, wind_down, seen)
    }

    fn end_link(&self, master: &AccountId, wind_down: WindDown, seen: &Seen<'_>) -> Decision<Event> {
        let done = self.slave_book.as_ref().is_none_or(|book| book.is_done_with(master));
        let mut events = vec![Event::LinkRemoved(LinkRemoved { master: master.clone(), wind_down })];
        if wind_down == WindDown::Keep || done {
            events.push(Event::LinkEnded(LinkEnded { master: master.clone() }));
        }
        let mut decision = self.with_status(events, Vec::new(), seen);
        self.wind_down(master, wind_down, seen, &mut decision);
        decision
    }

    /// A link that people see.
    pub fn member(&self, master: &AccountId) -> Option<&Link> {
        self.links.get(master).filter(|link| link.winding.is_none())
    }

    fn expected_link(&self, master: &AccountId, expected: Option<Version>) -> Result<&Link, Refusal> {
        let link = self.member(master).ok_or_else(|| Refusal::LinkUnknown(master.clone()))?;
        match expected {
            Some(seen) if seen != link.revision => Err(Refusal::LinkStale { seen, found: link.revision }),
            _ => Ok(link),
        }
    }
}

fn check_settings(settings: &Overrides) -> Result<(), Refusal> {
    validate(settings).map_err(|invalid| {
        let field = format!("slave_settings.{}", invalid.field);
        Refusal::SettingInvalid(Invalid { field, ..invalid })
    })
}
