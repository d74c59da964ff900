//! What a trading terminal and a Tidehelm desk say to each other, and the terminal's end of it.
//!
//! Reading order: what is said (`wire`), what a terminal says and does when (`terminal`, without clock or I/O), and one on
//! threads of its own, with sockets and a file (`client`). What NNG needs
//! care with is in `ear` and `client::uplink`.

pub mod client;
pub mod ear;
pub mod terminal;
pub mod wire;
