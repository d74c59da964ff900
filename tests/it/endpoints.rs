//! Endpoints over the API: registered, changed, removed, watched.

use crate::client::{Client, Reply};
use crate::desk::{Desk, Launch, run, tidehelm, wait_for, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Nobody listens there, and a refusal comes at once.
const NOBODY: &str = "http://127.0.0.1:9";
const SECRET: &str = "sk-upstream-0123456789";

fn put(client: &Client, id: &str, version: &Value, body: &Value) -> Reply {
    client.call("PUT", &at(id)).header("if-match", format!("\"{version}\"")).json(body).send()
}

fn at(id: &str) -> String {
    format!("/api/endpoints/{id}")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).into()
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str, field: Option<&str>) {
    assert_eq!((reply.problem(status).as_str(), reply.json()["field"].as_str()), (code, field), "{}", reply.text);
}

/// True if some file under the directory has these bytes in it.
fn has_bytes(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => has_bytes(&path, bytes),
            false => std::fs::read(&path).unwrap_or_default().windows(bytes.len()).any(|some| some == bytes),
        }
    })
}

#[test]
fn an_endpoint_is_registered_though_nobody_is_there_and_changed_and_removed() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let body = json!({"name": "GPU box", "base_url": "HTTP://127.0.0.1:9/v1/", "tags": ["cellar"]});
    let made = admin.post("/api/endpoints", &body);
    let endpoint = made.ok();
    let id = text(&endpoint["id"]);
    assert_eq!((made.status, made.header("location")), (201, Some(at(&id).as_str())));
    assert_eq!(made.header("etag"), Some(format!("\"{}\"", endpoint["version"]).as_str()));
    assert_eq!((&endpoint["base_url"], &endpoint["kind"]), (&json!(NOBODY), &Value::Null));
    assert_eq!((&endpoint["health_interval_seconds"], &endpoint["has_secret"]), (&json!(30), &json!(false)));

    let before = admin.position();
    let body =
        json!({"name": "GPU box 2", "base_url": NOBODY, "weight": 300, "kind": "vllm", "capabilities": ["chat"]});
    let changed = put(&admin, &id, &endpoint["version"], &body).ok();
    assert_eq!((&changed["name"], &changed["weight"]), (&json!("GPU box 2"), &json!(300)));
    assert_eq!((&changed["kind"], &changed["tags"]), (&json!("vllm"), &json!([])), "what is left out is as by default");
    let list = admin.get("/api/endpoints").ok();
    assert_eq!(list["endpoints"][0]["version"], changed["version"]);
    assert_eq!(admin.get(&format!("{}?as_of={before}", at(&id))).ok()["name"], "GPU box");

    refused(&put(&admin, &id, &endpoint["version"], &body), 412, "revision_stale", None);
    let blind = admin.call("PUT", &at(&id)).json(&body).send();
    refused(&blind, 428, "version_required", Some("If-Match"));
    refused(&admin.call("DELETE", &at(&id)).send(), 428, "version_required", Some("If-Match"));
    admin.call("DELETE", &at(&id)).header("if-match", format!("\"{}\"", changed["version"])).send().ok();
    assert_eq!(admin.get(&at(&id)).problem(404), "endpoint_unknown");
    assert_eq!(admin.get("/api/endpoints").ok()["endpoints"], json!([]));
    assert_eq!(admin.events("endpoint_registered,endpoint_changed,endpoint_removed").len(), 3);
}

#[test]
fn what_cannot_be_an_endpoint_is_refused_by_its_field() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let first = json!({"name": "One", "base_url": NOBODY});
    admin.post("/api/endpoints", &first).ok();
    for (body, status, code, field) in [
        (json!({"name": "ONE", "base_url": "http://127.0.0.1:8"}), 409, "name_taken", Some("name")),
        (json!({"name": "Two", "base_url": "http://127.0.0.1:9/v1"}), 409, "url_taken", Some("base_url")),
        (json!({"base_url": "http://127.0.0.1:8"}), 422, "setting_invalid", Some("name")),
        (json!({"name": "Two"}), 422, "setting_invalid", Some("base_url")),
        (json!({"name": "Two", "base_url": "ftp://a"}), 422, "setting_invalid", Some("base_url")),
        (json!({"name": "Two", "base_url": "http://u:p@a"}), 422, "setting_invalid", Some("base_url")),
        (json!({"name": "Two", "base_url": "http://a", "weight": 0}), 422, "setting_invalid", Some("weight")),
        (json!({"name": "Two", "base_url": "http://a", "weight": "x"}), 422, "invalid", Some("weight")),
        (json!({"name": "Two", "base_url": "http://a", "kind": "gpt"}), 422, "invalid", Some("kind")),
        (
            json!({"name": "Two", "base_url": "http://a", "health_interval_seconds": 4}),
            422,
            "setting_invalid",
            Some("health_interval_seconds"),
        ),
        (json!({"name": "Two", "base_url": "http://a", "secret": ""}), 422, "invalid", Some("secret")),
        (json!({"name": "Two", "base_url": "http://a", "secret": "a b"}), 422, "invalid", Some("secret")),
        (json!({"name": "Two", "base_url": "http://a", "colour": 1}), 422, "invalid", Some("colour")),
    ] {
        let reply = admin.post("/api/endpoints", &body);
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
        refused(&reply, status, code, field);
    }
    let number = admin.post("/api/endpoints", &json!({"name": "Two", "base_url": "http://a", "secret": 987654321}));
    refused(&number, 422, "invalid", Some("secret"));
    assert!(!number.text.contains("987654321"), "a secret is not repeated: {}", number.text);
    refused(&admin.get("/api/endpoints/7"), 422, "invalid", Some("id"));
    let viewer = desk.token(&admin, "eyes", "viewer");
    assert_eq!(viewer.get("/api/endpoints").ok()["endpoints"].as_array().unwrap().len(), 1);
    assert_eq!(
        viewer.post("/api/endpoints", &json!({"name": "T", "base_url": "http://a"})).problem(403),
        "role_too_low"
    );
    assert_eq!(desk.client().get("/api/endpoints").problem(401), "login_needed");
}

#[test]
fn a_repeat_means_the_same_endpoint() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let body = json!({"name": "One", "base_url": NOBODY, "secret": SECRET});
    let register = |client: &Client, body: &Value| client.call("POST", "/api/endpoints").key("first").json(body).send();
    let made = register(&admin, &body);
    let again = register(&admin, &body);
    assert_eq!(made.ok()["id"], again.ok()["id"]);
    assert_eq!((made.events().is_some(), made.events()), (true, again.events()));
    let other = json!({"name": "Other", "base_url": NOBODY});
    assert_eq!(register(&admin, &other).problem(422), "command_id_reused");
    let bob = desk.token(&admin, "bob", "operator");
    assert_eq!(register(&bob, &other).problem(409), "url_taken", "the same key of somebody else is another command");
    assert_eq!(admin.get("/api/endpoints").ok()["endpoints"].as_array().unwrap().len(), 1);
}

#[test]
fn a_secret_is_sealed_never_shown_and_destroyed_with_the_last_that_refers_to_it() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let body = json!({"name": "One", "base_url": NOBODY, "secret": SECRET});
    let endpoint = admin.post("/api/endpoints", &body).ok();
    let id = text(&endpoint["id"]);
    assert_eq!(endpoint["has_secret"], true);
    let sealed = || admin.get("/api/secrets").ok()["sealed"].clone();
    assert_eq!(sealed(), 1);

    let kept = put(&admin, &id, &endpoint["version"], &json!({"name": "One more", "base_url": NOBODY})).ok();
    assert_eq!((&kept["has_secret"], sealed()), (&json!(true), json!(1)), "left out, it stays");
    let moved = json!({"name": "One", "base_url": "http://127.0.0.1:8"});
    refused(&put(&admin, &id, &kept["version"], &moved), 422, "secret_needed", Some("secret"));
    let other = json!({"name": "One", "base_url": "http://127.0.0.1:8", "secret": "another-secret-1"});
    let changed = put(&admin, &id, &kept["version"], &other).ok();
    assert_eq!((&changed["has_secret"], sealed()), (&json!(true), json!(1)), "the old one is destroyed");
    refused(&put(&admin, &id, &kept["version"], &other), 412, "revision_stale", None);
    let twice = admin.post("/api/endpoints", &json!({"name": "One", "base_url": "http://a", "secret": "refused-one"}));
    refused(&twice, 409, "name_taken", Some("name"));
    assert_eq!(sealed(), 1, "that of a refused command goes, too");

    let all = ["/api/endpoints", "/api/events?limit=1000", "/api/config", "/api/secrets", "/api/state"];
    for path in all.into_iter().map(String::from).chain([at(&id)]) {
        let reply = admin.get(&path);
        assert!(!reply.text.contains(SECRET) && !reply.text.contains("another-secret"), "{path} shows it");
    }
    assert!(!desk.logged().contains(SECRET) && !desk.said().contains(SECRET));
    let desk = desk.restart();
    let admin = desk.again(&admin);
    assert_eq!(admin.get("/api/secrets").ok()["unreadable"], 0);
    assert!(!has_bytes(temp.path(), SECRET.as_bytes()) && !has_bytes(temp.path(), b"another-secret"));
    admin.call("DELETE", &at(&id)).header("if-match", format!("\"{}\"", changed["version"])).send().ok();
    assert_eq!(admin.get("/api/secrets").ok()["sealed"], 0);
}

#[test]
fn a_secret_that_cannot_be_opened_stops_no_start() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    admin.post("/api/endpoints", &json!({"name": "One", "base_url": NOBODY, "secret": SECRET})).ok();
    let file = std::path::PathBuf::from(text(&admin.get("/api/secrets").ok()["master_key_file"]));
    let launch: Launch = desk.kill9();
    let aside = temp.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    let desk = launch.start();
    let admin = desk.again(&admin);
    assert_eq!(admin.get("/api/secrets").ok()["unreadable"], 1);
    assert!(admin.get("/readyz").text.contains("1 of 1 secrets of endpoints cannot be opened (master_key_missing)"));
    assert!(admin.get("/metrics").text.contains("tidehelm_endpoint_secrets_shut 1"));
    let id = text(&admin.get("/api/endpoints").ok()["endpoints"][0]["id"]);
    let tested = test(&admin, &id);
    assert!(tested["detail"].as_str().unwrap().contains("master_key_missing"), "{tested}");
    let new = admin.post("/api/endpoints", &json!({"name": "Two", "base_url": "http://a", "secret": SECRET}));
    assert_eq!(new.problem(503), "master_key_missing");
    std::fs::rename(&aside, &file).unwrap();
    admin.post("/api/endpoints", &json!({"name": "Two", "base_url": "http://127.0.0.1:8", "secret": SECRET})).ok();
    assert_eq!(admin.get("/api/secrets").ok()["unreadable"], 0);
    wait_until("it is opened again", || admin.get("/readyz").text == "ready\n");
}

/// A server as simple as will do, in a thread: an Ollama that answers after a while, hangs, or hangs up.
struct Upstream {
    address: SocketAddr,
    does: Arc<Mutex<Does>>,
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
}

#[derive(Clone, Copy)]
enum Does {
    Answer {
        millis: u64,
        models: &'static str,
    },
    /// Takes the question, and never answers.
    Hang,
    /// Takes the connection and ends it.
    HangUp,
}

const QWEN: &str = r#"{"models": [{"name": "qwen3:8b"}]}"#;

impl Upstream {
    fn start(does: Does) -> Self {
        Upstream::listen("127.0.0.1:0".parse().unwrap(), does)
    }

    fn listen(address: SocketAddr, does: Does) -> Self {
        Upstream::with(address, does, Some)
    }

    /// One that speaks TLS.
    fn secured(does: Does, config: Arc<rustls::ServerConfig>) -> Self {
        Upstream::with("127.0.0.1:0".parse().unwrap(), does, move |stream| {
            let connection = rustls::ServerConnection::new(config.clone()).ok()?;
            Some(rustls::StreamOwned::new(connection, stream))
        })
    }

    fn with<S: Read + Write>(
        address: SocketAddr,
        does: Does,
        take: impl Fn(TcpStream) -> Option<S> + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (does, asked) = (Arc::new(Mutex::new(does)), Arc::new(Mutex::new(Vec::new())));
        let upstream = Upstream { address, does: does.clone(), asked: asked.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (does, asked, take) = (does.clone(), asked.clone(), take.clone());
                std::thread::spawn(move || {
                    if let Some(stream) = take(stream) {
                        serve(stream, &does, &asked);
                    }
                });
            }
        });
        upstream
    }

    /// An address at which nobody listens yet.
    fn nobody_yet() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// When it was asked whether it is there: detection asks more than one question.
    fn probed(&self) -> Vec<Instant> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, head)| head.starts_with("GET /api/tags ")).map(|(at, _)| *at).collect()
    }

    fn heads(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(_, head)| head.clone()).collect()
    }
}

fn serve<S: Read + Write>(stream: S, does: &Mutex<Does>, asked: &Mutex<Vec<(Instant, String)>>) {
    let (millis, models) = match *does.lock().unwrap() {
        Does::Answer { millis, models } => (millis, models),
        Does::Hang => return std::thread::sleep(Duration::from_secs(120)),
        Does::HangUp => return,
    };
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    asked.lock().unwrap().push((Instant::now(), head.clone()));
    let (status, body) = match head.split(' ').nth(1) {
        Some("/api/tags") => (200, models),
        _ => (404, ""),
    };
    std::thread::sleep(Duration::from_millis(millis));
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}");
    let _ = reader.get_mut().write_all(answer.as_bytes());
    let _ = reader.get_mut().flush();
}

fn register(client: &Client, name: &str, url: &str, more: &Value) -> String {
    let mut body = json!({"name": name, "base_url": url, "health_interval_seconds": 3600});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    text(&client.post("/api/endpoints", &body).ok()["id"])
}

fn test(client: &Client, id: &str) -> Value {
    client.post(&format!("{}/test", at(id)), &Value::Null).ok()
}

/// Waits for its first probe, which comes by itself.
fn first_probe(client: &Client, id: &str) -> Value {
    wait_for("it is asked", || {
        let endpoint = client.get(&at(id)).ok();
        (!endpoint["last_seen"].is_null() || !endpoint["last_error"].is_null()).then_some(endpoint)
    })
}

#[test]
fn a_kind_is_known_once_it_answers_and_it_proves_itself_on_the_way_back() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let address = Upstream::nobody_yet();
    let id = register(&admin, "Ollama", &format!("http://{address}"), &json!({}));
    let endpoint = first_probe(&admin, &id);
    assert_eq!((&endpoint["status"], &endpoint["last_error"]["failure"]), (&json!("pending"), &json!("connect")));
    let tested = test(&admin, &id);
    assert_eq!((&tested["ok"], &tested["failure"]), (&json!(false), &json!("connect")), "{tested}");
    assert_eq!((&tested["endpoint"]["status"], &tested["kind"]), (&json!("offline"), &Value::Null));

    let _upstream = Upstream::listen(address, Does::Answer { millis: 0, models: QWEN });
    let tested = test(&admin, &id);
    assert_eq!((&tested["ok"], &tested["kind"]), (&json!(true), &json!("ollama")), "{tested}");
    assert_eq!(tested["endpoint"]["status"], "half_open");
    assert_eq!(test(&admin, &id)["endpoint"]["status"], "online");
    let models = admin.get(&format!("{}/models", at(&id))).ok();
    assert_eq!(models["models"], json!([{"id": "qwen3:8b", "context": null}]));
    let checks = admin.get(&format!("{}/health-checks", at(&id))).ok()["checks"].clone();
    let good: Vec<&Value> = checks.as_array().unwrap().iter().map(|check| &check["ok"]).collect();
    assert_eq!(good, [&json!(false), &json!(false), &json!(true), &json!(true)]);
    let turns = admin.events("endpoint_status_changed");
    let turns: Vec<_> = turns.iter().map(|event| event["payload"]["new"].clone()).collect();
    assert_eq!(turns, ["offline", "half_open", "online"]);
    assert_eq!(admin.events("endpoint_identified").len(), 1);
}

#[test]
fn the_latency_stays_while_it_is_offline_and_is_new_when_it_is_back() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let upstream = Upstream::start(Does::Answer { millis: 120, models: QWEN });
    let id = register(&admin, "Slow", &upstream.url(), &json!({"kind": "ollama"}));
    let latency = first_probe(&admin, &id)["latency_ms"].as_u64().unwrap();
    assert!(latency >= 120, "{latency}");
    upstream.does(Does::HangUp);
    for status in ["error", "offline"] {
        let tested = test(&admin, &id);
        assert_eq!((&tested["failure"], &tested["endpoint"]["status"]), (&json!("broken"), &json!(status)), "{tested}");
    }
    let desk = desk.restart();
    let admin = desk.again(&admin);
    let offline = admin.get(&at(&id)).ok();
    assert_eq!((&offline["status"], &offline["latency_ms"]), (&json!("offline"), &json!(latency)));
    upstream.does(Does::Answer { millis: 30, models: QWEN });
    test(&admin, &id);
    let back = test(&admin, &id)["endpoint"].clone();
    assert_eq!(back["status"], "online");
    wait_until("a latency is measured that is not the old one", || {
        let new = test(&admin, &id)["endpoint"]["latency_ms"].as_u64().unwrap();
        assert!(new >= 30, "{new}");
        new < 120
    });
}

#[test]
fn the_interval_is_that_of_the_endpoint_also_when_it_is_changed() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let upstream = Upstream::start(Does::Answer { millis: 0, models: QWEN });
    let id = register(&admin, "Hourly", &upstream.url(), &json!({"kind": "ollama"}));
    let endpoint = first_probe(&admin, &id);
    let body = json!({"name": "Often", "base_url": upstream.url(), "kind": "ollama", "health_interval_seconds": 5});
    let changed_at = Instant::now();
    put(&admin, &id, &endpoint["version"], &body).ok();
    wait_until("it is asked twice more", || upstream.probed().len() >= 3);
    let probed = upstream.probed();
    let after = [probed[1] - changed_at, probed[2] - probed[1]].map(|span| span.as_secs_f64());
    assert!(after.iter().all(|seconds| (4.5..8.0).contains(seconds)), "{after:?}");
}

#[test]
fn upstreams_that_hang_delay_neither_the_start_nor_each_other() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let hung: Vec<Upstream> = (0..3).map(|_| Upstream::start(Does::Hang)).collect();
    let timeouts = json!({"probe_timeout_seconds": 60});
    for (number, upstream) in hung.iter().enumerate() {
        register(&admin, &format!("Hung {number}"), &upstream.url(), &timeouts);
    }
    let good = Upstream::start(Does::Answer { millis: 0, models: QWEN });
    let id = register(&admin, "Well", &good.url(), &json!({"kind": "ollama"}));
    assert_eq!(first_probe(&admin, &id)["status"], "online");
    let mut starts = Vec::new();
    let mut launch = desk.kill9();
    for _ in 0..3 {
        let began = Instant::now();
        let desk = launch.start();
        starts.push(began.elapsed());
        let admin = desk.again(&admin);
        let began = Instant::now();
        assert_eq!(test(&admin, &id)["ok"], true);
        assert!(began.elapsed() < Duration::from_secs(5), "those that hang were waited for");
        launch = desk.kill9();
    }
    let (desk, began) = (launch.start(), Instant::now());
    assert!(desk.stop().success());
    assert!(began.elapsed() < Duration::from_secs(5), "the end waited for those that hang: {:?}", began.elapsed());
    println!("starts: {starts:?}");
    assert!(starts.iter().min().unwrap() < &Duration::from_secs(1), "{starts:?}");
}

#[test]
fn a_secret_goes_to_its_endpoint_only() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let upstream = Upstream::start(Does::Answer { millis: 0, models: QWEN });
    let trial = json!({"base_url": upstream.url(), "secret": "trial-secret-77"});
    let tested = admin.post("/api/endpoints/test", &trial).ok();
    assert_eq!((&tested["ok"], &tested["kind"], &tested["endpoint"]), (&json!(true), &json!("ollama"), &Value::Null));
    assert!(upstream.heads().iter().all(|head| head.contains("authorization: Bearer trial-secret-77")));
    assert_eq!(admin.get("/api/secrets").ok()["sealed"], 0, "it is kept nowhere");
    let id = register(&admin, "One", &upstream.url(), &json!({"kind": "ollama", "secret": SECRET}));
    first_probe(&admin, &id);
    let bearer = format!("authorization: Bearer {SECRET}");
    assert!(upstream.heads().last().unwrap().contains(&bearer));
    let desk = desk.restart();
    let admin = desk.again(&admin);
    test(&admin, &id);
    assert!(upstream.heads().last().unwrap().contains(&bearer), "also after a restart");
    for path in ["", "/health-checks", "/models", "/today-stats"] {
        assert!(!admin.get(&format!("{}{path}", at(&id))).text.contains(SECRET), "{path}");
    }
    assert!(!desk.logged().contains(SECRET) && !desk.logged().contains("trial-secret"));
    let copy = temp.path().join("copy");
    let data = desk.launch.dir.clone();
    let (exit, said) = run(tidehelm().arg("--data").arg(&data).arg("backup").arg(&copy));
    assert_eq!(exit, 0, "{said}");
    assert!(!has_bytes(temp.path(), SECRET.as_bytes()) && !has_bytes(temp.path(), b"trial-secret"));
    let viewer = desk.token(&admin, "eyes", "viewer");
    assert_eq!(viewer.post("/api/endpoints/test", &trial).problem(403), "role_too_low");
    assert_eq!(viewer.post(&format!("{}/test", at(&id)), &Value::Null).problem(403), "role_too_low");
}

#[test]
fn a_certificate_of_an_authority_of_ones_own_is_believed_where_it_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    let file = temp.path().join("ca.pem");
    std::fs::write(&file, own.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    let upstream = Upstream::secured(Does::Answer { millis: 0, models: QWEN }, Arc::new(config));
    let url = format!("https://localhost:{}", upstream.address.port());

    let data = temp.path().join("data");
    let (desk, admin) = Desk::with_admin(&data);
    let id = register(&admin, "One", &url, &json!({"secret": SECRET}));
    let tested = test(&admin, &id);
    assert_eq!((&tested["ok"], &tested["failure"]), (&json!(false), &json!("tls")), "{tested}");
    assert!(upstream.heads().is_empty(), "it was asked all the same");

    let desk = desk.kill9().set("endpoints.ca_file", file.to_str().unwrap()).start();
    let admin = desk.again(&admin);
    let tested = test(&admin, &id);
    assert_eq!((&tested["ok"], &tested["kind"]), (&json!(true), &json!("ollama")), "{tested}");
    assert!(upstream.heads()[0].contains(&format!("authorization: Bearer {SECRET}")));
    let other = test(&admin, &register(&admin, "Two", &url.replace("localhost", "127.0.0.1"), &json!({})));
    assert_eq!(other["failure"], "tls", "the certificate is for another name: {other}");

    std::fs::write(&file, "no certificate").unwrap();
    let launch = desk.kill9();
    let (exit, said) = launch.refused();
    assert!(exit == 1 && said.contains("ca.pem") && said.contains("endpoints.ca_file"), "{exit} {said}");
}

#[test]
fn models_are_taken_in_when_somebody_wants_it() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let upstream = Upstream::start(Does::Answer { millis: 0, models: QWEN });
    let id = register(&admin, "One", &upstream.url(), &json!({}));
    let sync = || admin.post(&format!("{}/sync", at(&id)), &Value::Null);
    assert_eq!(sync().ok()["models"][0]["id"], "qwen3:8b");
    upstream.does(Does::Answer { millis: 0, models: r#"{"models": [{"name": "b"}, {"name": "a"}]}"# });
    assert_eq!(sync().ok()["models"], json!([{"id": "a", "context": null}, {"id": "b", "context": null}]));
    assert_eq!(admin.events("endpoint_models_synced").len(), 2, "what stays the same is no event");
    upstream.does(Does::HangUp);
    assert_eq!(sync().problem(502), "endpoint_failed");
    assert_eq!(admin.get(&at(&id)).ok()["models"], 2, "they stay");
    let web = Upstream::start(Does::Answer { millis: 0, models: "" });
    let web = register(&admin, "Web", &web.url(), &json!({"kind": "http"}));
    assert_eq!(admin.post(&format!("{}/sync", at(&web)), &Value::Null).problem(409), "models_not_listed");
    let gone = "/api/endpoints/00000000-0000-7000-8000-000000000001";
    for act in ["test", "sync", "reset"] {
        assert_eq!(admin.post(&format!("{gone}/{act}"), &Value::Null).problem(404), "endpoint_unknown");
    }
}

#[test]
fn a_reset_forgets_failures_and_an_endpoint_without_requests_has_zeros() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let id = register(&admin, "One", &format!("http://{}", Upstream::nobody_yet()), &json!({}));
    first_probe(&admin, &id);
    assert_eq!(test(&admin, &id)["endpoint"]["status"], "offline");
    let reset = admin.post(&format!("{}/reset", at(&id)), &Value::Null).ok();
    assert_eq!((&reset["status"], &reset["consecutive_failures"]), (&json!("pending"), &json!(0)));
    wait_until("it is asked again", || admin.get(&at(&id)).ok()["consecutive_failures"] == 1);

    let get = |path: &str| admin.get(&format!("{}/{path}", at(&id)));
    let today = get("today-stats").ok();
    assert_eq!((&today["total"], &today["tps"], &today["zone"]), (&json!(0), &Value::Null, &json!("UTC")));
    let days = get("daily-stats?days=7").ok()["days"].clone();
    assert_eq!((days.as_array().unwrap().len(), &days[6]["date"]), (7, &today["date"]));
    assert_eq!(get("model-stats").ok()["models"], json!([]));
    assert_eq!(get("model-tps").ok()["models"], json!([]));
    for bad in ["daily-stats?days=0", "daily-stats?days=401", "model-stats?days=x"] {
        assert_eq!(get(bad).status, 422, "{bad}");
    }
}

#[test]
fn the_proxy_is_told_its_zone_and_aliases() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let first = admin.get("/api/proxy/settings").ok();
    assert_eq!((&first["zone"], &first["aliases"], &first["version"]), (&json!("UTC"), &json!({}), &json!(0)));
    let set = |version: &Value, body: &Value| {
        admin.call("PUT", "/api/proxy/settings").header("if-match", format!("\"{version}\"")).json(body).send()
    };
    let body = json!({"zone": "Asia/Tokyo", "aliases": {"gpt": "qwen3:8b"}});
    let changed = set(&first["version"], &body).ok();
    assert_eq!((&changed["zone"], &changed["aliases"]), (&body["zone"], &body["aliases"]));
    refused(&set(&first["version"], &body), 412, "revision_stale", None);
    refused(&set(&changed["version"], &json!({"zone": "Mars/Base"})), 422, "setting_invalid", Some("zone"));
    let circle = json!({"aliases": {"a": "b", "b": "c"}});
    refused(&set(&changed["version"], &circle), 422, "setting_invalid", Some("aliases"));
    refused(&admin.call("PUT", "/api/proxy/settings").json(&body).send(), 428, "version_required", Some("If-Match"));
}

#[test]
fn endpoints_on_the_command_line() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let token = desk.token(&admin, "cli", "operator").token.unwrap();
    let cli = |args: &[&str]| {
        run(tidehelm().arg("endpoint").args(args).args(["--output", "json", "--url", &desk.base, "--token", &token]))
    };
    let json_of = |args: &[&str]| {
        let (exit, said) = cli(args);
        assert_eq!(exit, 0, "{args:?}: {said}");
        serde_json::from_str::<Value>(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
    };
    let upstream = Upstream::start(Does::Answer { millis: 0, models: QWEN });
    let file = temp.path().join("key.txt");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let file = file.to_str().unwrap();
    let added =
        json_of(&["add", "GPU box", &upstream.url(), "--secret-from", file, "--tags", "a,b", "--kind", "ollama"]);
    assert_eq!((&added["has_secret"], &added["tags"]), (&json!(true), &json!(["a", "b"])));
    assert_eq!(cli(&["add", "GPU box", "http://127.0.0.1:8"]).0, 4);
    assert_eq!(cli(&["add", "Other", "nonsense"]).0, 2);
    let set = json_of(&["set", "gpu BOX", "--weight", "250", "--notes", "n"]);
    assert_eq!((&set["weight"], &set["kind_set"], &set["has_secret"]), (&json!(250), &json!("ollama"), &json!(true)));
    assert_eq!(json_of(&["set", "gpu BOX", "--kind", "auto", "--tags", ""])["tags"], json!([]));
    assert_eq!(cli(&["set", "GPU box", "--weight", "1", "--if-version", "1"]).0, 4);
    assert_eq!(json_of(&["show", set["id"].as_str().unwrap()])["notes"], "n");
    assert_eq!(json_of(&["test", "GPU box"])["ok"], true);
    assert_eq!(json_of(&["sync", "GPU box"])["models"][0]["id"], "qwen3:8b");
    assert_eq!(json_of(&["test", &upstream.url()])["kind"], "ollama");
    assert_eq!(cli(&["test", NOBODY]).0, 1);
    assert_eq!(json_of(&["reset", "GPU box"])["status"], "pending");
    assert_eq!(json_of(&["set", "GPU box", "--no-secret"])["has_secret"], false);
    let (exit, list) = run(tidehelm().args(["endpoint", "list", "--url", &desk.base, "--token", &token]));
    assert!(exit == 0 && list.contains("GPU box") && list.contains(&upstream.url()), "{list}");
    json_of(&["remove", "GPU box"]);
    assert_eq!(cli(&["show", "GPU box"]).0, 3);
}
