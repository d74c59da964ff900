//! How does it touch the world?

pub mod ambient;
pub mod cli;
pub mod config;
pub mod emergency;
pub mod export;
pub mod fleet;
pub mod history;
pub mod http;
pub mod import;
pub mod keys;
pub mod migrate;
pub mod nng;
pub mod offline;
pub mod pairing;
pub mod replay;
pub mod retention;
pub mod seal;
pub mod serve;
pub mod source;
pub mod store;
pub mod tables;
pub mod telemetry;
pub mod terminals;
pub mod verify;
pub mod walk;
pub mod why;
