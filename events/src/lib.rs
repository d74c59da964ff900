//! What can happen, and what follows from it.
//!
//! Nothing here knows the time, a file, a socket, a thread or chance: `now` and ids arrive as data, and the same input gives
//! the same bytes on every machine.
//!
//! Reading order: the vocabulary (`id`, `money`, `time`, `reason`), the record (`envelope`, `event`, `codec`, `commit`), the
//! rule of a stream (`stream`), the streams (`desk`, `account`, `endpoint`, `alert`, `market`, `strategy`, `order`), all of them together (`truth`, `react`), and what people look
//! at (`view`).

pub mod account;
pub mod alert;
pub mod answer;
pub mod codec;
pub mod commit;
pub mod copy;
pub mod desk;
pub mod endpoint;
pub mod envelope;
pub mod event;
pub mod id;
pub mod market;
pub mod money;
pub mod order;
pub mod react;
pub mod reason;
pub mod strategy;
pub mod stream;
pub mod time;
pub mod trade;
pub mod truth;
pub mod view;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod sample;
