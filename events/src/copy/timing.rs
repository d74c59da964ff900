//! Does it go at once, does it wait, or is it too late?

use super::ask::{Ask, Origin};
use super::reverse::Shape;
use super::rule::Rule;
use super::settings::{LateOpens, SyncMode};
use super::step::Step;
use crate::money::Price;
use crate::time::{Span, Timestamp};
use crate::trade::{Entry, Side};

/// How something goes that is not copied the moment it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    AtOnce,
    /// A limit order waits at the master's price for so long; zero: for ever.
    Wait {
        expires_ms: u32,
    },
    /// At once, if the price is no farther than this from the master's; zero: however far.
    Near {
        distance_max: Price,
    },
}

/// How an order comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub entry: Entry,
    pub expires_at: Option<Timestamp>,
    pub slippage_max: Option<Price>,
}

/// What age allows. What was open before, or was missed, has no age: `sync_mode` says what becomes of it.
pub fn way(ask: &Ask<'_>, steps: &mut Vec<Step>) -> Result<Way, Rule> {
    match ask.origin {
        Origin::Signal => aged(ask, steps),
        Origin::Sync | Origin::Snapshot => synced(ask, steps),
    }
}

fn aged(ask: &Ask<'_>, steps: &mut Vec<Step>) -> Result<Way, Rule> {
    let (max, late) = (ask.settings.signal_age_max_ms, ask.settings.late_opens);
    let age_ms = ask.now.since(ask.signal_at).0.max(0) / 1000;
    steps.push(Step::Age { age_ms, max_ms: max.get(), from: max.from });
    if max.get() == 0 || age_ms <= i64::from(max.get()) {
        return Ok(Way::AtOnce);
    }
    match late.get() {
        LateOpens::Skip => Err(Rule::SignalLate),
        LateOpens::Pending { expires_ms } => {
            steps.push(Step::Late { expires_ms, from: late.from });
            Ok(Way::Wait { expires_ms })
        }
    }
}

fn synced(ask: &Ask<'_>, steps: &mut Vec<Step>) -> Result<Way, Rule> {
    let mode = ask.settings.sync_mode;
    steps.push(Step::Sync { origin: ask.origin, mode: mode.get(), from: mode.from });
    match mode.get() {
        SyncMode::Skip => Err(Rule::SyncOff),
        SyncMode::LimitOrder { expires_ms } => Ok(Way::Wait { expires_ms }),
        SyncMode::MarketOrder { distance_max } => Ok(Way::Near { distance_max }),
    }
}

/// The order for a trade that the master made at `price`, where the slave would now get the price `seen`. A pending order waits
/// anyway, however late it is.
pub fn timing(
    ask: &Ask<'_>,
    way: Way,
    shape: Shape,
    price: Price,
    seen: Option<Price>,
    steps: &mut Vec<Step>,
) -> Result<Timing, Rule> {
    if shape.entry.is_pending() {
        return Ok(Timing { entry: shape.entry, expires_at: None, slippage_max: None });
    }
    let at_once =
        Timing { entry: Entry::Market, expires_at: None, slippage_max: limit(ask.settings.slippage_max.get()) };
    match way {
        Way::AtOnce => Ok(at_once),
        Way::Near { distance_max } => near(at_once, price, seen, distance_max, steps),
        Way::Wait { expires_ms } => {
            let good = seen.is_some_and(|seen| is_good(shape.side, seen, price));
            steps.push(Step::Wait { price, seen, at_once: good });
            let expires_at = (expires_ms > 0).then(|| ask.now + Span::millis(i64::from(expires_ms)));
            let waiting = Timing { entry: Entry::Limit, expires_at, slippage_max: None };
            Ok(if good { at_once } else { waiting })
        }
    }
}

/// As good as the master's price, or better: a limit order there would be refused, or filled at once.
fn is_good(side: Side, seen: Price, price: Price) -> bool {
    match side {
        Side::Buy => seen <= price,
        Side::Sell => seen >= price,
    }
}

/// The terminal looks at the distance again, since it knows the price better.
fn near(
    at_once: Timing,
    price: Price,
    seen: Option<Price>,
    distance_max: Price,
    steps: &mut Vec<Step>,
) -> Result<Timing, Rule> {
    let Some(distance_max) = limit(distance_max) else { return Ok(at_once) };
    steps.push(Step::Near { price, seen, distance_max });
    let far = seen.is_some_and(|seen| (seen.get() - price.get()).abs() > distance_max.get());
    if far { Err(Rule::SyncTooFar) } else { Ok(Timing { slippage_max: Some(distance_max), ..at_once }) }
}

/// Zero means no limit.
fn limit(distance: Price) -> Option<Price> {
    (distance > Price::ZERO).then_some(distance)
}
