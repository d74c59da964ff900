//! The proxy in front of upstreams that answer, fail, hang, lie and die: what clients get, and what is counted.

use crate::client::{Client, Reply, raw};
use crate::desk::{Desk, Launch, follow, tidehelm, wait_for, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tidehelm::load::{Options, Report, run};
use tidehelm::upstream::{Behaviour, Fault, Upstream, Usage};

const CHAT: &str = "/v1/chat/completions";

/// A desk with an admin, and a client with a key of the proxy.
struct Scene {
    desk: Desk,
    admin: Client,
    client: Client,
}

impl Scene {
    fn new(dir: &Path) -> Self {
        Scene::over(Launch::new(dir))
    }

    fn over(launch: Launch) -> Self {
        let desk = launch.start();
        let admin = desk.welcome("ann");
        let client = key(&desk, &admin, &json!({"name": "client"}));
        Scene { desk, admin, client }
    }

    /// Registers one, and waits until requests go there.
    fn endpoint(&self, name: &str, url: &str, more: Value) -> String {
        let mut body = json!({"name": name, "base_url": url, "health_interval_seconds": 3600, "success_threshold": 1});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let id = self.admin.post("/api/endpoints", &body).ok()["id"].as_str().unwrap().to_string();
        wait_until("it is in service with its models", || {
            let endpoint = self.endpoint_now(&id);
            endpoint["status"] == "online" && endpoint["models"].as_u64() > Some(0)
        });
        let model = |list: &Value| list["data"].as_array().is_some_and(|models| !models.is_empty());
        wait_until("the proxy knows of it", || model(&self.client.get("/v1/models").ok()));
        id
    }

    /// What is counted, once nothing more comes.
    fn settled(&self) -> Value {
        let mut before = self.stats();
        wait_for("the counts stand still", || {
            std::thread::sleep(Duration::from_millis(100));
            let now = self.stats();
            let same = now["total"] == before["total"];
            before = now.clone();
            same.then_some(now)
        })
    }

    fn endpoint_now(&self, id: &str) -> Value {
        self.admin.get(&format!("/api/endpoints/{id}")).ok()
    }

    fn stats(&self) -> Value {
        stats(&self.admin)
    }

    /// Waits until so many requests are counted: no more may come.
    #[track_caller]
    fn counted(&self, total: u64) -> Value {
        wait_for(&format!("{total} requests are counted"), || {
            Some(self.stats()).filter(|stats| stats["total"].as_u64() >= Some(total))
        });
        std::thread::sleep(Duration::from_millis(100));
        let stats = self.stats();
        assert_eq!(stats["total"], total, "{stats}");
        stats
    }

    /// The last request, once so many are in the table.
    fn last(&self, total: usize) -> Value {
        let rows = wait_for("the table has followed", || {
            let rows = self.admin.get("/api/dashboard/requests?limit=100").ok()["requests"].as_array().cloned()?;
            (rows.len() >= total).then_some(rows)
        });
        assert_eq!(rows.len(), total, "{rows:?}");
        rows.into_iter().max_by_key(|row| row["position"].as_i64()).unwrap()
    }
}

fn stats(admin: &Client) -> Value {
    admin.get("/api/dashboard/stats").ok()["stats"].clone()
}

fn key(desk: &Desk, admin: &Client, wish: &Value) -> Client {
    let made = admin.post("/api/proxy/keys", wish).ok();
    desk.client().with_token(made["key"].as_str().unwrap())
}

fn ask(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "how is the tide?"}]})
}

/// An error as clients of OpenAI understand it: its code.
#[track_caller]
fn error(reply: &Reply, status: u16) -> String {
    assert_eq!((reply.status, reply.header("content-type")), (status, Some("application/json")), "{}", reply.text);
    let error = reply.json()["error"].clone();
    assert!(!error["message"].as_str().unwrap().is_empty() && error["type"].is_string(), "{error}");
    error["code"].as_str().unwrap().to_string()
}

fn failing(fault: Fault) -> Behaviour {
    Behaviour { faults: vec![(fault, 1000)], ..Behaviour::default() }
}

fn slow(millis: u64) -> Behaviour {
    Behaviour { latency: (Duration::from_millis(millis), Duration::from_millis(millis)), ..Behaviour::default() }
}

fn load(client: &Client) -> Options {
    Options {
        url: client.base.clone(),
        key: client.token.clone(),
        model: "llama-3".into(),
        concurrency: 8,
        threads: 1,
        run_for: Duration::from_secs(60),
        requests_max: u64::MAX,
        streaming: 30,
        prompt_bytes: 100,
        answer_within: Duration::from_secs(20),
        rest_after_error: Duration::ZERO,
    }
}

/// Load in the background, until it is told to stop.
struct Running {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Report>,
}

impl Running {
    fn start(options: Options) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        Running { stop, thread: std::thread::spawn(move || run(&options, stopped).unwrap()) }
    }

    fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// An upstream in a process of its own.
struct Process(Child, String);

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut command = tidehelm();
        command.arg("upstream").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let said = follow(child.stdout.take().unwrap());
        let url = wait_for("the upstream says where it is", || {
            said.lock().unwrap().lines().next()?.split_whitespace().last().map(str::to_string)
        });
        Process(child, url)
    }

    fn kill9(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn answers_pass_through_byte_for_byte_and_are_counted_once() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let behaviour = Behaviour { tokens: 7, pace: Duration::from_millis(2), ..Behaviour::default() };
    // Two of the same: what one answers directly the other one answers through the proxy.
    let (one, other) = (Upstream::start(behaviour.clone()).unwrap(), Upstream::start(behaviour).unwrap());
    let id = scene.endpoint("one", &format!("{}/v1", one.url()), json!({}));
    let direct = Client::new(&other.url());
    let before = scene.settled()["total"].as_u64().unwrap();
    for (path, body) in [
        (CHAT, ask("llama-3", false)),
        (CHAT, ask("llama-3", true)),
        ("/v1/completions", json!({"model": "llama-3", "prompt": "ebb", "stream": true})),
        ("/v1/completions", json!({"model": "llama-3", "prompt": "ebb"})),
        ("/v1/embeddings", json!({"model": "llama-3", "input": ["ebb", "flow"]})),
        ("/v1/responses", json!({"model": "llama-3", "input": "ebb", "stream": true})),
        ("/v1/responses", json!({"model": "llama-3", "input": "ebb"})),
    ] {
        let (through, direct) = (scene.client.post(path, &body), direct.post(path, &body));
        assert_eq!((through.status, &through.text), (200, &direct.text), "{path} {body}");
        assert_eq!(through.header("content-type"), direct.header("content-type"));
    }
    let stats = scene.counted(before + 7);
    assert_eq!((&stats["success"], &stats["failed"]), (&json!(before + 7), &json!(0)));
    assert_eq!((&stats["input_tokens"], &stats["output_tokens"]), (&json!(7 * 12), &json!(6 * 7)));
    let endpoint = scene.endpoint_now(&id);
    assert_eq!((&endpoint["total"], &endpoint["success"]), (&json!(7), &json!(7)));
    assert_eq!(one.counters().answered.load(Ordering::Relaxed), 7);
    scene.desk.stop();
}

#[test]
fn what_cannot_be_served_is_refused_in_the_form_of_openai_and_counted() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let upstream = Upstream::start(Behaviour::default()).unwrap();
    let id = scene.endpoint("only", &upstream.url(), json!({}));
    let before = scene.settled()["total"].as_u64().unwrap();
    let post = |body: &str| scene.client.call("POST", CHAT).text(body).send();
    assert_eq!(error(&post(r#"{"model":"none","messages":[]}"#), 404), "model_not_found");
    assert_eq!(error(&post("{}"), 400), "model_missing");
    assert_eq!(error(&post("{\"model\":"), 400), "invalid_body");
    assert_eq!(error(&scene.client.get(CHAT), 405), "method_not_allowed");
    assert_eq!(error(&scene.client.get("/v1/files"), 404), "unknown_path");
    assert_eq!(error(&scene.desk.client().get("/v1/models"), 401), "key_missing");
    assert_eq!(error(&scene.desk.client().with_token("thk_nonsense").get("/v1/models"), 401), "invalid_api_key");
    let token = scene.desk.token(&scene.admin, "viewer", "viewer");
    assert_eq!(error(&token.get("/v1/models"), 401), "invalid_api_key", "a token of the desk is no key of the proxy");
    assert_eq!(scene.client.get("/api/status").problem(401), "login_needed", "nor the other way round");
    let metrics = scene.desk.client().get("/metrics").text;
    assert!(
        metrics.contains("tidehelm_strangers_refused_total 4"),
        "three of them and the last are strangers: {metrics}"
    );
    let stats = scene.counted(before + 5);
    assert_eq!((&stats["outcomes"]["refused"], &stats["without_endpoint"]), (&json!(5), &json!(before + 5)));

    // The client's own fault: the upstream's words.
    let long = json!({"model": "llama-3", "messages": [], "stream": "maybe"}).to_string();
    let reply = post(&long);
    assert_eq!(error(&reply, 400), "invalid_json");
    let stats = scene.counted(before + 6);
    assert_eq!(stats["outcomes"]["upstream_error"], 1);
    assert_eq!(scene.endpoint_now(&id)["status"], "online", "which says nothing of the upstream");

    upstream.go_down();
    assert_eq!(error(&post(&ask("llama-3", false).to_string()), 502), "upstream_error");
    scene.counted(before + 7);
    assert_eq!(scene.endpoint_now(&id)["status"], "error", "one failure is one failure");
    assert_eq!(error(&post(&ask("llama-3", false).to_string()), 502), "upstream_error");
    scene.counted(before + 8);
    assert_eq!(scene.endpoint_now(&id)["status"], "offline", "two in a row are its threshold");
    let reply = wait_for("the proxy knows", || {
        Some(post(&ask("llama-3", false).to_string())).filter(|reply| reply.status != 502)
    });
    assert_eq!((error(&reply, 503).as_str(), reply.header("retry-after")), ("no_endpoint", Some("5")));
    assert_eq!(scene.client.get("/v1/models").ok()["data"], json!([]));
    scene.desk.stop();
}

#[test]
fn a_body_has_20_mib_and_not_one_byte_more() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let upstream = Upstream::start(Behaviour::default()).unwrap();
    scene.endpoint("only", &upstream.url(), json!({}));
    let body = |length: usize| {
        let frame = r#"{"messages":[{"content":""}],"model":"llama-3"}"#;
        let filled = "x".repeat(length - frame.len());
        format!(r#"{{"messages":[{{"content":"{filled}"}}],"model":"llama-3"}}"#)
    };
    let post = |length| scene.client.call("POST", CHAT).text(body(length)).send();
    assert_eq!(post(20 << 20).status, 200);
    assert_eq!(error(&post((20 << 20) + 1), 413), "body_too_large");
    // Without a length it is noticed on the way.
    let token = scene.client.token.clone().unwrap();
    let mut stream = TcpStream::connect(scene.client.base.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .unwrap();
    let piece = [b"100000\r\n", &[b'x'; 1 << 20][..], b"\r\n"].concat();
    let mut answer = String::new();
    for _ in 0..21 {
        if stream.write_all(&piece).is_err() {
            break;
        }
    }
    let _ = BufReader::new(stream).read_line(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:?}");
    assert_eq!(post(1000).status, 200);
    scene.desk.stop();
}

#[test]
fn a_client_that_goes_away_is_gone_and_the_upstream_hears_of_it() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let upstream = Upstream::start(slow(10_000)).unwrap();
    let id = scene.endpoint("only", &upstream.url(), json!({}));
    let before = scene.settled()["total"].as_u64().unwrap();
    let token = scene.client.token.clone().unwrap();
    let open = |stream: bool| {
        let body = ask("llama-3", stream).to_string();
        let mut socket = TcpStream::connect(scene.client.base.trim_start_matches("http://")).unwrap();
        let length = body.len();
        write!(
            socket,
            "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        socket
    };
    let asked = |count| {
        wait_until("the upstream has it", || upstream.counters().requests.load(Ordering::Relaxed) == count);
    };
    let waiting = open(false);
    asked(1);
    drop(waiting);
    wait_until("the upstream hears of it", || upstream.counters().left.load(Ordering::Relaxed) == 1);
    let stats = scene.counted(before + 1);
    assert_eq!(stats["outcomes"]["client_gone"], 1);

    upstream.behave(Behaviour { tokens: 10_000, pace: Duration::from_millis(5), ..Behaviour::default() });
    let mut listening = open(true);
    asked(2);
    listening.read_exact(&mut [0; 2000]).unwrap();
    drop(listening);
    wait_until("the upstream hears of it", || upstream.counters().left.load(Ordering::Relaxed) == 2);
    let stats = scene.counted(before + 2);
    assert_eq!((&stats["outcomes"]["client_gone"], &stats["success"]), (&json!(2), &json!(before)));
    let row = scene.last(before as usize + 2);
    assert_eq!((&row["outcome"], &row["endpoint"]), (&json!("client_gone"), &json!(id)));
    assert!(row["output_tokens"].as_u64() > Some(0), "what it had by then is counted: {row}");
    wait_until("nothing is in flight", || {
        scene.admin.get("/api/dashboard/overview").ok()["endpoints"][0]["in_flight"] == 0
    });
    assert_eq!(scene.endpoint_now(&id)["status"], "online");
    scene.desk.stop();
}

#[test]
fn what_breaks_is_counted_once_as_what_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let upstream = Upstream::start(Behaviour::default()).unwrap();
    let more = json!({"inference_timeout_seconds": 1, "failure_threshold": 100});
    scene.endpoint("only", &upstream.url(), more);
    let mut total = scene.settled()["total"].as_u64().unwrap();
    // fault, stream, what the client sees (a status, or 0 where the answer breaks off), outcome
    for (fault, stream, status, outcome) in [
        (Fault::Close, false, 502, "upstream_error"),
        (Fault::Garbage, false, 502, "upstream_error"),
        (Fault::Status(500), false, 502, "upstream_error"),
        (Fault::Status(503), true, 502, "upstream_error"),
        (Fault::Status(401), false, 502, "upstream_error"),
        (Fault::Status(422), false, 422, "upstream_error"),
        (Fault::Hang, false, 504, "timeout"),
        (Fault::Hang, true, 504, "timeout"),
        (Fault::Slow, false, 504, "timeout"),
        (Fault::Cut, false, 502, "upstream_error"),
        (Fault::Cut, true, 0, "upstream_error"),
        (Fault::HalfClose, false, 502, "upstream_error"),
        (Fault::HalfClose, true, 0, "upstream_error"),
        (Fault::Malformed, false, 502, "upstream_error"),
        (Fault::Malformed, true, 200, "upstream_error"),
    ] {
        upstream.behave(failing(fault));
        let before = scene.stats()["outcomes"][outcome].as_u64().unwrap();
        let reply = scene.client.call("POST", CHAT).json(&ask("llama-3", stream)).try_send();
        match (status, reply) {
            (0, Err(_)) => {}
            (0, Ok(reply)) => panic!("{fault:?}: it ended as if it were whole: {}", reply.text),
            (200, Ok(reply)) => assert!(reply.status == 200 && !reply.text.contains("[DONE]"), "{fault:?}"),
            (status, Ok(reply)) => {
                error(&reply, status);
            }
            (_, Err(why)) => panic!("{fault:?} {stream}: {why}"),
        }
        total += 1;
        let stats = scene.counted(total);
        assert_eq!(stats["outcomes"][outcome], before + 1, "{fault:?} {stream}: {stats}");
    }
    // Tokens that nobody believes count as unknown.
    upstream.behave(Behaviour { usage: Usage::Lied, ..Behaviour::default() });
    let tokens = scene.stats()["output_tokens"].clone();
    assert_eq!(scene.client.post(CHAT, &ask("llama-3", true)).status, 200);
    assert_eq!(scene.counted(total + 1)["output_tokens"], tokens);
    // Those that are not told are counted by the pieces.
    upstream.behave(Behaviour { usage: Usage::Kept, tokens: 9, ..Behaviour::default() });
    assert_eq!(scene.client.post(CHAT, &ask("llama-3", true)).status, 200);
    assert_eq!(scene.counted(total + 2)["output_tokens"], tokens.as_u64().unwrap() + 9);
    scene.desk.stop();
}

#[test]
fn what_fails_before_the_first_byte_is_made_good_elsewhere() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let (bad, good) = (Upstream::start(Behaviour::default()).unwrap(), Upstream::start(Behaviour::default()).unwrap());
    // It is preferred, as long as it is in service.
    let bad_id = scene.endpoint("bad", &bad.url(), json!({"weight": 10_000, "failure_threshold": 100}));
    let good_id = scene.endpoint("good", &good.url(), json!({"weight": 1}));
    let mut total = scene.settled()["total"].as_u64().unwrap();
    for fault in [
        Fault::Close,
        Fault::Garbage,
        Fault::Status(500),
        Fault::Status(429),
        Fault::Cut,
        Fault::HalfClose,
        Fault::Malformed,
    ] {
        bad.behave(failing(fault));
        for _ in 0..6 {
            assert_eq!(scene.client.post(CHAT, &ask("llama-3", false)).status, 200, "{fault:?}");
            total += 1;
        }
        let stats = scene.counted(total);
        assert_eq!(stats["failed"], 0, "{fault:?}: {stats}");
    }
    assert!(bad.counters().requests.load(Ordering::Relaxed) > 0, "it was tried");
    assert_eq!(scene.endpoint_now(&bad_id)["total"], 0, "each request is told once, where it ended");
    assert_eq!(scene.endpoint_now(&good_id)["total"], 42);
    let noted = scene.admin.events("endpoint_probed");
    let busy = noted.iter().filter(|event| event["payload"].to_string().contains("busy")).count();
    assert_eq!(busy, 0, "who is busy did not fail");
    let error = scene.endpoint_now(&bad_id)["last_error"].clone();
    assert!(
        error["detail"].as_str().unwrap_or_default().starts_with("a request"),
        "the desk heard of the tries: {error}"
    );
    scene.desk.stop();
}

/// An upstream that answers POST as it is told; lists of models as usual.
fn scripted(post: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let post = Arc::new(post);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, post) = (stream.unwrap(), post.clone());
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let (mut head, mut length) = (String::new(), 0);
                    while lines.read_line(&mut head).is_ok_and(|read| read > 2) {
                        let last = head.lines().last().unwrap_or_default().to_lowercase();
                        if let Some(told) = last.strip_prefix("content-length:") {
                            length = told.trim().parse().unwrap();
                        }
                    }
                    if head.is_empty() || lines.read_exact(&mut vec![0; length]).is_err() {
                        return;
                    }
                    match head.starts_with("POST") {
                        true => post(&mut stream),
                        false => answer(&mut stream, r#"{"object":"list","data":[{"id":"llama-3"}]}"#),
                    }
                }
            });
        }
    });
    url
}

fn answer(stream: &mut TcpStream, body: &str) {
    let length = body.len();
    let _ =
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[test]
fn a_stream_whose_end_mark_came_is_whole_though_the_upstream_never_ends_it() {
    for durable in ["false", "true"] {
        let temp = tempfile::tempdir().unwrap();
        let scene = Scene::over(Launch::new(temp.path()).set("proxy.durable_answers", durable));
        let url = scripted(|stream| {
            let word = chunk("data: {\"choices\":[{\"delta\":{\"content\":\"ebb\"}}]}\n\n");
            let _ = write!(stream, "{EVENTS}{word}{}", chunk("data: [DONE]\n\n"));
        });
        scene.endpoint("only", &url, json!({"kind": "openai_compatible"}));
        let before = scene.settled();
        let (total, success) = (before["total"].as_u64().unwrap(), before["success"].as_u64().unwrap());
        let began = Instant::now();
        let reply = scene.client.post(CHAT, &ask("llama-3", true));
        assert!(reply.status == 200 && reply.text.ends_with("data: [DONE]\n\n"), "{}", reply.text);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(scene.counted(total + 1)["success"], success + 1, "{durable}");
        // A client that needs no more leaves.
        let (token, body) = (scene.client.token.clone().unwrap(), ask("llama-3", true).to_string());
        let mut socket = TcpStream::connect(scene.client.base.trim_start_matches("http://")).unwrap();
        let length = body.len();
        write!(socket, "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut lines = BufReader::new(socket.try_clone().unwrap());
        let mut heard = String::new();
        while !heard.contains("[DONE]") {
            assert!(lines.read_line(&mut heard).unwrap() > 0, "{heard}");
        }
        drop((lines, socket));
        let stats = scene.counted(total + 2);
        assert_eq!((&stats["success"], &stats["outcomes"]["client_gone"]), (&json!(success + 2), &json!(0)));
        scene.desk.stop();
    }
}

#[test]
fn a_stream_that_never_pauses_ends_at_its_time_too() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let url = scripted(|stream| {
        let word = chunk(&"data: {\"choices\":[{\"delta\":{\"content\":\"ebb\"}}]}\n\n".repeat(50));
        let _ = write!(stream, "{EVENTS}");
        while stream.write_all(word.as_bytes()).is_ok() {}
    });
    scene.endpoint("only", &url, json!({"kind": "openai_compatible", "inference_timeout_seconds": 1}));
    let total = scene.settled()["total"].as_u64().unwrap();
    let (token, body) = (scene.client.token.clone().unwrap(), ask("llama-3", true).to_string());
    let mut socket = TcpStream::connect(scene.client.base.trim_start_matches("http://")).unwrap();
    let length = body.len();
    write!(socket, "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    let (began, mut room) = (Instant::now(), vec![0; 1 << 16]);
    while socket.read(&mut room).is_ok_and(|read| read > 0) {
        assert!(began.elapsed() < Duration::from_secs(25), "a stream may take ten times a second");
    }
    assert_eq!(scene.counted(total + 1)["outcomes"]["timeout"], 1);
    scene.desk.stop();
}

#[test]
fn a_request_that_breaks_late_on_an_old_connection_is_not_asked_again_there() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let asked = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let url = scripted({
        let asked = asked.clone();
        move |stream| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => answer(stream, "{}"),
            _ => {
                std::thread::sleep(Duration::from_millis(1_500));
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
    });
    scene.endpoint("only", &url, json!({"kind": "openai_compatible"}));
    // The same connection, and so the same thread of the desk.
    let body = ask("llama-3", false).to_string();
    let (token, length) = (scene.client.token.clone().unwrap(), body.len());
    let mut socket = TcpStream::connect(scene.client.base.trim_start_matches("http://")).unwrap();
    let mut lines = BufReader::new(socket.try_clone().unwrap());
    for status in ["200", "502"] {
        write!(socket, "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut head = String::new();
        while lines.read_line(&mut head).unwrap() > 2 {}
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        let told =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_string));
        lines.read_exact(&mut vec![0; told.unwrap().trim().parse().unwrap()]).unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2, "the upstream may have begun to work");
    scene.desk.stop();
}

#[test]
fn an_upstream_that_dies_under_load_costs_no_client_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let mut dying = Process::start(&["--latency-ms", "2-6", "--tokens", "4"]);
    let staying = Process::start(&["--latency-ms", "2-6", "--tokens", "4"]);
    let id = scene.endpoint("dying", &dying.1, json!({}));
    scene.endpoint("staying", &staying.1, json!({}));
    let before = scene.settled()["total"].as_u64().unwrap();
    // Streams that have begun cannot be made good: these are asked for whole answers.
    let running = Running::start(Options { streaming: 0, ..load(&scene.client) });
    wait_until("both are at work", || scene.endpoint_now(&id)["total"].as_u64() > Some(20));
    dying.kill9();
    wait_until("it is offline", || scene.endpoint_now(&id)["status"] == "offline");
    let then = scene.stats()["total"].as_u64().unwrap();
    wait_until("it goes on", || scene.stats()["total"].as_u64() > Some(then + 200));
    let report = running.stop();
    assert_eq!((report.success, report.errors.len()), (report.sent, 0), "{report:?}");
    let stats = scene.counted(before + report.sent);
    assert_eq!(stats["failed"], 0, "{stats}");

    // A new one gets its share.
    let new = Upstream::start(Behaviour { tokens: 4, ..slow(3) }).unwrap();
    let running = Running::start(load(&scene.client));
    scene.endpoint("new", &new.url(), json!({}));
    wait_until("it is at work", || new.counters().answered.load(Ordering::Relaxed) > 100);
    let (then, all) = (new.counters().answered.load(Ordering::Relaxed), scene.stats()["total"].as_u64().unwrap());
    wait_until("a while has passed", || scene.stats()["total"].as_u64() > Some(all + 400));
    let share = new.counters().answered.load(Ordering::Relaxed) - then;
    assert!(share > 100, "{share} of 400");
    let report = running.stop();
    assert_eq!((report.success, report.errors.len()), (report.sent, 0), "{report:?}");
    scene.desk.stop();
}

#[test]
fn kill_9_under_load_takes_back_nothing_that_was_shown_and_counts_nothing_twice() {
    let temp = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(temp.path());
    let upstream = Upstream::start(Behaviour { tokens: 4, ..Behaviour::default() }).unwrap();
    scene.endpoint("only", &upstream.url(), json!({}));
    scene.admin = scene.desk.token(&scene.admin, "reader", "admin");
    let mut sent = scene.settled()["total"].as_u64().unwrap();
    let mut kills = 0;
    for round in 0..3 {
        let start = scene.stats()["total"].as_u64().unwrap();
        let running = Running::start(load(&scene.client));
        wait_until("it is under load", || scene.stats()["total"].as_u64() > Some(start + 150 + 77 * round));
        let shown = scene.stats();
        let launch = scene.desk.kill9();
        kills += 1;
        let report = running.stop();
        sent += report.sent;
        assert!(report.success > 100, "{report:?}");
        let desk = launch.start();
        (scene.admin, scene.client) = (desk.again(&scene.admin), desk.again(&scene.client));
        scene.desk = desk;
        let restored = scene.stats();
        for value in ["total", "success", "output_tokens"] {
            assert!(restored[value].as_u64() >= shown[value].as_u64(), "{value}: {restored} after {shown}");
        }
        assert!(restored["total"].as_u64() <= Some(sent), "{restored}: {sent} were sent");
        wait_until("it serves", || {
            sent += 1;
            scene.client.post(CHAT, &ask("llama-3", false)).status == 200
        });
    }
    assert_eq!(kills, 3);
    scene.desk.stop();
}

#[test]
fn durable_answers_are_in_the_log_whatever_happens() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::over(Launch::new(temp.path()).set("proxy.durable_answers", "true"));
    let upstream = Upstream::start(Behaviour { tokens: 4, ..Behaviour::default() }).unwrap();
    scene.endpoint("only", &upstream.url(), json!({}));
    let admin = scene.desk.token(&scene.admin, "reader", "admin");
    let before = scene.settled();
    let running = Running::start(load(&scene.client));
    let least = before["total"].as_u64().unwrap() + 160;
    wait_until("it is under load", || scene.stats()["total"].as_u64() > Some(least));
    let launch = scene.desk.kill9();
    let report = running.stop();
    let desk = launch.start();
    let after = stats(&desk.again(&admin));
    let (counted, heard) = (
        after["success"].as_u64().unwrap() - before["success"].as_u64().unwrap(),
        after["total"].as_u64().unwrap() - before["total"].as_u64().unwrap(),
    );
    assert!(report.success > 100, "{report:?}");
    assert!(counted >= report.success && heard <= report.sent, "{counted} of {heard}: {report:?}");
    desk.stop();
}

#[test]
fn sigterm_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let upstream = Upstream::start(Behaviour { tokens: 4, ..slow(1) }).unwrap();
    scene.endpoint("only", &upstream.url(), json!({}));
    let admin = scene.desk.token(&scene.admin, "reader", "admin");
    let before = scene.settled();
    let running = Running::start(load(&scene.client));
    let least = before["total"].as_u64().unwrap() + 300;
    wait_until("it is under load", || scene.stats()["total"].as_u64() > Some(least));
    let launch = scene.desk.launch.clone();
    scene.desk.stop();
    let report = running.stop();
    let desk = launch.start();
    let after = stats(&desk.again(&admin));
    let grown = |value: &str| after[value].as_u64().unwrap() - before[value].as_u64().unwrap();
    assert!(report.success > 300, "{report:?}");
    assert!(grown("success") == report.success && grown("total") <= report.sent, "{after}: {report:?}");
    desk.stop();
}

#[test]
fn a_stream_that_sigterm_ends_is_counted_and_is_not_the_clients_doing() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let upstream =
        Upstream::start(Behaviour { tokens: 100_000, pace: Duration::from_millis(20), ..Behaviour::default() });
    let upstream = upstream.unwrap();
    scene.endpoint("only", &upstream.url(), json!({}));
    let admin = scene.desk.token(&scene.admin, "reader", "admin");
    let before = scene.settled();
    let client = scene.client.clone();
    let listening =
        std::thread::spawn(move || client.call("POST", CHAT).json(&ask("llama-3", true)).try_send().is_err());
    wait_until("the upstream has it", || upstream.counters().requests.load(Ordering::Relaxed) == 1);
    std::thread::sleep(Duration::from_millis(100));
    let launch = scene.desk.launch.clone();
    scene.desk.stop();
    assert!(listening.join().unwrap(), "it was cut");
    let desk = launch.start();
    let after = stats(&desk.again(&admin));
    assert_eq!(after["total"].as_u64(), before["total"].as_u64().map(|total| total + 1), "{after}");
    assert_eq!(after["outcomes"]["client_gone"], 0, "{after}");
    desk.stop();
}

#[test]
fn keys_open_what_they_say_and_no_more_than_so_much() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let models = vec!["llama-3".to_string(), "qwen3-8b".into()];
    let upstream = Upstream::start(Behaviour { models, tokens: 10, ..Behaviour::default() }).unwrap();
    scene.endpoint("only", &upstream.url(), json!({}));
    let settings = scene.admin.get("/api/proxy/settings").ok();
    let version = settings["version"].to_string();
    let wish = json!({"zone": "UTC", "aliases": {"fast": "llama-3"}});
    let changed =
        scene.admin.call("PUT", "/api/proxy/settings").header("if-match", format!("\"{version}\"")).json(&wish).send();
    changed.ok();
    wait_until("the alias is known", || scene.client.post(CHAT, &ask("fast", false)).status == 200);

    let scoped = key(
        &scene.desk,
        &scene.admin,
        &json!({"name": "scoped", "models": ["fast"], "apis": ["chat_completions", "models"]}),
    );
    assert_eq!(scoped.get("/v1/models").ok()["data"].as_array().unwrap().len(), 1);
    assert_eq!(scoped.post(CHAT, &ask("fast", false)).status, 200);
    assert_eq!(error(&scoped.post(CHAT, &ask("qwen3-8b", false)), 403), "model_not_allowed");
    assert_eq!(error(&scoped.post("/v1/completions", &json!({"model": "fast"})), 403), "api_not_allowed");

    let spare = key(&scene.desk, &scene.admin, &json!({"name": "spare", "tokens_per_day": 20}));
    assert_eq!(spare.post(CHAT, &ask("fast", false)).status, 200);
    let reply = spare.post(CHAT, &ask("fast", false));
    assert_eq!(error(&reply, 429), "key_tokens");
    assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);

    let (one, rest) = (key(&scene.desk, &scene.admin, &json!({"name": "one", "requests_per_minute": 3})), 12);
    let codes: Vec<u16> = (0..rest).map(|_| one.get("/v1/models").status).collect();
    assert!(codes.contains(&429) && codes.iter().filter(|code| **code == 200).count() <= 6, "{codes:?}");

    upstream.behave(Behaviour { models: upstream.behaviour().models, ..slow(1_000) });
    let narrow = key(&scene.desk, &scene.admin, &json!({"name": "narrow", "in_flight_max": 1}));
    let asked = upstream.counters().requests.load(Ordering::Relaxed);
    let waiting = std::thread::spawn({
        let narrow = narrow.clone();
        move || narrow.post(CHAT, &ask("fast", false)).status
    });
    wait_until("it is under way", || upstream.counters().requests.load(Ordering::Relaxed) > asked);
    assert_eq!(error(&narrow.post(CHAT, &ask("fast", false)), 429), "key_in_flight");
    assert_eq!(waiting.join().unwrap(), 200);
    assert_eq!(narrow.get("/v1/models").status, 200);

    // Neither list shows the other's, no list shows a secret, and what is revoked opens nothing.
    let listed = scene.admin.get("/api/proxy/keys");
    let keys = listed.ok()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 5);
    assert!(!listed.text.contains("thk_") && !scene.admin.get("/api/tokens").text.contains("scoped"));
    let id = keys.iter().find(|key| key["name"] == "scoped").unwrap()["id"].as_str().unwrap().to_string();
    scene.admin.call("DELETE", &format!("/api/proxy/keys/{id}")).send().ok();
    assert_eq!(error(&scoped.get("/v1/models"), 401), "invalid_api_key");
    let issued = scene.admin.events("api_key_issued");
    assert!(issued.iter().any(|event| event["payload"]["scope"]["models"] == json!(["fast"])), "{issued:?}");
    let viewer = scene.desk.token(&scene.admin, "viewer", "viewer");
    assert_eq!(viewer.get("/api/proxy/keys").problem(403), "role_too_low");

    // After a restart they are the same.
    let again = scene.desk.restart();
    assert_eq!(again.again(&scoped).get("/v1/models").status, 401);
    assert_eq!(error(&again.again(&spare).post("/v1/embeddings", &json!({})), 400), "model_missing");
    again.stop();
}

#[test]
fn the_upstream_gets_the_endpoints_secret_and_never_the_clients() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::over(Launch::new(temp.path()).set("proxy.trusted_proxies", "127.0.0.0/8"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let upstream = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut text = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while lines.read_line(&mut text).unwrap() > 2 {}
            let list = r#"{"object":"list","data":[{"id":"llama-3"}]}"#;
            let body = if text.starts_with("POST") { "{}" } else { list };
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\nset-cookie: a=b\r\nx-kept: yes\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
            // What is left of the body is read, so that the answer arrives.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = lines.read_to_end(&mut Vec::new());
            heads.push(text.clone());
            if text.starts_with("POST") {
                return heads;
            }
        }
        heads
    });
    scene.endpoint("only", &url, json!({"secret": "sk-of-the-endpoint", "kind": "openai_compatible"}));
    let before = scene.settled()["total"].as_u64().unwrap() as usize;
    let reply = scene
        .client
        .call("POST", "/v1/chat/completions?x=1")
        .header("x-forwarded-for", "198.51.100.7, 203.0.113.9")
        .header("cookie", "tidehelm_session=stolen")
        .header("openai-project", "p1")
        .header("connection", "keep-alive, x-mine")
        .header("x-mine", "1")
        .json(&ask("llama-3", false))
        .send();
    assert_eq!((reply.status, reply.header("x-kept"), reply.header("set-cookie")), (200, Some("yes"), None));
    let heads = upstream.join().unwrap();
    let head = heads.last().unwrap().to_lowercase();
    assert!(head.starts_with("post /v1/chat/completions?x=1 http/1.1"), "{head}");
    assert!(head.contains("authorization: bearer sk-of-the-endpoint") && head.contains("openai-project: p1"), "{head}");
    for kept in ["thk_", "cookie", "x-forwarded-for", "x-mine", "keep-alive"] {
        assert!(!head.contains(kept), "{kept}: {head}");
    }
    let row = scene.last(before + 1);
    assert_eq!(row["client"], "203.0.113.9");
    scene.desk.stop();
}

#[test]
fn who_finds_no_room_waits_and_then_hears_of_it() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::over(Launch::new(temp.path()).set("proxy.queue_max", "2").set("proxy.queue_wait", "2s"));
    let upstream = Upstream::start(slow(200)).unwrap();
    scene.endpoint("only", &upstream.url(), json!({"in_flight_max": 1}));
    let at_once = |count: usize| {
        let asking = (0..count).map(|_| {
            let client = scene.client.clone();
            std::thread::spawn(move || client.post(CHAT, &ask("llama-3", false)))
        });
        asking.collect::<Vec<_>>().into_iter().map(|asking| asking.join().unwrap()).collect::<Vec<Reply>>()
    };
    assert!(at_once(3).iter().all(|reply| reply.status == 200), "one is served, two wait");
    let replies = at_once(6);
    let full: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert_eq!((full.len(), replies.iter().filter(|reply| reply.status == 200).count()), (3, 3));
    assert!(full.iter().all(|reply| error(reply, 429) == "queue_full" && reply.header("retry-after") == Some("1")));
    upstream.behave(slow(4_000));
    let replies = at_once(2);
    let late = replies.iter().find(|reply| reply.status == 429).expect("one waited too long");
    assert_eq!(error(late, 429), "queue_timeout");
    scene.desk.stop();
}

#[test]
fn strangers_who_send_slowly_or_too_much_do_no_harm() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let upstream = Upstream::start(Behaviour::default()).unwrap();
    scene.endpoint("only", &upstream.url(), json!({}));
    let before = scene.settled()["total"].as_u64().unwrap();
    let address = scene.client.base.trim_start_matches("http://").to_string();
    // Heads that never end, a letter at a time, from many.
    let mut lorises: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let began = Instant::now();
    for loris in &mut lorises {
        loris.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-slow: ").unwrap();
    }
    assert_eq!(scene.client.post(CHAT, &ask("llama-3", false)).status, 200, "others are served meanwhile");
    for mut loris in lorises {
        loris.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = Vec::new();
        let _ = loris.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    assert!(began.elapsed() < Duration::from_secs(15), "they were given up");
    // More headers, and longer ones, than anybody needs.
    for flood in ["x-a: b\r\n".repeat(2_000), format!("x-long: {}\r\n", "a".repeat(300_000))] {
        let mut stream = TcpStream::connect(&address).unwrap();
        let _ = stream.write_all(format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\n{flood}\r\n").as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let nonsense = raw(
        &scene.client.base,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\nconnection: close\r\n\r\nhello!",
    );
    assert!(nonsense.starts_with("HTTP/1.1 400"), "{nonsense}");
    assert_eq!(scene.client.post(CHAT, &ask("llama-3", true)).status, 200);
    let stats = scene.counted(before + 2);
    assert_eq!(stats["failed"], 0, "what was no request is not counted: {stats}");
    scene.desk.stop();
}

#[test]
fn a_load_compares_its_counts_with_the_desks() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::new(temp.path());
    let upstream =
        Upstream::start(Behaviour { tokens: 3, faults: vec![(Fault::Status(500), 50)], ..Behaviour::default() });
    let upstream = upstream.unwrap();
    scene.endpoint("only", &upstream.url(), json!({"failure_threshold": 100}));
    let admin = scene.desk.token(&scene.admin, "reader", "viewer");
    scene.settled();
    let mut command = tidehelm();
    command.args(["load", "--url", &scene.client.base, "--requests", "500", "--seconds", "20", "--streaming", "40"]);
    command.args(["--output", "json", "--key", &scene.client.token.clone().unwrap(), "--token", &admin.token.unwrap()]);
    let (code, said) = crate::desk::run(&mut command);
    assert_eq!(code, 0, "{said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&report["load"]["sent"], &report["desk"]["equal"]), (&json!(500), &json!(true)), "{said}");
    assert!(report["load"]["errors"]["http_502"].as_u64() > Some(0), "{said}");
    scene.desk.stop();
}
