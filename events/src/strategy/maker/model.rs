//! Models: how far from the middle to quote, and by how much to one side. Prices, ticks and limits are not theirs: `quote` holds
//! them for all models alike.

use super::command::Refusal;
use super::parameter::Parameters;
use crate::market::{Bps, Features, Ratio, Size};
use serde::{Deserialize, Serialize};

pub(super) const ONE: i128 = 1_000_000_000;

/// What a model sees.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub parameters: &'a Parameters,
    pub features: &'a Features,
    pub inventory: Size,
}

/// Where the level next to the middle is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// From the middle to either price.
    pub half: Bps,
    /// By how much both prices are lower; below zero, higher.
    pub skew: Bps,
}

/// One interface of all models.
trait Quoter {
    /// None where it cannot be worked out.
    fn spread(&self, scene: &Scene<'_>) -> Option<Spread>;

    /// Half spread and size of a level, the latter as a share of that of level 0.
    fn level(&self, level: u8, half: Bps, parameters: &Parameters) -> (Bps, Ratio) {
        let further = i64::from(level).saturating_mul(parameters.level_step_bps.0);
        (half + Bps(further), Ratio::ONE)
    }
    fn checked(&self) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Which model, with the numbers that only it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Half spread = base + gain × volatility + gain × |imbalance|; skew = gain × inventory / most.
    #[default]
    Linear,
    /// The same next to the middle; each further level is so many times as far away and so many times as large.
    Ladder(Ladder),
    AvellanedaStoikov(AvellanedaStoikov),
    Glft(Glft),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    pub widening: Ratio,
    pub growth: Ratio,
}

/// Avellaneda and Stoikov's quotes with a horizon that is always as far away. Inventory counts as a share of `max_inventory`.
/// `base_half_spread_bps` is the least half spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvellanedaStoikov {
    /// γ, for each basis point.
    pub risk_aversion: Ratio,
    /// κ: how quickly fills become rare with the distance, for each basis point.
    pub decay: Ratio,
    pub horizon_s: u32,
}

/// Guéant, Lehalle and Fernandez-Tapia's quotes far from the end, in closed form. `base_half_spread_bps` is the least half spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Glft {
    /// γ, for each basis point and unit of inventory.
    pub risk_aversion: Ratio,
    /// κ, for each basis point.
    pub decay: Ratio,
    /// A: fills a second next to the middle.
    pub arrival: Ratio,
    /// How many units `max_inventory` is.
    pub units: u32,
}

impl Model {
    fn quoter(&self) -> &dyn Quoter {
        match self {
            Model::Linear => &Linear,
            Model::Ladder(ladder) => ladder,
            Model::AvellanedaStoikov(stoikov) => stoikov,
            Model::Glft(glft) => glft,
        }
    }
    pub fn spread(&self, scene: &Scene<'_>) -> Option<Spread> {
        self.quoter().spread(scene)
    }
    pub fn level(&self, level: u8, half: Bps, parameters: &Parameters) -> (Bps, Ratio) {
        self.quoter().level(level, half, parameters)
    }
    pub(super) fn checked(&self) -> Result<(), Refusal> {
        self.quoter().checked()
    }
}

struct Linear;

impl Quoter for Linear {
    /// The half spread is rounded up, the skew towards zero.
    fn spread(&self, scene: &Scene<'_>) -> Option<Spread> {
        let (parameters, features) = (scene.parameters, scene.features);
        let vol = i128::from(parameters.vol_spread_gain.0) * i128::from(features.vol_10s?.0);
        let tox = i128::from(parameters.tox_spread_gain.0) * i128::from(features.imbalance_1s?.abs().0);
        let half = i128::from(parameters.base_half_spread_bps.0) + (vol + tox + ONE - 1).div_euclid(ONE);
        let gain = i128::from(parameters.inventory_skew_gain.0) * i128::from(scene.inventory.0);
        let skew = gain / i128::from(parameters.max_inventory.0.max(1));
        Some(Spread { half: Bps(i64::try_from(half).ok()?), skew: Bps(i64::try_from(skew).ok()?) })
    }
}

impl Quoter for Ladder {
    fn spread(&self, scene: &Scene<'_>) -> Option<Spread> {
        Linear.spread(scene)
    }
    fn level(&self, level: u8, half: Bps, _: &Parameters) -> (Bps, Ratio) {
        let (mut half, mut size) = (half, Ratio::ONE);
        for _ in 0..level {
            half = Bps(times(half.0, self.widening));
            size = Ratio(times(size.0, self.growth));
        }
        (half, size)
    }
    fn checked(&self) -> Result<(), Refusal> {
        within("model.ladder.widening", self.widening, (1_001, 10_000))?;
        within("model.ladder.growth", self.growth, (100, 10_000))
    }
}

impl Quoter for AvellanedaStoikov {
    /// r = mid - q·γ·σ²·T; half = γ·σ²·T/2 + ln(1 + γ/κ)/γ
    fn spread(&self, scene: &Scene<'_>) -> Option<Spread> {
        let (risk, decay, sigma) = (self.risk_aversion.float(), self.decay.float(), sigma(scene)?);
        let variance = sigma * sigma * f64::from(self.horizon_s);
        let half = risk * variance / 2.0 + libm::log(1.0 + risk / decay) / risk;
        spread(half, share(scene) * risk * variance, scene)
    }
    fn checked(&self) -> Result<(), Refusal> {
        within("model.avellaneda_stoikov.risk_aversion", self.risk_aversion, (1, 1_000_000))?;
        within("model.avellaneda_stoikov.decay", self.decay, (1, 1_000_000))?;
        within("model.avellaneda_stoikov.horizon_s", Ratio::whole(self.horizon_s.into()), (1_000, 86_400_000))
    }
}

impl Quoter for Glft {
    /// half = ln(1 + γ/κ)/γ + σ·c/2; skew = σ·c·q with c = √(γ/(2·A·κ) · (1 + γ/κ)^(1 + κ/γ))
    fn spread(&self, scene: &Scene<'_>) -> Option<Spread> {
        let (risk, decay, arrival) = (self.risk_aversion.float(), self.decay.float(), self.arrival.float());
        let power = libm::pow(1.0 + risk / decay, 1.0 + decay / risk);
        let slope = sigma(scene)? * (risk / (2.0 * arrival * decay) * power).sqrt();
        let half = libm::log(1.0 + risk / decay) / risk + slope / 2.0;
        spread(half, share(scene) * f64::from(self.units) * slope, scene)
    }
    fn checked(&self) -> Result<(), Refusal> {
        within("model.glft.risk_aversion", self.risk_aversion, (1, 1_000_000))?;
        within("model.glft.decay", self.decay, (1, 1_000_000))?;
        within("model.glft.arrival", self.arrival, (1, 1_000_000))?;
        within("model.glft.units", Ratio::whole(self.units.into()), (1_000, 1_000_000))
    }
}

/// Volatility in basis points for the root of a second.
fn sigma(scene: &Scene<'_>) -> Option<f64> {
    scene.features.vol_10s.map(|vol| vol.float() / 10f64.sqrt())
}

/// What is held as a share of the most that may be.
fn share(scene: &Scene<'_>) -> f64 {
    scene.inventory.float() / scene.parameters.max_inventory.float()
}

/// Back among whole numbers: the half spread is rounded up, the skew towards zero.
fn spread(half: f64, skew: f64, scene: &Scene<'_>) -> Option<Spread> {
    let units = |value: f64| {
        let units = value * ONE as f64;
        (units.is_finite() && units.abs() < 9e18).then_some(units)
    };
    let half = Bps(units(half)?.ceil() as i64).max(scene.parameters.base_half_spread_bps);
    Some(Spread { half, skew: Bps(units(skew)? as i64) })
}

pub(super) fn times(value: i64, ratio: Ratio) -> i64 {
    let product = i128::from(value) * i128::from(ratio.0) / ONE;
    i64::try_from(product).unwrap_or(if product < 0 { i64::MIN } else { i64::MAX })
}

/// The range is in thousandths.
fn within(field: &'static str, value: Ratio, (least, most): (i64, i64)) -> Result<(), Refusal> {
    let (least, most) = (Ratio(least * 1_000_000), Ratio(most * 1_000_000));
    if value < least || value > most {
        return Err(Refusal::ParameterInvalid { field, why: format!("{least} to {most}, got {value}") });
    }
    Ok(())
}
