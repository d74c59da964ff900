//! What a maker's decision looks at besides its own state. All of it comes from the log.

use super::reason::{Reason, Reasons};
use crate::id::Position;
use crate::market::{Features, Instrument, Price, Size};
use crate::order::{ClientOrderId, Life};
use crate::time::Timestamp;
use crate::trade::Side;

#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// As they are now.
    pub features: &'a Features,
    pub instrument: &'a Instrument,
    /// The market has all that it needs; a stale one was warm, and its quote's age says the rest.
    pub warm: bool,
    /// None where nobody knows, which is not the same as nothing.
    pub inventory: Option<Size>,
    /// Every order of this maker of which something may still come, whether the venue has it yet or not.
    pub orders: &'a [Working],
    /// Decisions up to here have come to the venue's stream, so that their orders are among `orders` or over.
    pub carried_through: Position,
    /// What else keeps it from quoting: see [`Reasons::OUTSIDE`]; others are not taken.
    pub outside: Reasons,
    /// When the venue was last asked for our open orders and then named none.
    pub none_left_at: Option<Timestamp>,
}

/// An order that is on its way, at the venue, or on its way out of there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    pub id: ClientOrderId,
    pub side: Side,
    pub level: u8,
    pub price: Price,
    /// What is not filled yet.
    pub left: Size,
    pub life: Life,
    /// When it was submitted.
    pub since: Timestamp,
}

impl Working {
    /// Neither the venue's yes nor its no is known, or it was told to cancel it: there is nothing to do but wait.
    pub(super) fn is_between(&self) -> bool {
        match self.life {
            Life::Intended | Life::Submitted | Life::Unknown | Life::CancelRequested => true,
            Life::Accepted | Life::PartiallyFilled => false,
            Life::Filled | Life::Cancelled | Life::Expired | Life::Rejected | Life::Refused => false,
        }
    }
}

impl Reasons {
    /// What a maker is told and does not see itself.
    pub const OUTSIDE: Reasons = Reasons::NONE
        .with(Reason::VenueErrors)
        .with(Reason::LogFailed)
        .with(Reason::Guard)
        .with(Reason::RiskHalt)
        .with(Reason::ControlStale)
        .with(Reason::EndpointDown)
        .with(Reason::DeadManUnarmed);
}
