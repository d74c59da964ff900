//! Takers: one ENTRY and one EXIT for each trade.
//!
//! [`Family`] is the plug-in: what it needs to see, where it gives up at a loss, when it enters, when it leaves. The six families
//! here are examples of that shape and no claim of an edge. [`Taker`] is the fold of a stream `strategy/ID` that hosts one: its
//! parameter sets, its two legs, its trades with peaks, partials and moved stops. Nothing is kept but what events say, so that a
//! restart at any event goes on as if there had been none.

mod command;
mod decide;
mod entry_leg;
mod event;
mod exit;
mod exit_leg;
mod family;
mod flow;
mod legs;
mod macd_rsi_div;
mod param;
mod ping;
mod plan;
mod quiet;
mod settings;
mod squeeze_break;
mod state;
mod tick_imbalance;
mod trade;
mod view;
mod wick_blend;
mod wick_pro;

#[cfg(test)]
mod tests;

pub use command::{Command, News, Refusal};
pub use decide::{Allowed, Around};
pub use event::*;
pub use family::{EntryProposal, ExitProposal, Family, LossExit, Needs, admit};
pub use flow::Flow;
pub use legs::{Leg, LegState, LegStatus};
pub use macd_rsi_div::MacdRsiDiv;
pub use param::Range;
pub use ping::Ping;
pub use plan::{Lock, Partial, Plan};
pub use quiet::Quiet;
pub use settings::{AnyFamily, Host, Set, Settings};
pub use squeeze_break::SqueezeBreak;
pub use state::{Denied, Taker};
pub use tick_imbalance::TickImbalance;
pub use trade::{Entry, Exit, PartialStep, Trade};
pub use view::View;
pub use wick_blend::WickBlend;
pub use wick_pro::WickPro;
