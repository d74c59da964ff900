//! Values of alerts for tests.

use super::{START, Word, credential, reason, word};
use crate::alert::*;
use crate::id::Position;
use crate::time::Span;

pub fn rule_id(text: &str) -> RuleId {
    RuleId::new(text).unwrap()
}
pub fn channel_id(text: &str) -> ChannelId {
    ChannelId::new(text).unwrap()
}
pub fn subject(text: &str) -> Subject {
    Subject::new(text).unwrap()
}
pub fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}

/// With nothing as it is by default.
pub fn rule() -> Rule {
    Rule {
        title: "The disk of the desk".into(),
        enabled: true,
        when: When::DiskLow,
        threshold: 12,
        subjects: [pattern("disk/*")].into(),
        hold_seconds: 45,
        cooldown_seconds: 600,
        severity: Severity::Critical,
        channels: [channel_id("ops")].into(),
    }
}

pub fn channel() -> Channel {
    Channel {
        way: Way::Webhook { url: "https://hooks.example/tidehelm".into() },
        enabled: true,
        severity_min: Severity::Info,
        attempts_max: 3,
        retry_seconds: 5,
        secret: Some(credential(21)),
    }
}

pub fn email() -> Channel {
    let way = Way::Email {
        host: "mail.example".into(),
        port: 465,
        tls: Tls::Wrapped,
        user: Some("desk".into()),
        from: "desk@example.com".into(),
        to: vec!["anna@example.com".into()],
    };
    Channel { way, severity_min: Severity::Warning, secret: Some(credential(22)), ..channel() }
}

pub fn delivery(edge: Edge) -> DeliveryId {
    DeliveryId { alert: Position(4711), edge, channel: channel_id("ops") }
}

pub fn alert_events() -> Vec<Event> {
    let (id, on) = (rule_id("disk"), subject("disk/data"));
    vec![
        Event::RuleSet(RuleSet { id: id.clone(), rule: Box::new(rule()) }),
        Event::RuleRemoved(RuleRemoved { id: rule_id("backup-old") }),
        Event::ChannelSet(ChannelSet { id: channel_id("mail"), channel: Box::new(email()) }),
        Event::ChannelRemoved(ChannelRemoved { id: channel_id("old") }),
        Event::ChannelTested(ChannelTested { id: channel_id("ops") }),
        Event::Raised(Raised {
            rule: id.clone(),
            subject: on.clone(),
            when: When::DiskLow,
            severity: Severity::Critical,
            title: "The disk of the desk".into(),
            detail: "4 % free, 812 MiB".into(),
            since: START,
            channels: vec![channel_id("ops")],
            muted: false,
            quiet_until: START + Span::seconds(600),
        }),
        Event::Cleared(Cleared { alert: Position(4711), rule: id.clone(), subject: on, why: Why::RuleChanged }),
        Event::Acknowledged(Acknowledged { alert: Position(4711), by: "user:anna".into(), note: Some(reason("mine")) }),
        Event::Told(Told { alert: Position(4711), channels: vec![channel_id("mail")] }),
        Event::Muted(Muted {
            mute: 7,
            rule: Some(id),
            subject: Some(pattern("disk/*")),
            until: START + Span::hours(2),
            reason: reason("a new disk is on its way"),
        }),
        Event::Unmuted(Unmuted { mute: 7, why: UnmutedBy::Time }),
        Event::Delivered(Delivered { delivery: delivery(Edge::Raised), took: Span::millis(83), status: Some(204) }),
        Event::DeliveryFailed(DeliveryFailed {
            delivery: delivery(Edge::Cleared),
            why: "answered 503".into(),
            next_in: Span::millis(5_120),
        }),
        Event::DeliveryGivenUp(DeliveryGivenUp {
            delivery: delivery(Edge::Raised),
            attempts: 3,
            why: "refused the connection".into(),
        }),
        Event::DeliveryReplayed(DeliveryReplayed { delivery: delivery(Edge::Raised) }),
    ]
}

pub fn words(words: &mut Vec<Word>) {
    words.extend(Severity::ALL.map(|severity| word("severity", &severity)));
    words.extend(When::ALL.iter().map(|when| word("when", when)));
    words.extend([Edge::Raised, Edge::Cleared].map(|edge| word("edge", &edge)));
    words.extend([Why::Over, Why::RuleChanged].map(|why| word("cleared_why", &why)));
    words.extend([UnmutedBy::Person, UnmutedBy::Time].map(|why| word("unmuted_by", &why)));
    words.extend([Tls::Wrapped, Tls::Starttls, Tls::Off].map(|tls| word("mail_tls", &tls)));
    let telegram = Way::Telegram { base_url: "https://t.example".into(), chat: "-100".into() };
    words.extend([channel().way, telegram, email().way].map(|way| word("way", &way)));
}
