//! The program as its users meet it: real processes, sockets, files, kill -9.
#![allow(clippy::unwrap_used, reason = "what a test cannot do fails it")]
#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

mod alerts;
mod audit;
mod bad;
mod client;
mod clock;
mod dashboard;
mod deploy;
mod desk;
mod ea;
mod endpoints;
mod fleet;
mod groups;
mod http;
mod kill;
mod live;
mod liveness;
mod log;
mod numbers;
mod pairing;
mod postgres;
mod power;
mod proxy;
mod python;
mod requests;
mod shim;
mod socket;
mod stop;
