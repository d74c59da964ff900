//! docs/audit.md is true: its queries run as they stand there, and its description of the bytes is enough to check the chain.

use crate::client::Client;
use crate::desk::{Desk, Launch, heartbeat, wait_until};
use crate::liveness::set_timeout;
use crate::log::block_on;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use std::path::Path;

/// Requests of the day.
const REQUESTS: usize = 3;
const PAGE: &str = include_str!("../../docs/audit.md");

/// What a query of the page must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Rows,
    NoRows,
}

struct Query {
    heading: &'static str,
    sql: String,
    answer: Answer,
}

/// The blocks of the page that this database is to run. Its example dates become the day of the test.
fn queries(database: &str, today: &str) -> Vec<Query> {
    let (mut found, mut heading, mut block) = (Vec::new(), "", None::<String>);
    for line in PAGE.lines() {
        match (&mut block, line) {
            (Some(_), "```") => found.extend(block.take().map(|sql| query(heading, sql, today))),
            (Some(sql), line) => *sql += &format!("{line}\n"),
            (None, line) if line == "```sql" || line == format!("```sql {database}") => block = Some(String::new()),
            (None, line) => heading = line.strip_prefix("### ").unwrap_or(heading),
        }
    }
    assert!(block.is_none(), "a block without an end");
    found
}

fn query(heading: &'static str, sql: String, today: &str) -> Query {
    let answer = match sql.lines().next() {
        Some("-- rows") => Answer::Rows,
        Some("-- no rows") => Answer::NoRows,
        first => panic!("{heading}: it must say `-- rows` or `-- no rows`, not {first:?}"),
    };
    let sql = sql.replace("2026-01-31T12:00:00Z", "9999-12-31").replace("2026-01-31", today);
    Query { heading, sql: sql.replace("2026-02-01", "9999-12-31"), answer }
}

/// A day at the desk with something of everything that the page asks for.
fn make_history(desk: &Desk) -> Client {
    let admin = desk.welcome("ann");
    set_timeout(&admin, 2);
    admin.register("master/Demo_1").ok();
    admin.register("slave/Demo_2").ok();
    admin.call("PUT", "/api/links/Demo_2/Demo_1").send().ok();
    let again = admin.call("PUT", "/api/links/Demo_2/Demo_1").send();
    assert_eq!(again.problem(409), "link_known");
    for account in ["master/Demo_1", "slave/Demo_2"] {
        admin.heartbeat(account);
        admin.toggle(account, true).ok();
    }
    assert_eq!(admin.toggle("master/Demo_9", true).problem(404), "account_unknown");
    admin.toggle("master/Demo_1", false).ok();
    admin.toggle("master/Demo_1", true).ok();
    let lock = |locked: bool| admin.post("/api/lock", &json!({"locked": locked, "reason": "news"})).ok();
    lock(true);
    lock(false);
    let viewer = desk.person(&admin, "bob", "viewer");
    viewer.toggle("master/Demo_1", false).problem(403);
    desk.token(&admin, "bot", "operator");
    // A request that comes to nobody is a request, too.
    let key = admin.post("/api/proxy/keys", &json!({"name": "page"})).ok();
    let caller = desk.client().with_token(key["key"].as_str().unwrap());
    let body = json!({"model": "llama-3", "messages": []});
    (0..REQUESTS).for_each(|_| assert_eq!(caller.post("/v1/chat/completions", &body).status, 404));
    wait_until("both terminals are missed", || admin.events("account_offline").len() == 2);
    admin.heartbeat("slave/Demo_2");
    admin
}

fn changes(admin: &Client) -> usize {
    admin.events("status_changed").len()
}

fn today(admin: &Client) -> String {
    let first = admin.get("/api/state/desk").ok();
    let since = first["state"]["listening_since"].as_i64().unwrap();
    tidehelm_events::time::Timestamp(since).to_string()[..10].to_string()
}

fn report(database: &str, ran: &[(Query, usize)]) {
    for (query, rows) in ran {
        let right = match query.answer {
            Answer::Rows => *rows > 0,
            Answer::NoRows => *rows == 0,
        };
        assert!(right, "{database}, {}: {rows} rows, expected {:?}\n{}", query.heading, query.answer, query.sql);
    }
    println!("{database}: {} queries, {} rows", ran.len(), ran.iter().map(|(_, rows)| rows).sum::<usize>());
    assert!(ran.len() >= 18, "the page has lost its queries");
}

fn sqlite(dir: &Path) -> rusqlite::Connection {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    rusqlite::Connection::open_with_flags(dir.join("tidehelm.db"), flags).unwrap()
}

fn count(connection: &rusqlite::Connection, sql: &str) -> usize {
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    let mut rows = statement.query([]).unwrap();
    let mut count = 0;
    while rows.next().unwrap_or_else(|error| panic!("{error}\n{sql}")).is_some() {
        count += 1;
    }
    count
}

#[test]
fn every_query_of_the_page_runs_on_sqlite() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Desk::start(temp.path());
    let admin = make_history(&desk);
    let (today, changes) = (today(&admin), changes(&admin));
    wait_until("the table of status changes is there", || {
        count(&sqlite(temp.path()), "SELECT * FROM status_changes") == changes
            && count(&sqlite(temp.path()), "SELECT * FROM requests") == REQUESTS
            && count(&sqlite(temp.path()), "SELECT * FROM request_days") == 1
    });
    desk.stop();
    let connection = sqlite(temp.path());
    let ran = queries("sqlite", &today).into_iter().map(|query| {
        let rows = count(&connection, &query.sql);
        (query, rows)
    });
    report("SQLite", &ran.collect::<Vec<_>>());
}

#[test]
fn every_query_of_the_page_runs_on_postgresql() {
    let Ok(server) = std::env::var("TIDEHELM_TEST_POSTGRES") else {
        eprintln!("skipped: TIDEHELM_TEST_POSTGRES is not set (scripts/postgres.sh starts one)");
        return;
    };
    let name = format!("audit_{}", std::process::id());
    let (base, _) = server.rsplit_once('/').unwrap();
    let url = format!("{base}/{name}");
    block_on(async {
        let mut connection = PgConnection::connect(&server).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).await.unwrap();
    });
    let temp = tempfile::tempdir().unwrap();
    let desk = Launch::new(temp.path()).set("store.url", &url).start();
    let admin = make_history(&desk);
    let (today, changes) = (today(&admin), changes(&admin));
    let ran = block_on(async {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.execute("SET search_path TO tidehelm").await.unwrap();
        loop {
            let sql = "SELECT (SELECT count(*) FROM status_changes), (SELECT count(*) FROM requests), \
                       (SELECT count(*) FROM request_days)";
            let row = connection.fetch_one(sql).await.unwrap();
            let found = [0, 1, 2].map(|at| row.get::<i64, _>(at));
            if found == [changes as i64, REQUESTS as i64, 1] {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        desk.stop();
        let mut ran = Vec::new();
        for query in queries("postgres", &today) {
            let rows = sqlx::query(AssertSqlSafe(query.sql.clone())).fetch_all(&mut connection).await;
            let rows = rows.unwrap_or_else(|error| panic!("{error}\n{}", query.sql)).len();
            ran.push((query, rows));
        }
        ran
    });
    report("PostgreSQL", &ran);
    block_on(async {
        let mut connection = PgConnection::connect(&server).await.unwrap();
        connection.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    });
}

/// Reads what the page describes, with nothing but the page.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn unsigned(&mut self) -> u64 {
        let width = match self.take(1)[0] {
            251 => 2,
            252 => 4,
            253 => 8,
            small => return u64::from(small),
        };
        let bytes = self.take(width);
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn signed(&mut self) -> i64 {
        let number = self.unsigned();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = self.unsigned() as usize;
        self.take(length)
    }
}

/// One commit of the list, checked against the end of the entry before; answers its own end and how many events it holds.
fn check_commit(bytes: &mut Bytes<'_>, before: (u64, Vec<u8>)) -> ((u64, Vec<u8>), u64) {
    assert_eq!(bytes.unsigned(), 0, "nothing was cut, so that there is no seal");
    let (format, first, last) = (bytes.unsigned() as u16, bytes.unsigned(), bytes.unsigned());
    let committed_at = bytes.signed();
    let node = bytes.bytes();
    let (epoch, cause) = (bytes.unsigned(), bytes.unsigned());
    let counts = [(); 3].map(|()| bytes.unsigned() as u32);
    let [kept_hash, telemetry_hash, prev_hash] = [(); 3].map(|()| bytes.take(32));
    let hash = bytes.take(32);
    let kept = bytes.bytes();
    assert_eq!(bytes.take(1), [1], "telemetry is there");
    let telemetry = bytes.bytes();

    assert_eq!(blake3::hash(kept).as_bytes(), kept_hash);
    assert_eq!(blake3::hash(telemetry).as_bytes(), telemetry_hash);
    assert_eq!((first, prev_hash), (before.0 + 1, &before.1[..]));
    let mut header = b"tidehelm commit".to_vec();
    header.extend(format.to_le_bytes());
    for number in [first, last, committed_at as u64, epoch, cause] {
        header.extend(number.to_le_bytes());
    }
    for count in counts {
        header.extend(count.to_le_bytes());
    }
    for part in [node, kept_hash, telemetry_hash, prev_hash] {
        header.extend(part);
    }
    assert_eq!(blake3::hash(&header).as_bytes(), hash);
    ((last, hash.to_vec()), u64::from(counts[1] + counts[2]))
}

#[test]
fn the_chain_can_be_checked_from_the_page_alone() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    admin.register("master/Demo_1").ok();
    for _ in 0..2 {
        let beats: Vec<Value> = (0..200).map(|number| heartbeat("master/Demo_1", number)).collect();
        assert_eq!(admin.post("/api/heartbeats", &json!(beats)).ok()["accepted"], 200);
    }
    admin.toggle("master/Demo_1", true).ok();
    let operator = desk.token(&admin, "auditor", "operator");
    let head = operator.get("/api/log/head").ok();
    let (mut end, mut commits, mut events) = ((0, vec![0; 32]), 0, 0);
    while end.0 < head["position"].as_u64().unwrap() {
        let body = operator.call("GET", &format!("/api/log?limit=2&after={}", end.0)).bytes();
        let mut bytes = Bytes(&body);
        let count = bytes.unsigned();
        assert!(count > 0, "the log ends before its head");
        for _ in 0..count {
            let (next, held) = check_commit(&mut bytes, end);
            (end, commits, events) = (next, commits + 1, events + held);
        }
        assert!(bytes.0.is_empty(), "{} bytes are left over", bytes.0.len());
    }
    let hex: String = end.1.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((json!(end.0), json!(hex)), (head["position"].clone(), head["hash"].clone()));
    assert_eq!(events, end.0, "every position is an event");
    println!("chain: {commits} commits, {events} events");
    assert!(commits > 5 && events > 400);
}
