//! Who is doing it, and in what order.
//!
//! The logic is in step machines (`node`, `journal`, `watch`) that two hosts run: actix with the real clock (the files named
//! after actors) and `world` with a seed. Nothing here opens a database or a socket: what is needed of the outside is in
//! `port`.

pub mod desk;
pub mod journal;
pub mod memory;
pub mod node;
pub mod port;
pub mod restore;
pub mod watch;
pub mod world;
