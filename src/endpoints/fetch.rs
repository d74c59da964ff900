//! One question to a server: a GET over a connection of its own, with a bound on all that comes back. Redirects are not followed.

use super::tls;
use crate::ambient;
use rustls::pki_types::ServerName;
use std::net::IpAddr;
use std::time::Duration;
use tidehelm_events::endpoint::Failure;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longer heads, and heads with more lines, are not read.
pub const HEAD_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;
/// Longer bodies are not read.
pub const BODY_MAX: usize = 4 << 20;
/// The line before a piece of a body: a length and what nobody needs.
const CHUNK_LINE_MAX: usize = 256;
/// Answers before the answer (status 1xx).
const INTERIM_MAX: usize = 8;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub status: u16,
    /// The header `Server`.
    pub server: Option<String>,
    pub body: Vec<u8>,
    /// From the beginning to the last byte, with the way to the server.
    pub took: Duration,
}

/// Why nothing came back that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub failure: Failure,
    /// For people. Nothing that the server said.
    pub detail: String,
}

impl Trouble {
    pub fn new(failure: Failure, detail: impl Into<String>) -> Self {
        Trouble { failure, detail: detail.into() }
    }
}

/// Asks over connections of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fetcher;

/// Where to ask: the parts of an address as it is kept.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    tls: bool,
    host: &'a str,
    port: u16,
    /// As it stands in the header `Host`.
    authority: &'a str,
    prefix: &'a str,
}

impl<'a> Place<'a> {
    fn of(base_url: &'a str) -> Option<Self> {
        let (scheme, rest) = base_url.split_once("://")?;
        let tls = scheme == "https";
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[after_brackets..].find(':').map(|at| after_brackets + at) {
            Some(colon) => (&authority[..colon], authority[colon + 1..].parse().ok()?),
            None => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Place { tls, host, port, authority, prefix })
    }
}

impl Fetcher {
    /// What a path below an address answers. Whoever calls this sets a limit to the time.
    pub async fn get(&self, base_url: &str, path: &str, secret: Option<&str>) -> Result<Fetched, Trouble> {
        let begun = ambient::stopwatch();
        let unread = || Trouble::new(Failure::Connect, "its address cannot be read; set it again");
        let place = Place::of(base_url).ok_or_else(unread)?;
        let request = request(&place, path, secret);
        let stream = TcpStream::connect((place.host, place.port)).await;
        let stream = stream.map_err(|error| Trouble::new(Failure::Connect, connecting(&error)))?;
        let _ = stream.set_nodelay(true);
        let (status, server, body) = match place.tls {
            false => ask(stream, &request).await?,
            true => ask(self.shake_hands(&place, stream).await?, &request).await?,
        };
        Ok(Fetched { status, server, body, took: begun.elapsed() })
    }

    async fn shake_hands(
        &self,
        place: &Place<'_>,
        stream: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Trouble> {
        let trouble = |why: String| Trouble::new(Failure::Tls, why);
        let name = match place.host.parse::<IpAddr>() {
            Ok(address) => ServerName::IpAddress(address.into()),
            Err(_) => ServerName::try_from(place.host.to_string()).map_err(|error| trouble(error.to_string()))?,
        };
        TlsConnector::from(tls::client()).connect(name, stream).await.map_err(|error| trouble(error.to_string()))
    }
}

/// Without the number of the system's error, which says nothing more.
fn connecting(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused: nothing listens there".into(),
        _ => format!("cannot connect: {error}"),
    }
}

fn request(place: &Place<'_>, path: &str, secret: Option<&str>) -> String {
    let Place { authority, prefix, .. } = place;
    let bearer = secret.map(|secret| format!("authorization: Bearer {secret}\r\n")).unwrap_or_default();
    format!(
        "GET {prefix}{path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: tidehelm/{}\r\naccept: application/json, */*\r\n\
         accept-encoding: identity\r\nconnection: close\r\n{bearer}\r\n",
        env!("CARGO_PKG_VERSION")
    )
}

type Answer = (u16, Option<String>, Vec<u8>);

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, request: &str) -> Result<Answer, Trouble> {
    stream.write_all(request.as_bytes()).await.map_err(|error| broken(&error))?;
    let mut reader = BufReader::new(stream);
    for _ in 0..INTERIM_MAX {
        let head = head(&mut reader).await?;
        if !(100..200).contains(&head.status) {
            let body = body(&mut reader, &head).await?;
            return Ok((head.status, head.server, body));
        }
    }
    Err(not_understood("it goes on saying that it will answer"))
}

struct Head {
    status: u16,
    server: Option<String>,
    length: Length,
}

enum Length {
    Known(usize),
    Pieces,
    ToTheEnd,
}

async fn head<R: AsyncBufReadExt + Unpin>(reader: &mut R) -> Result<Head, Trouble> {
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        let room = (HEAD_MAX - before) as u64;
        let read = reader.take(room).read_until(b'\n', &mut bytes).await.map_err(|error| broken(&error))?;
        match &bytes[before..] {
            b"\r\n" | b"\n" if before > 0 => break,
            line if line.ends_with(b"\n") => {}
            _ if read as u64 == room => return Err(not_understood("the head of its answer is longer than 16 KiB")),
            _ if bytes.is_empty() => return Err(Trouble::new(Failure::Broken, "it hung up without an answer")),
            _ => return Err(Trouble::new(Failure::Broken, "it hung up within the head of its answer")),
        }
    }
    parsed(&bytes)
}

fn parsed(bytes: &[u8]) -> Result<Head, Trouble> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(not_understood("its answer has more than 64 headers")),
        _ => return Err(not_understood("it does not speak HTTP/1.1")),
    }
    let status = response.code.unwrap_or_default();
    let all = |name: &'static str| {
        let named = response.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.filter_map(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let length = if matches!(status, 100..200 | 204 | 304) {
        Length::Known(0)
    } else if all("transfer-encoding")
        .flat_map(|list| list.split(','))
        .any(|it| it.trim().eq_ignore_ascii_case("chunked"))
    {
        Length::Pieces
    } else {
        length(all("content-length"))?
    };
    let server = all("server").next().map(|server| server.chars().take(128).collect());
    Ok(Head { status, server, length })
}

fn length<'a>(mut told: impl Iterator<Item = &'a str>) -> Result<Length, Trouble> {
    let Some(first) = told.next() else { return Ok(Length::ToTheEnd) };
    if told.any(|other| other != first) {
        return Err(not_understood("it tells two lengths of one answer"));
    }
    match first.parse::<usize>() {
        Ok(length) if length <= BODY_MAX => Ok(Length::Known(length)),
        Ok(_) => Err(too_long()),
        Err(_) if !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit()) => Err(too_long()),
        Err(_) => Err(not_understood("the length that it tells is no number")),
    }
}

async fn body<R: AsyncBufReadExt + Unpin>(reader: &mut R, head: &Head) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    match head.length {
        Length::Known(length) => exactly(reader, length, &mut body).await?,
        Length::Pieces => loop {
            let piece = chunk_line(reader).await?;
            if piece == 0 {
                break;
            }
            if piece > BODY_MAX - body.len() {
                return Err(too_long());
            }
            exactly(reader, piece, &mut body).await?;
            let mut end = Vec::new();
            exactly(reader, 2, &mut end).await?;
            if end != b"\r\n" {
                return Err(not_understood("the pieces of its answer have other lengths than it tells"));
            }
        },
        Length::ToTheEnd => {
            let read = reader.take(BODY_MAX as u64 + 1).read_to_end(&mut body).await;
            // Some servers end TLS without saying so: without a length nobody can tell.
            read.or_else(|error| if unannounced(&error) { Ok(0) } else { Err(broken(&error)) })?;
            if body.len() > BODY_MAX {
                return Err(too_long());
            }
        }
    }
    Ok(body)
}

async fn exactly<R: AsyncBufReadExt + Unpin>(reader: &mut R, length: usize, into: &mut Vec<u8>) -> Result<(), Trouble> {
    let read = reader.take(length as u64).read_to_end(into).await.map_err(|error| broken(&error))?;
    if read == length { Ok(()) } else { Err(Trouble::new(Failure::Broken, "it hung up within its answer")) }
}

async fn chunk_line<R: AsyncBufReadExt + Unpin>(reader: &mut R) -> Result<usize, Trouble> {
    let mut line = Vec::new();
    reader.take(CHUNK_LINE_MAX as u64).read_until(b'\n', &mut line).await.map_err(|error| broken(&error))?;
    if line.is_empty() {
        return Err(Trouble::new(Failure::Broken, "it hung up within its answer"));
    }
    match httparse::parse_chunk_size(&line) {
        Ok(httparse::Status::Complete((_, size))) => Ok(usize::try_from(size).unwrap_or(usize::MAX)),
        _ => Err(not_understood("the pieces of its answer have no lengths")),
    }
}

fn unannounced(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::UnexpectedEof
}

fn broken(error: &std::io::Error) -> Trouble {
    Trouble::new(Failure::Broken, format!("it hung up: {error}"))
}

fn too_long() -> Trouble {
    not_understood("its answer is longer than 4 MiB")
}

fn not_understood(why: &str) -> Trouble {
    Trouble::new(Failure::NotUnderstood, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_parts() {
        for (url, tls, host, port, authority, prefix) in [
            ("http://localhost:8000", false, "localhost", 8000, "localhost:8000", ""),
            ("https://a.example/llm", true, "a.example", 443, "a.example", "/llm"),
            ("http://[::1]:11434", false, "::1", 11434, "[::1]:11434", ""),
            ("http://[::1]", false, "::1", 80, "[::1]", ""),
        ] {
            assert_eq!(Place::of(url), Some(Place { tls, host, port, authority, prefix }), "{url}");
        }
    }

    /// Whoever asks is told this, and no more.
    async fn said(answer: &[u8]) -> Result<Answer, Trouble> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let answer = answer.to_vec();
        let server = tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(theirs);
            let _ = write.write_all(&answer).await;
            let _ = write.shutdown().await;
            let _ = read.read_to_end(&mut Vec::new()).await;
        });
        let heard = ask(ours, "GET / HTTP/1.1\r\n\r\n").await;
        let _ = server.await;
        heard
    }

    #[tokio::test]
    async fn a_body_ends_where_it_is_told() {
        for (answer, body) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi and more", "hi"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi", "hi"),
            ("HTTP/1.0 200 OK\r\n\r\nto the end", "to the end"),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n2;x=y\r\nhi\r\n3\r\n wo\r\n0\r\n\r\n",
                "hi wo",
            ),
            ("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "hi"),
            ("HTTP/1.1 204 No Content\r\n\r\nwhat has no place here", ""),
        ] {
            let (status, _, heard) = said(answer.as_bytes()).await.unwrap();
            assert!((200..300).contains(&status));
            assert_eq!(String::from_utf8(heard).unwrap(), body, "{answer}");
        }
        let (status, server, _) =
            said(b"HTTP/1.1 503 x\r\nServer:  llama.cpp \r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!((status, server.as_deref()), (503, Some("llama.cpp")));
    }

    #[tokio::test]
    async fn what_is_too_much_or_no_answer_is_told_as_such() {
        let flood = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(65));
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_MAX));
        let hints = "HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
        use Failure::{Broken, NotUnderstood};
        for (answer, failure, says) in [
            ("", Broken, "without an answer"),
            ("HTTP/1.1 200 OK\r\ncontent-", Broken, "within the head"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", Broken, "within its answer"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi", Broken, "within its answer"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", Broken, "within its answer"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", NotUnderstood, "no lengths"),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
                NotUnderstood,
                "other lengths",
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffff\r\n", NotUnderstood, "4 MiB"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 4194305\r\n\r\n", NotUnderstood, "4 MiB"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n", NotUnderstood, "4 MiB"),
            ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", NotUnderstood, "no number"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nhi", NotUnderstood, "two lengths"),
            ("220 mail.example ESMTP\r\n\r\n", NotUnderstood, "HTTP/1.1"),
            (&flood, NotUnderstood, "64 headers"),
            (&endless, NotUnderstood, "16 KiB"),
            (&hints, NotUnderstood, "goes on saying"),
        ] {
            let trouble = said(answer.as_bytes()).await.unwrap_err();
            assert_eq!(trouble.failure, failure, "{answer:.80}: {trouble:?}");
            assert!(trouble.detail.contains(says), "{answer:.80}: {trouble:?}");
        }
        let long = [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), vec![b'x'; BODY_MAX + 1]].concat();
        assert_eq!(said(&long).await.unwrap_err().failure, NotUnderstood);
        let fits = [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), vec![b'x'; BODY_MAX]].concat();
        assert_eq!(said(&fits).await.unwrap().2.len(), BODY_MAX);
    }
}
