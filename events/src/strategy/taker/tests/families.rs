//! What each family makes of small recorded markets. The expectations were worked out by hand, beside each row.

use super::*;

const TABLES: [(&str, &str, usize); 6] = [
    ("ping", include_str!("ping.txt"), 21),
    ("macd_rsi_div", include_str!("macd_rsi_div.txt"), 7),
    ("tick_imbalance", include_str!("tick_imbalance.txt"), 9),
    ("squeeze_break", include_str!("squeeze_break.txt"), 10),
    ("wick_blend", include_str!("wick_blend.txt"), 12),
    ("wick_pro", include_str!("wick_pro.txt"), 10),
];

/// `[open high low close / …]`, of which each is moved by what the group drifts for each repetition.
fn shapes(text: &str) -> Vec<Vec<f64>> {
    let inside = text.trim_start_matches('[').trim_end_matches(']');
    inside.split('/').map(|bar| bar.split_whitespace().map(|price| price.parse().unwrap()).collect()).collect()
}

/// Tenths of thousandths of a pip, so that the tables' decimals are exact.
fn fine(pips: f64) -> i64 {
    (pips * 10_000.0).round() as i64
}

fn bar(prices: [i64; 4]) -> Bar {
    let [open, high, low, close] = prices.map(|fine| Price(BASE + fine * PIP / 10_000));
    Bar { open_at: Timestamp::ZERO, open, high, low, close, ticks: 9 }
}

/// `count*[…]+drift count*[…]`; with `walk` in front, `[…]` holds changes of the close, and each bar has wicks of 0.2.
fn bars(text: &str, before: Timestamp) -> Vec<Bar> {
    let (is_walk, text) = text.strip_prefix("walk ").map_or((false, text), |rest| (true, rest));
    let mut bars = Vec::new();
    let mut close = 0;
    for (count, shapes, drift) in groups(text) {
        for repetition in 0..count {
            for shape in &shapes {
                if is_walk {
                    for change in shape {
                        let open = close;
                        close += fine(*change);
                        bars.push(bar([open, open.max(close) + 2_000, open.min(close) - 2_000, close]));
                    }
                } else {
                    let moved = |place: usize| fine(shape[place]) + fine(drift) * repetition;
                    bars.push(bar([moved(0), moved(1), moved(2), moved(3)]));
                }
            }
        }
    }
    let count = bars.len() as i64;
    for (place, bar) in bars.iter_mut().enumerate() {
        bar.open_at = before - Span::seconds(60 * (count - place as i64));
    }
    bars
}

/// Each group: how often, which bars, and by how much they drift.
fn groups(text: &str) -> Vec<(i64, Vec<Vec<f64>>, f64)> {
    let mut groups = Vec::new();
    let mut rest = text.trim();
    while let Some((count, more)) = rest.split_once('*') {
        let (inside, more) = more.split_once(']').unwrap();
        let end = more.find(' ').unwrap_or(more.len());
        let drift = if end == 0 { 0.0 } else { more[..end].parse().unwrap() };
        groups.push((count.trim().parse().unwrap(), shapes(inside), drift));
        rest = more[end..].trim();
    }
    groups
}

/// The market of a row, and the time of its last quote.
fn scene(family: AnyFamily, row: &[&str]) -> Case {
    let mut case = Case::of(family);
    case.bars = bars(row[2], START);
    for tick in row[3].split_whitespace() {
        let (millis, mid) = tick.split_once(':').unwrap();
        case.now = START + Span::millis(millis.parse().unwrap());
        case.ticks.push(quote(case.now, at_pips(mid), row[1]));
    }
    case.ticks(Leg::Exit);
    case
}

/// `buy loss 3.5 take 0.6 out 150s`, or the code.
fn said(event: &Event) -> String {
    let proposed = match event {
        Event::EntryProposed(proposed) => proposed,
        Event::Ticked(ticked) => return ticked.quiet.code().into(),
        other => panic!("{other:?}"),
    };
    let plan = &proposed.plan;
    let mut said = format!("{} loss {}", proposed.intent.terms.side.as_str(), in_pips(plan.loss().unwrap()));
    let mut say = |what: String| said.push_str(&format!(" {what}"));
    plan.take.iter().for_each(|take| say(format!("take {}", in_pips(*take))));
    plan.time_stop.iter().for_each(|span| say(format!("out {}s", span.0 / 1_000_000)));
    plan.losers_out.iter().for_each(|span| say(format!("losers {}s", span.0 / 1_000_000)));
    if let Some(Partial { at, share, stop_to }) = plan.partial {
        say(format!("partial {share} at {} then {}", in_pips(at), in_pips(stop_to)));
    }
    plan.lock.iter().for_each(|lock| say(format!("lock {} from {}", lock.share, in_pips(lock.from))));
    said
}

#[test]
fn each_family_does_what_its_table_says() {
    for ((name, table, count), family) in TABLES.into_iter().zip(AnyFamily::all()) {
        assert_eq!(family.as_str(), name);
        let mut seen = 0;
        for row in rows(table) {
            assert_eq!(row.len(), 5, "{row:?}");
            let event = scene(family, &row).ticks(Leg::Entry);
            assert_eq!(said(&event), row[4], "{name}: {}", row[0]);
            seen += 1;
        }
        assert_eq!(seen, count, "rows of {name}");
    }
}

/// What is beyond what a family declares to look at changes nothing: it does not matter how much a market keeps.
#[test]
fn more_of_the_past_changes_nothing() {
    for ((_, table, _), family) in TABLES.into_iter().zip(AnyFamily::all()) {
        for row in rows(table).filter(|row| row[4] != "BARS_TOO_FEW") {
            let case = scene(family, &row);
            let alone = case.clone().ticks(Leg::Entry);
            let mut longer = case;
            let first = longer.bars.first().map_or(START, |bar| bar.open_at);
            let mut before = bars("50*[0 40 -40 30 / 30 35 -70 -60]", first);
            before.append(&mut longer.bars);
            longer.bars = before;
            for seconds in 31..60 {
                longer.ticks.insert(0, quote(START - Span::seconds(seconds), at_pips("90"), "1"));
            }
            assert_eq!(longer.ticks(Leg::Entry), alone, "{}", row[0]);
        }
    }
}

#[test]
fn a_hole_in_the_bars_is_not_reached_over() {
    let row = ["", "0.4", "32*[0 0.75 -0.75 0.5 / 0.5 0.75 -0.75 -0.5]", "0:0.5 1000:0.9 2000:1.2 3000:1.1 4000:1.65"];
    let family = AnyFamily::SqueezeBreak(SqueezeBreak::default());
    for (missing, expected) in [(5, "buy loss 1.3 take 2.025 lock 0.5 from 1.2"), (6, "BARS_TOO_FEW")] {
        let mut case = scene(family, &row);
        case.bars[..40].iter_mut().for_each(|bar| bar.open_at = bar.open_at - Span::seconds(60 * missing));
        assert_eq!(said(&case.ticks(Leg::Entry)), expected, "{missing}");
    }
}

#[test]
fn five_quotes_in_a_longer_time_are_too_few_a_second() {
    let family = AnyFamily::Ping(Ping { window_ms: 2_000, ..Ping::default() });
    let row = ["", "0.4", "", "0:0 500:0.2 1000:0.5 1500:0.8 2000:1.2"];
    assert_eq!(said(&scene(family, &row).ticks(Leg::Entry)), "RATE_LOW");
}

#[test]
fn the_entry_names_where_it_is_given_up_on_a_tick_towards_the_entry() {
    let row = ["", "0.4", "", "0:0 300:0.2 600:0.5 900:0.8 1200:1.2"];
    for (side, adverse, expected) in
        [("", "3.5", "1.09979"), ("-", "3.5", "1.10021"), ("", "3.55", "1.09979"), ("-", "3.55", "1.10021")]
    {
        let family = AnyFamily::Ping(Ping { adverse_max_pips: adverse.parse().unwrap(), ..Ping::default() });
        let ticks = row[3].replace(':', &format!(":{side}")).replace(":-0 ", ":0 ");
        let event = scene(family, &["", row[1], "", &ticks]).ticks(Leg::Entry);
        let Event::EntryProposed(proposed) = event else { panic!("{event:?}") };
        assert_eq!(proposed.intent.loss_exit.unwrap().to_string(), expected, "{side}{adverse}");
    }
}
