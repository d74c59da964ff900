//! What happens to a terminal: its line is cut, or it crashes and comes back with nothing but its files.

use crate::fleet::rng::Rng;
use tidehelm_events::time::{Span, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upset {
    /// Mean time between two mishaps of one terminal.
    pub every: Span,
    /// Longest time away.
    pub away_max: Span,
}

impl Upset {
    pub const USUAL: Upset = Upset { every: Span::seconds(45), away_max: Span::seconds(4) };
}

#[derive(Debug, Clone)]
pub struct Chaos {
    upset: Upset,
    rng: Rng,
    state: State,
    pub due: Timestamp,
    calm: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Well,
    Cut,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Cut,
    Mend,
    Crash,
    Restart,
}

/// When nothing is to come any more.
const NEVER: Timestamp = Timestamp(i64::MAX);

impl Chaos {
    /// Nothing happens before it begins.
    pub(super) fn new(upset: Upset, rng: Rng) -> Chaos {
        Chaos { upset, rng, state: State::Well, due: NEVER, calm: true }
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        self.calm = false;
        self.due = now + Span(self.rng.between(0, self.upset.every.0 * 2));
    }

    /// Whatever is broken is mended in its time; nothing more breaks.
    pub(super) fn calm(&mut self) {
        self.calm = true;
        if self.state == State::Well {
            self.due = NEVER;
        }
    }

    pub(super) fn next(&mut self, now: Timestamp) -> Next {
        if now < self.due {
            return Next::Nothing;
        }
        let (state, next) = match self.state {
            State::Well if self.rng.permille(500) => (State::Cut, Next::Cut),
            State::Well => (State::Down, Next::Crash),
            State::Cut => (State::Well, Next::Mend),
            State::Down => (State::Well, Next::Restart),
        };
        self.state = state;
        self.due = match state {
            State::Cut | State::Down => now + Span(self.rng.between(100_000, self.upset.away_max.0)),
            State::Well if self.calm => NEVER,
            State::Well => now + Span(self.rng.between(self.upset.every.0 / 4, self.upset.every.0 * 7 / 4)),
        };
        next
    }
}
