//! Sums by minute and hour: half-open stretches of time in UTC.

use super::row::{Fill, Row};
use crate::market::{Bps, Cash, Price, Size};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Minutes and hours of each strategy and market that are kept: a day, and a month.
pub const MINUTES_MAX: usize = 1_440;
pub const HOURS_MAX: usize = 744;
/// The worst fills that each hour keeps.
pub const WORST: usize = 5;
/// Of more fills in one window the later ones are counted, and in no percentile.
const MARKOUTS_MAX: usize = 10_000;
/// A window's markouts are kept one by one for so long after its end; then only their percentiles.
const SETTLED_AFTER: Span = Span::seconds(300);

/// What was earned by what. Below zero is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pnl {
    /// By dealing away from the middle.
    pub spread: Cash,
    /// By the move of the middle in the ten seconds after each fill.
    pub adverse: Cash,
    /// By holding: all that the middle's moves earned, less `adverse`; and where no middle is known at a fill, its distance too.
    pub inventory: Cash,
    pub fees: Cash,
    pub funding: Cash,
}

impl Pnl {
    pub fn net(&self) -> Cash {
        self.spread + self.adverse + self.inventory + self.fees + self.funding
    }
}

/// A minute or an hour. Fills count where they happened, whenever their marks came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub begin: Timestamp,
    pub fills: u64,
    /// Fills without a middle near them: they are in no markout.
    pub unpriced: u64,
    pub traded: Cash,
    pub cancels: u64,
    /// Times that a PAUSE began.
    pub pauses: u64,
    pub pnl: Pnl,
    markouts: Markouts,
    /// The fills with the worst markouts after ten seconds, worst first. Only hours keep them.
    pub worst: Vec<Row>,
}

/// After ten seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Markouts {
    /// In order.
    Each(Vec<Bps>),
    Settled([Option<Bps>; 3]),
}

impl Default for Markouts {
    fn default() -> Self {
        Markouts::Each(Vec::new())
    }
}

const PERCENTILES: [usize; 3] = [10, 50, 90];

impl Window {
    /// P10, P50 and P90 of the markouts after ten seconds: of so many in order, the one that this share does not exceed.
    pub fn markouts(&self) -> [Option<Bps>; 3] {
        match &self.markouts {
            Markouts::Settled(known) => *known,
            Markouts::Each(all) => {
                PERCENTILES.map(|share| all.get((all.len() * share).div_ceil(100).saturating_sub(1)).copied())
            }
        }
    }

    fn judge(&mut self, row: &Row, keeps_worst: bool) {
        let (spread, adverse) = (row.spread().unwrap_or_default(), row.adverse().unwrap_or_default());
        self.pnl.spread = self.pnl.spread + spread;
        self.pnl.adverse = self.pnl.adverse + adverse;
        self.pnl.inventory = self.pnl.inventory - spread - adverse;
        let Some(markout) = row.markout(2) else {
            self.unpriced += 1;
            return;
        };
        if let Markouts::Each(all) = &mut self.markouts
            && all.len() < MARKOUTS_MAX
        {
            all.insert(all.partition_point(|other| *other <= markout), markout);
        }
        if keeps_worst {
            let place = self.worst.partition_point(|other| other.markout(2).is_some_and(|other| other <= markout));
            self.worst.insert(place, row.clone());
            self.worst.truncate(WORST);
        }
    }

    fn settle(&mut self) {
        self.markouts = Markouts::Settled(self.markouts());
    }
}

/// Windows of one length, oldest first; those in which nothing happened are not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Windows {
    length: Span,
    most: usize,
    kept: VecDeque<Window>,
    /// Windows before this one are settled.
    settled: Timestamp,
}

impl Windows {
    fn new(length: Span, most: usize) -> Self {
        Windows { length, most, kept: VecDeque::new(), settled: Timestamp::ZERO }
    }

    /// The window that the time is in. Of one that is kept no longer nothing is counted.
    fn at(&mut self, at: Timestamp) -> Option<&mut Window> {
        let begin = Timestamp(at.0.div_euclid(self.length.0) * self.length.0);
        let place = match self.kept.back() {
            Some(last) if last.begin == begin => self.kept.len() - 1,
            _ => self.make(begin)?,
        };
        self.kept.get_mut(place)
    }

    fn make(&mut self, begin: Timestamp) -> Option<usize> {
        let mut place = self.kept.partition_point(|window| window.begin < begin);
        if self.kept.get(place).is_some_and(|window| window.begin == begin) {
            return Some(place);
        }
        if self.kept.len() >= self.most {
            if place == 0 {
                return None;
            }
            self.kept.pop_front();
            place -= 1;
        }
        self.kept.insert(place, Window { begin, ..Window::default() });
        self.settle(begin);
        Some(place)
    }

    fn settle(&mut self, newest: Timestamp) {
        let before = newest - self.length - SETTLED_AFTER;
        let from = self.kept.partition_point(|window| window.begin < self.settled);
        self.kept.iter_mut().skip(from).take_while(|window| window.begin < before).for_each(Window::settle);
        self.settled = self.settled.max(before);
    }
}

/// What one strategy holds in one market, and its windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub held: Size,
    /// The price at which all before is reckoned.
    mark: Option<Price>,
    minutes: Windows,
    hours: Windows,
}

impl Default for Account {
    fn default() -> Self {
        Account {
            held: Size::ZERO,
            mark: None,
            minutes: Windows::new(Span::seconds(60), MINUTES_MAX),
            hours: Windows::new(Span::hours(1), HOURS_MAX),
        }
    }
}

impl Account {
    /// Oldest first.
    pub fn minutes(&self) -> impl DoubleEndedIterator<Item = &Window> {
        self.minutes.kept.iter()
    }
    pub fn hours(&self) -> impl DoubleEndedIterator<Item = &Window> {
        self.hours.kept.iter()
    }

    pub(super) fn at(&mut self, at: Timestamp, count: impl Fn(&mut Window)) {
        self.minutes.at(at).into_iter().chain(self.hours.at(at)).for_each(count);
    }

    pub(super) fn marked(&mut self, mid: Price, at: Timestamp) {
        let before = self.mark.replace(mid);
        let Some(before) = before.filter(|before| *before != mid && !self.held.is_zero()) else { return };
        let gain = (mid - before) * self.held;
        self.at(at, |window| window.pnl.inventory = window.pnl.inventory + gain);
    }

    /// At first all that a fill is worth is the inventory's; its marks say later how much of it is whose.
    pub(super) fn filled(&mut self, fill: &Fill, mid: Option<Price>) {
        let mark = self.mark.or(mid).unwrap_or(fill.price);
        self.mark = Some(mark);
        self.held = self.held + fill.signed();
        let gain = fill.gain(mark - fill.price);
        self.at(fill.at, |window| {
            window.fills += 1;
            window.traded = window.traded + (fill.price * fill.size).abs();
            window.pnl.inventory = window.pnl.inventory + gain;
            window.pnl.fees = window.pnl.fees - fill.fee;
        });
    }

    pub(super) fn adjusted(&mut self, by: Size) {
        self.held = self.held + by;
    }

    pub(super) fn judged(&mut self, row: &Row) {
        if let Some(minute) = self.minutes.at(row.fill.at) {
            minute.judge(row, false);
        }
        if let Some(hour) = self.hours.at(row.fill.at) {
            hour.judge(row, true);
        }
    }
}
