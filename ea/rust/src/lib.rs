//! What a trading terminal and a Tidehelm desk say to each other, and the terminal's end of it.
//!
//! Reading order: what is said (`wire`), and what a terminal says and does when (`terminal`, without clock or I/O).

pub mod terminal;
pub mod wire;
