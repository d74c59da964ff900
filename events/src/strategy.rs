//! Strategies: what they see, what they decide, and why.
//!
//! A maker quotes both sides all the time; a taker has one ENTRY and one EXIT for each trade. Whatever either decides follows from
//! events of the log and nothing else.

pub mod guard;
pub mod maker;
