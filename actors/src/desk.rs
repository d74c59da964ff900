//! The actix shell.
