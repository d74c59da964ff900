//! Simulated terminals and brokers: what `tidehelm fleet` and `tidehelm demo` run, and what the desk is tested with.
//!
//! Masters trade at brokers that answer late, refuse and fill in part; slaves copy what the desk tells them. At the end an
//! arithmetic of its own says, from what the brokers executed, whether every slave holds what it should.

pub mod broker;
pub mod cast;
pub mod crew;
pub mod house;
pub mod line;
pub mod market;
pub mod reference;
pub mod report;
pub mod rng;
pub mod run;
pub mod setup;
pub mod station;
pub mod story;
pub mod trader;
pub mod watch;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
