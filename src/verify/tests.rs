use super::sample::{config, fill};
use super::*;
use crate::ambient;
use crate::cli::progress::Progress;
use crate::offline::Offline;
use crate::seal::MasterFile;
use crate::store::sqlite::FILE;
use crate::store::{Mode, Store, StoreConfig};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::path::Path;
use tidehelm_events::desk::Command as DeskCommand;

async fn check(dir: &Path) -> Report {
    let mut source = Source::open_store(&config(dir)).await.unwrap();
    verify(&mut source, None, &Progress::new("verify", 0)).await.unwrap()
}

fn sql(dir: &Path) -> Connection {
    Connection::open(dir.join(FILE)).unwrap()
}

#[tokio::test]
async fn a_log_as_it_was_written_is_right_and_all_of_it_was_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path()).await;
    let report = check(dir.path()).await;
    assert_eq!(report.problems, []);
    assert_eq!(report.not_checkable, Vec::<String>::new());
    assert!(report.commits >= 14 && report.events > 30, "{report:?}");
    assert!(report.audit_rows > 20 && report.snapshots == 1 && report.credentials == 2, "{report:?}");
    assert!(report.state_hash.is_some());
}

#[tokio::test]
async fn every_flipped_bit_is_found_and_its_commit_named() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path()).await;
    let sql = sql(dir.path());
    let mut source = Source::open_store(&config(dir.path())).await.unwrap();
    let firsts = numbers(&sql, "SELECT first_position FROM commits ORDER BY 1");
    let mut flips = 0;
    for first in firsts.iter().step_by(3) {
        for column in ["kept", "telemetry", "kept_hash", "telemetry_hash", "prev_hash", "hash", "node"] {
            let at = format!("FROM commits WHERE first_position = {first}");
            let bytes: Vec<u8> =
                sql.query_row(&format!("SELECT CAST({column} AS BLOB) {at}"), [], |row| row.get(0)).unwrap();
            let is_text = column == "node";
            for index in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[index] ^= 1 << (index % 8);
                put(&sql, "commits", column, *first, &flipped, is_text);
                let report = verify(&mut source, None, &Progress::new("verify", 0)).await.unwrap();
                let named = report.problems.iter().any(|problem| problem.at == *first as u64);
                assert!(named, "{column} of commit {first}, byte {index}: {:?}", report.problems);
                flips += 1;
            }
            put(&sql, "commits", column, *first, &bytes, is_text);
        }
    }
    assert!(flips > 800, "only {flips} flips were tried");
    assert_eq!(verify(&mut source, None, &Progress::new("verify", 0)).await.unwrap().problems, []);
}

#[tokio::test]
async fn every_changed_number_in_a_header_is_found_and_its_commit_named() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path()).await;
    let sql = sql(dir.path());
    let mut tried = 0;
    for first in numbers(&sql, "SELECT first_position FROM commits ORDER BY 1") {
        for column in [
            "last_position",
            "committed_at",
            "format",
            "epoch",
            "reacted_cause",
            "reacted_index",
            "kept_count",
            "telemetry_count",
        ] {
            for change in ["+ 1", "+ 1000000", "* -1 - 1"] {
                let old: i64 = sql
                    .query_row(&format!("SELECT {column} FROM commits WHERE first_position = {first}"), [], |row| {
                        row.get(0)
                    })
                    .unwrap();
                sql.execute(
                    &format!("UPDATE commits SET {column} = {column} {change} WHERE first_position = {first}"),
                    [],
                )
                .unwrap();
                let report = check(dir.path()).await;
                let named = report.problems.iter().any(|problem| problem.at == first as u64);
                assert!(named, "{column} {change} of commit {first}: {report:?}");
                sql.execute(&format!("UPDATE commits SET {column} = {old} WHERE first_position = {first}"), [])
                    .unwrap();
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "only {tried} were tried");
}

#[tokio::test]
async fn a_commit_that_is_gone_is_a_hole_and_the_rest_is_still_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path()).await;
    let sql = sql(dir.path());
    let firsts = numbers(&sql, "SELECT first_position FROM commits ORDER BY 1");
    sql.execute(&format!("DELETE FROM commits WHERE first_position = {}", firsts[4]), []).unwrap();
    sql.execute(&format!("UPDATE commits SET kept = x'00' WHERE first_position = {}", firsts[8]), []).unwrap();
    let report = check(dir.path()).await;
    let found: Vec<(u64, &str)> = report.problems.iter().map(|problem| (problem.at, problem.what)).collect();
    assert!(found.contains(&(firsts[5] as u64, "hole")), "{found:?}");
    assert!(found.contains(&(firsts[8] as u64, "kept")), "{found:?}");
    assert_eq!(report.commits, firsts.len() as u64 - 1);
    assert_eq!(report.state_hash, None);
}

/// What stands beside the log, one change each, and the kind of problem that it must come to.
const BESIDE: &[(&str, &str)] = &[
    ("UPDATE audit_events SET payload = '{}' WHERE position = 2", "audit_row"),
    ("UPDATE audit_events SET by = 'desk' WHERE position = 2", "audit_row"),
    ("UPDATE audit_events SET at_us = at_us + 1 WHERE position = 2", "audit_row"),
    ("UPDATE audit_events SET event_id = upper(event_id) WHERE position = 2", "audit_row"),
    ("UPDATE audit_events SET version = -1 WHERE position = 2", "audit_row"),
    ("UPDATE audit_events SET payload = '{' WHERE position = 2", "audit_row"),
    ("UPDATE audit_events SET stream_kind = 'nothing' WHERE position = 2", "audit_row"),
    ("DELETE FROM audit_events WHERE position = 2", "audit_row"),
    ("DELETE FROM audit_events WHERE position = (SELECT max(position) FROM audit_events)", "audit_row"),
    ("UPDATE audit_events SET position = 1000 WHERE position = 2", "audit_row"),
    ("UPDATE snapshots SET bytes = bytes || x'00'", "snapshot"),
    ("UPDATE snapshots SET hash = zeroblob(32)", "snapshot"),
    ("UPDATE snapshots SET position = position - 1", "snapshot"),
    ("UPDATE head SET position = position + 1", "head"),
    ("UPDATE head SET hash = zeroblob(32)", "head"),
    ("UPDATE head SET committed_at = committed_at + 1", "head"),
    ("UPDATE head SET epoch = 0", "head"),
    ("DELETE FROM vault WHERE kind = 'password'", "vault"),
    ("UPDATE vault SET kind = 'session' WHERE kind = 'token'", "vault"),
    ("UPDATE commits SET telemetry = NULL WHERE telemetry_count > 0", "telemetry_missing"),
    ("DELETE FROM commits WHERE first_position = (SELECT max(first_position) FROM commits)", "head"),
];

#[tokio::test]
async fn what_stands_beside_the_log_must_follow_from_it() {
    let whole = tempfile::tempdir().unwrap();
    fill(whole.path()).await;
    let original =
        Store::open(&StoreConfig::from(&config(whole.path())), Mode::ReadOnly, ambient::wall()).await.unwrap();
    for (change, what) in BESIDE {
        let dir = tempfile::tempdir().unwrap();
        std::fs::remove_dir(dir.path()).unwrap();
        original.backup(dir.path()).await.unwrap();
        let changed = sql(dir.path()).execute(change, []).unwrap();
        assert!(changed > 0, "{change}");
        let report = check(dir.path()).await;
        assert!(report.problems.iter().any(|problem| problem.what == *what), "{change}: {report:?}");
    }
}

/// A log whose telemetry was cut up to where the snapshot stands and beyond.
async fn cut(dir: &Path) {
    fill(dir).await;
    let store = Store::open(&StoreConfig::from(&config(dir)), Mode::Write, ambient::wall()).await.unwrap();
    let mut desk = Offline::over(store, MasterFile::of(&config(dir)).unwrap()).await.unwrap();
    let extents = desk.store().reader().extents(Position(20), 100).await.unwrap();
    let through = extents.iter().rev().find(|extent| extent.is_drained() && extent.telemetry_bytes == 0).unwrap().last;
    let bytes = crate::history::fold_at(desk.store(), through).await.unwrap().to_bytes();
    let saved = Saved {
        position: through,
        schema: truth::SCHEMA,
        build: "test".into(),
        at: ambient::wall(),
        hash: Hash::of(&bytes),
        bytes,
    };
    desk.store().save_base(&saved).await.unwrap();
    let cut = desk::TelemetryCut { through, base_hash: saved.hash, events: 6 };
    desk.want(DeskCommand::NoteCut(cut)).await.unwrap();
    while desk.store().cut_piece(through).await.unwrap().is_some() {}
    desk.close().await.unwrap();
}

#[tokio::test]
async fn after_a_cut_the_rest_is_right_and_the_base_is_the_one_that_the_log_names() {
    let whole = tempfile::tempdir().unwrap();
    cut(whole.path()).await;
    let report = check(whole.path()).await;
    assert_eq!(report.problems, []);
    assert!(
        report.events_cut >= 6 && report.seals > 0 && report.bases == 1 && report.state_hash.is_some(),
        "{report:?}"
    );
    let original =
        Store::open(&StoreConfig::from(&config(whole.path())), Mode::ReadOnly, ambient::wall()).await.unwrap();
    for (change, what) in [
        ("UPDATE bases SET bytes = bytes || x'00'", "base"),
        ("UPDATE bases SET hash = zeroblob(32)", "base"),
        ("UPDATE bases SET position = position - 1", "base"),
        ("DELETE FROM bases", "base"),
        ("UPDATE seals SET prev_hash = zeroblob(32)", "chain"),
        ("UPDATE seals SET last_hash = zeroblob(32)", "chain"),
        ("UPDATE seals SET last_position = last_position + 1", "count"),
        ("UPDATE seals SET counts = x'00'", "count"),
        ("UPDATE seals SET counts = x'ff'", "unreadable"),
        ("UPDATE seals SET commits = 0", "count"),
        ("DELETE FROM seals", "hole"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::remove_dir(dir.path()).unwrap();
        original.backup(dir.path()).await.unwrap();
        assert!(sql(dir.path()).execute(change, []).unwrap() > 0, "{change}");
        let report = check(dir.path()).await;
        assert!(report.problems.iter().any(|problem| problem.what == what), "{change}: {report:?}");
    }
}

#[tokio::test]
async fn a_history_that_was_written_anew_is_found_with_a_head_that_was_noted() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(dir.path()).await;
    fill(other.path()).await;
    let mut source = Source::open_store(&config(dir.path())).await.unwrap();
    let mut anew = Source::open_store(&config(other.path())).await.unwrap();
    let noted = source.head().await.unwrap();
    let progress = Progress::new("verify", 0);
    assert!(verify(&mut source, Some(noted), &progress).await.unwrap().is_good());
    let found = verify(&mut anew, Some(noted), &progress).await.unwrap().problems;
    assert_eq!(found.iter().map(|problem| problem.what).collect::<Vec<_>>(), ["head_rewritten"]);
    let later = Head { position: Position(noted.position.0 + 1), ..noted };
    let found = verify(&mut source, Some(later), &progress).await.unwrap().problems;
    assert_eq!(found.iter().map(|problem| problem.what).collect::<Vec<_>>(), ["head_rewritten"]);
}

#[tokio::test]
async fn times_in_audit_rows_and_pages_of_the_file_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path()).await;
    let mut report = Report::default();
    check_file(dir.path(), &mut report).await;
    assert_eq!(report.problems, []);
    sql(dir.path())
        .execute("UPDATE audit_events SET at = '2020-01-01T00:00:00.000000Z' WHERE position = 2", [])
        .unwrap();
    check_file(dir.path(), &mut report).await;
    assert_eq!(
        report.problems.iter().map(|problem| (problem.at, problem.what)).collect::<Vec<_>>(),
        [(2, "audit_row")]
    );
}

fn numbers(sql: &Connection, query: &str) -> Vec<i64> {
    let mut statement = sql.prepare(query).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn put(sql: &Connection, table: &str, column: &str, first: i64, bytes: &[u8], is_text: bool) {
    let value = match is_text {
        true => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        false => Value::Blob(bytes.to_vec()),
    };
    let changed =
        sql.execute(&format!("UPDATE {table} SET {column} = ?1 WHERE first_position = ?2"), (value, first)).unwrap();
    assert_eq!(changed, 1);
}
