//! Damaged directories, wrong settings, full and read-only disks: a clear word each, and nothing lost.

use crate::client::Client;
use crate::desk::{Desk, Launch, PASSWORD, heartbeat, run, tidehelm, wait_for, wait_until};
use crate::log::{Follower, block_on, open, verified};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tidehelm::store::Mode;
use tidehelm_actors::port::CommitLog;
use tidehelm_actors::writer;
use tidehelm_events::answer::Answer;
use tidehelm_events::commit::{Hash, Reacted, Sealing, pack};
use tidehelm_events::envelope::Record;
use tidehelm_events::event::{Event, Unknown};
use tidehelm_events::id::{NodeId, Position, Principal, StreamId};
use tidehelm_events::time::Span;

const FILE: &str = "tidehelm.db";

/// A directory in which a desk has worked and come to rest: everything in the one file.
fn lived_in(dir: &Path) -> Client {
    let (desk, admin) = Desk::with_admin(dir);
    let bot = desk.token(&admin, "bot", "operator");
    for number in 0..12 {
        bot.register(&format!("master/Demo_{number}")).ok();
        bot.heartbeat(&format!("master/Demo_{number}"));
        bot.toggle(&format!("master/Demo_{number}"), true).ok();
    }
    desk.stop();
    at_rest(dir);
    bot
}

/// Folds the write-ahead log into the file, so that damage to the file is damage to the log.
fn at_rest(dir: &Path) {
    sql(dir, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert!(std::fs::metadata(dir.join("tidehelm.db-wal")).map_or(true, |wal| wal.len() == 0));
}

fn sql(dir: &Path, statement: &str) {
    let connection = rusqlite::Connection::open(dir.join(FILE)).unwrap();
    connection.execute_batch(statement).unwrap();
}

/// Every column of every commit, or the file's bytes where there are none to be read. The head may move: who takes over says so.
fn log_of(dir: &Path) -> Vec<u8> {
    let path = dir.join(FILE);
    let read = || -> rusqlite::Result<Vec<u8>> {
        let connection = rusqlite::Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut rows = connection.prepare("SELECT * FROM commits ORDER BY first_position")?;
        let columns = rows.column_count();
        let mut found = rows.query([])?;
        let mut all = Vec::new();
        while let Some(row) = found.next()? {
            for column in 0..columns {
                all.extend(format!("{:?};", row.get_ref(column)?).into_bytes());
            }
        }
        Ok(all)
    };
    read().unwrap_or_else(|_| std::fs::read(&path).unwrap())
}

/// The desk refuses this directory with these words, does not crash, and leaves it as it is.
#[track_caller]
fn refused(launch: &Launch, exit: i32, words: &[&str]) {
    let before = log_of(&launch.dir);
    let (code, said) = launch.refused();
    println!("{code}: {said}");
    assert_eq!(code, exit, "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert!(log_of(&launch.dir) == before, "the refused start changed the data");
}

/// `tidehelm verify` says what is wrong, and where.
#[track_caller]
fn found_by_verify(dir: &Path, words: &[&str]) {
    let (exit, said) = run(tidehelm().arg("verify").arg("--data").arg(dir));
    assert_eq!(exit, 6, "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

/// Beside the log: what people read with SQL, and what proves that they are who they say.
#[test]
fn damage_beside_the_log_is_found_by_verify() {
    let temp = tempfile::tempdir().unwrap();
    let whole = temp.path().join("whole");
    lived_in(&whole);
    verified(&whole.as_path().into());
    for (number, change) in [
        "DELETE FROM audit_events WHERE position = 5",
        "UPDATE audit_events SET payload = '{}' WHERE position = 7",
        "UPDATE audit_events SET by = 'user:eve' WHERE position = 7",
        "DELETE FROM vault WHERE id = (SELECT min(id) FROM vault)",
        "UPDATE snapshots SET bytes = zeroblob(length(bytes))",
        "UPDATE head SET position = position + 1",
    ]
    .iter()
    .enumerate()
    {
        let dir = copy(&whole, &temp.path().join(format!("case-{number}")));
        sql(&dir, change);
        at_rest(&dir);
        let (exit, said) = run(tidehelm().arg("verify").arg("--data").arg(&dir));
        println!("{change}: {exit} {said}");
        assert!(exit == 6 || exit == 1, "{change}: {exit} {said}");
    }
}

fn damage(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = dir.join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_file_whose_beginning_is_damaged_is_not_a_database() {
    let temp = tempfile::tempdir().unwrap();
    lived_in(temp.path());
    damage(temp.path(), |bytes| bytes[..64].fill(0x5a));
    refused(&Launch::new(temp.path()), 1, &[FILE, "not a database"]);
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    lived_in(temp.path());
    damage(temp.path(), |bytes| bytes.truncate(bytes.len() / 2));
    let (code, said) = Launch::new(temp.path()).refused();
    assert!(code == 1 || code == 6, "{code}: {said}");
    assert!(said.contains("damaged") && !said.contains("panicked"), "{said}");
}

#[test]
fn a_file_that_was_emptied_is_not_taken_for_a_new_desk() {
    let temp = tempfile::tempdir().unwrap();
    lived_in(temp.path());
    damage(temp.path(), |bytes| bytes.clear());
    refused(&Launch::new(temp.path()), 6, &["held a log", "tidehelm restore"]);
    std::fs::remove_file(temp.path().join(FILE)).unwrap();
    let (code, said) = Launch::new(temp.path()).refused();
    assert!(code == 6 && said.contains("held a log"), "{code}: {said}");
}

#[test]
fn somebody_elses_database_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    sql(temp.path(), "CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES ('Smith')");
    refused(&Launch::new(temp.path()), 1, &["something else than a Tidehelm store"]);
}

#[test]
fn every_kind_of_damage_in_the_log_is_named_by_its_commit() {
    let temp = tempfile::tempdir().unwrap();
    let whole = temp.path().join("whole");
    lived_in(&whole);
    // A start that has a snapshot does not look further back.
    sql(&whole, "DELETE FROM snapshots");
    at_rest(&whole);
    let firsts = first_positions(&whole);
    let middle = firsts[firsts.len() / 2];
    for (number, (change, words)) in [
        (format!("DELETE FROM commits WHERE first_position = {middle}"), "does not follow the commit before it"),
        (format!("UPDATE commits SET committed_at = committed_at + 1 WHERE first_position = {middle}"), "hash"),
        (format!("UPDATE commits SET epoch = epoch + 1 WHERE first_position = {middle}"), "hash"),
        (format!("UPDATE commits SET kept_count = kept_count + 1 WHERE first_position = {middle}"), "hash"),
        (format!("UPDATE commits SET hash = zeroblob(32) WHERE first_position = {middle}"), "hash"),
        (format!("UPDATE commits SET prev_hash = zeroblob(32) WHERE first_position = {middle}"), "chain is broken"),
        (format!("UPDATE commits SET format = 99 WHERE first_position = {middle}"), "later build"),
    ]
    .iter()
    .enumerate()
    {
        let dir = copy(&whole, &temp.path().join(format!("case-{number}")));
        sql(&dir, change);
        at_rest(&dir);
        let commit = middle_or_next(&firsts, middle, words);
        refused(&Launch::new(&dir), 6, &[&commit, words]);
        found_by_verify(&dir, &[&commit, words]);
    }
}

/// A hole is noticed at the commit behind it.
fn middle_or_next(firsts: &[u64], middle: u64, words: &str) -> String {
    let next = firsts.iter().find(|first| **first > middle).unwrap();
    let at = if words.contains("does not follow") { *next } else { middle };
    format!("commit {at}")
}

fn first_positions(dir: &Path) -> Vec<u64> {
    let connection = rusqlite::Connection::open(dir.join(FILE)).unwrap();
    let mut rows = connection.prepare("SELECT first_position FROM commits ORDER BY first_position").unwrap();
    let firsts = rows.query_map([], |row| row.get::<_, i64>(0)).unwrap();
    firsts.map(|first| first.unwrap().unsigned_abs()).collect()
}

fn copy(from: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir(to).unwrap();
    std::fs::copy(from.join(FILE), to.join(FILE)).unwrap();
    to.to_path_buf()
}

#[test]
fn a_flipped_bit_in_a_blob_is_named_by_its_commit() {
    let temp = tempfile::tempdir().unwrap();
    let whole = temp.path().join("whole");
    lived_in(&whole);
    sql(&whole, "DELETE FROM snapshots");
    at_rest(&whole);
    let firsts = first_positions(&whole);
    for (number, first) in firsts.iter().enumerate().step_by(firsts.len() / 6) {
        let dir = copy(&whole, &temp.path().join(format!("case-{number}")));
        let connection = rusqlite::Connection::open(dir.join(FILE)).unwrap();
        let (column, mut blob): (&str, Vec<u8>) = ["kept", "telemetry"]
            .into_iter()
            .map(|column| {
                let select = format!("SELECT {column} FROM commits WHERE first_position = {first}");
                (column, connection.query_row(&select, [], |row| row.get(0)).unwrap())
            })
            .find(|(_, blob): &(&str, Vec<u8>)| !blob.is_empty())
            .unwrap();
        let at = number * 7 % blob.len();
        blob[at] ^= 1 << (number % 8);
        let update = format!("UPDATE commits SET {column} = ?1 WHERE first_position = {first}");
        connection.execute(&update, [&blob]).unwrap();
        drop(connection);
        at_rest(&dir);
        let words = format!("commit {first}: the {column} blob");
        refused(&Launch::new(&dir), 6, &[&words]);
        found_by_verify(&dir, &[&format!("commit {first}: the events that")]);
    }
}

#[test]
fn a_store_of_a_later_build_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    lived_in(temp.path());
    sql(temp.path(), "UPDATE meta SET format = 99");
    at_rest(temp.path());
    refused(&Launch::new(temp.path()), 1, &["later build", "format 99", "use that build"]);
}

#[test]
fn a_head_that_is_not_the_logs_end_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    lived_in(temp.path());
    sql(temp.path(), "DELETE FROM commits WHERE first_position = (SELECT max(first_position) FROM commits)");
    at_rest(temp.path());
    let (code, said) = Launch::new(temp.path()).refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("its last commit ends at"), "{said}");
}

#[test]
fn a_bad_snapshot_is_put_aside_with_a_warning() {
    let temp = tempfile::tempdir().unwrap();
    let bot = lived_in(temp.path());
    let before = Follower::read(temp.path()).state_hash();
    sql(temp.path(), "UPDATE snapshots SET bytes = zeroblob(length(bytes))");
    let desk = Desk::start(temp.path());
    let bot = desk.again(&bot);
    assert!(desk.logged().contains("a snapshot is bad and is not used"), "{}", desk.logged());
    bot.toggle("master/Demo_3", false).ok();
    desk.stop();
    let log = Follower::read(temp.path());
    assert_ne!(log.state_hash(), before);
    let (_, restored, _) = crate::log::restored_hash(&temp.path().into());
    assert_eq!(restored, log.state_hash());
}

#[test]
fn two_servers_do_not_share_a_directory() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let (code, said) = Launch::new(temp.path()).refused();
    assert!(said.contains(&format!("process {}", desk.pid())) && said.contains("in use"), "{said}");
    assert_eq!(code, 5, "{said}");
    admin.register("master/Demo_1").ok();
    let launch = desk.kill9();
    let desk = launch.start();
    desk.again(&admin).account("master/Demo_1");
}

#[test]
fn an_event_of_an_unknown_kind_is_carried_and_shown() {
    let temp = tempfile::tempdir().unwrap();
    let bot = lived_in(temp.path());
    let position = block_on(async {
        let mut store = open(temp.path(), Mode::Write).await;
        let node = NodeId(uuid::Uuid::from_u128(5));
        let (restored, head, _) = writer::open(&mut store, node, &[]).await.unwrap();
        let truth = &restored.fold.truth;
        let stream = truth.names().number(&StreamId::Desk).unwrap();
        let (position, now) = (head.position.next(), head.committed_at + Span::millis(1));
        let record = Record {
            position,
            stream,
            version: truth.slot(stream).unwrap().version.next(),
            occurred_at: now,
            received_at: now,
            recorded_at: now,
            by: Principal::Operator,
            command: None,
            causation: None,
            correlation: position,
            event: Event::Unknown(Unknown { number: 9999, schema: 3, bytes: vec![1, 2, 254] }),
        };
        let reacted = Reacted::all_through(position);
        let sealing = Sealing { previous: head, now, node, epoch: head.epoch, reacted };
        let commit = pack(&[], &[record], &sealing);
        store.append(&commit, &[], &head).await.unwrap();
        store.close().await.unwrap();
        position
    });
    for _ in 0..2 {
        let desk = Desk::start(temp.path());
        let bot = desk.again(&bot);
        let event = bot.get(&format!("/api/events/{position}")).ok();
        assert_eq!((&event["kind"], &event["stream"]), (&json!("unknown"), &json!("desk")));
        assert_eq!(event["payload"], json!({"number": 9999, "schema": 3, "bytes": "0102fe"}));
        assert_eq!(bot.events("unknown").len(), 1);
        bot.toggle("master/Demo_1", false).ok();
        desk.stop();
    }
    let log = Follower::read(temp.path());
    assert!(matches!(&log.at(position.0).event, Event::Unknown(unknown) if unknown.number == 9999));
    assert_ne!(log.state_hash(), Hash::ZERO);
    assert!(log.head.position > Position(position.0 + 2));
}

#[test]
fn nonsense_in_the_settings_is_said_and_nothing_starts() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let file = temp.path().join("tidehelm.toml");
    let with_file = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Launch::new(&dir).arg("--config").arg(file.to_str().unwrap())
    };
    let cases = [
        (with_file("[http]\nbindd = \"127.0.0.1:1\"\n").refused(), vec!["bindd", "http.bind", "tidehelm.toml"]),
        (with_file("[http\n").refused(), vec!["tidehelm.toml"]),
        (with_file("[journal]\ntelemetry_wait = 20\n").refused(), vec!["journal.telemetry_wait", "unit"]),
        (Launch::new(&dir).set("htp.bind", "x").refused(), vec!["htp.bind"]),
        (Launch::new(&dir).set("http.workers", "many").refused(), vec!["http.workers", "1 to 256"]),
        (Launch::new(&dir).set("snapshots.every", "5").refused(), vec!["snapshots.every", "such as"]),
        (Launch::new(&dir).env("TIDEHELM_HTTP__WORKERS", "0").refused(), vec!["TIDEHELM_HTTP__WORKERS", "1 to 256"]),
        (Launch::new(&dir).env("TIDEHELM_HTTP__NOPE", "0").refused(), vec!["TIDEHELM_HTTP__NOPE"]),
        (Launch::new(&dir).arg("--bind").arg("nowhere").refused(), vec!["http.bind", "127.0.0.1:8787"]),
        (Launch::new(&dir).arg("--quarantine").arg("nobody").refused(), vec!["nobody"]),
        (Launch::new(&dir).arg("--nonsense").refused(), vec!["--nonsense"]),
    ];
    for ((exit, said), words) in cases {
        assert_eq!(exit, 2, "{said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
    }
    let (exit, said) = Launch::new(&dir).arg("--config").arg("/nowhere/tidehelm.toml").refused();
    assert!(exit != 0 && said.contains("/nowhere/tidehelm.toml"), "{exit}: {said}");
    assert!(!dir.exists());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (exit, said) = Launch::new(&temp.path().join("data")).arg("--bind").arg(&address).refused();
    assert!(exit == 1 && said.contains(&address) && said.contains("--bind"), "{exit}: {said}");
}

/// Runs a command in a mount namespace of its own, which goes with it; none where this is not permitted.
pub fn namespace() -> Option<Command> {
    for flags in ["-m", "-rm"] {
        let tried = Command::new("unshare").args([flags, "true"]).stderr(Stdio::null()).status();
        if tried.is_ok_and(|status| status.success()) {
            let mut command = Command::new("unshare");
            command.arg(flags);
            return Some(command);
        }
    }
    println!("skipped: no mounts are permitted here");
    None
}

/// The desk behind a shell that mounts something first.
pub fn behind(mut namespace: Command, launch: &Launch, mounts: &str) -> Command {
    let serve = launch.command();
    namespace
        .args(["sh", "-c", &format!("{mounts} && exec \"$@\""), "sh"])
        .arg(serve.get_program())
        .args(serve.get_args());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => namespace.env(name, value),
            None => namespace.env_remove(name),
        };
    }
    namespace
}

#[test]
fn a_disk_that_can_only_be_read_is_said() {
    let Some(namespace) = namespace() else { return };
    let temp = tempfile::tempdir().unwrap();
    lived_in(temp.path());
    let dir = temp.path().display().to_string();
    let launch = Launch::new(temp.path());
    let mounts = format!("mount --bind '{dir}' '{dir}' && mount -o remount,ro,bind '{dir}'");
    let (exit, said) = run(&mut behind(namespace, &launch, &mounts));
    assert_eq!(exit, 1, "{said}");
    assert!(said.to_lowercase().contains("read-only") && said.contains(&dir), "{said}");
    // And what is read beside it is whole.
    Follower::read(temp.path());
}

/// Writes until the disk has no byte left.
pub fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [65536, 4096, 512, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn disk_full_is_said_and_heals_without_a_restart() {
    let Some(namespace) = namespace() else { return };
    let temp = tempfile::tempdir().unwrap();
    let disk = temp.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let launch = Launch::new(&disk.join("data")).may_log_errors();
    let mounts = format!("mount -t tmpfs -o size=8m tmpfs '{}'", disk.display());
    let desk = launch.start_as(behind(namespace, &launch, &mounts));
    // The disk as the desk sees it.
    let inside = PathBuf::from(format!("/proc/{}/root{}", desk.pid(), disk.display()));
    let admin = desk.welcome("ann");
    let bot = desk.token(&admin, "bot", "operator");
    bot.register("master/Demo_1").ok();
    bot.register("slave/Demo_2").ok();
    let (mut told, mut outages, mut refusals) = (BTreeMap::new(), 0, 0);
    for round in 0..3 {
        fill(&inside.join("filler"));
        let mut number = 0;
        let stuck = loop {
            let key = format!("round-{round}-{number}");
            let body = json!({"enabled": number % 2 == 0});
            let reply = bot.call("POST", "/api/accounts/master/Demo_1/toggle").key(&key).json(&body).send();
            if reply.status == 503 {
                assert_eq!(reply.problem(503), "log_unavailable");
                assert_eq!(reply.header("retry-after"), Some("1"));
                break (key, body);
            }
            reply.ok();
            told.insert(key, reply.events());
            number += 1;
        };
        outages += 1;
        wait_until("it says that it is not ready", || bot.get("/readyz").status == 503);
        let said = bot.get("/readyz").text;
        assert!(said.contains("the log cannot be written"), "{said}");
        assert_eq!(bot.get("/livez").status, 200);
        assert_eq!(bot.get("/api/status").ok()["health"], "recovering");
        assert!(bot.get("/metrics").text.contains("tidehelm_ready 0"));
        for _ in 0..5 {
            let beats = bot.post("/api/heartbeats", &json!([heartbeat("slave/Demo_2", 1)]));
            assert_eq!(beats.problem(503), "log_unavailable");
            let reply = bot.toggle("slave/Demo_2", true);
            assert_eq!(reply.problem(503), "log_unavailable");
            refusals += 1;
        }
        // Whoever is not known yet cannot come in, and is told so in the same way.
        let login = desk.client().post("/api/login", &json!({"name": "ann", "password": PASSWORD}));
        login.problem(503);
        std::fs::remove_file(inside.join("filler")).unwrap();
        wait_until("it is ready again", || bot.get("/readyz").status == 200);
        let (key, body) = stuck;
        let reply = bot.call("POST", "/api/accounts/master/Demo_1/toggle").key(&key).json(&body).send();
        reply.ok();
        told.insert(key, reply.events());
    }
    let kept = temp.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    // The desk goes on by itself: an alert says that the log could not be written.
    let (live, log) = wait_for("the state and a copy of the log of one moment", || {
        let live = bot.get("/api/state").ok();
        for file in [FILE, "tidehelm.db-wal"] {
            std::fs::copy(inside.join("data").join(file), kept.join(file)).unwrap();
        }
        let log = Follower::read(&kept);
        (live["position"] == json!(log.head.position.0)).then_some((live, log))
    });
    assert_eq!(live["hash"], json!(log.state_hash().to_string()));
    for (key, events) in &told {
        let (_, answered) = log.answer(key).unwrap_or_else(|| panic!("{key} was answered and is not in the log"));
        let Answer::Done { first, last, changed } = answered.answer else { panic!("{key} was refused") };
        assert_eq!(changed.then_some((first.0, last.0)), *events, "{key}");
    }
    let desk_log = desk.logged();
    assert!(desk_log.contains("the disk is full"), "{desk_log}");
    desk.stop();
    println!("disk full: {outages} outages, {refusals} commands refused meanwhile, {} answers kept", told.len());
    assert!(outages == 3 && refusals == 15 && !told.is_empty());
}

#[test]
fn disk_full_does_not_keep_a_desk_from_stopping() {
    let Some(namespace) = namespace() else { return };
    let temp = tempfile::tempdir().unwrap();
    let disk = temp.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let launch = Launch::new(&disk.join("data")).may_log_errors();
    let mounts = format!("mount -t tmpfs -o size=8m tmpfs '{}'", disk.display());
    let desk = launch.start_as(behind(namespace, &launch, &mounts));
    let admin = desk.welcome("ann");
    admin.register("master/Demo_1").ok();
    fill(&PathBuf::from(format!("/proc/{}/root{}/filler", desk.pid(), disk.display())));
    let mut enabled = false;
    wait_until("the disk is full", || {
        enabled = !enabled;
        admin.toggle("master/Demo_1", enabled).status == 503
    });
    desk.stop();
}

#[test]
fn a_stream_whose_records_are_not_believed_can_be_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let bot = lived_in(temp.path());
    // A second "online" for an account that is online: the fold's own assertion.
    block_on(async {
        let mut store = open(temp.path(), Mode::Write).await;
        let node = NodeId(uuid::Uuid::from_u128(5));
        let (restored, head, _) = writer::open(&mut store, node, &[]).await.unwrap();
        let truth = &restored.fold.truth;
        let id: StreamId = "master/Demo_4".parse().unwrap();
        let stream = truth.names().number(&id).unwrap();
        let (position, now) = (head.position.next(), head.committed_at + Span::millis(1));
        let event = Event::from_json("account_online", &json!({})).unwrap();
        let record = Record {
            position,
            stream,
            version: truth.slot(stream).unwrap().version.next(),
            occurred_at: now,
            received_at: now,
            recorded_at: now,
            by: Principal::Terminal,
            command: None,
            causation: None,
            correlation: position,
            event,
        };
        let sealing = Sealing { previous: head, now, node, epoch: head.epoch, reacted: Reacted::all_through(position) };
        store.append(&pack(&[], &[record], &sealing), &[], &head).await.unwrap();
        store.close().await.unwrap();
    });
    let (exit, said) = Launch::new(temp.path()).refused();
    assert_eq!(exit, 6, "{said}");
    assert!(said.contains("--quarantine master/Demo_4") && said.contains("came online twice"), "{said}");
    let desk = Launch::new(temp.path()).arg("--quarantine").arg("master/Demo_4").start();
    let bot = desk.again(&bot);
    assert_eq!(bot.toggle("master/Demo_4", true).problem(409), "stream_quarantined");
    bot.toggle("master/Demo_5", false).ok();
    let found = wait_for("the list is there", || Some(bot.get("/api/accounts").ok()));
    assert!(found["accounts"].as_array().unwrap().len() >= 11);
    let _: Value = found;
    desk.stop();
}
