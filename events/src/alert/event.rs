//! What can happen to alerts.

use super::channel::Channel;
use super::delivery::DeliveryId;
use super::name::{ChannelId, Pattern, RuleId, Subject};
use super::rule::{Rule, Severity, When};
use crate::event::events;
use crate::id::Position;
use crate::reason::Reason;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

events! {
    pub enum Event {
        /// A person made a rule or changed one; all of it as it is now.
        RuleSet(RuleSet) = 400 "alert_rule_set" v 1 Business;
        /// A rule was removed; what it had raised is cleared.
        RuleRemoved(RuleRemoved) = 401 "alert_rule_removed" v 1 Business;
        /// A person made a channel or changed one; all of it as it is now.
        ChannelSet(ChannelSet) = 402 "alert_channel_set" v 1 Business;
        /// A channel was removed; what was on its way there is given up.
        ChannelRemoved(ChannelRemoved) = 403 "alert_channel_removed" v 1 Business;
        /// A person wanted to see whether a channel works.
        ChannelTested(ChannelTested) = 404 "alert_channel_tested" v 1 Business;
        /// What a rule watches has held for as long as it says. The channels that are told.
        Raised(Raised) = 410 "alert_raised" v 1 Business;
        /// What raised an alert does not hold any more.
        Cleared(Cleared) = 411 "alert_cleared" v 1 Business;
        /// A person has seen an alert.
        Acknowledged(Acknowledged) = 412 "alert_acknowledged" v 1 Business;
        /// An alert that was muted is told after all.
        Told(Told) = 413 "alert_told" v 1 Business;
        /// Nobody is told of a rule or a subject for a while.
        Muted(Muted) = 420 "alert_muted" v 1 Business;
        /// A mute is over.
        Unmuted(Unmuted) = 421 "alert_unmuted" v 1 Business;
        /// A channel has taken a message.
        Delivered(Delivered) = 430 "alert_delivered" v 1 Business;
        /// A message could not be handed over; it is tried again.
        DeliveryFailed(DeliveryFailed) = 431 "alert_delivery_failed" v 1 Business;
        /// A message could not be handed over as often as it was tried: it stands among the dead until a person replays it.
        DeliveryGivenUp(DeliveryGivenUp) = 432 "alert_delivery_given_up" v 1 Business;
        /// A person wants a message that was given up tried again.
        DeliveryReplayed(DeliveryReplayed) = 433 "alert_delivery_replayed" v 1 Business;
    }
}

impl Event {
    pub fn name(&self) -> &'static str {
        self.kind().name
    }
}

macro_rules! payloads {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $( $(#[$doc])* pub $field: $type ),* }
    )* };
}

payloads! {
    RuleSet { id: RuleId, rule: Box<Rule> }
    RuleRemoved { id: RuleId }
    ChannelSet { id: ChannelId, channel: Box<Channel> }
    ChannelRemoved { id: ChannelId }
    ChannelTested { id: ChannelId }
    Raised {
        rule: RuleId,
        subject: Subject,
        when: When,
        severity: Severity,
        title: String,
        /// With the numbers of that moment.
        detail: String,
        /// Since when it has held.
        since: Timestamp,
        channels: Vec<ChannelId>,
        /// Nobody was told, since somebody wanted it so.
        muted: bool,
        /// Not raised again for this subject before.
        quiet_until: Timestamp,
    }
    Cleared {
        /// Position of the event that raised it.
        alert: Position,
        rule: RuleId,
        subject: Subject,
        why: Why,
    }
    Acknowledged { alert: Position, by: String, note: Option<Reason> }
    Told { alert: Position, channels: Vec<ChannelId> }
    Muted {
        mute: u64,
        /// None: every rule.
        rule: Option<RuleId>,
        /// None: every subject.
        subject: Option<Pattern>,
        until: Timestamp,
        reason: Reason,
    }
    Unmuted { mute: u64, why: UnmutedBy }
    Delivered {
        delivery: DeliveryId,
        took: Span,
        /// What the receiver said, where it has such a number.
        status: Option<u16>,
    }
    DeliveryFailed { delivery: DeliveryId, why: String, next_in: Span }
    DeliveryGivenUp { delivery: DeliveryId, attempts: u32, why: String }
    DeliveryReplayed { delivery: DeliveryId }
}

/// Why an alert was cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It does not hold any more.
    Over,
    /// Its rule was switched off or removed, or is about something else now.
    RuleChanged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnmutedBy {
    Person,
    Time,
}
