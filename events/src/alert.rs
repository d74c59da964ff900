//! Alerts: what deserves that somebody hears of it, who hears, and whether they did.
//!
//! [`Alerts`] is the fold of the one stream `alerts`: the rules, the channels, what is raised, what is muted, and the outbox of what
//! must be told. [`watch`] says which conditions hold, by what the log says and what only the machine knows; it is asked again and
//! again, and only edges become commands. A condition is raised once and cleared once, whatever it is told in between.

mod channel;
mod command;
mod decide;
mod delivery;
mod event;
mod name;
mod rule;
mod state;
pub mod watch;

#[cfg(test)]
mod tests;

pub use channel::{Channel, Tls, Way};
pub use command::{Command, Refusal};
pub use delivery::{Delivery, DeliveryId, Edge, backoff};
pub use event::*;
pub use name::{ChannelId, NameError, Pattern, RuleId, Subject};
pub use rule::{Rule, Severity, When, built_in};
pub use state::{Acknowledgement, Alert, Alerts, Clearance, Done, Entry, Mute, Tally};
