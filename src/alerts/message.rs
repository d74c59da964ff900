//! What is told: the same facts in JSON for programs and as text for people.

use serde::Serialize;
use tidehelm_events::alert::{Alert, DeliveryId, Edge};
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;

/// One message, without its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The receiver knows it by this, however often it comes.
    pub id: String,
    pub subject: String,
    pub text: String,
    /// The body of a webhook.
    pub json: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    data: Facts<'a>,
}

#[derive(Serialize)]
struct Facts<'a> {
    desk: &'a str,
    desk_name: &'a str,
    alert: u64,
    rule: &'a str,
    condition: &'a str,
    severity: &'a str,
    title: &'a str,
    subject: &'a str,
    detail: &'a str,
    since: String,
    raised_at: String,
    cleared_at: Option<String>,
}

impl Message {
    /// None where there is no such alert any more.
    pub fn of(fold: &Fold, id: &DeliveryId) -> Option<Self> {
        let desk = fold.truth.desk()?;
        let alert = fold.truth.alerts()?.alerts.get(&id.alert)?;
        let desk_id = desk.id?;
        Some(Message::about(&desk_id.to_string(), &desk.settings.name, id, alert, id.webhook_id(desk_id)))
    }

    fn about(desk: &str, desk_name: &str, delivery: &DeliveryId, alert: &Alert, id: String) -> Self {
        let cleared_at = alert.cleared.as_ref().map(|cleared| cleared.at).filter(|_| delivery.edge == Edge::Cleared);
        let (kind, word, at) = match cleared_at {
            Some(at) => ("alert.cleared", "over", at),
            None => ("alert.raised", alert.severity.as_str(), alert.raised_at),
        };
        let facts = Facts {
            desk,
            desk_name,
            alert: delivery.alert.0,
            rule: alert.rule.as_str(),
            condition: alert.when.as_str(),
            severity: alert.severity.as_str(),
            title: &alert.title,
            subject: alert.subject.as_str(),
            detail: &alert.detail,
            since: alert.since.to_string(),
            raised_at: alert.raised_at.to_string(),
            cleared_at: cleared_at.map(|at| at.to_string()),
        };
        let subject = format!("[{desk_name}] {word}: {} – {}", alert.title, alert.subject);
        let text = format!("{subject}\n{}\n{at}, alert {}", alert.detail, delivery.alert);
        Message { id, subject, text, json: json(kind, at, facts) }
    }

    /// What shows that a channel works.
    pub fn test(desk: &str, desk_name: &str, id: String, at: Timestamp) -> Self {
        let title = "This is a test";
        let text = format!("[{desk_name}] {title}\nIf you can read this, alerts of this desk reach you.\n{at}");
        let body = serde_json::json!({
            "type": "alert.test", "timestamp": at.to_string(),
            "data": {"desk": desk, "desk_name": desk_name, "title": title},
        });
        Message { id, subject: format!("[{desk_name}] {title}"), text, json: body.to_string() }
    }
}

fn json(kind: &str, at: Timestamp, data: Facts<'_>) -> String {
    let body = Body { kind, timestamp: at.to_string(), data };
    serde_json::to_string(&body).unwrap_or_else(|error| unreachable!("a body that is no JSON: {error}"))
}
