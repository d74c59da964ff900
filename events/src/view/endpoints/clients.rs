//! Who asks: exact for the clients that asked last, one sum for all others.

use super::speed::ModelNo;
use crate::endpoint::{Outcome, RequestFinished};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Clients that are told apart. When another one comes, the one that was silent longest goes to the others.
pub const CLIENTS_MAX: usize = 1_000;
const HOURS: i64 = 24;
/// Models that are told apart for each client.
const MODELS_MAX: usize = 16;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Clients {
    known: BTreeMap<String, Client>,
    /// By when they asked last.
    order: BTreeMap<u64, String>,
    next: u64,
    /// Those that gave way, and requests that named no client.
    pub others: ClientSum,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub sum: ClientSum,
    /// Since it is known, this time.
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Requests by the hour since 1970, of the last 24 hours up to the last one in which it asked.
    pub hours: BTreeMap<i64, u64>,
    models: BTreeMap<ModelNo, u64>,
    place: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSum {
    pub success: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl Clients {
    /// Who asked most, first; those who asked as often by name.
    pub fn ranking(&self) -> Vec<(&str, &Client)> {
        let mut clients: Vec<_> = self.known.iter().map(|(name, client)| (name.as_str(), client)).collect();
        clients.sort_by_key(|(_, client)| std::cmp::Reverse(client.sum.total()));
        clients
    }
    pub fn get(&self, name: &str) -> Option<&Client> {
        self.known.get(name)
    }
    pub fn len(&self) -> usize {
        self.known.len()
    }
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(super) fn add(&mut self, finished: &RequestFinished, model: ModelNo, at: Timestamp) {
        let sum = ClientSum::of(finished);
        let Some(name) = &finished.client else { return self.others.take_in(&sum) };
        let place = self.next;
        self.next += 1;
        let new = || Client {
            sum: ClientSum::default(),
            first_seen: at,
            last_seen: at,
            hours: BTreeMap::new(),
            models: BTreeMap::new(),
            place,
        };
        let client = self.known.entry(name.clone()).or_insert_with(new);
        self.order.remove(&client.place);
        (client.place, client.last_seen) = (place, at);
        client.sum.take_in(&sum);
        client.count(model, at);
        self.order.insert(place, name.clone());
        if self.known.len() > CLIENTS_MAX {
            self.forget_the_most_silent();
        }
    }

    fn forget_the_most_silent(&mut self) {
        let silent = self.order.pop_first().and_then(|(_, name)| self.known.remove(&name));
        if let Some(client) = silent {
            self.others.take_in(&client.sum);
        }
    }
}

impl Client {
    /// Requests by model, most first.
    pub fn models(&self) -> Vec<(ModelNo, u64)> {
        let mut models: Vec<_> = self.models.iter().map(|(model, count)| (*model, *count)).collect();
        models.sort_by_key(|(model, count)| (std::cmp::Reverse(*count), *model));
        models
    }

    fn count(&mut self, model: ModelNo, at: Timestamp) {
        let hour = at.micros().div_euclid(3_600_000_000);
        *self.hours.entry(hour).or_default() += 1;
        while self.hours.first_key_value().is_some_and(|(old, _)| *old <= hour - HOURS) {
            self.hours.pop_first();
        }
        let fits = self.models.contains_key(&model) || self.models.len() < MODELS_MAX;
        *self.models.entry(if fits { model } else { ModelNo::OTHER }).or_default() += 1;
    }
}

impl ClientSum {
    pub fn total(&self) -> u64 {
        self.success + self.failed
    }

    fn of(finished: &RequestFinished) -> Self {
        let success = finished.outcome == Outcome::Success;
        let (input_tokens, output_tokens) = (finished.tokens.input, finished.tokens.output);
        ClientSum { success: success.into(), failed: (!success).into(), input_tokens, output_tokens }
    }

    fn take_in(&mut self, other: &ClientSum) {
        self.success += other.success;
        self.failed += other.failed;
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }
}
