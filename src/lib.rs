//! How does it touch the world?

pub mod store;
