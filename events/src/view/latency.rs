//! How long copied orders take from station to station, link by link: exact counts in buckets that are an eighth of a power of
//! two wide, so that a percentile is right to within an eighth.

use super::View;
use crate::account::{self, OrderAnswered};
use crate::envelope::Record;
use crate::event::Event;
use crate::id::{AccountId, StreamNo};
use crate::time::Timestamp;
use crate::trade::{Order, OrderId, Outcome, Stamps};
use crate::truth::Truth;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of more orders without a result the newer ones are not measured.
const WAITING_MAX: usize = 10_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// By the slave's stream and its master.
    links: BTreeMap<StreamNo, BTreeMap<AccountId, Stages>>,
    waiting: BTreeMap<OrderId, (AccountId, Stamps)>,
}

/// The stations of one link's orders, in microseconds. The desk's clock measures up to `sent`; `filled` and `whole` end by the
/// clock of the slave's terminal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// From the receipt of the signal to the decision.
    pub decided: Spread,
    /// From the decision until it was in the log.
    pub durable: Spread,
    /// From there until the terminal was told.
    pub sent: Spread,
    /// From there until the broker was done.
    pub filled: Spread,
    /// From the receipt until the broker was done.
    pub whole: Spread,
    /// Times that would be below zero, because two clocks differ; they are in no spread.
    pub clocks_apart: u64,
}

/// How often something took how long.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub count: u64,
    pub max: u64,
    /// Occupied buckets by number.
    buckets: BTreeMap<u16, u64>,
}

impl View for Latency {
    const NAME: &'static str = "latency";

    fn apply(&mut self, record: &Record, truth: &Truth) {
        let Event::Account(event) = &record.event else { return };
        match event {
            account::Event::OrderIssued(issued) => self.issued(record.stream, &issued.order),
            account::Event::OrderAnswered(answered) => self.answered(record.stream, answered),
            account::Event::LinkEnded(ended) => self.ended(record.stream, &ended.master, truth),
            _ => {}
        }
    }
}

impl Latency {
    /// Every link with measured orders, in the order of streams and masters.
    pub fn links(&self) -> impl Iterator<Item = (StreamNo, &AccountId, &Stages)> {
        self.links.iter().flat_map(|(slave, links)| links.iter().map(|(master, stages)| (*slave, master, stages)))
    }
    pub fn of(&self, slave: StreamNo, master: &AccountId) -> Option<&Stages> {
        self.links.get(&slave)?.get(master)
    }

    fn issued(&mut self, slave: StreamNo, order: &Order) {
        let (Some(master), Some(_)) = (&order.master, order.stamps.received) else { return };
        let stages = self.links.entry(slave).or_default().entry(master.clone()).or_default();
        stages.decided(&order.stamps);
        if self.waiting.len() < WAITING_MAX {
            self.waiting.insert(order.id, (master.clone(), order.stamps));
        }
    }

    fn answered(&mut self, slave: StreamNo, answered: &OrderAnswered) {
        let Some((master, stamps)) = self.waiting.remove(&answered.result.order) else { return };
        if let Some(stages) = self.links.get_mut(&slave).and_then(|links| links.get_mut(&master)) {
            stages.answered(&stamps, answered);
        }
    }

    /// Another link to the same master begins anew.
    fn ended(&mut self, slave: StreamNo, master: &AccountId, truth: &Truth) {
        if let Some(links) = self.links.get_mut(&slave) {
            links.remove(master);
            if links.is_empty() {
                self.links.remove(&slave);
            }
        }
        let Some(account) = truth.names().get(slave).and_then(|id| truth.account(id)) else { return };
        let outbox = account.slave_book.iter().flat_map(|book| book.outbox.values());
        for order in outbox.filter(|order| order.master.as_ref() == Some(master)) {
            self.waiting.remove(&order.id);
        }
    }
}

impl Stages {
    /// Each by its name.
    pub fn named(&self) -> [(&'static str, &Spread); 5] {
        let Stages { decided, durable, sent, filled, whole, clocks_apart: _ } = self;
        [
            ("received_to_decided", decided),
            ("decided_to_durable", durable),
            ("durable_to_sent", sent),
            ("sent_to_filled", filled),
            ("received_to_filled", whole),
        ]
    }

    fn decided(&mut self, stamps: &Stamps) {
        measure(&mut self.decided, &mut self.clocks_apart, stamps.received, stamps.decided);
    }

    fn answered(&mut self, stamps: &Stamps, answered: &OrderAnswered) {
        let apart = &mut self.clocks_apart;
        let OrderAnswered { result, durable_at, sent_at, .. } = answered;
        measure(&mut self.durable, apart, stamps.decided, *durable_at);
        measure(&mut self.sent, apart, *durable_at, *sent_at);
        if matches!(result.outcome, Outcome::Filled | Outcome::Partial) {
            measure(&mut self.filled, apart, *sent_at, result.done_at);
            measure(&mut self.whole, apart, stamps.received, result.done_at);
        }
    }
}

fn measure(spread: &mut Spread, apart: &mut u64, from: Option<Timestamp>, to: Option<Timestamp>) {
    let (Some(from), Some(to)) = (from, to) else { return };
    match u64::try_from(to.since(from).0) {
        Ok(micros) => spread.add(micros),
        Err(_) => *apart += 1,
    }
}

impl Spread {
    pub fn add(&mut self, micros: u64) {
        self.count += 1;
        self.max = self.max.max(micros);
        *self.buckets.entry(bucket(micros)).or_default() += 1;
    }

    /// What so many of a thousand did not exceed; none where nothing was measured.
    pub fn quantile(&self, per_mille: u64) -> Option<u64> {
        let wanted = (self.count * per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= wanted {
                return Some(upper(*bucket).min(self.max));
            }
        }
        None
    }
}

/// Eight to each power of two.
fn bucket(micros: u64) -> u16 {
    if micros < 8 {
        return micros as u16;
    }
    let power = micros.ilog2();
    ((power - 2) * 8) as u16 + ((micros >> (power - 3)) & 7) as u16
}

/// The largest number of a bucket.
fn upper(bucket: u16) -> u64 {
    if bucket < 8 {
        return u64::from(bucket);
    }
    let (shift, eighth) = (u32::from(bucket) / 8 - 1, u128::from(bucket) % 8);
    let end = ((8 + eighth + 1) << shift) - 1;
    u64::try_from(end).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_lies_within_an_eighth() {
        let mut last = 0;
        for micros in (0..5_000).chain([1 << 20, (1 << 20) + 1, 1 << 40, u64::MAX - 1, u64::MAX]) {
            let number = bucket(micros);
            let top = upper(number);
            assert!(number >= last, "{micros}");
            assert!(top >= micros && top - micros <= micros / 8, "{micros} is in a bucket up to {top}");
            assert_eq!(bucket(top), number);
            last = number;
        }
    }

    #[test]
    fn a_quantile_is_what_so_many_did_not_exceed() {
        let mut spread = Spread::default();
        assert_eq!(spread.quantile(500), None);
        (1..=1_000).for_each(|micros| spread.add(micros));
        let exact = [(500, 500), (990, 990), (1_000, 1_000), (1, 1)];
        for (per_mille, exact) in exact {
            let found = spread.quantile(per_mille).unwrap();
            assert!(found >= exact && found <= exact + exact / 8, "{per_mille}: {found}");
        }
        assert_eq!((spread.count, spread.max), (1_000, 1_000));
    }
}
