//! What limits are measured from: the account's beginning, its peaks and its day. All of it is folded from heartbeats and from
//! the events of protection; heartbeats may be cut from the log, and then the base that replaces them holds these.

use super::event::TradingDayStarted;
use crate::money::{Lots, Money};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a heartbeat says of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    pub balance: Money,
    pub equity: Money,
    pub free_margin: Money,
    /// None where it is not known.
    pub open_lots: Option<Lots>,
    pub open_positions: u32,
}

impl Figures {
    /// A terminal that is not yet logged in reports zeros. They say nothing, least of all that everything was lost.
    pub fn is_blank(&self) -> bool {
        (self.balance, self.equity, self.free_margin) == (Money::ZERO, Money::ZERO, Money::ZERO)
    }
    fn worth(&self) -> Money {
        self.balance.max(self.equity)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The first balance above zero, or what a person has set.
    pub initial: Money,
    /// Highest equity ever.
    pub peak: Money,
    /// Highest balance with which a trading day ended.
    pub end_of_day_peak: Money,
    pub day: Option<Day>,
    pub last: Option<Heard>,
}

/// A trading day of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// 1, 2, 3 … as the desk has seen them.
    pub number: u32,
    pub started_at: Timestamp,
    pub next_reset_at: Timestamp,
    pub balance: Money,
    pub equity: Money,
    /// Highest equity since the start.
    pub high: Money,
}

/// The last figures that said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    pub figures: Figures,
    pub at: Timestamp,
}

/// Where a person wants limits to be measured from; what is left out stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Baseline {
    pub initial_balance: Option<Money>,
    pub peak: Option<Money>,
    pub end_of_day_peak: Option<Money>,
    pub day_balance: Option<Money>,
    pub day_equity: Option<Money>,
    pub day_high: Option<Money>,
}

impl Marks {
    /// Blank figures are passed over.
    pub fn heard(&mut self, figures: &Figures, at: Timestamp) {
        if figures.is_blank() {
            return;
        }
        if self.initial <= Money::ZERO {
            self.initial = figures.balance;
        }
        self.last = Some(Heard { figures: *figures, at });
        self.raise(figures.equity);
    }

    /// The day that has to begin with these figures, where one has.
    ///
    /// A day begins with what was heard last before it, if that was in the day that ends: what is lost while the terminal is
    /// silent counts in the new day, since to count a loss a day late is better than not at all. After a longer silence, or on
    /// the first day, it begins with these figures. A day that began with nothing begins anew when money comes in.
    pub(super) fn next_day(
        &self,
        figures: &Figures,
        now: Timestamp,
        around: impl Fn() -> (Timestamp, Timestamp),
    ) -> Option<TradingDayStarted> {
        let fresh = |number: u32, started_at, next_reset_at| TradingDayStarted {
            day: number,
            started_at,
            next_reset_at,
            balance: figures.balance,
            equity: figures.equity,
        };
        let Some(day) = self.day else { return Some(fresh(1, now, around().1)) };
        if now >= day.next_reset_at {
            let (began, ends) = around();
            let started = fresh(day.number.saturating_add(1), began.max(day.next_reset_at), ends);
            return Some(self.carried(day, started));
        }
        let funded = day.balance.max(day.equity) <= Money::ZERO && figures.worth() > Money::ZERO;
        funded.then(|| fresh(day.number.saturating_add(1), now, day.next_reset_at))
    }

    fn carried(&self, ending: Day, started: TradingDayStarted) -> TradingDayStarted {
        let follows = started.started_at == ending.next_reset_at;
        let heard = self.last.filter(|last| last.at >= ending.started_at && last.figures.worth() > Money::ZERO);
        match heard {
            Some(last) if follows => {
                TradingDayStarted { balance: last.figures.balance, equity: last.figures.equity, ..started }
            }
            _ => started,
        }
    }

    /// Comes to the same whether the heartbeat with which the day began, which was recorded at `at`, is heard before or after.
    /// What was heard while nobody counted days raises no high.
    pub(super) fn start_day(&mut self, started: &TradingDayStarted, at: Timestamp) {
        let its_own = self.last.filter(|last| last.at == at);
        let high = its_own.map_or(started.equity, |last| last.figures.equity.max(started.equity));
        if self.day.is_some() {
            self.end_of_day_peak = self.end_of_day_peak.max(started.balance);
        }
        self.day = Some(Day {
            number: started.day,
            started_at: started.started_at,
            next_reset_at: started.next_reset_at,
            balance: started.balance,
            equity: started.equity,
            high,
        });
    }

    /// Peaks that are set below the equity of the last heartbeat are raised to it.
    pub(super) fn rebase(&mut self, baseline: &Baseline) {
        self.initial = baseline.initial_balance.unwrap_or(self.initial);
        self.peak = baseline.peak.unwrap_or(self.peak);
        self.end_of_day_peak = baseline.end_of_day_peak.unwrap_or(self.end_of_day_peak);
        if let Some(day) = &mut self.day {
            day.balance = baseline.day_balance.unwrap_or(day.balance);
            day.equity = baseline.day_equity.unwrap_or(day.equity);
            day.high = baseline.day_high.unwrap_or(day.high);
        }
        if let Some(last) = self.last {
            self.raise(last.figures.equity);
        }
    }

    fn raise(&mut self, equity: Money) {
        self.peak = self.peak.max(equity);
        if let Some(day) = &mut self.day {
            day.high = day.high.max(equity);
        }
    }
}

impl Baseline {
    /// Measured from these figures on, as if the account began with them.
    pub fn here(figures: &Figures) -> Self {
        Baseline {
            initial_balance: Some(figures.balance),
            peak: Some(figures.equity),
            end_of_day_peak: Some(figures.balance),
            day_balance: Some(figures.balance),
            day_equity: Some(figures.equity),
            day_high: Some(figures.equity),
        }
    }

    /// What the marks are when so much was paid in (or, below zero, paid out), so that it is neither gain nor loss. None where
    /// nothing was heard yet, or where that is no amount any more.
    pub fn after_transfer(marks: &Marks, paid_in: Money) -> Option<Self> {
        marks.last?;
        let moved = |mark: Money| Money::new(mark.get() + paid_in.get()).ok();
        let here = Baseline {
            initial_balance: Some(moved(marks.initial)?),
            peak: Some(moved(marks.peak)?),
            end_of_day_peak: match marks.end_of_day_peak {
                none if none == Money::ZERO => None,
                peak => Some(moved(peak)?),
            },
            ..Baseline::default()
        };
        let Some(day) = marks.day else { return Some(here) };
        Some(Baseline {
            day_balance: Some(moved(day.balance)?),
            day_equity: Some(moved(day.equity)?),
            day_high: Some(moved(day.high)?),
            ..here
        })
    }

    pub fn is_empty(&self) -> bool {
        *self == Baseline::default()
    }
}
