//! A small HTTP client: one call a line, every answer as it came.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One caller: where to, and by what it is known.
#[derive(Debug, Clone)]
pub struct Client {
    pub agent: ureq::Agent,
    pub base: String,
    pub token: Option<String>,
    pub cookie: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub text: String,
}

/// A request on its way to be sent.
pub struct Call<'a> {
    client: &'a Client,
    method: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, String)>,
    body: Option<String>,
}

impl Client {
    pub fn new(base: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .proxy(None)
            .max_redirects(0)
            .build();
        Client { agent: agent.into(), base: base.into(), token: None, cookie: None }
    }

    pub fn with_token(&self, token: &str) -> Self {
        Client { token: Some(token.into()), cookie: None, ..self.clone() }
    }

    /// Nobody whom the desk knows.
    pub fn stranger(&self) -> Self {
        Client { token: None, cookie: None, ..self.clone() }
    }

    pub fn call<'a>(&'a self, method: &'a str, path: &'a str) -> Call<'a> {
        Call { client: self, method, path, headers: Vec::new(), body: None }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.call("GET", path).send()
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path).json(body).send()
    }

    /// The session cookie of an answer is kept, as a browser does.
    pub fn log_in(&mut self, name: &str, password: &str) -> Reply {
        let reply = self.stranger().post("/api/login", &serde_json::json!({"name": name, "password": password}));
        self.take_cookie(&reply);
        reply
    }

    pub fn take_cookie(&mut self, reply: &Reply) {
        let Some(cookie) = reply.header("set-cookie") else { return };
        self.cookie = cookie.split(';').next().map(Into::into);
    }
}

impl<'a> Call<'a> {
    pub fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    pub fn text(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub fn send(self) -> Reply {
        let (method, path) = (self.method.to_string(), self.path.to_string());
        self.try_send().unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// An error where no answer came: then nobody knows what happened to the request.
    pub fn try_send(self) -> Result<Reply, ureq::Error> {
        let mut request =
            ureq::http::Request::builder().method(self.method).uri(format!("{}{}", self.client.base, self.path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &self.client.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(cookie) = &self.client.cookie {
            request = request.header("cookie", cookie);
        }
        let mut response = self.client.agent.run(request.body(self.body.unwrap_or_default()).unwrap())?;
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
        let (status, headers) = (response.status().as_u16(), headers.collect());
        let bytes = response.body_mut().with_config().limit(1 << 30).read_to_vec()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Reply { status, headers, text })
    }

    /// The body of an answer that is no text.
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.open().read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Leaves the answer open, for a stream of events.
    pub fn open(self) -> Box<dyn BufRead + Send> {
        let mut request =
            ureq::http::Request::builder().method(self.method).uri(format!("{}{}", self.client.base, self.path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &self.client.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let response = agent.run(request.body(()).unwrap()).unwrap();
        assert_eq!(response.status(), 200);
        Box::new(BufReader::new(response.into_body().into_reader()))
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    /// The body of an answer that went well.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem's code; it must have this status and be a problem in every respect.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        let code = problem["code"].as_str().unwrap().to_string();
        assert_eq!(problem["type"], format!("urn:tidehelm:problem:{code}"));
        assert!(!problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty());
        code
    }

    /// First and last position of the events that answered a command; none where nothing had to change.
    pub fn events(&self) -> Option<(u64, u64)> {
        let (first, last) = self.header("tidehelm-events")?.split_once("..")?;
        Some((first.parse().unwrap(), last.parse().unwrap()))
    }
}

/// Sends exactly these bytes and answers all that comes back until the server closes.
pub fn raw(base: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
