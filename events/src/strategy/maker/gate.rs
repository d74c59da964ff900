//! The gate for what a machine proposes: few numbers, small steps, no drift, and limits of risk only tighter.
//!
//! Whoever proposes may know of these bounds or not; they hold here. The result is checked as a person's set is.

use super::command::Refusal;
use super::parameter::{Number, Parameters, Tightens};
use crate::market::Cash;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Numbers that one proposal changes, at most.
pub const CHANGES_MAX: usize = 2;
/// By so many per cent of what it is, at most.
const STEP_PER_CENT: i128 = 10;
/// By so many per cent of what a person last set, at most, however many proposals there were.
const DRIFT_PER_CENT: i128 = 30;
/// A proposal is good for so long.
pub const GOOD_FOR: Span = Span::seconds(3_600);

/// One number as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub name: Box<str>,
    pub value: Cash,
}

/// Why a proposal is not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("it was made at {made_at} and is too old")]
    Expired { made_at: Timestamp },
    #[error("it changes {0} numbers, and may change 1 to {CHANGES_MAX}")]
    Count(usize),
    #[error("it changes `{0}` twice")]
    Twice(Box<str>),
    #[error("`{name}` is {value} already")]
    Same { name: &'static str, value: Cash },
    #[error("`{name}` may go to {least} to {most} in one step, not to {value}")]
    Step { name: &'static str, value: Cash, least: Cash, most: Cash },
    #[error("`{name}` may go to {least} to {most} until a person sets it again, not to {value}")]
    Drift { name: &'static str, value: Cash, least: Cash, most: Cash },
    #[error("`{name}` is a limit of risk, and {value} is looser than {now}")]
    Looser { name: &'static str, value: Cash, now: Cash },
    #[error(transparent)]
    Invalid(#[from] Refusal),
}

impl Closed {
    /// Stable.
    pub fn code(&self) -> &'static str {
        match self {
            Closed::Expired { .. } => "PROPOSAL_EXPIRED",
            Closed::Count(_) => "CHANGES_COUNT",
            Closed::Twice(_) => "CHANGED_TWICE",
            Closed::Same { .. } => "UNCHANGED",
            Closed::Step { .. } => "STEP_TOO_LARGE",
            Closed::Drift { .. } => "DRIFT_TOO_LARGE",
            Closed::Looser { .. } => "RISK_LOOSER",
            Closed::Invalid(Refusal::ParameterUnknown(_)) => "PARAMETER_UNKNOWN",
            Closed::Invalid(_) => "PARAMETER_INVALID",
        }
    }
}

/// The set that the changes make of the active one, or the first reason why not: too old, how many, then change by change: unknown,
/// the same, looser, the step, the drift; then the set as a whole. `anchor` is what a person set last.
pub fn let_through(
    active: &Parameters,
    anchor: &Parameters,
    changes: &[Change],
    made_at: Timestamp,
    now: Timestamp,
) -> Result<Parameters, Closed> {
    if now.since(made_at) > GOOD_FOR {
        return Err(Closed::Expired { made_at });
    }
    if changes.is_empty() || changes.len() > CHANGES_MAX {
        return Err(Closed::Count(changes.len()));
    }
    let (known, anchors) = (active.numbers(), anchor.numbers());
    let mut wanted = active.clone();
    for (index, Change { name, value }) in changes.iter().enumerate() {
        if changes[..index].iter().any(|before| before.name == *name) {
            return Err(Closed::Twice(name.clone()));
        }
        let same_name = |number: &&Number| *number.name == **name;
        if let (Some(number), Some(anchor)) = (known.iter().find(same_name), anchors.iter().find(same_name)) {
            check(number, anchor.value, *value)?;
        }
        wanted = wanted.with(name, *value)?;
    }
    Ok(wanted.checked()?)
}

fn check(number: &Number, anchor: Cash, value: Cash) -> Result<(), Closed> {
    let Number { name, value: now, tightens, .. } = *number;
    if value == now {
        return Err(Closed::Same { name, value });
    }
    let looser = match tightens {
        Tightens::Up => value < now,
        Tightens::Down => value > now,
        Tightens::No => false,
    };
    if looser {
        return Err(Closed::Looser { name, value, now });
    }
    let (least, most) = around(now, STEP_PER_CENT);
    if value < least || value > most {
        return Err(Closed::Step { name, value, least, most });
    }
    let (least, most) = around(anchor, DRIFT_PER_CENT);
    if value < least || value > most {
        return Err(Closed::Drift { name, value, least, most });
    }
    Ok(())
}

/// So many per cent of it on either side. Numbers are never below zero.
fn around(value: Cash, per_cent: i128) -> (Cash, Cash) {
    let by = Cash(value.0 / 100 * per_cent + value.0 % 100 * per_cent / 100);
    (value - by, value + by)
}
