//! What a trading terminal and a Tidehelm desk say to each other, and the terminal's end of it.
//!
//! Reading order: what is said (`wire`).

pub mod wire;
