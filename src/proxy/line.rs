//! A connection to an upstream: HTTP/1.1 as far as a proxy needs it. One request at a time, bodies as they come.
//!
//! What comes before the first byte of an answer, what is no HTTP and what breaks off in the middle are told apart: the first may
//! be tried elsewhere, the others say something of the upstream.

use actix_web::http::header::{HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use rustls::pki_types::ServerName;
use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// Where an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub tls: bool,
    /// Name or address, without brackets.
    host: String,
    port: u16,
    /// As it stands in the header `Host`.
    pub authority: String,
    /// What comes before `/v1`.
    pub base: String,
}

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("it cannot be reached: {0}")]
    Connect(#[source] Error),
    #[error("no secure connection: {0}")]
    Tls(#[source] Error),
    #[error("the connection broke off: {0}")]
    Broken(#[source] Error),
    #[error("what it answers is not HTTP: {0}")]
    NotHttp(&'static str),
}

/// The head of an answer, without what counts for one connection only.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Body,
    /// The connection can be used again after the body.
    pub keep: bool,
}

/// How the body ends, and how much is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Length(u64),
    Chunked(Chunk),
    UntilClose,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    Size,
    Data(u64),
    /// The line break behind the data.
    After,
    Trailer,
}

const HEAD_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
const CHUNK_LINE_MAX: usize = 4 << 10;
const TRAILER_MAX: usize = 16 << 10;
const READ: usize = 16 << 10;

pub struct Line {
    wire: Plug,
    read: BytesMut,
    trailer: usize,
    /// All of the last request was sent.
    told_all: bool,
}

enum Plug {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Target {
    /// Of an address as `events` normalises it.
    pub fn of(base_url: &str) -> Option<Self> {
        let (scheme, rest) = base_url.split_once("://")?;
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let usual = if tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (authority, usual),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_string();
        Some(Target { tls, host, port, authority: authority.into(), base: base.trim_end_matches('/').into() })
    }
}

impl Line {
    pub async fn open(target: &Target) -> Result<Self, Fault> {
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(Fault::Connect)?;
        stream.set_nodelay(true).map_err(Fault::Connect)?;
        let wire = match target.tls {
            false => Plug::Plain(stream),
            true => {
                let name = ServerName::try_from(target.host.clone());
                let name = name.map_err(|error| Fault::Tls(Error::new(ErrorKind::InvalidInput, error)))?;
                let secured =
                    tokio_rustls::TlsConnector::from(crate::endpoints::tls::client()).connect(name, stream).await;
                Plug::Tls(Box::new(secured.map_err(Fault::Tls)?))
            }
        };
        Ok(Line { wire, read: BytesMut::with_capacity(READ), trailer: 0, told_all: true })
    }

    /// False if the other side ended it, or said something that nobody asked for.
    pub fn is_good(&self) -> bool {
        let socket = match &self.wire {
            Plug::Plain(stream) => stream,
            Plug::Tls(stream) => stream.get_ref().0,
        };
        let nothing = matches!(socket.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        nothing && self.read.is_empty()
    }

    /// Nothing came since the last answer.
    pub fn is_untouched(&self) -> bool {
        self.read.is_empty()
    }

    /// Sends a request, and listens where the upstream takes no more for now: one that says no before it has the whole body is not
    /// sent the rest. It may have hung up, too: so a broken write is no fault before the answer was looked for.
    pub async fn send(&mut self, head: &[u8], body: &[u8]) -> Result<(), Error> {
        let (read, told_all) = (&mut self.read, &mut self.told_all);
        *told_all = false;
        *told_all = match &mut self.wire {
            Plug::Plain(stream) => tell(stream, read, head, body).await?,
            Plug::Tls(stream) => {
                let told_all = tell(stream.as_mut(), read, head, body).await?;
                stream.flush().await?;
                told_all
            }
        };
        Ok(())
    }

    /// The head of the answer. Interim ones are passed over.
    pub async fn head(&mut self) -> Result<Head, Fault> {
        loop {
            if let Some(head) = self.parsed()? {
                if head.status >= 200 {
                    return Ok(head);
                }
                if head.status == 101 {
                    return Err(Fault::NotHttp("it wants to speak something else"));
                }
                continue;
            }
            if self.read.len() > HEAD_MAX {
                return Err(Fault::NotHttp("the head is too long"));
            }
            if self.more().await? == 0 {
                return Err(Fault::Broken(ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn parsed(&mut self) -> Result<Option<Head>, Fault> {
        if self.read.is_empty() {
            return Ok(None);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let length = match parsed.parse(&self.read) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Fault::NotHttp("too many headers")),
            Err(_) => return Err(Fault::NotHttp("the head is malformed")),
        };
        let status = parsed.code.unwrap_or(0);
        let mut keep = parsed.version == Some(1);
        let start = self.read.as_ptr() as usize;
        let mut found: Vec<(HeaderName, std::ops::Range<usize>)> = Vec::with_capacity(parsed.headers.len());
        let (mut told, mut chunked) = (None, false);
        for header in parsed.headers.iter() {
            let value = header.value.trim_ascii();
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                let length =
                    text.and_then(|text| text.parse::<u64>().ok()).ok_or(Fault::NotHttp("a bad content-length"))?;
                if told.is_some_and(|told| told != length) {
                    return Err(Fault::NotHttp("two lengths"));
                }
                told = Some(length);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::NotHttp("a transfer encoding that is not `chunked`"));
                }
                chunked = true;
            } else if header.name.eq_ignore_ascii_case("connection") {
                let says =
                    |what: &[u8]| value.split(|b| *b == b',').any(|it| it.trim_ascii().eq_ignore_ascii_case(what));
                keep = (keep || says(b"keep-alive")) && !says(b"close");
            } else if !is_hop_by_hop(header.name) {
                let name = HeaderName::from_bytes(header.name.as_bytes());
                let at = value.as_ptr() as usize - start;
                found.push((name.map_err(|_| Fault::NotHttp("a bad header"))?, at..at + value.len()));
            }
        }
        let body = match (status, chunked, told) {
            (100..=199 | 204 | 304, ..) => Body::Done,
            (_, true, Some(_)) => return Err(Fault::NotHttp("a length and chunks")),
            (_, true, None) => Body::Chunked(Chunk::Size),
            (_, false, Some(0)) => Body::Done,
            (_, false, Some(length)) => Body::Length(length),
            (_, false, None) => Body::UntilClose,
        };
        let raw = self.read.split_to(length).freeze();
        let value = |range: std::ops::Range<usize>| HeaderValue::from_maybe_shared(raw.slice(range));
        let headers = found.into_iter().map(|(name, range)| Ok((name, value(range)?))).collect::<Result<_, _>>();
        let headers =
            headers.map_err(|_: actix_web::http::header::InvalidHeaderValue| Fault::NotHttp("a bad header"))?;
        let keep = keep && self.told_all && body != Body::UntilClose;
        Ok(Some(Head { status, headers, keep, body }))
    }

    /// The next piece of the body; none at its end.
    pub async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>, Fault> {
        loop {
            if let Some(piece) = self.piece(body)? {
                return Ok(Some(piece));
            }
            if *body == Body::Done {
                return Ok(None);
            }
            if self.more().await? == 0 {
                if *body == Body::UntilClose {
                    *body = Body::Done;
                    return Ok(None);
                }
                return Err(Fault::Broken(ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// What of the body was read already; none where more is to be read first, or at the end.
    pub fn piece(&mut self, body: &mut Body) -> Result<Option<Bytes>, Fault> {
        match body {
            Body::Done => Ok(None),
            _ if self.read.is_empty() => Ok(None),
            Body::UntilClose => Ok(Some(self.read.split().freeze())),
            Body::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(self.read.len());
                *left -= take as u64;
                if *left == 0 {
                    *body = Body::Done;
                }
                Ok(Some(self.read.split_to(take).freeze()))
            }
            Body::Chunked(_) => self.chunks(body),
        }
    }

    /// All chunks that were read, as one piece: the bounds of chunks mean nothing.
    fn chunks(&mut self, body: &mut Body) -> Result<Option<Bytes>, Fault> {
        let mut first: Option<BytesMut> = None;
        while let Body::Chunked(chunk) = body {
            match *chunk {
                Chunk::Size => {
                    let Some(line) = self.line(CHUNK_LINE_MAX)? else { break };
                    let digits = line[..].split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
                    let size = std::str::from_utf8(digits).ok().filter(|text| (1..=15).contains(&text.len()));
                    let size = size.filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
                    let size = size.and_then(|text| u64::from_str_radix(text, 16).ok());
                    match size.ok_or(Fault::NotHttp("a chunk without its size"))? {
                        0 => (*chunk, self.trailer) = (Chunk::Trailer, 0),
                        size => *chunk = Chunk::Data(size),
                    }
                }
                Chunk::Data(left) => {
                    if self.read.is_empty() {
                        break;
                    }
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.read.len());
                    let piece = self.read.split_to(take);
                    match &mut first {
                        None => first = Some(piece),
                        Some(whole) => whole.extend_from_slice(&piece),
                    }
                    let left = left - take as u64;
                    *chunk = if left == 0 { Chunk::After } else { Chunk::Data(left) };
                }
                Chunk::After => {
                    let Some(line) = self.line(2)? else { break };
                    if !line.is_empty() {
                        return Err(Fault::NotHttp("a chunk that is longer than it said"));
                    }
                    *chunk = Chunk::Size;
                }
                Chunk::Trailer => {
                    let Some(line) = self.line(CHUNK_LINE_MAX)? else { break };
                    self.trailer += line.len();
                    if self.trailer > TRAILER_MAX {
                        return Err(Fault::NotHttp("trailers without an end"));
                    }
                    if line.is_empty() {
                        *body = Body::Done;
                    }
                }
            }
        }
        Ok(first.map(BytesMut::freeze))
    }

    /// The next line, without its end.
    fn line(&mut self, most: usize) -> Result<Option<BytesMut>, Fault> {
        match memchr::memchr(b'\n', &self.read) {
            Some(at) if at <= most => {
                let mut line = self.read.split_to(at + 1);
                line.truncate(at - usize::from(line[..at].ends_with(b"\r")));
                Ok(Some(line))
            }
            None if self.read.len() <= most => Ok(None),
            _ => Err(Fault::NotHttp("a line between chunks that is too long")),
        }
    }

    async fn more(&mut self) -> Result<usize, Fault> {
        self.read.reserve(READ);
        let read = match &mut self.wire {
            Plug::Plain(stream) => stream.read_buf(&mut self.read).await,
            Plug::Tls(stream) => stream.read_buf(&mut self.read).await,
        };
        read.map_err(Fault::Broken)
    }
}

/// Head and body at once where the system takes them. False if the other side said no meanwhile, or nothing any more.
async fn tell<W>(wire: &mut W, read: &mut BytesMut, mut head: &[u8], mut body: &[u8]) -> Result<bool, Error>
where
    W: AsyncRead + AsyncWrite + Unpin,
{
    std::future::poll_fn(|cx| {
        while !(head.is_empty() && body.is_empty()) {
            match Pin::new(&mut *wire).poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)])? {
                Poll::Ready(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Poll::Ready(written) => {
                    let of_head = written.min(head.len());
                    (head, body) = (&head[of_head..], &body[written - of_head..]);
                }
                Poll::Pending if says_no(read) => return Poll::Ready(Ok(false)),
                Poll::Pending if read.len() > HEAD_MAX => return Poll::Pending,
                Poll::Pending => match ready!(poll_more(wire, cx, read))? {
                    0 => return Poll::Ready(Ok(false)),
                    _ => continue,
                },
            }
        }
        Poll::Ready(Ok(true))
    })
    .await
}

fn poll_more(
    wire: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    read: &mut BytesMut,
) -> Poll<Result<usize, Error>> {
    let mut piece = [0; 4 << 10];
    let mut buffer = ReadBuf::new(&mut piece);
    ready!(Pin::new(wire).poll_read(cx, &mut buffer))?;
    read.extend_from_slice(buffer.filled());
    Poll::Ready(Ok(buffer.filled().len()))
}

/// An answer that refuses is there, or something that is none: either way the rest of the request is not wanted.
fn says_no(mut read: &[u8]) -> bool {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        match (parsed.parse(read), parsed.code) {
            (Ok(httparse::Status::Complete(length)), Some(100..=199)) => read = &read[length..],
            (Ok(httparse::Status::Complete(_)), code) => return code.is_none_or(|code| code >= 300),
            (Ok(httparse::Status::Partial), _) => return false,
            (Err(_), _) => return true,
        }
    }
}

/// Counts for one connection only.
pub fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Connections that wait for their next request, of this thread: none is ever handed to another.
pub mod pool {
    use super::{Line, Target};
    use crate::ambient::{Stopwatch, stopwatch};
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;
    use tidehelm_events::id::EndpointId;

    /// Upstreams close what waits longer than some seconds; this is how long we keep one that they do not close.
    const IDLE_MAX: Duration = Duration::from_secs(30);
    const KEPT_MAX: usize = 256;
    const SWEEP_EVERY: Duration = Duration::from_secs(5);

    struct Kept {
        line: Line,
        target: Arc<Target>,
        since: Stopwatch,
    }

    #[derive(Default)]
    struct Pool {
        kept: HashMap<EndpointId, Vec<Kept>>,
        is_swept: bool,
    }

    thread_local! {
        static POOL: RefCell<Pool> = RefCell::default();
    }

    /// One that is open to this place, if there is one.
    pub fn take(endpoint: EndpointId, target: &Arc<Target>) -> Option<Line> {
        POOL.with_borrow_mut(|pool| {
            let kept = pool.kept.get_mut(&endpoint)?;
            while let Some(last) = kept.pop() {
                if Arc::ptr_eq(&last.target, target) && last.line.is_good() {
                    return Some(last.line);
                }
            }
            None
        })
    }

    pub fn put(endpoint: EndpointId, target: &Arc<Target>, line: Line) {
        POOL.with_borrow_mut(|pool| {
            if !pool.is_swept {
                pool.is_swept = true;
                actix_web::rt::spawn(sweep());
            }
            let kept = pool.kept.entry(endpoint).or_default();
            if kept.len() < KEPT_MAX {
                kept.push(Kept { line, target: target.clone(), since: stopwatch() });
            }
        });
    }

    /// Closes what waited too long, until nothing waits.
    async fn sweep() {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let is_empty = POOL.with_borrow_mut(|pool| {
                pool.kept.retain(|_, lines| {
                    lines.retain(|kept| kept.since.elapsed() < IDLE_MAX && kept.line.is_good());
                    !lines.is_empty()
                });
                pool.is_swept = !pool.kept.is_empty();
                !pool.is_swept
            });
            if is_empty {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (url, host, port, authority, base) in [
            ("http://localhost:8000", "localhost", 8000, "localhost:8000", ""),
            ("http://example.com", "example.com", 80, "example.com", ""),
            ("https://example.com/openai", "example.com", 443, "example.com", "/openai"),
            ("http://[2001:db8::1]:11434", "2001:db8::1", 11434, "[2001:db8::1]:11434", ""),
            ("http://[::1]", "::1", 80, "[::1]", ""),
        ] {
            let target = Target::of(url).unwrap();
            let found = (target.host.as_str(), target.port, target.authority.as_str(), target.base.as_str());
            assert_eq!(found, (host, port, authority, base), "{url}");
        }
    }

    async fn heard(answer: &'static [u8]) -> Result<(u16, Vec<u8>, bool), String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::of(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            // In small pieces, so that every state is met at its edge.
            for piece in answer.chunks(3) {
                stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut line = Line::open(&target).await.unwrap();
        line.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"").await.unwrap();
        let mut head = line.head().await.map_err(|fault| fault.to_string())?;
        let mut whole = Vec::new();
        while let Some(piece) = line.next(&mut head.body).await.map_err(|fault| fault.to_string())? {
            whole.extend_from_slice(&piece);
        }
        server.await.unwrap();
        Ok((head.status, whole, head.keep))
    }

    #[tokio::test]
    async fn bodies_end_where_they_say() {
        for (answer, status, body, keep) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"[..], 200, &b"hello"[..], true),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", true),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", true),
            (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab", 200, b"ab", false),
            (b"HTTP/1.1 200 OK\r\n\r\nto the end", 200, b"to the end", false),
            (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", 200, b"x", false),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 No\r\ncontent-length: 1\r\n\r\nx", 400, b"x", true),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nx: y\r\n\r\n",
                200,
                b"hello world",
                true,
            ),
        ] {
            let found = heard(answer).await;
            assert_eq!(found, Ok((status, body.to_vec(), keep)), "{}", String::from_utf8_lossy(answer));
        }
    }

    /// What an upstream that reads so much of a large body and then says something comes to; the head, or why there is none.
    async fn told_early(reads: usize, answer: &'static [u8]) -> Result<(u16, bool), String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::of(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut vec![0; reads]).await.unwrap();
            stream.write_all(answer).await.unwrap();
            if says_no(answer) {
                // It reads no further, and stays.
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            }
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        });
        let mut line = Line::open(&target).await.unwrap();
        let _ =
            line.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 33554432\r\n\r\n", &vec![b'x'; 32 << 20]).await;
        let head = line.head().await.map_err(|fault| fault.to_string())?;
        server.abort();
        Ok((head.status, head.keep))
    }

    #[tokio::test]
    async fn who_says_no_early_is_heard_at_once_and_not_sent_the_rest() {
        let no = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(told_early(1_000, no).await, Ok((413, false)));
        assert!(told_early(1_000, b"nonsense\r\n\r\n").await.unwrap_err().contains("not HTTP"));
        let yes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(told_early(1_000, yes).await, Ok((200, true)), "who says yes is sent all of it");
    }

    #[tokio::test]
    async fn what_is_no_http_or_breaks_off_is_told() {
        for (answer, why) in [
            (&b""[..], "broke off"),
            (b"HTTP/1.1 200 OK\r\ncontent-le", "broke off"),
            (b"\x00\x01nonsense\r\n\r\n", "not HTTP"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell", "broke off"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", "two lengths"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello", "content-length"),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
                "a length and chunks",
            ),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", "transfer encoding"),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n", "without its size"),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n", "longer than it said"),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhell", "broke off"),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "broke off"),
        ] {
            let found = heard(answer).await.unwrap_err();
            assert!(found.contains(why), "{found}: {}", String::from_utf8_lossy(answer));
        }
    }
}
