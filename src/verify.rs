//! Is this log what was written, and is everything beside it what follows from it?
//!
//! Every commit is looked at, also after a bad one. What a bad commit makes unknowable (the state after it, names that it
//! held) is not reported again with every commit that follows.

mod beside;
mod chain;
mod file;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use file::check_file;

use crate::cli::progress::Progress;
use crate::source::Source;
use crate::store::{Model, Reader};
use beside::Beside;
use chain::Chain;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use tidehelm_actors::port::{CommitLog, Depot, LogFault, Saved};
use tidehelm_actors::restore::{RestoreError, Restorer};
use tidehelm_events::commit::{Commit, Entry, Hash, Head, Seal, Unpacked};
use tidehelm_events::desk;
use tidehelm_events::envelope::Record;
use tidehelm_events::event::Event;
use tidehelm_events::id::{CredentialId, DeskId, Position, StreamId, StreamNo, Version};
use tidehelm_events::time::Timestamp;
use tidehelm_events::truth::{self, Truth};
use tidehelm_events::view::Fold;

const PIECE: usize = 256;

/// Something that is not as it was written, or does not follow from what was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// First position of the commit, or the position of the row or snapshot.
    pub at: u64,
    /// Stable, `snake_case`.
    pub what: &'static str,
    pub detail: String,
}

/// What was looked at and what was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub place: String,
    pub position: u64,
    pub hash: String,
    pub epoch: u64,
    pub commits: u64,
    pub seals: u64,
    pub events: u64,
    /// Telemetry that retention has cut.
    pub events_cut: u64,
    pub streams: u64,
    pub audit_rows: u64,
    pub status_changes: u64,
    pub requests: u64,
    pub snapshots: u64,
    pub bases: u64,
    pub credentials: u64,
    /// Reactions that the next start makes good.
    pub reactions_owed: u64,
    /// Hash of the state at the end, where it could be folded.
    pub state_hash: Option<String>,
    pub not_checkable: Vec<String>,
    pub problems: Vec<Problem>,
}

impl Report {
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, at: Position, what: &'static str, detail: impl ToString) {
        self.problems.push(Problem { at: at.0, what, detail: detail.to_string() });
    }

    fn not_checkable(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.not_checkable.contains(&what) {
            self.not_checkable.push(what);
        }
    }
}

/// Looks at everything up to where the log ends now. `against` is a head that was noted earlier.
pub async fn verify(source: &mut Source, against: Option<Head>, progress: &Progress) -> Result<Report, LogFault> {
    let head = source.head().await?;
    let mut verifier = Verifier::new(source, head, against).await;
    verifier.read_all(source, progress).await?;
    verifier.finish(source).await;
    Ok(verifier.report)
}

struct Verifier {
    head: Head,
    against: Option<Head>,
    report: Report,
    chain: Chain,
    /// None where something before was bad or cut, until a base takes its place.
    fold: Option<Restorer>,
    space: Unpacked,
    names: BTreeMap<StreamNo, StreamId>,
    desk: Option<DeskId>,
    /// The last version of each stream, and how many gaps there had been when it was seen.
    versions: BTreeMap<StreamNo, (Version, u64)>,
    gaps: u64,
    /// Something was unreadable: names may be missing.
    lost: bool,
    recorded_at: Timestamp,
    /// What retention says of itself: the hash of the base by the position that it reaches.
    cuts: BTreeMap<Position, Hash>,
    first_cut: Option<Position>,
    last_cut: Position,
    base: Option<Saved>,
    base_met: Option<(Position, Hash)>,
    snapshots: Vec<Position>,
    reader: Option<Reader>,
    beside: Vec<Beside>,
}

impl Verifier {
    async fn new(source: &mut Source, head: Head, against: Option<Head>) -> Self {
        let mut report = Report {
            place: source.place().to_string(),
            position: head.position.0,
            hash: head.hash.to_string(),
            epoch: head.epoch.0,
            ..Report::default()
        };
        let base = source.base().await.unwrap_or_else(|error| {
            report.problem(Position(0), "base", error);
            None
        });
        let snapshots = source.list().await.unwrap_or_else(|error| {
            report.problem(Position(0), "snapshot", error);
            Vec::new()
        });
        let reader = source.reader();
        if reader.is_none() {
            report
                .not_checkable("audit rows, read models in SQL, snapshots and the vault: a server shows only its log");
        }
        let mut beside = Vec::new();
        if let Some(reader) = &reader {
            beside.push(Beside::audit(reader.clone(), head.position));
            for model in Model::ALL {
                match Beside::model(reader.clone(), model, head.position).await {
                    Ok(table) => beside.extend(table),
                    Err(error) => report.problem(Position(0), model.name(), error),
                }
            }
        }
        Verifier {
            head,
            against,
            report,
            chain: Chain::default(),
            fold: Some(Restorer::new(Fold::default(), [])),
            space: Unpacked::default(),
            names: BTreeMap::new(),
            desk: None,
            versions: BTreeMap::new(),
            gaps: 0,
            lost: false,
            recorded_at: Timestamp(i64::MIN),
            cuts: BTreeMap::new(),
            first_cut: None,
            last_cut: Position(0),
            base,
            base_met: None,
            snapshots: snapshots.into_iter().map(|(position, _)| position).collect(),
            beside,
            reader,
        }
    }

    async fn read_all(&mut self, source: &mut Source, progress: &Progress) -> Result<(), LogFault> {
        let (mut cursor, mut piece) = (Position(0), PIECE);
        loop {
            match self.piece(source, cursor, piece).await {
                Ok(entries) => {
                    for entry in entries.iter().filter(|entry| entry.first() > cursor) {
                        if entry.first() > self.head.position {
                            return Ok(());
                        }
                        self.entry(entry, source).await;
                    }
                    match entries.last().map(|last| self.cursor(last)) {
                        Some(next) if next > cursor => cursor = next,
                        Some(_) | None => return Ok(()),
                    }
                    piece = PIECE;
                    progress.advance_to(cursor.0);
                }
                // A server that does not answer says nothing about its log.
                Err(fault) if self.reader.is_none() => return Err(fault),
                Err(_) if piece > 1 => piece = 1,
                Err(fault) => match self.unreadable(cursor, &fault).await {
                    Some(next) => cursor = next,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn piece(&self, source: &mut Source, cursor: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        match &self.reader {
            Some(reader) => reader.beginning_after(cursor, limit).await,
            None => source.read(cursor, limit).await,
        }
    }

    /// In a store by where entries begin, so that one with a bad end hides nothing.
    fn cursor(&self, last: &Entry) -> Position {
        if self.reader.is_some() { last.first() } else { last.head().position }
    }

    /// Notes an entry that the store cannot give, and says from where to go on.
    async fn unreadable(&mut self, cursor: Position, fault: &LogFault) -> Option<Position> {
        let next = match &self.reader {
            Some(reader) => reader.next_beginning(cursor).await.ok().flatten(),
            None => None,
        };
        let at = next.unwrap_or(cursor.next());
        self.report.problem(at, "unreadable", format!("commit {at}: {}", fault.why));
        self.chain.forget();
        let Some(at) = next else {
            self.lose(cursor.next()..=self.head.position);
            self.report.not_checkable(format!("what comes after position {cursor}: it cannot be read"));
            return None;
        };
        let end = match &self.reader {
            Some(reader) => reader.next_beginning(at).await.ok().flatten().map(|next| Position(next.0 - 1)),
            None => None,
        };
        self.lose(at..=end.unwrap_or(self.head.position));
        Some(at)
    }

    async fn entry(&mut self, entry: &Entry, source: &mut Source) {
        self.check_base_before(entry.first());
        match entry {
            Entry::Commit(commit) => self.commit(commit).await,
            Entry::Seal(seal) => self.seal(seal),
        }
        let end = entry.head();
        self.check_against(&end, entry.first());
        self.check_base_at(end.position);
        if self.snapshots.contains(&end.position) {
            self.check_snapshot(end.position, source).await;
        }
    }

    async fn commit(&mut self, commit: &Commit) {
        self.report.commits += 1;
        let at = commit.header.first;
        for problem in self.chain.commit(commit) {
            self.report.problem(at, problem.what, problem.detail);
        }
        let range = at..=commit.header.last.max(at);
        if !chain::blobs_are_whole(commit) {
            return self.lose(range);
        }
        let mut space = std::mem::take(&mut self.space);
        match commit.unpack_into(&mut space) {
            Ok(()) => {
                self.records(commit, &space).await;
                self.fold(commit);
            }
            Err(error) => {
                self.report.problem(at, "records", error);
                self.lose(range);
            }
        }
        self.space = space;
    }

    fn seal(&mut self, seal: &Seal) {
        self.report.seals += 1;
        for problem in self.chain.seal(seal) {
            self.report.problem(seal.first, problem.what, problem.detail);
        }
        self.report.events_cut += (seal.last.0 + 1).saturating_sub(seal.first.0);
        self.cut(seal.first, seal.last);
    }

    async fn records(&mut self, commit: &Commit, space: &Unpacked) {
        let at = commit.header.first;
        if is_cut(commit) {
            self.report.events_cut += u64::from(commit.header.telemetry_count);
            self.cut(at, commit.header.last);
        }
        for (number, id) in &space.names {
            self.name(at, *number, id);
        }
        for record in &space.records {
            self.report.events += 1;
            self.record(commit, record);
            self.beside(record).await;
        }
        if is_cut(commit) {
            // Telemetry may have come after the last event that is kept.
            self.gaps += 1;
        }
    }

    fn name(&mut self, at: Position, number: StreamNo, id: &StreamId) {
        let known = self.names.get(&number);
        let in_turn = self.lost || known.is_some() || number.0 as usize == self.names.len();
        if !in_turn || known.is_some_and(|known| known != id) {
            let why = format!("commit {at}: gives stream number {number} to {id}, which is not its turn");
            self.report.problem(at, "name", why);
        }
        self.names.insert(number, id.clone());
    }

    fn record(&mut self, commit: &Commit, record: &Record) {
        let (at, position) = (commit.header.first, record.position);
        let mut wrong = |what: &'static str, why: String| {
            self.report.problem(at, what, format!("commit {at}: event {position} {why}"));
        };
        if position < at || position > commit.header.last {
            wrong("position", "lies outside of its commit".into());
        }
        if record.causation.is_some_and(|cause| cause >= position) {
            wrong("causation", "is caused by one that comes after it".into());
        }
        if record.correlation > position {
            wrong("correlation", "belongs to a chain that begins after it".into());
        }
        if record.recorded_at > commit.header.committed_at {
            wrong("time", "was recorded after its commit".into());
        }
        if record.recorded_at < self.recorded_at {
            wrong("time", "was recorded before the event before it".into());
        }
        match self.names.get(&record.stream) {
            None if !self.lost => {
                wrong("name", format!("belongs to stream number {}, which has no name", record.stream))
            }
            Some(stream) if !belongs(stream, &record.event) => {
                wrong("kind", format!("is a {} in {stream}", record.event.kind().name));
            }
            None | Some(_) => {}
        }
        if let Some((before, gaps)) = self.versions.get(&record.stream).copied() {
            let follows = record.version == before.next();
            if !(follows || (gaps != self.gaps || is_cut(commit)) && record.version > before) {
                wrong("version", format!("is version {} of its stream, after {before}", record.version));
            }
        } else if record.version != Version(1) && self.gaps == 0 {
            wrong("version", format!("is version {} of its stream, which is new", record.version));
        }
        self.versions.insert(record.stream, (record.version, self.gaps));
        self.recorded_at = self.recorded_at.max(record.recorded_at);
        match &record.event {
            Event::Desk(desk::Event::Opened(opened)) => self.desk = Some(opened.desk),
            Event::Desk(desk::Event::TelemetryCut(cut)) => {
                self.cuts.insert(cut.through, cut.base_hash);
            }
            _ => {}
        }
    }

    /// Compares the rows that must stand beside the event.
    async fn beside(&mut self, record: &Record) {
        let (Some(stream), Some(desk)) = (self.names.get(&record.stream), self.desk) else {
            let tables = self.beside.iter_mut();
            return tables.for_each(|beside| beside.pass_over(record.position..=record.position));
        };
        for beside in &mut self.beside {
            if let Some(row) = beside.row(record, desk, stream) {
                beside.expect(record.position, row, &mut self.report).await;
            }
        }
    }

    fn fold(&mut self, commit: &Commit) {
        let Some(fold) = &mut self.fold else { return };
        match fold.commit(commit) {
            Ok(()) => {}
            Err(RestoreError::Cut { .. }) => self.fold = None,
            Err(error) => {
                let at = commit.header.first;
                // The record's own check has said more precisely what is wrong, where it was one.
                self.report.problem(at, "fold", format!("commit {at}: {error}"));
                self.drop_fold(at);
            }
        }
    }

    fn drop_fold(&mut self, at: Position) {
        if self.fold.take().is_some() {
            self.report.not_checkable(format!("the state, and snapshots of it, from position {at} on"));
        }
    }

    /// The records of these positions cannot be known.
    fn lose(&mut self, range: RangeInclusive<Position>) {
        self.drop_fold(*range.start());
        self.lost = true;
        self.gaps += 1;
        for beside in &mut self.beside {
            beside.pass_over(range.clone());
        }
    }

    fn cut(&mut self, first: Position, last: Position) {
        self.gaps += 1;
        self.first_cut.get_or_insert(first);
        self.last_cut = self.last_cut.max(last);
        self.fold = None;
    }

    fn check_against(&mut self, end: &Head, first: Position) {
        let Some(noted) = self.against else { return };
        if noted.position < first || noted.position > end.position {
            return;
        }
        self.against = None;
        if noted.position != end.position {
            let why =
                format!("position {}, where the noted head stood, is not the end of a commit any more", noted.position);
            return match self.report.seals {
                0 => self.report.problem(first, "head_rewritten", why),
                _ => self
                    .report
                    .not_checkable(format!("the noted head: it stands within telemetry that was cut at {first}")),
            };
        }
        if noted.hash != end.hash {
            let why = format!("the noted head at position {} has another hash: history was rewritten", noted.position);
            self.report.problem(first, "head_rewritten", why);
        }
    }

    /// A base within a commit would be met by no commit's end.
    fn check_base_before(&mut self, first: Position) {
        if let Some(base) = self.base.take_if(|base| base.position < first) {
            let why = format!("the base at position {} does not stand at the end of a commit", base.position);
            self.report.problem(base.position, "base", why);
        }
    }

    fn check_base_at(&mut self, position: Position) {
        let Some(base) = self.base.take_if(|base| base.position == position) else { return };
        self.report.bases += 1;
        let fold = match whole(&base) {
            Ok(fold) => fold,
            Err(why) => {
                return self.report.problem(position, "base", format!("the base at position {position}: {why}"));
            }
        };
        if let Some(before) = &self.fold
            && before.fold().to_bytes() != base.bytes
        {
            let why = format!("the base at position {position} is not the state that the log leads to");
            self.report.problem(position, "base", why);
        }
        self.base_met = Some((position, base.hash));
        for (number, id) in fold.truth.names().iter() {
            self.names.entry(number).or_insert_with(|| id.clone());
            if let Some(slot) = fold.truth.slot(number) {
                let known = self.versions.insert(number, (slot.version, self.gaps));
                if known.is_some_and(|(version, _)| version > slot.version) {
                    let why =
                        format!("the base at position {position} has an older version of {id} than the log before it");
                    self.report.problem(position, "base", why);
                }
            }
        }
        self.desk = self.desk.or(fold.truth.desk_id());
        if !self.lost && self.fold.is_none() {
            self.fold = Some(Restorer::new(fold, []));
        }
    }

    async fn check_snapshot(&mut self, position: Position, source: &mut Source) {
        self.snapshots.retain(|snapshot| *snapshot != position);
        let saved = match source.newest(position, truth::SCHEMA).await {
            Ok(saved) => saved.filter(|saved| saved.position == position),
            Err(error) => {
                return self.report.problem(
                    position,
                    "snapshot",
                    format!("the snapshot at position {position}: {error}"),
                );
            }
        };
        let Some(saved) = saved else {
            return self.report.not_checkable(format!(
                "the snapshot at position {position}: it is of another schema, or was thinned out"
            ));
        };
        self.report.snapshots += 1;
        if let Err(why) = whole(&saved) {
            return self.report.problem(position, "snapshot", format!("the snapshot at position {position}: {why}"));
        }
        match &self.fold {
            Some(fold) if fold.fold().to_bytes() != saved.bytes => {
                let why = format!("the snapshot at position {position} is not the state that the log leads to");
                self.report.problem(position, "snapshot", why);
            }
            Some(_) => {}
            None => {
                self.report.not_checkable(format!("whether the snapshot at position {position} follows from the log"))
            }
        }
    }

    async fn finish(&mut self, source: &mut Source) {
        for problem in self.chain.end(&self.head) {
            self.report.problem(self.head.position, problem.what, problem.detail);
        }
        if let Some(noted) = self.against.take() {
            let why = format!("the log ends at {}, before the noted head at {}", self.head.position, noted.position);
            self.report.problem(self.head.position, "head_rewritten", why);
        }
        self.check_cuts();
        for mut beside in std::mem::take(&mut self.beside) {
            beside.end(&mut self.report).await;
            beside.count(&mut self.report);
        }
        for position in std::mem::take(&mut self.snapshots) {
            if position <= self.last_cut {
                self.report.not_checkable(format!("the snapshot at position {position}: what led to it was cut"));
            } else if position <= self.head.position && !self.lost {
                let why = format!("the snapshot at position {position} stands where no commit ends");
                self.report.problem(position, "snapshot", why);
            }
        }
        self.report.streams = self.names.len() as u64;
        if let Some(fold) = self.fold.take() {
            let restored = fold.finish();
            self.report.state_hash = Some(restored.fold.truth.hash().to_string());
            self.report.reactions_owed = restored.debts.len() as u64;
            if let Some(reader) = &self.reader {
                check_vault(reader, &restored.fold.truth, self.head.position, &mut self.report).await;
            }
        }
        if let Some(reader) = &self.reader
            && let Err(error) = reader.cut_through().await
        {
            self.report.problem(Position(0), "store", error);
        }
        let _ = source;
    }

    /// What is missing must have been cut by an event that says so, and replaced by a base with the hash that it names.
    fn check_cuts(&mut self) {
        if let Some(base) = self.base.take() {
            let why = format!("the base at position {} lies beyond the end of the log", base.position);
            self.report.problem(base.position, "base", why);
        }
        let said = self.cuts.last_key_value();
        let Some(first) = self.first_cut else { return };
        match said {
            None => {
                let why = format!("commit {first}: telemetry is missing, and no event says that it was cut");
                self.report.problem(first, "telemetry_missing", why);
            }
            Some((through, _)) if *through < self.last_cut => {
                let why = format!(
                    "telemetry is missing up to position {}, but it was cut only through {through}",
                    self.last_cut
                );
                self.report.problem(self.last_cut, "telemetry_missing", why);
            }
            Some((through, hash)) => match self.base_met {
                _ if self.lost => {}
                Some((position, found)) if position == *through && found == *hash => {}
                // A cut that has only begun: its base is there, its event not yet.
                Some((position, _)) if position > *through => {
                    self.report.not_checkable(format!("the base at position {position}: no event tells its hash yet"));
                }
                Some(_) | None => {
                    let why = format!(
                        "telemetry was cut through position {through}, and the base that replaces it is not the one of the event"
                    );
                    self.report.problem(*through, "base", why);
                }
            },
        }
    }
}

fn is_cut(commit: &Commit) -> bool {
    commit.telemetry.is_none() && commit.header.telemetry_count > 0
}

fn belongs(stream: &StreamId, event: &Event) -> bool {
    match event {
        Event::Account(_) => matches!(stream, StreamId::Account(..)),
        Event::Desk(_) => *stream == StreamId::Desk,
        Event::Endpoint(event) => event.belongs_to(stream),
        Event::Alert(_) => *stream == StreamId::Alerts,
        Event::Guard(_) => *stream == StreamId::Guard,
        Event::Market(_) => matches!(stream, StreamId::Market(_)),
        Event::Strategy(_) | Event::Maker(_) | Event::Taker(_) => matches!(stream, StreamId::Strategy(_)),
        Event::Venue(_) => matches!(stream, StreamId::Venue(_)),
        Event::Answered(_) | Event::Unknown(_) => true,
    }
}

/// The fold that was saved, or why it cannot be believed.
fn whole(saved: &Saved) -> Result<Fold, String> {
    if !saved.is_whole() {
        return Err("its bytes are not the ones that were saved".into());
    }
    let fold = Fold::from_bytes(&saved.bytes).map_err(|error| error.to_string())?;
    match fold.truth.position() == saved.position {
        true => Ok(fold),
        false => Err(format!("it stands at position {}, not where it says", fold.truth.position())),
    }
}

/// Every credential that the desk counts on must be in the vault.
async fn check_vault(reader: &Reader, truth: &Truth, at: Position, report: &mut Report) {
    let mut missing = Vec::new();
    for (id, kind, whose) in credentials(truth) {
        match reader.secret(id).await {
            // A token may be a key of the proxy: what it opens stands in the vault with it.
            Ok(Some(secret)) if secret.kind == kind || (kind == "token" && secret.kind == "api_key") => {
                report.credentials += 1;
            }
            Ok(Some(secret)) => {
                report.problem(
                    at,
                    "vault",
                    format!("the vault has a {} where the {kind} of {whose} should be", secret.kind),
                );
            }
            Ok(None) => missing.push(format!("the vault lacks the {kind} of {whose}")),
            Err(error) => report.problem(at, "vault", format!("the {kind} of {whose}: {error}")),
        }
    }
    if report.credentials == 0 && !missing.is_empty() {
        let what = "the vault: it is empty, as after an import; set passwords anew with `tidehelm user password NAME`";
        return report.not_checkable(what);
    }
    for why in missing {
        report.problem(at, "vault", why);
    }
}

/// Every secret that the desk, its endpoints and the channels of its alerts count on: its id, its kind, and whose it is.
pub fn credentials(truth: &Truth) -> Vec<(CredentialId, &'static str, String)> {
    let endpoints = truth.endpoints().filter_map(|endpoint| endpoint.settings.as_ref());
    let secrets = endpoints.filter_map(|settings| Some((settings.secret?, &settings.name)));
    let secrets = secrets.map(|(id, name)| (id, "endpoint_secret", format!("endpoint {name}")));
    let channels = truth.alerts().into_iter().flat_map(|alerts| &alerts.channels);
    let channels = channels.filter_map(|(id, channel)| {
        Some((channel.is.secret?, "channel_secret", format!("the channel {id} of alerts")))
    });
    let mut all = truth.desk().map(of_desk).unwrap_or_default();
    all.extend(secrets.chain(channels));
    all
}

fn of_desk(desk: &desk::Desk) -> Vec<(CredentialId, &'static str, String)> {
    let users = desk.users.iter().map(|(name, user)| (user.credential, "password", format!("user {name}")));
    let invites = desk.invites.iter().map(|(id, invite)| (*id, "invite", format!("the invitation of {}", invite.name)));
    let sessions = desk.sessions.iter().map(|(id, session)| (*id, "session", format!("a session of {}", session.name)));
    let tokens = desk.tokens.iter().map(|(id, token)| (*id, "token", format!("token {}", token.name)));
    let pairings = desk.pairings.keys().map(|id| (*id, "pairing", format!("pairing {id}")));
    let keys = desk.terminal_keys.iter();
    let keys =
        keys.map(|(id, key)| (*id, "terminal_key", format!("the terminal of {}/{}", key.role.as_str(), key.account)));
    users.chain(invites).chain(sessions).chain(tokens).chain(pairings).chain(keys).collect()
}
