use super::*;
use tidehelm_actors::paper::{Latency, MarketNo};
use tidehelm_events::market::{Cash, Deal, DealKind, Heard, Price, Quote, Said, Size};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::Side;

/// A market that breathes: the middle goes up and down by a wave of whole ticks, and every third row is a trade.
fn tape(rows: i64) -> Vec<Row> {
    let row = |number: i64| {
        let middle = 10_000 + [0, 2, 5, 7, 9, 7, 4, 1, -2, -4, -5, -3][(number / 7 % 12) as usize];
        let price = |cents: i64| Price(cents * 10_000_000);
        let size = |number: i64| Size::whole(1 + number % 5);
        let (bid, ask) = (price(middle - 1), price(middle + 1));
        let said = if number % 3 == 2 {
            let taker = if number % 2 == 0 { Side::Buy } else { Side::Sell };
            let price = if taker == Side::Buy { ask } else { bid };
            let (id, size) = (number.to_string().into(), size(number * 7));
            Said::Deal(Deal { id, taker: Some(taker), price, size, kind: DealKind::Normal })
        } else {
            Said::Quote(Quote { bid, bid_size: size(number), ask, ask_size: size(number + 2) })
        };
        let source_at = Timestamp(1_700_000_000_000_000 + number * 50_000);
        Row { market: MarketNo(0), heard: Heard { said, source_at, received_at: source_at + Span::millis(2) } }
    };
    (0..rows).map(row).collect()
}

fn asked() -> Asked {
    let instrument = Instrument {
        tick: Price(10_000_000),
        step: Size(1_000_000),
        fee_maker: -50,
        fee_taker: 400,
        ..Instrument::plain()
    };
    Asked {
        name: "a <plain> quoter".into(),
        seed: 7,
        markets: vec![Listed { market: "paper:BTC-USD".parse().unwrap(), instrument }],
        venue: Settings::default(),
        trader: serde_json::json!({"outside": {"ticks": 0}}),
    }
}
fn joining() -> Outside {
    Outside { market: MarketNo(0), size: Size::whole(1), ticks: 0, hysteresis_ticks: 1, held_max: Some(Size::whole(5)) }
}
fn ran() -> Report {
    outside(asked(), joining(), &tape(20_000)).unwrap()
}

#[test]
fn the_same_run_is_the_same_report() {
    let beside = std::thread::spawn(ran);
    let (one, other) = (ran(), beside.join().unwrap());
    assert!(one.outcome.counts.fills > 100, "{:?}", one.outcome.counts);
    assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
    assert!(diff::diff(&one, &other).is_empty());
    let read: Report = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
    assert_eq!(read, one, "what is written is read");
}

#[test]
fn the_parts_of_the_profit_are_the_profit() {
    let outcome = ran().outcome;
    let sum = outcome.spread + outcome.adverse + outcome.inventory - outcome.fees - outcome.funding;
    assert_eq!(sum, outcome.profit);
    assert!(outcome.spread > Cash::ZERO, "a maker is paid the half spread: {}", outcome.spread);
    assert!(outcome.fees < Cash::ZERO, "a maker is paid here");
    assert!(outcome.drawdown > Cash::ZERO);
    let held = outcome.holdings[0];
    let last = outcome.curve.last().unwrap();
    assert_eq!(held.worth(last.mid.unwrap()), outcome.profit);
    assert!(outcome.curve.len() <= 2_000 && outcome.curve.is_sorted_by_key(|point| point.at));
    assert_eq!(outcome.fills.len() as u64, outcome.counts.fills);
    assert!(outcome.fills.iter().all(|fill| fill.mids[0].is_some()), "a quote every 100 ms");
    assert_eq!(outcome.states.keys().map(|state| &**state).collect::<Vec<_>>(), ["QUOTING"]);
}

#[test]
fn what_differs_is_said_by_its_name() {
    let one = ran();
    let venue = Settings {
        latency: Latency::Constant { there: Span::millis(400), back: Span::millis(10) },
        ..Settings::default()
    };
    let other = outside(Asked { venue, ..asked() }, joining(), &tape(20_000)).unwrap();
    let diff = diff::diff(&one, &other);
    assert_eq!(diff.asked.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), ["venue.latency.constant.there"]);
    assert!(diff.outcome.iter().any(|one| one.what == "profit"), "{:?}", diff.outcome);
    assert!(diff.first_fill.is_some());
    assert_eq!(one.identity.tape, other.identity.tape);
    assert_ne!(one.identity.config, other.identity.config);
    assert_ne!(one.identity.state, other.identity.state);
    let shorter = outside(asked(), joining(), &tape(19_000)).unwrap();
    assert_ne!(one.identity.tape, shorter.identity.tape);
}

#[test]
fn a_tape_that_cannot_be_believed_is_not_run() {
    let mut backwards = tape(10);
    backwards.swap(4, 5);
    let mut foreign = tape(10);
    foreign[3].market = MarketNo(1);
    for (tape, said) in [
        (backwards, "row 5 of the tape was received before the one before it; sort the tape by the time of receipt"),
        (foreign, "row 3 of the tape is of market 1, and 1 are listed"),
        (vec![], "the tape is empty"),
    ] {
        assert_eq!(outside(asked(), joining(), &tape).unwrap_err().to_string(), said);
    }
}

#[test]
fn sheets_have_a_line_for_each() {
    let report = ran();
    let (mut fills, mut curve) = (Vec::new(), Vec::new());
    sheet::fills(&report, &mut fills).unwrap();
    sheet::curve(&report, &mut curve).unwrap();
    let (fills, curve) = (String::from_utf8(fills).unwrap(), String::from_utf8(curve).unwrap());
    assert_eq!(fills.lines().count(), report.outcome.fills.len() + 1);
    assert!(
        fills.starts_with("number,order,market,at,side,price,size,fee,liquidity,mid,markout_bps_0s,markout_bps_1s,")
    );
    assert!(fills.lines().nth(1).unwrap().starts_with("1,"), "{fills:.300}");
    assert!(fills.contains(",paper:BTC-USD,"));
    assert_eq!(curve.lines().count(), report.outcome.curve.len() + 1);
}

#[test]
fn the_page_stands_alone() {
    let page = html::page(&ran());
    assert!(page.contains("a &lt;plain&gt; quoter") && !page.contains("<plain>"));
    for outside in ["http:", "https:", "<script", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    for title in ["Worth", "Held in the first market", "Middle of the first market"] {
        assert!(page.contains(&format!("aria-label=\"{title}\"")), "{title}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("<table").count(), page.matches("</table>").count());
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn a_maker_is_run_with_all_that_it_goes_by() {
    let parameters = || Parameters {
        base_half_spread_bps: tidehelm_events::market::Bps::ONE,
        uses_mark_index: false,
        uses_liquidations: false,
        defensive_imbalance: tidehelm_events::market::Ratio::whole(2),
        ..Parameters::default()
    };
    let run = || maker(asked(), market::Settings::default(), parameters(), &tape(20_000)).unwrap();
    let report = run();
    assert!(report.outcome.counts.accepted > 10, "{:?}", report.outcome.counts);
    assert_eq!(report.asked.trader["maker"]["uses_mark_index"], serde_json::json!(false));
    assert!(report.outcome.states.contains_key("NORMAL"), "{:?}", report.outcome.states);
    assert_eq!(run(), report);
    let bad = Parameters { levels: 0, ..parameters() };
    let said = maker(asked(), market::Settings::default(), bad, &tape(10)).unwrap_err().to_string();
    assert!(said.starts_with("the maker cannot be set up: `levels`: "), "{said}");
}
