//! Who said what? The layers, one over the other, and every complaint about them at once.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::setting::{self, SECTIONS, SETTINGS, Setting};
use super::suggest;

/// The configuration, and for every key who set it.
pub struct Loaded {
    pub config: Config,
    pub origins: BTreeMap<String, Origin>,
    pub(super) values: BTreeMap<&'static str, Value>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Env { name: String },
    Flag,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}", listed(.0))]
    Problems(Vec<Problem>),
    #[error("{0}")]
    Exposed(String),
}

/// One thing that is wrong, and who said it. Holds no value that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    pub message: String,
    /// What was probably meant, in the words of the origin.
    pub meant: Option<String>,
}

const PREFIX: &str = "TIDEHELM_";

/// The variables of this process that may be settings. One that is not Unicode is kept, with its damage shown.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX))
}

/// The key and value of `--set section.key=value`. Whether the key is known is asked when the layers are loaded.
pub fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().into(), value.into())),
        _ => Err("expected section.key=value, such as http.bind=127.0.0.1:9000".into()),
    }
}

/// The configuration if nobody says anything.
pub(super) fn defaults() -> Config {
    typed(&Layers::of_defaults().values).expect("the list of settings and the structs agree")
}

impl Loaded {
    /// The settings of the file, the environment and the flags over the defaults, or everything that is wrong with them.
    /// Variables that do not start with `TIDEHELM_` and the name of a section are left to others.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Loaded, ConfigError> {
        let Some(path) = file else { return Loaded::of(None, env, flags) };
        match std::fs::read_to_string(path) {
            Ok(text) => Loaded::of(Some((path, &text)), env, flags),
            Err(source) => Err(ConfigError::File { path: path.into(), source }),
        }
    }

    /// The same, from the text of the file.
    pub fn of(
        file: Option<(&Path, &str)>,
        env: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Loaded, ConfigError> {
        let mut layers = Layers::of_defaults();
        if let Some((path, text)) = file {
            layers.lay_file(path, text);
        }
        // Sorted, so that the complaints are too.
        for (name, text) in env.collect::<BTreeMap<_, _>>() {
            layers.lay_variable(&name, &text);
        }
        for (key, text) in flags {
            layers.lay_flag(key, text);
        }
        layers.finish()
    }
}

struct Layers {
    values: BTreeMap<&'static str, Value>,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl Layers {
    fn of_defaults() -> Layers {
        Layers {
            values: SETTINGS.iter().map(|setting| (setting.key, setting.default_value())).collect(),
            origins: SETTINGS.iter().map(|setting| (setting.key.to_owned(), Origin::Default)).collect(),
            problems: Vec::new(),
        }
    }

    fn lay_file(&mut self, path: &Path, text: &str) {
        let origin = |at: usize| Origin::File { path: path.into(), line: line_of(text, at) };
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                // Only the message: the whole error shows the line, which may hold a password.
                self.complain(origin(error.span().map_or(0, |span| span.start)), error.message(), None);
            }
            return;
        }
        for (section, body) in in_order(document.get_ref()) {
            let at = origin(section.span().start);
            let name = section.get_ref().as_ref();
            if !SECTIONS.iter().any(|(known, _)| *known == name) {
                self.complain_of_section(name, matches!(body.get_ref(), DeValue::Table(_)), at);
                continue;
            }
            let DeValue::Table(body) = body.get_ref() else {
                let message = format!("{name} is a section; expected [{name}] with its keys on the lines below");
                self.complain(at, message, None);
                continue;
            };
            for (key, value) in in_order(body) {
                let at = origin(key.span().start);
                let key = format!("{name}.{}", key.get_ref());
                match setting::find(&key) {
                    Some(setting) => self.lay(setting, plain(value.get_ref()), at),
                    None => self.complain_of_key(&key, at),
                }
            }
        }
    }

    fn lay_variable(&mut self, name: &str, text: &str) {
        let Some(rest) = name.strip_prefix(PREFIX) else { return };
        let origin = Origin::Env { name: name.into() };
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.env() == name) {
            self.lay(setting, setting.kind.read(text), origin);
            return;
        }
        let key = rest.to_lowercase().replacen("__", ".", 1);
        let in_section = |(section, _): &(&str, &str)| {
            key.strip_prefix(section).is_some_and(|after| after.starts_with('.') || after.starts_with('_'))
        };
        // Variables such as TIDEHELM_TOKEN belong to commands; TIDEHELM_HTTP_BIND was meant for us.
        if key.contains('.') || SECTIONS.iter().any(in_section) {
            let key = if key.contains('.') { key } else { key.replacen('_', ".", 1) };
            let meant = nearest(&key).map(Setting::env);
            self.complain(origin, "unknown setting", meant);
        }
    }

    fn lay_flag(&mut self, key: &str, text: &str) {
        match setting::find(key) {
            Some(setting) => self.lay(setting, setting.kind.read(text), Origin::Flag),
            None => self.complain_of_key(key, Origin::Flag),
        }
    }

    fn lay(&mut self, setting: &'static Setting, value: Value, origin: Origin) {
        match setting.kind.check(&value) {
            Ok(()) => {
                self.values.insert(setting.key, value);
                self.origins.insert(setting.key.into(), origin);
            }
            Err(fault) => self.complain(origin, format!("{}: {fault}", setting.key), None),
        }
    }

    fn complain(&mut self, origin: Origin, message: impl Into<String>, meant: Option<String>) {
        self.problems.push(Problem { origin, message: message.into(), meant });
    }

    fn complain_of_key(&mut self, key: &str, origin: Origin) {
        let meant = nearest(key).map(|setting| setting.key.to_owned());
        self.complain(origin, format!("unknown key {key}"), meant);
    }

    fn complain_of_section(&mut self, name: &str, is_table: bool, origin: Origin) {
        if is_table {
            let meant = suggest::word(name, SECTIONS.iter().map(|(section, _)| *section));
            self.complain(origin, format!("unknown section [{name}]"), meant.map(|section| format!("[{section}]")));
        } else if setting::find(name).is_some() {
            self.complain(origin, format!("{name} is in quotes; a key is written without them"), None);
        } else {
            self.complain_of_key(name, origin);
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        if self.problems.is_empty() {
            let config = typed(&self.values).expect("checked values fit the structs");
            self.compare(&config);
            if self.problems.is_empty() {
                return Ok(Loaded { config, origins: self.origins, values: self.values });
            }
        }
        Err(ConfigError::Problems(self.problems))
    }

    /// Complains of values that are right alone and wrong together. Each is laid to the one that was set, or to the one
    /// that was set last.
    fn compare(&mut self, config: &Config) {
        let (cert, key) = (&config.http.tls_cert, &config.http.tls_key);
        if cert.as_os_str().is_empty() != key.as_os_str().is_empty() {
            let message = "http.tls_cert and http.tls_key must be set together";
            self.complain_of_pair(["http.tls_cert", "http.tls_key"], message.into());
        }
        let (stall, lease) = (config.store.stall_after, config.store.lease);
        if stall >= lease {
            let message = format!("store.stall_after ({stall}) must be shorter than store.lease ({lease})");
            self.complain_of_pair(["store.stall_after", "store.lease"], message);
        }
        let (batch, open) = (config.journal.batch_events_max, config.journal.open_events_max);
        if batch > open {
            let message =
                format!("journal.batch_events_max ({batch}) must be at most journal.open_events_max ({open})");
            self.complain_of_pair(["journal.batch_events_max", "journal.open_events_max"], message);
        }
    }

    fn complain_of_pair(&mut self, keys: [&str; 2], message: String) {
        let [first, second] = keys.map(|key| &self.origins[key]);
        let origin = if rank(second) > rank(first) { second } else { first }.clone();
        self.complain(origin, message, None);
    }
}

fn nearest(key: &str) -> Option<&'static Setting> {
    suggest::key(key, SETTINGS.iter().map(|setting| setting.key)).and_then(setting::find)
}

fn rank(origin: &Origin) -> usize {
    match origin {
        Origin::Default => 0,
        Origin::File { line, .. } => *line,
        Origin::Env { .. } => usize::MAX - 1,
        Origin::Flag => usize::MAX,
    }
}

/// The values as structs. Fails only if the list of settings and the structs do not agree.
fn typed(values: &BTreeMap<&'static str, Value>) -> Result<Config, serde_json::Error> {
    let mut sections = Map::new();
    for (key, value) in values {
        let (section, name) = key.split_once('.').unwrap_or((key, ""));
        let section = sections.entry(section).or_insert_with(|| Value::Object(Map::new()));
        section[name] = value.clone();
    }
    serde_json::from_value(Value::Object(sections))
}

/// The value without its place. Dates are no setting's kind; as null they are complained of.
fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(switch) => (*switch).into(),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => integer.into(),
            Err(_) => integer.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        },
        DeValue::Float(float) => float.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Array(items) => items.iter().map(|item| plain(item.get_ref())).collect::<Vec<_>>().into(),
        DeValue::Table(_) => Value::Object(Map::new()),
        DeValue::Datetime(_) => Value::Null,
    }
}

type Entry<'t, 'i> = (&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

/// The entries of the table in the order of the file.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<Entry<'t, 'i>> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn listed(problems: &[Problem]) -> String {
    match problems {
        [problem] => problem.to_string(),
        problems => {
            let mut text = format!("the configuration has {} problems", problems.len());
            for problem in problems {
                text.push_str(&format!("\n  {problem}"));
            }
            text
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)?;
        match &self.meant {
            Some(meant) => write!(f, "; did you mean {meant}?"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Env { name } => write!(f, "env {name}"),
            Origin::Flag => f.write_str("flag"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
