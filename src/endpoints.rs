//! The endpoints' way to the world: the secrets that open them, and the questions that are put to them.

pub mod fetch;
pub mod probe;
pub mod secrets;
pub mod tls;
