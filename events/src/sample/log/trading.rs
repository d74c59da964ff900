//! The trading part of a random day.

use super::*;
use crate::account::{AccountSettings, Command, Link, MasterBook, Signal, SlaveBook, Snapshot, SnapshotTrade};
use crate::copy::settings::{Mode, Overrides, SyncMode, Volume};
use crate::trade::{Change, Entry, Instruction, OrderId, OrderResult, Outcome, Side, Ticket, Trade};

/// Something about trades: of the account, or of the slave of the same name and a master.
pub(super) fn step(log: &mut Log, to: &StreamId, master: AccountId, what: u8, with: u8) -> Result<usize, Denial> {
    let StreamId::Account(role, id) = to else { panic!("trades are an account's") };
    let slave = StreamId::slave(id);
    match what {
        16..=19 => signal(log, &StreamId::master(id), with),
        20..=22 => answer_order(log, &slave, with),
        23 => snapshot(log, to, *role, with),
        24 => log.account(to, Command::ChangeSettings(Box::new(settings(with)))),
        25 => stop_or_resume(log, with),
        26 => log.account(&slave, Command::SwitchLink { master, enabled: with & 16 == 0, expected: None }),
        27 => {
            let (settings, enabled) = (Box::new(overrides(with)), None);
            log.account(&slave, Command::ChangeLink { master, settings, enabled, expected: None })
        }
        28 => small(log, to, with),
        29 => group(log, &StreamId::master(id), with),
        _ => all_come(log, with),
    }
}

/// Everybody is there, holds nothing new, and follows: so that something is copied on most days.
fn all_come(log: &mut Log, with: u8) -> Result<usize, Denial> {
    let mut count = 0;
    let (master, slaves) = (account_id("A_1"), ["A_12", "B_7"]);
    let streams =
        [StreamId::master(&master)].into_iter().chain(slaves.map(|slave| StreamId::slave(&account_id(slave))));
    for to in streams {
        let known = log.fold.truth.account(&to).is_some_and(|account| account.identity.is_some());
        if !known {
            count += log.account(&to, Command::Register(Box::new(trader())))?;
        }
        count += log.account(&to, Command::Heartbeat(quiet()))?;
        count += log.account(&to, Command::SetIntent { enabled: true }).unwrap_or(0);
        if let StreamId::Account(Role::Slave, _) = &to {
            let settings = Box::new(overrides(with));
            let link = Command::Link { master: master.clone(), enabled: true, settings };
            count += log.account(&to, link).unwrap_or(0);
        }
    }
    Ok(count)
}

fn quiet() -> HeartbeatSeen {
    HeartbeatSeen { state_hash: StateHash::default(), free_margin: trade::money("5000"), ..heartbeat(true) }
}

fn signal(log: &mut Log, to: &StreamId, with: u8) -> Result<usize, Denial> {
    let new = MasterBook::default();
    let book = log.fold.truth.account(to).and_then(|account| account.master_book.as_deref()).unwrap_or(&new);
    let signal_seq = book.signal_seq + u64::from(with != 255);
    let open: Vec<&Trade> = book.trades.values().map(|known| &known.trade).collect();
    let change = match open.get(usize::from(with / 16) % (open.len() + 2)) {
        Some(trade) => changed(trade, with),
        None => Change::Open(opened(log.records.len() as u64, with)),
    };
    let seen_at = Some(log.now - Span::millis(i64::from(with) * 40));
    let signal = Signal { signal_seq, change, broker_at: None, seen_at };
    log.account(to, Command::Signal(Box::new(signal)))
}

fn opened(ticket: u64, with: u8) -> Trade {
    let (side, symbol) = if with & 1 == 0 { (Side::Buy, "EURUSD") } else { (Side::Sell, "GBPUSD") };
    let entry = [Entry::Market, Entry::Market, Entry::Limit, Entry::Stop][usize::from(with / 2) % 4];
    let lots = trade::lots(&format!("0.{:02}", u16::from(with) % 90 + 1));
    Trade { side, entry, lots, symbol: trade::symbol(symbol), ..trade::trade(ticket) }
}

fn changed(known: &Trade, with: u8) -> Change {
    let ticket = known.ticket;
    match with % 6 {
        0 | 1 => Change::Close { ticket, ratio: None, remaining: None, price: None },
        2 => Change::Close { ticket, ratio: Some(trade::factor("0.5")), remaining: None, price: None },
        3 => Change::Modify { ticket, price: None, sl: Some(trade::price("1.05")), tp: None, lots: None },
        4 if known.entry == Entry::Market => {
            let lots = Some(crate::copy::book::plus([known.lots, trade::lots("0.1")]));
            Change::Modify { ticket, price: None, sl: known.sl, tp: known.tp, lots }
        }
        _ => Change::Open(Trade { entry: Entry::Market, ..known.clone() }),
    }
}

/// Any order without a result, or one that a pending order waits for.
fn answer_order(log: &mut Log, to: &StreamId, with: u8) -> Result<usize, Denial> {
    let new = SlaveBook::default();
    let book = log.fold.truth.account(to).and_then(|account| account.slave_book.as_deref()).unwrap_or(&new);
    let waiting: Vec<_> = book.outbox.values().map(|order| (order.id, Some(order))).collect();
    let placed = book.answered.iter().filter(|known| known.outcome == Outcome::Placed).map(|known| (known.order, None));
    let all: Vec<_> = waiting.into_iter().chain(placed).collect();
    let Some((order, issued)) = all.get(usize::from(with) % (all.len() + 1)).copied() else { return Ok(0) };
    let asked = issued.and_then(|issued| match issued.instruction {
        Instruction::Open { lots, .. } => Some(lots),
        Instruction::Close { lots, .. } => lots,
        Instruction::Modify { .. } => None,
    });
    let outcome = match with / 8 {
        0..=11 => Outcome::Filled,
        12..=16 => Outcome::Placed,
        17..=20 => Outcome::Rejected,
        21..=23 => Outcome::Partial,
        24 | 25 => Outcome::Nothing,
        26 => Outcome::Unknown,
        27 | 28 => Outcome::Cancelled,
        _ => Outcome::Expired,
    };
    let lots = match outcome {
        Outcome::Partial => Some(trade::lots("0.01")),
        _ => asked.filter(|_| with & 1 == 0),
    };
    let ticket = Some(Ticket(log.records.len() as u64));
    let (price, sl, tp, error) = (None, None, None, None);
    let result = OrderResult { order, outcome, ticket, price, lots, sl, tp, error, received_at: None, done_at: None };
    log.account(to, Command::Result { result: Box::new(result), durable_at: None, sent_at: None })
}

/// What the terminal should have, with something left out now and then, and something nobody knows.
fn snapshot(log: &mut Log, to: &StreamId, role: Role, with: u8) -> Result<usize, Denial> {
    let mut trades = Vec::new();
    let (mut through, mut number) = (0, 0u64);
    let mut add = |trade: Trade, order| {
        number += 1;
        if u64::from(with % 8) != number {
            trades.push(SnapshotTrade { trade, order });
        }
    };
    if let Some(account) = log.fold.truth.account(to) {
        match role {
            Role::Master => {
                let book = account.master_book.iter();
                book.for_each(|book| {
                    through = book.signal_seq;
                    book.trades.values().for_each(|known| add(known.trade.clone(), None));
                });
            }
            Role::Slave => {
                let legs = account.slave_book.iter().flat_map(|book| book.all_copies());
                for (at, leg) in legs.flat_map(|(_, _, copy)| &copy.legs).enumerate() {
                    if leg.held() > crate::money::Lots::ZERO {
                        add(Trade { lots: leg.held(), ..trade::trade(50_000 + at as u64) }, Some(leg.order));
                    }
                }
            }
        }
    }
    if with & 64 != 0 {
        add(opened(90_000 + u64::from(with), with), None);
    }
    log.account(to, Command::Snapshot(Box::new(Snapshot { trades, through_signal_seq: through })))
}

fn settings(with: u8) -> AccountSettings {
    let protection = if with % 8 != 2 { crate::account::protection::Rules::default() } else { trade::rules() };
    AccountSettings { copy: Overrides::default(), require_all_masters: with & 1 == 0, protection }
}

fn overrides(with: u8) -> Overrides {
    let modes = [Mode::Live, Mode::Live, Mode::Observe, Mode::Off];
    let market = SyncMode::MarketOrder { distance_max: trade::price("0") };
    Overrides {
        mode: Some(modes[usize::from(with) % 4]).filter(|_| with & 64 != 0),
        volume: Some(Volume::Fixed(trade::lots("0.3"))).filter(|_| with & 4 != 0),
        reverse: Some(with & 8 != 0),
        closes_when_off: Some(with & 16 != 0),
        sync_mode: Some(market).filter(|_| with & 32 != 0),
        signal_age_max_ms: Some(if with & 1 == 0 { 0 } else { 5_000 }),
        ..Overrides::default()
    }
}

fn stop_or_resume(log: &mut Log, with: u8) -> Result<usize, Denial> {
    let reason = reason("a random stop");
    let degrees = [StopDegree::Pause, StopDegree::Cancel, StopDegree::Flatten];
    let stop = Uuid::from_u128(log.records.len() as u128);
    log.desk(match with % 6 {
        0..=2 => desk::Command::Stop { degree: degrees[usize::from(with) % 3], reason, stop },
        3 | 4 => desk::Command::Resume { reason },
        _ => desk::Command::ChangeCopyDefaults(Box::new(overrides(with))),
    })
}

fn small(log: &mut Log, to: &StreamId, with: u8) -> Result<usize, Denial> {
    let (bid, ask) = (trade::price("1.1"), trade::price("1.1002"));
    let known = log.fold.truth.account(to);
    let through = known.and_then(|known| known.master_book.as_ref()).map_or(0, |book| book.signal_seq);
    let limits = vec![account::protection::Limit::ALL[usize::from(with) % 10]];
    let rearm = account::protection::Rearm { limits, baseline: Default::default(), reason: reason("a random one") };
    log.account(
        to,
        match with % 5 {
            4 => Command::Heartbeat(HeartbeatSeen { through_signal_seq: through, ..heartbeat(true) }),
            0 => Command::Quote(account::QuoteSeen { symbol: trade::symbol("EURUSD"), bid, ask }),
            1 => Command::Ack { order_seq: u64::from(with) },
            2 => Command::Rearm(Box::new(rearm)),
            _ => Command::NoteStaleEpoch,
        },
    )
}

fn group(log: &mut Log, to: &StreamId, with: u8) -> Result<usize, Denial> {
    let (name, settings) = (format!("group {with}"), Box::new(overrides(with)));
    log.account(
        to,
        match with % 4 {
            0 | 1 => Command::CreateGroup { name, settings, enabled: with & 4 == 0 },
            2 => Command::ChangeGroup { name, settings, enabled: None },
            _ => Command::RemoveGroup,
        },
    )
}

/// What must hold of the books on every day.
pub fn check_books(log: &Log) {
    // The last number, and what has no result yet: those that a signal or STOP caused go on under new numbers where some are skipped.
    let mut orders: BTreeMap<&StreamId, (u64, BTreeMap<OrderId, bool>)> = BTreeMap::new();
    let (mut ids, mut decisions) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for record in &log.records {
        let stream = log.fold.truth.names().get(record.stream).unwrap();
        match &record.event {
            Event::Account(account::Event::OrderIssued(issued)) => {
                let (last, outstanding) = orders.entry(stream).or_default();
                assert_eq!(issued.order.seq, *last + 1, "{stream} has a hole in its orders");
                *last = issued.order.seq;
                outstanding.insert(issued.order.id, issued.order.is_own());
                assert!(ids.insert(issued.order.id), "an order's id was given twice: {issued:?}");
            }
            Event::Account(account::Event::OrderAnswered(answered)) => {
                orders.entry(stream).or_default().1.remove(&answered.result.order);
            }
            Event::Account(account::Event::NumbersSkipped(skipped)) => {
                let (last, outstanding) = orders.entry(stream).or_default();
                assert!(skipped.through > *last, "{stream} skips numbers that it gave");
                outstanding.retain(|_, own| !*own);
                *last = skipped.through + outstanding.len() as u64;
            }
            Event::Account(account::Event::CopyDecided(decided)) => {
                let once = decisions.insert((stream, decided.signal, decided.ticket));
                assert!(once, "decided twice about one signal: {decided:?}");
            }
            _ => {}
        }
    }
    for (_, account) in log.fold.truth.accounts() {
        account.master_book.iter().for_each(|book| check_master(book));
        account.slave_book.iter().for_each(|book| check_slave(book, &account.links));
    }
}

fn check_master(book: &MasterBook) {
    for (ticket, known) in &book.trades {
        assert_eq!(known.trade.ticket, *ticket);
        assert!(known.trade.lots > Default::default() && known.trade.lots <= known.lots, "{known:?}");
    }
}

fn check_slave(book: &SlaveBook, links: &BTreeMap<AccountId, Link>) {
    for (seq, order) in &book.outbox {
        assert!(*seq == order.seq && *seq <= book.order_seq, "{order:?}");
    }
    for master in book.copies.keys() {
        assert!(links.contains_key(master), "copies of a master that nobody follows: {master}");
        assert!(!book.copies[master].is_empty());
    }
    for (master, ticket) in book.withheld.iter().flat_map(|(master, held)| held.keys().map(move |at| (master, at))) {
        assert!(book.copy(master, *ticket).is_some(), "withheld without a copy: {master} {ticket}");
    }
    for (master, link) in links {
        let done = link.winding.is_some() && book.is_done_with(master);
        assert!(!done, "nothing is left of {master} and its link has not ended");
    }
    for (master, ticket, copy) in book.all_copies() {
        assert!(copy.master_left <= copy.master_lots, "{master} {ticket}: {copy:?}");
        let forgotten = copy.is_over() && copy.master_left == Default::default() && !book.is_under_way(master, ticket);
        assert!(!forgotten || copy.legs.is_empty(), "nothing is left of it: {master} {ticket}: {copy:?}");
        for leg in &copy.legs {
            assert!(leg.told_to_close >= leg.closed, "{leg:?}");
            assert!(leg.closed <= leg.opened().max(leg.asked) && leg.left() <= leg.opened(), "{leg:?}");
            assert!(leg.state != crate::copy::book::LegState::Over || leg.held() == Default::default(), "{leg:?}");
            assert_eq!(copy.legs.iter().filter(|other| other.order == leg.order).count(), 1);
        }
    }
}
