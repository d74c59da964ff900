//! Where a tool reads the log: a data directory or a database, beside a running server if need be, or a server by its URL.
//!
//! All of them are a store whose writing half refuses, so that looking back, restoring and verifying are the same code.

use crate::ambient;
use crate::cli::output::{CliError, Exit};
use crate::history::{HistoryError, fold_at, position_at};
use crate::http::log::{HeadView, SavedWire};
use crate::store::{Mode, Reader, Store, StoreConfig};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;
use tidehelm_actors::port::{AppendFault, CommitLog, Depot, LogFault, Saved};
use tidehelm_events::codec;
use tidehelm_events::commit::{Commit, Entry, Head};
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::{Epoch, NodeId, Position};
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;

/// A piece of the log from a server is no larger than this; the server sends no more than 64 MiB unless one commit is.
const PIECE_BYTES_MAX: u64 = 1 << 30;

pub struct Source {
    place: Place,
    /// Snapshots that turned out to be bad. They stay where they are, since nothing is changed here.
    aside: BTreeSet<Position>,
}

enum Place {
    Store { store: Box<Store>, name: String },
    Server(Server),
}

impl Source {
    /// The store of the configuration, read beside whoever writes it.
    pub async fn open_store(config: &crate::config::Config) -> Result<Source, CliError> {
        let place = match config.store.url.is_empty() {
            true => config.data.dir.display().to_string(),
            false => config.store.url.to_string(),
        };
        let store = Store::open(&StoreConfig::from(config), Mode::ReadOnly, ambient::wall()).await?;
        Ok(Source::of(Place::Store { store: Box::new(store), name: place }))
    }

    /// A server that answers and lets us read.
    pub fn connect(server: Server) -> Result<Source, CliError> {
        let end = server.get::<HeadView>("/api/log/head")?.position;
        server.bytes(&format!("/api/log?after={end}&limit=1"))?;
        Ok(Source::of(Place::Server(server)))
    }

    /// A store that is open already.
    pub fn over(store: Store, name: impl Into<String>) -> Source {
        Source::of(Place::Store { store: Box::new(store), name: name.into() })
    }

    fn of(place: Place) -> Source {
        Source { place, aside: BTreeSet::new() }
    }

    /// Where it is, for people.
    pub fn place(&self) -> &str {
        match &self.place {
            Place::Store { name, .. } => name,
            Place::Server(server) => &server.base,
        }
    }

    pub fn server(&self) -> Option<&Server> {
        match &self.place {
            Place::Store { .. } => None,
            Place::Server(server) => Some(server),
        }
    }

    /// The database's tables, which a server does not show.
    pub fn reader(&self) -> Option<Reader> {
        match &self.place {
            Place::Store { store, .. } => Some(store.reader()),
            Place::Server(_) => None,
        }
    }

    /// The position that a text names: `1234`, `10m ago`, `2026-01-31T12:00:00Z`; without one the end of the log.
    pub async fn moment(&mut self, text: Option<&str>) -> Result<Position, CliError> {
        use crate::cli::time::{Moment, parse};
        let end = self.head().await?.position;
        let Some(text) = text else { return Ok(end) };
        match parse(text, ambient::wall().millis())? {
            Moment::Position(position) if position > end.0 => {
                let message = format!("position {position} lies ahead: the log ends at {end}");
                Err(CliError::new(Exit::NotFound, message))
            }
            Moment::Position(position) => Ok(Position(position)),
            Moment::TimeMs(ms) => Ok(position_at(self, ms).await?),
        }
    }

    pub async fn fold_at(&mut self, position: Position) -> Result<Fold, CliError> {
        Ok(fold_at(self, position).await?)
    }
}

/// A server of ours, spoken to as its API says.
pub struct Server {
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
}

/// What a server says when it says no.
#[derive(serde::Deserialize)]
struct Said {
    code: String,
    detail: String,
}

impl Server {
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, CliError> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(CliError::usage(format!(
                "`{url}` is not the URL of a server: it begins with http:// or https://"
            )));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .user_agent(concat!("tidehelm/", env!("CARGO_PKG_VERSION")))
            .build();
        let (base, token) = (url.trim_end_matches('/').to_string(), token.map(str::to_string));
        Ok(Server { base, token, agent: config.new_agent() })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// The answer to a question, in JSON.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        let bytes = self.bytes(path)?.unwrap_or_default();
        serde_json::from_slice(&bytes).map_err(|error| self.strange(path, &error))
    }

    /// The bytes of an answer; none where it has no content.
    pub fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>, CliError> {
        let request = self.agent.get(self.address(path));
        let mut response = self.identified(request).call().map_err(|error| self.unreachable(error))?;
        if response.status() == 204 {
            return Ok(None);
        }
        self.check(&mut response)?;
        let body = response.body_mut().with_config().limit(PIECE_BYTES_MAX).read_to_vec();
        body.map(Some).map_err(|error| self.unreachable(error))
    }

    /// Something that is wanted: `POST`, `PUT` or `DELETE`, with the answer in JSON where it has one.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<serde_json::Value, CliError> {
        self.want(method, path, body, None)
    }

    /// The same, only while the thing is still at the version that was seen.
    pub fn send_seen(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
        version: u64,
    ) -> Result<serde_json::Value, CliError> {
        self.want(method, path, body, Some(version))
    }

    fn want(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
        version: Option<u64>,
    ) -> Result<serde_json::Value, CliError> {
        let request = ureq::http::Request::builder().method(method).uri(self.address(path));
        let request = request.header("idempotency-key", ambient::uuid_v7().to_string());
        let request = match version {
            Some(version) => request.header("if-match", format!("\"{version}\"")),
            None => request,
        };
        let request = match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        let bytes = body.map(serde_json::Value::to_string).unwrap_or_default();
        let request = request.header("content-type", "application/json").body(bytes);
        let request = request
            .map_err(|error| CliError::usage(format!("`{}{path}` is no address", self.base)).caused_by(error))?;
        let mut response = self.agent.run(request).map_err(|error| self.unreachable(error))?;
        self.check(&mut response)?;
        let text = response.body_mut().read_to_string().map_err(|error| self.unreachable(error))?;
        match text.is_empty() {
            true => Ok(serde_json::Value::Null),
            false => serde_json::from_str(&text).map_err(|error| self.strange(path, &error)),
        }
    }

    /// An answer that is read while it comes, however long it is.
    pub fn open(&self, path: &str) -> Result<impl Read + use<>, CliError> {
        let mut response =
            self.identified(self.agent.get(self.address(path))).call().map_err(|error| self.unreachable(error))?;
        self.check(&mut response)?;
        Ok(response.into_body().into_reader())
    }

    /// A live stream of events after a position, in the form of server-sent events.
    pub fn follow(&self, path: &str) -> Result<impl Read + use<>, CliError> {
        let request = self.agent.get(self.address(path)).header("accept", "text/event-stream");
        let mut response = self.identified(request).call().map_err(|error| self.unreachable(error))?;
        self.check(&mut response)?;
        Ok(response.into_body().into_reader())
    }

    fn identified<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn check(&self, response: &mut ureq::http::Response<ureq::Body>) -> Result<(), CliError> {
        let status = response.status().as_u16();
        if status < 400 {
            return Ok(());
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let said = serde_json::from_str(&text).ok();
        Err(refused(&self.base, status, said))
    }

    fn unreachable(&self, error: ureq::Error) -> CliError {
        CliError::new(Exit::Unreachable, format!("cannot reach the server at {}", self.base)).caused_by(error).hint(
            "is it running? `tidehelm serve` starts it and prints its address; a data directory is read without a server: \
             --data DIR instead of --url",
        )
    }

    fn strange(&self, path: &str, error: &serde_json::Error) -> CliError {
        CliError::failed(format!("the server at {} answered {path} with something else: {error}", self.base))
            .hint("is it a Tidehelm server, and of this version? compare `tidehelm --version` with `tidehelm status`")
    }
}

fn refused(base: &str, status: u16, said: Option<Said>) -> CliError {
    let detail = said.as_ref().map_or_else(|| format!("status {status}"), |said| said.detail.clone());
    let code = said.map(|said| said.code).unwrap_or_default();
    let exit = match status {
        401 | 403 => Exit::Blocked,
        404 => Exit::NotFound,
        409 | 412 => Exit::Conflict,
        400 | 422 => Exit::Usage,
        502..=504 => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let error = CliError::new(exit, format!("{base} says no: {detail}"));
    match (status, code.as_str()) {
        (401, _) => error.hint(
            "an admin makes a token with `tidehelm token create NAME`, on the page, or with the server stopped on its data \
             directory; give it with --token or TIDEHELM_TOKEN",
        ),
        (403, "role_too_low") => error.hint("use a token of that role: `tidehelm token create NAME --role operator`"),
        (404, "") => error.hint("is it a Tidehelm server, and of this version?"),
        _ => error,
    }
}

impl From<HistoryError> for CliError {
    fn from(error: HistoryError) -> Self {
        let message = error.to_string();
        match error {
            HistoryError::Cut { .. } => CliError::new(Exit::NotFound, message)
                .hint("statuses and everything people did are kept for ever; what is cut is telemetry, see setting retention.*"),
            HistoryError::Busy | HistoryError::Log(_) => CliError::failed(message),
            HistoryError::Restore(_) => {
                CliError::new(Exit::VerificationFailed, message).hint("`tidehelm verify` names every commit that is not whole")
            }
        }
    }
}

fn fault(doing: &str, error: &CliError) -> LogFault {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let why = causes.fold(error.to_string(), |why, cause| format!("{why}: {cause}"));
    LogFault::new(doing, why)
}

fn read_only(doing: &str) -> LogFault {
    LogFault::new(doing, "this log is only read")
}

#[async_trait]
impl CommitLog for Source {
    async fn take_over(&mut self, _: NodeId) -> Result<Head, LogFault> {
        Err(read_only("cannot become the writer of the log"))
    }
    async fn append(&mut self, _: &Commit, _: &[Envelope], _: &Head) -> Result<(), AppendFault> {
        Err(AppendFault::Unavailable("this log is only read".into()))
    }
    async fn read(&mut self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        match &mut self.place {
            Place::Store { store, .. } => store.read(after, limit).await,
            Place::Server(server) => {
                let doing = "cannot read the log";
                let bytes = server.bytes(&format!("/api/log?after={after}&limit={limit}"));
                let bytes = bytes.map_err(|error| fault(doing, &error))?.unwrap_or_default();
                codec::read_large(&bytes).map_err(|error| LogFault::new(doing, error))
            }
        }
    }
    async fn head(&mut self) -> Result<Head, LogFault> {
        match &mut self.place {
            Place::Store { store, .. } => store.reader().head().await,
            Place::Server(server) => {
                let head = server.get::<HeadView>("/api/log/head");
                Ok(head.map_err(|error| fault("cannot read the head of the log", &error))?.head())
            }
        }
    }
    async fn renew(&mut self, _: NodeId, _: Epoch) -> Result<(), AppendFault> {
        Err(AppendFault::Unavailable("this log is only read".into()))
    }
    async fn release(&mut self, _: NodeId, _: Epoch) -> Result<(), LogFault> {
        Ok(())
    }
}

#[async_trait]
impl Depot for Source {
    async fn save(&mut self, _: &Saved) -> Result<(), LogFault> {
        Err(read_only("cannot save a snapshot"))
    }
    async fn newest(&mut self, at_or_before: Position, schema: u16) -> Result<Option<Saved>, LogFault> {
        let mut before = at_or_before;
        loop {
            let found = match &mut self.place {
                Place::Store { store, .. } => store.newest(before, schema).await?,
                Place::Server(server) => saved(server, &format!("?before={before}&schema={schema}"))?,
            };
            match found {
                Some(saved) if self.aside.contains(&saved.position) => before = Position(saved.position.0 - 1),
                found => return Ok(found),
            }
        }
    }
    async fn discard(&mut self, position: Position) -> Result<(), LogFault> {
        self.aside.insert(position);
        Ok(())
    }
    async fn list(&mut self) -> Result<Vec<(Position, Timestamp)>, LogFault> {
        match &mut self.place {
            Place::Store { store, .. } => store.list().await,
            Place::Server(_) => Ok(Vec::new()),
        }
    }
    async fn base(&mut self) -> Result<Option<Saved>, LogFault> {
        match &mut self.place {
            Place::Store { store, .. } => store.base().await,
            Place::Server(server) => saved(server, "?base=true"),
        }
    }
}

fn saved(server: &Server, query: &str) -> Result<Option<Saved>, LogFault> {
    let doing = "cannot read a snapshot";
    let bytes = server.bytes(&format!("/api/log/fold{query}")).map_err(|error| fault(doing, &error))?;
    let wire = bytes.map(|bytes| codec::read_large::<SavedWire>(&bytes)).transpose();
    Ok(wire.map_err(|error| LogFault::new(doing, error))?.map(SavedWire::saved))
}
