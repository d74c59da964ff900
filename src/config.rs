//! What is this desk told to do, and who said so?
//!
//! Three layers, the later wins: a TOML file, the environment (`TIDEHELM_SECTION__KEY`), flags
//! (`--set section.key=value`). No setting is required. [`setting::SETTINGS`] is the one list of keys, with their
//! defaults, help and limits; the structs here are the same list as types. [`Config::default`] reads the list into the
//! structs, and since no field of theirs is optional and no key of the list may be left over, neither can be ahead of
//! the other. To add a setting is to add one line to the list and one field here.

mod load;
pub mod setting;
mod show;
mod suggest;
#[cfg(test)]
mod tests;
mod unit;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use load::{ConfigError, Loaded, Origin, Problem, assignment, environment};
pub use show::{Row, masked, template};
pub use unit::{Bytes, Millis, UnitError};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data: Data,
    pub store: Store,
    pub http: Http,
    pub terminals: Terminals,
    pub secrets: Secrets,
    pub stop: Stop,
    pub journal: Journal,
    pub actors: Actors,
    pub retention: Retention,
    pub snapshots: Snapshots,
    pub alerts: Alerts,
    pub log: Log,
    pub desk: Desk,
    pub endpoints: Endpoints,
    pub proxy: Proxy,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub url: StoreUrl,
    pub lease: Millis,
    pub stall_after: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub bind: SocketAddr,
    pub tls_cert: PathBuf,
    pub tls_key: PathBuf,
    pub behind_tls_proxy: bool,
    pub auth: Auth,
    pub workers: usize,
    pub body_limit: Bytes,
    pub allowed_origins: Vec<String>,
    pub sse_clients_max: usize,
    pub ws_clients_max: usize,
    pub ws_window: Bytes,
    pub ws_ping_every: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminals {
    pub uplink: String,
    pub session: String,
    pub feed: String,
    pub allow_plain: bool,
    pub feed_beyond: bool,
    pub connections_max: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    pub ca_file: PathBuf,
}

impl Endpoints {
    /// Authorities of one's own, if there are any.
    pub fn own_authorities(&self) -> Option<&Path> {
        (!self.ca_file.as_os_str().is_empty()).then_some(&self.ca_file)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub master_key_file: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    pub emergency_log: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    pub telemetry_wait: Millis,
    pub batch_events_max: usize,
    pub open_events_max: usize,
    pub inflight_commands_max: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actors {
    pub mailbox: usize,
    pub timeout_tick: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub telemetry_age: Millis,
    pub telemetry_size: Bytes,
    pub requests_age: Millis,
    pub requests_max: u64,
    pub request_days_age: Millis,
    pub check_every: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshots {
    pub every_events: u64,
    pub every: Millis,
    pub keep_hourly: usize,
    pub keep_daily: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    pub look_every: Millis,
    pub allow_private: bool,
    pub send_timeout: Millis,
    pub backup_dir: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desk {
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    pub require_key: RequireKey,
    pub body_limit: Bytes,
    pub bodies_max: Bytes,
    pub queue_max: usize,
    pub queue_wait: Millis,
    pub untold_max: usize,
    pub durable_answers: bool,
    pub trusted_proxies: Vec<String>,
}

/// Whether a client of the proxy needs a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequireKey {
    /// As `http.auth` has it.
    Auto,
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    Required,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    Pretty,
    Json,
}

/// Where the log is kept, or empty for SQLite in the data directory. It may hold a password, so it shows itself masked
/// and only `as_str` gives it away.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The whole URL, password included: for the connection, never for a log line.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({:?})", masked(&self.0))
    }
}

impl Http {
    /// The certificate and its key, if this server is to speak TLS itself.
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        let given = |path: &PathBuf| !path.as_os_str().is_empty();
        (given(&self.tls_cert) && given(&self.tls_key)).then_some((&self.tls_cert, &self.tls_key))
    }

    /// True if only this machine can reach the address it listens on.
    pub fn is_loopback(&self) -> bool {
        self.bind.ip().to_canonical().is_loopback()
    }
}

macro_rules! defaults {
    ($($section:ident $field:ident),* $(,)?) => {$(
        impl Default for $section {
            fn default() -> Self {
                Config::default().$field
            }
        }
    )*};
}
defaults!(Data data, Store store, Http http, Secrets secrets, Journal journal, Actors actors, Retention retention, Snapshots snapshots, Log log, Desk desk, Proxy proxy);

impl Config {
    /// True if clients of the proxy need a key.
    pub fn requires_key(&self) -> bool {
        match self.proxy.require_key {
            RequireKey::Auto => self.http.auth == Auth::Required,
            RequireKey::Yes => true,
            RequireKey::No => false,
        }
    }

    /// Where the master key is: beside the data directory where nothing is said, so that a copy of the one does not bring
    /// the other along.
    pub fn master_key_file(&self) -> PathBuf {
        if !self.secrets.master_key_file.as_os_str().is_empty() {
            return self.secrets.master_key_file.clone();
        }
        master_key_beside(&self.data.dir)
    }

    /// Where STOP is written while the log cannot be.
    pub fn emergency_log(&self) -> PathBuf {
        match self.stop.emergency_log.as_os_str().is_empty() {
            true => self.data.dir.join("emergency.log"),
            false => self.stop.emergency_log.clone(),
        }
    }
}

/// `x.keys/master.key` beside a data directory `x`.
pub fn master_key_beside(dir: &Path) -> PathBuf {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    let mut name = dir.file_name().unwrap_or("tidehelm".as_ref()).to_os_string();
    name.push(".keys");
    dir.with_file_name(name).join("master.key")
}

impl Default for Config {
    fn default() -> Self {
        load::defaults()
    }
}

/// Refused if others can reach the server without both TLS and authentication. A TLS proxy in front counts as TLS, and
/// as others: it is there to let them in.
pub fn check_exposure(config: &Config) -> Result<(), ConfigError> {
    check_terminals(&config.terminals)?;
    let http = &config.http;
    if http.is_loopback() && !http.behind_tls_proxy {
        return Ok(());
    }
    let mut missing = Vec::new();
    if http.tls().is_none() && !http.behind_tls_proxy {
        missing.push(
            "TLS (set http.tls_cert and http.tls_key, \
             or http.behind_tls_proxy = true if a proxy in front of this server ends TLS)",
        );
    }
    if http.auth == Auth::Off {
        missing.push("authentication (set http.auth = \"required\")");
    }
    if http.auth == Auth::Required && !config.requires_key() {
        missing.push("keys of the proxy's clients (set proxy.require_key = \"yes\")");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" and without ");
    Err(ConfigError::Exposed(if http.is_loopback() {
        format!(
            "refusing to serve behind a proxy without {missing}; \
             or set http.behind_tls_proxy = false if only this machine is to reach it"
        )
    } else {
        format!(
            "refusing to listen on {}, which other machines can reach, without {missing}; \
             or listen on this machine only with http.bind = \"127.0.0.1:{}\"",
            http.bind,
            http.bind.port()
        )
    }))
}

/// Refuses sockets for terminals that others could read along on, unless somebody said so.
fn check_terminals(terminals: &Terminals) -> Result<(), ConfigError> {
    let beyond = |text: &str| {
        let exposed = |address: &&str| {
            let host = address.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).map(|(host, _)| host);
            host.is_some_and(|host| {
                let host = host.trim_matches(['[', ']']);
                host != "localhost" && host.parse::<std::net::IpAddr>().is_ok_and(|ip| !ip.is_loopback()) || host == "*"
            })
        };
        text.split([' ', ',']).find(exposed).map(str::to_string)
    };
    for (key, text) in [("terminals.uplink", &terminals.uplink), ("terminals.session", &terminals.session)] {
        if let Some(address) = beyond(text).filter(|_| !terminals.allow_plain) {
            return Err(ConfigError::Exposed(format!(
                "refusing to listen for terminals on {address}, which other machines can reach and read along on; use \
                 tls+tcp:// in {key}, or set terminals.allow_plain = true if the network is yours alone"
            )));
        }
    }
    match terminals.feed.split([' ', ',']).find(|address| beyond(address).is_some() || is_beyond_tls(address)) {
        Some(address) if !terminals.feed_beyond => Err(ConfigError::Exposed(format!(
            "refusing to publish the feed of business events on {address}, where anybody could read it; set \
             terminals.feed_beyond = true if that is wanted"
        ))),
        _ => Ok(()),
    }
}

fn is_beyond_tls(address: &str) -> bool {
    address.strip_prefix("tls+tcp://").is_some_and(|rest| !rest.starts_with("127.") && !rest.starts_with("localhost"))
}
