//! The rule of every stream: commands are decided on a state, events change it, and neither asks anybody anything.

use crate::copy::settings::Overrides;
use crate::copy::stop::StopDegree;
use crate::desk::Settings;
use crate::endpoint::Directory;
use crate::id::{Position, Version};
use crate::time::Timestamp;

/// A state that is the fold of its events.
pub trait Stream {
    type Command;
    type Event;
    type Refusal;

    /// What follows from the command, or the one reason why not. The state is as it was.
    fn decide(&self, command: Self::Command, seen: &Seen<'_>) -> Result<Decision<Self::Event>, Self::Refusal>;

    /// Remembers an event. It asserts what must hold: a record that cannot be believed stops the fold.
    fn evolve(&mut self, event: &Self::Event, at: &Stamp);
}

/// What a decision may look at besides its own stream: all of it comes from the log or with the command.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub now: Timestamp,
    /// When the message came in; liveness counts from here, not from when it was worked off.
    pub received_at: Timestamp,
    /// No silence counts from before this: the desk's start, or a jump of the clock.
    pub listening_since: Timestamp,
    pub settings: &'a Settings,
    pub locked: bool,
    /// When the message was sent, by its sender's clock.
    pub sent_at: Timestamp,
    pub copy_defaults: &'a Overrides,
    pub stopped: Option<StopDegree>,
    /// Which endpoint has which name and address.
    pub endpoints: &'a Directory,
}

/// Where and when an event stands in the log.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub position: Position,
    pub version: Version,
    pub received_at: Timestamp,
    pub recorded_at: Timestamp,
}

/// Events to append and what must happen once they are durable.
#[derive(Debug)]
pub struct Decision<E> {
    pub events: Vec<E>,
    pub effects: Vec<crate::react::Effect>,
}

impl<E> Decision<E> {
    pub fn nothing() -> Self {
        Decision { events: Vec::new(), effects: Vec::new() }
    }
    pub fn of(event: E) -> Self {
        Decision { events: vec![event], effects: Vec::new() }
    }
    pub fn map<F>(self, to: impl FnMut(E) -> F) -> Decision<F> {
        Decision { events: self.events.into_iter().map(to).collect(), effects: self.effects }
    }
}

impl<E> From<Vec<E>> for Decision<E> {
    fn from(events: Vec<E>) -> Self {
        Decision { events, effects: Vec::new() }
    }
}
