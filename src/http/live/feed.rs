//! What there is to tell, kept once for all sessions: the newest message about each thing, and the last happenings.
//!
//! A session is a number here: everything up to it was told. What it has not taken when something changes again it will never
//! see in the older form, so nothing piles up for a slow one. Happenings cannot be replaced by later ones: they are kept up to
//! a bound, and what had to go before somebody took it is a gap that is told.

use bytestring::ByteString;
use std::collections::{BTreeMap, VecDeque};
use tidehelm_events::id::Position;
use tidehelm_events::view::live::{Thing, Topic, Topics};

/// Happenings are kept up to this many bytes.
pub const HAPPENINGS_BYTES_MAX: usize = 16 << 20;

#[derive(Debug)]
pub struct Feed {
    last: u64,
    /// Who has not been told everything up to here must begin anew, and why.
    floor: (u64, Why),
    /// The same for those who come back with a position.
    reaches_back_to: Position,
    position: Position,
    things: BTreeMap<u64, Message>,
    newest: BTreeMap<Thing, u64>,
    happenings: VecDeque<(u64, Message)>,
    happenings_bytes: usize,
    happenings_bytes_max: usize,
    /// The last happening of each topic that had to go.
    gone: BTreeMap<Topic, (u64, Position)>,
    watchers: usize,
}

/// Why a client gets a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It came without a position.
    Connected,
    /// What happened since its position is too much, or was cut.
    TooFar,
    /// Its position lies ahead of the log: an older backup was restored.
    AheadOfLog,
    /// The desk started again from the log.
    Recovered,
    /// The feed had to begin anew.
    FellBehind,
    /// It wants to hear of more than before.
    Subscribed,
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Connected => "connected",
            Why::TooFar => "too_far",
            Why::AheadOfLog => "ahead_of_log",
            Why::Recovered => "recovered",
            Why::FellBehind => "fell_behind",
            Why::Subscribed => "subscribed",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Message {
    /// As it stands in the text: once this message is told, everything up to here was.
    pub position: Position,
    /// The end of the stretch of the log that it tells.
    pub through: Position,
    pub topic: Topic,
    pub text: ByteString,
    /// A happening, which nothing replaces.
    pub once: bool,
}

impl Feed {
    pub fn new(position: Position, happenings_bytes_max: usize) -> Self {
        Feed {
            last: 0,
            floor: (0, Why::FellBehind),
            reaches_back_to: position,
            position,
            things: BTreeMap::new(),
            newest: BTreeMap::new(),
            happenings: VecDeque::new(),
            happenings_bytes: 0,
            happenings_bytes_max,
            gone: BTreeMap::new(),
            watchers: 0,
        }
    }

    /// Everything up to this position has been told to the feed.
    pub fn position(&self) -> Position {
        self.position
    }
    /// The number of the last message.
    pub fn last(&self) -> u64 {
        self.last
    }
    pub fn watchers(&self) -> usize {
        self.watchers
    }
    pub fn enter(&mut self) {
        self.watchers += 1;
    }
    pub fn leave(&mut self) {
        self.watchers -= 1;
    }

    /// Takes in what a stretch of the log up to `position` means: its things as they are after it, then its happenings: who has
    /// been told a happening was told what it changed.
    pub fn publish(&mut self, position: Position, things: Vec<(Thing, Message)>, happenings: Vec<Message>) {
        for (thing, message) in things {
            self.last += 1;
            if let Some(older) = self.newest.insert(thing, self.last) {
                self.things.remove(&older);
            }
            self.things.insert(self.last, message);
        }
        for happening in happenings {
            self.last += 1;
            self.happenings_bytes += happening.text.len();
            self.happenings.push_back((self.last, happening));
        }
        while self.happenings_bytes > self.happenings_bytes_max {
            let Some((number, oldest)) = self.happenings.pop_front() else { break };
            self.happenings_bytes -= oldest.text.len();
            self.gone.insert(oldest.topic, (number, oldest.position));
        }
        self.position = self.position.max(position);
    }

    /// Nobody watches: what came is not kept, and who comes back asks the log.
    pub fn pass_over(&mut self, position: Position) {
        if self.last > self.floor.0 {
            self.clear(Why::FellBehind);
        }
        (self.position, self.reaches_back_to) = (position, position);
    }

    /// Begins anew at a position; everybody gets a snapshot.
    pub fn begin_anew(&mut self, position: Position, why: Why) {
        self.clear(why);
        (self.position, self.reaches_back_to) = (position, position);
    }

    fn clear(&mut self, why: Why) {
        self.last += 1;
        self.floor = (self.last, why);
        self.things.clear();
        self.newest.clear();
        self.happenings.clear();
        self.happenings_bytes = 0;
        self.gone.clear();
    }

    /// Why somebody who was told everything up to this number must begin anew; none if they can go on.
    pub fn lost(&self, number: u64) -> Option<Why> {
        (number < self.floor.0).then_some(self.floor.1)
    }

    /// Messages after a number, in order.
    pub fn after(&self, number: u64) -> impl Iterator<Item = (u64, &Message)> {
        let mut things = self.things.range(number + 1..).map(|(number, message)| (*number, message)).peekable();
        let start = self.happenings.partition_point(|(at, _)| *at <= number);
        let mut happenings = self.happenings.range(start..).map(|(number, message)| (*number, message)).peekable();
        std::iter::from_fn(move || match (things.peek(), happenings.peek()) {
            (Some((thing, _)), Some((happening, _))) if happening < thing => happenings.next(),
            (Some(_), _) => things.next(),
            (None, _) => happenings.next(),
        })
    }

    /// Number and position of the last happening of these topics that is gone and was not told; none if all are there.
    pub fn gap(&self, number: u64, topics: Topics) -> Option<(u64, Position)> {
        let gone = self.gone.iter().filter(|(topic, (at, _))| topics.has(**topic) && *at > number);
        gone.map(|(_, gone)| *gone).max()
    }

    /// The number from which to go on for somebody who was told everything up to a position; none if the feed does not reach
    /// back to it. Things of the stretch in which the position lies are told again, and its happenings are to be passed over.
    pub fn number_at(&self, since: Position) -> Option<u64> {
        if since < self.reaches_back_to || since > self.position {
            return None;
        }
        let thing = self.first_thing_at(since);
        let happening = self.happenings.partition_point(|(_, message)| message.position <= since);
        let happening = self.happenings.get(happening).map(|(number, _)| *number);
        let next = thing.into_iter().chain(happening).min().unwrap_or(self.last + 1);
        let gone = self.gone.values().filter(|(_, position)| *position > since).map(|(number, _)| *number).min();
        Some((next - 1).min(gone.map_or(u64::MAX, |number| number - 1)))
    }

    /// Positions never go back, so the newest messages are looked at first, down to the position.
    fn first_thing_at(&self, since: Position) -> Option<u64> {
        let at_or_after = self.things.iter().rev().take_while(|(_, message)| message.through >= since);
        at_or_after.last().map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidehelm_events::id::AccountId;

    fn group(id: &str, position: u64, through: u64) -> (Thing, Message) {
        let (text, topic) = (format!("{id}{position}").into(), Topic::Groups);
        let (position, through) = (Position(position), Position(through));
        let message = Message { position, through, topic, text, once: false };
        (Thing::Group(AccountId::new(id).unwrap()), message)
    }
    fn event(position: u64) -> Message {
        let (position, text) = (Position(position), format!("event {position}").into());
        Message { position, through: position, topic: Topic::Events, text, once: true }
    }
    fn texts(feed: &Feed, after: u64) -> Vec<String> {
        feed.after(after).map(|(_, message)| message.text.to_string()).collect()
    }

    #[test]
    fn only_the_newest_message_about_a_thing_is_there_and_every_happening() {
        let mut feed = Feed::new(Position(0), 1000);
        feed.publish(Position(1), vec![group("A", 0, 1), group("B", 0, 1)], vec![event(1)]);
        let told = feed.last();
        feed.publish(Position(2), vec![group("A", 1, 2)], vec![event(2)]);
        assert_eq!(texts(&feed, 0), ["B0", "event 1", "A1", "event 2"]);
        assert_eq!(texts(&feed, told), ["A1", "event 2"]);
        assert_eq!(texts(&feed, feed.last()), [""; 0]);
    }

    #[test]
    fn happenings_beyond_the_bound_are_a_gap_for_those_who_were_not_told() {
        let mut feed = Feed::new(Position(0), 20);
        feed.publish(Position(1), vec![], vec![event(1)]);
        let told = feed.last();
        feed.publish(Position(5), vec![group("A", 1, 5)], (2..=5).map(event).collect());
        assert_eq!(texts(&feed, told), ["A1", "event 4", "event 5"]);
        assert_eq!(feed.gap(told, Topics::all()), Some((4, Position(3))));
        assert_eq!(feed.gap(told, [Topic::Groups].into_iter().collect()), None, "who did not ask misses nothing");
        assert_eq!(feed.gap(4, Topics::all()), None);
    }

    #[test]
    fn who_comes_back_goes_on_where_they_were() {
        let mut feed = Feed::new(Position(10), 1000);
        feed.publish(Position(12), vec![group("A", 10, 12)], vec![event(11), event(12)]);
        feed.publish(Position(14), vec![group("B", 12, 14), group("C", 14, 14)], vec![]);
        let from = |since| feed.number_at(Position(since)).map(|number| texts(&feed, number));
        assert_eq!(from(9), None, "before the feed began");
        assert_eq!(from(10).unwrap(), ["A10", "event 11", "event 12", "B12", "C14"]);
        assert_eq!(from(11).unwrap(), ["A10", "event 11", "event 12", "B12", "C14"], "in the middle of a stretch");
        assert_eq!(from(12).unwrap(), ["A10", "event 11", "event 12", "B12", "C14"], "its figures may have waited");
        assert_eq!(from(13).unwrap(), ["B12", "C14"]);
        assert_eq!(from(14).unwrap(), ["B12", "C14"]);
        assert_eq!(from(15), None, "ahead of the log");
    }

    #[test]
    fn who_comes_back_hears_of_a_gap() {
        let mut feed = Feed::new(Position(0), 20);
        feed.publish(Position(5), vec![], (1..=5).map(event).collect());
        let number = feed.number_at(Position(1)).unwrap();
        assert_eq!(feed.gap(number, Topics::all()), Some((3, Position(3))));
        assert_eq!(feed.gap(feed.number_at(Position(3)).unwrap(), Topics::all()), None);
    }

    #[test]
    fn a_feed_that_begins_anew_loses_everybody() {
        let mut feed = Feed::new(Position(0), 1000);
        feed.publish(Position(1), vec![], vec![event(1)]);
        let told = feed.last();
        assert_eq!(feed.lost(told), None);
        feed.begin_anew(Position(7), Why::Recovered);
        assert_eq!((feed.lost(told), feed.lost(feed.last())), (Some(Why::Recovered), None));
        assert_eq!((texts(&feed, 0), feed.number_at(Position(6))), (vec![], None));
    }

    #[test]
    fn with_nobody_watching_nothing_is_kept() {
        let mut feed = Feed::new(Position(0), 1000);
        feed.publish(Position(1), vec![group("A", 0, 1)], vec![event(1)]);
        let told = feed.last();
        feed.pass_over(Position(2));
        let begun = feed.last();
        feed.pass_over(Position(3));
        assert_eq!((feed.last(), feed.position(), texts(&feed, 0)), (begun, Position(3), vec![]));
        assert_eq!((feed.lost(told), feed.lost(begun)), (Some(Why::FellBehind), None));
        assert_eq!(feed.number_at(Position(2)), None);
    }
}
