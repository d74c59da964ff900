//! Makers: two-sided quotes, how careful they are, and what is done so that the venue's book shows them.
//!
//! [`Maker`] is the fold of one stream `strategy/ID`. [`Maker::tick`] is the whole decision: reasons → mode → quotes → plan. It
//! looks at its own state and at a [`Look`], and says nothing where nothing follows, so that a quiet market writes nothing.
//!
//! Reading order: `parameter` (what people set), `reason` and `mode` (what is allowed), `model` and `quote` (what is wanted),
//! `plan` (what is done about it), `state`.

mod command;
mod decide;
mod event;
pub mod gate;
mod look;
mod mode;
mod model;
mod parameter;
mod plan;
mod quote;
mod reason;
mod state;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use command::{Command, Refusal};
pub use event::*;
pub use look::{Look, Working};
pub use mode::Mode;
pub use model::{Model, Scene, Spread};
pub use parameter::{Number, Parameters, Response, Tightens};
pub use quote::LEVELS_MAX;
pub use reason::{Reason, Reasons, Why};
pub use state::{Maker, ParameterSet, SETS_MAX, SetId};

/// Which logic decided. It changes with anything that decides otherwise on the same log, so that `verify --decisions` knows what it
/// can compare.
pub const LOGIC: u16 = 1;
