//! The account's limits at work: what a heartbeat means for them, and what they forbid.

use super::command::Refusal;
use super::event::*;
use super::protection::{Action, Figures, ProtectionEvent, Rearm};
use super::state::Account;
use crate::copy::wind;
use crate::money::Lots;
use crate::reason::{Warning, Warnings};
use crate::stream::{Decision, Seen};
use crate::trade::OrderReason;

impl Account {
    /// What a heartbeat does to the limits, and what is to be done about it: only what an action newly asks for, and everything as
    /// long as it is to be closed. Accounts without limits pay nothing.
    pub(super) fn limits(&self, heartbeat: &HeartbeatSeen, seen: &Seen<'_>) -> (Vec<Event>, Option<Action>) {
        let (Some(protection), Some(settings)) = (&self.protection, &self.settings) else { return (Vec::new(), None) };
        let figures = self.protected_figures(heartbeat);
        let events = protection.observe(&figures, &settings.protection, seen.now);
        let hit = |event: &ProtectionEvent| match event {
            ProtectionEvent::Hit(hit) => Some(hit.action),
            _ => None,
        };
        let newly = events.iter().filter_map(hit).max().filter(|action| *action > Action::BlockEntry);
        let due = protection.flatten_due(heartbeat.open_positions).map(|block| block.action);
        (events.into_iter().map(Event::from).collect(), newly.max(due))
    }

    /// Closes or cancels what an action of the limits asks for. What was told to close before is not told again.
    pub(super) fn protect(&self, action: Action, seen: &Seen<'_>) -> Decision<Event> {
        match action {
            Action::BlockEntry => Decision::nothing(),
            Action::CloseOnly => self.end_copies(wind::cancel_pending, OrderReason::Protection, seen),
            Action::Flatten => self.end_copies(wind::flatten, OrderReason::Protection, seen),
        }
    }

    pub(super) fn protected_figures(&self, heartbeat: &HeartbeatSeen) -> Figures {
        let lots = self
            .slave_book
            .as_ref()
            .map_or(Lots::ZERO, |book| crate::copy::book::plus(book.all_copies().map(|(_, _, copy)| copy.left())));
        let HeartbeatSeen { balance, equity, free_margin, open_positions, .. } = *heartbeat;
        Figures { balance, equity, free_margin, open_lots: Some(lots), open_positions }
    }

    pub(super) fn limit_warnings(&self) -> Warnings {
        let Some(protection) = &self.protection else { return Warnings::NONE };
        if protection.standings.is_empty() {
            return Warnings::NONE;
        }
        let hit = protection.hits().next().is_some();
        let near = protection.standings.len() > protection.hits().count();
        [(hit, Warning::LimitHit), (near, Warning::LimitNear)]
            .into_iter()
            .filter_map(|(holds, warning)| holds.then_some(warning))
            .collect()
    }

    pub(super) fn rearm(&self, rearm: Rearm) -> Result<Vec<Event>, Refusal> {
        let (Some(protection), Some(settings)) = (&self.protection, &self.settings) else {
            return Err(Refusal::NothingToRearm);
        };
        let rearmed = protection.rearm(rearm, &settings.protection).map_err(Refusal::RearmRefused)?;
        Ok(vec![Event::Rearmed(rearmed)])
    }
}

impl From<ProtectionEvent> for Event {
    fn from(event: ProtectionEvent) -> Event {
        match event {
            ProtectionEvent::DayStarted(event) => Event::DayStarted(event),
            ProtectionEvent::Near(event) => Event::LimitNear(event),
            ProtectionEvent::Hit(event) => Event::LimitHit(event),
            ProtectionEvent::Cleared(event) => Event::LimitCleared(event),
            ProtectionEvent::Rearmed(event) => Event::Rearmed(event),
        }
    }
}
