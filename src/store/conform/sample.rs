//! Commits that could have been: an account's heartbeats and what a person did about it.

use tidehelm_events::account::{Event, HeartbeatSeen, IntentSet, StateHash};
use tidehelm_events::commit::{Commit, Hash, Head, Reacted, Sealing, pack};
use tidehelm_events::envelope::{Class, Envelope, Record};
use tidehelm_events::event;
use tidehelm_events::id::{AccountId, CommandId, DeskId, NodeId, Position, Principal, StreamId, StreamNo, Version};
use tidehelm_events::time::{Span, Timestamp};
use uuid::Uuid;

pub fn node() -> NodeId {
    NodeId(Uuid::from_u128(7))
}

/// A writer's own idea of the log.
#[derive(Debug, Clone)]
pub struct Tale {
    pub head: Head,
    version: Version,
}

pub struct Next {
    pub commit: Commit,
    pub audit: Vec<Envelope>,
    pub expected: Head,
}

impl Tale {
    pub fn new(head: Head) -> Self {
        Tale { head, version: Version(head.position.0) }
    }

    /// The version of an event that is there already and has an audit row.
    pub fn next_version_of_kept(&self) -> Version {
        self.version
    }

    /// The next commit, with so many events of telemetry and so many that are kept.
    pub fn next(&mut self, telemetry: u32, kept: u32) -> Next {
        let now = Timestamp::from_millis(1_700_000_000_000).max(self.head.committed_at) + Span::seconds(1);
        let stream = StreamId::master(&AccountId::new("Broker_1").unwrap());
        let names = if self.head.position == Position(0) { vec![(StreamNo(0), stream.clone())] } else { Vec::new() };
        let mut position = self.head.position;
        let mut records = Vec::new();
        for index in 0..telemetry + kept {
            position = position.next();
            self.version = self.version.next();
            let event = if index < telemetry {
                heartbeat(index)
            } else {
                Event::IntentSet(IntentSet { enabled: index % 2 == 0 })
            };
            records.push(Record {
                position,
                stream: StreamNo(0),
                version: self.version,
                occurred_at: now,
                received_at: now,
                recorded_at: now,
                by: if index < telemetry { Principal::Terminal } else { Principal::Operator },
                command: (index >= telemetry).then(|| CommandId(Uuid::from_u128(u128::from(position.0)))),
                causation: None,
                correlation: position,
                event: event::Event::Account(event),
            });
        }
        let expected = self.head;
        let sealing = Sealing {
            previous: expected,
            now,
            node: node(),
            epoch: expected.epoch,
            reacted: Reacted::all_through(position),
        };
        let commit = pack(&names, &records, &sealing);
        let business = records.iter().filter(|record| record.event.class() == Class::Business);
        let audit = business.map(|record| record.envelope(DeskId(Uuid::from_u128(1)), &stream)).collect();
        self.head = commit.head();
        Next { commit, audit, expected }
    }
}

impl Next {
    /// Makes the commit so large, with bytes that mean nothing.
    pub fn stretch(&mut self, bytes: usize) {
        let blob = vec![7; bytes];
        self.commit.header.telemetry_hash = Hash::of(&blob);
        self.commit.telemetry = Some(blob);
        self.commit.hash = self.commit.header.hash();
    }
}

fn heartbeat(index: u32) -> Event {
    Event::HeartbeatSeen(HeartbeatSeen {
        balance: (1000 + index).to_string().parse().unwrap(),
        equity: "1000.50".parse().unwrap(),
        free_margin: "900".parse().unwrap(),
        open_positions: index,
        trade_allowed: true,
        state_hash: StateHash::default(),
        through_signal_seq: 0,
    })
}
