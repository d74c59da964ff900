//! Pairing: a code that a person made is exchanged for the key of a terminal.
//!
//! One exchange at a time, and the desk decides on each: a wrong try counts before the next one is looked at.

use crate::ambient::DeskClock;
use crate::keys::{Code, KeyError, Keys, Tried};
use crate::seal::KeyBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidehelm_actors::desk::Host;
use tidehelm_actors::journal::Fault;
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::{Clock, LogFault};
use tidehelm_events::answer::{Answer, Denial};
use tidehelm_events::desk::{self as events, Desk, PairingFailed, PairingUsed, Refusal};
use tidehelm_events::id::{AccountId, CredentialId, Position, Principal, Role, StreamId};
use tidehelm_events::time::{Span, Timestamp};

/// A code is good for this long.
pub const CODE_AGE: Span = Span::seconds(600);
/// Tries in a minute before the next one has to wait: from one address, and from all.
const PEER_TRIES_MAX: u32 = 10;
const ALL_TRIES_MAX: u32 = 60;
/// How long an exchange waits until its key is in the table. The key is good either way.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);
/// How often keys that could not be opened are tried again.
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// How somebody reaches the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ThisMachine,
    Tls,
    /// Others may listen.
    Open,
}

/// Who comes with a code.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: String,
    pub way: Way,
}

/// What a terminal says to get its key.
#[derive(Debug, Clone)]
pub struct Asked {
    pub code: String,
    pub account: AccountId,
    pub role: Role,
}

/// The key of a terminal; this is the only time that it leaves the desk.
#[derive(Debug)]
pub struct Paired {
    pub key: CredentialId,
    pub secret: KeyBytes,
}

#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    #[error(
        "a code is exchanged only on the desk's own machine or over TLS; others could read this one, so make a new one"
    )]
    Open,
    #[error("too many tries; wait a minute and try again")]
    TooMany,
    #[error("{}", .0.detail)]
    Refused(Denial),
    #[error("the desk cannot seal a key: {0}")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl PairingError {
    /// Stable, `snake_case`.
    pub fn code(&self) -> &str {
        match self {
            PairingError::Open => "pairing_in_the_open",
            PairingError::TooMany => "too_many_tries",
            PairingError::Refused(denial) => &denial.code,
            PairingError::Key(KeyError::Seal(why)) => why.code(),
            PairingError::Key(_) => "store_unavailable",
            PairingError::Fault(Fault::Overloaded) => "overloaded",
            PairingError::Fault(Fault::Unavailable) => "log_unavailable",
            PairingError::Fault(Fault::Stopping) => "stopping",
        }
    }
}

impl From<LogFault> for PairingError {
    fn from(fault: LogFault) -> Self {
        PairingError::Key(fault.into())
    }
}

pub struct Pairings {
    host: Host,
    keys: Arc<Keys>,
    clock: Arc<DeskClock>,
    attempts: Attempts,
    turn: tokio::sync::Mutex<()>,
}

impl Pairings {
    pub fn new(host: Host, keys: Arc<Keys>, clock: Arc<DeskClock>) -> Self {
        Pairings { host, keys, clock, attempts: Attempts::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Exchanges a code for a key, which is good once this returns. Refuses in this order: in the open, too many tries, a code
    /// that is not known or not right, then what the desk says.
    pub async fn exchange(&self, asked: &Asked, peer: &Peer) -> Result<Paired, PairingError> {
        if peer.way == Way::Open {
            return Err(PairingError::Open);
        }
        if !self.attempts.may_try(&peer.address, self.clock.now()) {
            return Err(PairingError::TooMany);
        }
        let _turn = self.turn.lock().await;
        let unknown = || PairingError::Refused(Refusal::PairingUnknown.denial());
        let code = Code::read(&asked.code).ok_or_else(unknown)?;
        match self.keys.try_code(&code) {
            Tried::Unknown => Err(unknown()),
            Tried::Wrong(pairing) => {
                self.fail(pairing, asked, peer).await?;
                Err(unknown())
            }
            Tried::Right(pairing) => self.issue(pairing, asked, peer).await,
        }
    }

    async fn issue(&self, pairing: CredentialId, asked: &Asked, peer: &Peer) -> Result<Paired, PairingError> {
        let (key, secret) = self.keys.issue_key().await?;
        let (account, role) = (asked.account.clone(), asked.role);
        let used = PairingUsed { pairing, account, role, peer: peer.address.clone() };
        match self.ask(events::Command::UsePairing { used, key }).await? {
            Err(denial) => {
                self.keys.destroy(key).await?;
                self.fail(pairing, asked, peer).await?;
                Err(PairingError::Refused(denial))
            }
            Ok(position) => {
                self.attempts.was_right(&peer.address);
                self.host.durable.shows(position, SHOWN_WITHIN).await;
                self.keys.destroy(pairing).await?;
                follow(&self.host, &self.keys).await?;
                Ok(Paired { key, secret })
            }
        }
    }

    /// Counts a wrong try. A code that ends by it is destroyed.
    async fn fail(&self, pairing: CredentialId, asked: &Asked, peer: &Peer) -> Result<(), PairingError> {
        let (account, role) = (asked.account.clone(), asked.role);
        let failed = PairingFailed { pairing, account, role, peer: peer.address.clone() };
        if let Ok(position) = self.ask(events::Command::FailPairing(failed)).await? {
            self.host.durable.shows(position, SHOWN_WITHIN).await;
        }
        if !pairings(&self.host).contains(&pairing) {
            self.keys.destroy(pairing).await?;
        }
        Ok(())
    }

    async fn ask(&self, command: events::Command) -> Result<Result<Position, Denial>, Fault> {
        let order = Order::once(StreamId::Desk, Principal::Terminal, Command::Desk(command), self.clock.now());
        let reply = self.host.ask(order).await?;
        Ok(match reply.answer {
            Answer::Done { .. } => Ok(reply.position),
            Answer::Refused(denial) => Err(denial),
        })
    }
}

/// The codes that are open, as everybody may see it.
pub fn pairings(host: &Host) -> BTreeSet<CredentialId> {
    host.durable.read(|fold| fold.truth.desk().map(|desk| desk.pairings.keys().copied().collect()).unwrap_or_default())
}

/// Makes the table of keys what the log says now.
pub async fn follow(host: &Host, keys: &Keys) -> Result<(), LogFault> {
    let issued = |desk: &Desk| desk.terminal_keys.clone();
    keys.follow(|| host.durable.read(|fold| fold.truth.desk().map(issued).unwrap_or_default())).await
}

/// Keeps the table of keys what the log says, whoever changed it, and opens keys once their master key is back.
pub async fn keep(host: Host, keys: Arc<Keys>) {
    let (mut head, mut retry) = (host.durable.subscribe(), tokio::time::interval(RETRY_EVERY));
    let touched = || host.durable.read(|fold| fold.truth.slot_of(&StreamId::Desk).map(|desk| desk.touched));
    let mut seen = None;
    warn_of_shut(&keys);
    loop {
        let again = tokio::select! {
            changed = head.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
            _ = retry.tick() => keys.terminals.count().1 > 0,
        };
        let now = touched();
        if again || now != seen {
            match follow(&host, &keys).await {
                Ok(()) => seen = now,
                Err(error) => tracing::warn!(%error, "the keys of terminals cannot be read"),
            }
        }
    }
}

fn warn_of_shut(keys: &Keys) {
    let (all, shut) = keys.terminals.count();
    if shut > 0 {
        let why = keys.terminals.troubles().join(", ");
        tracing::warn!(
            shut,
            all,
            why,
            "keys of terminals cannot be opened; their terminals are turned away: see `tidehelm secrets status`"
        );
    }
}

/// Tries of the current minute, by address.
#[derive(Default)]
struct Attempts(Mutex<(i64, BTreeMap<String, u32>)>);

impl Attempts {
    /// Counts a try and says whether it may go on.
    fn may_try(&self, address: &str, now: Timestamp) -> bool {
        let minute = now.0.div_euclid(60_000_000);
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.0 != minute {
            *tries = (minute, BTreeMap::new());
        }
        let own = tries.1.get(address).copied().unwrap_or(0);
        if own >= PEER_TRIES_MAX || tries.1.values().sum::<u32>() >= ALL_TRIES_MAX {
            return false;
        }
        tries.1.insert(address.to_string(), own + 1);
        true
    }

    /// The code was right: the try does not count.
    fn was_right(&self, address: &str) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = tries.1.get_mut(address) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_by_address_and_in_all_and_anew_each_minute() {
        let (attempts, minute) = (Attempts::default(), |minute: i64| Timestamp(minute * 60_000_000));
        let may = |address: &str, at: i64| attempts.may_try(address, minute(at));
        assert_eq!((0..12).filter(|_| may("a", 7)).count(), 10);
        assert!(may("b", 7), "another address");
        attempts.was_right("a");
        assert!(may("a", 7) && !may("a", 7), "a right one does not count");
        let others = (0..100).filter(|peer| may(&format!("peer {peer}"), 7)).count();
        assert_eq!(others, 60 - 11, "all together");
        assert!(may("a", 8));
    }
}
