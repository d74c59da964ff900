//! Who is doing it, and in what order.
//!
//! The logic is in step machines (`node`, `journal`, `restore`, `watch`) that two hosts run: actix with the real clock
//! (`desk`, `account`, `endpoint`, with the threads `writer` and `projector` beside them) and `world` with a seed. Nothing here opens a
//! database or a socket: what is needed of the outside is in `port`.

pub mod account;
pub mod desk;
pub mod durable;
pub mod endpoint;
pub mod evaluations;
pub mod journal;
pub mod market_sim;
pub mod memory;
pub mod node;
pub mod paper;
pub mod port;
pub mod projector;
pub mod restore;
pub mod watch;
pub mod world;
pub mod writer;
