//! How careful a maker is: hard PAUSE before DEFENSIVE before NORMAL, worked out anew on each tick.

use super::look::Look;
use super::model::{ONE, times};
use super::parameter::{Parameters, Response};
use super::reason::{Reason, Reasons, Why};
use super::state::Maker;
use crate::market::{Bps, Features, Ratio};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The order is that of care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    Normal,
    /// Wider and smaller.
    Defensive,
    /// Nothing is quoted, what stood is cancelled, what is held is kept.
    Pause,
}

impl Mode {
    pub const ALL: [Mode; 3] = [Mode::Normal, Mode::Defensive, Mode::Pause];

    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Normal => "NORMAL",
            Mode::Defensive => "DEFENSIVE",
            Mode::Pause => "PAUSE",
        }
    }
}

/// What leads to PAUSE whatever is set.
const PAUSING: Reasons = Reasons::NONE
    .with(Reason::DataStale)
    .with(Reason::MarkIndexDiverged)
    .with(Reason::LiquidationSpike)
    .with(Reason::InventoryExceeded)
    .with(Reason::PositionUnknown)
    .with(Reason::NoParameters)
    .with(Reason::MarketCold)
    .with(Reason::LogFailed)
    .with(Reason::Guard)
    .with(Reason::RiskHalt)
    .with(Reason::ControlStale)
    .with(Reason::DeadManUnarmed)
    .with(Reason::Closed);

impl Maker {
    /// All that holds now, and what it leads to. `computable` says whether the model made something of the features.
    pub(super) fn weigh(&self, look: &Look<'_>, computable: bool, now: Timestamp) -> Why {
        let told = look.outside.and(Reasons::OUTSIDE).with_if(self.closed_at.is_some(), Reason::Closed);
        let Some(parameters) = self.parameters() else {
            let all = told.with(Reason::NoParameters);
            return Why { all, pausing: all, defensive: Reasons::NONE };
        };
        let all = told
            .union(self.of_the_market(parameters, look.features))
            .union(of_the_inventory(parameters, look))
            .with_if(!look.warm, Reason::MarketCold)
            .with_if(!computable || misses(parameters, look.features), Reason::FeatureMissing)
            .with_if(self.drains_too_long(parameters, now), Reason::NotDrained);
        let missing_since = self.missing_since.unwrap_or(now);
        let missing_long = now.since(missing_since) > parameters.stale_cancel();
        let by_setting =
            |reason, response| if response == Response::Pause { Reasons::of(reason) } else { Reasons::NONE };
        let set = by_setting(Reason::VenueErrors, parameters.on_venue_errors)
            .union(by_setting(Reason::EndpointDown, parameters.on_endpoint_down));
        let outside = Reasons::of(Reason::VenueErrors).with(Reason::EndpointDown);
        let pausing = all.and(PAUSING.union(set).with_if(missing_long, Reason::FeatureMissing));
        let defensive = all.and(outside.with(Reason::DefensiveVol).with(Reason::DefensiveTox)).without(pausing);
        Why { all, pausing, defensive }
    }

    /// A mode gets more careful at once, and less careful one step at a time, after its time.
    pub(super) fn next_mode(&self, why: &Why, now: Timestamp) -> Mode {
        if !why.pausing.is_empty() {
            return Mode::Pause;
        }
        let Some(parameters) = self.parameters() else { return Mode::Pause };
        match self.mode {
            Mode::Pause => {
                let clear_at = if self.why.pausing.is_empty() { self.pause_clear_at } else { now };
                let rested = now.since(clear_at) >= parameters.pause_min_duration();
                if rested && self.drained { Mode::Defensive } else { Mode::Pause }
            }
            Mode::Defensive if !why.defensive.is_empty() => Mode::Defensive,
            Mode::Defensive => {
                let clear_at = if self.why.defensive.is_empty() { self.defensive_clear_at } else { now };
                let rested = now.since(clear_at.max(self.mode_since)) >= parameters.defensive_clear();
                if rested { Mode::Normal } else { Mode::Defensive }
            }
            Mode::Normal if !why.defensive.is_empty() => Mode::Defensive,
            Mode::Normal => Mode::Normal,
        }
    }

    fn of_the_market(&self, parameters: &Parameters, features: &Features) -> Reasons {
        let stale = features.quote_age.is_some_and(|age| age > parameters.stale_cancel());
        let diverged = features.mark_index_div_bps.is_some_and(|div| div >= parameters.pause_mark_index_bps);
        let spike = features.liq_count_10s.is_some_and(|count| count >= parameters.pause_liq_count_10s);
        let vol = features.vol_10s.map(|vol| vol.0);
        let tox = features.imbalance_1s.map(|imbalance| imbalance.abs().0);
        let Parameters { defensive_vol_bps: Bps(vol_most), defensive_imbalance: Ratio(tox_most), .. } = *parameters;
        Reasons::NONE
            .with_if(stale, Reason::DataStale)
            .with_if(parameters.uses_mark_index && diverged, Reason::MarkIndexDiverged)
            .with_if(parameters.uses_liquidations && spike, Reason::LiquidationSpike)
            .with_if(self.is_high(Reason::DefensiveVol, vol, vol_most, parameters), Reason::DefensiveVol)
            .with_if(self.is_high(Reason::DefensiveTox, tox, tox_most, parameters), Reason::DefensiveTox)
    }

    /// At its threshold or above; once it was, until it is below by the hysteresis. What is not known is not over.
    fn is_high(&self, reason: Reason, value: Option<i64>, threshold: i64, parameters: &Parameters) -> bool {
        let held = self.why.all.has(reason);
        let Some(value) = value else { return held };
        let below = times(threshold, parameters.defensive_hysteresis);
        value >= threshold || held && value >= threshold - below
    }

    fn drains_too_long(&self, parameters: &Parameters, now: Timestamp) -> bool {
        self.mode == Mode::Pause && !self.drained && now.since(self.mode_since) > parameters.stale_cancel()
    }
}

fn of_the_inventory(parameters: &Parameters, look: &Look<'_>) -> Reasons {
    let Some(held) = look.inventory else { return Reasons::of(Reason::PositionUnknown) };
    let (held, most) = (i128::from(held.abs().0), i128::from(parameters.max_inventory.0));
    let far = most * i128::from(parameters.pause_inventory_ratio.0);
    Reasons::NONE.with_if(held > most, Reason::InventoryLimit).with_if(held * ONE > far, Reason::InventoryExceeded)
}

/// Something that is looked at is not known.
fn misses(parameters: &Parameters, features: &Features) -> bool {
    features.quote.is_none()
        || features.quote_age.is_none()
        || features.vol_10s.is_none()
        || features.imbalance_1s.is_none()
        || parameters.uses_mark_index && features.mark_index_div_bps.is_none()
        || parameters.uses_liquidations && features.liq_count_10s.is_none()
}
