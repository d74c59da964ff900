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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(step: &str, min: &str, max: &str) -> Sizes {
        Sizes { step: step.parse().unwrap(), min: min.parse().unwrap(), max: max.parse().unwrap() }
    }

    #[test]
    fn a_volume_fits_into_what_the_broker_takes() {
        use {AboveMax::*, BelowMin::*};
        let usual = sizes("0.01", "0.01", "50");
        let coarse = sizes("0.1", "0.5", "2");
        let narrow = sizes("1", "2", "3");
        for (asked, sizes, below, above, orders, fit) in [
            ("0.165", usual, Skip, Clamp, "0.16", Fit::Step),
            ("0.0099", usual, Skip, Clamp, "", Fit::TooSmall),
            ("0.0099", usual, Force, Clamp, "0.01", Fit::Forced),
            ("0", usual, Force, Clamp, "0.01", Fit::Forced),
            ("50", usual, Skip, Split, "50", Fit::Step),
            ("50.019", usual, Skip, Split, "50 0.01", Fit::Split),
            ("0.49", coarse, Skip, Clamp, "", Fit::TooSmall),
            ("4.36", coarse, Skip, Clamp, "2", Fit::Clamped),
            ("4.56", coarse, Skip, Split, "2 2 0.5", Fit::Split),
            // The rest of 0.3 is too small, so that the order before it gives 0.2.
            ("4.36", coarse, Skip, Split, "2 1.8 0.5", Fit::Split),
            ("7", narrow, Skip, Split, "3 2 2", Fit::Split),
            ("4", narrow, Skip, Split, "2 2", Fit::Split),
            // Nothing can give: the fourth is not opened.
            ("4", sizes("1", "3", "3"), Skip, Split, "3", Fit::Clamped),
            ("41", sizes("1", "1", "2"), Skip, Split, &["2"; 20].join(" "), Fit::SplitCapped),
            ("40", sizes("1", "1", "2"), Skip, Split, &["2"; 20].join(" "), Fit::Split),
        ] {
            let fitted = super::fit(asked.parse().unwrap(), sizes, below, above).unwrap();
            let told: Vec<String> = fitted.orders.iter().map(Lots::to_string).collect();
            assert_eq!((told.join(" ").as_str(), fitted.fit), (orders, fit), "{asked}");
        }
    }

    proptest! {
        #[test]
        fn a_split_loses_nothing(asked in 1i64..2_000, step in 1i64..4, min in 1i64..10, max in 1i64..200) {
            let (step, min, max) = (Decimal::from(step), Decimal::from(min * step), Decimal::from(max * step));
            prop_assume!(min <= max);
            let asked = Lots::new(Decimal::from(asked)).unwrap();
            let fitted = fit(asked, Sizes { step, min, max }, BelowMin::Skip, AboveMax::Split).unwrap();
            let sum: Decimal = fitted.orders.iter().map(|lots| lots.get()).sum();
            for lots in &fitted.orders {
                prop_assert!(min <= lots.get() && lots.get() <= max && (lots.get() % step).is_zero());
            }
            let whole = floor_to(asked.get(), step).unwrap();
            match fitted.fit {
                Fit::Step | Fit::Split => prop_assert_eq!(sum, whole),
                Fit::Clamped | Fit::SplitCapped => prop_assert!(sum < whole),
                Fit::TooSmall => prop_assert!(whole < min && sum.is_zero()),
                Fit::Forced => prop_assert!(false, "nobody asked for that"),
            }
        }
    }
}
