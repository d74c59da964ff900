//! Bytes of single values: bincode 2, standard configuration, with a limit, every byte used.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most bytes that a single payload has.
pub const PAYLOAD_MAX: usize = 1 << 20;
/// From here on a list or state is read without a limit.
const LARGE: usize = 1 << 26;
/// What a byte that is there may claim in memory: as much as the widest number, written in one.
const CLAIM: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("cannot decode {what}: {why}")]
    Malformed { what: &'static str, why: String },
    #[error("{count} bytes are left over after {what}")]
    LeftOver { what: &'static str, count: usize },
    #[error("cannot read the payload of a {kind}: {why}")]
    Json { kind: String, why: String },
    #[error("no event kind is called `{0}`")]
    UnknownKind(String),
}

/// Appends the value's bytes.
pub fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    if let Err(error) = bincode::serde::encode_into_std_write(value, out, bincode::config::standard()) {
        unreachable!("a value that has no bytes: {error}");
    }
}

/// The value that the bytes are, all of them.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let what = std::any::type_name::<T>();
    let (value, used) = take(bytes, what)?;
    if used != bytes.len() {
        return Err(CodecError::LeftOver { what, count: bytes.len() - used });
    }
    Ok(value)
}

/// The value at the start of the bytes, and how many of them it is.
pub fn take<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<(T, usize), CodecError> {
    take_within::<T, { CLAIM * PAYLOAD_MAX }>(bytes, what)
}

/// As [`take`], for lists and states that may be large. Without a limit a damaged length would be allocated on its word, which
/// ends the process.
pub fn take_large<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<(T, usize), CodecError> {
    if bytes.len() <= PAYLOAD_MAX {
        take(bytes, what)
    } else if bytes.len() <= LARGE {
        take_within::<T, { CLAIM * LARGE }>(bytes, what)
    } else {
        said(bincode::serde::decode_from_slice(bytes, bincode::config::standard()), what)
    }
}

fn take_within<T: DeserializeOwned, const LIMIT: usize>(
    bytes: &[u8],
    what: &'static str,
) -> Result<(T, usize), CodecError> {
    said(bincode::serde::decode_from_slice(bytes, bincode::config::standard().with_limit::<LIMIT>()), what)
}

fn said<T>(read: Result<T, bincode::error::DecodeError>, what: &'static str) -> Result<T, CodecError> {
    read.map_err(|error| CodecError::Malformed { what, why: error.to_string() })
}

/// As [`read`], for whole states.
pub fn read_large<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let what = std::any::type_name::<T>();
    let (value, used) = take_large(bytes, what)?;
    if used != bytes.len() {
        return Err(CodecError::LeftOver { what, count: bytes.len() - used });
    }
    Ok(value)
}
