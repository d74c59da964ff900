//! Endpoints: upstream services that the desk watches, sends requests to, and accounts for.
//!
//! [`Endpoint`] is the fold of one stream `endpoint/ID`: what people set and how it is. [`Proxy`] is the fold of the stream
//! `proxy`, which also has the requests that came to no endpoint. [`detect`] says what kind of server answers, [`routing`] which
//! endpoint a request goes to. What the requests add up to is a read model: `view/endpoints`.

mod command;
mod decide;
pub mod detect;
mod directory;
mod ema;
mod event;
mod health;
mod proxy;
mod request;
pub mod routing;
mod settings;
mod state;
mod told;
mod url;

#[cfg(test)]
mod tests;

pub use command::{Command, Refusal};
pub use directory::Directory;
pub use ema::Ema;
pub use event::*;
pub use health::{By, Health, Status, backoff};
pub use proxy::{Proxy, ProxyCommand, ProxySettings};
pub(crate) use request::per_second;
pub use request::{Api, Ending, Outcome, RequestFinished, Tokens, TokensKnown};
pub use settings::{Capability, Kind, Settings};
pub use state::{Endpoint, LastError};
pub use told::Told;
pub use url::normalise;
