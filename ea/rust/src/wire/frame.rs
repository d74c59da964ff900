//! What a frame is before anybody looks into it.

use super::sign::{Key, KeyId, Place, verify};
use tidehelm_events::id::CredentialId;
use uuid::Uuid;

/// The version of the envelope.
pub const VERSION: u8 = 1;
/// The most bytes of an ordinary frame, without its signature.
pub const FRAME_MAX: usize = 64 << 10;
/// The most bytes of a frame that lists what an account has.
pub const LARGE_MAX: usize = 1 << 20;
/// The most bytes of a batch.
pub const BATCH_MAX: usize = UPLINK_MAX;
/// The most bytes of a message on `uplink`.
pub const UPLINK_MAX: usize = FRAME_MAX + SIGNATURE;
/// The most bytes of a message on `session`.
pub const MESSAGE_MAX: usize = LARGE_MAX + SIGNATURE;

pub(super) const BINARY: u8 = 0x01;
pub(super) const SIGNED: u8 = 0x02;
pub(super) const BATCH: u8 = 0x03;
/// Codec byte, id of the key, MAC.
pub(super) const SIGNATURE: usize = 1 + 16 + 32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the frame is empty")]
    Empty,
    #[error("a frame starts with `{{`, 0x01, 0x02 or 0x03, not with {0:#04x}")]
    CodecUnknown(u8),
    #[error("the frame ends after {0} bytes")]
    Truncated(usize),
    #[error("{size} bytes are too many: {what} has at most {max}")]
    TooLarge { what: &'static str, size: usize, max: usize },
    #[error("a signed frame holds one plain frame, not another signed one or a batch")]
    Nested,
    #[error("a batch is only for `uplink`, and holds no batch")]
    BatchHere,
    #[error("this is version {found} of the envelope, known is {VERSION}")]
    VersionUnknown { found: u8 },
    #[error("nobody here knows the kind `{0}`")]
    KindUnknown(String),
    #[error("`{kind}` has no schema {schema} here")]
    SchemaUnknown { kind: &'static str, schema: u16 },
    #[error("cannot read {what}: {why}")]
    Malformed { what: &'static str, why: String },
}

impl FrameError {
    /// What a refusal calls it.
    pub fn code(&self) -> &'static str {
        match self {
            FrameError::Empty => "frame_empty",
            FrameError::CodecUnknown(_) => "frame_codec_unknown",
            FrameError::Truncated(_) => "frame_truncated",
            FrameError::TooLarge { .. } => "frame_too_large",
            FrameError::Nested => "frame_nested",
            FrameError::BatchHere => "frame_batch_here",
            FrameError::VersionUnknown { .. } => "frame_version_unknown",
            FrameError::KindUnknown(_) => "frame_kind_unknown",
            FrameError::SchemaUnknown { .. } => "frame_schema_unknown",
            FrameError::Malformed { .. } => "frame_malformed",
        }
    }
}

/// How the body of a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Json,
    Binary,
}

/// A frame whose signature, if it has one, stands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub codec: Codec,
    /// The plain frame as it was sent.
    pub inner: &'a [u8],
    /// Whose key it claims, and its MAC.
    pub signature: Option<(KeyId, [u8; 32])>,
}

impl Frame<'_> {
    pub fn key(&self) -> Option<KeyId> {
        self.signature.map(|(key, _)| key)
    }
    /// Whether the MAC was made with this key for this place. A frame without one was not.
    pub fn is_by(&self, key: &Key, place: &Place) -> bool {
        self.signature.is_some_and(|(_, mac)| verify(self.inner, &mac, key, place))
    }
}

/// The frame that the bytes are. The body is not looked at yet.
pub fn open(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    if bytes.first() != Some(&SIGNED) {
        return Ok(Frame { codec: codec(bytes)?, inner: bytes, signature: None });
    }
    let Some((head, inner)) = bytes.split_at_checked(SIGNATURE) else { return Err(FrameError::Truncated(bytes.len())) };
    let codec = match codec(inner) {
        Err(FrameError::CodecUnknown(SIGNED) | FrameError::BatchHere) => return Err(FrameError::Nested),
        other => other?,
    };
    let (mut key, mut mac) = ([0; 16], [0; 32]);
    key.copy_from_slice(&head[1..17]);
    mac.copy_from_slice(&head[17..]);
    Ok(Frame { codec, inner, signature: Some((CredentialId(Uuid::from_bytes(key)), mac)) })
}

fn codec(bytes: &[u8]) -> Result<Codec, FrameError> {
    match bytes.first() {
        None => Err(FrameError::Empty),
        Some(b'{') => Ok(Codec::Json),
        Some(&BINARY) => Ok(Codec::Binary),
        Some(&BATCH) => Err(FrameError::BatchHere),
        Some(&other) => Err(FrameError::CodecUnknown(other)),
    }
}
