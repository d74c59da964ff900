//! From the log to a state, as a start reads it.

use super::invariants::{Invariant, Violation, violation};
use super::mutants::Mutant;
use crate::restore::{Restored, Restorer};
use tidehelm_events::commit::{Commit, Entry, Head, Reacted, Sealing, pack};
use tidehelm_events::event::{Event, Unknown};
use tidehelm_events::id::Position;
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;

/// Restores from entries as a start does.
pub fn fold_entries(onto: Fold, entries: &[Entry], mutant: Option<Mutant>) -> Result<Restored, Violation> {
    let from = onto.truth.position();
    let mut restorer = Restorer::new(onto, []);
    for entry in entries.iter().filter(|entry| entry.first() > from) {
        let bent;
        let entry = match (entry, mutant) {
            (Entry::Commit(commit), Some(Mutant::AnswersForgotten | Mutant::DebtsRepeated)) => {
                bent = Entry::Commit(Box::new(bend(commit, mutant)));
                &bent
            }
            _ => entry,
        };
        restorer.entry(entry).map_err(|error| violation(Invariant::SameFold, error.to_string()))?;
    }
    Ok(restorer.finish())
}

/// The commit without its answers, or as if nothing had been worked off.
fn bend(commit: &Commit, mutant: Option<Mutant>) -> Commit {
    let Ok(mut unpacked) = commit.unpack() else { return commit.clone() };
    let mut reacted = commit.header.reacted;
    match mutant {
        Some(Mutant::DebtsRepeated) => reacted = Reacted::default(),
        _ => {
            for record in &mut unpacked.records {
                if let Event::Answered(_) = record.event {
                    record.event = Event::Unknown(Unknown { number: 1, schema: 99, bytes: Vec::new() });
                }
            }
        }
    }
    let position = Position(commit.header.first.0 - 1);
    let previous =
        Head { position, hash: commit.header.prev_hash, epoch: commit.header.epoch, committed_at: Timestamp::ZERO };
    let (now, node, epoch) = (commit.header.committed_at, commit.header.node, commit.header.epoch);
    pack(&unpacked.names, &unpacked.records, &Sealing { previous, now, node, epoch, reacted })
}
