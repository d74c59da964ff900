//! `tidehelm alert`: what is raised, who hears of it, and whether they did, over a server's API.

use super::Shared;
use super::filter::encoded;
use super::output::{CliError, Column, Done, Exit, Output, print, print_one};
use super::target::Target;
use crate::config::Millis;
use crate::source::Server;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidehelm_events::time::Timestamp;

#[derive(Args)]
#[command(
    after_help = "They are asked of a running server: --url, or TIDEHELM_URL. Rules and channels are JSON, or @FILE.\n\n\
                  Examples:\n  tidehelm alert list --url http://127.0.0.1:8787\n  tidehelm alert ack 4711 --note 'I am on it'\n  \
                  tidehelm alert mute --rule account-offline --subject 'slave/Demo_*' --for 2h --reason 'broker maintenance'\n  \
                  tidehelm alert rule set disk-low '{\"title\": \"The disk\", \"when\": \"disk_low\", \"threshold\": 10, \"severity\": \"critical\"}'\n  \
                  tidehelm alert channel set ops '{\"way\": {\"webhook\": {\"url\": \"https://hooks.example.com/desk\"}}}'\n  \
                  tidehelm alert channel test ops\n  tidehelm alert replay 4711.raised.ops"
)]
pub struct Alert {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum What {
    /// What is raised, newest first
    List {
        /// raised, cleared or all
        #[arg(long, default_value = "raised", value_parser = ["raised", "cleared", "all"])]
        state: String,
        #[arg(long)]
        rule: Option<String>,
        /// At least so severe: info, warning, critical
        #[arg(long, value_parser = ["info", "warning", "critical"])]
        severity: Option<String>,
        /// A subject, in which * stands for anything
        #[arg(long)]
        subject: Option<String>,
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// One alert
    Show { id: u64 },
    /// Say that somebody has seen it
    Ack {
        id: u64,
        /// What others should know
        #[arg(long)]
        note: Option<String>,
    },
    /// Tell nobody of a rule, a subject, or one for the other, for a while
    Mute {
        #[arg(long, required_unless_present = "subject")]
        rule: Option<String>,
        /// A subject, in which * stands for anything
        #[arg(long)]
        subject: Option<String>,
        /// How long: 30m, 2h
        #[arg(long = "for", value_name = "DURATION")]
        time: Millis,
        #[arg(long)]
        reason: String,
    },
    /// End a mute
    Unmute { id: u64 },
    /// What is muted
    Mutes,
    /// What is watched
    #[command(subcommand)]
    Rule(Rule),
    /// The ways to people
    #[command(subcommand)]
    Channel(Channel),
    /// Messages: waiting, given up and taken
    Deliveries {
        /// Only of this alert
        #[arg(long)]
        alert: Option<u64>,
    },
    /// Messages that were given up
    Dead,
    /// Try a message that was given up again, or with --all every one
    Replay {
        #[arg(required_unless_present = "all")]
        delivery: Option<String>,
        #[arg(long)]
        all: bool,
    },
}

#[derive(Subcommand)]
enum Rule {
    /// Every rule, the built-in ones included
    List,
    Show {
        id: String,
    },
    /// Make a rule, or change one; what a change does not say stays
    Set {
        id: String,
        #[arg(value_name = "JSON|@FILE")]
        rule: String,
        #[command(flatten)]
        seen: Seen,
    },
    /// Remove a rule; what it raised is cleared
    Remove {
        id: String,
        #[command(flatten)]
        seen: Seen,
    },
    /// What a rule can watch
    Conditions,
}

#[derive(Subcommand)]
enum Channel {
    List,
    Show {
        id: String,
    },
    /// Make a channel, or change one; what a change does not say stays
    Set {
        id: String,
        #[arg(value_name = "JSON|@FILE")]
        channel: String,
        #[command(flatten)]
        seen: Seen,
    },
    Remove {
        id: String,
        #[command(flatten)]
        seen: Seen,
    },
    /// Send a test, and say whether it was taken
    Test {
        id: String,
    },
}

#[derive(Args)]
struct Seen {
    /// Only if it is still at this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
}

impl Seen {
    fn of(&self, known: &Value) -> u64 {
        self.if_version.or(known["version"].as_u64()).unwrap_or(0)
    }
}

const ALERTS: &[Column] = &[
    Column { header: "id", field: "id" },
    Column { header: "severity", field: "severity" },
    Column { header: "state", field: "state" },
    Column { header: "rule", field: "rule" },
    Column { header: "subject", field: "subject" },
    Column { header: "detail", field: "detail" },
    Column { header: "seen by", field: "acknowledged_by" },
];
const MUTES: &[Column] = &[
    Column { header: "id", field: "id" },
    Column { header: "rule", field: "rule" },
    Column { header: "subject", field: "subject" },
    Column { header: "until", field: "until" },
    Column { header: "reason", field: "reason" },
];
const RULES: &[Column] = &[
    Column { header: "id", field: "id" },
    Column { header: "enabled", field: "enabled" },
    Column { header: "when", field: "when" },
    Column { header: "threshold", field: "threshold" },
    Column { header: "hold s", field: "hold_seconds" },
    Column { header: "cooldown s", field: "cooldown_seconds" },
    Column { header: "severity", field: "severity" },
    Column { header: "subjects", field: "subjects" },
    Column { header: "channels", field: "channels" },
    Column { header: "version", field: "version" },
];
const CONDITIONS: &[Column] = &[
    Column { header: "when", field: "when" },
    Column { header: "threshold", field: "unit" },
    Column { header: "meaning", field: "meaning" },
];
const CHANNELS: &[Column] = &[
    Column { header: "id", field: "id" },
    Column { header: "kind", field: "kind" },
    Column { header: "enabled", field: "enabled" },
    Column { header: "from", field: "severity_min" },
    Column { header: "attempts", field: "attempts_max" },
    Column { header: "way", field: "way" },
    Column { header: "secret", field: "secret" },
    Column { header: "version", field: "version" },
];
const DELIVERIES: &[Column] = &[
    Column { header: "id", field: "id" },
    Column { header: "state", field: "state" },
    Column { header: "attempts", field: "attempts" },
    Column { header: "status", field: "status" },
    Column { header: "last error", field: "last_error" },
];
const DONE: &[Column] = &[Column { header: "replayed", field: "replayed" }];
const TESTED: &[Column] = &[
    Column { header: "taken", field: "taken" },
    Column { header: "status", field: "status" },
    Column { header: "why", field: "why" },
];

impl Alert {
    pub fn run(self, shared: &Shared) -> Done {
        let server = self.target.server(shared)?.ok_or_else(|| {
            CliError::usage("alerts are asked of a running server")
                .hint("name it: --url http://127.0.0.1:8787, or TIDEHELM_URL")
        })?;
        match self.what {
            What::List { state, rule, severity, subject, limit } => {
                let mut query = format!("?state={state}&limit={limit}");
                for (name, value) in [("rule", rule), ("severity", severity), ("subject", subject)] {
                    query.extend(value.map(|value| format!("&{name}={}", encoded(&value))));
                }
                list(&server, &format!("/api/alerts{query}"), "alerts", ALERTS, shared)
            }
            What::Show { id } => one(&server.get(&format!("/api/alerts/{id}"))?, ALERTS, shared),
            What::Ack { id, note } => {
                let wish = note.map_or_else(|| json!({}), |note| json!({"note": note}));
                one(&server.send("POST", &format!("/api/alerts/{id}/ack"), Some(&wish))?, ALERTS, shared)
            }
            What::Mute { rule, subject, time, reason } => {
                let wish = json!({"rule": rule, "subject": subject, "seconds": time.get() / 1000, "reason": reason});
                one(&readable(server.send("POST", "/api/alerts/mutes", Some(&wish))?, shared), MUTES, shared)
            }
            What::Unmute { id } => {
                server.send("DELETE", &format!("/api/alerts/mutes/{id}"), None)?;
                said(&format!("mute {id} is over"), shared)
            }
            What::Mutes => list(&server, "/api/alerts/mutes", "mutes", MUTES, shared),
            What::Rule(rule) => rule.run(&server, shared),
            What::Channel(channel) => channel.run(&server, shared),
            What::Deliveries { alert } => {
                let query = alert.map_or_else(String::new, |alert| format!("?alert={alert}"));
                list(&server, &format!("/api/alerts/deliveries{query}"), "deliveries", DELIVERIES, shared)
            }
            What::Dead => list(&server, "/api/alerts/deliveries/dead", "deliveries", DELIVERIES, shared),
            What::Replay { delivery, .. } => {
                let one_of = delivery.map_or_else(String::new, |delivery| format!("/{}", encoded(&delivery)));
                one(&server.send("POST", &format!("/api/alerts/deliveries{one_of}/replay"), None)?, DONE, shared)
            }
        }
    }
}

impl Rule {
    fn run(self, server: &Server, shared: &Shared) -> Done {
        let at = |id: &str| format!("/api/alerts/rules/{}", encoded(id));
        match self {
            Rule::List => list(server, "/api/alerts/rules", "rules", RULES, shared),
            Rule::Conditions => list(server, "/api/alerts/rules", "conditions", CONDITIONS, shared),
            Rule::Show { id } => one(&server.get(&at(&id))?, RULES, shared),
            Rule::Set { id, rule, seen } => {
                let known = find(server, "/api/alerts/rules", "rules", &id)?;
                one(&set(server, &at(&id), known, parsed(&rule)?, &seen, &["id", "version"])?, RULES, shared)
            }
            Rule::Remove { id, seen } => {
                let known: Value = server.get(&at(&id))?;
                server.send_seen("DELETE", &at(&id), None, seen.of(&known))?;
                said(&format!("rule {id} was removed"), shared)
            }
        }
    }
}

impl Channel {
    fn run(self, server: &Server, shared: &Shared) -> Done {
        let at = |id: &str| format!("/api/alerts/channels/{}", encoded(id));
        match self {
            Channel::List => list(server, "/api/alerts/channels", "channels", CHANNELS, shared),
            Channel::Show { id } => one(&server.get(&at(&id))?, CHANNELS, shared),
            Channel::Set { id, channel, seen } => {
                let known = find(server, "/api/alerts/channels", "channels", &id)?;
                let not = ["id", "version", "kind", "has_secret"];
                one(&set(server, &at(&id), known, parsed(&channel)?, &seen, &not)?, CHANNELS, shared)
            }
            Channel::Remove { id, seen } => {
                let known: Value = server.get(&at(&id))?;
                server.send_seen("DELETE", &at(&id), None, seen.of(&known))?;
                said(&format!("channel {id} was removed"), shared)
            }
            Channel::Test { id } => {
                let tested = server.send("POST", &format!("{}/test", at(&id)), None)?;
                one(&tested, TESTED, shared)?;
                Ok(if tested["taken"] == true { Exit::Ok } else { Exit::Failed })
            }
        }
    }
}

/// The thing of this id, if there is one.
fn find(server: &Server, path: &str, field: &str, id: &str) -> Result<Option<Value>, CliError> {
    let found: Value = server.get(path)?;
    Ok(array(&found[field]).into_iter().find(|known| known["id"] == id))
}

/// What is known, with what was said over it.
fn set(
    server: &Server,
    path: &str,
    known: Option<Value>,
    said: Value,
    seen: &Seen,
    not: &[&str],
) -> Result<Value, CliError> {
    let Some(mut wish) = known else { return server.send("PUT", path, Some(&said)) };
    let version = seen.of(&wish);
    if let (Some(fields), Some(said)) = (wish.as_object_mut(), said.as_object()) {
        not.iter().for_each(|field| drop(fields.remove(*field)));
        fields.extend(said.clone());
    }
    server.send_seen("PUT", path, Some(&wish), version)
}

fn parsed(text: &str) -> Result<Value, CliError> {
    let text = match text.strip_prefix('@') {
        Some(file) => {
            let unread = |error| CliError::usage(format!("cannot read {file}")).caused_by(error);
            std::fs::read_to_string(file).map_err(unread)?
        }
        None => text.to_string(),
    };
    serde_json::from_str(&text).map_err(|error| CliError::usage("this is no JSON").caused_by(error))
}

fn list(server: &Server, path: &str, field: &str, columns: &[Column], shared: &Shared) -> Done {
    let found: Value = server.get(path)?;
    let rows: Vec<Value> = array(&found[field]).into_iter().map(|row| readable(row, shared)).collect();
    print(&mut std::io::stdout(), shared.output, columns, &rows)?;
    Ok(Exit::Ok)
}

/// Times as people read them.
fn readable(mut row: Value, shared: &Shared) -> Value {
    if shared.output != Output::Json
        && let Some(until) = row["until"].as_i64()
    {
        row["until"] = Timestamp(until).to_string().into();
    }
    row
}

fn one(record: &Value, columns: &[Column], shared: &Shared) -> Done {
    print_one(&mut std::io::stdout(), shared.output, columns, record)?;
    Ok(Exit::Ok)
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
