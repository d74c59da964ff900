//! Does this trade of the master concern the link?

use super::rule::Rule;
use super::settings::{Effective, Sides};
use super::step::Step;
use crate::trade::{Side, Symbol, Trade};

/// Looks at side, symbol, magic number and comment, in this order; only filters that are set leave a step.
pub fn pass(trade: &Trade, plain: &Symbol, settings: &Effective<'_>, steps: &mut Vec<Step>) -> Result<(), Rule> {
    let before = steps.len();
    sides(trade, settings, steps)?;
    symbols(trade, plain, settings, steps)?;
    magics(trade, settings, steps)?;
    comment(trade, settings, steps)?;
    if steps.len() == before {
        steps.push(Step::Unfiltered);
    }
    Ok(())
}

fn sides(trade: &Trade, settings: &Effective<'_>, steps: &mut Vec<Step>) -> Result<(), Rule> {
    let pass = match settings.sides.get() {
        Sides::Both => return Ok(()),
        Sides::Buy => trade.side == Side::Buy,
        Sides::Sell => trade.side == Side::Sell,
    };
    steps.push(Step::Sides { side: trade.side, sides: settings.sides.get(), from: settings.sides.from });
    verdict(pass, Rule::SideFiltered)
}

fn symbols(trade: &Trade, plain: &Symbol, settings: &Effective<'_>, steps: &mut Vec<Step>) -> Result<(), Rule> {
    let (allow, deny) = (settings.symbols_allow, settings.symbols_deny);
    let on = |list: &std::collections::BTreeSet<Symbol>| list.contains(&trade.symbol) || list.contains(plain);
    if !allow.value.is_empty() {
        let (found, count) = (on(allow.value), size(allow.value.len()));
        steps.push(Step::SymbolsAllow { symbol: trade.symbol.clone(), found, count, from: allow.from });
        verdict(found, Rule::SymbolFiltered)?;
    }
    if !deny.value.is_empty() {
        let (found, count) = (on(deny.value), size(deny.value.len()));
        steps.push(Step::SymbolsDeny { symbol: trade.symbol.clone(), found, count, from: deny.from });
        verdict(!found, Rule::SymbolFiltered)?;
    }
    Ok(())
}

fn magics(trade: &Trade, settings: &Effective<'_>, steps: &mut Vec<Step>) -> Result<(), Rule> {
    let (allow, deny) = (settings.magics_allow, settings.magics_deny);
    if !allow.value.is_empty() {
        let (found, count) = (allow.value.contains(&trade.magic), size(allow.value.len()));
        steps.push(Step::MagicsAllow { magic: trade.magic, found, count, from: allow.from });
        verdict(found, Rule::MagicFiltered)?;
    }
    if !deny.value.is_empty() {
        let (found, count) = (deny.value.contains(&trade.magic), size(deny.value.len()));
        steps.push(Step::MagicsDeny { magic: trade.magic, found, count, from: deny.from });
        verdict(!found, Rule::MagicFiltered)?;
    }
    Ok(())
}

fn comment(trade: &Trade, settings: &Effective<'_>, steps: &mut Vec<Step>) -> Result<(), Rule> {
    let (contains, excludes) = (settings.comment_contains, settings.comment_excludes);
    if contains.value.is_empty() && excludes.value.is_empty() {
        return Ok(());
    }
    let comment = trade.comment.to_lowercase();
    let on = |list: &[String]| list.iter().find(|text| comment.contains(&text.to_lowercase())).cloned();
    if !contains.value.is_empty() {
        let (found, count) = (on(contains.value), size(contains.value.len()));
        let pass = found.is_some();
        steps.push(Step::CommentContains { found, count, from: contains.from });
        verdict(pass, Rule::CommentFiltered)?;
    }
    if !excludes.value.is_empty() {
        let (found, count) = (on(excludes.value), size(excludes.value.len()));
        let pass = found.is_none();
        steps.push(Step::CommentExcludes { found, count, from: excludes.from });
        verdict(pass, Rule::CommentFiltered)?;
    }
    Ok(())
}

fn verdict(pass: bool, rule: Rule) -> Result<(), Rule> {
    if pass { Ok(()) } else { Err(rule) }
}

fn size(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
