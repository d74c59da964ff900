use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use tidehelm_events::endpoint::detect::{Answers, Heard, PATHS, detect, models};

fn ask(upstream: &Upstream, method: &str, path: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(upstream.address()).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_string(), body.to_string())
}

fn chat(stream: bool) -> String {
    format!("{{\"model\":\"llama-3\",\"stream\":{stream},\"messages\":[]}}")
}

#[test]
fn each_kind_is_taken_for_what_it_is() {
    for kind in Kind::ALL {
        let upstream = Upstream::start(Behaviour { kind, ..Behaviour::default() }).unwrap();
        let heard = PATHS.map(|path| ask(&upstream, "GET", path, ""));
        let server = |head: &str| head.lines().find_map(|line| line.strip_prefix("server: ").map(str::to_string));
        let servers = heard.clone().map(|(_, head, _)| server(&head));
        let of = |at: usize| {
            Some(Heard { status: heard[at].0, server: servers[at].as_deref(), body: heard[at].2.as_bytes() })
        };
        let answers = Answers { system: of(0), lm_models: of(1), tags: of(2), models: of(3), root: of(4) };
        assert_eq!(detect(&answers).map(|found| found.kind), Some(kind));
        let listed = kind.models_path().map(|path| ask(&upstream, "GET", path, ""));
        let listed =
            listed.and_then(|(status, _, body)| models(kind, Heard { status, server: None, body: body.as_bytes() }));
        assert_eq!(listed.map(|list| list.len()), kind.models_path().map(|_| 1), "{kind:?}");
    }
}

#[test]
fn a_stream_has_its_tokens_its_usage_and_its_end() {
    let upstream = Upstream::start(Behaviour { tokens: 5, ..Behaviour::default() }).unwrap();
    let (status, _, body) = ask(&upstream, "POST", "/v1/chat/completions", &chat(true));
    assert_eq!(status, 200);
    assert_eq!(body.matches("\"content\":").count(), 5);
    assert!(body.contains("\"completion_tokens\":5") && body.contains("data: [DONE]"), "{body}");
    let silent = Behaviour { usage: Usage::Kept, ..upstream.behaviour() };
    upstream.behave(silent);
    assert!(!ask(&upstream, "POST", "/v1/chat/completions", &chat(true)).2.contains("usage"));
    assert!(!ask(&upstream, "POST", "/v1/chat/completions", &chat(false)).2.contains("usage"));
    assert_eq!(upstream.counters().answered.load(Ordering::Relaxed), 3);
}

#[test]
fn it_fails_as_it_is_told_to() {
    let upstream = Upstream::start(Behaviour::default()).unwrap();
    for (fault, status) in [(Fault::Close, 0), (Fault::Status(503), 503), (Fault::Cut, 200), (Fault::Malformed, 200)] {
        upstream.behave(Behaviour { faults: vec![(fault, 1000)], ..Behaviour::default() });
        let (heard, _, body) = ask(&upstream, "POST", "/v1/chat/completions", &chat(true));
        assert_eq!(heard, status, "{fault:?}");
        assert!(!body.contains("[DONE]"), "{fault:?}");
        assert_eq!(ask(&upstream, "GET", "/v1/models", "").0, 200, "it says that it is well");
    }
    upstream.behave(Behaviour { faults: vec![(Fault::Status(500), 1000)], sick: true, ..Behaviour::default() });
    assert_eq!(ask(&upstream, "GET", "/v1/models", "").0, 500);
}

#[test]
fn it_goes_down_and_comes_back_at_the_same_place() {
    let upstream = Upstream::start(Behaviour::default()).unwrap();
    let mut open = TcpStream::connect(upstream.address()).unwrap();
    assert_eq!(ask(&upstream, "GET", "/v1/models", "").0, 200);
    upstream.go_down();
    assert!(TcpStream::connect(upstream.address()).is_err());
    assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)), "what was open has ended");
    upstream.come_back();
    assert_eq!(ask(&upstream, "GET", "/v1/models", "").0, 200);
}
