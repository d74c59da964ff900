//! The unit of truth: all events of one group commit, packed into two blobs under a header that chains by hash.

use crate::codec::{self, CodecError};
use crate::envelope::Record;
use crate::event::Event;
use crate::id::{CommandId, Epoch, NodeId, Position, Principal, StreamId, StreamNo, Version};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Number of the layout of commits. A log with a higher one is from a later build.
pub const FORMAT: u16 = 1;

/// A BLAKE3 hash.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    pub const ZERO: Hash = Hash([0; 32]);
    pub fn of(bytes: &[u8]) -> Self {
        Hash(*blake3::hash(bytes).as_bytes())
    }
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Hash)
    }
    pub fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(|hash| Hash(*hash.as_bytes()))
    }
}
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The end of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub position: Position,
    pub hash: Hash,
    pub epoch: Epoch,
    pub committed_at: Timestamp,
}

/// How far reactions have been worked off: all of the events before `cause`, and of `cause` itself the first `index`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reacted {
    pub cause: Position,
    pub index: u32,
}

impl Reacted {
    /// Nothing is owed for any event up to `last`.
    pub fn all_through(last: Position) -> Self {
        Reacted { cause: last.next(), index: 0 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: u16,
    pub first: Position,
    pub last: Position,
    pub committed_at: Timestamp,
    pub node: NodeId,
    pub epoch: Epoch,
    pub reacted: Reacted,
    pub kept_count: u32,
    pub telemetry_count: u32,
    pub kept_hash: Hash,
    pub telemetry_hash: Hash,
    pub prev_hash: Hash,
}

impl Header {
    /// Hash over every field, which includes the hash of the commit before.
    pub fn hash(&self) -> Hash {
        let mut bytes = Vec::with_capacity(200);
        bytes.extend_from_slice(b"tidehelm commit");
        bytes.extend_from_slice(&self.format.to_le_bytes());
        for number in [self.first.0, self.last.0, self.committed_at.0 as u64, self.epoch.0, self.reacted.cause.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for count in [self.reacted.index, self.kept_count, self.telemetry_count] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes.extend_from_slice(self.node.0.as_bytes());
        for hash in [self.kept_hash, self.telemetry_hash, self.prev_hash] {
            bytes.extend_from_slice(&hash.0);
        }
        Hash::of(&bytes)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    pub header: Header,
    pub hash: Hash,
    /// Names of new streams and the events that are never cut. Empty where there are none.
    pub kept: Vec<u8>,
    /// None once retention has cut it.
    pub telemetry: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("commit {at}: written by a later build (format {format}, this build reads up to {FORMAT})")]
    Future { at: Position, format: u16 },
    #[error("commit {at}: its hash is not the hash of its header")]
    Header { at: Position },
    #[error("commit {at}: the {blob} blob is not the one that was committed")]
    Blob { at: Position, blob: &'static str },
    #[error("commit {at}: does not follow the commit before it (expected first position {expected})")]
    Hole { at: Position, expected: Position },
    #[error("commit {at}: the chain is broken, it follows a commit with another hash")]
    Chain { at: Position },
    #[error("commit {at}: {source}")]
    Codec { at: Position, source: CodecError },
    #[error("commit {at}: {why}")]
    Records { at: Position, why: String },
}

impl Commit {
    pub fn head(&self) -> Head {
        Head {
            position: self.header.last,
            hash: self.hash,
            epoch: self.header.epoch,
            committed_at: self.header.committed_at,
        }
    }

    /// That header and blobs are what was committed, and that it follows `previous`.
    pub fn check(&self, previous: &Head) -> Result<(), CommitError> {
        let at = self.header.first;
        if self.header.format > FORMAT {
            return Err(CommitError::Future { at, format: self.header.format });
        }
        if at != previous.position.next() {
            return Err(CommitError::Hole { at, expected: previous.position.next() });
        }
        if self.header.prev_hash != previous.hash {
            return Err(CommitError::Chain { at });
        }
        self.check_self()
    }

    /// That header and blobs are what was committed.
    pub fn check_self(&self) -> Result<(), CommitError> {
        let at = self.header.first;
        if self.header.hash() != self.hash {
            return Err(CommitError::Header { at });
        }
        if Hash::of(&self.kept) != self.header.kept_hash {
            return Err(CommitError::Blob { at, blob: "kept" });
        }
        if self.telemetry.as_ref().is_some_and(|blob| Hash::of(blob) != self.header.telemetry_hash) {
            return Err(CommitError::Blob { at, blob: "telemetry" });
        }
        Ok(())
    }

    /// Names of the streams that appear here for the first time, and the records in their order. Where telemetry is cut, only
    /// the kept ones.
    pub fn unpack(&self) -> Result<Unpacked, CommitError> {
        let mut unpacked = Unpacked::default();
        self.unpack_into(&mut unpacked)?;
        Ok(unpacked)
    }

    /// As [`Commit::unpack`], into space that is used again.
    pub fn unpack_into(&self, into: &mut Unpacked) -> Result<(), CommitError> {
        let at = self.header.first;
        let fail = |source| CommitError::Codec { at, source };
        into.names.clear();
        into.records.clear();
        let mut kept = self.kept.as_slice();
        if !kept.is_empty() {
            let (names, used) =
                codec::take_large::<Vec<(StreamNo, StreamId)>>(kept, "names of streams").map_err(fail)?;
            into.names = names;
            kept = &kept[used..];
        }
        let base = self.header.committed_at;
        read_records(kept, at, base, &mut into.records).map_err(fail)?;
        let kept_count = into.records.len();
        if let Some(telemetry) = &self.telemetry {
            read_records(telemetry, at, base, &mut into.records).map_err(fail)?;
            if kept_count > 0 && into.records.len() > kept_count {
                into.records.sort_unstable_by_key(|record| record.position);
            }
        }
        self.check_counts(into, kept_count)
    }

    fn check_counts(&self, unpacked: &Unpacked, kept: usize) -> Result<(), CommitError> {
        let wrong = |why: &str| Err(CommitError::Records { at: self.header.first, why: why.to_string() });
        if kept != self.header.kept_count as usize {
            return wrong("it does not hold as many kept events as its header says");
        }
        let expected = self.header.telemetry_count as usize;
        if self.telemetry.is_some() && unpacked.records.len() - kept != expected {
            return wrong("it does not hold as many telemetry events as its header says");
        }
        if self.telemetry.is_some() || expected == 0 {
            let positions = unpacked.records.iter().map(|record| record.position.0);
            if !positions.eq(self.header.first.0..=self.header.last.0) {
                return wrong("its positions are not one after the other");
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub struct Unpacked {
    pub names: Vec<(StreamNo, StreamId)>,
    pub records: Vec<Record>,
}

/// A run of commits that held nothing but telemetry, after the cut: the chain goes on through its two hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    pub first: Position,
    pub last: Position,
    pub prev_hash: Hash,
    pub last_hash: Hash,
    pub epoch: Epoch,
    pub committed_at: Timestamp,
    pub commits: u64,
    /// How many events of each stream it replaces.
    pub counts: Vec<(StreamNo, u64)>,
}

/// What a log holds, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    Commit(Box<Commit>),
    Seal(Seal),
}

impl Entry {
    pub fn first(&self) -> Position {
        match self {
            Entry::Commit(commit) => commit.header.first,
            Entry::Seal(seal) => seal.first,
        }
    }
    pub fn head(&self) -> Head {
        match self {
            Entry::Commit(commit) => commit.head(),
            Entry::Seal(seal) => {
                Head { position: seal.last, hash: seal.last_hash, epoch: seal.epoch, committed_at: seal.committed_at }
            }
        }
    }
    /// That it is whole and follows `previous`.
    pub fn check(&self, previous: &Head) -> Result<(), CommitError> {
        match self {
            Entry::Commit(commit) => commit.check(previous),
            Entry::Seal(seal) if seal.first != previous.position.next() => {
                Err(CommitError::Hole { at: seal.first, expected: previous.position.next() })
            }
            Entry::Seal(seal) if seal.prev_hash != previous.hash => Err(CommitError::Chain { at: seal.first }),
            Entry::Seal(_) => Ok(()),
        }
    }
}

/// What the journal knows of a commit besides its records.
#[derive(Debug, Clone, Copy)]
pub struct Sealing {
    pub previous: Head,
    pub now: Timestamp,
    pub node: NodeId,
    pub epoch: Epoch,
    pub reacted: Reacted,
}

/// Packs records, which follow `previous` without a gap, into the next commit.
pub fn pack(names: &[(StreamNo, StreamId)], records: &[Record], sealing: &Sealing) -> Commit {
    assert!(!records.is_empty(), "a commit without events");
    let committed_at = sealing.now.max(sealing.previous.committed_at);
    let (first, last) = (records[0].position, records[records.len() - 1].position);
    assert_eq!(first, sealing.previous.position.next(), "a commit that does not follow the head");
    let (mut kept, mut telemetry) = (Vec::new(), Vec::with_capacity(records.len() * 128));
    let (mut kept_count, mut telemetry_count) = (0, 0);
    if !names.is_empty() || records.iter().any(|record| record.event.class().is_kept()) {
        codec::write(&names, &mut kept);
    }
    let mut payload = Vec::with_capacity(256);
    for record in records {
        if record.event.class().is_kept() {
            write_record(record, first, committed_at, &mut payload, &mut kept);
            kept_count += 1;
        } else {
            write_record(record, first, committed_at, &mut payload, &mut telemetry);
            telemetry_count += 1;
        }
    }
    let header = Header {
        format: FORMAT,
        first,
        last,
        committed_at,
        node: sealing.node,
        epoch: sealing.epoch,
        reacted: sealing.reacted,
        kept_count,
        telemetry_count,
        kept_hash: Hash::of(&kept),
        telemetry_hash: Hash::of(&telemetry),
        prev_hash: sealing.previous.hash,
    };
    Commit { hash: header.hash(), header, kept, telemetry: Some(telemetry) }
}

/// A record's head as it is packed: small numbers relative to the commit.
#[derive(Serialize, Deserialize)]
struct Packed {
    step: u32,
    stream: u32,
    version: u64,
    kind: u16,
    schema: u16,
    /// Microseconds before the commit, and each of the others before the last. They wrap, for a terminal's clock says what it
    /// likes and must come back as it was said.
    recorded: i64,
    received: i64,
    occurred: i64,
    /// 0 nothing that follows, else bits: 1 `by`, 2 `command`, 4 `causation`, 8 `correlation`.
    more: u8,
    size: u32,
}

fn write_record(record: &Record, first: Position, base: Timestamp, payload: &mut Vec<u8>, out: &mut Vec<u8>) {
    payload.clear();
    record.event.encode(payload);
    let kind = record.event.kind();
    assert!(
        payload.len() <= codec::PAYLOAD_MAX,
        "a {} of {} bytes is larger than a payload may be",
        kind.name,
        payload.len()
    );
    let more = u8::from(record.by != Principal::Terminal)
        | u8::from(record.command.is_some()) << 1
        | u8::from(record.causation.is_some()) << 2
        | u8::from(record.correlation != record.position) << 3;
    let packed = Packed {
        step: u32::try_from(record.position.0 - first.0).unwrap_or_else(|_| unreachable!("a commit of 2^32 events")),
        stream: record.stream.0,
        version: record.version.0,
        kind: kind.number,
        schema: kind.schema,
        recorded: base.0.wrapping_sub(record.recorded_at.0),
        received: record.recorded_at.0.wrapping_sub(record.received_at.0),
        occurred: record.received_at.0.wrapping_sub(record.occurred_at.0),
        more,
        size: u32::try_from(payload.len()).unwrap_or_else(|_| unreachable!("a payload of 4 GiB")),
    };
    codec::write(&packed, out);
    if more & 1 != 0 {
        codec::write(&record.by, out);
    }
    if let Some(command) = record.command {
        codec::write(&command, out);
    }
    if let Some(causation) = record.causation {
        codec::write(&causation, out);
    }
    if more & 8 != 0 {
        codec::write(&record.correlation, out);
    }
    out.extend_from_slice(payload);
}

fn read_records(mut bytes: &[u8], first: Position, base: Timestamp, out: &mut Vec<Record>) -> Result<(), CodecError> {
    while !bytes.is_empty() {
        let (record, used) = read_record(bytes, first, base)?;
        out.push(record);
        bytes = &bytes[used..];
    }
    Ok(())
}

fn read_record(bytes: &[u8], first: Position, base: Timestamp) -> Result<(Record, usize), CodecError> {
    let (packed, mut used) = codec::take::<Packed>(bytes, "a record")?;
    let position = Position(first.0.saturating_add(u64::from(packed.step)));
    let (mut by, mut command, mut causation, mut correlation) = (Principal::Terminal, None, None, position);
    if packed.more & 1 != 0 {
        by = field(bytes, &mut used)?;
    }
    if packed.more & 2 != 0 {
        command = Some(CommandId(field::<Uuid>(bytes, &mut used)?));
    }
    if packed.more & 4 != 0 {
        causation = Some(field(bytes, &mut used)?);
    }
    if packed.more & 8 != 0 {
        correlation = field(bytes, &mut used)?;
    }
    let end = used.saturating_add(packed.size as usize);
    let short = || CodecError::Malformed { what: "a record", why: "its payload is cut short".into() };
    let event = Event::decode(packed.kind, packed.schema, bytes.get(used..end).ok_or_else(short)?)?;
    let recorded_at = Timestamp(base.0.wrapping_sub(packed.recorded));
    let received_at = Timestamp(recorded_at.0.wrapping_sub(packed.received));
    let occurred_at = Timestamp(received_at.0.wrapping_sub(packed.occurred));
    let (stream, version) = (StreamNo(packed.stream), Version(packed.version));
    let record = Record {
        position,
        stream,
        version,
        occurred_at,
        received_at,
        recorded_at,
        by,
        command,
        causation,
        correlation,
        event,
    };
    Ok((record, end))
}

fn field<T: serde::de::DeserializeOwned>(bytes: &[u8], used: &mut usize) -> Result<T, CodecError> {
    let (value, more) = codec::take(bytes.get(*used..).unwrap_or(&[]), "a record's field")?;
    *used += more;
    Ok(value)
}

#[cfg(test)]
mod tests;
