//! Who speaks, when, and what: the envelope and its two codecs.

use super::frame::{BINARY, Codec, FRAME_MAX, FrameError, LARGE_MAX, VERSION};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use tidehelm_events::codec;
use tidehelm_events::id::{AccountId, Role};
use tidehelm_events::time::Timestamp;

/// A message with its sender. An answer carries `account`, `role`, `epoch` and `seq` of what it answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope<B> {
    pub account: AccountId,
    pub role: Role,
    /// The terminal's, given by the desk with `registered`; 0 before.
    pub epoch: u64,
    /// 1, 2, 3 … in each epoch and on each socket. It means nothing in epoch 0, where a `register` is known by its nonce.
    pub seq: u64,
    pub sent_at: Timestamp,
    pub body: B,
}

/// What a kind of body is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub number: u16,
    pub name: &'static str,
    pub schema: u16,
    /// Lists what an account has, and so may be as long as [`LARGE_MAX`].
    pub large: bool,
}

impl Kind {
    /// The most bytes of its frames.
    pub fn size_max(&self) -> usize {
        if self.large { LARGE_MAX } else { FRAME_MAX }
    }
}

/// All that one side may say.
pub trait Body: Sized + Serialize {
    fn kind(&self) -> Kind;
    fn kinds() -> &'static [Kind];
    fn write(&self, out: &mut Vec<u8>);
    fn read(kind: &Kind, bytes: &[u8]) -> Result<Self, FrameError>;
    fn read_json(kind: &Kind, text: &str) -> Result<Self, FrameError>;
}

#[derive(Serialize, Deserialize)]
struct Head {
    v: u8,
    account: AccountId,
    role: Role,
    epoch: u64,
    seq: u64,
    sent_at: Timestamp,
}

impl Head {
    fn with<B>(self, body: B) -> Envelope<B> {
        let Head { v: _, account, role, epoch, seq, sent_at } = self;
        Envelope { account, role, epoch, seq, sent_at, body }
    }
}

/// The plain frame of an envelope.
pub fn encode<B: Body>(envelope: &Envelope<B>, codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Json => encode_json(envelope),
        Codec::Binary => encode_binary(envelope),
    }
}

/// The envelope of a plain frame. Its size is checked before anything of its body is kept.
pub fn decode<B: Body>(inner: &[u8]) -> Result<Envelope<B>, FrameError> {
    check_size("a frame", inner.len(), LARGE_MAX)?;
    match inner.split_first() {
        None => Err(FrameError::Empty),
        Some((b'{', _)) => decode_json(inner),
        Some((&BINARY, rest)) => decode_binary(inner.len(), rest),
        Some((&other, _)) => Err(FrameError::CodecUnknown(other)),
    }
}

fn encode_binary<B: Body>(envelope: &Envelope<B>) -> Vec<u8> {
    let Envelope { account, role, epoch, seq, sent_at, body } = envelope;
    let kind = body.kind();
    let mut out = Vec::with_capacity(192);
    out.push(BINARY);
    out.extend_from_slice(&kind.number.to_le_bytes());
    out.extend_from_slice(&kind.schema.to_le_bytes());
    codec::write(&(VERSION, account, role, epoch, seq, sent_at), &mut out);
    body.write(&mut out);
    out
}

fn decode_binary<B: Body>(size: usize, rest: &[u8]) -> Result<Envelope<B>, FrameError> {
    let Some((&[n0, n1, s0, s1], rest)) = rest.split_first_chunk::<4>() else {
        return Err(FrameError::Truncated(size));
    };
    let (number, schema) = (u16::from_le_bytes([n0, n1]), u16::from_le_bytes([s0, s1]));
    let known = B::kinds().iter().find(|kind| kind.number == number);
    let kind = known.ok_or_else(|| FrameError::KindUnknown(number.to_string()))?;
    if kind.schema != schema {
        return Err(FrameError::SchemaUnknown { kind: kind.name, schema });
    }
    check_size(kind.name, size, kind.size_max())?;
    let (head, used) = codec::take::<Head>(rest, "an envelope").map_err(|error| malformed("an envelope", &error))?;
    check_version(head.v)?;
    Ok(head.with(B::read(kind, &rest[used..])?))
}

#[derive(Serialize)]
struct Document<'a, B> {
    v: u8,
    account: &'a AccountId,
    role: Role,
    epoch: u64,
    seq: u64,
    sent_at: Timestamp,
    kind: &'static str,
    body: &'a B,
}

/// As [`Document`], read without a copy of its body.
#[derive(Deserialize)]
struct Outline<'a> {
    v: u8,
    account: AccountId,
    role: Role,
    #[serde(default)]
    epoch: u64,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    sent_at: Timestamp,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    body: &'a RawValue,
}

fn encode_json<B: Body>(envelope: &Envelope<B>) -> Vec<u8> {
    let Envelope { account, role, epoch, seq, sent_at, body } = envelope;
    let (role, epoch, seq, sent_at) = (*role, *epoch, *seq, *sent_at);
    let document = Document { v: VERSION, account, role, epoch, seq, sent_at, kind: body.kind().name, body };
    match serde_json::to_vec(&document) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("a message that has no JSON: {error}"),
    }
}

fn decode_json<B: Body>(bytes: &[u8]) -> Result<Envelope<B>, FrameError> {
    let outline: Outline<'_> = serde_json::from_slice(bytes).map_err(|error| malformed("an envelope", &error))?;
    let Outline { v, account, role, epoch, seq, sent_at, kind, body } = outline;
    check_version(v)?;
    let known = B::kinds().iter().find(|known| known.name == kind);
    let kind = known.ok_or_else(|| FrameError::KindUnknown(kind.chars().take(40).collect()))?;
    check_size(kind.name, bytes.len(), kind.size_max())?;
    let body = B::read_json(kind, body.get())?;
    Ok(Envelope { account, role, epoch, seq, sent_at, body })
}

fn check_size(what: &'static str, size: usize, max: usize) -> Result<(), FrameError> {
    if size > max { Err(FrameError::TooLarge { what, size, max }) } else { Ok(()) }
}

fn check_version(found: u8) -> Result<(), FrameError> {
    if found == VERSION { Ok(()) } else { Err(FrameError::VersionUnknown { found }) }
}

pub(super) fn malformed(what: &'static str, why: &dyn std::fmt::Display) -> FrameError {
    FrameError::Malformed { what, why: why.to_string().chars().take(300).collect() }
}
