//! The two legs, and how one knows that they live.

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A leg that was not heard for so long looks after nothing.
pub const SILENT_AFTER: Span = Span::seconds(15);
/// With nothing to look after the EXIT leg is heard this often.
pub(super) const IDLE_TICK: Span = Span::seconds(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    Entry,
    /// It alone decides when something is closed.
    Exit,
}

impl Leg {
    pub const ALL: [Leg; 2] = [Leg::Entry, Leg::Exit];

    pub fn as_str(self) -> &'static str {
        match self {
            Leg::Entry => "entry",
            Leg::Exit => "exit",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegState {
    pub ticked_at: Option<Timestamp>,
    pub ticks: u64,
    /// When it failed and how; it does nothing until somebody restarts it.
    pub failed: Option<(Timestamp, Box<str>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegStatus {
    Never,
    Alive,
    Silent,
    Failed,
}

impl LegState {
    pub fn status(&self, now: Timestamp) -> LegStatus {
        match (&self.failed, self.ticked_at) {
            (Some(_), _) => LegStatus::Failed,
            (None, None) => LegStatus::Never,
            (None, Some(at)) if now.since(at) > SILENT_AFTER => LegStatus::Silent,
            (None, Some(_)) => LegStatus::Alive,
        }
    }
    /// Since its last heartbeat.
    pub fn age(&self, now: Timestamp) -> Option<Span> {
        self.ticked_at.map(|at| now.since(at))
    }
    /// It was not heard for that long. A clock that went back makes it due.
    pub(super) fn is_due(&self, every: Span, now: Timestamp) -> bool {
        self.ticked_at.is_none_or(|at| now.since(at) >= every || now < at)
    }
}
