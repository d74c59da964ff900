//! Bars of the middle: minutes from quotes, and longer ones from minutes.

use super::number::Price;
use super::window::Window;
use super::word::{Bar, Timeframe};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many final bars of each timeframe are kept.
pub const BARS_MAX: usize = 500;
/// Final bars that were not seen from their beginning, and may still be replaced by a seed.
const PARTIAL_MAX: usize = 64;

/// A bar by its place. What is final never changes again, unless a seed replaces one that was not seen as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candle {
    Final(Bar),
    Forming(Bar),
}

/// Time in the order of time: a bar, or the lack of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    Bar(Bar),
    /// No quote from here until there.
    Gap {
        from: Timestamp,
        until: Timestamp,
    },
}

/// A bar that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub timeframe: Timeframe,
    pub bar: Bar,
    /// The market was heard from its beginning to its end.
    pub whole: bool,
}

/// Bars of one timeframe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bars {
    finals: Window<Bar>,
    /// What came before the forming minute in the forming bar.
    so_far: Option<Bar>,
    /// Where those begin that are final and not whole, oldest first.
    partial: Vec<Timestamp>,
}

/// All timeframes of a market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frames {
    /// Of the quotes of the minute that is not over.
    minute: Option<Bar>,
    frames: [Bars; 5],
    /// When the next bar closes.
    due: Timestamp,
}

const NEVER: Timestamp = Timestamp(i64::MAX);

impl Default for Frames {
    fn default() -> Self {
        Frames { minute: None, frames: Default::default(), due: NEVER }
    }
}

impl Bars {
    /// Final ones, oldest first. Two that are not next to each other have a gap between them.
    pub fn finals(&self) -> &[Bar] {
        self.finals.as_slice()
    }

    fn place(&self, open_at: Timestamp) -> Result<usize, usize> {
        self.finals().binary_search_by_key(&open_at, |bar| bar.open_at)
    }

    fn close(&mut self, bar: Bar, whole: bool) {
        assert!(
            self.finals.last().is_none_or(|last| last.open_at < bar.open_at),
            "the bar of {} closes late",
            bar.open_at
        );
        self.finals.push(bar);
        self.so_far = None;
        if !whole {
            self.partial.push(bar.open_at);
        }
        self.stay_bounded();
    }

    fn stay_bounded(&mut self) {
        while self.finals.len() > BARS_MAX {
            self.finals.forget_first();
        }
        let first = self.finals.first().map_or(NEVER, |bar| bar.open_at);
        self.partial.retain(|open_at| *open_at >= first);
        if self.partial.len() > PARTIAL_MAX {
            self.partial.remove(0);
        }
    }

    /// It fills a hole among the final ones, or replaces one that is not whole. A full store takes nothing older than it has.
    fn lacks(&self, open_at: Timestamp) -> bool {
        match self.place(open_at) {
            Ok(_) => self.partial.binary_search(&open_at).is_ok(),
            Err(at) => at > 0 || self.finals.len() < BARS_MAX,
        }
    }

    fn put(&mut self, bar: Bar) {
        match self.place(bar.open_at) {
            Ok(at) => {
                if let Some(known) = self.finals.get_mut(at) {
                    *known = bar;
                }
                self.partial.retain(|open_at| *open_at != bar.open_at);
            }
            Err(at) => self.finals.insert(at, bar),
        }
        self.stay_bounded();
    }
}

impl Frames {
    pub fn of(&self, timeframe: Timeframe) -> &Bars {
        &self.frames[timeframe as usize]
    }
    /// The bar that is not over, as it is so far.
    pub fn forming(&self, timeframe: Timeframe) -> Option<Bar> {
        match (self.of(timeframe).so_far, self.minute) {
            (Some(so_far), Some(minute)) => Some(joined(so_far, minute)),
            (so_far, None) => so_far,
            (None, Some(minute)) => Some(Bar { open_at: timeframe.open_of(minute.open_at), ..minute }),
        }
    }
    /// The bar that begins there.
    pub fn at(&self, timeframe: Timeframe, open_at: Timestamp) -> Option<Candle> {
        let bars = self.of(timeframe);
        if let Ok(at) = bars.place(open_at) {
            return Some(Candle::Final(bars.finals()[at]));
        }
        self.forming(timeframe).filter(|bar| bar.open_at == open_at).map(Candle::Forming)
    }
    /// Final bars and the gaps between them, the gap since the last one included.
    pub fn stretches(&self, timeframe: Timeframe, now: Timestamp) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut end: Option<Timestamp> = None;
        let gap =
            |end: Option<Timestamp>, until| end.filter(|from| *from < until).map(|from| Stretch::Gap { from, until });
        for bar in self.of(timeframe).finals() {
            stretches.extend(gap(end, bar.open_at));
            stretches.push(Stretch::Bar(*bar));
            end = Some(bar.open_at + timeframe.span());
        }
        stretches.extend(gap(end, timeframe.open_of(now)));
        stretches
    }
    /// When the next bar closes, if one is forming.
    pub fn due(&self) -> Option<Timestamp> {
        (self.due != NEVER).then_some(self.due)
    }
    pub(super) fn are_due(&self, now: Timestamp) -> bool {
        now >= self.due
    }

    /// A quote's middle. What was due is closed before it.
    pub(super) fn add(&mut self, at: Timestamp, mid: Price) {
        assert!(at < self.due, "a quote of {at} is of a bar after the one that forms");
        match &mut self.minute {
            Some(bar) => {
                bar.high = bar.high.max(mid);
                bar.low = bar.low.min(mid);
                bar.close = mid;
                bar.ticks = bar.ticks.saturating_add(1);
            }
            None => {
                let open_at = Timeframe::M1.open_of(at);
                self.minute = Some(Bar { open_at, open: mid, high: mid, low: mid, close: mid, ticks: 1 });
                self.due = self.due.min(open_at + Timeframe::M1.span());
            }
        }
    }

    /// What is over at that time. `heard_since`: since when the market has been heard without a break.
    pub(super) fn closing(&self, now: Timestamp, heard_since: Option<Timestamp>) -> Vec<Closed> {
        let over = |timeframe: Timeframe| {
            let bar = self.forming(timeframe).filter(|bar| bar.open_at + timeframe.span() <= now)?;
            Some(Closed { timeframe, bar, whole: heard_since.is_some_and(|since| since <= bar.open_at) })
        };
        Timeframe::ALL.into_iter().filter_map(over).collect()
    }

    pub(super) fn close(&mut self, closed: &[Closed]) {
        let is_closed = |timeframe: Timeframe| closed.iter().any(|one| one.timeframe == timeframe);
        if let Some(minute) = self.minute.filter(|_| is_closed(Timeframe::M1)) {
            for timeframe in Timeframe::ALL.into_iter().filter(|timeframe| !is_closed(*timeframe)) {
                let bars = &mut self.frames[timeframe as usize];
                let alone = Bar { open_at: timeframe.open_of(minute.open_at), ..minute };
                bars.so_far = Some(bars.so_far.map_or(alone, |so_far| joined(so_far, minute)));
            }
            self.minute = None;
        }
        for one in closed {
            self.frames[one.timeframe as usize].close(one.bar, one.whole);
        }
        self.find_due();
    }

    /// Which of the bars that somebody else saw change something here. To seed twice is to seed once. What is in the store stays,
    /// unless it was not seen from its beginning.
    pub(super) fn wanting(
        &self,
        timeframe: Timeframe,
        bars: &[Bar],
        heard_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<Bar> {
        let mut then = self.clone();
        let mut wanted = Vec::new();
        for bar in bars {
            let over = bar.open_at + timeframe.span() <= now;
            let whole = !over && heard_since.is_some_and(|since| since <= bar.open_at);
            let before = then.of(timeframe).clone();
            if !whole {
                then.seed(timeframe, std::slice::from_ref(bar), now);
            }
            if *then.of(timeframe) != before {
                wanted.push(*bar);
            }
        }
        wanted
    }

    pub(super) fn seed(&mut self, timeframe: Timeframe, seeds: &[Bar], now: Timestamp) {
        let forming = self.forming(timeframe).map(|bar| bar.open_at);
        let bars = &mut self.frames[timeframe as usize];
        for seed in seeds {
            if seed.open_at + timeframe.span() > now {
                let fits = forming.is_none_or(|open_at| open_at == seed.open_at);
                bars.so_far =
                    if fits { Some(bars.so_far.map_or(*seed, |so_far| seeded(so_far, *seed))) } else { bars.so_far };
            } else if bars.lacks(seed.open_at) {
                bars.put(*seed);
            }
        }
        self.find_due();
    }

    fn find_due(&mut self) {
        let ends = Timeframe::ALL.into_iter().filter_map(|timeframe| {
            let forming = self.forming(timeframe)?;
            Some(forming.open_at + timeframe.span())
        });
        self.due = ends.min().unwrap_or(NEVER);
    }
}

/// Two neighbours as one bar.
fn joined(earlier: Bar, later: Bar) -> Bar {
    Bar {
        open_at: earlier.open_at,
        open: earlier.open,
        high: earlier.high.max(later.high),
        low: earlier.low.min(later.low),
        close: later.close,
        ticks: earlier.ticks.saturating_add(later.ticks),
    }
}

/// The same stretch, seen by somebody who was there from its beginning: twice is once.
fn seeded(ours: Bar, seed: Bar) -> Bar {
    Bar {
        open: seed.open,
        high: ours.high.max(seed.high),
        low: ours.low.min(seed.low),
        ticks: ours.ticks.max(seed.ticks),
        ..ours
    }
}
