//! What seeded worlds found about copies, each as the few steps that matter.

use super::*;
use crate::copy::settings::SyncMode;
use crate::money::{Lots, Price};
use crate::sample::log::Log;
use crate::trade::{Change, Contract, Entry, Instruction, Order, OrderId, OrderResult, Outcome, Side, Symbol, Trade};
use std::collections::BTreeMap;

fn lots(text: &str) -> Lots {
    text.parse().unwrap()
}

fn master() -> StreamId {
    StreamId::master(&account_id("M_1"))
}

fn slave() -> StreamId {
    StreamId::slave(&account_id("S_1"))
}

/// A master and a slave that are ready, in one symbol.
fn desk() -> Log {
    let mut log = Log::new();
    let contract = Contract {
        lots_step: lots("0.01"),
        lots_min: lots("0.01"),
        lots_max: lots("100"),
        size: Default::default(),
        digits: 5,
        tick_value: Default::default(),
        tick_size: Price::ZERO,
    };
    for stream in [master(), slave()] {
        let contracts = BTreeMap::from([(Symbol::new("EURUSD").unwrap(), contract.clone())]);
        log.account(&stream, Command::Register(Box::new(Registered { contracts, ..registered() }))).unwrap();
        log.account(&stream, Command::Heartbeat(heartbeat(true))).unwrap();
        log.account(&stream, Command::SetIntent { enabled: true }).unwrap();
    }
    log
}

fn link(log: &mut Log, settings: Overrides) {
    let (master, settings) = (account_id("M_1"), Box::new(settings));
    log.account(&slave(), Command::Link { master, enabled: true, settings }).unwrap();
}

fn signal(log: &mut Log, change: Change) {
    let account = log.fold.truth.account(&master()).unwrap();
    let signal_seq = account.master_book.as_ref().map_or(0, |book| book.signal_seq) + 1;
    let signal = Signal { signal_seq, change, broker_at: None, seen_at: None };
    log.account(&master(), Command::Signal(Box::new(signal))).unwrap();
}

fn open(ticket: u64, volume: &str) -> Change {
    Change::Open(Trade {
        ticket: Ticket(ticket),
        symbol: Symbol::new("EURUSD").unwrap(),
        side: Side::Buy,
        entry: Entry::Market,
        lots: lots(volume),
        price: "1.1".parse().unwrap(),
        sl: None,
        tp: None,
        magic: 0,
        comment: String::new(),
    })
}

fn close(ticket: u64, remaining: Option<&str>) -> Change {
    Change::Close { ticket: Ticket(ticket), ratio: None, remaining: remaining.map(lots), price: None }
}

fn outbox(log: &Log) -> Vec<Order> {
    let book = log.fold.truth.account(&slave()).unwrap().slave_book.as_ref();
    book.map(|book| book.outbox.values().cloned().collect()).unwrap_or_default()
}

fn done(log: &mut Log, order: OrderId, outcome: Outcome, volume: Option<&str>) {
    let (ticket, price, sl, tp, error) = (Some(Ticket(9)), None, None, None, None);
    let volume = volume.map(lots);
    let result =
        OrderResult { order, outcome, ticket, price, lots: volume, sl, tp, error, received_at: None, done_at: None };
    let result = Box::new(result);
    log.account(&slave(), Command::Result { result, durable_at: None, sent_at: None }).unwrap();
}

/// What the master had closed before counted as if the copy had been part of it: half of a fresh copy was closed at once.
#[test]
fn a_copy_that_begins_late_counts_from_what_the_master_has_left() {
    let mut log = desk();
    signal(&mut log, open(1, "2"));
    signal(&mut log, close(1, Some("1")));
    let distance_max = Price::ZERO;
    link(&mut log, Overrides { sync_mode: Some(SyncMode::MarketOrder { distance_max }), ..Overrides::default() });
    let opens = outbox(&log);
    assert_eq!(opens.len(), 1);
    done(&mut log, opens[0].id, Outcome::Filled, Some("1"));
    assert_eq!(outbox(&log), [], "the copy is as large as the trade: nothing is too much");
    signal(&mut log, close(1, Some("0.5")));
    let orders: Vec<Instruction> = outbox(&log).into_iter().map(|order| order.instruction).collect();
    assert_eq!(orders, [Instruction::Close { of: opens[0].id, lots: Some(lots("0.5")) }]);
}

/// A result that came after its copy was over ended the link, and with it the copy that was left was forgotten.
#[test]
fn a_late_result_does_not_end_a_link_that_still_holds_a_copy() {
    let mut log = desk();
    link(&mut log, Overrides::default());
    signal(&mut log, open(1, "1"));
    signal(&mut log, open(2, "1"));
    for order in outbox(&log) {
        done(&mut log, order.id, Outcome::Filled, Some("1"));
    }
    let sl = Some("1.05".parse().unwrap());
    signal(&mut log, Change::Modify { ticket: Ticket(1), price: None, sl, tp: None, lots: None });
    signal(&mut log, close(1, None));
    let (master, wind_down) = (account_id("M_1"), Some(WindDown::CloseOnlyByPosition));
    log.account(&slave(), Command::Unlink { master: master.clone(), wind_down, expected: None }).unwrap();
    let [modify, close] = outbox(&log).try_into().unwrap();
    done(&mut log, close.id, Outcome::Filled, Some("1"));
    done(&mut log, modify.id, Outcome::Nothing, None);
    let account = log.fold.truth.account(&slave()).unwrap();
    assert!(account.links.contains_key(&master), "the copy of ticket 2 is still to be closed with its trade");
}

/// A snapshot that was on its way while an order was carried out took the new position for gone, and nobody closed it any more.
#[test]
fn a_snapshot_older_than_a_result_is_refused() {
    let mut log = desk();
    link(&mut log, Overrides::default());
    for ticket in [1, 2] {
        signal(&mut log, open(ticket, "1"));
        let order = outbox(&log).remove(0);
        done(&mut log, order.id, Outcome::Filled, Some("1"));
    }
    let nothing = |through_signal_seq| Command::Snapshot(Box::new(Snapshot { trades: Vec::new(), through_signal_seq }));
    let refused = log.account(&slave(), nothing(1)).unwrap_err();
    assert_eq!(refused.code, "snapshot_stale");
    log.account(&slave(), nothing(2)).unwrap();
}
