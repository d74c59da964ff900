//! Which settings are there, and what may they be?

use std::net::SocketAddr;

use serde_json::Value;
use tracing_subscriber::EnvFilter;

use super::unit::{Bytes, Millis};

/// One setting. `default` is written as it would be in the environment.
pub struct Setting {
    pub key: &'static str,
    pub default: &'static str,
    pub help: &'static str,
    pub kind: Kind,
}

pub enum Kind {
    Text { chars_max: usize },
    Path,
    PathOrEmpty,
    Switch,
    Count { min: u64, max: u64 },
    Duration { min: Millis, max: Millis },
    Size { min: Bytes, max: Bytes },
    Choice(&'static [&'static str]),
    Address,
    Origins,
    StoreUrl,
    LogFilter,
    Networks,
}

/// The sections in the order they are shown, each with the question it answers.
pub const SECTIONS: &[(&str, &str)] = &[
    ("data", "Where are the files?"),
    ("store", "Where is the log of events, and how is its one writer held?"),
    ("http", "Who may reach the desk, and how?"),
    ("terminals", "Where do terminals reach the desk?"),
    ("secrets", "Where is the key to what is sealed?"),
    ("stop", "Where is STOP written while the log cannot be?"),
    ("journal", "How are events gathered into commits?"),
    ("actors", "How long may queues grow, how fine is time?"),
    ("retention", "When is telemetry cut, and when are requests forgotten? Everything else is kept for ever."),
    ("snapshots", "How much must a start read again?"),
    ("alerts", "How is the desk watched, and where may alerts be sent?"),
    ("log", "What is written to the diagnostic log?"),
    ("desk", "What is this desk called?"),
    ("endpoints", "Whose word is taken for who an endpoint is?"),
    ("proxy", "Who may use the endpoints through the desk, and how much of it?"),
];

/// Every setting, in the order it is shown.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("data.dir", "data", Kind::Path,
        "Directory of everything the desk writes. A relative path starts where the desk is started."),

    setting("store.url", "", Kind::StoreUrl,
        "Database that holds the log. Empty: SQLite in data.dir."),
    setting("store.lease", "10s", duration(Millis::seconds(1), Millis::minutes(10)),
        "How long a writer that is silent keeps its right to write; another node takes over after it."),
    setting("store.stall_after", "5s", duration(Millis::new(100), Millis::minutes(10)),
        "How long a commit may take before the desk reports the store as stalled. Must be shorter than store.lease."),

    setting("http.bind", "127.0.0.1:8787", Kind::Address,
        "Address and port to listen on. Anything but this machine needs TLS and authentication."),
    setting("http.tls_cert", "", Kind::PathOrEmpty,
        "Certificate chain (PEM). Set it together with http.tls_key to serve HTTPS."),
    setting("http.tls_key", "", Kind::PathOrEmpty,
        "Private key (PEM) of http.tls_cert."),
    setting("http.behind_tls_proxy", "false", Kind::Switch,
        "True if a proxy in front of the desk ends TLS, so that plain HTTP from it is safe."),
    setting("http.auth", "required", Kind::Choice(&["required", "off"]),
        "Whether a sign-in or token is needed. Off is possible only if nobody but this machine can reach the desk."),
    setting("http.workers", "2", count(1, 256),
        "Threads that answer HTTP."),
    setting("http.body_limit", "1MiB", size(Bytes::kib(1), Bytes::mib(256)),
        "Largest request body; a larger one is answered 413."),
    setting("http.allowed_origins", "", Kind::Origins,
        "Other web origins that may call the desk from a browser. Empty: only its own pages."),
    setting("http.sse_clients_max", "1000", count(1, 100_000),
        "Open event streams at a time; one more is answered 503."),
    setting("http.ws_clients_max", "1000", count(1, 100_000),
        "Open WebSocket sessions at a time; one more is answered 503."),
    setting("http.ws_window", "256KiB", size(Bytes::kib(16), Bytes::mib(16)),
        "Bytes that a session sends before its client shows that it reads them."),
    setting("http.ws_ping_every", "5s", duration(Millis::new(100), Millis::minutes(1)),
        "How often a session asks whether its client is there; one that does not answer three times is closed."),

    setting("terminals.uplink", "tcp://127.0.0.1:5555", Kind::Text { chars_max: 500 },
        "Where heartbeats and quotes come in: tcp://HOST:PORT, tls+tcp://HOST:PORT or ipc:///PATH, parted by spaces. Empty: nowhere."),
    setting("terminals.session", "tcp://127.0.0.1:5556", Kind::Text { chars_max: 500 },
        "Where signals, results and everything else that is answered comes in. tls+tcp needs http.tls_cert and http.tls_key."),
    setting("terminals.feed", "tcp://127.0.0.1:5557", Kind::Text { chars_max: 500 },
        "Where tools can listen to business events. Anybody who reaches it reads them."),
    setting("terminals.allow_plain", "false", Kind::Switch,
        "True if tcp:// may be bound beyond this machine: frames are signed then, but can be read on the way."),
    setting("terminals.feed_beyond", "false", Kind::Switch,
        "True if the feed may be bound beyond this machine."),
    setting("terminals.connections_max", "20000", count(1, 1_000_000),
        "Connections of each socket; one more is turned away."),

    setting("secrets.master_key_file", "", Kind::PathOrEmpty,
        "Key that opens the keys of terminals; made when it is first needed. Empty: master.key in a directory beside data.dir, which is called like it with .keys added. Never inside data.dir."),

    setting("stop.emergency_log", "", Kind::PathOrEmpty,
        "File that STOP is written to while the log cannot be. Empty: emergency.log in data.dir. On another disk than the log it survives more."),

    setting("journal.telemetry_wait", "20ms", duration(Millis::new(0), Millis::seconds(10)),
        "How long telemetry alone may wait for company before it is committed. Anything else goes at once."),
    setting("journal.batch_events_max", "20000", count(1, 1_000_000),
        "Events in one commit. At most journal.open_events_max."),
    setting("journal.open_events_max", "100000", count(1, 10_000_000),
        "Events accepted and not yet durable; past it commands are told to try again."),
    setting("journal.inflight_commands_max", "100000", count(1, 10_000_000),
        "Commands waiting for their answer; past it new ones are told to try again."),

    setting("actors.mailbox", "256", count(1, 1_000_000),
        "Messages that may wait for one actor."),
    setting("actors.timeout_tick", "250ms", duration(Millis::new(1), Millis::minutes(1)),
        "How often deadlines are looked at: how late a lost link may be noticed."),

    setting("retention.telemetry_age", "24h", duration(Millis::minutes(1), Millis::hours(24 * 3660)),
        "Telemetry older than this is cut."),
    setting("retention.telemetry_size", "20GiB", size(Bytes::mib(1), Bytes::gib(1 << 20)),
        "Telemetry beyond this size is cut, oldest first. Whichever limit is met first counts."),
    setting("retention.requests_age", "720h", duration(Millis::minutes(1), Millis::hours(24 * 3660)),
        "Requests older than this are removed from their table. Totals and days stay."),
    setting("retention.requests_max", "10000000", count(1_000, 10_000_000_000),
        "Rows that the table of requests keeps at most; the oldest go first."),
    setting("retention.request_days_age", "87840h", duration(Millis::hours(24), Millis::hours(24 * 3660)),
        "Daily sums of requests older than this are removed from their table."),
    setting("retention.check_every", "5m", duration(Millis::seconds(1), Millis::hours(24)),
        "How often these limits are looked at."),

    setting("snapshots.every_events", "200000", count(1, 1_000_000_000),
        "A snapshot is written after this many events."),
    setting("snapshots.every", "5m", duration(Millis::seconds(1), Millis::hours(24 * 7)),
        "A snapshot is written after this time, if anything happened."),
    setting("snapshots.keep_hourly", "24", count(0, 10_000),
        "Snapshots kept, one for each of the last hours. The newest is always kept."),
    setting("snapshots.keep_daily", "30", count(0, 10_000),
        "Snapshots kept, one for each of the last days."),

    setting("alerts.look_every", "1s", duration(Millis::new(50), Millis::minutes(1)),
        "How often conditions are looked at where nothing happens; what happens is looked at at once."),
    setting("alerts.allow_private", "false", Kind::Switch,
        "True if alerts may be sent to addresses of this machine and of private networks."),
    setting("alerts.send_timeout", "10s", duration(Millis::new(100), Millis::minutes(2)),
        "How long one try to hand a message over may take."),
    setting("alerts.backup_dir", "", Kind::PathOrEmpty,
        "Directory of backups, whose newest entry says when the last one was made. Empty: nobody watches for backups."),

    setting("log.format", "auto", Kind::Choice(&["auto", "pretty", "json"]),
        "Form of a log line. Auto: pretty on a terminal, JSON elsewhere."),
    setting("log.level", "info", Kind::LogFilter,
        "What is logged: a level, or levels for modules."),

    setting("desk.name", "Tidehelm", Kind::Text { chars_max: 64 },
        "Name that a new desk gets; later it is changed in the settings of the desk."),

    setting("endpoints.ca_file", "", Kind::PathOrEmpty,
        "PEM file with certificate authorities of your own, for endpoints over https, besides the usual ones."),

    setting("proxy.require_key", "auto", Kind::Choice(&["auto", "yes", "no"]),
        "Whether clients of /v1 need a key (`tidehelm key issue`). Auto: unless http.auth is off."),
    setting("proxy.body_limit", "20MiB", size(Bytes::kib(1), Bytes::mib(256)),
        "Largest request body of /v1; a larger one is answered 413."),
    setting("proxy.bodies_max", "512MiB", size(Bytes::mib(1), Bytes::gib(1 << 10)),
        "Request bodies of /v1 held at a time, all together; past it clients are told to try again."),
    setting("proxy.queue_max", "1000", count(0, 1_000_000),
        "Requests that may wait for an endpoint that has room; one more is answered 429."),
    setting("proxy.queue_wait", "10s", duration(Millis::new(0), Millis::minutes(10)),
        "How long a request waits for room; then it is answered 429."),
    setting("proxy.untold_max", "50000", count(1, 10_000_000),
        "Requests under way or not yet in the log; past it new ones are answered 503, for none goes uncounted."),
    setting("proxy.durable_answers", "false", Kind::Switch,
        "True if the last byte of an answer waits until the log has the request. It costs one commit."),
    setting("proxy.trusted_proxies", "", Kind::Networks,
        "Addresses or networks of proxies whose X-Forwarded-For is believed. Empty: the connection's address is the client's."),
];

/// The setting of this key.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

const fn setting(key: &'static str, default: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting { key, default, help, kind }
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

const fn duration(min: Millis, max: Millis) -> Kind {
    Kind::Duration { min, max }
}

const fn size(min: Bytes, max: Bytes) -> Kind {
    Kind::Size { min, max }
}

impl Setting {
    /// The section of the key: `http` of `http.bind`.
    pub fn section(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(section, _)| section)
    }

    /// The key within its section: `bind` of `http.bind`.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// The name in the environment: `TIDEHELM_HTTP__BIND`.
    pub fn env(&self) -> String {
        format!("TIDEHELM_{}", self.key.replace('.', "__").to_uppercase())
    }

    /// True if the value may hold a password.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::StoreUrl)
    }

    /// The default as a value.
    pub fn default_value(&self) -> Value {
        self.kind.read(self.default)
    }
}

impl Kind {
    /// The value that a text of the environment or a flag stands for, not yet checked: a text that is no number stays a
    /// text, so that `check` can say what is wrong with it.
    pub fn read(&self, text: &str) -> Value {
        let whole = || text.replace('_', "").parse::<i64>().map(Value::from);
        match self {
            Kind::Switch => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
            Kind::Count { .. } => whole().unwrap_or_else(|_| text.into()),
            Kind::Origins | Kind::Networks => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(Value::from)
                .collect::<Vec<_>>()
                .into(),
            Kind::Text { .. }
            | Kind::Path
            | Kind::PathOrEmpty
            | Kind::Duration { .. }
            | Kind::Size { .. }
            | Kind::Choice(_)
            | Kind::Address
            | Kind::StoreUrl
            | Kind::LogFilter => text.into(),
        }
    }

    /// Nothing, or what is wrong with the value and what was expected. Never quotes a value that may hold a secret.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.fault(value).map_or(Ok(()), |fault| Err(format!("{fault}; expected {}", self.expected())))
    }

    fn fault(&self, value: &Value) -> Option<String> {
        let quoted = || format!("{value} is not");
        match (self, value) {
            (Kind::Switch, Value::Bool(_)) | (Kind::PathOrEmpty, Value::String(_)) => None,
            (Kind::StoreUrl, Value::String(url)) => {
                (!is_store_url(url)).then(|| "not the URL of a database that can hold the log".into())
            }
            (Kind::Path, Value::String(path)) => path.is_empty().then(|| "empty".into()),
            (Kind::Text { chars_max }, Value::String(text)) => text_fault(text, *chars_max),
            (Kind::Count { min, max }, Value::Number(number)) => match number.as_u64() {
                Some(count) if (*min..=*max).contains(&count) => None,
                _ => Some(format!("{number} is out of range")),
            },
            (Kind::Duration { min, max }, Value::String(text)) => match text.parse::<Millis>() {
                Ok(millis) => (!(*min..=*max).contains(&millis)).then(|| format!("{text:?} is out of range")),
                Err(error) => Some(error.to_string()),
            },
            (Kind::Size { min, max }, Value::String(text)) => match text.parse::<Bytes>() {
                Ok(bytes) => (!(*min..=*max).contains(&bytes)).then(|| format!("{text:?} is out of range")),
                Err(error) => Some(error.to_string()),
            },
            (Kind::Duration { .. } | Kind::Size { .. }, Value::Number(number)) => Some(format!("{number} has no unit")),
            (Kind::Choice(choices), Value::String(text)) => {
                (!choices.contains(&text.as_str())).then(|| format!("{} one of them", quoted()))
            }
            (Kind::Address, Value::String(text)) => {
                text.parse::<SocketAddr>().is_err().then(|| format!("{} an address and port", quoted()))
            }
            (Kind::LogFilter, Value::String(text)) => filter_fault(text),
            (Kind::Origins, Value::Array(origins)) => origins.iter().find_map(origin_fault),
            (Kind::Networks, Value::Array(networks)) => networks.iter().find_map(network_fault),
            _ => Some(format!("found {}", described(self, value))),
        }
    }

    /// What the setting may be, to follow "expected".
    pub fn expected(&self) -> String {
        match self {
            Kind::Text { chars_max } => format!("a text of 1 to {chars_max} characters"),
            Kind::Path => "a path".into(),
            Kind::PathOrEmpty => "a path, or empty".into(),
            Kind::Switch => "true or false".into(),
            Kind::Count { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Duration { min, max } => {
                format!("a duration from {min} to {max}, such as \"500ms\", \"30s\" or \"24h\"")
            }
            Kind::Size { min, max } => format!("a size from {min} to {max}, such as \"512KiB\" or \"20GiB\""),
            Kind::Choice(choices) => {
                choices.iter().map(|choice| format!("{choice:?}")).collect::<Vec<_>>().join(" or ")
            }
            Kind::Address => "an address and port, such as \"127.0.0.1:8787\" or \"[::1]:8787\"".into(),
            Kind::Origins => "a list of origins, such as [\"https://desk.example.com\"]".into(),
            Kind::Networks => "a list of addresses and networks, such as [\"10.0.0.0/8\"]".into(),
            Kind::StoreUrl => "a URL that starts with postgres://, postgresql:// or sqlite:, or empty".into(),
            Kind::LogFilter => {
                "off, error, warn, info, debug or trace, or a filter such as \"info,tidehelm=debug\"".into()
            }
        }
    }
}

fn described(kind: &Kind, value: &Value) -> String {
    match value {
        Value::String(text) if matches!(kind, Kind::Count { .. } | Kind::Switch) => format!("{text:?}"),
        Value::String(_) => "a text".into(),
        Value::Number(_) => "a number".into(),
        Value::Bool(_) => "true or false".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a table".into(),
        Value::Null => "something else".into(),
    }
}

fn text_fault(text: &str, chars_max: usize) -> Option<String> {
    if text.trim().is_empty() {
        return Some("empty".into());
    }
    if text.chars().any(char::is_control) {
        return Some("it holds a control character".into());
    }
    let chars = text.chars().count();
    (chars > chars_max).then(|| format!("it has {chars} characters"))
}

fn is_store_url(url: &str) -> bool {
    url.is_empty() || ["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| url.starts_with(scheme))
}

/// A filter would take `inof` for the name of a module and log nothing that was wanted, so a lone name is refused.
fn filter_fault(text: &str) -> Option<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    if text.trim().is_empty() {
        return Some("empty".into());
    }
    // The parser of filters panics within some letters of more than one byte.
    if !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return Some(format!("{text:?} has a letter that no filter has"));
    }
    if !text.contains('[') {
        for part in text.split(',').map(str::trim) {
            if !part.contains('=') && !LEVELS.contains(&part.to_lowercase().as_str()) {
                return Some(format!("{part:?} is not a level (for a module write \"{part}=debug\")"));
            }
        }
    }
    EnvFilter::builder().parse(text).err().map(|error| format!("{text:?} is not a filter ({error})"))
}

fn network_fault(network: &Value) -> Option<String> {
    match network {
        Value::String(text) if crate::proxy::client::network(text).is_some() => None,
        Value::String(text) => Some(format!("{text:?} is no address and no network")),
        other => Some(format!("found {} in the list", described(&Kind::Networks, other))),
    }
}

/// Origins are compared letter by letter with what a browser sends, so only that form is taken.
fn origin_fault(origin: &Value) -> Option<String> {
    let Value::String(text) = origin else {
        return Some(format!("found {} in the list", described(&Kind::Origins, origin)));
    };
    let host = match text.split_once("://") {
        Some(("https", host)) if !host.ends_with(":443") => host,
        Some(("http", host)) if !host.ends_with(":80") => host,
        Some(("https" | "http", _)) => {
            return Some(format!("{text:?} names the default port, which browsers leave out"));
        }
        _ => return Some(format!("{text:?} does not start with https:// or http://")),
    };
    if host.is_empty() || host.starts_with(':') {
        return Some(format!("{text:?} names no host"));
    }
    if host.chars().any(|c| c.is_ascii_uppercase()) {
        return Some(format!("{text:?} has capital letters, which browsers do not send"));
    }
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    host.chars().any(odd).then(|| format!("{text:?} is more than scheme, host and port"))
}
