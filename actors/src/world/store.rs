//! The log as the desk finds it: a memory log behind a disk and a network that refuse, stall, write late or do not say.

use super::agenda::{MILLI, Micros};
use super::climate::Climate;
use super::mutants::Mutant;
use super::rng::Rng;
use crate::journal::Sealed;
use crate::memory::MemoryLog;
use crate::port::AppendFault;
use std::collections::BTreeMap;
use tidehelm_events::commit::Entry;

/// What the store will do with an append, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is written at the first time and said at the second.
    Kept {
        write_at: Micros,
        say_at: Micros,
    },
    Refused {
        say_at: Micros,
    },
    /// It says at `say_at` that it cannot say; written before or after that, or never.
    Doubtful {
        write_at: Option<Micros>,
        say_at: Micros,
    },
}

#[derive(Debug)]
pub struct Append {
    pub process: u64,
    pub sealed: Sealed,
    pub fate: Fate,
    /// What the log made of it; none while it has not been tried.
    pub result: Option<Result<(), AppendFault>>,
}

#[derive(Debug, Default)]
pub struct Store {
    pub log: MemoryLog,
    pub appends: BTreeMap<u64, Append>,
    pub full_until: Micros,
    next: u64,
}

impl Store {
    pub fn is_full(&self, now: Micros) -> bool {
        now < self.full_until
    }

    pub fn begin(&mut self, process: u64, sealed: Sealed, fate: Fate) -> u64 {
        self.next += 1;
        self.appends.insert(self.next, Append { process, sealed, fate, result: None });
        self.next
    }

    /// Tries the append; none if it was given up meanwhile.
    pub fn write(&mut self, append: u64, mutant: Option<Mutant>) -> Option<&Append> {
        let tried = self.appends.get_mut(&append)?;
        let Sealed { commit, audit, expected } = &tried.sealed;
        let end = self.log.end();
        let fits = (end.position, end.hash) == (expected.position, expected.hash);
        tried.result = Some(if mutant == Some(Mutant::EpochIgnored) && fits {
            self.log.entries.push(Entry::Commit(Box::new(commit.clone())));
            Ok(())
        } else {
            self.log.put(commit, audit, expected)
        });
        Some(tried)
    }
}

/// What becomes of an append that starts now.
pub fn fate(rng: &mut Rng, climate: &Climate, now: Micros, stormy: bool, full: bool) -> Fate {
    let quick = now + rng.between(MILLI / 4, 4 * MILLI);
    if full {
        return Fate::Refused { say_at: quick };
    }
    if !stormy {
        return Fate::Kept { write_at: quick, say_at: quick + MILLI / 4 };
    }
    if rng.permille(climate.store_refuses) {
        return Fate::Refused { say_at: quick };
    }
    if rng.permille(climate.store_doubts) {
        let say_at = now + rng.between(MILLI, 2_000 * MILLI);
        let write_at = match rng.below(3) {
            0 => None,
            1 => Some(rng.between(now, say_at)),
            _ => Some(say_at + rng.between(0, 1_000 * MILLI)),
        };
        return Fate::Doubtful { write_at, say_at };
    }
    let stall = if rng.permille(climate.store_stalls) { rng.between(0, climate.stall_max) } else { 0 };
    let say_at = quick + stall;
    Fate::Kept { write_at: rng.between(now, say_at), say_at }
}
