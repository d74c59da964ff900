//! What a trading terminal and a Tidehelm desk say to each other.
