//! Tapes: what is written is read, and what cannot be has a name.

use super::*;
use std::fs;
use tempfile::TempDir;
use tidehelm_actors::market_sim::{self, MarketSim};
use tidehelm_events::market::{DealKind, Level, Price, Quote, Said, Size};
use tidehelm_events::trade::Side;

fn market() -> MarketId {
    "paper:BTC-USD".parse().unwrap()
}
fn reading() -> Reading {
    Reading { market: Some(market()), latency: Span::millis(5) }
}

fn simulated(count: usize) -> Vec<Word> {
    let market = Arc::new(market());
    let word = |heard| Word { market: market.clone(), heard };
    MarketSim::new(market_sim::Settings::default()).take(count).map(word).collect()
}

fn levels(of: &[(i64, i64)]) -> Vec<Level> {
    of.iter().map(|(price, size)| Level { price: Price::whole(*price), size: Size(*size * 250_000_000) }).collect()
}

/// With books, which the simulator does not tell.
fn with_books() -> Vec<Word> {
    let mut words = simulated(300);
    let last = words.last().unwrap().heard.received_at;
    let (bids, asks) = (levels(&[(49_999, 3), (49_998, 1)]), levels(&[(50_001, 2)]));
    let whole = Said::BookWhole { seq: 1, bids, asks };
    let change = Said::BookChanged { after: 1, seq: 2, bids: levels(&[(49_999, 0)]), asks: levels(&[(50_002, 8)]) };
    let only_asks = Said::BookChanged { after: 2, seq: 3, bids: vec![], asks: levels(&[(50_002, 0)]) };
    for (number, said) in [whole, change, only_asks].into_iter().enumerate() {
        let received_at = last + Span::millis(number as i64 + 1);
        let heard = Heard { said, source_at: received_at - Span::millis(1), received_at };
        words.push(Word { heard, ..words[0].clone() });
    }
    words
}

fn written(dir: &TempDir, name: &str, words: &[Word]) -> (PathBuf, Written) {
    let path = dir.path().join(name);
    let mut recorder = Recorder::create(&path).unwrap();
    words.iter().for_each(|word| recorder.push(word).unwrap());
    (path, recorder.finish().unwrap())
}

fn all(path: &Path, reading: &Reading) -> Vec<Word> {
    open(path, reading).unwrap().collect::<Result<_, _>>().unwrap()
}

fn csv(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tape.csv");
    fs::write(&path, text).unwrap();
    (dir, path)
}

/// The first fault of a file, by its code, and what it says.
fn fault(text: &str, rules: Rules) -> (&'static str, String) {
    let (_dir, path) = csv(text);
    let fault = match open(&path, &reading()) {
        Err(fault) => fault,
        Ok(words) => Checked::new(words, rules).find_map(Result::err).expect("no fault"),
    };
    (fault.code(), fault.to_string())
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut words = with_books();
    let other = Arc::new("paper:ETH-USD".parse::<MarketId>().unwrap());
    words.iter_mut().step_by(7).for_each(|word| word.market = other.clone());
    for name in ["a.csv", "a.parquet"] {
        let (path, count) = written(&dir, name, &words);
        assert_eq!(count, Written { words: words.len() as u64, left_out: 0 });
        assert!(all(&path, &Reading::default()) == words, "{name}");
        let one = all(&path, &reading());
        assert!(one.iter().all(|word| *word.market == market()), "who reads it may say whose words they are");
    }
}

#[test]
fn an_array_holds_the_book_and_trades() {
    let dir = tempfile::tempdir().unwrap();
    let words = with_books();
    let (path, count) = written(&dir, "a.npz", &words);
    let fits = |word: &&Word| !matches!(word.heard.said, Said::Mark(_) | Said::Index(_) | Said::Funding { .. });
    let expected: Vec<Heard> = words
        .iter()
        .filter(fits)
        .map(|word| {
            let mut heard = word.heard.clone();
            // A trade has no name and no kind there.
            if let Said::Deal(deal) = &mut heard.said {
                (deal.id, deal.kind) = ("".into(), DealKind::Normal);
            }
            heard
        })
        .collect();
    let read: Vec<Heard> = all(&path, &reading()).into_iter().map(|word| word.heard).collect();
    assert_eq!(count.left_out, (words.len() - expected.len()) as u64);
    assert!(count.left_out > 0 && read == expected);
    assert!(matches!(open(&path, &Reading::default()).err(), Some(Fault::MarketMissing)));
}

/// The header as NumPy writes it, fields in another order, more fields than are needed, and rows that only the exchange sees.
#[test]
fn an_array_is_read_by_the_names_of_its_fields() {
    let row = |ev: u64, px: f64, qty: f64| {
        let mut row = Vec::new();
        row.extend_from_slice(&px.to_le_bytes());
        row.extend_from_slice(&[7, 7]);
        row.extend_from_slice(&qty.to_le_bytes());
        row.extend_from_slice(&ev.to_le_bytes());
        row.extend_from_slice(&1_700_000_000_000_001_999i64.to_le_bytes());
        row.extend_from_slice(&1_700_000_000_000_500_000i64.to_le_bytes());
        row
    };
    let header = "{'descr': [('px', '<f8'), ('x', '<u2'), ('qty', '<f8'), ('ev', '<u8'), ('exch_ts', '<i8'), \
                  ('local_ts', '<i8')], 'fortran_order': False, 'shape': (4,), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    let (local, exchange) = (1u64 << 30, 1u64 << 31);
    for part in [
        row(2 | 1 << 29 | exchange, 1.0, 1.0),
        row(2 | 1 << 28 | local, 0.1 + 0.2, 12.5),
        row(1 | 1 << 29 | local | exchange, 50_000.1, 0.0),
        row(2, 7.0, 1.0),
    ] {
        bytes.extend_from_slice(&part);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.npz");
    let save = |bytes: &[u8]| {
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        archive.start_file("arr_0.npy", zip::write::SimpleFileOptions::default()).unwrap();
        io::Write::write_all(&mut archive, bytes).unwrap();
        archive.finish().unwrap();
    };
    save(&bytes);
    let said: Vec<Said> = all(&path, &reading()).into_iter().map(|word| word.heard.said).collect();
    let deal = |price, taker| {
        Said::Deal(tidehelm_events::market::Deal {
            id: "".into(),
            taker,
            price,
            size: Size::ONE,
            kind: DealKind::Normal,
        })
    };
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(matches!(&said[0], Said::Deal(deal) if deal.price == Price(300_000_000) && deal.taker == Some(Side::Sell)));
    let bids = vec![Level { price: Price(50_000_100_000_000), size: Size(0) }];
    assert_eq!(said[1], Said::BookChanged { after: 0, seq: 1, bids, asks: vec![] });
    assert_eq!(said[2], deal(Price::whole(7), None));
    let heard = all(&path, &reading())[0].heard.clone();
    assert_eq!((heard.source_at.0, heard.received_at.0), (1_700_000_000_000_001, 1_700_000_000_000_500));
    // Cut anywhere it is refused, and never believed in part.
    for length in (0..bytes.len()).step_by(3) {
        save(&bytes[..length]);
        assert!(open(&path, &reading()).is_err(), "{length} of {} bytes", bytes.len());
    }
    save(&[&bytes[..], &[0; 9]].concat());
    assert_eq!(all(&path, &reading()).len(), 3, "what comes after the array is not looked at");
}

#[test]
fn a_file_of_another_program_is_understood() {
    let (_dir, path) = csv("timestamp,bid_price,ask_price,note\n1700000000123,100.5,100.75,x\n1700000001,101,102,\n");
    let words = all(&path, &reading());
    let quote =
        Quote { bid: Price(100_500_000_000), bid_size: Size(0), ask: Price(100_750_000_000), ask_size: Size(0) };
    assert_eq!(words[0].heard.said, Said::Quote(quote));
    let times = |word: &Word| (word.heard.source_at.0, word.heard.received_at.0);
    assert_eq!(times(&words[0]), (1_700_000_000_123_000, 1_700_000_000_128_000));
    assert_eq!(times(&words[1]), (1_700_000_001_000_000, 1_700_000_001_005_000));
    let (_dir, path) = csv("ts,price,size,side,type\n1700000000123456789,7,0.5,sell,liq\n");
    let Said::Deal(deal) = &all(&path, &reading())[0].heard.said else { panic!("no deal") };
    assert_eq!((deal.taker, deal.kind, deal.size), (Some(Side::Sell), DealKind::Liquidation, Size(500_000_000)));
}

const HEAD: &str = "kind,source_at,received_at,bid,ask,price,size,id\n";

#[test]
fn what_cannot_be_has_a_name() {
    let at = |seconds: i64| format!("{0},{0}", 1_700_000_000_000_000 + seconds * 1_000_000);
    let rows = |rows: &[&str]| format!("{HEAD}{}\n", rows.join("\n"));
    let good = format!("quote,{},100,101,,,", at(0));
    for (text, code, said) in [
        ("bid,ask\n1,2\n".to_string(), "COLUMN_MISSING", "there is no column `source_at`"),
        ("source_at,price\n1,2\n".into(), "COLUMN_MISSING", "there is no column `kind`"),
        (rows(&[&good, &format!("quote,{},101,101,,,", at(1))]), "CROSSED", "row 2 has a bid at or above its ask"),
        (rows(&[&format!("quote,{},-1,101,,,", at(1))]), "NEGATIVE", "row 1 has a price that is not above zero"),
        (rows(&[&format!("deal,{},,,5,-1,a", at(1))]), "NEGATIVE", "row 1 has a price"),
        (rows(&[&format!("mark,{},,,0,,", at(1))]), "NEGATIVE", "row 1 has a price"),
        (rows(&[&good, &format!("quote,{},100,101,,,", at(-1))]), "UNSORTED", "row 2 came in before the row before it"),
        (rows(&[&good, &good]), "DUPLICATE", "row 2 was there before"),
        (
            rows(&[&format!("deal,{},,,5,1,a", at(0)), &format!("deal,{},,,6,1,a", at(1))]),
            "DUPLICATE",
            "row 2 was there before",
        ),
        (rows(&[&good, &format!("quote,{},100,102,,,", at(61))]), "GAP", "row 2 comes after a silence"),
        (rows(&[&format!("quote,{},100,,,,", at(0))]), "CELL_MISSING", "row 1 has nothing in `ask`"),
        (rows(&[&format!("quote,{},abc,101,,,", at(0))]), "CELL_INVALID", "row 1 has `abc` in `bid`"),
        (rows(&[&format!("quote,{},NaN,101,,,", at(0))]), "CELL_INVALID", "row 1 has `NaN` in `bid`"),
        (rows(&[&format!("rumour,{},1,2,,,", at(0))]), "CELL_INVALID", "row 1 has `rumour` in `kind`"),
        (rows(&["quote,yesterday,,1,2,,,"]), "CELL_INVALID", "row 1 has `yesterday` in `source_at`"),
        (rows(&["quote,1"]), "BROKEN", "the file cannot be understood"),
    ] {
        let (found, why) = fault(&text, Rules::default());
        assert!(found == code && why.starts_with(said), "{found}: {why}, wanted {code}: {said}");
    }
    assert!(matches!(open(Path::new("tape.txt"), &reading()).err(), Some(Fault::FormatUnknown(_))));
    assert!(matches!(open(Path::new("/nowhere/tape.csv"), &reading()).err(), Some(Fault::File { .. })));
    let (_dir, path) = csv("source_at,bid,ask\n1,1,2\n");
    assert!(matches!(open(&path, &Reading::default()).err(), Some(Fault::MarketMissing)));
}

#[test]
fn what_is_overlooked_is_counted() {
    let at = |millis: i64| format!("{0},{0}", 1_700_000_000_000_000 + millis * 1_000);
    let quote = |millis, bid: i64| format!("quote,{},{bid},101,,,", at(millis));
    let rows = [
        quote(0, 100),
        quote(0, 100),
        quote(10, 200),
        quote(-10, 100),
        quote(90_000, 99),
        format!("deal,{},,,5,1,", at(90_000)),
        format!("deal,{},,,5,1,", at(90_000)),
    ];
    let (_dir, path) = csv(&format!("{HEAD}{}\n", rows.join("\n")));
    let rules = Rules { overlook: Flaw::ALL.to_vec(), ..Rules::default() };
    let mut checked = Checked::new(open(&path, &reading()).unwrap(), rules);
    let kept = checked.by_ref().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(kept.len(), 4, "two deals without a name may be two deals");
    let found = checked.found();
    let flaws: Vec<_> = found.flaws.iter().map(|(flaw, count)| (flaw.code(), *count)).collect();
    assert_eq!(flaws, [("CROSSED", 1), ("UNSORTED", 1), ("DUPLICATE", 1), ("GAP", 1)]);
    let (first, last) = found.span.unwrap();
    assert_eq!((found.words, last.since(first)), (4, Span::seconds(90)));
}

#[test]
fn a_made_up_market_has_no_flaw() {
    let words = simulated(20_000).into_iter().map(Ok);
    let mut checked = Checked::new(Box::new(words), Rules::default());
    assert_eq!(checked.by_ref().filter_map(Result::err).count(), 0);
    assert_eq!(checked.found().words, 20_000);
}
