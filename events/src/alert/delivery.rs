//! The outbox: what must be told to whom, and how often it was tried.

use super::name::ChannelId;
use crate::id::{DeskId, Position};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// No repeat waits longer.
const WAIT_MAX: Span = Span::hours(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    Raised,
    Cleared,
}

impl Edge {
    pub fn as_str(self) -> &'static str {
        match self {
            Edge::Raised => "raised",
            Edge::Cleared => "cleared",
        }
    }
}

/// One edge of one alert on its way to one channel: there is never a second one of the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeliveryId {
    /// Of the event that raised the alert.
    pub alert: Position,
    pub edge: Edge,
    pub channel: ChannelId,
}

impl DeliveryId {
    /// What the receiver knows it by, however often it comes.
    pub fn webhook_id(&self, desk: DeskId) -> String {
        format!("msg_{}", Uuid::new_v5(&desk.0, self.to_string().as_bytes()).simple())
    }
}
impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.alert, self.edge.as_str(), self.channel)
    }
}
impl FromStr for DeliveryId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("a delivery is ALERT.raised.CHANNEL or ALERT.cleared.CHANNEL, got `{text}`");
        let mut parts = text.splitn(3, '.');
        let (Some(alert), Some(edge), Some(channel)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let edge = match edge {
            "raised" => Edge::Raised,
            "cleared" => Edge::Cleared,
            _ => return Err(wrong()),
        };
        let alert = alert.parse().map(Position).map_err(|_| wrong())?;
        let id = DeliveryId { alert, edge, channel: ChannelId::new(channel).map_err(|error| error.to_string())? };
        (id.to_string() == text).then_some(id).ok_or_else(wrong)
    }
}
impl TryFrom<String> for DeliveryId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
impl From<DeliveryId> for String {
    fn from(id: DeliveryId) -> String {
        id.to_string()
    }
}

/// One that is due, or was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub created_at: Timestamp,
    /// When the edge was.
    pub edge_at: Timestamp,
    /// Tries since it was made, or replayed.
    pub attempts: u32,
    pub due_at: Timestamp,
    pub last_error: Option<String>,
}

/// How long to wait after the given number of tries; `jitter` is 0 to 999, as good as random.
pub fn backoff(first: Span, attempts: u32, jitter: u16) -> Span {
    let times = 3i64.saturating_pow(attempts.saturating_sub(1).min(12));
    let wait = first.0.saturating_mul(times).clamp(0, WAIT_MAX.0);
    // From four fifths to six fifths of it.
    Span(wait.saturating_mul(800 + i64::from(jitter.min(999)) * 2 / 5) / 1_000)
}
