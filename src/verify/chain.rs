//! Does each entry follow the one before it, and is it what its hash says?

use tidehelm_events::commit::{Commit, FORMAT, Hash, Head, Seal};
use tidehelm_events::id::{Epoch, Position};
use tidehelm_events::time::Timestamp;

pub struct Wrong {
    pub what: &'static str,
    pub detail: String,
}

/// The end of the entry before.
#[derive(Default)]
pub struct Chain {
    position: Position,
    /// The hash that it claims, and the one that it really has: where they differ that is said once, not again with the next.
    hashes: [Hash; 2],
    epoch: Epoch,
    committed_at: Timestamp,
    /// It could not be read: nothing is known of it.
    unknown: bool,
}

impl Chain {
    pub fn forget(&mut self) {
        self.unknown = true;
    }

    pub fn commit(&mut self, commit: &Commit) -> Vec<Wrong> {
        let header = &commit.header;
        let at = header.first;
        let real = header.hash();
        let mut wrong = Vec::new();
        let mut say = |what, why: String| wrong.push(Wrong { what, detail: format!("commit {at}: {why}") });
        if header.format > FORMAT {
            say(
                "format",
                format!("written by a later build (format {}, this build reads up to {FORMAT})", header.format),
            );
        }
        if real != commit.hash {
            say("hash", "its hash is not the hash of its header".into());
        }
        if Hash::of(&commit.kept) != header.kept_hash {
            say("kept", "the events that it keeps are not the ones that were committed".into());
        }
        if commit.telemetry.as_ref().is_some_and(|blob| Hash::of(blob) != header.telemetry_hash) {
            say("telemetry", "its telemetry is not what was committed".into());
        }
        let count = u64::from(header.kept_count) + u64::from(header.telemetry_count);
        if header.last.0 < at.0 || header.last.0 - at.0 + 1 != count {
            say("count", format!("goes from position {at} to {} and claims {count} events", header.last));
        }
        self.follows(at, header.prev_hash, header.epoch, header.committed_at, &mut say);
        *self = Chain {
            position: header.last,
            hashes: [commit.hash, real],
            epoch: header.epoch,
            committed_at: header.committed_at,
            unknown: false,
        };
        wrong
    }

    pub fn seal(&mut self, seal: &Seal) -> Vec<Wrong> {
        let at = seal.first;
        let mut wrong = Vec::new();
        let mut say = |what, why: String| wrong.push(Wrong { what, detail: format!("seal {at}: {why}") });
        let count: u64 = seal.counts.iter().map(|(_, count)| count).sum();
        if seal.last < at || seal.last.0 - at.0 + 1 != count {
            say("count", format!("goes from position {at} to {} and counts {count} events", seal.last));
        }
        if seal.commits == 0 || seal.commits > count {
            say("count", format!("stands for {} commits and {count} events", seal.commits));
        }
        self.follows(at, seal.prev_hash, seal.epoch, seal.committed_at, &mut say);
        *self = Chain {
            position: seal.last,
            hashes: [seal.last_hash; 2],
            epoch: seal.epoch,
            committed_at: seal.committed_at,
            unknown: false,
        };
        wrong
    }

    /// The store's own idea of where the log ends.
    pub fn end(&self, head: &Head) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        if self.unknown {
            return wrong;
        }
        let mut say = |why: String| wrong.push(Wrong { what: "head", detail: format!("the head of the log: {why}") });
        if head.position != self.position {
            say(format!(
                "it says that the log ends at position {}, the last commit ends at {}",
                head.position, self.position
            ));
        }
        if !self.hashes.contains(&head.hash) {
            say("its hash is not the one of the last commit".into());
        }
        if head.committed_at != self.committed_at {
            say("its time is not the one of the last commit".into());
        }
        if head.epoch < self.epoch {
            say(format!("its epoch {} is older than the last commit's, {}", head.epoch, self.epoch));
        }
        wrong
    }

    fn follows(
        &self,
        first: Position,
        prev_hash: Hash,
        epoch: Epoch,
        committed_at: Timestamp,
        say: &mut impl FnMut(&'static str, String),
    ) {
        if self.unknown {
            return;
        }
        if first != self.position.next() {
            say("hole", format!("does not follow the commit before it, which ends at position {}", self.position));
        } else if !self.hashes.contains(&prev_hash) {
            say("chain", "the chain is broken: it follows a commit with another hash".into());
        }
        if epoch < self.epoch {
            say("epoch", format!("its epoch {epoch} is older than the one before it, {}", self.epoch));
        }
        if committed_at < self.committed_at {
            say("time", "was committed before the commit before it".into());
        }
    }
}

/// Its events can be believed, whatever is wrong with its header.
pub fn blobs_are_whole(commit: &Commit) -> bool {
    Hash::of(&commit.kept) == commit.header.kept_hash
        && commit.telemetry.as_ref().is_none_or(|blob| Hash::of(blob) == commit.header.telemetry_hash)
}
