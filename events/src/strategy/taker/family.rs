//! The plug-in: what a family of takers is.

use super::command::Refusal;
use super::plan::Plan;
use super::quiet::Quiet;
use super::trade::Trade;
use super::view::View;
use crate::market::{Price, Ratio, Timeframe};
use crate::money::Factor;
use crate::order::Way;
use crate::time::Span;
use crate::trade::Side;

/// A pure function of what it sees. Its fields are its parameters and nothing else: what it must remember is in the trade.
pub trait Family {
    /// What must be there before it is asked.
    fn needs(&self) -> Needs;

    /// How far from its entry it gives up at the latest. Without one it cannot be registered.
    fn loss_exit(&self) -> Option<LossExit>;

    /// Asked at each tick of the ENTRY leg: what it wants, or the one reason why nothing.
    fn on_tick(&self, _view: &View<'_>) -> Result<EntryProposal, Quiet> {
        Err(Quiet::WaitsForBar)
    }

    /// Asked once for each bar that closed.
    fn on_bar(&self, _view: &View<'_>) -> Result<EntryProposal, Quiet> {
        Err(Quiet::WaitsForBar)
    }

    /// Asked at each tick of the EXIT leg for what is held. The plan of the entry says it, unless a family knows better.
    fn on_position(&self, view: &View<'_>, trade: &Trade) -> Option<ExitProposal> {
        trade.by_plan(view)
    }
}

/// How much of the past it looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    pub ticks: Span,
    pub bars: Option<(Timeframe, usize)>,
}

impl Needs {
    /// What a market keeps at least.
    pub const MOST: Needs = Needs { ticks: Span::seconds(60), bars: Some((Timeframe::M1, 128)) };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossExit {
    pub way: Way,
    /// In pips; an entry that would risk more is not proposed.
    pub pips_max: Ratio,
}

/// What an ENTRY leg wants.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryProposal {
    pub side: Side,
    pub plan: Plan,
    pub probability: Option<Factor>,
    pub why: Box<str>,
}

/// What an EXIT leg wants, one thing at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitProposal {
    Close {
        way: Way,
        why: Box<str>,
    },
    /// Once in a trade.
    Partial {
        share: Ratio,
        why: Box<str>,
    },
    /// The stop stands there from now on, if that is nearer than where it stood.
    MoveStop {
        to: Price,
    },
}

/// Refuses what has no loss exit, or needs more than a market keeps.
pub fn admit(family: &dyn Family) -> Result<(), Refusal> {
    match family.loss_exit() {
        Some(exit) if exit.way.is_protective() && exit.pips_max > Ratio::ZERO => {}
        Some(_) | None => return Err(Refusal::LossExitMissing),
    }
    let (needs, most) = (family.needs(), Needs::MOST);
    let bars = |needs: Needs| needs.bars.map_or(0, |(_, count)| count);
    if needs.ticks > most.ticks || bars(needs) > bars(most) {
        return Err(Refusal::NeedsTooMuch);
    }
    Ok(())
}
