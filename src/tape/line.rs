//! A row of a tape with named columns: from its cells to a word, and back.

use super::{Fault, Reading, Word, time_of};
use std::str::FromStr;
use std::sync::Arc;
use tidehelm_events::id::MarketId;
use tidehelm_events::market::{Deal, DealKind, Heard, Level, Price, Quote, Said, Size};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::Side;

/// In the order in which they are written. Which of them a row needs depends on its `kind`.
pub const COLUMNS: [&str; 19] = [
    "market",
    "kind",
    "source_at",
    "received_at",
    "bid",
    "bid_size",
    "ask",
    "ask_size",
    "id",
    "side",
    "price",
    "size",
    "type",
    "rate",
    "due_at",
    "after",
    "seq",
    "bids",
    "asks",
];

/// Other names by which a column is known, as other programs write them.
const ALIASES: [(&str, &str); 8] = [
    ("timestamp", "source_at"),
    ("exchange_timestamp", "source_at"),
    ("time", "source_at"),
    ("ts", "source_at"),
    ("local_timestamp", "received_at"),
    ("symbol", "market"),
    ("bid_price", "bid"),
    ("ask_price", "ask"),
];

/// Where each column stands in a file.
pub(super) struct Header {
    places: [Option<usize>; COLUMNS.len()],
    /// What every row is, where no column says so.
    kind: Option<&'static str>,
    market: Option<Arc<MarketId>>,
    /// The market of the row before, as it was written: the next one is nearly always the same.
    last: Option<(Box<str>, Arc<MarketId>)>,
    reading: Reading,
}

fn number_of(column: &str) -> Option<usize> {
    COLUMNS.iter().position(|known| *known == column)
}

impl Header {
    /// Columns that nobody knows are not looked at.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>, reading: &Reading) -> Result<Self, Fault> {
        let mut places = [None; COLUMNS.len()];
        for (place, name) in names.enumerate() {
            let name = name.trim();
            let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, column)| *column);
            if let Some(number) = number_of(name) {
                places[number] = Some(place);
            } else if let Some(number) = alias.and_then(number_of) {
                places[number] = places[number].or(Some(place));
            }
        }
        let mut header = Header { places, kind: None, market: None, last: None, reading: reading.clone() };
        if !header.has("source_at") {
            return Err(Fault::ColumnMissing("source_at"));
        }
        if !header.has("kind") {
            header.kind = Some(header.kind_of_all()?);
        }
        if !header.has("market") || header.reading.market.is_some() {
            header.market = Some(Arc::new(header.reading.market.clone().ok_or(Fault::MarketMissing)?));
        }
        Ok(header)
    }

    fn has(&self, column: &str) -> bool {
        number_of(column).is_some_and(|number| self.places[number].is_some())
    }

    /// A file of one kind, by its columns.
    fn kind_of_all(&self) -> Result<&'static str, Fault> {
        if self.has("bid") && self.has("ask") {
            Ok("quote")
        } else if self.has("price") && self.has("size") {
            Ok("deal")
        } else {
            Err(Fault::ColumnMissing("kind"))
        }
    }

    /// The word of a row. `cell` has the text at a place, if there is any.
    pub fn word<'a>(&mut self, row: u64, cell: impl Fn(usize) -> Option<&'a str>) -> Result<Word, Fault> {
        let places = self.places;
        let cells =
            Cells { row, cell: |number: usize| cell(places[number]?).map(str::trim).filter(|text| !text.is_empty()) };
        let market = match &self.market {
            Some(market) => market.clone(),
            None => market_of(&cells, &mut self.last)?,
        };
        let source_at = time_of(cells.need("source_at")?);
        let received_at = cells.get("received_at")?.map_or(source_at + self.reading.latency, time_of);
        let kind = self.kind.map_or_else(|| cells.text("kind"), Ok)?;
        Ok(Word { market, heard: Heard { said: said(kind, &cells)?, source_at, received_at } })
    }
}

fn market_of<'a>(
    cells: &Cells<impl Fn(usize) -> Option<&'a str>>,
    last: &mut Option<(Box<str>, Arc<MarketId>)>,
) -> Result<Arc<MarketId>, Fault> {
    let text = cells.text("market")?;
    if let Some((_, market)) = last.as_ref().filter(|(known, _)| **known == *text) {
        return Ok(market.clone());
    }
    let market: Arc<MarketId> = Arc::new(cells.need("market")?);
    *last = Some((text.into(), market.clone()));
    Ok(market)
}

struct Cells<F> {
    row: u64,
    cell: F,
}

impl<'a, F: Fn(usize) -> Option<&'a str>> Cells<F> {
    fn raw(&self, column: &'static str) -> Option<&'a str> {
        number_of(column).and_then(|number| (self.cell)(number))
    }
    fn text(&self, column: &'static str) -> Result<&'a str, Fault> {
        self.raw(column).ok_or(Fault::CellMissing { row: self.row, column })
    }
    fn get<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<Option<T>, Fault> {
        let Some(text) = self.raw(column) else { return Ok(None) };
        text.parse().map(Some).map_err(|why: T::Err| self.invalid(column, text, why.to_string()))
    }
    fn need<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<T, Fault> {
        self.get(column)?.ok_or(Fault::CellMissing { row: self.row, column })
    }
    fn invalid(&self, column: &'static str, found: &str, why: String) -> Fault {
        Fault::CellInvalid { row: self.row, column, found: found.chars().take(40).collect(), why }
    }

    fn levels(&self, column: &'static str) -> Result<Vec<Level>, Fault> {
        let text = self.raw(column).unwrap_or("");
        let level = |part: &str| {
            let (price, size) = part.split_once(':')?;
            Some(Level { price: price.parse().ok()?, size: size.parse().ok()? })
        };
        let bad = |part: &str| self.invalid(column, part, "a level is `PRICE:SIZE`".into());
        text.split_whitespace().map(|part| level(part).ok_or_else(|| bad(part))).collect()
    }
}

fn said<'a>(kind: &str, cells: &Cells<impl Fn(usize) -> Option<&'a str>>) -> Result<Said, Fault> {
    Ok(match kind {
        "quote" => Said::Quote(Quote {
            bid: cells.need("bid")?,
            bid_size: cells.get("bid_size")?.unwrap_or(Size::ZERO),
            ask: cells.need("ask")?,
            ask_size: cells.get("ask_size")?.unwrap_or(Size::ZERO),
        }),
        "deal" => Said::Deal(Deal {
            id: cells.raw("id").unwrap_or("").into(),
            taker: side(cells)?,
            price: cells.need("price")?,
            size: cells.need("size")?,
            kind: deal_kind(cells)?,
        }),
        "mark" => Said::Mark(cells.need("price")?),
        "index" => Said::Index(cells.need("price")?),
        "funding" => Said::Funding { rate: cells.need("rate")?, due_at: cells.get("due_at")?.map(time_of) },
        "book" => Said::BookWhole { seq: cells.need("seq")?, bids: cells.levels("bids")?, asks: cells.levels("asks")? },
        "change" => Said::BookChanged {
            after: cells.need("after")?,
            seq: cells.need("seq")?,
            bids: cells.levels("bids")?,
            asks: cells.levels("asks")?,
        },
        _ => {
            let why = "quote, deal, mark, index, funding, book or change";
            return Err(cells.invalid("kind", kind, why.into()));
        }
    })
}

fn side<'a>(cells: &Cells<impl Fn(usize) -> Option<&'a str>>) -> Result<Option<Side>, Fault> {
    match cells.raw("side") {
        None => Ok(None),
        Some("buy" | "BUY" | "Buy") => Ok(Some(Side::Buy)),
        Some("sell" | "SELL" | "Sell") => Ok(Some(Side::Sell)),
        Some(other) => Err(cells.invalid("side", other, "who took: buy, sell or nothing".into())),
    }
}

fn deal_kind<'a>(cells: &Cells<impl Fn(usize) -> Option<&'a str>>) -> Result<DealKind, Fault> {
    match cells.raw("type") {
        None | Some("normal") => Ok(DealKind::Normal),
        Some("liquidation" | "liq") => Ok(DealKind::Liquidation),
        Some("deleveraging" | "delev") => Ok(DealKind::Deleveraging),
        Some(other) => Err(cells.invalid("type", other, "normal, liquidation or deleveraging".into())),
    }
}

/// A word as cells, typed: what a row has, in the order of the columns.
#[derive(Default)]
pub(super) struct Line {
    pub market: String,
    pub kind: &'static str,
    pub source_at: Timestamp,
    pub received_at: Timestamp,
    /// bid, bid size, ask, ask size
    pub quote: [Option<i64>; 4],
    pub id: Option<String>,
    pub side: Option<&'static str>,
    pub price: Option<i64>,
    pub size: Option<i64>,
    pub deal: Option<&'static str>,
    pub rate: Option<i64>,
    pub due_at: Option<i64>,
    pub after: Option<u64>,
    pub seq: Option<u64>,
    pub bids: Option<String>,
    pub asks: Option<String>,
}

impl Line {
    pub fn of(word: &Word) -> Self {
        let Heard { said, source_at, received_at } = &word.heard;
        let line = Line {
            market: word.market.to_string(),
            source_at: *source_at,
            received_at: *received_at,
            ..Line::default()
        };
        match said {
            Said::Quote(quote) => {
                let cells = [quote.bid.0, quote.bid_size.0, quote.ask.0, quote.ask_size.0];
                Line { kind: "quote", quote: cells.map(Some), ..line }
            }
            Said::Deal(deal) => Line {
                kind: "deal",
                id: (!deal.id.is_empty()).then(|| deal.id.to_string()),
                side: deal.taker.map(Side::as_str),
                price: Some(deal.price.0),
                size: Some(deal.size.0),
                deal: Some(match deal.kind {
                    DealKind::Normal => "normal",
                    DealKind::Liquidation => "liquidation",
                    DealKind::Deleveraging => "deleveraging",
                }),
                ..line
            },
            Said::Mark(price) => Line { kind: "mark", price: Some(price.0), ..line },
            Said::Index(price) => Line { kind: "index", price: Some(price.0), ..line },
            Said::Funding { rate, due_at } => {
                Line { kind: "funding", rate: Some(rate.0), due_at: due_at.map(|at| at.0), ..line }
            }
            Said::BookWhole { seq, bids, asks } => {
                Line { kind: "book", seq: Some(*seq), bids: Some(levels(bids)), asks: Some(levels(asks)), ..line }
            }
            Said::BookChanged { after, seq, bids, asks } => {
                let (bids, asks) = (Some(levels(bids)), Some(levels(asks)));
                Line { kind: "change", after: Some(*after), seq: Some(*seq), bids, asks, ..line }
            }
        }
    }

    /// As texts, in the order of the columns.
    pub fn cells(self) -> [String; COLUMNS.len()] {
        let number = |units: Option<i64>| units.map_or_else(String::new, |units| Price(units).to_string());
        let whole = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        let word = |value: Option<&str>| value.unwrap_or("").to_string();
        let [bid, bid_size, ask, ask_size] = self.quote.map(number);
        [
            self.market,
            self.kind.into(),
            self.source_at.0.to_string(),
            self.received_at.0.to_string(),
            bid,
            bid_size,
            ask,
            ask_size,
            self.id.unwrap_or_default(),
            word(self.side),
            number(self.price),
            number(self.size),
            word(self.deal),
            number(self.rate),
            self.due_at.map_or_else(String::new, |at| at.to_string()),
            whole(self.after),
            whole(self.seq),
            self.bids.unwrap_or_default(),
            self.asks.unwrap_or_default(),
        ]
    }
}

fn levels(levels: &[Level]) -> String {
    let each: Vec<String> = levels.iter().map(|level| format!("{}:{}", level.price, level.size)).collect();
    each.join(" ")
}
