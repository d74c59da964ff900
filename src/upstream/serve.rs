//! The sockets of a simulated server: HTTP/1.1 written by hand, since real servers never fail as neatly as libraries do.

use super::answer::{Api, Asked, Made, about_itself, of_model, server};
use super::{Behaviour, Fault, Shared};
use crate::fleet::rng::Rng;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const HEAD_MAX: usize = 64 << 10;
const BODY_MAX: usize = 64 << 20;
const HEADERS_MAX: usize = 96;
/// Between two bytes of a slow answer.
const SLOW: Duration = Duration::from_millis(50);

/// Listens, and stops listening while it is told to.
pub(super) struct Door {
    pub shared: Arc<Shared>,
    pub address: SocketAddr,
    pub stopping: watch::Receiver<bool>,
    pub listening: watch::Receiver<bool>,
}

impl Door {
    pub async fn serve(self, listener: std::net::TcpListener) {
        let Door { shared, address, mut stopping, mut listening } = self;
        let tasks = tokio::task::LocalSet::new();
        let accept = async {
            let mut listener = TcpListener::from_std(listener).ok();
            loop {
                shared.open.store(listener.is_some(), Ordering::Release);
                tokio::select! {
                    _ = stopping.changed() => return,
                    changed = listening.changed() => {
                        if changed.is_err() { return }
                        listener = None;
                        if *listening.borrow() {
                            listener = TcpListener::bind(address).await.ok();
                        }
                    }
                    accepted = accept(listener.as_ref()) => {
                        if let Ok((stream, _)) = accepted {
                            tokio::task::spawn_local(connection(shared.clone(), stream));
                        }
                    }
                }
            }
        };
        tasks.run_until(accept).await;
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    shared.counters.connections.fetch_add(1, Ordering::Relaxed);
    let _ = stream.set_nodelay(true);
    let mut cut = shared.cuts.subscribe();
    let mut line = Line { stream, read: Vec::with_capacity(4096), shared };
    tokio::select! {
        _ = cut.changed() => {}
        _ = async { while line.one().await.is_ok_and(|more| more) {} } => {}
    }
}

struct Line {
    stream: TcpStream,
    read: Vec<u8>,
    shared: Arc<Shared>,
}

struct Request {
    path: String,
    bearer: Option<String>,
    keep_alive: bool,
    body: Vec<u8>,
}

impl Line {
    /// Answers one request; true if another one may come.
    async fn one(&mut self) -> std::io::Result<bool> {
        let Some(request) = self.request().await? else { return Ok(false) };
        let (behaviour, counters) = (self.shared.behaviour(), &self.shared.counters);
        let path = request.path.split('?').next().unwrap_or_default();
        let known = behaviour.secret.as_ref().is_none_or(|secret| request.bearer.as_ref() == Some(secret));
        let Some(api) = Api::of(path).filter(|_| behaviour.kind != tidehelm_events::endpoint::Kind::Http) else {
            counters.questions.fetch_add(1, Ordering::Relaxed);
            let made = match (known, about_itself(&behaviour, path)) {
                (false, _) => Made::error(401, "invalid_api_key", "no such key"),
                (true, Some(made)) => made,
                (true, None) => Made::error(404, "not_found", "there is nothing here"),
            };
            let fault = behaviour.faults.first().filter(|_| behaviour.sick).map(|(fault, _)| *fault);
            return Ok(self.answer(made, fault, &behaviour).await? && request.keep_alive);
        };
        let number = counters.requests.fetch_add(1, Ordering::Relaxed);
        let mut rng = Rng::new(behaviour.seed, number);
        let (fault, wait) = (behaviour.fault(&mut rng), behaviour.wait(&mut rng));
        let made = match serde_json::from_slice::<Asked>(&request.body) {
            _ if !known => Made::error(401, "invalid_api_key", "no such key"),
            Err(_) => Made::error(400, "invalid_json", "the body is not understood"),
            Ok(asked) => of_model(&behaviour, api, &asked, &mut rng),
        };
        let answered = async {
            if !wait.is_zero() {
                self.wait(wait).await?;
            }
            self.answer(made, fault, &behaviour).await
        };
        match answered.await {
            Ok(whole) => {
                self.shared.counters.answered.fetch_add(u64::from(whole), Ordering::Relaxed);
                Ok(whole && request.keep_alive)
            }
            Err(error) => {
                if error.kind() != ErrorKind::Other {
                    self.shared.counters.left.fetch_add(1, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }

    async fn request(&mut self) -> std::io::Result<Option<Request>> {
        loop {
            if let Some((mut request, head, length)) = parsed(&self.read)? {
                while self.read.len() < head + length {
                    if self.stream.read_buf(&mut self.read).await? == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                request.body = self.read[head..head + length].to_vec();
                self.read.drain(..head + length);
                return Ok(Some(request));
            }
            if self.read.len() > HEAD_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Waits, and fails if the client goes away meanwhile.
    async fn wait(&mut self, wait: Duration) -> std::io::Result<()> {
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            gone = gone(&mut self.stream, &mut self.read) => Err(gone),
        }
    }

    /// True if the connection can go on after it.
    async fn answer(&mut self, made: Made, fault: Option<Fault>, behaviour: &Behaviour) -> std::io::Result<bool> {
        let made = match fault {
            Some(Fault::Close) => return Ok(false),
            Some(Fault::Hang) => return Err(gone(&mut self.stream, &mut self.read).await),
            Some(Fault::Garbage) => {
                self.stream.write_all(b"\x00\x01 this is no HTTP \xff\r\n\r\n").await?;
                return Ok(false);
            }
            Some(Fault::Status(status)) => Made::error(status, "simulated", "it fails as it was told to"),
            Some(Fault::Malformed) => malformed(made),
            Some(Fault::Cut | Fault::HalfClose | Fault::Slow) | None => made,
        };
        let text = written(&made, behaviour);
        match fault {
            Some(Fault::Slow) => {
                for byte in text.concat().bytes() {
                    self.stream.write_all(&[byte]).await?;
                    self.wait(SLOW).await?;
                }
                Ok(true)
            }
            Some(Fault::Cut | Fault::HalfClose) => {
                let all = text.concat();
                self.stream.write_all(&all.as_bytes()[..all.len() * 2 / 3]).await?;
                if fault == Some(Fault::HalfClose) {
                    self.stream.shutdown().await?;
                    let _ = gone(&mut self.stream, &mut self.read).await;
                }
                Ok(false)
            }
            _ if behaviour.pace.is_zero() || text.len() == 1 => {
                self.stream.write_all(text.concat().as_bytes()).await?;
                Ok(true)
            }
            _ => {
                let last = text.len() - 1;
                for (at, piece) in text.iter().enumerate() {
                    self.stream.write_all(piece.as_bytes()).await?;
                    if at < last {
                        self.wait(behaviour.pace).await?;
                    }
                }
                Ok(true)
            }
        }
    }
}

/// Comes back when the client has gone. What it sends meanwhile is kept for later, up to a bound.
async fn gone(stream: &mut TcpStream, read: &mut Vec<u8>) -> Error {
    loop {
        match stream.read_buf(read).await {
            Ok(0) => return ErrorKind::ConnectionAborted.into(),
            Ok(_) if read.len() > HEAD_MAX => return ErrorKind::InvalidData.into(),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

fn malformed(made: Made) -> Made {
    match made.content_type {
        "text/event-stream" => Made {
            pieces: vec!["dat {\"choi\n\n: \u{fffd}\n\ndata {]}\n".into(), "data: {\"choices\": [{\n\n".into()],
            ..made
        },
        _ => Made { pieces: vec!["{\"id\": \"chatcmpl-1\", \"choices\": [{\"index\": 0, ".into()], ..made },
    }
}

/// The whole answer on the wire: the head with what comes at once, then piece by piece.
fn written(made: &Made, behaviour: &Behaviour) -> Vec<String> {
    let Made { status, content_type, pieces } = made;
    let reason = if *status == 200 { "OK" } else { "Error" };
    let server = server(behaviour.kind);
    let head = format!("HTTP/1.1 {status} {reason}\r\nserver: {server}\r\ncontent-type: {content_type}\r\n");
    if *content_type != "text/event-stream" {
        let body = pieces.concat();
        return vec![format!("{head}content-length: {}\r\n\r\n{body}", body.len())];
    }
    let mut text = vec![format!("{head}cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n")];
    text.extend(pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())));
    text.push("0\r\n\r\n".into());
    text
}

/// The request at the beginning of what was read, how long its head is and how long its body is to be.
fn parsed(read: &[u8]) -> std::io::Result<Option<(Request, usize, usize)>> {
    let bad = |_| Error::from(ErrorKind::InvalidData);
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(read).map_err(bad)? else { return Ok(None) };
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length = header("content-length").map_or(Ok(0), |text| text.trim().parse::<usize>());
    let length = length.ok().filter(|length| *length <= BODY_MAX).ok_or(ErrorKind::InvalidData)?;
    let request = Request {
        path: parsed.path.unwrap_or("/").into(),
        bearer: header("authorization").and_then(|text| text.strip_prefix("Bearer ")).map(Into::into),
        keep_alive: !header("connection").is_some_and(|text| text.eq_ignore_ascii_case("close")),
        body: Vec::new(),
    };
    Ok(Some((request, head, length)))
}
