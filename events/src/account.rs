//! A terminal's account in one role: who it is, whether it is wanted, whether it is there, and the status that follows.

pub mod book;
mod command;
mod compare;
mod config;
mod decide;
mod evaluated;
mod event;
mod limits;
mod link;
mod master;
pub mod protection;
mod settings;
mod slave;
mod state;
pub mod status;

#[cfg(test)]
mod tests;

pub use book::{MasterBook, MasterTrade, SlaveBook, Until};
pub use command::{Command, MasterNote, MasterSide, Refusal, Signal, SignalNote, Snapshot, SnapshotTrade};
pub use config::{Config, LinkConfig};
pub use event::*;
pub use settings::AccountSettings;
pub use state::{Account, Connection, Figures, Group, Identity, Link};
