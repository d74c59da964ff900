//! A master's changes on their way to the desk: in order, once, several under way at a time.

use crate::wire::Signal;
use std::collections::VecDeque;
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::Change;

/// How many may wait for their answer at once.
const UNDER_WAY_MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Those that the desk has not taken, from the next one on.
    waiting: VecDeque<Waiting>,
    /// The number that was given last.
    last: u64,
}

#[derive(Debug)]
struct Waiting {
    signal: Signal,
    sent: bool,
}

impl Signals {
    pub(super) fn add(&mut self, change: Change, broker_at: Option<Timestamp>, seen_at: Timestamp) {
        self.last += 1;
        let signal = Signal { signal_seq: self.last, change, broker_at, seen_at };
        self.waiting.push_back(Waiting { signal, sent: false });
    }
    pub(super) fn last_seq(&self) -> u64 {
        self.last
    }
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next one to be sent.
    pub(super) fn take_next(&mut self) -> Option<Signal> {
        let next = self.waiting.iter_mut().take(UNDER_WAY_MAX).find(|waiting| !waiting.sent)?;
        next.sent = true;
        Some(next.signal.clone())
    }
    /// The desk has taken all up to this one.
    pub(super) fn taken(&mut self, through: u64) {
        while self.waiting.front().is_some_and(|first| first.signal.signal_seq <= through) {
            self.waiting.pop_front();
        }
    }
    /// The desk will never take this one: those behind it move up.
    pub(super) fn drop_refused(&mut self, seq: u64) {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.signal.signal_seq == seq) else { return };
        self.waiting.remove(at);
        for waiting in self.waiting.iter_mut().skip(at) {
            waiting.signal.signal_seq -= 1;
            waiting.sent = false;
        }
        self.last -= 1;
    }
    /// The desk wants this number next: all that it does not have is sent again. It may have said so before it took some of
    /// what was sent meanwhile; what it took it does not want back.
    pub(super) fn again_from(&mut self, expected: u64) {
        self.taken(expected.saturating_sub(1));
        if self.waiting.is_empty() {
            self.last = self.last.max(expected.saturating_sub(1));
        }
        self.forget_sent();
    }
    pub(super) fn forget_sent(&mut self) {
        for waiting in &mut self.waiting {
            waiting.sent = false;
        }
    }
    /// A new epoch counts from 1.
    pub(super) fn renumber(&mut self) {
        self.last = 0;
        for waiting in &mut self.waiting {
            self.last += 1;
            waiting.signal.signal_seq = self.last;
            waiting.sent = false;
        }
    }
}
