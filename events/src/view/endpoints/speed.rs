//! Tokens a second: an average for each endpoint, model and part of the interface, and one for each endpoint's day.

use crate::endpoint::{Api, Ema, RequestFinished};
use crate::id::EndpointId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names of models that are told apart on one desk.
const MODELS_MAX: usize = 2_000;
/// Averages on one desk; beyond that an endpoint's day is measured, and not its models.
pub const SPEEDS_MAX: usize = 10_000;

/// Numbers of models. [`ModelNo::OTHER`] are those beyond what is told apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Models {
    numbers: BTreeMap<String, ModelNo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelNo(u16);

impl ModelNo {
    pub const OTHER: ModelNo = ModelNo(0);
}

impl Models {
    /// The number of a model; a new one gets the next.
    pub(super) fn number(&mut self, name: &str) -> ModelNo {
        let known = self.known(name);
        if known != ModelNo::OTHER || self.numbers.len() >= MODELS_MAX {
            return known;
        }
        let next = ModelNo(self.numbers.len() as u16 + 1);
        self.numbers.insert(name.into(), next);
        next
    }

    pub fn known(&self, name: &str) -> ModelNo {
        self.numbers.get(name).copied().unwrap_or(ModelNo::OTHER)
    }

    /// The names of some numbers.
    pub(super) fn names_of(&self, wanted: &BTreeSet<ModelNo>) -> BTreeMap<ModelNo, &str> {
        let numbers = self.numbers.iter().filter(|(_, number)| wanted.contains(number));
        numbers.map(|(name, number)| (*number, name.as_str())).collect()
    }

    /// The names by their numbers; one without a name is other.
    pub fn names(&self) -> BTreeMap<ModelNo, &str> {
        self.numbers.iter().map(|(name, number)| (*number, name.as_str())).collect()
    }
}

/// Averages of what was measured, α 0.2; they stay while an endpoint is offline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Speeds {
    by_model: BTreeMap<(EndpointId, ModelNo, Api), Ema>,
}

impl Speeds {
    /// Of one endpoint: model, part of the interface, millionths of a token a second.
    pub fn of(&self, endpoint: EndpointId) -> impl Iterator<Item = (ModelNo, Api, Ema)> {
        let first = (endpoint, ModelNo(0), Api::ChatCompletions);
        let all = self.by_model.range(first..).take_while(move |((id, ..), _)| *id == endpoint);
        all.map(|((_, model, api), average)| (*model, *api, *average))
    }

    pub(super) fn add(&mut self, endpoint: EndpointId, model: ModelNo, finished: &RequestFinished) {
        let Some(sample) = finished.speed() else { return };
        let key = (endpoint, model, finished.api);
        if self.by_model.len() < SPEEDS_MAX || self.by_model.contains_key(&key) {
            self.by_model.entry(key).or_default().add(sample);
        }
    }

    pub(super) fn forget(&mut self, endpoint: EndpointId) {
        self.by_model.retain(|(id, ..), _| *id != endpoint);
    }
}

/// Tokens and time of one endpoint's last day on which something was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySpeed {
    /// In days since 1970-01-01.
    pub date: i64,
    tokens: u64,
    micros: u64,
}

impl DaySpeed {
    /// Millionths of a token a second; none where nothing was ever measured.
    pub fn value(&self) -> Option<u64> {
        (self.micros > 0).then(|| crate::endpoint::per_second(self.tokens, self.micros))
    }

    pub(super) fn add(&mut self, finished: &RequestFinished, date: i64) {
        if finished.speed().is_none() {
            return;
        }
        if self.date != date {
            *self = DaySpeed { date, ..DaySpeed::default() };
        }
        self.tokens = self.tokens.saturating_add(finished.tokens.output);
        self.micros = self.micros.saturating_add(finished.duration.0.unsigned_abs());
    }
}
