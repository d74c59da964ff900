//! Who fails much more often than the others gets no requests for a while.

use crate::id::EndpointId;
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// The last outcomes of each endpoint, as the proxy saw them, and who is ejected until when. It is not in the log: after a start
/// everybody begins anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outliers {
    records: BTreeMap<EndpointId, Outcomes>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Outcomes {
    /// A bit for each of the last ones; 1 failed.
    bits: u64,
    count: u32,
    ejected_until: Option<Timestamp>,
    /// How often in a row: the longer it stays out.
    times: u32,
}

/// Outcomes that are looked at, and how many there must be.
const WINDOW: u32 = 64;
const NEEDED: u32 = 16;
/// Out of a hundred: who fails less often is no outlier.
const FAILING: u32 = 30;
const EJECTED: Span = Span::seconds(30);
const EJECTED_MAX: Span = Span::seconds(300);

impl Outliers {
    /// Takes in how a request ended, and ejects its endpoint if it fails in 30 of 100 and three times as often as the others
    /// together. Half of the `serving` endpoints stay, whatever they do. True if it was ejected now.
    pub fn note(&mut self, endpoint: EndpointId, good: bool, serving: usize, now: Timestamp) -> bool {
        let record = self.records.entry(endpoint).or_default();
        record.push(good);
        if record.is_ejected(now) {
            return false;
        }
        if record.ejected_until.is_some() && record.count >= NEEDED && record.failing() < FAILING {
            (record.ejected_until, record.times) = (None, 0);
        }
        let out = self.records.values().filter(|record| record.is_ejected(now)).count();
        let eject = !good && self.stands_out(endpoint) && (out + 1) * 2 <= serving;
        if let Some(record) = self.records.get_mut(&endpoint).filter(|_| eject) {
            record.eject(now);
        }
        eject
    }

    pub fn is_ejected(&self, endpoint: EndpointId, now: Timestamp) -> bool {
        self.records.get(&endpoint).is_some_and(|record| record.is_ejected(now))
    }

    /// It was removed, or its failures are to be forgotten.
    pub fn forget(&mut self, endpoint: EndpointId) {
        self.records.remove(&endpoint);
    }

    fn stands_out(&self, endpoint: EndpointId) -> bool {
        let Some(own) = self.records.get(&endpoint) else { return false };
        let others = self.records.iter().filter(|(id, _)| **id != endpoint).map(|(_, record)| record);
        let (failed, all) = others.fold((0, 0), |(failed, all), other| (failed + other.failed(), all + other.count));
        // failing / 100 >= 3 × failed / all, without a division.
        let often = u64::from(own.failing()) * u64::from(all) >= 300 * u64::from(failed);
        own.count >= NEEDED && own.failing() >= FAILING && often
    }
}

impl Outcomes {
    fn push(&mut self, good: bool) {
        self.bits = self.bits << 1 | u64::from(!good);
        self.count = (self.count + 1).min(WINDOW);
    }
    fn failed(&self) -> u32 {
        self.bits.count_ones()
    }
    /// Out of a hundred.
    fn failing(&self) -> u32 {
        self.failed() * 100 / self.count.max(1)
    }
    fn is_ejected(&self, now: Timestamp) -> bool {
        self.ejected_until.is_some_and(|until| until > now)
    }
    /// It comes back with a clean record: what it did before says nothing of then.
    fn eject(&mut self, now: Timestamp) {
        self.times = self.times.saturating_add(1);
        let span = EJECTED.0.saturating_mul(i64::from(self.times)).min(EJECTED_MAX.0);
        (self.bits, self.count, self.ejected_until) = (0, 0, Some(now + Span(span)));
    }
}
