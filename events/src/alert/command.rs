//! What can be wanted of alerts, and why it may be refused.

use super::channel::Channel;
use super::delivery::DeliveryId;
use super::event::Muted;
use super::name::{ChannelId, Pattern, RuleId, Subject};
use super::rule::Rule;
use crate::answer::{Denial, Status};
use crate::id::{Position, Version};
use crate::reason::Reason;
use crate::time::{Span, Timestamp};

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `expected` is the version that the person saw; none for whoever does not care.
    SetRule {
        id: RuleId,
        rule: Box<Rule>,
        expected: Option<Version>,
    },
    RemoveRule {
        id: RuleId,
        expected: Option<Version>,
    },
    SetChannel {
        id: ChannelId,
        channel: Box<Channel>,
        expected: Option<Version>,
    },
    RemoveChannel {
        id: ChannelId,
        expected: Option<Version>,
    },
    TestChannel {
        id: ChannelId,
    },
    Acknowledge {
        alert: Position,
        by: String,
        note: Option<Reason>,
    },
    Mute {
        rule: Option<RuleId>,
        subject: Option<Pattern>,
        until: Timestamp,
        reason: Reason,
    },
    Unmute {
        mute: u64,
    },
    Replay {
        delivery: DeliveryId,
    },
    /// A condition holds: the desk's own observation.
    Raise {
        rule: RuleId,
        subject: Subject,
        detail: String,
        since: Timestamp,
    },
    /// It does not any more.
    Clear {
        rule: RuleId,
        subject: Subject,
    },
    /// Ends the mutes whose time is over.
    EndMutes,
    Delivered {
        delivery: DeliveryId,
        took: Span,
        status: Option<u16>,
    },
    DeliveryFailed {
        delivery: DeliveryId,
        why: String,
        /// Trying again is of no use.
        hopeless: bool,
        /// 0 to 999, as good as random.
        jitter: u16,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no rule `{0}`")]
    RuleUnknown(RuleId),
    #[error("there is no channel `{0}`")]
    ChannelUnknown(ChannelId),
    #[error("rule `{rule}` tells channel `{channel}`; change the rule first")]
    ChannelUsed { channel: ChannelId, rule: RuleId },
    #[error("`{field}`: {why}")]
    SettingInvalid { field: &'static str, why: String },
    #[error("it was changed meanwhile: you saw version {seen}, it is at {known}; read it again")]
    Stale { seen: Version, known: Version },
    #[error("there is no alert {0}, or it is cleared and forgotten; the log still has it")]
    AlertUnknown(Position),
    #[error("alert {0} was acknowledged already")]
    AcknowledgedAlready(Position),
    #[error("there is no mute {0}: it is over")]
    MuteUnknown(u64),
    #[error("{0} was not given up; only what was given up can be replayed")]
    DeliveryUnknown(DeliveryId),
    #[error("a desk has at most {0} of these; remove one first")]
    Full(usize),
}

impl Refusal {
    pub fn denial(&self) -> Denial {
        let (code, status, field) = match self {
            Refusal::RuleUnknown(_) => ("rule_unknown", Status::NotFound, None),
            Refusal::ChannelUnknown(_) => ("channel_unknown", Status::NotFound, None),
            Refusal::ChannelUsed { .. } => ("channel_used", Status::Conflict, None),
            Refusal::SettingInvalid { field, .. } => ("setting_invalid", Status::Invalid, Some(*field)),
            Refusal::Stale { .. } => ("revision_stale", Status::Stale, None),
            Refusal::AlertUnknown(_) => ("alert_unknown", Status::NotFound, None),
            Refusal::AcknowledgedAlready(_) => ("acknowledged_already", Status::Conflict, None),
            Refusal::MuteUnknown(_) => ("mute_unknown", Status::NotFound, None),
            Refusal::DeliveryUnknown(_) => ("delivery_unknown", Status::NotFound, None),
            Refusal::Full(_) => ("full", Status::Conflict, None),
        };
        Denial { code: code.into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}

impl Muted {
    /// Who it is about.
    pub fn covers(&self, rule: &RuleId, subject: &Subject) -> bool {
        self.rule.as_ref().is_none_or(|only| only == rule)
            && self.subject.as_ref().is_none_or(|only| only.matches(subject))
    }
}
