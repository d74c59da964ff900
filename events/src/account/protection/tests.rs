use super::*;
use crate::codec;
use crate::money::{Lots, Money};
use crate::reason::Reason;
use crate::time::{Span, Timestamp};

mod any_order;
mod days;
mod scenarios;
mod settings;

fn money(text: &str) -> Money {
    text.parse().unwrap()
}
fn lots(text: &str) -> Lots {
    text.parse().unwrap()
}
fn rules(json: &str) -> Rules {
    let rules: Rules = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
    rules.validate().unwrap();
    rules
}
/// `2026-03-02T22:00:00Z`
fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    Timestamp(instant.as_microsecond())
}

/// An account without open positions, so that all of its equity is free.
fn figures(balance: &str, equity: &str) -> Figures {
    let (balance, equity) = (money(balance), money(equity));
    Figures { balance, equity, free_margin: equity, open_lots: None, open_positions: 0 }
}

/// Hears a heartbeat as the desk does, and says what followed.
fn beat(protection: &mut Protection, figures: &Figures, rules: &Rules, now: Timestamp) -> Vec<ProtectionEvent> {
    let events = protection.observe(figures, rules, now);
    protection.heard(figures, now);
    events.iter().for_each(|event| protection.remember(event, now));
    events
}

/// The state after it was written and read, as a snapshot is.
fn restarted(protection: &Protection) -> Protection {
    let mut bytes = Vec::new();
    codec::write(protection, &mut bytes);
    let read: Protection = codec::read(&bytes).unwrap();
    let json = serde_json::to_string(&read).unwrap();
    serde_json::from_str(&json).unwrap()
}
