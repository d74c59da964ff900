//! The same desk in virtual time.
