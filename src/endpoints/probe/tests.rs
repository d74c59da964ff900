use super::*;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tidehelm_events::endpoint::Settings;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// A server that has these pages, and notes who asked for what.
struct Peer {
    base_url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

type Page = (u16, &'static str);

impl Peer {
    /// The header `Server`, and what stands at each path; everything else is not there.
    async fn with(server: &'static str, pages: &[(&'static str, Page)]) -> Self {
        let pages: BTreeMap<_, _> = pages.iter().copied().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let path = head.split(' ').nth(1).unwrap_or("").to_string();
                let secret = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
                noted.lock().unwrap().push(format!("{path}{}", secret.map(|it| format!(" {it}")).unwrap_or_default()));
                let (status, body) = pages.get(path.as_str()).copied().unwrap_or((404, "no"));
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nserver: {server}\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                let _ = stream.get_mut().write_all(answer.as_bytes()).await;
            }
        });
        Peer { base_url, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    async fn probe(&self, kind: Option<Kind>, found: Option<Kind>) -> Probe {
        self.probe_with(kind, found, None).await
    }

    async fn probe_with(&self, kind: Option<Kind>, found: Option<Kind>, secret: Option<&str>) -> Probe {
        let settings = Settings { kind, base_url: self.base_url.clone(), ..Settings::default() };
        let question =
            Question { settings: Box::new(settings), found: found.map(|kind| Found { kind, version: None }) };
        let visit = Visit { fetcher: &Fetcher, base_url: &self.base_url, secret };
        visit.see(&question).await.unwrap_or_else(failed)
    }
}

fn kind_of(probe: &Probe) -> Option<Kind> {
    probe.found.as_ref().map(|found| found.kind)
}

fn models_of(probe: &Probe) -> Option<Vec<&str>> {
    probe.models.as_ref().map(|models| models.iter().map(|model| model.id.as_str()).collect())
}

fn failure_of(probe: &Probe) -> Option<Failure> {
    match &probe.outcome {
        ProbeOutcome::Answered { .. } => None,
        ProbeOutcome::Failed { failure, .. } => Some(*failure),
    }
}

const OPENAI: Page = (200, r#"{"data": [{"id": "b"}, {"id": "a"}]}"#);
const OLLAMA: Page = (200, r#"{"models": [{"name": "qwen3:8b"}]}"#);
const LM_STUDIO: Page = (200, r#"{"data": [{"id": "gemma", "publisher": "google", "arch": "gemma3"}]}"#);
const XLLM: Page = (200, r#"{"xllm_version": "0.9.1"}"#);
const LLAMA_CPP: Page = (200, r#"{"data": [{"id": "x.gguf", "owned_by": "llamacpp"}], "models": []}"#);

#[tokio::test]
async fn what_answers_is_recognised_with_as_few_questions_as_will_do() {
    use Kind::*;
    let system = "/api/system";
    let (lm, tags, openai) = ("/api/v1/models", "/api/tags", "/v1/models");
    type Case = (&'static str, Vec<(&'static str, Page)>, Kind, Option<Vec<&'static str>>, usize);
    let cases: Vec<Case> = vec![
        ("xllm", vec![(system, XLLM), (openai, OPENAI), (tags, OLLAMA)], Xllm, Some(vec!["b", "a"]), 2),
        ("", vec![(lm, LM_STUDIO), (openai, OPENAI)], LmStudio, Some(vec!["gemma"]), 2),
        ("", vec![(tags, OLLAMA), (openai, OPENAI)], Ollama, Some(vec!["qwen3:8b"]), 4),
        ("uvicorn vllm", vec![(openai, OPENAI)], Vllm, Some(vec!["b", "a"]), 4),
        ("llama.cpp", vec![(tags, OLLAMA), (openai, LLAMA_CPP)], LlamaCpp, Some(vec!["x.gguf"]), 4),
        ("nginx", vec![(openai, OPENAI)], OpenaiCompatible, Some(vec!["b", "a"]), 4),
        ("nginx", vec![("/", (200, "hi"))], Http, None, 5),
        ("nginx", vec![], Http, None, 5),
    ];
    for (server, pages, kind, models, questions) in cases {
        let peer = Peer::with(server, &pages).await;
        let probe = peer.probe(None, None).await;
        assert_eq!((kind_of(&probe), models_of(&probe)), (Some(kind), models), "{server} {pages:?}");
        assert_eq!((failure_of(&probe), peer.asked().len()), (None, questions), "{server} {pages:?}");
        let again = peer.probe(None, Some(kind)).await;
        let most = if kind == Http { 5 } else { 2 };
        assert!(failure_of(&again).is_none() && peer.asked().len() <= most, "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_not_well_is_told_as_what_it_is() {
    use Failure::{NotUnderstood, Status};
    let all = |page: Page| PATHS.map(|path| (path, page)).to_vec();
    for (pages, kind, found, failure) in [
        (all((503, "loading")), None, None, Status(503)),
        (all((401, "who are you")), None, None, Status(401)),
        (all((302, "")), Some(Kind::Vllm), None, Status(302)),
        (all((404, "")), Some(Kind::Ollama), None, Status(404)),
        (all((404, "")), None, Some(Kind::Ollama), Status(404)),
        (all((200, "<html>")), None, Some(Kind::Vllm), NotUnderstood),
        (all((200, "{}")), Some(Kind::Xllm), None, NotUnderstood),
        (all((200, r#"{"data": 7}"#)), Some(Kind::OpenaiCompatible), None, NotUnderstood),
        (all((500, "")), Some(Kind::Http), None, Status(500)),
    ] {
        let probe = Peer::with("x", &pages).await.probe(kind, found).await;
        assert_eq!((failure_of(&probe), kind_of(&probe)), (Some(failure), None), "{pages:?} {kind:?} {found:?}");
        let ProbeOutcome::Failed { detail, .. } = &probe.outcome else { unreachable!() };
        assert!(!detail.is_empty() && !detail.contains("who are you"), "{detail}");
    }
    let redirects = Peer::with("x", &all((302, ""))).await.probe(Some(Kind::Http), None).await;
    assert_eq!(failure_of(&redirects), None, "somebody is there");
}

#[tokio::test]
async fn one_that_became_another_is_recognised_and_one_that_fails_stays_what_it_is() {
    let peer = Peer::with("vllm", &[("/v1/models", OPENAI)]).await;
    let probe = peer.probe(None, Some(Kind::Ollama)).await;
    assert_eq!((failure_of(&probe), kind_of(&probe)), (None, Some(Kind::Vllm)));
    let probe = peer.probe(Some(Kind::Ollama), Some(Kind::Ollama)).await;
    assert_eq!(failure_of(&probe), Some(Failure::Status(404)), "people said what it is");
    let peer = Peer::with("nginx", &[("/", (200, "the backend is away"))]).await;
    let probe = peer.probe(None, Some(Kind::Ollama)).await;
    assert_eq!((failure_of(&probe), kind_of(&probe)), (Some(Failure::Status(404)), None));
    let peer = Peer::with("nginx", &[("/api/tags", OLLAMA)]).await;
    let probe = peer.probe(None, Some(Kind::Http)).await;
    assert_eq!(kind_of(&probe), Some(Kind::Ollama), "what came up behind it");
}

#[tokio::test]
async fn a_secret_goes_with_each_question_and_nowhere_else() {
    let peer = Peer::with("x", &[("/v1/models", (302, ""))]).await;
    let probe = peer.probe_with(Some(Kind::Vllm), None, Some("s3cret")).await;
    assert_eq!(failure_of(&probe), Some(Failure::Status(302)));
    assert_eq!(peer.asked(), ["/v1/models s3cret"], "a redirect is not followed");
    peer.probe_with(None, None, Some("s3cret")).await;
    assert!(peer.asked().iter().all(|asked| asked.ends_with(" s3cret")));
    peer.probe(None, None).await;
    assert!(peer.asked().iter().all(|asked| !asked.contains("s3cret")));
}

#[tokio::test]
async fn nobody_there_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let peer = Peer { base_url, asked: Arc::default() };
    assert_eq!(failure_of(&peer.probe(None, None).await), Some(Failure::Connect));
    let plain = Peer::with("x", &[]).await;
    let tls = Peer { base_url: plain.base_url.replace("http", "https"), asked: Arc::default() };
    assert_eq!(failure_of(&tls.probe(None, None).await), Some(Failure::Tls));
}
