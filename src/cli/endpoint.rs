//! `tidehelm endpoint`: upstream services that the desk watches, over a server's API.

use super::Shared;
use super::filter::encoded;
use super::output::{CliError, Column, Done, Exit, Output, print, print_one};
use super::target::Target;
use crate::source::Server;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::io::Read;
use tidehelm_events::id::EndpointId;

#[derive(Args)]
#[command(
    after_help = "They are asked of a running server: --url, or TIDEHELM_URL. An endpoint is named by its name or its id.\n\n\
                  Examples:\n  tidehelm endpoint add 'GPU box' http://192.0.2.7:8000 --secret-from key.txt\n  tidehelm endpoint list\n  \
                  tidehelm endpoint set 'GPU box' --health-interval 10 --weight 200\n  tidehelm endpoint test http://192.0.2.8:11434\n  \
                  tidehelm endpoint reset 'GPU box'"
)]
pub struct Endpoint {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum What {
    /// Every endpoint, and how it is
    List,
    /// One endpoint with its settings
    Show { endpoint: String },
    /// Register an endpoint; nobody has to be there yet
    Add {
        name: String,
        base_url: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Change an endpoint; what is not said stays
    Set {
        endpoint: String,
        #[arg(long)]
        name: Option<String>,
        /// Another address needs the secret anew
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        #[command(flatten)]
        settings: Settings,
        /// Only if it is still at this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Remove an endpoint; what it did stays counted
    Remove {
        endpoint: String,
        /// Only if it is still at this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Ask an endpoint now, or an address that is not registered
    Test {
        /// A name, an id, or an address
        endpoint: String,
        /// A file with what opens an address that is not registered; `-` is standard input
        #[arg(long, value_name = "FILE")]
        secret_from: Option<String>,
    },
    /// Take in the models that an endpoint has now
    Sync { endpoint: String },
    /// Forget the failures of an endpoint and ask it at once
    Reset { endpoint: String },
}

#[derive(Args)]
struct Settings {
    /// xllm, lm_studio, ollama, vllm, llama_cpp, openai_compatible or http; `auto`: what it answers says it
    #[arg(long)]
    kind: Option<String>,
    /// A file with what opens it; `-` is standard input. It is sealed, and never shown again
    #[arg(long, value_name = "FILE")]
    secret_from: Option<String>,
    /// It needs none any more
    #[arg(long, conflicts_with = "secret_from")]
    no_secret: bool,
    /// All of them, with commas between
    #[arg(long, value_delimiter = ',')]
    tags: Option<Vec<String>>,
    #[arg(long)]
    notes: Option<String>,
    /// chat, completions, embeddings, responses, vision, tools; empty: whatever is asked of it
    #[arg(long, value_delimiter = ',')]
    capabilities: Option<Vec<String>>,
    /// Seconds between two probes
    #[arg(long, value_name = "SECONDS")]
    health_interval: Option<u32>,
    #[arg(long, value_name = "SECONDS")]
    probe_timeout: Option<u32>,
    #[arg(long, value_name = "SECONDS")]
    inference_timeout: Option<u32>,
    /// So many successes in a row bring it back
    #[arg(long, value_name = "COUNT")]
    success_threshold: Option<u32>,
    /// After so many failures in a row it is offline
    #[arg(long, value_name = "COUNT")]
    failure_threshold: Option<u32>,
    /// 100 is usual; one with 200 is worth twice as much
    #[arg(long)]
    weight: Option<u32>,
    /// Requests at a time; 0: no limit
    #[arg(long, value_name = "COUNT")]
    in_flight_max: Option<u32>,
}

/// What can be set, as it stands in the API.
const FIELDS: [&str; 12] = [
    "name",
    "base_url",
    "tags",
    "notes",
    "capabilities",
    "health_interval_seconds",
    "probe_timeout_seconds",
    "inference_timeout_seconds",
    "success_threshold",
    "failure_threshold",
    "weight",
    "in_flight_max",
];

const ENDPOINTS: &[Column] = &[
    Column { header: "name", field: "name" },
    Column { header: "status", field: "status" },
    Column { header: "kind", field: "kind" },
    Column { header: "address", field: "base_url" },
    Column { header: "latency ms", field: "latency_ms" },
    Column { header: "models", field: "models" },
    Column { header: "requests", field: "total" },
    Column { header: "failed", field: "failed" },
    Column { header: "last error", field: "trouble" },
];
const ENDPOINT: &[Column] = &[
    Column { header: "id", field: "id" },
    Column { header: "name", field: "name" },
    Column { header: "address", field: "base_url" },
    Column { header: "status", field: "status" },
    Column { header: "kind", field: "kind" },
    Column { header: "secret", field: "has_secret" },
    Column { header: "latency ms", field: "latency_ms" },
    Column { header: "failures in a row", field: "consecutive_failures" },
    Column { header: "last error", field: "trouble" },
    Column { header: "models", field: "models" },
    Column { header: "requests", field: "total" },
    Column { header: "failed", field: "failed" },
    Column { header: "tags", field: "tags" },
    Column { header: "notes", field: "notes" },
    Column { header: "capabilities", field: "capabilities" },
    Column { header: "health interval s", field: "health_interval_seconds" },
    Column { header: "probe timeout s", field: "probe_timeout_seconds" },
    Column { header: "inference timeout s", field: "inference_timeout_seconds" },
    Column { header: "success threshold", field: "success_threshold" },
    Column { header: "failure threshold", field: "failure_threshold" },
    Column { header: "weight", field: "weight" },
    Column { header: "in flight max", field: "in_flight_max" },
    Column { header: "version", field: "version" },
];
const TESTED: &[Column] = &[
    Column { header: "ok", field: "ok" },
    Column { header: "latency ms", field: "latency_ms" },
    Column { header: "kind", field: "kind" },
    Column { header: "server version", field: "server_version" },
    Column { header: "models", field: "models" },
    Column { header: "failure", field: "failure" },
    Column { header: "http status", field: "http_status" },
    Column { header: "detail", field: "detail" },
];
const MODELS: &[Column] = &[Column { header: "model", field: "id" }, Column { header: "context", field: "context" }];

impl Endpoint {
    pub fn run(self, shared: &Shared) -> Done {
        let server = &server(&self.target, shared)?;
        let done = match self.what {
            What::List => {
                let known: Value = server.get("/api/endpoints")?;
                return table(ENDPOINTS, array(&known["endpoints"]).into_iter().map(readable).collect(), shared);
            }
            What::Show { endpoint } => server.get(&path(server, &endpoint)?)?,
            What::Add { name, base_url, settings } => {
                let mut wish = Map::from_iter([("name".into(), json!(name)), ("base_url".into(), json!(base_url))]);
                settings.put_into(&mut wish)?;
                server.send("POST", "/api/endpoints", Some(&wish.into()))?
            }
            What::Set { endpoint, name, base_url, settings, if_version } => {
                let path = path(server, &endpoint)?;
                let known: Value = server.get(&path)?;
                let mut wish: Map<_, _> =
                    FIELDS.map(|field| (field.into(), known[field].clone())).into_iter().collect();
                wish.insert("kind".into(), known["kind_set"].clone());
                put(&mut wish, "name", name);
                put(&mut wish, "base_url", base_url);
                settings.put_into(&mut wish)?;
                server.send_seen("PUT", &path, Some(&wish.into()), version(if_version, &known))?
            }
            What::Remove { endpoint, if_version } => {
                let path = path(server, &endpoint)?;
                let known: Value = server.get(&path)?;
                server.send_seen("DELETE", &path, None, version(if_version, &known))?;
                return said(&format!("{endpoint} was removed"), shared);
            }
            What::Test { endpoint, secret_from } => return test(server, &endpoint, secret_from.as_deref(), shared),
            What::Sync { endpoint } => {
                let models = server.send("POST", &format!("{}/sync", path(server, &endpoint)?), None)?;
                return match shared.output {
                    Output::Json => super::print(&format!("{models}\n")),
                    Output::Table | Output::Csv => table(MODELS, array(&models["models"]), shared),
                };
            }
            What::Reset { endpoint } => server.send("POST", &format!("{}/reset", path(server, &endpoint)?), None)?,
        };
        one(ENDPOINT, done, shared)
    }
}

impl Settings {
    fn put_into(self, wish: &mut Map<String, Value>) -> Result<(), CliError> {
        let kind = self.kind.map(|kind| if kind == "auto" { Value::Null } else { kind.into() });
        put(wish, "kind", kind);
        put(wish, "secret", self.secret_from.as_deref().map(secret).transpose()?);
        put(wish, "secret", self.no_secret.then_some(Value::Null));
        put(wish, "tags", self.tags.map(without_empty));
        put(wish, "notes", self.notes);
        put(wish, "capabilities", self.capabilities.map(without_empty));
        put(wish, "health_interval_seconds", self.health_interval);
        put(wish, "probe_timeout_seconds", self.probe_timeout);
        put(wish, "inference_timeout_seconds", self.inference_timeout);
        put(wish, "success_threshold", self.success_threshold);
        put(wish, "failure_threshold", self.failure_threshold);
        put(wish, "weight", self.weight);
        put(wish, "in_flight_max", self.in_flight_max);
        Ok(())
    }
}

fn put(wish: &mut Map<String, Value>, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        wish.insert(field.into(), value.into());
    }
}

/// `--tags ''` means none.
fn without_empty(list: Vec<String>) -> Vec<String> {
    list.into_iter().filter(|item| !item.is_empty()).collect()
}

/// The first line of a file. On the command line everybody on the machine could read it.
fn secret(file: &str) -> Result<Value, CliError> {
    let unread = |error| CliError::usage(format!("cannot read the secret from {file}")).caused_by(error);
    let text = match file {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(unread)?;
            text
        }
        _ => std::fs::read_to_string(file).map_err(unread)?,
    };
    Ok(text.lines().next().unwrap_or_default().trim().into())
}

fn version(said: Option<u64>, known: &Value) -> u64 {
    said.or(known["version"].as_u64()).unwrap_or(0)
}

/// Where an endpoint is in the API, by its id or its name.
fn path(server: &Server, endpoint: &str) -> Result<String, CliError> {
    if EndpointId::parse(endpoint).is_some() {
        return Ok(format!("/api/endpoints/{}", encoded(endpoint)));
    }
    let known: Value = server.get("/api/endpoints")?;
    let name = endpoint.to_lowercase();
    let named = array(&known["endpoints"])
        .into_iter()
        .find(|known| known["name"].as_str().is_some_and(|known| known.to_lowercase() == name));
    let id = named.as_ref().and_then(|known| known["id"].as_str());
    let unknown = || {
        CliError::new(Exit::NotFound, format!("there is no endpoint {endpoint}"))
            .hint("`tidehelm endpoint list` shows their names")
    };
    id.map(|id| format!("/api/endpoints/{id}")).ok_or_else(unknown)
}

fn test(server: &Server, endpoint: &str, secret_from: Option<&str>, shared: &Shared) -> Done {
    let tested = if endpoint.contains("://") {
        let mut wish = Map::from_iter([("base_url".to_string(), json!(endpoint))]);
        put(&mut wish, "secret", secret_from.map(secret).transpose()?);
        server.send("POST", "/api/endpoints/test", Some(&wish.into()))?
    } else if secret_from.is_some() {
        return Err(CliError::usage("an endpoint that is registered is tested with its own secret"));
    } else {
        server.send("POST", &format!("{}/test", path(server, endpoint)?), None)?
    };
    let ok = tested["ok"] == true;
    one(TESTED, tested, shared)?;
    Ok(if ok { Exit::Ok } else { Exit::Failed })
}

fn server(target: &Target, shared: &Shared) -> Result<Server, CliError> {
    target.server(shared)?.ok_or_else(|| {
        CliError::usage("endpoints are watched by a running server")
            .hint("name it: --url http://127.0.0.1:8787, or TIDEHELM_URL")
    })
}

fn one(columns: &[Column], record: Value, shared: &Shared) -> Done {
    let shown = if shared.output == Output::Json { record } else { readable(record) };
    print_one(&mut std::io::stdout(), shared.output, columns, &shown)?;
    Ok(Exit::Ok)
}

fn table(columns: &[Column], rows: Vec<Value>, shared: &Shared) -> Done {
    print(&mut std::io::stdout(), shared.output, columns, &rows)?;
    Ok(Exit::Ok)
}

/// Lists as words, and the last error as a sentence while it is one.
fn readable(mut record: Value) -> Value {
    for field in ["tags", "capabilities", "models"] {
        if let Some(list) = record[field].as_array() {
            let words: Vec<&str> = list.iter().filter_map(|item| item.as_str().or(item["id"].as_str())).collect();
            record[field] = if words.is_empty() { Value::Null } else { words.join(" ").into() };
        }
    }
    let error = &record["last_error"];
    if error.is_object() {
        let (failure, detail) = (error["failure"].as_str().unwrap_or(""), error["detail"].as_str().unwrap_or(""));
        record["trouble"] =
            [failure, detail].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(": ").into();
    }
    record
}

fn array(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn said(text: &str, shared: &Shared) -> Done {
    match shared.output {
        Output::Json => super::print(&format!("{}\n", json!({"done": text}))),
        Output::Table | Output::Csv => super::print(&format!("{text}\n")),
    }
}
