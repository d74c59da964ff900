//! Tapes as `.npz`: the structured array of the hftbacktest family, one row for each change.
//!
//! It knows the book, its best, and trades; times are nanoseconds and numbers are floats. Marks, indices and funding have no place.

use super::columns::decimal;
use super::{Fault, Reading, Word, Words, Written};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use tidehelm_events::id::MarketId;
use tidehelm_events::market::{Deal, DealKind, Heard, Level, Price, Quote, Said, Size};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::Side;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const ENTRY: &str = "data.npy";
const MAGIC: &[u8] = b"\x93NUMPY";

// What a row is, in its lowest byte …
const DEPTH: u64 = 1;
const TRADE: u64 = 2;
const CLEAR: u64 = 3;
const SNAPSHOT: u64 = 4;
const BEST: u64 = 5;
// … which side, and who sees it.
const SELL: u64 = 1 << 28;
const BUY: u64 = 1 << 29;
const LOCAL: u64 = 1 << 30;
const EXCHANGE: u64 = 1 << 31;

const FIELDS: [(&str, &str); 8] = [
    ("ev", "<u8"),
    ("exch_ts", "<i8"),
    ("local_ts", "<i8"),
    ("px", "<f8"),
    ("qty", "<f8"),
    ("order_id", "<u8"),
    ("ival", "<i8"),
    ("fval", "<f8"),
];

pub(super) fn read(file: File, reading: &Reading) -> Result<Words, Fault> {
    let market = Arc::new(reading.market.clone().ok_or(Fault::MarketMissing)?);
    let mut archive = ZipArchive::new(file).map_err(broken)?;
    let names: Vec<String> = archive.file_names().filter(|name| name.ends_with(".npy")).map(String::from).collect();
    let wanted = names.iter().find(|name| *name == ENTRY).or(names.first());
    let name = wanted.ok_or_else(|| Fault::Broken("there is no array in it".into()))?;
    let mut bytes = Vec::new();
    archive.by_name(name).map_err(broken)?.read_to_end(&mut bytes).map_err(broken)?;
    let layout = Layout::of(&bytes)?;
    Ok(Box::new(Rows {
        bytes,
        layout,
        market,
        row: 0,
        seq: 0,
        best: [None; 2],
        pending: None,
        ready: VecDeque::new(),
        failed: false,
    }))
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::Broken(error.to_string())
}

/// Where in the bytes the rows are, and where in a row the fields.
struct Layout {
    start: usize,
    stride: usize,
    rows: usize,
    /// ev, exch_ts, local_ts, px, qty
    fields: [usize; 5],
}

impl Layout {
    fn of(bytes: &[u8]) -> Result<Self, Fault> {
        let short = || Fault::Broken("the array ends within its header".into());
        if bytes.get(..6) != Some(MAGIC) {
            return Err(Fault::Broken("it is no NumPy array".into()));
        }
        let (length, from) = match bytes.get(6).ok_or_else(short)? {
            1 => (usize::from(u16::from_le_bytes(at(bytes, 8).ok_or_else(short)?)), 10),
            2 | 3 => (u32::from_le_bytes(at(bytes, 8).ok_or_else(short)?) as usize, 12),
            other => return Err(Fault::Broken(format!("NumPy arrays of version {other} are not known"))),
        };
        let start = from + length;
        let header = bytes.get(from..start).ok_or_else(short)?;
        let header = std::str::from_utf8(header).map_err(broken)?;
        if !header.contains("'fortran_order': False") {
            return Err(Fault::Broken("its rows are not one after the other".into()));
        }
        let (fields, stride) = fields_of(header)?;
        let rows = rows_of(header).ok_or_else(|| Fault::Broken("its shape is not that of a list".into()))?;
        let whole = rows.checked_mul(stride).and_then(|length| length.checked_add(start));
        if whole.is_none_or(|whole| whole > bytes.len()) {
            return Err(Fault::Broken(format!("it says that it has {rows} rows, and ends before")));
        }
        Ok(Layout { start, stride, rows, fields })
    }
}

fn at<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from.checked_add(N)?)?.try_into().ok()
}

/// Names and types as they stand in the header: `[('ev', '<u8'), …]`.
fn fields_of(header: &str) -> Result<([usize; 5], usize), Fault> {
    let not = || Fault::Broken("its rows have no named fields".into());
    let (_, list) = header.split_once("'descr': [").ok_or_else(not)?;
    let (list, _) = list.split_once(']').ok_or_else(not)?;
    let quoted: Vec<&str> = list.split('\'').skip(1).step_by(2).collect();
    let (mut places, mut offset) = ([None; 5], 0usize);
    for pair in quoted.chunks_exact(2) {
        let (name, kind) = (pair[0], pair[1]);
        if let Some(number) = FIELDS.iter().take(5).position(|(known, _)| *known == name) {
            if FIELDS[number].1 != kind {
                return Err(Fault::Broken(format!("`{name}` is `{kind}`, not `{}`", FIELDS[number].1)));
            }
            places[number] = Some(offset);
        }
        let size = kind.get(2..).and_then(|size| size.parse::<usize>().ok()).filter(|size| *size <= 64);
        offset += size.ok_or_else(|| Fault::Broken(format!("a field of type `{kind}` is not known")))?;
    }
    let mut fields = [0; 5];
    for (number, place) in places.into_iter().enumerate() {
        fields[number] = place.ok_or(Fault::ColumnMissing(FIELDS[number].0))?;
    }
    Ok((fields, offset))
}

/// `'shape': (1000,)`
fn rows_of(header: &str) -> Option<usize> {
    let (_, shape) = header.split_once("'shape': (")?;
    let (shape, _) = shape.split_once(')')?;
    let mut sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    let rows = sizes.next()?.parse().ok()?;
    sizes.next().is_none().then_some(rows)
}

struct Rows {
    bytes: Vec<u8>,
    layout: Layout,
    market: Arc<MarketId>,
    row: usize,
    /// The number of the book: the array has none, so they are counted.
    seq: u64,
    best: [Option<Level>; 2],
    pending: Option<Pending>,
    ready: VecDeque<Heard>,
    failed: bool,
}

/// Rows that belong to one word.
struct Pending {
    what: u64,
    source_at: Timestamp,
    received_at: Timestamp,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Iterator for Rows {
    type Item = Result<Word, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(heard) = self.ready.pop_front() {
                return Some(Ok(Word { market: self.market.clone(), heard }));
            }
            if self.failed {
                return None;
            }
            if self.row >= self.layout.rows {
                self.flush();
                if self.ready.is_empty() {
                    return None;
                }
                continue;
            }
            self.row += 1;
            if let Err(fault) = self.take(self.row - 1) {
                self.failed = true;
                return Some(Err(fault));
            }
        }
    }
}

impl Rows {
    fn take(&mut self, row: usize) -> Result<(), Fault> {
        let from = self.layout.start + row * self.layout.stride;
        let [ev, exch_ts, local_ts, px, qty] = self.layout.fields.map(|field| at::<8>(&self.bytes, from + field));
        let number = |bytes: Option<[u8; 8]>| bytes.ok_or_else(|| Fault::Broken("a row is cut".into()));
        let ev = u64::from_le_bytes(number(ev)?);
        // What only the exchange sees is the same again, in another order.
        if ev & EXCHANGE != 0 && ev & LOCAL == 0 {
            return Ok(());
        }
        let time = |bytes| Ok(Timestamp(i64::from_le_bytes(number(bytes)?).div_euclid(1_000)));
        let (source_at, received_at) = (time(exch_ts)?, time(local_ts)?);
        let (px, qty) = (f64::from_le_bytes(number(px)?), f64::from_le_bytes(number(qty)?));
        let row = row as u64 + 1;
        let what = match ev & 0xff {
            SNAPSHOT | CLEAR => SNAPSHOT,
            known @ (DEPTH | TRADE | BEST) => known,
            other => {
                let why = "the book's levels, its best, and trades are known".into();
                return Err(Fault::CellInvalid { row, column: "ev", found: other.to_string(), why });
            }
        };
        let side = match (ev & BUY != 0, ev & SELL != 0) {
            (true, false) => Some(Side::Buy),
            (false, true) => Some(Side::Sell),
            _ => None,
        };
        if what == TRADE {
            self.flush();
            let (price, size) = (Price(units(px, "px", row)?), Size(units(qty, "qty", row)?));
            let deal = Deal { id: "".into(), taker: side, price, size, kind: DealKind::Normal };
            self.ready.push_back(Heard { said: Said::Deal(deal), source_at, received_at });
            return Ok(());
        }
        let of = |pending: &Pending| (pending.what, pending.source_at, pending.received_at);
        if self.pending.as_ref().is_some_and(|pending| of(pending) != (what, source_at, received_at)) {
            self.flush();
        }
        let fresh = || Pending { what, source_at, received_at, bids: Vec::new(), asks: Vec::new() };
        let pending = self.pending.get_or_insert_with(fresh);
        if ev & 0xff == CLEAR {
            return Ok(());
        }
        let level = Level { price: Price(units(px, "px", row)?), size: Size(units(qty, "qty", row)?) };
        match side {
            Some(Side::Buy) => pending.bids.push(level),
            Some(Side::Sell) => pending.asks.push(level),
            None => {
                return Err(Fault::CellInvalid {
                    row,
                    column: "ev",
                    found: ev.to_string(),
                    why: "it is of no side".into(),
                });
            }
        }
        Ok(())
    }

    fn flush(&mut self) {
        let Some(Pending { what, source_at, received_at, bids, asks }) = self.pending.take() else { return };
        let said = match what {
            BEST => {
                self.best = [bids.last().copied().or(self.best[0]), asks.last().copied().or(self.best[1])];
                let [Some(bid), Some(ask)] = self.best else { return };
                Said::Quote(Quote { bid: bid.price, bid_size: bid.size, ask: ask.price, ask_size: ask.size })
            }
            SNAPSHOT => {
                self.seq += 1;
                Said::BookWhole { seq: self.seq, bids, asks }
            }
            _ => {
                self.seq += 1;
                Said::BookChanged { after: self.seq - 1, seq: self.seq, bids, asks }
            }
        };
        self.ready.push_back(Heard { said, source_at, received_at });
    }
}

/// Billionths: exact where the float is the nearest one to so many of them, else by its shortest text.
fn units(value: f64, name: &str, row: u64) -> Result<i64, Fault> {
    let near = (value * 1e9).round();
    if near.abs() < 9e15 && near / 1e9 == value {
        return Ok(near as i64);
    }
    let text = decimal(value, name, row)?;
    let read: Result<Price, _> = text.parse();
    read.map(|price| price.0).map_err(|why| Fault::CellInvalid {
        row,
        column: "number",
        found: text,
        why: why.to_string(),
    })
}

pub struct Writer {
    file: File,
    rows: Vec<u8>,
    written: Written,
}

impl Writer {
    pub(super) fn new(file: File) -> Self {
        Writer { file, rows: Vec::new(), written: Written::default() }
    }

    /// Changes of a book are written as they were told: the array's reader takes sizes for what they are now.
    pub(super) fn push(&mut self, word: &Word) -> Result<(), Fault> {
        let heard = &word.heard;
        let of = |side: Side| if side == Side::Buy { BUY } else { SELL };
        match &heard.said {
            Said::Quote(quote) => {
                self.row(heard, BEST | BUY, quote.bid, quote.bid_size);
                self.row(heard, BEST | SELL, quote.ask, quote.ask_size);
            }
            Said::Deal(deal) => self.row(heard, TRADE | deal.taker.map_or(0, of), deal.price, deal.size),
            Said::BookWhole { bids, asks, .. } => {
                for (side, levels) in [(BUY, bids), (SELL, asks)] {
                    let worst = levels.last().map_or(Price::ZERO, |level| level.price);
                    self.row(heard, CLEAR | side, worst, Size::ZERO);
                    levels.iter().for_each(|level| self.row(heard, SNAPSHOT | side, level.price, level.size));
                }
            }
            Said::BookChanged { bids, asks, .. } => {
                bids.iter().for_each(|level| self.row(heard, DEPTH | BUY, level.price, level.size));
                asks.iter().for_each(|level| self.row(heard, DEPTH | SELL, level.price, level.size));
            }
            Said::Mark(_) | Said::Index(_) | Said::Funding { .. } => {
                self.written.left_out += 1;
                return Ok(());
            }
        }
        self.written.words += 1;
        Ok(())
    }

    fn row(&mut self, heard: &Heard, what: u64, price: Price, size: Size) {
        let nanos = |at: Timestamp| at.0.saturating_mul(1_000).to_le_bytes();
        self.rows.extend_from_slice(&(what | LOCAL | EXCHANGE).to_le_bytes());
        self.rows.extend_from_slice(&nanos(heard.source_at));
        self.rows.extend_from_slice(&nanos(heard.received_at));
        self.rows.extend_from_slice(&price.float().to_le_bytes());
        self.rows.extend_from_slice(&size.float().to_le_bytes());
        self.rows.extend_from_slice(&[0; 24]);
    }

    pub(super) fn finish(self) -> Result<Written, Fault> {
        let not = |error: &dyn std::fmt::Display| Fault::NotWritable(format!("the .npz file ({error})"));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
        let mut archive = ZipWriter::new(self.file);
        archive.start_file(ENTRY, options).map_err(|error| not(&error))?;
        archive.write_all(&header(self.rows.len() / 64)).map_err(|error| not(&error))?;
        archive.write_all(&self.rows).map_err(|error| not(&error))?;
        archive.finish().map_err(|error| not(&error))?;
        Ok(self.written)
    }
}

/// Filled up so that the rows begin at a multiple of 64.
fn header(rows: usize) -> Vec<u8> {
    let fields: Vec<String> = FIELDS.iter().map(|(name, kind)| format!("('{name}', '{kind}')")).collect();
    let said = format!("{{'descr': [{}], 'fortran_order': False, 'shape': ({rows},), }}", fields.join(", "));
    let length = (10 + said.len() + 1).next_multiple_of(64) - 10;
    let mut header = [MAGIC, &[1, 0], &(length as u16).to_le_bytes()].concat();
    header.extend_from_slice(format!("{said:<width$}\n", width = length - 1).as_bytes());
    header
}
