//! How much one client may have out: what was sent and not yet shown to have arrived.
//!
//! The buffers below us have no bound of their own, so this is it. A Pong that answers one of our Pings proves that everything
//! before it was read; its content cannot be guessed. A client that sends `ack` is taken at its word besides: from then on
//! credit comes back only for what it both read and acknowledged.

use std::collections::VecDeque;
use tidehelm_events::id::Position;

/// A client that has not answered a Ping for so many intervals is gone.
pub const SILENT_INTERVALS: u64 = 3;

#[derive(Debug)]
pub struct Credit {
    window: u64,
    /// Bytes, ever.
    sent: u64,
    proved: u64,
    /// None until the first `ack`.
    acknowledged: Option<u64>,
    pings: VecDeque<Ping>,
    /// How much was sent through which position, for `ack`.
    sent_through: VecDeque<(Position, u64)>,
    pinged: u64,
    interval: u64,
}

#[derive(Debug)]
struct Ping {
    content: Vec<u8>,
    sent: u64,
    interval: u64,
}

impl Credit {
    pub fn new(window: u64) -> Self {
        Credit {
            window,
            sent: 0,
            proved: 0,
            acknowledged: None,
            pings: VecDeque::new(),
            sent_through: VecDeque::new(),
            pinged: 0,
            interval: 0,
        }
    }

    /// What is out.
    pub fn out(&self) -> u64 {
        self.sent - self.acknowledged.map_or(self.proved, |through| through.min(self.proved))
    }

    /// True if a message of this size may go now: one that is larger than the window goes alone.
    pub fn allows(&self, bytes: usize) -> bool {
        self.out() == 0 || self.out() + bytes as u64 <= self.window
    }

    pub fn sent(&mut self, bytes: usize, position: Position) {
        self.sent += bytes as u64;
        match self.sent_through.back_mut() {
            Some((through, sent)) if *through == position => *sent = self.sent,
            _ => self.sent_through.push_back((position, self.sent)),
        }
    }

    /// True once a good part of the window went out since the last Ping: who reads fast gets credit back fast.
    pub fn wants_ping(&self) -> bool {
        self.sent - self.pinged >= self.window / 4
    }

    /// True if a Ping now would return more than those on their way.
    pub fn has_unasked(&self) -> bool {
        self.sent > self.pinged
    }

    pub fn ping(&mut self, content: Vec<u8>) {
        self.pinged = self.sent;
        self.pings.push_back(Ping { content, sent: self.sent, interval: self.interval });
    }

    /// Takes a Pong; false if it answers none of our Pings.
    pub fn pong(&mut self, content: &[u8]) -> bool {
        let Some(index) = self.pings.iter().position(|ping| ping.content == content) else { return false };
        // A Pong may answer several Pings at once.
        if let Some(ping) = self.pings.drain(..=index).next_back() {
            self.proved = ping.sent;
        }
        if self.acknowledged.is_none() {
            self.forget_through(self.proved);
        }
        true
    }

    pub fn ack(&mut self, position: Position) {
        let mut through = self.acknowledged.unwrap_or(self.proved);
        while let Some((at, sent)) = self.sent_through.front()
            && *at <= position
        {
            through = *sent;
            self.sent_through.pop_front();
        }
        self.acknowledged = Some(through);
    }

    /// A Ping interval is over; false if the client has been silent for too long.
    pub fn interval_over(&mut self) -> bool {
        self.interval += 1;
        self.pings.front().is_none_or(|oldest| self.interval - oldest.interval < SILENT_INTERVALS)
    }

    fn forget_through(&mut self, sent: u64) {
        while self.sent_through.front().is_some_and(|(_, through)| *through <= sent) {
            self.sent_through.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn credit() -> Credit {
        Credit::new(1000)
    }

    #[test]
    fn a_window_is_out_and_no_more_until_a_pong_comes() {
        let mut credit = credit();
        credit.sent(900, Position(1));
        assert!(credit.allows(100) && !credit.allows(101));
        credit.ping(b"one".into());
        credit.sent(100, Position(2));
        assert!(!credit.pong(b"made up") && credit.out() == 1000);
        assert!(credit.pong(b"one"));
        assert_eq!(credit.out(), 100);
        assert!(!credit.pong(b"one"), "a Pong counts once");
    }

    #[test]
    fn a_message_larger_than_the_window_goes_alone() {
        let mut credit = credit();
        assert!(credit.allows(5000));
        credit.sent(5000, Position(1));
        assert!(!credit.allows(1));
        credit.ping(b"one".into());
        assert!(credit.pong(b"one") && credit.allows(1));
    }

    #[test]
    fn a_pong_answers_the_pings_before_it_too() {
        let mut credit = credit();
        for (content, position) in [("one", 1), ("two", 2), ("three", 3)] {
            credit.sent(100, Position(position));
            credit.ping(content.into());
        }
        assert!(credit.pong(b"two") && credit.out() == 100);
        assert!(!credit.pong(b"one") && credit.pong(b"three") && credit.out() == 0);
    }

    #[test]
    fn who_acknowledges_gets_credit_for_what_was_read_and_acknowledged() {
        let mut credit = credit();
        for position in 1..=4 {
            credit.sent(100, Position(position));
        }
        credit.ack(Position(2));
        assert_eq!(credit.out(), 400, "an ack alone proves nothing");
        credit.ping(b"one".into());
        assert!(credit.pong(b"one"));
        assert_eq!(credit.out(), 200, "a Pong alone is not enough any more");
        credit.ack(Position(1));
        assert_eq!(credit.out(), 200, "an old ack takes nothing back");
        credit.ack(Position(900));
        assert_eq!(credit.out(), 0);
    }

    #[test]
    fn three_intervals_without_a_pong_are_silence() {
        let mut credit = credit();
        assert!((0..10).all(|_| credit.interval_over()), "who was not asked need not answer");
        credit.ping(b"one".into());
        assert!(credit.interval_over() && credit.interval_over());
        credit.ping(b"two".into());
        assert!(!credit.interval_over());
        assert!(credit.pong(b"one"));
        assert!(credit.interval_over() && !credit.interval_over());
    }

    proptest! {
        /// Whatever a client says, no more than a window, or one message, is out unproved.
        #[test]
        fn nothing_that_a_client_says_opens_the_window_wider(
            steps in prop::collection::vec((0u8..5, 1usize..400, 0u64..50), 1..300),
        ) {
            let mut credit = credit();
            let (mut position, mut made, mut read) = (0, 0u64, 0u64);
            let (mut sent, mut pings) = (0u64, VecDeque::new());
            for (what, bytes, number) in steps {
                match what {
                    0 | 1 => if credit.allows(bytes) {
                        position += number % 2;
                        credit.sent(bytes, Position(position));
                        sent += bytes as u64;
                    },
                    2 => {
                        made += 1;
                        credit.ping(made.to_be_bytes().into());
                        pings.push_back((made, sent));
                    }
                    3 => if let Some((ping, through)) = pings.pop_front() {
                        prop_assert!(credit.pong(&ping.to_be_bytes()));
                        read = through;
                    },
                    _ => credit.ack(Position(number)),
                }
                prop_assert!(sent - read <= 1000 && credit.out() <= 1000 && credit.out() >= sent - read);
            }
        }
    }
}
