//! The report as sheets: a line for each fill, and one for each point of the curve.

use super::{BacktestError, Report};
use std::io::Write;
use tidehelm_actors::paper::MarketNo;
use tidehelm_actors::paper::ledger::HORIZONS;
use tidehelm_events::market::Price;
use tidehelm_events::order::Liquidity;

pub fn fills<W: Write>(report: &Report, out: W) -> Result<(), BacktestError> {
    let mut sheet = csv::Writer::from_writer(out);
    let columns = ["number", "order", "market", "at", "side", "price", "size", "fee", "liquidity", "mid"];
    let markouts = HORIZONS.iter().map(|(after, _)| format!("markout_bps_{}s", after.0 / 1_000_000));
    sheet.write_record(columns.into_iter().map(String::from).chain(markouts))?;
    for fill in &report.outcome.fills {
        let liquidity = match fill.liquidity {
            Liquidity::Maker => "maker",
            Liquidity::Taker => "taker",
        };
        let cells = [
            fill.number.to_string(),
            fill.order.to_string(),
            market(report, fill.market),
            fill.at.to_string(),
            fill.side.as_str().to_owned(),
            fill.price.to_string(),
            fill.size.to_string(),
            fill.fee.to_string(),
            liquidity.to_owned(),
            shown(fill.mids[0]),
        ];
        let markouts =
            (0..HORIZONS.len()).map(|horizon| fill.markout(horizon).map_or(String::new(), |bps| bps.to_string()));
        sheet.write_record(cells.into_iter().chain(markouts))?;
    }
    Ok(sheet.flush()?)
}

pub fn curve<W: Write>(report: &Report, out: W) -> Result<(), BacktestError> {
    let mut sheet = csv::Writer::from_writer(out);
    sheet.write_record(["at", "worth", "held", "mid"])?;
    for point in &report.outcome.curve {
        sheet.write_record([
            point.at.to_string(),
            point.worth.to_string(),
            point.held.to_string(),
            shown(point.mid),
        ])?;
    }
    Ok(sheet.flush()?)
}

pub(super) fn market(report: &Report, no: MarketNo) -> String {
    report.asked.markets.get(no.index()).map_or_else(|| no.0.to_string(), |listed| listed.market.to_string())
}

/// What is not known has no digits.
fn shown(price: Option<Price>) -> String {
    price.map_or(String::new(), |price| price.to_string())
}
