//! What a master's terminal says of its trades.

use super::book::{MasterBook, remaining};
use super::command::{Refusal, Signal, Snapshot};
use super::event::*;
use super::state::Account;
use crate::copy::Origin;
use crate::id::Role;
use crate::money::Lots;
use crate::react::Effect;
use crate::stream::{Decision, Seen};
use crate::trade::{Change, Entry, Ticket, Trade};
use std::collections::BTreeSet;

/// More open trades than this are not a terminal's.
pub const TRADES_MAX: usize = 5_000;

impl Account {
    /// Refuses in this order: a slave, an unknown terminal, a number that is not the next, a change that makes no sense.
    pub(super) fn signal(&self, signal: Signal) -> Result<Decision<Event>, Refusal> {
        if self.role != Role::Master {
            return Err(Refusal::NotAMaster);
        }
        if self.identity.is_none() {
            return Err(Refusal::AccountUnknown);
        }
        let new = MasterBook::default();
        let book = self.master_book.as_deref().unwrap_or(&new);
        let expected = book.signal_seq + 1;
        match signal.signal_seq {
            got if got > expected => return Err(Refusal::SignalGap { got, expected }),
            got if got < expected => return Err(Refusal::SignalOld { got, expected }),
            _ => {}
        }
        check(book, &signal.change)?;
        let before = book.trade(signal.change.ticket()).cloned().map(Box::new);
        let Signal { signal_seq, change, broker_at, seen_at } = signal;
        let origin = Origin::Signal;
        Ok(Decision::of(Event::SignalTaken(SignalTaken { signal_seq, origin, change, before, broker_at, seen_at })))
    }

    /// What a heartbeat's hash says against ours, once: while a snapshot is under way nothing more is asked. A master's trades
    /// are compared with what its signals say; a slave's with what they were when both last agreed, while no order is under way.
    pub(super) fn differs(&self, heartbeat: &HeartbeatSeen) -> Option<Event> {
        let reported = heartbeat.state_hash;
        if reported == StateHash::default() {
            return None;
        }
        let (through_signal_seq, agreed, expected) = match (&self.master_book, &self.slave_book) {
            (Some(book), _) if !book.snapshot_wanted => (book.signal_seq, book.agreed, None),
            (None, Some(book)) if !book.snapshot_wanted && book.outbox.is_empty() => {
                (book.order_seq, book.agreed, Some(book.agreed?))
            }
            _ => return None,
        };
        if heartbeat.through_signal_seq != through_signal_seq || agreed == Some(reported) {
            return None;
        }
        let expected = expected.or_else(|| self.master_book.as_ref().map(|book| book.hash()))?;
        (expected != reported).then_some(Event::StateDiffered(StateDiffered { through_signal_seq, reported, expected }))
    }

    pub(super) fn snapshot(&self, snapshot: Snapshot, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        if self.identity.is_none() {
            return Err(Refusal::AccountUnknown);
        }
        if snapshot.trades.len() > TRADES_MAX {
            return Err(Refusal::TradesFull(TRADES_MAX));
        }
        let mut tickets = BTreeSet::new();
        for known in &snapshot.trades {
            if !tickets.insert(known.trade.ticket) {
                return Err(Refusal::SnapshotDoubled(known.trade.ticket));
            }
        }
        match self.role {
            Role::Master => self.master_snapshot(&snapshot, &tickets),
            Role::Slave => {
                self.check_fresh(&snapshot)?;
                Ok(self.slave_snapshot(&snapshot, seen))
            }
        }
    }

    /// A snapshot that was made before an order whose result is here says nothing of what that order did. Zero says nothing at all.
    fn check_fresh(&self, snapshot: &Snapshot) -> Result<(), Refusal> {
        let answered = self.slave_book.iter().flat_map(|book| &book.answered);
        let expected = answered.map(|answered| answered.seq).max().unwrap_or(0);
        match snapshot.through_signal_seq {
            got if got > 0 && got < expected => Err(Refusal::SnapshotStale { got, expected }),
            _ => Ok(()),
        }
    }

    /// What the snapshot has and we have not, or otherwise, becomes changes like any others; the copies follow them.
    fn master_snapshot(&self, snapshot: &Snapshot, tickets: &BTreeSet<Ticket>) -> Result<Decision<Event>, Refusal> {
        let new = MasterBook::default();
        let book = self.master_book.as_deref().unwrap_or(&new);
        if snapshot.through_signal_seq != book.signal_seq {
            let (got, expected) = (snapshot.through_signal_seq, book.signal_seq);
            return Err(Refusal::SnapshotStale { got, expected });
        }
        let mut events = vec![Event::SnapshotTaken(SnapshotTaken {
            trades: snapshot.trades.len() as u32,
            through_signal_seq: snapshot.through_signal_seq,
            drifted: Vec::new(),
            unknown: Vec::new(),
            agreed: snapshot.hash(),
        })];
        let taken = |change: Change, before: Option<&Trade>| {
            let (before, signal_seq) = (before.cloned().map(Box::new), 0);
            let origin = Origin::Snapshot;
            Event::SignalTaken(SignalTaken { signal_seq, origin, change, before, broker_at: None, seen_at: None })
        };
        for (ticket, known) in &book.trades {
            if !tickets.contains(ticket) {
                let close = Change::Close { ticket: *ticket, ratio: None, remaining: None, price: None };
                events.push(taken(close, Some(&known.trade)));
            }
        }
        for shown in &snapshot.trades {
            let known = book.trade(shown.trade.ticket);
            let mut before = known;
            for change in caught_up(known, &shown.trade) {
                let closes = matches!(&change, Change::Close { remaining: None, .. });
                events.push(taken(change, before));
                before = before.filter(|_| !closes);
            }
        }
        Ok(Decision { events, effects: vec![Effect::SnapshotDone { stream: self.stream() }] })
    }
}

/// The changes that lead from what we know of a trade to what the terminal shows.
fn caught_up(known: Option<&Trade>, shown: &Trade) -> Vec<Change> {
    let ticket = shown.ticket;
    let Some(known) = known else { return vec![Change::Open(shown.clone())] };
    let filled = known.entry.is_pending() && !shown.entry.is_pending();
    let other = (&known.symbol, known.side) != (&shown.symbol, shown.side) || (known.entry != shown.entry && !filled);
    if other {
        // Another trade under the same ticket: the one that we knew is gone.
        return vec![Change::Close { ticket, ratio: None, remaining: None, price: None }, Change::Open(shown.clone())];
    }
    if filled {
        return vec![Change::Open(shown.clone())];
    }
    let mut changes = Vec::new();
    if shown.lots < known.lots {
        changes.push(Change::Close { ticket, ratio: None, remaining: Some(shown.lots), price: None });
    }
    let grown = (shown.lots > known.lots).then_some(shown.lots);
    let moved = shown.entry.is_pending() && shown.price != known.price;
    if grown.is_some() || moved || (known.sl, known.tp) != (shown.sl, shown.tp) {
        let price = moved.then_some(shown.price);
        changes.push(Change::Modify { ticket, price, sl: shown.sl, tp: shown.tp, lots: grown });
    }
    changes
}

/// Refuses what cannot have happened to the trade.
fn check(book: &MasterBook, change: &Change) -> Result<(), Refusal> {
    let invalid = |field, why| Err(Refusal::SignalInvalid { field, why });
    let known = book.trade(change.ticket());
    match (change, known) {
        (Change::Open(trade), _) if trade.lots == Lots::ZERO => invalid("lots", "nothing was opened"),
        (Change::Open(trade), _)
            if trade.comment.chars().count() > 100 || trade.comment.chars().any(char::is_control) =>
        {
            invalid("comment", "longer than 100 characters, or with control characters")
        }
        (Change::Open(_), None) if book.trades.len() >= TRADES_MAX => Err(Refusal::TradesFull(TRADES_MAX)),
        (Change::Open(_), None) => Ok(()),
        (Change::Open(trade), Some(known)) => {
            let filled = known.entry.is_pending() && trade.entry == Entry::Market && known.symbol == trade.symbol;
            if filled { Ok(()) } else { Err(Refusal::TicketKnown(trade.ticket)) }
        }
        (Change::Modify { ticket, .. } | Change::Close { ticket, .. }, None) => Err(Refusal::TicketUnknown(*ticket)),
        (Change::Modify { lots: Some(lots), .. }, Some(known)) if *lots < known.lots => {
            invalid("lots", "less than before: tell a close")
        }
        (Change::Modify { price: Some(_), .. }, Some(known)) if !known.entry.is_pending() => {
            invalid("price", "only a pending order's price can be changed")
        }
        (Change::Modify { .. }, Some(_)) => Ok(()),
        (Change::Close { ratio: Some(ratio), .. }, _)
            if ratio.get() > rust_decimal::Decimal::ONE || ratio.get().is_zero() =>
        {
            invalid("ratio", "above 0 and at most 1: the part of what remained")
        }
        (Change::Close { remaining: Some(left), .. }, Some(known)) if *left >= known.lots => {
            invalid("remaining", "not less than before")
        }
        (close @ Change::Close { .. }, Some(known)) => match remaining(known, close) {
            left if left == known.lots => invalid("ratio", "nothing was closed"),
            _ => Ok(()),
        },
    }
}
