//! Bytes of single values: bincode 2, standard configuration, with a limit, every byte used.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most that a single payload may claim; nothing larger is allocated on a record's word.
pub const PAYLOAD_MAX: usize = 1 << 20;

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
    let config = bincode::config::standard().with_limit::<PAYLOAD_MAX>();
    bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| CodecError::Malformed { what, why: error.to_string() })
}

/// As [`take`], for lists and states that may be large; serde itself allocates no more than 1 MiB on a length's word.
pub fn take_large<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<(T, usize), CodecError> {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard())
        .map_err(|error| CodecError::Malformed { what, why: error.to_string() })
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
