//! The guard: which strategies may enter and exit, until when, and who said so.
//!
//! [`Guard`] is the fold of the one stream `guard`. It suspends and resumes; it never decides a trade. What is *requested* is
//! what people set; what is *effective* follows from that and from [`Conditions`] at a moment: [`Guard::rule`] answers for one
//! wish, [`Guard::effective`] for people to read.

mod command;
mod decide;
mod event;
mod rule;
#[cfg(test)]
pub(crate) mod samples;
mod state;
#[cfg(test)]
mod tests;

pub use command::{Command, Refusal, TTL_MAX, Write};
pub use event::*;
pub use rule::{Conditions, Effective, Knowing, Sight, Why, Wish};
pub use state::{Guard, Requested, STRATEGIES_MAX, Stop};
