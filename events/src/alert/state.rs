//! What alerts remember.

use super::channel::Channel;
use super::delivery::{Delivery, DeliveryId, Edge};
use super::event::*;
use super::name::{ChannelId, RuleId, Subject};
use super::rule::{Rule, Severity, When, built_in};
use crate::id::{Position, Version};
use crate::reason::Reason;
use crate::stream::Stamp;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Alerts that are cleared are remembered, the last ones; the log has them all.
pub(super) const CLEARED_MAX: usize = 1_000;
/// Messages that were given up, the last ones.
pub(super) const DEAD_MAX: usize = 1_000;
/// Messages that were taken, the last ones.
const DONE_MAX: usize = 500;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    /// What people made of the built-in rules, and their own ones; none: a built-in one that was removed.
    pub(crate) changed: BTreeMap<RuleId, Option<Entry<Rule>>>,
    pub channels: BTreeMap<ChannelId, Entry<Channel>>,
    pub mutes: BTreeMap<u64, Mute>,
    pub(crate) mutes_made: u64,
    /// By the position of the event that raised each: all that are raised, and the last ones that were cleared.
    pub alerts: BTreeMap<Position, Alert>,
    pub(crate) raised: BTreeMap<RuleId, BTreeMap<Subject, Position>>,
    pub(crate) cleared: VecDeque<Position>,
    /// Not raised again before.
    pub(crate) quiet: BTreeMap<RuleId, BTreeMap<Subject, Timestamp>>,
    pub outbox: BTreeMap<DeliveryId, Delivery>,
    pub dead: BTreeMap<DeliveryId, Delivery>,
    pub(crate) buried: VecDeque<DeliveryId>,
    /// Oldest first.
    pub done: VecDeque<Done>,
    /// Since the log began.
    pub tally: Tally,
    /// Version of the last event that a person caused.
    pub revision: Version,
}

/// A thing that people change as a whole, with the version of its last change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<T> {
    pub is: Box<T>,
    pub version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    pub of: Muted,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub rule: RuleId,
    pub subject: Subject,
    pub when: When,
    pub severity: Severity,
    pub title: String,
    pub detail: String,
    pub since: Timestamp,
    pub raised_at: Timestamp,
    /// Who was told, and hears that it is over.
    pub channels: Vec<ChannelId>,
    pub muted: bool,
    pub acknowledged: Option<Acknowledgement>,
    pub cleared: Option<Clearance>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: String,
    pub note: Option<Reason>,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearance {
    pub at: Timestamp,
    pub why: Why,
}

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub delivery: DeliveryId,
    pub at: Timestamp,
    pub attempts: u32,
    pub took: Span,
    pub status: Option<u16>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub raised: u64,
    pub cleared: u64,
    pub delivered: u64,
    pub failed: u64,
    pub given_up: u64,
}

impl Alerts {
    /// Every rule in force: the built-in ones, as people changed them, and their own.
    pub fn rules(&self) -> BTreeMap<RuleId, Entry<Rule>> {
        let built_in = built_in().into_iter();
        let mut rules: BTreeMap<_, _> =
            built_in.map(|(id, rule)| (id, Entry { is: Box::new(rule), version: Version(0) })).collect();
        for (id, changed) in &self.changed {
            match changed {
                Some(entry) => drop(rules.insert(id.clone(), entry.clone())),
                None => drop(rules.remove(id)),
            }
        }
        rules
    }
    pub fn rule(&self, id: &RuleId) -> Option<Entry<Rule>> {
        match self.changed.get(id) {
            Some(changed) => changed.clone(),
            None => built_in().remove(id).map(|rule| Entry { is: Box::new(rule), version: Version(0) }),
        }
    }
    /// The alert that is raised, if one is.
    pub fn is_raised(&self, rule: &RuleId, subject: &Subject) -> Option<Position> {
        self.raised.get(rule)?.get(subject).copied()
    }
    /// Those that are raised now, by rule and subject.
    pub fn raised(&self) -> impl Iterator<Item = (&RuleId, &Subject, Position)> {
        self.raised.iter().flat_map(|(rule, subjects)| subjects.iter().map(move |(of, at)| (rule, of, *at)))
    }
    pub fn raised_count(&self) -> usize {
        self.alerts.len() - self.cleared.len()
    }
    pub fn is_quiet(&self, rule: &RuleId, subject: &Subject, now: Timestamp) -> bool {
        self.quiet.get(rule).and_then(|subjects| subjects.get(subject)).is_some_and(|until| now < *until)
    }
    pub fn is_muted(&self, rule: &RuleId, subject: &Subject, now: Timestamp) -> bool {
        self.mutes.values().any(|mute| now < mute.of.until && mute.of.covers(rule, subject))
    }
    /// What is to be tried now, oldest first. That something is over is not told before it was told that it is.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = (&DeliveryId, &Delivery)> {
        let first = |id: &DeliveryId| match id.edge {
            Edge::Raised => true,
            Edge::Cleared => !self.outbox.contains_key(&DeliveryId { edge: Edge::Raised, ..id.clone() }),
        };
        let works = |id: &DeliveryId| self.channels.get(&id.channel).is_some_and(|channel| channel.is.enabled);
        self.outbox.iter().filter(move |(id, delivery)| delivery.due_at <= now && works(id) && first(id))
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::RuleSet(set) => {
                self.end_quiet(&set.id, &set.rule);
                self.changed.insert(set.id.clone(), Some(Entry { is: set.rule.clone(), version: at.version }));
                self.revision = at.version;
            }
            Event::RuleRemoved(removed) => {
                self.changed.insert(removed.id.clone(), None);
                self.quiet.remove(&removed.id);
                self.revision = at.version;
            }
            Event::ChannelSet(set) => {
                self.channels.insert(set.id.clone(), Entry { is: set.channel.clone(), version: at.version });
                self.revision = at.version;
            }
            Event::ChannelRemoved(removed) => {
                self.channels.remove(&removed.id);
                self.outbox.retain(|id, _| id.channel != removed.id);
                self.dead.retain(|id, _| id.channel != removed.id);
                self.buried.retain(|id| id.channel != removed.id);
                self.revision = at.version;
            }
            Event::ChannelTested(_) => {}
            Event::Raised(raised) => self.on_raised(raised, at),
            Event::Cleared(cleared) => self.on_cleared(cleared, at),
            Event::Acknowledged(seen) => {
                let (by, note, at) = (seen.by.clone(), seen.note.clone(), at.recorded_at);
                self.alert(seen.alert).acknowledged = Some(Acknowledgement { by, note, at });
            }
            Event::Told(told) => {
                let alert = self.alert(told.alert);
                (alert.muted, alert.channels) = (false, told.channels.clone());
                self.post(told.alert, Edge::Raised, &told.channels, at);
            }
            Event::Muted(muted) => {
                self.mutes_made = muted.mute;
                self.mutes.insert(muted.mute, Mute { of: muted.clone(), since: at.recorded_at });
                self.revision = at.version;
            }
            Event::Unmuted(unmuted) => {
                assert!(self.mutes.remove(&unmuted.mute).is_some(), "mute {} ended twice", unmuted.mute);
            }
            Event::Delivered(delivered) => self.on_delivered(delivered, at),
            Event::DeliveryFailed(failed) => {
                let delivery = self.delivery(&failed.delivery);
                delivery.attempts += 1;
                delivery.due_at = at.recorded_at + failed.next_in;
                delivery.last_error = Some(failed.why.clone());
                self.tally.failed += 1;
            }
            Event::DeliveryGivenUp(given_up) => self.on_given_up(given_up),
            Event::DeliveryReplayed(replayed) => {
                let Some(dead) = self.dead.remove(&replayed.delivery) else {
                    panic!("{} was replayed, which was not given up", replayed.delivery)
                };
                self.buried.retain(|id| *id != replayed.delivery);
                let again = Delivery { attempts: 0, due_at: at.recorded_at, ..dead };
                self.outbox.insert(replayed.delivery.clone(), again);
            }
        }
    }

    fn on_raised(&mut self, raised: &Raised, at: &Stamp) {
        let before = self.raised.entry(raised.rule.clone()).or_default().insert(raised.subject.clone(), at.position);
        assert!(before.is_none(), "{} was raised twice for {}", raised.rule, raised.subject);
        let alert = Alert {
            rule: raised.rule.clone(),
            subject: raised.subject.clone(),
            when: raised.when,
            severity: raised.severity,
            title: raised.title.clone(),
            detail: raised.detail.clone(),
            since: raised.since,
            raised_at: at.recorded_at,
            channels: raised.channels.clone(),
            muted: raised.muted,
            acknowledged: None,
            cleared: None,
        };
        self.alerts.insert(at.position, alert);
        self.keep_quiet(raised, at);
        self.post(at.position, Edge::Raised, &raised.channels, at);
        self.tally.raised += 1;
    }

    /// What was quiet for another condition, or for another time, may be raised.
    fn end_quiet(&mut self, id: &RuleId, rule: &Rule) {
        let same =
            |known: Entry<Rule>| (known.is.when, known.is.cooldown_seconds) == (rule.when, rule.cooldown_seconds);
        if !self.rule(id).is_some_and(same) {
            self.quiet.remove(id);
        }
    }

    /// What is no longer quiet is forgotten here, so that the list does not grow.
    fn keep_quiet(&mut self, raised: &Raised, at: &Stamp) {
        let rule = self.quiet.entry(raised.rule.clone()).or_default();
        rule.retain(|_, until| *until > at.recorded_at);
        if raised.quiet_until > at.recorded_at {
            rule.insert(raised.subject.clone(), raised.quiet_until);
        }
        if rule.is_empty() {
            self.quiet.remove(&raised.rule);
        }
    }

    fn on_cleared(&mut self, cleared: &Cleared, at: &Stamp) {
        let subjects = self.raised.entry(cleared.rule.clone()).or_default();
        let known = subjects.remove(&cleared.subject);
        assert!(known == Some(cleared.alert), "{} was cleared for {} and is not raised", cleared.rule, cleared.subject);
        if subjects.is_empty() {
            self.raised.remove(&cleared.rule);
        }
        let alert = self.alert(cleared.alert);
        alert.cleared = Some(Clearance { at: at.recorded_at, why: cleared.why });
        let channels = alert.channels.clone();
        self.post(cleared.alert, Edge::Cleared, &channels, at);
        self.cleared.push_back(cleared.alert);
        self.tally.cleared += 1;
        self.forget_old();
    }

    /// One that somebody is still to be told of stays.
    fn forget_old(&mut self) {
        while self.cleared.len() > CLEARED_MAX {
            let wanted = |alert: &Position| self.outbox.keys().chain(self.dead.keys()).any(|id| id.alert == *alert);
            let Some(at) = self.cleared.iter().position(|alert| !wanted(alert)) else { return };
            if let Some(alert) = self.cleared.remove(at) {
                self.alerts.remove(&alert);
            }
        }
    }

    fn on_delivered(&mut self, delivered: &Delivered, at: &Stamp) {
        let Some(sent) = self.outbox.remove(&delivered.delivery) else {
            panic!("{} was delivered, which was not on its way", delivered.delivery)
        };
        self.done.push_back(Done {
            delivery: delivered.delivery.clone(),
            at: at.recorded_at,
            attempts: sent.attempts + 1,
            took: delivered.took,
            status: delivered.status,
        });
        if self.done.len() > DONE_MAX {
            self.done.pop_front();
        }
        self.tally.delivered += 1;
    }

    fn on_given_up(&mut self, given_up: &DeliveryGivenUp) {
        let Some(dead) = self.outbox.remove(&given_up.delivery) else {
            panic!("{} was given up, which was not on its way", given_up.delivery)
        };
        let dead = Delivery { attempts: given_up.attempts, last_error: Some(given_up.why.clone()), ..dead };
        self.dead.insert(given_up.delivery.clone(), dead);
        self.buried.push_back(given_up.delivery.clone());
        if self.buried.len() > DEAD_MAX
            && let Some(oldest) = self.buried.pop_front()
        {
            self.dead.remove(&oldest);
        }
        self.tally.given_up += 1;
    }

    fn post(&mut self, alert: Position, edge: Edge, channels: &[ChannelId], at: &Stamp) {
        for channel in channels.iter().filter(|channel| self.channels.contains_key(channel)) {
            let id = DeliveryId { alert, edge, channel: channel.clone() };
            let now = at.recorded_at;
            let delivery = Delivery { created_at: now, edge_at: now, attempts: 0, due_at: now, last_error: None };
            assert!(self.outbox.insert(id, delivery).is_none(), "an edge of {alert} was told twice");
        }
    }

    fn alert(&mut self, at: Position) -> &mut Alert {
        match self.alerts.get_mut(&at) {
            Some(alert) => alert,
            None => panic!("something happened to alert {at}, which there is not"),
        }
    }

    fn delivery(&mut self, id: &DeliveryId) -> &mut Delivery {
        match self.outbox.get_mut(id) {
            Some(delivery) => delivery,
            None => panic!("something happened to {id}, which is not on its way"),
        }
    }
}
