//! A new log with the events of an export: the same positions, times, ids and answers, and so the same state.
//!
//! Commits are made anew, so that their hashes are others; what follows from the events is the same to the bit.

use crate::ambient;
use std::collections::VecDeque;
use tidehelm_actors::port::{CommitLog, LogFault};
use tidehelm_events::commit::{Commit, Entry, Head, Reacted, Sealing, pack};
use tidehelm_events::desk;
use tidehelm_events::envelope::{Class, Envelope, Record};
use tidehelm_events::event::Event;
use tidehelm_events::id::{CredentialId, DeskId, Epoch, EventId, NodeId, Principal, StreamId, StreamNo, UserName};
use tidehelm_events::react::{Reaction, reactions};
use tidehelm_events::time::Span;
use tidehelm_events::view::Fold;

/// A commit holds no more events, and no events that are further apart.
const EVENTS_MAX: usize = 2_000;
const APART_MAX: Span = Span::millis(20);

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("line {line}: {why}")]
    Line { line: u64, why: String },
    #[error(transparent)]
    Store(#[from] LogFault),
}

/// Makes commits of events.
pub struct Importer {
    fold: Fold,
    node: NodeId,
    previous: Head,
    desk: Option<DeskId>,
    names: Vec<(StreamNo, StreamId)>,
    records: Vec<Record>,
    debts: VecDeque<Reaction>,
    line: u64,
}

/// A commit and its audit rows.
pub struct Made {
    pub commit: Commit,
    pub audit: Vec<Envelope>,
    pub expected: Head,
}

impl Importer {
    /// Begins after the end of a log that is empty.
    pub fn new(head: Head) -> Self {
        Importer {
            fold: Fold::default(),
            node: NodeId(ambient::uuid_v7()),
            previous: head,
            desk: None,
            names: Vec::new(),
            records: Vec::new(),
            debts: VecDeque::new(),
            line: 0,
        }
    }

    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Takes in the next event; a commit comes out where one is complete.
    pub fn push(&mut self, text: &str) -> Result<Option<Made>, ImportError> {
        self.line += 1;
        let line = self.line;
        let wrong = |why: String| ImportError::Line { line, why };
        let envelope: Envelope =
            serde_json::from_str(text).map_err(|error| wrong(format!("this is no event of an export: {error}")))?;
        let made = match self.records.last() {
            Some(last)
                if self.records.len() >= EVENTS_MAX || envelope.recorded_at.since(last.recorded_at) > APART_MAX =>
            {
                self.finish()
            }
            Some(_) | None => None,
        };
        self.take(envelope).map_err(wrong)?;
        Ok(made)
    }

    fn take(&mut self, envelope: Envelope) -> Result<(), String> {
        let expected = self.fold.truth.position().next();
        if envelope.position != expected {
            return Err(format!(
                "event {} where {expected} should be: the export was filtered, or its telemetry was cut; \
                 `tidehelm backup` and `tidehelm migrate` copy such a log",
                envelope.position
            ));
        }
        let event = Event::from_json(&envelope.kind, &envelope.payload).map_err(|error| error.to_string())?;
        let kind = event.kind();
        if (kind.schema, kind.class) != (envelope.schema, envelope.class) {
            return Err(format!(
                "a {} of schema {}, and this build writes {}: export it with this build",
                envelope.kind, envelope.schema, kind.schema
            ));
        }
        if let Event::Desk(desk::Event::Opened(opened)) = &event {
            self.desk = Some(opened.desk);
        }
        let desk = self.desk.ok_or("the first event of a log is desk_opened")?;
        if envelope.event_id != EventId::derive(desk, envelope.position, envelope.recorded_at) {
            return Err(format!(
                "event {} has not the id that its desk, place and time give it: it was changed",
                envelope.position
            ));
        }
        let (stream, new) = self.fold.truth.enter(&envelope.stream);
        if new {
            self.names.push((stream, envelope.stream.clone()));
        }
        let record = Record {
            position: envelope.position,
            stream,
            version: envelope.version,
            occurred_at: envelope.occurred_at,
            received_at: envelope.received_at,
            recorded_at: envelope.recorded_at,
            by: principal(&envelope.by)?,
            command: envelope.command_id,
            causation: envelope.causation,
            correlation: envelope.correlation,
            event,
        };
        let fold = &mut self.fold;
        let folded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fold.apply(&record)));
        folded
            .map_err(|_| format!("event {} cannot follow what came before it", record.position))?
            .map_err(|error| error.to_string())?;
        self.settle(&record, &envelope.stream);
        self.debts.extend(reactions(&self.fold.truth, &record));
        self.records.push(record);
        Ok(())
    }

    /// Reactions were worked off in their order: the one that this record is, and all before it.
    fn settle(&mut self, record: &Record, stream: &StreamId) {
        let Some(cause) = record.causation else { return };
        let is_done = |debt: &Reaction| debt.through.cause == cause && debt.to == *stream;
        if let Some(index) = self.debts.iter().position(is_done) {
            self.debts.drain(..=index);
        }
    }

    /// The last commit, if anything is left for it.
    pub fn finish(&mut self) -> Option<Made> {
        let last = self.records.last()?;
        let reacted = match self.debts.front() {
            Some(owed) => Reacted { cause: owed.through.cause, index: owed.through.index - 1 },
            None => Reacted::all_through(last.position),
        };
        let expected = self.previous;
        let sealing = Sealing { previous: expected, now: last.recorded_at, node: self.node, epoch: Epoch(1), reacted };
        let commit = pack(&self.names, &self.records, &sealing);
        let business = self.records.iter().filter(|record| record.event.class() == Class::Business);
        let audit = business
            .filter_map(|record| Some(record.envelope(self.desk?, self.fold.truth.names().get(record.stream)?)));
        let audit = audit.collect();
        self.previous = commit.head();
        self.names.clear();
        self.records.clear();
        Some(Made { commit, audit, expected })
    }
}

/// Writes lines into an empty store; `seen` is told how many were read.
pub async fn import(
    store: &mut crate::store::Store,
    lines: impl Iterator<Item = std::io::Result<String>>,
    mut seen: impl FnMut(u64),
) -> Result<Fold, ImportError> {
    let mut importer = Importer::new(store.head().await?);
    for line in lines {
        let at = importer.line + 1;
        let line = line.map_err(|error| ImportError::Line { line: at, why: error.to_string() })?;
        if line.trim().is_empty() {
            continue;
        }
        if let Some(made) = importer.push(&line)? {
            write(store, made).await?;
            seen(importer.line);
        }
    }
    if let Some(made) = importer.finish() {
        write(store, made).await?;
    }
    Ok(importer.fold)
}

async fn write(store: &mut crate::store::Store, made: Made) -> Result<(), LogFault> {
    store.adopt(&[Entry::Commit(Box::new(made.commit))], &made.audit, &made.expected).await
}

/// The principal as an event shows it.
fn principal(text: &str) -> Result<Principal, String> {
    let uuid = |id: &str| id.parse().map(CredentialId).map_err(|_| format!("`{text}` is nobody that this build knows"));
    match text.split_once(':') {
        None if text == "desk" => Ok(Principal::Desk),
        None if text == "terminal" => Ok(Principal::Terminal),
        None if text == "operator" => Ok(Principal::Operator),
        Some(("user", name)) => UserName::new(name).map(Principal::User).map_err(|error| error.to_string()),
        Some(("token", id)) => uuid(id).map(Principal::Token),
        _ => Err(format!("`{text}` is nobody that this build knows")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_reads_as_it_is_written() {
        let token = Principal::Token(CredentialId(uuid::Uuid::from_u128(7)));
        let user = Principal::User(UserName::new("ann").unwrap());
        for known in [Principal::Desk, Principal::Terminal, Principal::Operator, user, token] {
            assert_eq!(principal(&known.to_string()), Ok(known));
        }
        for bad in ["", "root", "user:", "token:1"] {
            assert!(principal(bad).is_err(), "{bad}");
        }
    }

    use crate::cli::progress::Progress;
    use crate::config::Config;
    use crate::export::{Format, Wanted, export};
    use crate::http::events::Filter;
    use crate::migrate::migrate;
    use crate::source::Source;
    use crate::store::{Mode, Store, StoreConfig};
    use crate::verify::{sample, verify};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use std::path::Path;

    async fn store(dir: &Path, mode: Mode) -> Store {
        let mut config = Config::default();
        config.data.dir = dir.to_path_buf();
        Store::open(&StoreConfig::from(&config), mode, ambient::wall()).await.unwrap()
    }

    async fn exported(dir: &Path, format: Format, filter: Filter) -> Vec<u8> {
        let mut source = Source::over(store(dir, Mode::ReadOnly).await, "test");
        let wanted = Wanted { after: tidehelm_events::id::Position(0), to: source.moment(None).await.unwrap(), filter };
        let mut out = Vec::new();
        export(&mut source, &wanted, format, &mut out, |_| {}).await.unwrap();
        out
    }

    async fn state_of(dir: &Path) -> (String, u64) {
        let mut source = Source::over(store(dir, Mode::ReadOnly).await, "test");
        let report = verify(&mut source, None, &Progress::new("verify", 0)).await.unwrap();
        assert_eq!(report.problems, []);
        assert!(report.commits > 0 && report.events > 30 && report.audit_rows > 20);
        (report.state_hash.unwrap(), report.events)
    }

    fn lines(text: &[u8]) -> Vec<String> {
        String::from_utf8(text.to_vec()).unwrap().lines().map(str::to_string).collect()
    }

    #[tokio::test]
    async fn what_is_exported_comes_back_as_the_same_state() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        sample::fill(from.path()).await;
        let text = exported(from.path(), Format::Jsonl, Filter::default()).await;
        let mut target = store(to.path(), Mode::Write).await;
        let fold = import(&mut target, lines(&text).into_iter().map(Ok), |_| {}).await.unwrap();
        target.close().await.unwrap();
        let (original, events) = state_of(from.path()).await;
        assert_eq!((original.clone(), events), state_of(to.path()).await);
        assert_eq!(fold.truth.hash().to_string(), original);
        assert_eq!(exported(to.path(), Format::Jsonl, Filter::default()).await, text);
    }

    #[tokio::test]
    async fn a_line_that_was_changed_or_left_out_is_named() {
        let from = tempfile::tempdir().unwrap();
        sample::fill(from.path()).await;
        let good = lines(&exported(from.path(), Format::Jsonl, Filter::default()).await);
        let replace = |index: usize, from: &str, to: &str| {
            let mut lines = good.clone();
            assert!(lines[index].contains(from), "{}", lines[index]);
            lines[index] = lines[index].replace(from, to);
            lines
        };
        let without = |index: usize| {
            let mut lines = good.clone();
            lines.remove(index);
            lines
        };
        for (lines, line, why) in [
            (without(0), 1, "event 2 where 1 should be"),
            (without(5), 6, "event 7 where 6 should be"),
            (replace(3, "\"stream\"", "\"strom\""), 4, "no event of an export"),
            (replace(3, "\"version\":", "\"version\":9"), 4, "which is at version"),
            (replace(3, "\"recorded_at\":", "\"recorded_at\":9"), 4, "has not the id"),
            (replace(0, "\"kind\":\"desk_opened\"", "\"kind\":\"desk_closed\""), 1, "no event kind is called"),
        ] {
            let to = tempfile::tempdir().unwrap();
            let mut target = store(to.path(), Mode::Write).await;
            let error = import(&mut target, lines.into_iter().map(Ok), |_| {}).await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line}: ")) && error.contains(why), "{why}: {error}");
        }
    }

    #[tokio::test]
    async fn a_parquet_file_has_a_row_for_each_event_and_cloud_events_a_line() {
        let from = tempfile::tempdir().unwrap();
        sample::fill(from.path()).await;
        let events = lines(&exported(from.path(), Format::Jsonl, Filter::default()).await).len();
        let file = exported(from.path(), Format::Parquet, Filter::default()).await;
        let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), events as i64);
        let first = reader.get_row_iter(None).unwrap().next().unwrap().unwrap().to_string();
        assert!(first.contains("position: 1") && first.contains("desk_opened"), "{first}");
        let filter = Filter { kind: Some("heartbeat_seen".into()), ..Filter::default() };
        let beats = lines(&exported(from.path(), Format::Cloudevents, filter).await);
        assert_eq!(beats.len(), 6);
        for beat in beats {
            let beat: serde_json::Value = serde_json::from_str(&beat).unwrap();
            for field in ["specversion", "id", "source", "type"] {
                assert!(beat[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {beat}");
            }
            let small = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            assert!(beat.as_object().unwrap().keys().all(small), "{beat}");
        }
    }

    #[tokio::test]
    async fn a_log_that_moves_keeps_its_commits_its_state_and_its_vault() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        sample::fill(from.path()).await;
        let (mut source, mut target) = (store(from.path(), Mode::Write).await, store(to.path(), Mode::Write).await);
        let moved = migrate(&mut source, &mut target, |_| {}).await.unwrap();
        assert_eq!((moved.credentials, moved.credentials_missing), (2, 0));
        assert_eq!(source.reader().head().await.unwrap(), target.reader().head().await.unwrap());
        assert!(migrate(&mut source, &mut target, |_| {}).await.is_err(), "a log that is not empty must be refused");
        source.close().await.unwrap();
        target.close().await.unwrap();
        assert_eq!(state_of(from.path()).await, state_of(to.path()).await);
    }
}
