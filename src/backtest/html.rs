//! The report as one page that needs nothing else: no script, no font, no picture from anywhere.

use super::Report;
use super::sheet::market;
use std::fmt::{Display, Write};
use tidehelm_actors::paper::ledger::{Markout, Point};
use tidehelm_events::market::{Bps, Cash};
use tidehelm_events::time::{Span, Timestamp};

/// Fills that the page lists: the worst, by the last horizon that is known.
const WORST: usize = 5;
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 220.0;
/// Room for the labels, left of the line.
const GUTTER: f64 = 80.0;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b2430;--soft:#5b6675;--line:#d6dce4;--back:#fff;--one:#0b6bcb;--two:#b4540a}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa5b4;--line:#313a46;--back:#12171d;--one:#5ab0ff;--two:#f0a35e}}\
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:1000px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{color:var(--soft);margin:.2rem 0}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left}\
th{font-weight:600;color:var(--soft)}code{font-size:.85em;word-break:break-all}svg{width:100%;height:auto}\
.axis{stroke:var(--line)}.label{fill:var(--soft);font-size:12px}.one{stroke:var(--one)}.two{stroke:var(--two)}\
.curve{fill:none;stroke-width:1.5}.bar{fill:var(--one)}.wide{overflow-x:auto}";

pub fn page(report: &Report) -> String {
    let mut page = String::new();
    let name = escaped(&report.asked.name);
    page += "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">";
    page += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">";
    put(&mut page, format_args!("<title>{name} – backtest</title><style>{STYLE}</style></head><body>"));
    put(&mut page, format_args!("<h1>{name}</h1>"));
    period(&mut page, report);
    results(&mut page, report);
    let curve = &report.outcome.curve;
    chart(&mut page, "Worth", curve, "one", |point| Some(point.worth.float()));
    chart(&mut page, "Held in the first market", curve, "two", |point| Some(point.held.float()));
    chart(&mut page, "Middle of the first market", curve, "one", |point| point.mid.map(|mid| mid.float()));
    markouts(&mut page, &report.outcome.markouts);
    states(&mut page, report);
    worst(&mut page, report);
    identity(&mut page, report);
    page += "</body></html>\n";
    page
}

fn period(page: &mut String, report: &Report) {
    let at = |at: Option<Timestamp>| at.map_or("–".into(), |at| at.to_string());
    let (outcome, markets) = (&report.outcome, &report.asked.markets);
    let names: Vec<String> = markets.iter().map(|listed| escaped(&listed.market.to_string())).collect();
    put(page, format_args!("<p>{} · {} to {}</p>", names.join(", "), at(outcome.began_at), at(outcome.ended_at)));
}

fn results(page: &mut String, report: &Report) {
    let outcome = &report.outcome;
    let counts = &outcome.counts;
    *page += "<h2>Result</h2><table>";
    let mut line =
        |what: &str, value: &dyn Display| put(page, format_args!("<tr><td>{what}</td><td>{value}</td></tr>"));
    line("Net profit", &money(outcome.profit));
    line("&nbsp;of it spread", &money(outcome.spread));
    line("&nbsp;of it adverse selection in 10 s", &money(outcome.adverse));
    line("&nbsp;of it inventory", &money(outcome.inventory));
    line("&nbsp;of it fees", &money(-outcome.fees));
    line("&nbsp;of it funding", &money(-outcome.funding));
    line("Largest drawdown", &money(outcome.drawdown));
    line("Turnover", &money(outcome.turnover));
    line("Market events", &outcome.rows);
    line("Orders sent, accepted, rejected", &format!("{}, {}, {}", counts.submitted, counts.accepted, counts.rejected));
    line("Cancelled, timed out", &format!("{}, {}", counts.cancelled, counts.timed_out));
    let rate = report.fill_permille().map_or("–".into(), |permille| format!("{}.{} %", permille / 10, permille % 10));
    line("Fills; orders filled to the end", &format!("{}; {rate}", counts.fills));
    *page += "</table>";
}

fn markouts(page: &mut String, markouts: &[Markout]) {
    *page += "<h2>After a fill</h2><p>What fills were good for some time later, in basis points; above zero is good for us.</p>";
    *page += "<table><tr><th>After</th><th>Fills</th><th>Average</th><th>P10</th><th>P50</th><th>P90</th></tr>";
    for markout in markouts {
        let cells = [markout.average, markout.p10, markout.p50, markout.p90].map(bps);
        put(page, format_args!("<tr><td>{}</td><td>{}</td>", span(markout.after), markout.known));
        for cell in cells {
            put(page, format_args!("<td>{cell}</td>"));
        }
        *page += "</tr>";
    }
    *page += "</table>";
}

fn states(page: &mut String, report: &Report) {
    let states = &report.outcome.states;
    let all: i64 = states.values().map(|span| span.0).sum();
    *page += "<h2>Time in each state</h2><table><tr><th>State</th><th>Time</th><th>Share</th></tr>";
    for (state, time) in states {
        let share = time.0.saturating_mul(1000).checked_div(all).unwrap_or(0);
        let (name, time) = (escaped(state), span(*time));
        put(page, format_args!("<tr><td>{name}</td><td>{time}</td><td>{}.{} %</td></tr>", share / 10, share % 10));
    }
    put(page, format_args!("</table><p>Changes of state: {}</p>", report.outcome.changes.len()));
}

fn worst(page: &mut String, report: &Report) {
    let last = report.outcome.markouts.len().saturating_sub(1);
    let known = |horizon| move |fill: &&_| tidehelm_actors::paper::ledger::Filled::markout(fill, horizon).is_some();
    let horizon = (0..=last).rev().find(|horizon| report.outcome.fills.iter().any(|fill| known(*horizon)(&fill)));
    let Some(horizon) = horizon else { return };
    let mut fills: Vec<_> = report.outcome.fills.iter().filter(known(horizon)).collect();
    fills.sort_by_key(|fill| (fill.markout(horizon), fill.number));
    let after = span(report.outcome.markouts[horizon].after);
    put(page, format_args!("<h2>Worst fills after {after}</h2><div class=\"wide\"><table>"));
    *page += "<tr><th>At</th><th>Market</th><th>Side</th><th>Price</th><th>Size</th><th>Markout, bps</th></tr>";
    for fill in fills.into_iter().take(WORST) {
        put(page, format_args!("<tr><td>{}</td><td>{}</td>", fill.at, escaped(&market(report, fill.market))));
        put(page, format_args!("<td>{}</td><td>{}</td><td>{}</td>", fill.side.as_str(), fill.price, fill.size));
        put(page, format_args!("<td>{}</td></tr>", bps(fill.markout(horizon))));
    }
    *page += "</table></div>";
}

fn identity(page: &mut String, report: &Report) {
    let identity = &report.identity;
    *page += "<h2>What was run</h2><p>The same tape, config, versions and seed give the same state.</p><table>";
    let mut line = |what: &str, value: &dyn Display| {
        put(page, format_args!("<tr><td>{what}</td><td><code>{value}</code></td></tr>"));
    };
    line("Tape", &identity.tape);
    line("Config", &identity.config);
    line("Engine", &escaped(&identity.engine));
    line("Fill model's version", &identity.model_version);
    line("Seed", &identity.seed);
    line("State", &identity.state);
    line("Venue", &escaped(&serde_json::to_string(&report.asked.venue).unwrap_or_default()));
    line("Trader", &escaped(&report.asked.trader.to_string()));
    *page += "</table>";
}

/// A line over time. Where a value is missing the line has a gap.
fn chart(page: &mut String, title: &str, points: &[Point], class: &str, value: impl Fn(&Point) -> Option<f64>) {
    let values: Vec<(i64, Option<f64>)> = points.iter().map(|point| (point.at.0, value(point))).collect();
    let known = || values.iter().filter_map(|(_, value)| *value);
    let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let (Some(first), Some(last), true) = (values.first(), values.last(), low <= high) else { return };
    let across = ((last.0 - first.0) as f64).max(1.0);
    let up = if high > low { high - low } else { 1.0 };
    let x = |at: i64| GUTTER + (at - first.0) as f64 / across * (WIDTH - GUTTER);
    let y = |value: f64| HEIGHT - (value - low) / up * (HEIGHT - 20.0) - 10.0;
    let mut path = String::new();
    let mut pen = 'M';
    for (at, value) in &values {
        match value {
            Some(value) => {
                put(&mut path, format_args!("{pen}{:.1} {:.1}", x(*at), y(*value)));
                pen = 'L';
            }
            None => pen = 'M',
        }
    }
    put(
        page,
        format_args!("<h2>{title}</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"),
    );
    if low < 0.0 && high > 0.0 {
        put(
            page,
            format_args!("<line class=\"axis\" x1=\"{GUTTER}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>", y(0.0)),
        );
    }
    put(page, format_args!("<path class=\"curve {class}\" d=\"{path}\"/>"));
    put(page, format_args!("<text class=\"label\" x=\"0\" y=\"14\">{high:.2}</text>"));
    put(page, format_args!("<text class=\"label\" x=\"0\" y=\"{}\">{low:.2}</text></svg>", HEIGHT - 6.0));
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = page.write_fmt(text);
}

/// To the cent, towards zero; the JSON has all digits.
fn money(cash: Cash) -> String {
    let cents = cash.0 / 10_i128.pow(16);
    let sign = if cents < 0 { "−" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

/// Two places, towards zero.
fn bps(bps: Option<Bps>) -> String {
    let Some(bps) = bps else { return "–".into() };
    let hundredths = bps.0 / 10_000_000;
    let sign = if hundredths < 0 { "−" } else { "" };
    format!("{sign}{}.{:02}", hundredths.abs() / 100, hundredths.abs() % 100)
}

fn span(span: Span) -> String {
    let seconds = span.0 / 1_000_000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            other => out.push(other),
        }
    }
    out
}
