//! A log in memory: for tests, the demo and simulation. It keeps every rule of the port but durability.

use crate::port::{AppendFault, CommitLog, Depot, LogFault, Saved};
use async_trait::async_trait;
use tidehelm_events::commit::{Commit, Entry, Head};
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::{Epoch, NodeId, Position};
use tidehelm_events::time::Timestamp;

#[derive(Debug, Default, Clone)]
pub struct MemoryLog {
    pub entries: Vec<Entry>,
    pub audit: Vec<Envelope>,
    pub saved: Vec<Saved>,
    pub bases: Vec<Saved>,
    epoch: Epoch,
}

impl MemoryLog {
    pub fn end(&self) -> Head {
        let end = self.entries.last().map(Entry::head).unwrap_or_default();
        Head { epoch: self.epoch, ..end }
    }

    pub fn next_epoch(&mut self) -> Head {
        self.epoch = self.epoch.next();
        self.end()
    }

    pub fn put(&mut self, commit: &Commit, audit: &[Envelope], expected: &Head) -> Result<(), AppendFault> {
        let found = self.end();
        if commit.header.epoch != found.epoch {
            return Err(AppendFault::Fenced { ours: commit.header.epoch, found: found.epoch });
        }
        if (found.position, found.hash) != (expected.position, expected.hash) {
            return Err(AppendFault::Conflict { expected: *expected, found });
        }
        if let Err(error) = commit.check(&found) {
            return Err(AppendFault::Unavailable(error.to_string()));
        }
        self.entries.push(Entry::Commit(Box::new(commit.clone())));
        self.audit.extend_from_slice(audit);
        Ok(())
    }

    pub fn after(&self, after: Position, limit: usize) -> Vec<Entry> {
        let start = self.entries.partition_point(|entry| entry.head().position <= after);
        self.entries[start..].iter().take(limit).cloned().collect()
    }
}

#[async_trait]
impl CommitLog for MemoryLog {
    async fn take_over(&mut self, _: NodeId) -> Result<Head, LogFault> {
        Ok(self.next_epoch())
    }
    async fn append(&mut self, commit: &Commit, audit: &[Envelope], expected: &Head) -> Result<(), AppendFault> {
        self.put(commit, audit, expected)
    }
    async fn read(&mut self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        Ok(self.after(after, limit))
    }
    async fn head(&mut self) -> Result<Head, LogFault> {
        Ok(self.end())
    }
    async fn renew(&mut self, _: NodeId, epoch: Epoch) -> Result<(), AppendFault> {
        match self.epoch == epoch {
            true => Ok(()),
            false => Err(AppendFault::Fenced { ours: epoch, found: self.epoch }),
        }
    }
    async fn release(&mut self, _: NodeId, _: Epoch) -> Result<(), LogFault> {
        Ok(())
    }
}

#[async_trait]
impl Depot for MemoryLog {
    async fn save(&mut self, saved: &Saved) -> Result<(), LogFault> {
        self.saved.retain(|known| known.position != saved.position);
        self.saved.push(saved.clone());
        self.saved.sort_by_key(|known| known.position);
        Ok(())
    }
    async fn newest(&mut self, at_or_before: Position, schema: u16) -> Result<Option<Saved>, LogFault> {
        let fits = |saved: &&Saved| saved.position <= at_or_before && saved.schema == schema;
        Ok(self.saved.iter().rev().find(fits).cloned())
    }
    async fn discard(&mut self, position: Position) -> Result<(), LogFault> {
        self.saved.retain(|saved| saved.position != position);
        Ok(())
    }
    async fn list(&mut self) -> Result<Vec<(Position, Timestamp)>, LogFault> {
        Ok(self.saved.iter().map(|saved| (saved.position, saved.at)).collect())
    }
    async fn base(&mut self) -> Result<Option<Saved>, LogFault> {
        Ok(self.bases.last().cloned())
    }
}
