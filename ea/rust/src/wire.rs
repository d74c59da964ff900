//! The words on the wire and their bytes. No I/O, no clock.
//!
//! A message on a socket is one frame, or on `uplink` a batch of them. A frame starts with its codec:
//!
//! | First byte | Rest |
//! |---|---|
//! | `{` | a JSON document: `v, account, role, epoch, seq, sent_at, kind, body` |
//! | `0x01` | kind and schema as little-endian u16, then bincode of `v, account, role, epoch, seq, sent_at` and of the body |
//! | `0x02` | signed: id of the key (16 bytes), MAC (32 bytes), then a frame of one of the two above |
//! | `0x03` | a batch: again and again the length of a frame as little-endian u32, and the frame, which may be signed |
//!
//! The MAC is HMAC-SHA256 over `tidehelm/1|socket|direction|desk id|` and the inner frame as it was sent.

mod batch;
pub mod code;
mod envelope;
mod frame;
mod message;
mod sign;

#[cfg(test)]
mod document;
#[cfg(test)]
mod golden;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use batch::{Batch, split};
pub use envelope::{Body, Envelope, Kind, decode, encode};
pub use frame::{BATCH_MAX, Codec, FRAME_MAX, Frame, FrameError, LARGE_MAX, MESSAGE_MAX, UPLINK_MAX, VERSION, open};
pub use message::*;
pub use sign::{Direction, Key, KeyId, Place, Socket, sign};
