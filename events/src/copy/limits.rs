//! May the slave hold this much, and may it open anything now?

use super::ask::{Block, SlaveFacts};
use super::exact;
use super::rule::Rule;
use super::settings::Effective;
use super::step::Step;
use crate::money::Lots;
use crate::trade::{Holding, Symbol};
use rust_decimal::Decimal;

/// Lots, positions, positions of the symbol, and what forbids all entries, in this order; only limits that are set leave a step.
pub fn pass(
    orders: &[Lots],
    symbol: &Symbol,
    settings: &Effective<'_>,
    slave: &SlaveFacts<'_>,
    steps: &mut Vec<Step>,
) -> Result<(), Rule> {
    lots_total(orders, settings, slave, steps)?;
    positions(orders, symbol, settings, slave, steps)?;
    let Some(block) = slave.block else { return Ok(()) };
    steps.push(Step::Barred(block.clone()));
    Err(match block {
        Block::Stop(_) => Rule::Stopped,
        Block::Protection { .. } => Rule::Protected,
    })
}

fn lots_total(
    orders: &[Lots],
    settings: &Effective<'_>,
    slave: &SlaveFacts<'_>,
    steps: &mut Vec<Step>,
) -> Result<(), Rule> {
    let (held, max) = (slave.exposure.lots, settings.lots_total_max);
    if max.get() == Lots::ZERO {
        return Ok(());
    }
    let adding = total(orders)?;
    steps.push(Step::LotsTotal { held, adding, max: max.get(), from: max.from });
    within(held.get() + adding.get() <= max.get().get(), Rule::LotsTotalMax)
}

fn positions(
    orders: &[Lots],
    symbol: &Symbol,
    settings: &Effective<'_>,
    slave: &SlaveFacts<'_>,
    steps: &mut Vec<Step>,
) -> Result<(), Rule> {
    let here = slave.exposure.symbols.get(symbol).copied().unwrap_or_default();
    let adding = match slave.holding {
        Holding::Hedging => u32::try_from(orders.len()).unwrap_or(u32::MAX),
        Holding::Netting => u32::from(here.positions == 0),
    };
    let (held, max) = (slave.exposure.positions, settings.positions_max);
    if max.get() > 0 {
        steps.push(Step::Positions { held, adding, max: max.get(), from: max.from });
        within(held.saturating_add(adding) <= max.get(), Rule::PositionsMax)?;
    }
    let (held, max) = (here.positions, settings.positions_per_symbol_max);
    if max.get() > 0 {
        steps.push(Step::PositionsPerSymbol { held, adding, max: max.get(), from: max.from });
        within(held.saturating_add(adding) <= max.get(), Rule::PositionsPerSymbolMax)?;
    }
    Ok(())
}

fn within(holds: bool, rule: Rule) -> Result<(), Rule> {
    if holds { Ok(()) } else { Err(rule) }
}

/// All the orders together.
pub fn total(orders: &[Lots]) -> Result<Lots, Rule> {
    let sum = orders.iter().fold(Decimal::ZERO, |sum, lots| sum + lots.get());
    exact::lots(sum).ok_or(Rule::NumberOverflow)
}
