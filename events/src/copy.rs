//! Copying: from what a master did to what its slaves are told, with every number on the way.

pub mod book;
