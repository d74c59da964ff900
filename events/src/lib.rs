//! What can happen, and what follows from it.
