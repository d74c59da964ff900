//! Strategies: what they see, what they decide, and why.
//!
//! A maker quotes both sides all the time; a taker has one ENTRY and one EXIT for each trade. Whatever either decides follows from
//! events of the log and nothing else.
//!
//! [`Strategy`] is the fold of one stream `strategy/ID`, whichever shape it has; what either shape is lies in [`maker`] and
//! [`taker`]. [`guard`] says what may be done. What a decision looks at in other streams is gathered in `truth/trading.rs`.

mod command;
mod event;
pub mod guard;
pub mod indicators;
pub mod maker;
mod state;
pub mod taker;

pub use command::{Command, Refusal};
pub use event::*;
pub use state::{Failure, Shape, Strategy};
