//! Protection: limits on what an account may lose, win, owe and hold, and what is done when one is reached.
//!
//! [`Rules`] are what a person sets, [`Protection`] is the fold, [`Limit`] and [`measure`] say how each limit is counted. A day
//! begins by an event that names its end, so that no replay asks what time it was where.

mod day;
mod event;
mod limit;
mod marks;
mod rearm;
mod rules;
mod state;

#[cfg(test)]
mod tests;

pub use day::{TimeOfDay, TradingDay};
pub use event::{
    Cleared, LimitCleared, LimitHit, LimitNear, ProtectionEvent, ProtectionRearmed, ProtectionSet, TradingDayStarted,
};
pub use limit::{Limit, Reading, measure};
pub use marks::{Baseline, Day, Figures, Heard, Marks};
pub use rearm::{Rearm, RearmRefusal};
pub use rules::{
    Action, Amount, Daily, DailyDrawdown, DayStart, Equity, Lasts, Margin, Rules, RulesError, Target, TotalDrawdown,
    TotalFrom,
};
pub use state::{Block, Gauge, Hit, Protection, Standing};
