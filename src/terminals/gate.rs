//! Who may speak: frames are opened, their signatures checked, and what nobody may say is turned away.

use crate::ambient;
use crate::keys::TerminalKeys;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tidehelm_actors::durable::Durable;
use tidehelm_events::id::{AccountId, DeskId, Role, StreamId};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_terminal::wire::{
    self, Codec, Direction, Envelope, FrameError, Key, KeyId, Nonce, Place, Refused, Request, Socket,
};

/// A nonce that nobody used for so long is forgotten.
const NONCE_AGE_MAX: Span = Span::seconds(60);
const NONCES_MAX: usize = 50_000;

/// Who is at the other end, as far as the transport knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Of `session`; answers to a connection that is gone go nowhere.
    pub pipe: u64,
    pub address: Option<SocketAddr>,
    /// On this machine.
    pub local: bool,
    /// Nobody can read along.
    pub private: bool,
}

impl Peer {
    pub fn name(&self) -> String {
        self.address.map_or_else(|| "local socket".into(), |address| address.ip().to_string())
    }
}

/// Somebody who may speak, and what he says.
pub struct Spoken {
    pub envelope: Envelope<Request>,
    codec: Codec,
    signer: Option<(KeyId, Key)>,
    desk: DeskId,
}

/// How to answer.
#[derive(Clone)]
pub struct About {
    account: AccountId,
    role: Role,
    epoch: u64,
    seq: u64,
    codec: Codec,
    signer: Option<(KeyId, Key)>,
    desk: DeskId,
}

impl Spoken {
    pub fn about(&self) -> About {
        let Envelope { account, role, epoch, seq, .. } = &self.envelope;
        About {
            account: account.clone(),
            role: *role,
            epoch: *epoch,
            seq: *seq,
            codec: self.codec,
            signer: self.signer,
            desk: self.desk,
        }
    }
}

impl About {
    /// The answer as it is sent: it names the request, and is signed where the request was.
    pub fn encode(&self, body: wire::Answer, now: Timestamp) -> Vec<u8> {
        let About { account, role, epoch, seq, codec, signer, desk } = self;
        let envelope = Envelope { account: account.clone(), role: *role, epoch: *epoch, seq: *seq, sent_at: now, body };
        let inner = wire::encode(&envelope, *codec);
        match signer {
            Some((id, key)) => {
                let place = Place { socket: Socket::Session, direction: Direction::Down, desk: *desk };
                wire::sign(&inner, *id, key, &place)
            }
            None => inner,
        }
    }

    pub fn refusal(&self, code: &str, detail: &str, now: Timestamp) -> Vec<u8> {
        let refused = Refused { code: code.into(), detail: detail.into(), field: None, expected: None };
        self.encode(refused.into(), now)
    }
}

/// Why somebody is not listened to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Key(String, &'static str),
    #[error("the signature does not fit: another key, another desk, or the frame was changed on its way")]
    SignatureWrong,
    #[error("this account has a key: sign the frame with it, or pair the terminal again")]
    SignatureMissing,
    #[error("the key belongs to another account")]
    KeyOfAnother,
    #[error("from another machine only signed frames are taken: pair the terminal first (`tidehelm ea pair`)")]
    Unpaired,
}

impl Stranger {
    pub fn code(&self) -> &'static str {
        match self {
            Stranger::Frame(error) => error.code(),
            Stranger::Key(_, code) => code,
            Stranger::SignatureWrong => wire::code::SIGNATURE_WRONG,
            Stranger::SignatureMissing => wire::code::SIGNATURE_MISSING,
            Stranger::KeyOfAnother => "key_of_another_account",
            Stranger::Unpaired => "terminal_not_paired",
        }
    }
    /// More than a mistake in a frame: somebody who claims to be who he has not shown to be.
    pub fn is_strange(&self) -> bool {
        true
    }
}

/// What every thread may know of a terminal without asking: which registration counts, and how far `uplink` has come.
#[derive(Debug, Default)]
pub struct Pass {
    epoch: AtomicU64,
    uplink_seq: AtomicU64,
    heard: AtomicU64,
}

impl Pass {
    /// True where the frame is of the registration that counts, and newer than what came before.
    pub fn follows(&self, epoch: u64, seq: u64) -> bool {
        epoch > 0
            && self.epoch.load(Ordering::Acquire) == epoch
            && self.uplink_seq.fetch_max(seq, Ordering::AcqRel) < seq
    }
    /// True for the first heartbeat of a registration.
    pub fn heard(&self, epoch: u64) -> bool {
        self.heard.swap(epoch, Ordering::AcqRel) != epoch
    }
}

/// The passes of all terminals.
#[derive(Debug, Clone, Default)]
pub struct Passes(Arc<RwLock<HashMap<StreamId, Arc<Pass>>>>);

impl Passes {
    pub fn get(&self, stream: &StreamId) -> Option<Arc<Pass>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(stream).cloned()
    }
    /// The registration that counts from now on.
    pub fn set(&self, stream: &StreamId, epoch: u64) {
        let mut passes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let pass = passes.entry(stream.clone()).or_default();
        if pass.epoch.swap(epoch, Ordering::AcqRel) != epoch {
            pass.uplink_seq.store(0, Ordering::Release);
        }
    }
    fn epoch(&self, stream: &StreamId) -> Option<u64> {
        self.get(stream).map(|pass| pass.epoch.load(Ordering::Acquire)).filter(|epoch| *epoch > 0)
    }
}

pub struct Gate {
    pub desk: DeskId,
    keys: Arc<TerminalKeys>,
    durable: Arc<Durable>,
    pub passes: Passes,
    nonces: Mutex<BTreeMap<[u8; 16], (StreamId, Timestamp)>>,
}

impl Gate {
    pub fn new(desk: DeskId, keys: Arc<TerminalKeys>, durable: Arc<Durable>, passes: Passes) -> Self {
        Gate { desk, keys, durable, passes, nonces: Mutex::default() }
    }

    /// Refuses in this order: frames that cannot be read, unknown keys, wrong signatures, keys of others, unsigned frames where
    /// only signed ones are taken.
    pub fn admit(&self, socket: Socket, peer: &Peer, message: &[u8]) -> Result<Spoken, Stranger> {
        let frame = wire::open(message)?;
        let signer = match frame.key() {
            Some(id) => Some(self.signer(&frame, id, socket)?),
            None => None,
        };
        let envelope: Envelope<Request> = wire::decode(frame.inner)?;
        let spoken = |signer| Spoken { envelope, codec: frame.codec, signer, desk: self.desk };
        match signer {
            Some((key, id, secret)) => {
                let spoken = spoken(Some((id, secret)));
                let its_own = (key.account(), key.role()) == (&spoken.envelope.account, spoken.envelope.role);
                if its_own { Ok(spoken) } else { Err(Stranger::KeyOfAnother) }
            }
            None => {
                let spoken = spoken(None);
                self.unsigned(&spoken, peer)?;
                Ok(spoken)
            }
        }
    }

    fn signer(&self, frame: &wire::Frame<'_>, id: KeyId, socket: Socket) -> Result<(Owner, KeyId, Key), Stranger> {
        let Some(known) = self.keys.find(id) else {
            let why = self.keys.why_not(id);
            return Err(Stranger::Key(why.to_string(), why.code()));
        };
        let key = Key(*known.secret.expose());
        let place = Place { socket, direction: Direction::Up, desk: self.desk };
        if !frame.is_by(&key, &place) {
            return Err(Stranger::SignatureWrong);
        }
        Ok((Owner(known.account.clone(), known.role), id, key))
    }

    /// Only from this machine, and only while the account never had a key. `hello` and `pair` lead to one, and say nothing that
    /// anybody could misuse.
    fn unsigned(&self, spoken: &Spoken, peer: &Peer) -> Result<(), Stranger> {
        let Envelope { account, role, body, .. } = &spoken.envelope;
        if matches!(body, Request::Hello(_) | Request::Pair(_)) {
            return Ok(());
        }
        let keyed = |desk: &tidehelm_events::desk::Desk| desk.is_keyed(account, *role);
        if self.durable.read(|fold| fold.truth.desk().is_some_and(keyed)) {
            return Err(Stranger::SignatureMissing);
        }
        if peer.local { Ok(()) } else { Err(Stranger::Unpaired) }
    }

    pub fn epoch_of(&self, stream: &StreamId) -> Option<u64> {
        self.passes.epoch(stream)
    }

    pub fn nonce(&self, stream: &StreamId, now: Timestamp) -> Nonce {
        let nonce = *ambient::uuid().as_bytes();
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= NONCES_MAX {
            nonces.retain(|_, (_, at)| now.since(*at) < NONCE_AGE_MAX);
        }
        while nonces.len() >= NONCES_MAX {
            nonces.pop_first();
        }
        nonces.insert(nonce, (stream.clone(), now));
        Nonce(nonce)
    }

    /// True once for each nonce, for who got it.
    pub fn use_nonce(&self, nonce: &Nonce, stream: &StreamId, now: Timestamp) -> bool {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let known = nonces.get(&nonce.0).is_some_and(|(whose, at)| whose == stream && now.since(*at) < NONCE_AGE_MAX);
        known && nonces.remove(&nonce.0).is_some()
    }

    /// What a stranger is told. It is not signed: there is nobody to sign it for.
    pub fn turn_away(&self, stranger: &Stranger, message: &[u8], now: Timestamp) -> Vec<u8> {
        let inner = wire::open(message).ok().and_then(|frame| {
            let envelope = wire::decode::<Request>(frame.inner).ok()?;
            Some(Spoken { envelope, codec: frame.codec, signer: None, desk: self.desk }.about())
        });
        let about = inner.unwrap_or_else(|| About {
            account: nobody(),
            role: Role::Slave,
            epoch: 0,
            seq: 0,
            codec: Codec::Json,
            signer: None,
            desk: self.desk,
        });
        about.refusal(stranger.code(), &stranger.to_string(), now)
    }
}

struct Owner(AccountId, Role);

impl Owner {
    fn account(&self) -> &AccountId {
        &self.0
    }
    fn role(&self) -> Role {
        self.1
    }
}

fn nobody() -> AccountId {
    match AccountId::new("UNKNOWN") {
        Ok(id) => id,
        Err(error) => unreachable!("{error}"),
    }
}
