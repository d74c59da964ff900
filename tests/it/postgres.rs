//! The same desk on PostgreSQL: one writes, the next one waits for its lease, and a writer that was away too long is fenced.
//! Without TIDEHELM_TEST_POSTGRES (`scripts/postgres.sh` starts one) these tests say so and do nothing.

use crate::client::Client;
use crate::desk::{Desk, Launch, heartbeat, run, tidehelm, wait_for, wait_until};
use crate::kill::kill_loop;
use crate::log::{Follower, Place, block_on, restored_hash, verified};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A database of its own, gone afterwards.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn new(test: &str) -> Option<Self> {
        let Ok(server) = std::env::var("TIDEHELM_TEST_POSTGRES") else {
            println!("skipped: TIDEHELM_TEST_POSTGRES is not set (scripts/postgres.sh starts one)");
            return None;
        };
        let name = format!("it_{test}_{}", std::process::id());
        let database = Database { server, name };
        database.tell(&format!("CREATE DATABASE {}", database.name));
        Some(database)
    }

    fn tell(&self, sql: &str) {
        block_on(async {
            let mut connection = PgConnection::connect(&self.server).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql.to_string())).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    fn place(&self) -> Place {
        Place::postgres(&self.url())
    }

    fn launch(&self, dir: &Path) -> Launch {
        let launch = Launch::new(dir).set("store.url", &self.url());
        launch.set("store.lease", "1s").set("store.stall_after", "900ms")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.tell(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

#[test]
fn kill_what_was_answered_is_in_postgres_too() {
    let Some(database) = Database::new("kill") else { return };
    let temp = tempfile::tempdir().unwrap();
    kill_loop(&database.launch(temp.path()), &database.place(), 6);
}

#[test]
fn one_server_writes_and_the_next_one_waits_for_its_lease() {
    let Some(database) = Database::new("lease") else { return };
    let temp = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| database.launch(&temp.path().join(name)));
    let desk = one.start();
    let admin = desk.welcome("ann");
    admin.register("master/Demo_1").ok();
    let (exit, said) = two.refused();
    assert!(exit != 0 && said.contains("renews its lease"), "{exit}: {said}");
    admin.toggle("master/Demo_1", true).ok();
    desk.kill9();
    let begun = Instant::now();
    let desk = two.start();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?} until the second one took over");
    let admin = desk.again(&admin);
    assert_eq!(admin.account("master/Demo_1")["enabled_flag"], true);
    admin.toggle("master/Demo_1", false).ok();
    // A stop gives the lease back: nobody waits.
    desk.stop();
    let begun = Instant::now();
    let desk = one.start();
    println!("taken over {took:?} after a kill, {:?} after a stop", begun.elapsed());
    assert_eq!(desk.again(&admin).account("master/Demo_1")["enabled_flag"], false);
    desk.stop();
    verified(&database.place());
}

fn signal(desk: &Desk, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &desk.pid().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Toggles until the desk takes it, and says how many times it did not.
fn toggled(client: &Client, key: &str, enabled: bool) -> u32 {
    let mut refused = 0;
    wait_for("the command is taken", || {
        let body = json!({"enabled": enabled});
        let reply = client.call("POST", "/api/accounts/master/Demo_1/toggle").key(key).json(&body).send();
        if reply.status == 503 {
            assert_eq!(reply.problem(503), "log_unavailable");
            refused += 1;
            return None;
        }
        reply.ok();
        Some(())
    });
    refused
}

#[test]
fn a_writer_that_was_away_too_long_is_fenced_and_stands_by() {
    let Some(database) = Database::new("fence") else { return };
    let temp = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| database.launch(&temp.path().join(name)).may_log_errors());
    let first = one.start();
    let admin = first.welcome("ann");
    let bot = first.token(&admin, "bot", "operator");
    bot.register("master/Demo_1").ok();
    signal(&first, "STOP");
    let second = two.start();
    let other = second.again(&bot);
    assert_eq!(toggled(&other, "while it was away", true), 0);
    signal(&first, "CONT");
    // It finds out that it is no longer the writer, at the latest when it wants to write.
    let body = json!({"enabled": false});
    let late = bot.call("POST", "/api/accounts/master/Demo_1/toggle").key("too late").json(&body).send();
    assert_eq!(late.problem(503), "log_unavailable");
    wait_until("the first one says that it cannot write", || first.client().get("/readyz").status == 503);
    assert_eq!(toggled(&other, "second goes on", false), 0);
    second.kill9();
    // The first one stands by, and takes over with all that the second one wrote.
    let refused = toggled(&bot, "first goes on", true);
    wait_until("the first one is ready", || first.client().get("/readyz").status == 200);
    first.stop();
    let mut log = Follower::new(&database.place());
    log.catch_up();
    for key in ["while it was away", "second goes on", "first goes on"] {
        assert!(log.answer(key).is_some(), "{key} was answered and is not in the log");
    }
    assert!(log.answer("too late").is_none(), "a fenced writer wrote");
    println!("fenced and back: {} commits, {refused} commands refused in between", log.commits);
    verified(&database.place());
}

#[test]
fn a_log_moved_from_sqlite_has_the_same_state() {
    let Some(database) = Database::new("move") else { return };
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("sqlite");
    let desk = Launch::new(&dir).set("http.auth", "off").start();
    let client = desk.client();
    for number in 0..30u64 {
        let master = format!("master/Demo_{}", number % 5);
        client.register(&master).ok();
        client.toggle(&master, number % 3 == 0).ok();
        client.register("slave/Demo_S").ok();
        client.call("PUT", &format!("/api/links/Demo_S/Demo_{}", number % 5)).send();
        client.post("/api/heartbeats", &json!([heartbeat(&master, number)])).ok();
    }
    let live = client.get("/api/state").ok();
    desk.stop();
    let sqlite = Place::from(dir.as_path());
    let (exit, said) = run(tidehelm().arg("migrate").arg("--data").arg(&dir).args(["--to", &database.url()]));
    assert_eq!(exit, 0, "{said}");
    verified(&database.place());
    let (from, to) = (restored_hash(&sqlite), restored_hash(&database.place()));
    assert_eq!((from.0, from.1), (to.0, to.1));
    let desk = database.launch(&temp.path().join("postgres")).set("http.auth", "off").start();
    let at = live["position"].as_u64().unwrap();
    let there = desk.client().get(&format!("/api/state?as_of={at}")).ok();
    assert_eq!(there["hash"], live["hash"], "live on SQLite against looked back at on PostgreSQL");
    desk.stop();
    println!("{} events moved; one state hash, {}", from.0, live["hash"]);
}
