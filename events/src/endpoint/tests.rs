//! Endpoints from the outside: what they are told, and what they make of it.

mod any_order;
mod detecting;
mod health;
mod registering;
mod requests;
mod routes;

use super::*;
use crate::id::{Position, Version};
use crate::sample::START;
use crate::sample::endpoint::{endpoint_id, finished, model, settings};
use crate::stream::{Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};

/// One endpoint with a clock, and a directory that knows of others.
#[derive(Clone)]
struct Case {
    endpoint: Endpoint,
    directory: Directory,
    now: Timestamp,
    version: u64,
    seq: u64,
}

impl Case {
    fn empty() -> Self {
        let endpoint = Endpoint::new(endpoint_id(1));
        Case { endpoint, directory: Directory::default(), now: START, version: 0, seq: 0 }
    }

    fn with(settings: Settings) -> Self {
        let mut case = Case::empty();
        case.does(Command::Register(Box::new(settings)));
        case
    }

    /// Registered, and nothing heard of it.
    fn new() -> Self {
        Case::with(settings("attic"))
    }

    /// It answered once.
    fn online() -> Self {
        let mut case = Case::new();
        case.answers(120);
        assert_eq!(case.status(), Status::Online);
        case
    }

    fn tries(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        let (desk, copy_defaults) = (crate::desk::Settings::default(), Default::default());
        let now = self.now;
        let seen = Seen {
            now,
            received_at: now,
            sent_at: now,
            listening_since: START,
            settings: &desk,
            locked: false,
            copy_defaults: &copy_defaults,
            stopped: None,
            endpoints: &self.directory,
        };
        let before = self.endpoint.clone();
        let decided = self.endpoint.decide(command, &seen);
        assert_eq!(self.endpoint, before, "a decision changed something");
        let decided = decided?;
        assert_eq!(decided.effects, []);
        for event in &decided.events {
            self.version += 1;
            let (position, version) = (Position(self.version), Version(self.version));
            self.endpoint.evolve(event, &Stamp { position, version, received_at: now, recorded_at: now });
        }
        Ok(decided.events)
    }

    fn does(&mut self, command: Command) -> Vec<&'static str> {
        self.tries(command).unwrap().iter().map(|event| event.kind().name).collect()
    }

    fn refuses(&mut self, command: Command) -> Refusal {
        self.tries(command).unwrap_err()
    }

    fn passes(&mut self, millis: i64) {
        self.now = self.now + Span::millis(millis);
    }

    fn probe(&mut self, outcome: ProbeOutcome, jitter: u16) -> Vec<&'static str> {
        let revision = self.endpoint.revision;
        self.does(Command::TakeProbe { outcome, found: None, revision, jitter })
    }

    fn answers(&mut self, millis: i64) -> Vec<&'static str> {
        self.probe(ProbeOutcome::Answered { took: Span::millis(millis) }, 500)
    }

    fn fails(&mut self) -> Vec<&'static str> {
        self.probe(ProbeOutcome::Failed { failure: Failure::Connect, detail: "refused".into() }, 500)
    }

    /// A request that is told for the first time.
    fn request(&mut self, outcome: Outcome, http_status: Option<u16>) -> Vec<&'static str> {
        self.seq += 1;
        let finished = RequestFinished { outcome, http_status, ..finished(self.seq) };
        self.does(Command::FinishRequest { finished: Box::new(finished), jitter: 500 })
    }

    fn status(&self) -> Status {
        self.endpoint.health.status
    }

    /// From now until the next probe, in milliseconds.
    fn probed_in(&self) -> i64 {
        self.endpoint.probe_due().unwrap().since(self.now).0 / 1_000
    }
}
