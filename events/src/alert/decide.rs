//! What alerts answer to a command.

use super::channel::Channel;
use super::command::{Command, Refusal};
use super::delivery::{DeliveryId, backoff};
use super::event::*;
use super::name::{ChannelId, Pattern, RuleId, Subject};
use super::rule::{CHANNELS_MAX, RULES_MAX, Rule, SECONDS_MAX, Severity};
use super::state::{Alert, Alerts};
use crate::id::{Position, Version};
use crate::reason::Reason;
use crate::stream::{Decision, Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};

/// Alerts that are raised at a time.
pub(super) const RAISED_MAX: usize = 2_000;
/// Messages on their way; beyond that nobody is told of what is raised.
pub(super) const OUTBOX_MAX: usize = 5_000;
const MUTES_MAX: usize = 500;
const TEXT_MAX: usize = 500;

impl Stream for Alerts {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        let now = seen.now;
        let events = match command {
            Command::SetRule { id, rule, expected } => self.set_rule(id, rule, expected)?,
            Command::RemoveRule { id, expected } => self.remove_rule(id, expected)?,
            Command::SetChannel { id, channel, expected } => self.set_channel(id, channel, expected)?,
            Command::RemoveChannel { id, expected } => self.remove_channel(id, expected)?,
            Command::TestChannel { id } => {
                self.channel(&id)?;
                vec![Event::ChannelTested(ChannelTested { id })]
            }
            Command::Acknowledge { alert, by, note } => self.acknowledge(alert, by, note)?,
            Command::Mute { rule, subject, until, reason } => self.mute(rule, subject, until, reason, now)?,
            Command::Unmute { mute } => {
                self.mutes.get(&mute).ok_or(Refusal::MuteUnknown(mute))?;
                self.unmute(&[mute], UnmutedBy::Person, now)
            }
            Command::EndMutes => {
                let over = self.mutes.iter().filter(|(_, mute)| mute.of.until <= now);
                let over: Vec<u64> = over.map(|(mute, _)| *mute).collect();
                self.unmute(&over, UnmutedBy::Time, now)
            }
            Command::Replay { delivery } => {
                self.dead.get(&delivery).ok_or_else(|| Refusal::DeliveryUnknown(delivery.clone()))?;
                vec![Event::DeliveryReplayed(DeliveryReplayed { delivery })]
            }
            Command::Raise { rule, subject, detail, since } => self.raise(rule, subject, &detail, since, now)?,
            Command::Clear { rule, subject } => match self.is_raised(&rule, &subject) {
                Some(alert) => self.clear(alert, Why::Over),
                None => vec![],
            },
            Command::Delivered { delivery, took, status } => match self.outbox.contains_key(&delivery) {
                true => vec![Event::Delivered(Delivered { delivery, took: took.max(Span(0)), status })],
                false => vec![],
            },
            Command::DeliveryFailed { delivery, why, hopeless, jitter } => {
                self.delivery_failed(delivery, &why, hopeless, jitter)
            }
        };
        Ok(events.into())
    }

    fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }
}

impl Alerts {
    fn channel(&self, id: &ChannelId) -> Result<&Channel, Refusal> {
        self.channels.get(id).map(|entry| entry.is.as_ref()).ok_or_else(|| Refusal::ChannelUnknown(id.clone()))
    }

    /// Refuses in this order: stale, too many, a setting at fault. What it raised stays, unless it is about something else now.
    fn set_rule(&self, id: RuleId, rule: Box<Rule>, expected: Option<Version>) -> Result<Vec<Event>, Refusal> {
        let known = self.rule(&id);
        fresh(expected, known.as_ref().map_or(Version(0), |known| known.version))?;
        if known.is_none() && self.rules().len() >= RULES_MAX {
            return Err(Refusal::Full(RULES_MAX));
        }
        rule.check(|channel| self.channels.contains_key(channel))?;
        if known.as_ref().is_some_and(|known| known.is == rule) {
            return Ok(vec![]);
        }
        let other = known.is_none_or(|known| known.is.when != rule.when);
        let gone = |subject: &Subject| other || !rule.enabled || !rule.covers(subject);
        let raised = self.raised.get(&id).into_iter().flatten().filter(|(subject, _)| gone(subject));
        let cleared = raised.flat_map(|(_, alert)| self.clear(*alert, Why::RuleChanged)).collect::<Vec<_>>();
        Ok([vec![Event::RuleSet(RuleSet { id: id.clone(), rule: rule.clone() })], cleared].concat())
    }

    fn remove_rule(&self, id: RuleId, expected: Option<Version>) -> Result<Vec<Event>, Refusal> {
        let known = self.rule(&id).ok_or_else(|| Refusal::RuleUnknown(id.clone()))?;
        fresh(expected, known.version)?;
        let raised = self.raised.get(&id).into_iter().flatten();
        let cleared = raised.flat_map(|(_, alert)| self.clear(*alert, Why::RuleChanged)).collect::<Vec<_>>();
        Ok([vec![Event::RuleRemoved(RuleRemoved { id })], cleared].concat())
    }

    fn set_channel(
        &self,
        id: ChannelId,
        channel: Box<Channel>,
        expected: Option<Version>,
    ) -> Result<Vec<Event>, Refusal> {
        let known = self.channels.get(&id);
        fresh(expected, known.map_or(Version(0), |known| known.version))?;
        if known.is_none() && self.channels.len() >= CHANNELS_MAX {
            return Err(Refusal::Full(CHANNELS_MAX));
        }
        channel.check()?;
        Ok(match known.is_some_and(|known| known.is == channel) {
            true => vec![],
            false => vec![Event::ChannelSet(ChannelSet { id, channel })],
        })
    }

    fn remove_channel(&self, id: ChannelId, expected: Option<Version>) -> Result<Vec<Event>, Refusal> {
        let known = self.channels.get(&id).ok_or_else(|| Refusal::ChannelUnknown(id.clone()))?;
        fresh(expected, known.version)?;
        match self.rules().into_iter().find(|(_, rule)| rule.is.channels.contains(&id)) {
            Some((rule, _)) => Err(Refusal::ChannelUsed { channel: id, rule }),
            None => Ok(vec![Event::ChannelRemoved(ChannelRemoved { id })]),
        }
    }

    fn acknowledge(&self, alert: Position, by: String, note: Option<Reason>) -> Result<Vec<Event>, Refusal> {
        match self.alerts.get(&alert) {
            None => Err(Refusal::AlertUnknown(alert)),
            Some(Alert { acknowledged: Some(_), .. }) => Err(Refusal::AcknowledgedAlready(alert)),
            Some(_) => Ok(vec![Event::Acknowledged(Acknowledged { alert, by, note })]),
        }
    }

    fn mute(
        &self,
        rule: Option<RuleId>,
        subject: Option<Pattern>,
        until: Timestamp,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
        let invalid = |field, why: &str| Err(Refusal::SettingInvalid { field, why: why.into() });
        if rule.is_none() && subject.is_none() {
            return invalid("rule", "say which rule or which subject; `*` is every subject");
        }
        if let Some(rule) = rule.as_ref().filter(|rule| self.rule(rule).is_none()) {
            return Err(Refusal::RuleUnknown(rule.clone()));
        }
        let longest = Span::seconds(i64::from(SECONDS_MAX));
        if until <= now || until.since(now) > longest {
            return invalid("until", "a time to come, within 30 days");
        }
        if self.mutes.len() >= MUTES_MAX {
            return Err(Refusal::Full(MUTES_MAX));
        }
        Ok(vec![Event::Muted(Muted { mute: self.mutes_made + 1, rule, subject, until, reason })])
    }

    /// What was raised silently and still holds is told now, unless something else keeps it silent.
    fn unmute(&self, over: &[u64], why: UnmutedBy, now: Timestamp) -> Vec<Event> {
        if over.is_empty() {
            return vec![];
        }
        let mut events: Vec<Event> = over.iter().map(|mute| Event::Unmuted(Unmuted { mute: *mute, why })).collect();
        let others = || self.mutes.iter().filter(|(mute, of)| !over.contains(mute) && now < of.of.until);
        for (rule, subject, alert) in self.raised() {
            let silent = others().any(|(_, mute)| mute.of.covers(rule, subject));
            if let Some(known) = self.alerts.get(&alert).filter(|known| known.muted && !silent) {
                events.push(Event::Told(Told { alert, channels: self.told_of(rule, known.severity) }));
            }
        }
        events
    }

    fn raise(
        &self,
        id: RuleId,
        subject: Subject,
        detail: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
        let Some(rule) = self.rule(&id).filter(|rule| rule.is.enabled && rule.is.covers(&subject)) else {
            return Ok(vec![]);
        };
        if self.is_raised(&id, &subject).is_some() || self.is_quiet(&id, &subject, now) {
            return Ok(vec![]);
        }
        if self.raised_count() >= RAISED_MAX {
            return Err(Refusal::Full(RAISED_MAX));
        }
        let muted = self.is_muted(&id, &subject, now);
        let channels = if muted { vec![] } else { self.told_of(&id, rule.is.severity) };
        let raised = Raised {
            rule: id,
            subject,
            when: rule.is.when,
            severity: rule.is.severity,
            title: rule.is.title.clone(),
            detail: shortened(detail),
            since,
            channels,
            muted,
            quiet_until: now + Span::seconds(i64::from(rule.is.cooldown_seconds)),
        };
        Ok(vec![Event::Raised(raised)])
    }

    fn clear(&self, alert: Position, why: Why) -> Vec<Event> {
        let Some(known) = self.alerts.get(&alert) else { return vec![] };
        let cleared = Cleared { alert, rule: known.rule.clone(), subject: known.subject.clone(), why };
        vec![Event::Cleared(cleared)]
    }

    /// The channels of a rule that are switched on and want to hear of something so severe. None where there is no room for more:
    /// then the alert is raised all the same, and the log shows that nobody was told.
    fn told_of(&self, rule: &RuleId, severity: Severity) -> Vec<ChannelId> {
        let Some(rule) = self.rule(rule).filter(|_| self.outbox.len() < OUTBOX_MAX) else { return vec![] };
        let wanted = |id: &ChannelId| rule.is.channels.is_empty() || rule.is.channels.contains(id);
        let hears = self
            .channels
            .iter()
            .filter(|(id, channel)| wanted(id) && channel.is.enabled && severity >= channel.is.severity_min);
        hears.map(|(id, _)| id.clone()).collect()
    }

    fn delivery_failed(&self, delivery: DeliveryId, why: &str, hopeless: bool, jitter: u16) -> Vec<Event> {
        let (Some(known), Some(channel)) = (self.outbox.get(&delivery), self.channels.get(&delivery.channel)) else {
            return vec![];
        };
        let (why, attempts) = (shortened(why), known.attempts + 1);
        if hopeless || attempts >= channel.is.attempts_max {
            return vec![Event::DeliveryGivenUp(DeliveryGivenUp { delivery, attempts, why })];
        }
        let next_in = backoff(Span::seconds(i64::from(channel.is.retry_seconds)), attempts, jitter);
        vec![Event::DeliveryFailed(DeliveryFailed { delivery, why, next_in })]
    }
}

fn fresh(expected: Option<Version>, known: Version) -> Result<(), Refusal> {
    match expected {
        Some(seen) if seen != known => Err(Refusal::Stale { seen, known }),
        _ => Ok(()),
    }
}

fn shortened(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.chars().count() > TEXT_MAX {
        true => text.chars().take(TEXT_MAX - 1).chain(['…']).collect(),
        false => text,
    }
}
