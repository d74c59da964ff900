//! Codes of refusals that a terminal acts upon. Others it only shows.

/// Another terminal registered for the same account and role: stop, do not register again of your own accord.
pub const EPOCH_SUPERSEDED: &str = "epoch_superseded";
/// The desk does not know this epoch: say hello and register again.
pub const EPOCH_UNKNOWN: &str = "epoch_unknown";
/// The nonce of `register` is not the one that was given: say hello again.
pub const NONCE_UNKNOWN: &str = "nonce_unknown";
/// A signal's number is not the one after the last; `expected` says which would be.
pub const SIGNAL_GAP: &str = "signal_gap";
/// Too many requests of this connection wait for an answer: send the same bytes again later.
pub const TOO_MANY_REQUESTS: &str = "too_many_requests";
/// The desk cannot record anything at the moment: send the same bytes again later.
pub const UNAVAILABLE: &str = "unavailable";
/// A newer poll of the same terminal took this one's place.
pub const SUPERSEDED: &str = "superseded";
/// The account has a key, and this frame is not signed with it.
pub const SIGNATURE_MISSING: &str = "signature_missing";
pub const SIGNATURE_WRONG: &str = "signature_wrong";
/// Same epoch and number as another request, with other bytes.
pub const SEQ_REUSED: &str = "seq_reused";
