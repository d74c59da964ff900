//! The desk itself: its settings and lock, the people and keys that may use it, and what it noticed of its own world.

mod command;
mod decide;
mod event;
mod pairing;
mod state;

#[cfg(test)]
mod tests;

pub use command::{Command, Refusal};
pub use event::*;
pub use pairing::{Pairing, TRIES_MAX, TerminalKey};
pub use state::{Desk, Invite, Session, Stop, Token, User};
