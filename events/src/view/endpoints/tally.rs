//! Sums of outcomes and tokens.

use crate::endpoint::{Outcome, RequestFinished, Tokens, TokensKnown};
use serde::{Deserialize, Serialize};

/// How many requests ended how, and what they cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// In the order of [`Outcome::ALL`].
    outcomes: [u64; 5],
    pub tokens: TokenSum,
}

/// Tokens, by how they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSum {
    /// In the order of [`TokensKnown::ALL`].
    parts: [TokenPart; 4],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPart {
    pub requests: u64,
    pub input: u64,
    pub output: u64,
}

impl Tally {
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }
    pub fn success(&self) -> u64 {
        self.of(Outcome::Success)
    }
    pub fn failed(&self) -> u64 {
        self.total() - self.success()
    }
    pub fn total(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    pub(super) fn add(&mut self, finished: &RequestFinished) {
        self.outcomes[finished.outcome as usize] += 1;
        self.tokens.add(&finished.tokens);
    }

    pub(super) fn take_in(&mut self, other: &Tally) {
        self.outcomes.iter_mut().zip(other.outcomes).for_each(|(sum, more)| *sum += more);
        self.tokens.take_in(&other.tokens);
    }
}

impl TokenSum {
    pub fn of(&self, known: TokensKnown) -> TokenPart {
        self.parts[known as usize]
    }
    pub fn input(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.input))
    }
    pub fn output(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.output))
    }

    pub(super) fn add(&mut self, tokens: &Tokens) {
        self.parts[tokens.known as usize].add(1, tokens.input, tokens.output);
    }

    pub(super) fn take_in(&mut self, other: &TokenSum) {
        self.parts.iter_mut().zip(other.parts).for_each(|(sum, more)| sum.add(more.requests, more.input, more.output));
    }
}

impl TokenPart {
    fn add(&mut self, requests: u64, input: u64, output: u64) {
        self.requests += requests;
        self.input = self.input.saturating_add(input);
        self.output = self.output.saturating_add(output);
    }
}
