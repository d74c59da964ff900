//! One made-up market, as each of the two reads it.

use hftbacktest::types::{BUY_EVENT, DEPTH_EVENT, EXCH_EVENT, Event, LOCAL_EVENT, SELL_EVENT, TRADE_EVENT};
use tidehelm_actors::paper::{MarketNo, Row};
use tidehelm_events::market::{Deal, DealKind, Heard, Price, Quote, Said, Size};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::Side;

/// One cent, and a thousandth.
pub const TICK: i64 = 10_000_000;
pub const LOT: i64 = 1_000_000;
pub const TICK_SIZE: f64 = 0.01;
pub const LOT_SIZE: f64 = 0.001;

pub struct Tape {
    pub rows: Vec<Row>,
    pub events: Vec<Event>,
    /// For each of the peer's events: whether it is the last one of a row.
    pub last: Vec<bool>,
    pub lowest: i64,
    pub highest: i64,
}

/// xorshift64*
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end) as i64
    }
}

/// So many quotes and deals. Times are in microseconds, those of the venue 0 modulo 8 and those of the desk 1, so that with latencies
/// of 2 and 4 modulo 8 nothing of one kind ever happens at the time of another: who comes first then is a matter of taste.
pub fn tape(count: usize, seed: u64) -> Tape {
    let mut chance = Chance(seed);
    let (mut bid, mut ask, mut bid_size, mut ask_size) = (5_000_000, 5_000_001, 500, 500);
    let (mut source_at, mut received_at) = (1_700_000_000_000_000_i64, 0);
    let mut tape =
        Tape { rows: Vec::with_capacity(count), events: Vec::new(), last: Vec::new(), lowest: bid, highest: ask };
    let mut peer = Peer { bids: Vec::new(), asks: Vec::new() };
    for number in 0..count {
        source_at += 8 * (1 + chance.below(250));
        received_at = (source_at + 2_000 + 8 * chance.below(100) + 1).max(received_at + 8);
        let stamp = |said| Row {
            market: MarketNo(0),
            heard: Heard { said, source_at: Timestamp(source_at), received_at: Timestamp(received_at) },
        };
        if number > 0 && chance.below(100) < 40 {
            let taker = if chance.below(2) == 0 { Side::Buy } else { Side::Sell };
            let (at, there) = if taker == Side::Buy { (ask, ask_size) } else { (bid, bid_size) };
            // One of fifty goes a tick or two through.
            let through = if chance.below(50) == 0 { 1 + chance.below(2) } else { 0 };
            let at = if taker == Side::Buy { at + through } else { at - through };
            let size = 1 + chance.below(there as u64 + 50);
            let (price, lots) = (Price(at * TICK), Size(size * LOT));
            tape.rows.push(stamp(Said::Deal(Deal {
                id: "".into(),
                taker: Some(taker),
                price,
                size: lots,
                kind: DealKind::Normal,
            })));
            let kind = TRADE_EVENT | if taker == Side::Buy { BUY_EVENT } else { SELL_EVENT };
            push(&mut tape, kind, source_at, received_at, at, size);
        } else {
            match chance.below(10) {
                0..=2 => bid_size = 1 + chance.below(1_000),
                3..=5 => ask_size = 1 + chance.below(1_000),
                6 | 7 => {
                    let by = 1 + chance.below(2);
                    (bid, ask) = (bid + by, ask + by);
                    (bid_size, ask_size) = (1 + chance.below(1_000), 1 + chance.below(1_000));
                }
                8 if ask - bid < 4 => ask += 1,
                8 => bid += 1,
                _ => {
                    let by = 1 + chance.below(3);
                    (bid, ask) = (bid - by, ask - by);
                    (bid_size, ask_size) = (1 + chance.below(1_000), 1 + chance.below(1_000));
                }
            }
            if ask - bid > 1 && chance.below(3) == 0 {
                ask -= 1;
            }
            (tape.lowest, tape.highest) = (tape.lowest.min(bid), tape.highest.max(ask));
            tape.rows.push(stamp(Said::Quote(Quote {
                bid: Price(bid * TICK),
                bid_size: Size(bid_size * LOT),
                ask: Price(ask * TICK),
                ask_size: Size(ask_size * LOT),
            })));
            let before = tape.events.len();
            peer.quoted(&mut tape, (source_at, received_at), (bid, bid_size), (ask, ask_size));
            if tape.events.len() == before {
                push(&mut tape, DEPTH_EVENT | BUY_EVENT, source_at, received_at, bid, bid_size);
            }
        }
        tape.last.resize(tape.events.len(), false);
        if let Some(last) = tape.last.last_mut() {
            *last = true;
        }
    }
    tape
}

/// The levels that the peer knows, the best at the end: it is told what changes of them.
struct Peer {
    bids: Vec<(i64, i64)>,
    asks: Vec<(i64, i64)>,
}

impl Peer {
    /// The side that makes room first, so that the book is never crossed.
    fn quoted(&mut self, tape: &mut Tape, at: (i64, i64), bid: (i64, i64), ask: (i64, i64)) {
        if self.asks.last().is_some_and(|best| best.0 < ask.0) {
            side(tape, &mut self.asks, SELL_EVENT, at, ask, |known, best| known < best);
            side(tape, &mut self.bids, BUY_EVENT, at, bid, |known, best| known > best);
        } else {
            side(tape, &mut self.bids, BUY_EVENT, at, bid, |known, best| known > best);
            side(tape, &mut self.asks, SELL_EVENT, at, ask, |known, best| known < best);
        }
    }
}

fn side(
    tape: &mut Tape,
    levels: &mut Vec<(i64, i64)>,
    side: u64,
    (source_at, received_at): (i64, i64),
    best: (i64, i64),
    better: fn(i64, i64) -> bool,
) {
    // The new one before the old ones go, so that there always is one.
    let gone = levels.iter().rev().take_while(|level| better(level.0, best.0)).count();
    let kept = levels.len() - gone;
    let known = kept > 0 && levels[kept - 1].0 == best.0;
    if !known || levels[kept - 1].1 != best.1 {
        push(tape, DEPTH_EVENT | side, source_at, received_at, best.0, best.1);
    }
    for level in levels.drain(kept..).rev() {
        push(tape, DEPTH_EVENT | side, source_at, received_at, level.0, 0);
    }
    match levels.last_mut() {
        Some(last) if known => last.1 = best.1,
        _ => levels.push(best),
    }
}

fn push(tape: &mut Tape, kind: u64, exch_ts: i64, local_ts: i64, tick: i64, lots: i64) {
    tape.events.push(Event {
        ev: kind | EXCH_EVENT | LOCAL_EVENT,
        exch_ts,
        local_ts,
        px: tick as f64 * TICK_SIZE,
        qty: lots as f64 * LOT_SIZE,
        order_id: 0,
        ival: 0,
        fval: 0.0,
    });
}
