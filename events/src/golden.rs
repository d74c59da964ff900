//! Golden records: what earlier builds wrote must mean the same for ever, and what this build writes is what was agreed.
//!
//! `TIDEHELM_BLESS=1` writes files that are missing and `docs/events.md`. It never writes over a record: a changed layout wants
//! a new schema number, and the old file stays. One that was never released may be deleted by hand.
#![allow(clippy::disallowed_methods, reason = "golden files are read here, and written when they are blessed")]

use crate::account;
use crate::commit::{Commit, FORMAT, Hash, Head, Header, Reacted, Sealing, pack};
use crate::desk;
use crate::event::{Event, Kind, Unknown};
use crate::id::{Epoch, NodeId, Position, Principal, Role, StreamId, StreamNo};
use crate::sample::{self, log::Log};
use crate::time::{Span, Timestamp};
use crate::truth::SCHEMA;
use crate::view::Fold;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use uuid::Uuid;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn path(name: &str) -> PathBuf {
    PathBuf::from(ROOT).join("golden").join(name)
}

fn blessing() -> bool {
    std::env::var_os("TIDEHELM_BLESS").is_some_and(|value| value == "1")
}

/// The file's bytes; `new` where there is none yet and it is to be blessed.
fn golden(name: &str, new: &[u8]) -> Vec<u8> {
    let path = path(name);
    if !path.exists() && blessing() {
        fs::write(&path, new).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("golden/{name}: {error}; TIDEHELM_BLESS=1 writes what is missing"))
}

/// That the file says the same, with both sides in full where it does not.
fn same_text(name: &str, found: &str) {
    let kept = golden(name, found.as_bytes());
    assert_eq!(String::from_utf8(kept).unwrap(), found, "golden/{name}");
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn stem(kind: Kind, schema: u16) -> String {
    format!("{:03}_{}.v{schema}", kind.number, kind.name)
}

#[test]
fn every_kind_has_a_sample() {
    let kinds: Vec<_> = sample::events().iter().map(Event::kind).collect();
    assert_eq!(kinds, Event::kinds());
}

#[test]
fn numbers_and_names_are_given_once() {
    let kinds = Event::kinds();
    let numbers: BTreeSet<_> = kinds.iter().map(|kind| kind.number).collect();
    let names: BTreeSet<_> = kinds.iter().map(|kind| kind.name).collect();
    assert_eq!((numbers.len(), names.len()), (kinds.len(), kinds.len()));
}

#[test]
fn every_schema_of_every_kind_reads_and_writes_as_agreed() {
    for event in sample::events() {
        let kind = event.kind();
        for schema in 1..=kind.schema {
            let (bytes, meaning) = sample::bytes_of(&event, kind, schema);
            let name = stem(kind, schema);
            let kept = golden(&format!("{name}.bin"), &bytes);
            assert_eq!(
                Event::decode(kind.number, schema, &kept),
                Ok(meaning.clone()),
                "{name}.bin means something else"
            );
            assert_eq!(hex(&bytes), hex(&kept), "{name}.bin is written otherwise");
            same_text(&format!("{name}.json"), &pretty(&meaning.to_json()));
            let json = golden(&format!("{name}.json"), b"");
            let json: Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(Event::from_json(kind.name, &json), Ok(meaning), "{name}.json means something else");
        }
    }
}

#[test]
fn every_golden_file_belongs_to_something() {
    if blessing() {
        return; // the other tests are still writing
    }
    let mut expected = BTreeSet::from([commit_file(), state_file(), WORDS.to_string()]);
    for kind in Event::kinds() {
        for schema in 1..=kind.schema {
            expected.extend([format!("{}.bin", stem(kind, schema)), format!("{}.json", stem(kind, schema))]);
        }
    }
    let found = fs::read_dir(path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_payload_that_is_cut_or_too_long_is_refused() {
    for event in sample::events() {
        let (kind, mut bytes) = (event.kind(), Vec::new());
        event.encode(&mut bytes);
        for length in 0..bytes.len() {
            let cut = Event::decode(kind.number, kind.schema, &bytes[..length]);
            assert!(cut.is_err(), "{} of {length} bytes: {cut:?}", kind.name);
        }
        bytes.push(0);
        assert!(Event::decode(kind.number, kind.schema, &bytes).is_err(), "{} with a byte left over", kind.name);
    }
}

#[test]
fn a_schema_of_a_later_build_is_carried() {
    for kind in Event::kinds() {
        let later = Event::decode(kind.number, kind.schema + 1, b"later");
        let unknown = Unknown { number: kind.number, schema: kind.schema + 1, bytes: b"later".to_vec() };
        assert_eq!(later, Ok(Event::Unknown(unknown)));
    }
}

const WORDS: &str = "words.txt";

#[test]
fn every_word_keeps_its_bytes_and_its_json() {
    let mut table = String::new();
    for (of, bytes, json) in sample::words() {
        writeln!(table, "{of:14} {} {json}", hex(&bytes)).unwrap();
    }
    same_text(WORDS, &table);
}

fn commit_file() -> String {
    format!("commit.{FORMAT}.json")
}

/// Both classes, a kind that nobody knows, and every field of a record away from what is left out.
fn small_commit() -> (Vec<(StreamNo, StreamId)>, Vec<crate::envelope::Record>, Commit) {
    let names = vec![
        (StreamNo(7), StreamId::slave(&sample::account_id("A_12"))),
        (StreamNo(8), StreamId::master(&sample::account_id("A_1"))),
    ];
    let mut events = sample::account_events().into_iter().map(Event::Account);
    let mut record = |position, stream, version| sample::record(position, stream, version, events.next().unwrap());
    let mut records = vec![record(42, 7, 300), record(43, 8, 2), record(44, 7, 301), record(45, 7, 302)];
    records[1].by = Principal::Operator;
    records[1].command = Some(sample::command_id(1));
    records[3].causation = Some(Position(17));
    records[3].correlation = Position(16);
    let unknown = Unknown { number: 60_000, schema: 3, bytes: b"later".to_vec() };
    records.push(sample::record(46, 8, 3, Event::Unknown(unknown)));
    let sealing = Sealing {
        previous: Head {
            position: Position(41),
            hash: Hash([0x41; 32]),
            epoch: Epoch(4),
            committed_at: Timestamp(sample::START.0 - 5),
        },
        now: sample::START + Span::millis(50),
        node: NodeId(Uuid::from_u128(0x0de)),
        epoch: Epoch(5),
        reacted: Reacted { cause: Position(40), index: 3 },
    };
    let commit = pack(&names, &records, &sealing);
    (names, records, commit)
}

fn commit_json(commit: &Commit) -> Value {
    let header = &commit.header;
    json!({
        "format": header.format,
        "first": header.first,
        "last": header.last,
        "committed_at": header.committed_at,
        "node": header.node,
        "epoch": header.epoch,
        "reacted": header.reacted,
        "kept_count": header.kept_count,
        "telemetry_count": header.telemetry_count,
        "kept_hash": header.kept_hash.to_string(),
        "telemetry_hash": header.telemetry_hash.to_string(),
        "prev_hash": header.prev_hash.to_string(),
        "hash": commit.hash.to_string(),
        "kept": hex(&commit.kept),
        "telemetry": hex(commit.telemetry.as_deref().unwrap()),
    })
}

fn commit_from(json: &Value) -> Commit {
    fn field<T: serde::de::DeserializeOwned>(json: &Value, name: &str) -> T {
        serde_json::from_value(json[name].clone()).unwrap()
    }
    let hash = |name: &str| Hash::from_hex(json[name].as_str().unwrap()).unwrap();
    let header = Header {
        format: field(json, "format"),
        first: field(json, "first"),
        last: field(json, "last"),
        committed_at: field(json, "committed_at"),
        node: field(json, "node"),
        epoch: field(json, "epoch"),
        reacted: field(json, "reacted"),
        kept_count: field(json, "kept_count"),
        telemetry_count: field(json, "telemetry_count"),
        kept_hash: hash("kept_hash"),
        telemetry_hash: hash("telemetry_hash"),
        prev_hash: hash("prev_hash"),
    };
    Commit { header, hash: hash("hash"), kept: unhex(&json["kept"]), telemetry: Some(unhex(&json["telemetry"])) }
}

#[test]
fn a_commit_reads_and_writes_as_agreed() {
    let (names, records, commit) = small_commit();
    same_text(&commit_file(), &pretty(&commit_json(&commit)));
    let kept = commit_from(&serde_json::from_slice(&golden(&commit_file(), b"")).unwrap());
    assert_eq!(kept, commit);
    kept.check_self().unwrap();
    let unpacked = kept.unpack().unwrap();
    assert_eq!((unpacked.names, unpacked.records), (names, records));
}

fn state_file() -> String {
    format!("state.{SCHEMA}.json")
}

/// A master, a slave that follows it, one that nobody wants yet, two that trade, people, keys, endpoints, a refusal, a cut.
fn small_log() -> Log {
    let mut log = Log::new();
    let (master, slave) = (sample::account_id("A_1"), sample::account_id("A_12"));
    let anna = sample::user("anna");
    let (access, credential) = (desk::Access::Admin, sample::credential(1));
    log.desk(desk::Command::AddUser { name: anna.clone(), access, credential }).unwrap();
    let (access, expires_at) = (desk::Access::Viewer, log.now + Span::hours(24));
    let (name, credential) = (sample::user("ben"), sample::credential(2));
    log.desk(desk::Command::Invite { name, access, credential, expires_at }).unwrap();
    let (session, peer) = (sample::credential(3), "192.0.2.7".to_string());
    log.desk(desk::Command::StartSession { session, name: anna, expires_at, peer }).unwrap();
    let (token, name) = (sample::credential(4), "grafana".to_string());
    log.desk(desk::Command::CreateToken { token, name, access, expires_at: None }).unwrap();
    pair(&mut log, &slave);
    for to in [StreamId::master(&master), StreamId::slave(&slave)] {
        log.now = log.now + Span::seconds(1);
        log.account(&to, account::Command::Register(Box::new(sample::registered()))).unwrap();
        log.account(&to, account::Command::SetIntent { enabled: true }).unwrap();
        log.account(&to, account::Command::Heartbeat(sample::heartbeat(true))).unwrap();
        log.seal();
    }
    let unwanted = StreamId::slave(&sample::account_id("B_7"));
    log.account(&unwanted, account::Command::Register(Box::new(sample::registered()))).unwrap();
    log.account(&StreamId::slave(&slave), account::Command::Link { master, enabled: true, settings: Box::default() })
        .unwrap();
    log.desk(desk::Command::ChangeSettings(desk::Settings { session_hours: 8, ..Default::default() })).unwrap();
    traded(&mut log);
    proxied(&mut log);
    alarmed(&mut log);
    let cut = desk::TelemetryCut { through: Position(5), base_hash: Hash([0xba; 32]), events: 1 };
    log.desk(desk::Command::NoteCut(cut)).unwrap();
    log.answer(&StreamId::slave(&slave), crate::answer::Answer::Refused(sample::denial()));
    log.now = log.now + Span::seconds(90);
    log.account(&StreamId::slave(&slave), account::Command::CheckSilence).unwrap();
    log.seal();
    log
}

/// One code that was used, and one that is open and was tried.
fn pair(log: &mut Log, account: &crate::id::AccountId) {
    let (role, peer, expires_at) = (Role::Slave, "192.0.2.8".to_string(), log.now + Span::seconds(600));
    for (number, account) in [(5, Some(account.clone())), (6, None)] {
        let opened = desk::PairingOpened { pairing: sample::credential(number), account, role: Some(role), expires_at };
        log.desk(desk::Command::OpenPairing(opened)).unwrap();
    }
    let used = desk::PairingUsed { pairing: sample::credential(5), account: account.clone(), role, peer: peer.clone() };
    log.desk(desk::Command::UsePairing { used, key: sample::credential(7) }).unwrap();
    let failed = desk::PairingFailed { pairing: sample::credential(6), account: account.clone(), role, peer };
    log.desk(desk::Command::FailPairing(failed)).unwrap();
}

/// Two trades of a slave that copies: one open in part, one on its way; with limits, a price and a group of its own.
fn traded(log: &mut Log) {
    use crate::trade::{Change, OrderResult, Outcome, Ticket};
    use account::Command;
    use sample::trade::{account_settings, contract, lots, price, result, symbol, trade};
    let (master, slave) = (sample::account_id("M_1"), sample::account_id("S_1"));
    let (to_master, to_slave) = (StreamId::master(&master), StreamId::slave(&slave));
    let contracts = [(symbol("EURUSD"), contract())].into();
    let registered = account::Registered { contracts, ..sample::registered() };
    for to in [&to_master, &to_slave] {
        log.account(to, Command::Register(Box::new(registered.clone()))).unwrap();
        log.account(to, Command::Heartbeat(sample::heartbeat(true))).unwrap();
    }
    log.account(&to_master, Command::SetIntent { enabled: true }).unwrap();
    let (bid, ask) = (price("1.0844"), price("1.0845"));
    log.account(&to_slave, Command::Quote(account::QuoteSeen { symbol: symbol("EURUSD"), bid, ask })).unwrap();
    log.account(&to_slave, Command::Link { master, enabled: true, settings: Box::default() }).unwrap();
    let settings = account::AccountSettings { copy: Default::default(), ..account_settings() };
    log.account(&to_slave, Command::ChangeSettings(Box::new(settings))).unwrap();
    let part = Change::Close { ticket: Ticket(1), ratio: None, remaining: Some(lots("0.2")), price: None };
    for (signal_seq, change) in (1..).zip([Change::Open(trade(1)), Change::Open(trade(2)), part]) {
        let signal = account::Signal { signal_seq, change, broker_at: None, seen_at: Some(log.now) };
        log.account(&to_master, Command::Signal(Box::new(signal))).unwrap();
    }
    let first =
        log.fold.truth.account(&to_slave).and_then(|account| account.slave_book.as_ref()?.outbox.get(&1)).unwrap().id;
    let filled = OrderResult { order: first, outcome: Outcome::Filled, lots: None, error: None, ..result() };
    let filled = Command::Result { result: Box::new(filled), durable_at: None, sent_at: None };
    log.account(&to_slave, filled).unwrap();
}

/// An endpoint that serves and is in doubt, one that was removed, and a request that came to none.
fn proxied(log: &mut Log) {
    use crate::endpoint::detect::Found;
    use crate::endpoint::{Command, Kind, Outcome, ProbeOutcome, ProxyCommand, ProxySettings, RequestFinished};
    use sample::endpoint::{endpoint_id, finished, model, settings, settings_in_full};
    let (one, other) = (endpoint_id(1), endpoint_id(2));
    let zone = ProxySettings { zone: "Asia/Tokyo".into(), ..ProxySettings::default() };
    log.proxy(ProxyCommand::Change(Box::new(zone))).unwrap();
    log.endpoint(one, Command::Register(Box::new(settings_in_full()))).unwrap();
    log.endpoint(other, Command::Register(Box::new(settings("attic")))).unwrap();
    let revision = log.fold.truth.endpoint(one).unwrap().revision;
    let (outcome, found) =
        (ProbeOutcome::Answered { took: Span::millis(120) }, Found { kind: Kind::Vllm, version: None });
    log.endpoint(one, Command::TakeProbe { outcome, found: Some(found), revision, jitter: 500 }).unwrap();
    log.endpoint(one, Command::SyncModels(vec![model("qwen3-8b")])).unwrap();
    let mut finish = |to, finished| {
        log.endpoint(to, Command::FinishRequest { finished: Box::new(finished), jitter: 500 }).unwrap();
    };
    finish(one, finished(1));
    finish(other, finished(2));
    finish(one, RequestFinished { outcome: Outcome::UpstreamError, http_status: Some(502), ..finished(3) });
    log.endpoint(other, Command::Remove).unwrap();
    let refused = RequestFinished { outcome: Outcome::Refused, ..finished(4) };
    log.proxy(ProxyCommand::FinishRequest(Box::new(refused))).unwrap();
}

/// A rule of one's own, two channels, an alert that is raised, seen and on its way, one that is over, one that nobody hears of, a
/// message that was given up.
fn alarmed(log: &mut Log) {
    use crate::alert::{Command, DeliveryId, Edge, Rule, When};
    use sample::alert::{channel, channel_id, email, pattern, rule, rule_id, subject};
    let expected = Some(crate::id::Version(0));
    for (id, channel) in [("ops", channel()), ("mail", email())] {
        log.alerts(Command::SetChannel { id: channel_id(id), channel: Box::new(channel), expected }).unwrap();
    }
    log.alerts(Command::SetRule { id: rule_id("disk"), rule: Box::new(rule()), expected }).unwrap();
    let quiet = Rule { when: When::BackupOld, channels: Default::default(), subjects: Default::default(), ..rule() };
    log.alerts(Command::SetRule { id: rule_id("backup-old"), rule: Box::new(quiet), expected }).unwrap();
    log.alerts(Command::RemoveRule { id: rule_id("snapshot-old"), expected: None }).unwrap();
    let (until, reason) = (log.now + Span::hours(1), sample::reason("it is known"));
    let (of, whom) = (Some(rule_id("backup-old")), Some(pattern("desk/*")));
    log.alerts(Command::Mute { rule: of, subject: whom, until, reason: reason.clone() }).unwrap();
    let since = log.now - Span::seconds(60);
    let mut raise = |rule: &str, about: &str| {
        let (rule, subject) = (rule_id(rule), subject(about));
        log.alerts(Command::Raise { rule, subject, detail: "4 % free".into(), since }).unwrap();
        log.fold.truth.position()
    };
    let (first, second) = (raise("disk", "disk/data"), raise("disk", "disk/backup"));
    raise("backup-old", "desk/backups");
    raise("desk-stopped", "desk/stop");
    log.alerts(Command::Acknowledge { alert: second, by: "user:anna".into(), note: Some(reason) }).unwrap();
    log.alerts(Command::Clear { rule: rule_id("disk"), subject: subject("disk/data") }).unwrap();
    let of = |alert, edge| DeliveryId { alert, edge, channel: channel_id("ops") };
    let delivered = Command::Delivered { delivery: of(first, Edge::Raised), took: Span::millis(8), status: Some(200) };
    log.alerts(delivered).unwrap();
    for (delivery, hopeless) in [(of(second, Edge::Raised), false), (of(first, Edge::Cleared), true)] {
        let failed = Command::DeliveryFailed { delivery, why: "answered 503".into(), hopeless, jitter: 500 };
        log.alerts(failed).unwrap();
    }
}

/// A changed layout or meaning of the state that keeps its schema number would read old snapshots wrongly.
#[test]
fn a_state_has_the_bytes_and_the_hash_that_were_agreed() {
    let fold = small_log().fold;
    let streams = fold.truth.names().iter().map(|(_, id)| fold.truth.describe(id));
    let state = json!({
        "position": fold.truth.position(),
        "head": small_log().head.hash.to_string(),
        "hash": fold.truth.hash().to_string(),
        "views": fold.views.hashes().into_iter().map(|(name, hash)| json!([name, hash.to_string()])).collect::<Vec<_>>(),
        "streams": streams.collect::<Vec<_>>(),
        "bytes": hex(&fold.to_bytes()),
    });
    same_text(&state_file(), &pretty(&state));
    let kept: Value = serde_json::from_slice(&golden(&state_file(), b"")).unwrap();
    let kept = Fold::from_bytes(&unhex(&kept["bytes"])).unwrap();
    assert_eq!(kept, fold);
}

#[test]
fn the_catalogue_of_events_is_the_one_in_the_docs() {
    let file = PathBuf::from(ROOT).join("../docs/events.md");
    if blessing() {
        fs::write(&file, catalogue()).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(kept, catalogue(), "docs/events.md is of another build; TIDEHELM_BLESS=1 writes it anew");
}

fn catalogue() -> String {
    let samples = sample::events();
    let mut out = String::from(INTRODUCTION);
    out.push_str("| Number | Name | Schema | Class | What happened |\n|---|---|---|---|---|\n");
    for kind in Event::kinds() {
        let Kind { number, name, schema, class, doc } = kind;
        let (class, doc) = (crate::event::json(&class), doc.trim());
        let class = class.as_str().unwrap();
        writeln!(out, "| {number} | [`{name}`](#{name}) | {schema} | {class} | {doc} |").unwrap();
    }
    let slave = StreamId::slave(&sample::account_id("IC_Markets_12345"));
    let change = samples.iter().find(|event| event.kind().name == "status_changed").unwrap();
    let envelope = sample::record(42, 7, 3, change.clone()).envelope(sample::desk_id(), &slave);
    writeln!(out, "\n## An event with its envelope\n\n```json\n{:#}\n```", crate::event::json(&envelope)).unwrap();
    out.push_str("\n## Payloads\n");
    for event in samples {
        let Kind { number, name, schema, doc, .. } = event.kind();
        let older = match schema {
            1 => String::new(),
            2 => ", schema 1 is read".into(),
            _ => format!(", schemas 1 to {} are read", schema - 1),
        };
        let doc = doc.trim();
        writeln!(out, "\n### {name}\n\nNumber {number}, schema {schema}{older}. {doc}\n").unwrap();
        writeln!(out, "```json\n{:#}\n```", event.to_json()).unwrap();
    }
    out
}

const INTRODUCTION: &str = "\
# Events

Everything that the log can hold. This page is written from the code (`events/src/golden.rs`) and a test compares it.

Numbers and names are never given twice. A **business** event is kept for ever and has a readable audit row; **volume** has SQL
tables and a retention of its own, and is cut from the log as **telemetry** is, by age or size; what it adds up to stays. Older schemas are read for ever: a file in
`events/golden/` holds the bytes of each. Times are microseconds since 1970-01-01 UTC, spans microseconds, decimals are strings,
a runtime status is 0 (disabled), 1 (enabled) or 2 (connected).

";
