//! The log from a position on, event by event, with every name written out.

use tidehelm_actors::port::{LogFault, Store};
use tidehelm_actors::writer::restore;
use tidehelm_events::commit::{Entry, Head, Unpacked};
use tidehelm_events::desk;
use tidehelm_events::envelope::{Envelope, Record};
use tidehelm_events::event::Event;
use tidehelm_events::id::{DeskId, Position, StreamId};
use tidehelm_events::truth::Names;

/// Entries that one step reads.
const PIECE: usize = 256;

/// One event and what is needed to show it.
pub struct Seen<'a> {
    pub record: &'a Record,
    pub stream: &'a StreamId,
    pub desk: DeskId,
}

impl Seen<'_> {
    pub fn envelope(&self) -> Envelope {
        self.record.envelope(self.desk, self.stream)
    }
}

pub struct Walk {
    names: Names,
    desk: Option<DeskId>,
    /// The end of the last entry that was read.
    cursor: Position,
    /// Events up to here are passed over.
    after: Position,
    space: Unpacked,
    /// Events that retention has cut on the way.
    pub cut: u64,
}

impl Walk {
    /// Begins after a position. Names come from the newest snapshot and what follows it; from the whole log where that
    /// cannot be folded.
    pub async fn after(store: &mut dyn Store, after: Position) -> Result<Walk, LogFault> {
        let mut walk = Walk {
            names: Names::default(),
            desk: None,
            cursor: Position(0),
            after,
            space: Unpacked::default(),
            cut: 0,
        };
        if after == Position(0) {
            return Ok(walk);
        }
        match restore(store, Position(u64::MAX), &[]).await {
            Ok((restored, _)) => {
                walk.names = restored.fold.truth.names().clone();
                walk.desk = restored.fold.truth.desk_id();
                walk.cursor = after;
            }
            Err(error) => tracing::debug!(%error, "the log cannot be folded; its names are read from the start"),
        }
        Ok(walk)
    }

    /// The last event that was shown or passed over.
    pub fn position(&self) -> Position {
        self.cursor.max(self.after)
    }

    /// Shows the events of the next few entries in their order, until `each` fails. Answers the end of the last entry; none at the end of the
    /// log.
    pub async fn step<E: From<LogFault>>(
        &mut self,
        store: &mut dyn Store,
        mut each: impl FnMut(&Seen<'_>) -> Result<(), E>,
    ) -> Result<Option<Head>, E> {
        let entries = store.read(self.cursor, PIECE).await?;
        let mut last = None;
        for entry in &entries {
            self.entry(entry, &mut each)?;
            self.cursor = entry.head().position;
            last = Some(entry.head());
        }
        Ok(last)
    }

    fn entry<E: From<LogFault>>(
        &mut self,
        entry: &Entry,
        each: &mut impl FnMut(&Seen<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let commit = match entry {
            Entry::Commit(commit) => commit,
            Entry::Seal(seal) => {
                self.cut += seal.counts.iter().map(|(_, count)| count).sum::<u64>();
                return Ok(());
            }
        };
        let bad = |why: &dyn std::fmt::Display| LogFault::new("cannot read the log", why);
        commit.unpack_into(&mut self.space).map_err(|error| bad(&error))?;
        if commit.telemetry.is_none() {
            self.cut += u64::from(commit.header.telemetry_count);
        }
        for (number, id) in &self.space.names {
            self.names.learn(*number, id).map_err(|error| bad(&error))?;
        }
        for record in &self.space.records {
            if let Event::Desk(desk::Event::Opened(opened)) = &record.event {
                self.desk.get_or_insert(opened.desk);
            }
            if record.position <= self.after {
                continue;
            }
            let unnamed = || bad(&format!("event {} belongs to a stream without a name", record.position));
            let stream = self.names.get(record.stream).ok_or_else(unnamed)?;
            let desk = self.desk.unwrap_or(DeskId(uuid::Uuid::nil()));
            each(&Seen { record, stream, desk })?;
        }
        Ok(())
    }
}
