//! Two runs beside each other: what was different, and what came of it.

use super::Report;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidehelm_actors::paper::ledger::Filled;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// What went into the runs, by its path: `venue.latency.constant.there`.
    pub asked: Vec<Difference>,
    /// What came out.
    pub outcome: Vec<Difference>,
    /// The first fill that is not the same, counted from 1; None where all are.
    pub first_fill: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    pub what: String,
    pub one: Value,
    pub other: Value,
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.outcome.is_empty() && self.first_fill.is_none()
    }
}

pub fn diff(one: &Report, other: &Report) -> Diff {
    let mut asked = Vec::new();
    walk("", &json(&one.asked), &json(&other.asked), &mut asked);
    walk("tape", &json(&one.identity.tape), &json(&other.identity.tape), &mut asked);
    walk("engine", &json(&one.identity.engine), &json(&other.identity.engine), &mut asked);
    walk("model_version", &json(&one.identity.model_version), &json(&other.identity.model_version), &mut asked);
    let mut outcome = Vec::new();
    walk("", &figures(one), &figures(other), &mut outcome);
    Diff { asked, outcome, first_fill: first(&one.outcome.fills, &other.outcome.fills) }
}

/// All but what is a list of thousands.
fn figures(report: &Report) -> Value {
    let mut figures = json(&report.outcome);
    if let Value::Object(fields) = &mut figures {
        fields.retain(|name, _| !matches!(name.as_str(), "curve" | "fills" | "changes"));
    }
    figures
}

fn first(one: &[Filled], other: &[Filled]) -> Option<u64> {
    let longer = one.len().max(other.len());
    (0..longer).find(|index| one.get(*index) != other.get(*index)).map(|index| index as u64 + 1)
}

fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn walk(path: &str, one: &Value, other: &Value, found: &mut Vec<Difference>) {
    let below =
        |name: &dyn std::fmt::Display| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let of = |fields: &serde_json::Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                walk(&below(name), &of(left), &of(right), found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                let of = |items: &[Value]| items.get(index).cloned().unwrap_or_default();
                walk(&below(&index), &of(left), &of(right), found);
            }
        }
        _ if one == other => {}
        _ => found.push(Difference { what: path.to_owned(), one: one.clone(), other: other.clone() }),
    }
}
