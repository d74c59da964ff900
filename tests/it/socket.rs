//! A WebSocket client that reads when it is told to.

use crate::client::Client;
use serde_json::Value;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Error, HandshakeError, Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Socket {
    web: WebSocket<TcpStream>,
    /// What the client has to give when it comes back.
    pub since: u64,
}

/// What a handshake was refused with: status, and the problem's code.
pub type Refused = (u16, String);

impl Socket {
    /// Opens one as this caller, or fails.
    #[track_caller]
    pub fn open(client: &Client, query: &str) -> Socket {
        Socket::knock(client, query, &[]).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    /// Opens one with these headers besides.
    pub fn knock(client: &Client, query: &str, headers: &[(&str, &str)]) -> Result<Socket, Refused> {
        let address = client.base.trim_start_matches("http://");
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{address}/ws{query}").into_client_request().unwrap();
        let token = client.token.as_ref().map(|token| ("authorization", format!("Bearer {token}")));
        let cookie = client.cookie.as_ref().map(|cookie| ("cookie", cookie.clone()));
        let given = headers.iter().map(|(name, value)| (*name, value.to_string()));
        for (name, value) in token.into_iter().chain(cookie).chain(given) {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(&value).unwrap());
        }
        match tungstenite::client(request, stream) {
            Ok((web, _)) => Ok(Socket { web, since: 0 }),
            Err(HandshakeError::Failure(Error::Http(response))) => Err(refused(&response)),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message. Pings are answered on the way.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        self.next_before(Instant::now() + PATIENCE, &[])
    }

    #[track_caller]
    fn next_before(&mut self, deadline: Instant, read: &[Value]) -> Value {
        loop {
            match self.web.read() {
                Ok(Message::Text(text)) => return self.see(&text),
                Ok(Message::Ping(_) | Message::Pong(_)) if Instant::now() < deadline => {}
                other => panic!("no message came but {other:?}, after {read:?}"),
            }
        }
    }

    /// Reads up to the next message of this type.
    #[track_caller]
    pub fn until(&mut self, kind: &str) -> Value {
        self.find(|message| message["type"] == kind)
    }

    /// Reads up to the next message that is so; fails after 20 s.
    #[track_caller]
    pub fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.all_until(wanted).pop().unwrap_or_default()
    }

    /// As `find`, and what came before it.
    #[track_caller]
    pub fn all_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let (deadline, mut read) = (Instant::now() + PATIENCE, Vec::new());
        while !read.last().is_some_and(&wanted) {
            let message = self.next_before(deadline, &read);
            read.push(message);
        }
        read
    }

    /// Reads a whole snapshot: its parts as one object.
    #[track_caller]
    pub fn snapshot(&mut self) -> Value {
        let mut whole = self.until("snapshot")["data"].take();
        let parts = whole["parts"].as_u64().unwrap();
        for list in ["accounts", "groups", "members", "endpoints", "endpoint_tps"] {
            whole[list] = Value::Array(Vec::new());
        }
        for _ in 1..parts {
            let part = self.until("snapshot")["data"].take();
            for list in ["accounts", "groups", "members", "endpoints", "endpoint_tps"] {
                let more = part[list].as_array().cloned().unwrap_or_default();
                whole[list].as_array_mut().unwrap().extend(more);
            }
        }
        whole
    }

    /// Reads until the server closes: code and reason.
    #[track_caller]
    pub fn closed(&mut self) -> (u16, String) {
        loop {
            match self.web.read() {
                Ok(Message::Close(Some(CloseFrame { code, reason }))) => return (code.into(), reason.to_string()),
                Ok(Message::Close(None)) => panic!("closed without a reason"),
                Ok(_) => {}
                Err(error) => panic!("no reason came but {error}"),
            }
        }
    }

    pub fn say(&mut self, text: &str) {
        self.web.send(Message::text(text)).unwrap();
    }

    pub fn try_say(&mut self, message: Message) -> Result<(), Error> {
        self.web.send(message)
    }

    /// The position as a client keeps it: who begins anew forgets it.
    fn see(&mut self, text: &str) -> Value {
        let message: Value = serde_json::from_str(text).unwrap();
        let position = message["position"].as_u64().unwrap();
        let begins = message["type"] == "snapshot" && message["data"]["part"] == 1;
        self.since = if begins { position } else { self.since.max(position) };
        message
    }
}

fn refused(response: &Response<Option<Vec<u8>>>) -> Refused {
    let body = response.body().clone().unwrap_or_default();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    (response.status().as_u16(), problem["code"].as_str().unwrap_or("").to_string())
}
