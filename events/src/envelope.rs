//! The record: an event with its place, its times, its cause and who wanted it.

use crate::event::Event;
use crate::id::{CommandId, DeskId, EventId, Position, Principal, StreamId, StreamNo, Version};
use crate::stream::Stamp;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How long an event is kept, and how it can be queried (docs/adr/0025).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Kept for ever, with a readable audit row.
    Business,
    /// Kept in SQL tables of its own, with its own retention; cut from the log as telemetry is, its totals stay in the fold.
    Volume,
    /// Cut by age or size.
    Telemetry,
}

impl Class {
    /// It stands in the blob that is never cut.
    pub fn is_kept(self) -> bool {
        match self {
            Class::Business => true,
            Class::Volume | Class::Telemetry => false,
        }
    }
}

/// One event as the log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub position: Position,
    pub stream: StreamNo,
    pub version: Version,
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
    pub recorded_at: Timestamp,
    pub by: Principal,
    pub command: Option<CommandId>,
    /// The event that this one is a reaction to.
    pub causation: Option<Position>,
    /// The first event of the whole chain; its own position where it is the first.
    pub correlation: Position,
    pub event: Event,
}

impl Record {
    pub fn stamp(&self) -> Stamp {
        Stamp {
            position: self.position,
            version: self.version,
            received_at: self.received_at,
            recorded_at: self.recorded_at,
        }
    }

    /// The record as people and programs read it.
    pub fn envelope(&self, desk: DeskId, stream: &StreamId) -> Envelope {
        let info = self.event.kind();
        Envelope {
            position: self.position,
            stream: stream.clone(),
            version: self.version,
            event_id: EventId::derive(desk, self.position, self.recorded_at),
            kind: info.name.to_string(),
            schema: info.schema,
            class: info.class,
            occurred_at: self.occurred_at,
            received_at: self.received_at,
            recorded_at: self.recorded_at,
            command_id: self.command,
            causation: self.causation,
            correlation: self.correlation,
            by: self.by.to_string(),
            payload: self.event.to_json(),
        }
    }
}

/// A record in JSON, with every name written out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    pub position: Position,
    pub stream: StreamId,
    pub version: Version,
    pub event_id: EventId,
    pub kind: String,
    pub schema: u16,
    pub class: Class,
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
    pub recorded_at: Timestamp,
    pub command_id: Option<CommandId>,
    pub causation: Option<Position>,
    pub correlation: Position,
    pub by: String,
    pub payload: serde_json::Value,
}
