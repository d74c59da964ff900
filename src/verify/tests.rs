use super::*;
use crate::ambient;
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::keys::Kind;
use crate::offline::Offline;
use crate::store::sqlite::FILE;
use crate::store::{Mode, Store, StoreConfig};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::path::Path;
use tidehelm_actors::node::Command;
use tidehelm_events::account::{self, HeartbeatSeen, Registered, StateHash};
use tidehelm_events::desk::{Access, Command as DeskCommand};
use tidehelm_events::id::{AccountId, CommandId, Principal, Role, UserName};
use tidehelm_events::money::Money;
use tidehelm_events::reason::Reason;

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.data.dir = dir.to_path_buf();
    config
}

/// A log with a user, a master, a slave that follows it, heartbeats, a refusal and a snapshot in the middle.
async fn fill(dir: &Path) {
    let store = Store::open(&StoreConfig::from(&config(dir)), Mode::Write, ambient::wall()).await.unwrap();
    let mut desk = Offline::over(store).await.unwrap();
    let (token, _) = desk.keys.issue(Kind::Token).await.unwrap();
    desk.want(DeskCommand::CreateToken { token, name: "job".into(), access: Access::Viewer, expires_at: None })
        .await
        .unwrap();
    let credential = desk.keys.set_password("correct horse".into()).await.unwrap();
    desk.want(DeskCommand::AddUser { name: UserName::new("ann").unwrap(), access: Access::Admin, credential })
        .await
        .unwrap();
    let master = AccountId::new("M_1").unwrap();
    let slave = AccountId::new("S_1").unwrap();
    for (role, id) in [(Role::Master, &master), (Role::Slave, &slave)] {
        say(&mut desk, role, id, account::Command::Register(registered()), true).await;
    }
    say(&mut desk, Role::Slave, &slave, account::Command::Link { master: master.clone() }, true).await;
    desk.snapshot().await.unwrap();
    for round in 0..3 {
        for (role, id) in [(Role::Master, &master), (Role::Slave, &slave)] {
            say(&mut desk, role, id, account::Command::Heartbeat(heartbeat(round)), false).await;
        }
    }
    say(&mut desk, Role::Master, &master, account::Command::SetIntent { enabled: true }, true).await;
    let reason = Reason::new("lunch").unwrap();
    desk.want(DeskCommand::Lock { reason: reason.clone() }).await.unwrap();
    assert!(desk.want(DeskCommand::Lock { reason }).await.is_err(), "the log is to hold a refusal");
    desk.close().await.unwrap();
}

async fn say(desk: &mut Offline, role: Role, id: &AccountId, command: account::Command, answered: bool) {
    let by = if answered { Principal::Operator } else { Principal::Terminal };
    let command_id = answered.then(|| CommandId(ambient::uuid_v7()));
    desk.ask(StreamId::Account(role, id.clone()), Command::Account(command), by, command_id).await.unwrap();
}

fn registered() -> Registered {
    let text = |text: &str| text.to_string();
    Registered {
        platform: text("mt5"),
        broker: text("B"),
        server: text("S"),
        name: text("n"),
        currency: text("USD"),
        leverage: 100,
        trade_allowed: true,
        ea_version: text("1"),
    }
}

fn heartbeat(round: u64) -> HeartbeatSeen {
    HeartbeatSeen {
        balance: Money::ZERO,
        equity: Money::ZERO,
        free_margin: Money::ZERO,
        open_positions: round as u32,
        trade_allowed: true,
        state_hash: StateHash::default(),
        through_signal_seq: round,
    }
}

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
