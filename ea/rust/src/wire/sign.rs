//! Who said it, and where: a MAC that is good for one socket, one direction and one desk.

use super::frame::{SIGNATURE, SIGNED};
use super::message::hex_bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use tidehelm_events::id::{CredentialId, DeskId};

/// Names a key without saying it.
pub type KeyId = CredentialId;

hex_bytes!(
    /// What a terminal and its desk share. Not shown in logs.
    Key, 32
);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Socket {
    Uplink,
    Session,
}

impl Socket {
    pub fn as_str(self) -> &'static str {
        match self {
            Socket::Uplink => "uplink",
            Socket::Session => "session",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a terminal to the desk.
    Up,
    Down,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }
}

/// What a MAC is bound to, so that no frame can be played back elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub socket: Socket,
    pub direction: Direction,
    pub desk: DeskId,
}

/// The plain frame with a signature before it.
pub fn sign(inner: &[u8], id: KeyId, key: &Key, place: &Place) -> Vec<u8> {
    let mut out = Vec::with_capacity(SIGNATURE + inner.len());
    out.push(SIGNED);
    out.extend_from_slice(id.0.as_bytes());
    out.extend_from_slice(&mac(inner, key, place).finalize().into_bytes());
    out.extend_from_slice(inner);
    out
}

/// In a time that does not depend on where the two differ.
pub(super) fn verify(inner: &[u8], claimed: &[u8; 32], key: &Key, place: &Place) -> bool {
    mac(inner, key, place).verify_slice(claimed).is_ok()
}

fn mac(inner: &[u8], key: &Key, place: &Place) -> Hmac<Sha256> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key.0) else { unreachable!("HMAC takes keys of any length") };
    let Place { socket, direction, desk } = place;
    mac.update(format!("tidehelm/1|{}|{}|{desk}|", socket.as_str(), direction.as_str()).as_bytes());
    mac.update(inner);
    mac
}
