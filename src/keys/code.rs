//! Pairing codes: short enough to be typed, and good for so little that guessing one does not pay.

use crate::ambient;
use crate::keys::Digest;
use std::fmt;
use tidehelm_events::id::CredentialId;

/// Letters and digits that are not taken for each other: no 0 and O, no 1 and I.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const CHARS: usize = 8;
/// The first characters say which code is meant, so that a wrong try counts against that one alone.
const NAME_CHARS: usize = 3;

/// A code as a person reads and types it: 40 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; CHARS]);

impl Code {
    pub fn random() -> Self {
        // 256 is a multiple of 32: each character is as likely as the others.
        Code(ambient::random::<CHARS>().map(|byte| ALPHABET[usize::from(byte) % ALPHABET.len()]))
    }

    /// What somebody typed: small letters, spaces and dashes do no harm.
    pub fn read(text: &str) -> Option<Self> {
        let mut typed = text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')).map(|byte| byte.to_ascii_uppercase());
        let mut code = [0; CHARS];
        for place in &mut code {
            *place = typed.next().filter(|byte| ALPHABET.contains(byte))?;
        }
        typed.next().is_none().then_some(Code(code))
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.0[..NAME_CHARS]
    }

    /// What the vault keeps: the name, and a hash that is bound to the row.
    pub(super) fn kept(&self, row: CredentialId) -> Vec<u8> {
        [self.name(), &self.hash(row)].concat()
    }

    pub(super) fn hash(&self, row: CredentialId) -> Digest {
        *blake3::Hasher::new().update(row.0.as_bytes()).update(&self.0).finalize().as_bytes()
    }
}

/// Name and hash of what the vault keeps.
pub(super) fn kept(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(NAME_CHARS)
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_code_has_no_character_that_is_taken_for_another() {
        let characters: BTreeSet<u8> = (0..500).flat_map(|_| Code::random().0).collect();
        assert_eq!(characters, ALPHABET.iter().copied().collect());
        assert!(b"01OI".iter().all(|odd| !ALPHABET.contains(odd)));
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = Code::read("K7QWMX2P").unwrap();
        for typed in ["k7qwmx2p", "K7QW-MX2P", " k7q wmx 2p "] {
            assert_eq!(Code::read(typed), Some(code.clone()), "{typed}");
        }
        for typed in ["", "K7QWMX2", "K7QWMX2PP", "K7QWMX20", "K7QWMX2O", "K7QWMX2ä", "K7QW_MX2P"] {
            assert_eq!(Code::read(typed), None, "{typed}");
        }
        assert_eq!(code.to_string(), "K7QWMX2P");
    }
}
