//! The dashboard with real requests through the real proxy to upstreams in processes of their own: the same after a restart as
//! before it, to the last request that was shown.

use crate::client::{Client, Reply};
use crate::desk::{Desk, Launch, follow, run, tidehelm, wait_for, wait_until};
use crate::socket::Socket;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A simulated LLM server in a process of its own; gone when it is dropped.
pub struct Upstream {
    child: Child,
    pub url: String,
}

impl Upstream {
    pub fn start(args: &[&str]) -> Upstream {
        let mut command = tidehelm();
        command.arg("upstream").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let out = follow(child.stdout.take().unwrap());
        let line = wait_for("the upstream says where it is", || {
            let out = out.lock().unwrap();
            out.contains('\n').then(|| out.lines().next().unwrap().to_string())
        });
        Upstream { child, url: line.rsplit(' ').next().unwrap().to_string() }
    }

    fn port(&self) -> &str {
        self.url.trim_end_matches('/').rsplit(':').next().unwrap()
    }

    /// Ends it, and waits until nobody listens there.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Registers an endpoint that is asked for its health so seldom that no probe comes in between.
pub fn register(admin: &Client, name: &str, url: &str) -> String {
    let body = json!({"name": name, "base_url": url, "health_interval_seconds": 3600});
    admin.post("/api/endpoints", &body).ok()["id"].as_str().unwrap().to_string()
}

pub fn is_online(admin: &Client, name: &str) {
    wait_until("the endpoint is online and its models are known", || {
        let row = row(&overview(admin), name);
        row["status"] == "online" && row["models"].as_u64() > Some(0)
    });
}

/// Two minutes, the older one first.
fn is_the_end_of_a_history(minutes: &Value) -> bool {
    let at = |index: usize| minutes[index]["at"].as_i64();
    minutes.as_array().is_some_and(|minutes| minutes.len() == 2)
        && at(1).zip(at(0)).is_some_and(|(last, before)| last - before == 60_000_000)
}

pub fn overview(admin: &Client) -> Value {
    admin.get("/api/dashboard/overview").ok()
}

fn row(overview: &Value, name: &str) -> Value {
    let rows = overview["endpoints"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).cloned().unwrap_or_else(|| panic!("no endpoint {name} in {overview}"))
}

/// A client of the proxy.
pub fn user(desk: &Desk, admin: &Client) -> Client {
    let made = admin.post("/api/proxy/keys", &json!({"name": "tests"})).ok();
    desk.client().with_token(made["key"].as_str().unwrap())
}

pub fn ask(user: &Client, model: &str) -> Reply {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "How deep is the water?"}]});
    user.post("/v1/chat/completions", &body)
}

pub fn counts(stats: &Value) -> (u64, u64, u64) {
    let number = |field: &str| stats[field].as_u64().unwrap();
    (number("total"), number("success"), number("failed"))
}

pub fn shows(admin: &Client, expected: (u64, u64, u64)) {
    wait_until(&format!("the dashboard shows {expected:?}"), || counts(&overview(admin)["stats"]) == expected);
}

/// What does not change by itself: without the time of the answer, and with the minutes that had something.
pub fn lasting(overview: &Value) -> Value {
    let mut lasting = overview.clone();
    let fields = lasting.as_object_mut().unwrap();
    ["generated_at", "generation_time_ms", "position"].iter().for_each(|field| drop(fields.remove(*field)));
    let minutes = overview["history"].as_array().unwrap().iter();
    let busy = minutes.filter(|minute| minute["success"] != 0 || minute["failed"] != 0);
    lasting["history"] = busy.cloned().collect();
    lasting
}

fn sql(dir: &Path, query: &str) -> Vec<Vec<i64>> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(dir.join("tidehelm.db"), flags).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get(at)).collect::<Result<Vec<i64>, _>>();
    statement.query_map([], row).unwrap().map(|row| row.unwrap()).collect()
}

const SUMS: &str = "SELECT count(*), coalesce(sum(outcome = 'success'), 0), coalesce(sum(input_tokens), 0), \
                    coalesce(sum(output_tokens), 0) FROM requests";
const DAYS: &str = "SELECT coalesce(sum(success + failed), 0), coalesce(sum(success), 0), coalesce(sum(input_tokens), 0), \
                    coalesce(sum(output_tokens), 0) FROM request_days";

/// The tables say what the memory says, as soon as they have come so far.
pub fn tables_agree(dir: &Path, admin: &Client) {
    let stats = overview(admin)["stats"].clone();
    let number = |field: &str| stats[field].as_i64().unwrap();
    let expected = vec![vec![number("total"), number("success"), number("input_tokens"), number("output_tokens")]];
    wait_until("the tables have come to the end of the log", || {
        let through = admin.get("/api/dashboard/requests?limit=1").ok()["through"].as_u64();
        let days = sql(dir, "SELECT position FROM projections WHERE name = 'request_days'");
        through >= Some(admin.position()) && (sql(dir, DAYS) == expected || days[0][0] as u64 >= admin.position())
    });
    assert_eq!(sql(dir, SUMS), expected, "requests, one by one");
    assert_eq!(sql(dir, DAYS), expected, "requests by the day");
}

#[test]
fn the_dashboard_is_the_same_after_a_restart_as_before_it() {
    let temp = tempfile::tempdir().unwrap();
    let mut good = Upstream::start(&["--models", "llama-3", "--tokens", "100", "--latency-ms", "20"]);
    let bad = Upstream::start(&["--models", "broken-1", "--fault", "400=1000"]);
    let (mut desk, mut admin) = Desk::with_admin(temp.path());
    let nothing = overview(&admin);
    assert_eq!(counts(&nothing["stats"]), (0, 0, 0));
    assert_eq!(nothing["stats"]["average_response_ms"], Value::Null, "nothing was ever measured");
    assert_eq!(nothing["history"].as_array().unwrap().len(), 60);
    assert!(nothing["history"].as_array().unwrap().iter().all(|minute| minute["success"] == 0));
    for (name, upstream) in [("GPU box", &good), ("attic", &bad)] {
        register(&admin, name, &upstream.url);
        is_online(&admin, name);
    }
    let probed = row(&overview(&admin), "GPU box")["latency_ms"].clone();
    assert!(probed.is_u64(), "{probed}");
    assert_eq!(overview(&admin)["stats"]["average_response_of"], "probes");

    let mut caller = user(&desk, &admin);
    (0..8).for_each(|_| drop(ask(&caller, "llama-3").ok()));
    (0..2).for_each(|_| assert_eq!(ask(&caller, "broken-1").status, 400));
    shows(&admin, (10, 8, 2));
    assert_eq!(ask(&caller, "broken-1").status, 400);
    shows(&admin, (11, 8, 3));

    let shown = overview(&admin);
    let gpu = row(&shown, "GPU box");
    assert_eq!((counts(&gpu), counts(&row(&shown, "attic"))), ((8, 8, 0), (3, 0, 3)));
    assert_eq!(
        (gpu["output_tokens"].as_u64(), &shown["stats"]["average_response_of"]),
        (Some(800), &json!("last_hour"))
    );
    let tps: f64 = gpu["tps"]["value"].as_str().unwrap().parse().unwrap();
    // 100 tokens in 20 ms and a little more.
    assert!((10.0..=5_000.0).contains(&tps) && gpu["tps"]["today"] == true, "{gpu}");
    assert!(shown["stats"]["average_response_ms"].as_u64() >= Some(20), "{shown}");
    assert_eq!(shown["stats"]["outcomes"]["upstream_error"], 3);
    tables_agree(temp.path(), &admin);

    // Stopped in good order, killed, and killed again at once.
    for way in ["stopped", "killed", "killed", "stopped"] {
        let before = lasting(&overview(&admin));
        desk = match way {
            "stopped" => desk.restart(),
            _ => desk.kill9().start(),
        };
        (admin, caller) = (desk.again(&admin), desk.again(&caller));
        assert_eq!(lasting(&overview(&admin)), before, "{way}");
        tables_agree(temp.path(), &admin);
    }

    // Offline, its last latency and speed are still there, also after a restart; and requests that come to nobody are counted.
    good.kill();
    let mut asked = 11;
    wait_until("two failures in a row", || {
        ask(&caller, "llama-3");
        asked += 1;
        row(&overview(&admin), "GPU box")["status"] == "offline"
    });
    let offline = overview(&admin);
    let gpu = row(&offline, "GPU box");
    assert_eq!((&gpu["latency_ms"], gpu["tps"]["value"].is_string()), (&probed, true), "{gpu}");
    assert_eq!(ask(&caller, "llama-3").status, 503);
    wait_until("each is counted", || counts(&overview(&admin)["stats"]).0 == asked + 1);
    assert!(overview(&admin)["stats"]["without_endpoint"].as_u64() >= Some(1));
    let before = lasting(&overview(&admin));
    let desk = desk.kill9().start();
    let (admin, caller) = (desk.again(&admin), desk.again(&caller));
    assert_eq!(lasting(&overview(&admin))["stats"], before["stats"]);
    assert_eq!(row(&overview(&admin), "GPU box")["latency_ms"], probed);

    // Back again where it was.
    let port = good.port().to_string();
    let _again = Upstream::start(&["--models", "llama-3", "--tokens", "100", "--port", &port]);
    let id = row(&overview(&admin), "GPU box")["id"].as_str().unwrap().to_string();
    wait_until("it is online again", || {
        admin.post(&format!("/api/endpoints/{id}/test"), &json!({}));
        row(&overview(&admin), "GPU box")["status"] == "online"
    });
    assert_eq!(ask(&caller, "llama-3").status, 200);
    desk.stop();
}

#[test]
fn a_removed_endpoint_takes_nothing_from_the_totals() {
    let temp = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(&["--tokens", "10"]);
    let (desk, admin) = Desk::with_admin(temp.path());
    let id = register(&admin, "GPU box", &upstream.url);
    is_online(&admin, "GPU box");
    let caller = user(&desk, &admin);
    (0..5).for_each(|_| drop(ask(&caller, "llama-3").ok()));
    assert_eq!(ask(&caller, "nobody-has-this").status, 404);
    shows(&admin, (6, 5, 1));
    let revision = admin.get(&format!("/api/endpoints/{id}")).ok()["version"].clone();
    admin.call("DELETE", &format!("/api/endpoints/{id}")).header("if-match", format!("\"{revision}\"")).send().ok();
    let after = overview(&admin);
    assert_eq!((counts(&after["stats"]), &after["endpoints"]), ((6, 5, 1), &json!([])));
    let gone = &after["stats"]["removed"][0];
    assert_eq!((counts(gone), &gone["name"]), ((5, 5, 0), &json!("GPU box")));
    let desk = desk.kill9().start();
    let admin = desk.again(&admin);
    assert_eq!(lasting(&overview(&admin)), lasting(&after));
    tables_agree(temp.path(), &admin);
    // It is still called by its name in the list of requests.
    let listed = admin.get("/api/dashboard/requests?endpoint=GPU%20box").ok();
    assert_eq!(listed["requests"].as_array().unwrap().len(), 5);
    desk.stop();
}

#[test]
fn requests_are_listed_filtered_and_written_to_files() {
    let temp = tempfile::tempdir().unwrap();
    let (one, other) =
        (Upstream::start(&["--models", "alpha"]), Upstream::start(&["--models", "beta", "--fault", "500=1000"]));
    let (desk, admin) = Desk::with_admin(temp.path());
    for (name, upstream) in [("one", &one), ("other", &other)] {
        register(&admin, name, &upstream.url);
        is_online(&admin, name);
    }
    let caller = user(&desk, &admin);
    (0..25).for_each(|_| drop(ask(&caller, "alpha").ok()));
    ask(&caller, "beta");
    ask(&caller, "gamma");
    wait_until("all are shown", || counts(&overview(&admin)["stats"]).0 >= 27);
    tables_agree(temp.path(), &admin);
    let all = counts(&overview(&admin)["stats"]).0 as usize;

    let viewer = desk.token(&admin, "viewer", "viewer");
    let list = |query: &str| viewer.get(&format!("/api/dashboard/requests{query}")).ok();
    let rows = |query: &str| list(query)["requests"].as_array().unwrap().clone();
    assert_eq!(rows("").len(), all);
    let positions: Vec<_> = rows("").iter().map(|row| row["position"].as_i64().unwrap()).collect();
    assert!(positions.is_sorted_by(|a, b| a > b), "newest first: {positions:?}");
    for (query, expected) in [
        ("?model=alpha", 25),
        ("?endpoint=ONE", 25),
        ("?endpoint=none", 1),
        ("?outcome=success", 25),
        ("?outcome=failed", all - 25),
        ("?status=200", 25),
        ("?client=127.0.0.1", all),
        ("?api=chat_completions&model=alpha", 25),
        ("?api=embeddings", 0),
        ("?from=1h%20ago", all),
        ("?until=1h%20ago", 0),
        ("?limit=7", 7),
        ("?order=oldest&limit=3", 3),
    ] {
        assert_eq!(rows(query).len(), expected, "{query}");
    }
    let (mut found, mut query) = (Vec::new(), "?model=alpha&limit=10".to_string());
    loop {
        let page = list(&query);
        found.extend(page["requests"].as_array().unwrap().iter().map(|row| row["position"].clone()));
        match page["next"].as_u64() {
            Some(next) => query = format!("?model=alpha&limit=10&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, rows("?model=alpha").iter().map(|row| row["position"].clone()).collect::<Vec<_>>());

    let csv = viewer.get("/api/dashboard/requests/export?format=csv&model=alpha");
    assert_eq!((csv.status, csv.text.lines().count()), (200, 26));
    let json = viewer.get("/api/dashboard/requests/export?format=json&order=newest").ok();
    assert_eq!(json, json!(rows("")), "a file has what the list has");
    let parquet = viewer.call("GET", "/api/dashboard/requests/export?format=parquet").bytes();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));

    // The same from the command line, of the server and of its directory.
    for place in [["--url", &desk.base], ["--data", temp.path().to_str().unwrap()]] {
        let mut command = tidehelm();
        command.args(["requests", "--output", "json", "--model", "alpha"]).args(place);
        command.env("TIDEHELM_TOKEN", viewer.token.as_ref().unwrap());
        let (exit, said) = run(&mut command);
        let found: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!((exit, found), (0, json!(rows("?model=alpha&limit=50"))), "{place:?}");
        let mut command = tidehelm();
        command.args(["overview", "--output", "json"]).args(place);
        command.env("TIDEHELM_TOKEN", viewer.token.as_ref().unwrap());
        let (exit, said) = run(&mut command);
        let found: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((exit, &found["stats"]), (0, &overview(&admin)["stats"]), "{place:?}");
        let file = temp.path().join("requests.csv");
        let mut command = tidehelm();
        command.args(["requests", "export", "--model", "alpha", "--to"]).arg(&file).args(place);
        command.env("TIDEHELM_TOKEN", viewer.token.as_ref().unwrap());
        assert_eq!(run(&mut command), (0, String::new()), "{place:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), csv.text, "{place:?}");
    }
    desk.stop();
}

#[test]
fn nonsense_is_named_and_strangers_see_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    for (path, field) in [
        ("requests?outcome=lost", "outcome"),
        ("requests?status=ok", "status"),
        ("requests?endpoint=attic", "endpoint"),
        ("requests?api=chat", "api"),
        ("requests?from=yesterdayish", "from"),
        ("requests?until=maybe", "until"),
        ("requests?key=7", "key"),
        ("requests?request=7", "request"),
        ("requests?order=up", "order"),
        ("requests?cursor=next", "cursor"),
        ("requests?limit=0", "limit"),
        ("requests?limit=1001", "limit"),
        ("requests?format=csv", "format"),
        ("requests/export?format=xls", "format"),
        ("requests/export?limit=3", "limit"),
        ("requests?colour=blue", "query"),
        ("stats/tokens/daily?days=401", "days"),
        ("stats/tokens/daily?days=all", "days"),
        ("model-stats?days=0", "days"),
        ("clients?limit=0", "limit"),
        ("overview?as_of=soon", "as_of"),
    ] {
        let reply = admin.get(&format!("/api/dashboard/{path}"));
        assert_eq!(reply.problem(422), "invalid", "{path}");
        assert_eq!(reply.json()["field"], field, "{path}: {}", reply.text);
    }
    assert_eq!(admin.get("/api/dashboard/clients/detail?client=192.0.2.1").problem(404), "client_unknown");
    for path in [
        "overview",
        "endpoints",
        "stats",
        "request-history",
        "requests",
        "requests/export",
        "stats/tokens",
        "stats/tokens/daily",
        "stats/tokens/monthly",
        "model-stats",
        "clients",
        "clients/timeline",
        "clients/models",
        "clients/heatmap",
    ] {
        let path = format!("/api/dashboard/{path}");
        assert_eq!(desk.client().get(&path).problem(401), "login_needed", "{path}");
        assert_eq!(desk.token(&admin, &path.replace('/', "-")[1..], "viewer").get(&path).status, 200, "{path}");
    }
    desk.stop();
}

#[test]
fn every_sum_adds_up_to_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(&["--models", "alpha,beta", "--tokens", "12"]);
    let (desk, admin) = Desk::with_admin(temp.path());
    let id = register(&admin, "GPU box", &upstream.url);
    is_online(&admin, "GPU box");
    let caller = user(&desk, &admin);
    (0..6).for_each(|_| drop(ask(&caller, "alpha").ok()));
    (0..3).for_each(|_| drop(ask(&caller, "beta").ok()));
    assert_eq!(ask(&caller, "gamma").status, 404);
    shows(&admin, (10, 9, 1));
    let get = |path: &str| admin.get(&format!("/api/dashboard/{path}")).ok();
    let stats = get("stats")["stats"].clone();
    let tokens = get("stats/tokens")["tokens"].clone();
    assert_eq!((&tokens["input"], &tokens["output"]), (&stats["input_tokens"], &stats["output_tokens"]));
    assert_eq!(tokens["output"].as_u64(), Some(9 * 12));
    let daily = get("stats/tokens/daily?days=2")["days"].as_array().unwrap().clone();
    assert_eq!(daily.iter().map(|day| day["sums"]["total"].as_u64().unwrap()).sum::<u64>(), 10);
    assert_eq!(daily.len(), 2, "zero-filled");
    let monthly = get("stats/tokens/monthly")["months"].as_array().unwrap().clone();
    assert_eq!(monthly.iter().map(|month| month["tokens"]["output"].as_u64().unwrap()).sum::<u64>(), 9 * 12);
    let models = get("model-stats?days=2")["models"].as_array().unwrap().clone();
    let by_model: BTreeMap<_, _> =
        models.iter().map(|model| (model["model"].as_str(), model["sums"]["total"].as_u64().unwrap())).collect();
    assert_eq!(by_model, [(Some("alpha"), 6), (Some("beta"), 3), (None, 1)].into());
    assert_eq!(models[0]["endpoints"][&id], 6);
    let history = get("request-history")["history"].as_array().unwrap().clone();
    assert_eq!(history.iter().map(|minute| minute["success"].as_u64().unwrap()).sum::<u64>(), 9);
    let clients = get("clients");
    assert_eq!(
        (&clients["clients"][0]["client"], &clients["clients"][0]["counts"]["total"]),
        (&json!("127.0.0.1"), &json!(10))
    );
    let hours = get("clients/timeline")["hours"].as_array().unwrap().clone();
    assert_eq!((hours.len(), hours.iter().map(|hour| hour["requests"].as_u64().unwrap()).sum::<u64>()), (24, 10));
    let week = get("clients/heatmap")["week"].clone();
    let all = week.as_array().unwrap().iter().flat_map(|day| day.as_array().unwrap());
    assert_eq!((week.as_array().unwrap().len(), all.map(|hour| hour.as_u64().unwrap()).sum::<u64>()), (7, 10));
    let detail = get("clients/detail?client=127.0.0.1");
    assert_eq!((&detail["client"]["counts"]["success"], &detail["models"][0]["model"]), (&json!(9), &json!("alpha")));
    assert_eq!(get("clients/models")["models"][0]["requests"], 6);

    let metrics = admin.get("/metrics").text;
    for line in [
        "tidehelm_endpoint_requests_total{endpoint=\"GPU box\",outcome=\"success\"} 9",
        "tidehelm_endpoint_requests_total{endpoint=\"(none)\",outcome=\"refused\"} 1",
        "tidehelm_endpoint_tokens_total{endpoint=\"GPU box\",direction=\"output\"} 108",
        "tidehelm_endpoint_status{endpoint=\"GPU box\",status=\"online\"} 1",
        "tidehelm_endpoint_in_flight{endpoint=\"GPU box\"} 0",
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "{line} is not in\n{metrics}");
    }
    wait_until("durations are in the histogram", || {
        let metrics = admin.get("/metrics").text;
        metrics.contains("tidehelm_endpoint_request_seconds_count{endpoint=\"GPU box\"} 9\n")
    });
    assert!(!metrics.contains("127.0.0.1\""), "no client is named");
    // The last state that a log shows is the one that memory shows.
    let now = overview(&admin);
    let then = admin.get(&format!("/api/dashboard/overview?as_of={}", now["position"])).ok();
    assert_eq!(then["stats"]["total"], now["stats"]["total"]);
    desk.stop();
}

#[test]
fn a_watcher_sees_new_counts_within_a_second() {
    let temp = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(&["--tokens", "30", "--latency-ms", "5"]);
    let (desk, admin) = Desk::with_admin(temp.path());
    let mut socket = Socket::open(&admin, "?subscribe=endpoints");
    let snapshot = socket.snapshot();
    assert_eq!((&snapshot["endpoints"], counts(&snapshot["totals"]["stats"])), (&json!([]), (0, 0, 0)));
    let id = register(&admin, "GPU box", &upstream.url);
    let registered = socket.until("endpoint_registered");
    assert_eq!((&registered["data"]["id"], registered["position"].is_u64()), (&json!(id), true));
    socket.find(|message| message["type"] == "endpoint_status_changed" && message["data"]["status"] == "online");
    is_online(&admin, "GPU box");
    let caller = user(&desk, &admin);
    let mut worst = Duration::ZERO;
    for number in 1..=5 {
        ask(&caller, "llama-3").ok();
        let asked = Instant::now();
        socket.find(|message| {
            message["type"] == "counters_updated"
                && message["data"]["stats"]["total"].as_u64() == Some(number)
                && is_the_end_of_a_history(&message["data"]["minutes"])
        });
        worst = worst.max(asked.elapsed());
    }
    println!("new counts were told within {worst:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    ask(&caller, "llama-3").ok();
    assert_eq!(socket.until("tps_updated")["data"]["endpoint"], json!(id));
    // Many at once are told as few, and the last one is the truth.
    (0..200).for_each(|_| drop(ask(&caller, "llama-3")));
    let read = socket.all_until(|message| {
        message["type"] == "counters_updated"
            && message["data"]["endpoint"] == json!(id)
            && message["data"]["total"] == 206
    });
    assert!(read.len() < 200, "{} messages for 200 requests", read.len());

    // Who comes back with its position is told what is new.
    let since = admin.position();
    let desk = desk.restart();
    let (admin, caller) = (desk.again(&admin), desk.again(&caller));
    ask(&caller, "llama-3").ok();
    shows(&admin, (207, 207, 0));
    let mut socket = Socket::open(&admin, &format!("?subscribe=endpoints&since={since}"));
    assert_eq!(socket.next()["type"], "resumed");
    socket.find(|message| message["type"] == "endpoint_status_changed" && message["data"]["total"] == 207);
    let revision = admin.get(&format!("/api/endpoints/{id}")).ok()["version"].clone();
    admin.call("DELETE", &format!("/api/endpoints/{id}")).header("if-match", format!("\"{revision}\"")).send().ok();
    assert_eq!(socket.until("endpoint_removed")["data"], json!({"id": id, "name": "GPU box"}));
    desk.stop();
}

/// Clients that ask again and again until they are told to stop; what was answered well, and what was shown last.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    seen: Arc<Mutex<Value>>,
    /// The last answer that was none.
    refused: Arc<Mutex<String>>,
    hands: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn begin(admin: &Client, caller: &Client) -> Load {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (seen, refused) = (Arc::new(Mutex::new(Value::Null)), Arc::new(Mutex::new(String::new())));
        let mut hands: Vec<_> = (0..4)
            .map(|_| {
                let (stop, answered, caller) = (stop.clone(), answered.clone(), caller.clone());
                let refused = refused.clone();
                std::thread::spawn(move || {
                    let body = json!({"model": "llama-3", "messages": []});
                    while !stop.load(Ordering::Relaxed) {
                        match caller.call("POST", "/v1/chat/completions").json(&body).try_send() {
                            Ok(reply) if reply.status == 200 => drop(answered.fetch_add(1, Ordering::Relaxed)),
                            Ok(reply) => *refused.lock().unwrap() = reply.text,
                            Err(_) => return,
                        }
                    }
                })
            })
            .collect();
        let (halt, shown, admin) = (stop.clone(), seen.clone(), admin.clone());
        hands.push(std::thread::spawn(move || {
            while !halt.load(Ordering::Relaxed) {
                match admin.call("GET", "/api/dashboard/overview").try_send() {
                    Ok(reply) if reply.status == 200 => *shown.lock().unwrap() = reply.json(),
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        }));
        Load { stop, answered, seen, refused, hands }
    }

    fn end(self) -> (u64, Value) {
        self.stop.store(true, Ordering::Relaxed);
        self.hands.into_iter().for_each(|hand| hand.join().unwrap());
        let seen = self.seen.lock().unwrap().clone();
        (self.answered.load(Ordering::Relaxed), seen)
    }
}

/// Requests that the log holds.
fn in_the_log(admin: &Client) -> u64 {
    let (mut count, mut from) = (0, 0);
    loop {
        let page = admin.get(&format!("/api/events?kind=request_finished&limit=10000&from={from}")).ok();
        count += page["events"].as_array().unwrap().len() as u64;
        match page["next"].as_u64() {
            Some(next) => from = next,
            None => return count,
        }
    }
}

#[test]
fn killed_under_load_the_numbers_are_those_that_were_shown_last() {
    let temp = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(&["--tokens", "8", "--fault", "400=50"]);
    // An answer is given when it is in the log: then nothing that was answered may be missing.
    let launch = Launch::new(temp.path()).set("proxy.durable_answers", "true");
    let mut desk = launch.start();
    let mut admin = desk.welcome("ann");
    register(&admin, "GPU box", &upstream.url);
    is_online(&admin, "GPU box");
    let mut caller = user(&desk, &admin);
    let (mut answered, mut rounds, mut cut_off) = (0, 0, 0);
    for round in 0..6u64 {
        let load = Load::begin(&admin, &caller);
        let begun = answered;
        let begun_at = Instant::now();
        while load.answered.load(Ordering::Relaxed) <= 30 + round * 17 {
            let answered = load.answered.load(Ordering::Relaxed);
            let patient = begun_at.elapsed() < Duration::from_secs(20);
            assert!(patient, "only {answered} were answered, and {}", load.refused.lock().unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
        let launch = desk.kill9();
        let (more, shown) = load.end();
        answered += more;
        if round == 4 {
            // The end of the write-ahead log is damaged: what was synced before it is there.
            let wal = temp.path().join("tidehelm.db-wal");
            let length = std::fs::metadata(&wal).map_or(0, |file| file.len());
            assert!(length > 0, "there is a tail to be damaged");
            std::fs::OpenOptions::new().write(true).open(&wal).unwrap().set_len(length - length / 50 - 1).unwrap();
            (answered, cut_off) = (0, 1);
        }
        desk = launch.start();
        (admin, caller) = (desk.again(&admin), desk.again(&caller));
        let now = overview(&admin);
        let (total, success, _) = counts(&now["stats"]);
        assert_eq!(total, in_the_log(&admin), "round {round}: every request of the log, once");
        assert!(success >= answered, "round {round}: {answered} were answered and {success} are shown");
        if cut_off == 0 {
            let last = counts(&shown["stats"]);
            assert!(total >= last.0 && more > 0 && answered > begun, "round {round}: {last:?} were shown, now {total}");
            let then = admin.get(&format!("/api/dashboard/overview?as_of={}", shown["position"])).ok();
            for field in ["total", "success", "failed", "outcomes", "input_tokens", "output_tokens"] {
                assert_eq!(then["stats"][field], shown["stats"][field], "round {round}: {field}");
            }
            assert_eq!(counts(&row(&then, "GPU box")), counts(&row(&shown, "GPU box")), "round {round}");
            assert_eq!(row(&then, "GPU box")["tps"], row(&shown, "GPU box")["tps"], "round {round}");
        }
        tables_agree(temp.path(), &admin);
        (cut_off, rounds) = (0, rounds + 1);
        // Where a tail was cut off, what was answered before it no longer counts.
        answered = answered.min(success);
    }
    let total = counts(&overview(&admin)["stats"]).0;
    println!("{rounds} kills, {total} requests, every one counted once");
    assert!(rounds == 6 && total > 300, "{rounds} rounds, {total} requests");
    desk.stop();
    let (exit, said) = run(tidehelm().args(["verify", "--data"]).arg(temp.path()));
    assert_eq!(exit, 0, "{said}");
    for name in ["requests", "request-days", "endpoints"] {
        let (exit, said) = run(tidehelm().args(["rebuild", name, "--data"]).arg(temp.path()));
        assert_eq!(exit, 0, "{said}");
    }
    assert_eq!(sql(temp.path(), SUMS), sql(temp.path(), DAYS), "built anew they say the same");
    assert_eq!(sql(temp.path(), SUMS)[0][0] as u64, total);
}
