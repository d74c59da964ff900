//! A terminal's account in one role: who it is, whether it is wanted, whether it is there, and the status that follows.

mod command;
mod decide;
mod event;
pub mod protection;
mod state;
pub mod status;

#[cfg(test)]
mod tests;

pub use command::{Command, MasterNote, Refusal};
pub use event::{
    Connected, Disconnected, Event, HeartbeatSeen, HeartbeatSeenV1, IntentSet, LinkAdded, LinkRemoved, MasterNoted,
    Registered, StateHash, StatusChanged, Unregistered,
};
pub use state::{Account, Connection, Figures, Identity};
