//! How many lots?

use super::ask::{Funds, MasterFacts, SlaveFacts};
use super::exact::{ceil_to, floor_to, lots, ratio};
use super::rule::Rule;
use super::settings::{AboveMax, BelowMin, Effective, Volume};
use crate::money::{Factor, Lots, Money, Price};
use crate::time::Timestamp;
use crate::trade::Contract;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The most orders that one signal makes.
pub const ORDERS_MAX: usize = 20;
/// Places that a volume is worked out to before it is rounded to the step.
const PLACES: u32 = 8;

/// What the volume was computed from, beside the master's lots and the number of the mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inputs {
    Nothing,
    /// Equity, balance or free margin of both, and what one unit of the master's currency is in the slave's.
    Funds {
        slave: Money,
        master: Money,
        rate: Factor,
    },
    /// Units of the base in a lot at both brokers.
    Sizes {
        slave: Factor,
        master: Factor,
    },
    /// What a lot loses over the distance to the stop-loss.
    Risk {
        equity: Money,
        distance: Price,
        tick_size: Price,
        tick_value: Money,
    },
    /// What a lot is worth at this price.
    Worth {
        equity: Money,
        price: Price,
        tick_size: Price,
        tick_value: Money,
    },
}

/// A volume before it is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub lots: Lots,
    pub inputs: Inputs,
}

/// The trade whose volume is asked for, as the slave would make it.
#[derive(Debug, Clone, Copy)]
pub struct Sizing<'a> {
    pub master_lots: Lots,
    pub price: Price,
    /// From the price to the stop-loss on the losing side.
    pub risk: Option<Price>,
    pub contract: &'a Contract,
    pub now: Timestamp,
}

/// What the settings ask for.
pub fn ask(
    sizing: &Sizing<'_>,
    settings: &Effective<'_>,
    master: &MasterFacts<'_>,
    slave: &SlaveFacts<'_>,
) -> Result<Asked, Rule> {
    let facts = Facts { sizing, settings, master, slave };
    let (inputs, lots) = match settings.volume.get() {
        Volume::Fixed(lots) => (Inputs::Nothing, Some(lots.get())),
        Volume::Multiplier(factor) => (Inputs::Nothing, ratio(&[sizing.master_lots.get(), factor.get()], &[])),
        Volume::RatioEquity(factor) => facts.ratio(factor, |funds| funds.equity)?,
        Volume::RatioBalance(factor) => facts.ratio(factor, |funds| funds.balance)?,
        Volume::RatioFreeMargin(factor) => facts.ratio(factor, |funds| funds.free_margin)?,
        Volume::MultiplierNotional(factor) => facts.notional(factor)?,
        Volume::RiskPercent(percent) => facts.risk(percent)?,
        Volume::Leverage(times) => facts.leverage(times)?,
    };
    let exact = lots.ok_or(Rule::NumberOverflow)?;
    let rounded = exact.trunc_with_scale(PLACES);
    let lots = self::lots(rounded).ok_or(Rule::NumberOverflow)?;
    if lots == Lots::ZERO && exact.is_zero() { Err(Rule::VolumeZero) } else { Ok(Asked { lots, inputs }) }
}

struct Facts<'a> {
    sizing: &'a Sizing<'a>,
    settings: &'a Effective<'a>,
    master: &'a MasterFacts<'a>,
    slave: &'a SlaveFacts<'a>,
}

type Computed = Result<(Inputs, Option<Decimal>), Rule>;

impl Facts<'_> {
    fn ratio(&self, factor: Factor, figure: fn(&Funds) -> Money) -> Computed {
        let slave = self.positive(self.slave.funds.as_ref(), figure)?;
        let master = self.positive(self.master.funds.as_ref(), figure)?;
        let rate = self.rate()?;
        let above = [self.sizing.master_lots.get(), factor.get(), slave.get()];
        Ok((Inputs::Funds { slave, master, rate }, ratio(&above, &[master.get(), rate.get()])))
    }

    fn notional(&self, factor: Factor) -> Computed {
        let master = self.master.contract.ok_or(Rule::MasterContractUnknown)?.size;
        let slave = self.sizing.contract.size;
        if slave == Factor::ZERO || master == Factor::ZERO {
            return Err(Rule::ContractInvalid);
        }
        let above = [self.sizing.master_lots.get(), factor.get(), master.get()];
        Ok((Inputs::Sizes { slave, master }, ratio(&above, &[slave.get()])))
    }

    fn risk(&self, percent: Factor) -> Computed {
        let distance = self.sizing.risk.ok_or(Rule::RiskNeedsSl)?;
        let (equity, tick_size, tick_value) = self.ticks()?;
        let above = [equity.get(), percent.get(), tick_size.get()];
        let below = [Decimal::ONE_HUNDRED, distance.get(), tick_value.get()];
        Ok((Inputs::Risk { equity, distance, tick_size, tick_value }, ratio(&above, &below)))
    }

    fn leverage(&self, times: Factor) -> Computed {
        let (equity, tick_size, tick_value) = self.ticks()?;
        let price = self.sizing.price;
        if price <= Price::ZERO {
            return Err(Rule::FiguresNotPositive);
        }
        let above = [equity.get(), times.get(), tick_size.get()];
        let inputs = Inputs::Worth { equity, price, tick_size, tick_value };
        Ok((inputs, ratio(&above, &[price.get(), tick_value.get()])))
    }

    fn ticks(&self) -> Result<(Money, Price, Money), Rule> {
        let equity = self.positive(self.slave.funds.as_ref(), |funds| funds.equity)?;
        let Contract { tick_size, tick_value, .. } = *self.sizing.contract;
        if tick_size <= Price::ZERO || tick_value <= Money::ZERO {
            return Err(Rule::ContractInvalid);
        }
        Ok((equity, tick_size, tick_value))
    }

    /// A figure that is known, young enough and above zero.
    fn positive(&self, funds: Option<&Funds>, figure: fn(&Funds) -> Money) -> Result<Money, Rule> {
        let funds = funds.ok_or(Rule::FiguresUnknown)?;
        let max = self.settings.figures_age_max_ms.get();
        if max > 0 && self.sizing.now.since(funds.at).0 > i64::from(max) * 1000 {
            return Err(Rule::FiguresOld);
        }
        let figure = figure(funds);
        if figure > Money::ZERO { Ok(figure) } else { Err(Rule::FiguresNotPositive) }
    }

    fn rate(&self) -> Result<Factor, Rule> {
        let rate = self.settings.currency_rate.get();
        if rate > Factor::ZERO {
            return Ok(rate);
        }
        let same = self.master.currency == self.slave.currency;
        if same { Factor::new(Decimal::ONE).map_err(|_| Rule::NumberOverflow) } else { Err(Rule::CurrencyDiffers) }
    }
}

/// What the slave's broker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub step: Decimal,
    /// Both are multiples of the step.
    pub min: Decimal,
    pub max: Decimal,
}

impl Sizes {
    pub fn of(contract: &Contract) -> Result<Sizes, Rule> {
        let sizes = || {
            let step = contract.lots_step.get();
            let min = ceil_to(contract.lots_min.get(), step)?.max(step);
            let max = floor_to(contract.lots_max.get(), step)?;
            lots(min).and(lots(max)).filter(|_| min <= max).map(|_| Sizes { step, min, max })
        };
        sizes().ok_or(Rule::ContractInvalid)
    }
}

/// What became of a volume on its way into the broker's sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Down to the step, if at all.
    Step,
    /// Up to the smallest.
    Forced,
    /// Down to the largest.
    Clamped,
    Split,
    /// Split into as many orders as may be, which was not enough.
    SplitCapped,
    /// Below the smallest.
    TooSmall,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// Each a multiple of the step, between smallest and largest.
    pub orders: Vec<Lots>,
    pub fit: Fit,
}

/// The volume in sizes that the broker takes: down to the step, then smallest and largest.
pub fn fit(asked: Lots, sizes: Sizes, below_min: BelowMin, above_max: AboveMax) -> Result<Fitted, Rule> {
    let Sizes { step, min, max } = sizes;
    let whole = floor_to(asked.get(), step).ok_or(Rule::NumberOverflow)?;
    let (orders, fit) = if whole < min {
        match below_min {
            BelowMin::Skip => (Vec::new(), Fit::TooSmall),
            BelowMin::Force => (vec![min], Fit::Forced),
        }
    } else if whole <= max {
        (vec![whole], Fit::Step)
    } else {
        match above_max {
            AboveMax::Clamp => (vec![max], Fit::Clamped),
            AboveMax::Split => split(whole, sizes),
        }
    };
    let orders = orders.into_iter().map(lots).collect::<Option<Vec<_>>>().ok_or(Rule::NumberOverflow)?;
    Ok(Fitted { orders, fit })
}

/// Full orders and the rest. A rest below the smallest takes what it lacks from the order before it.
fn split(mut rest: Decimal, Sizes { min, max, .. }: Sizes) -> (Vec<Decimal>, Fit) {
    let mut orders = Vec::new();
    while rest > max && orders.len() < ORDERS_MAX {
        orders.push(max);
        rest -= max;
    }
    if orders.len() == ORDERS_MAX {
        return (orders, Fit::SplitCapped);
    }
    if rest >= min {
        orders.push(rest);
    } else if let Some(last) = orders.last_mut().filter(|last| **last + rest - min >= min) {
        *last = *last + rest - min;
        orders.push(min);
    } else {
        return (orders, Fit::Clamped);
    }
    (orders, Fit::Split)
}
