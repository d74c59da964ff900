//! What one client has been told, and what it is told next. No clock, no socket: an actor moves it, and so does a test.

use super::credit::Credit;
use super::feed::{Feed, Why};
use super::frame::frame;
use bytestring::ByteString;
use serde_json::json;
use std::sync::Arc;
use tidehelm_events::id::Position;
use tidehelm_events::view::live::Topics;

/// Messages to send before anything live: a snapshot, or what the log says.
#[derive(Debug)]
pub struct Backlog {
    /// What the client was told before it.
    pub since: Position,
    /// What it was told once all of it is sent.
    pub position: Position,
    /// Everything up to this number of the feed is in it.
    pub number: u64,
    pub first: ByteString,
    pub rest: Arc<[ByteString]>,
}

#[derive(Debug)]
pub struct Flow {
    pub topics: Topics,
    credit: Credit,
    /// Everything up to this position was told, figures apart.
    told: Position,
    number: u64,
    backlog: Option<(Backlog, usize)>,
    /// What happened up to here was told, or was before the client's time.
    begun: Position,
    /// The last gap that was told.
    gap: (u64, Position),
    tally: Tally,
}

/// What went out, and what did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub messages: u64,
    pub bytes: u64,
    /// Messages that newer ones replaced before this client took them.
    pub conflated: u64,
    pub gaps: u64,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Send(ByteString),
    /// A Ping should go out, whose Pong returns credit.
    Ping,
    /// The client must begin anew.
    Snapshot(Why),
    /// Nothing to tell, or no credit to tell it.
    Wait,
}

impl Flow {
    pub fn new(window: u64, topics: Topics, backlog: Backlog) -> Self {
        let mut flow = Flow {
            topics,
            credit: Credit::new(window),
            told: backlog.since,
            number: 0,
            backlog: None,
            begun: Position(0),
            gap: (0, Position(0)),
            tally: Tally::default(),
        };
        flow.begin(backlog);
        flow
    }

    /// Tells this before anything live.
    pub fn begin(&mut self, backlog: Backlog) {
        (self.number, self.told, self.begun) = (backlog.number, backlog.since, backlog.position);
        self.backlog = Some((backlog, 0));
    }

    pub fn told(&self) -> Position {
        self.told
    }
    pub fn credit(&mut self) -> &mut Credit {
        &mut self.credit
    }
    /// What went out since the last question.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    pub fn next(&mut self, feed: &Feed) -> Next {
        if self.credit.wants_ping() {
            return Next::Ping;
        }
        if let Some(why) = feed.lost(self.number) {
            return Next::Snapshot(why);
        }
        if self.backlog.is_some() {
            return self.next_of_backlog();
        }
        if let Some((number, through)) = feed.gap(self.number.max(self.gap.0), self.topics) {
            return self.tell_gap(number, through);
        }
        self.next_of_feed(feed)
    }

    /// A message that answers the client; it counts, and does not wait for credit.
    pub fn answer(&mut self, kind: &str, data: &serde_json::Value) -> ByteString {
        let text = frame(self.told, kind, data);
        self.count(&text);
        text
    }

    fn next_of_backlog(&mut self) -> Next {
        let Some((backlog, done)) = &mut self.backlog else { return Next::Wait };
        let text = if *done == 0 { Some(&backlog.first) } else { backlog.rest.get(*done - 1) };
        let Some(text) = text.cloned() else { unreachable!("a backlog ends with its last message") };
        if !self.credit.allows(text.len()) {
            return self.wait_for_credit();
        }
        *done += 1;
        if *done > backlog.rest.len() {
            self.told = backlog.position;
            self.backlog = None;
        }
        self.send(text)
    }

    fn next_of_feed(&mut self, feed: &Feed) -> Next {
        for (number, message) in feed.after(self.number) {
            let wanted = self.topics.has(message.topic) && !(message.once && message.position <= self.begun);
            if wanted && !self.credit.allows(message.text.len()) {
                return self.wait_for_credit();
            }
            self.tally.conflated += number - self.number - 1;
            self.number = number;
            if wanted {
                self.told = self.told.max(message.position);
                return self.send(message.text.clone());
            }
        }
        self.told = self.told.max(feed.position());
        self.number = feed.last();
        Next::Wait
    }

    fn tell_gap(&mut self, number: u64, through: Position) -> Next {
        // Things before it are still told: only happenings are missing.
        let from = self.told.max(self.gap.1).max(self.begun).next();
        let text = frame(self.told, "gap", &json!({"from": from, "to": through}));
        if !self.credit.allows(text.len()) {
            return self.wait_for_credit();
        }
        self.gap = (number, through);
        self.tally.gaps += 1;
        self.send(text)
    }

    /// What is out comes back the sooner the sooner it is asked for.
    fn wait_for_credit(&self) -> Next {
        if self.credit.has_unasked() { Next::Ping } else { Next::Wait }
    }

    fn send(&mut self, text: ByteString) -> Next {
        self.count(&text);
        Next::Send(text)
    }

    fn count(&mut self, text: &ByteString) {
        self.tally.messages += 1;
        self.tally.bytes += text.len() as u64;
        self.credit.sent(text.len(), self.told);
    }
}
