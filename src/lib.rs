//! How does it touch the world?
