//! `tidehelm key`: keys of the proxy's clients, over a server's API or on the log of a stopped desk.

use super::Shared;
use super::output::{CliError, Column, Done, Exit};
use super::people::{only, or_destroy, revoke, say, show};
use super::target::{Target, block_on, config};
use crate::http::proxy_keys::ApiKeyView;
use crate::offline::Offline;
use crate::source::Server;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidehelm_events::desk::{ApiKeyIssued, Command, KeyScope};
use tidehelm_events::endpoint::Api;
use tidehelm_events::time::Span;

#[derive(Args)]
#[command(after_help = "A key opens /v1/… of the desk, and nothing else. It is shown once, when it is made.\n\n\
                  Examples:\n  tidehelm key issue chat-page --models 'llama-3,qwen*' --requests-per-minute 60\n  \
                  tidehelm key issue batch --apis embeddings --in-flight 4 --hours 720 --url http://127.0.0.1:8787\n  \
                  tidehelm key list\n  tidehelm key revoke chat-page")]
pub struct Key {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum What {
    /// Every key, without its secret
    List,
    /// Make a key and print it
    Issue(Issue),
    /// Revoke a key, by its id or its name
    Revoke {
        #[arg(value_name = "KEY")]
        which: String,
    },
}

#[derive(Args)]
struct Issue {
    name: String,
    /// Names that may be asked for; one that ends in * stands for all that begin so. Without it: every model
    #[arg(long, value_delimiter = ',', value_name = "MODEL,…")]
    models: Vec<String>,
    /// chat_completions, completions, embeddings, responses, models. Without it: everything
    #[arg(long, value_delimiter = ',', value_name = "API,…", value_parser = api)]
    apis: Vec<Api>,
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    requests_per_minute: u32,
    /// Requests at a time
    #[arg(long = "in-flight", default_value_t = 0, value_name = "COUNT")]
    in_flight_max: u32,
    /// Of a UTC day, input and output together
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    tokens_per_day: u64,
    /// It is good for so many hours; without it until it is revoked
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    hours: Option<u32>,
}

fn api(text: &str) -> Result<Api, String> {
    let known = serde_json::from_value(Value::from(text)).ok().filter(|api| *api != Api::Other);
    known.ok_or_else(|| "one of chat_completions, completions, embeddings, responses, models".into())
}

const KEYS: &[Column] = &[
    Column { header: "id", field: "id" },
    Column { header: "name", field: "name" },
    Column { header: "models", field: "models" },
    Column { header: "apis", field: "apis" },
    Column { header: "per minute", field: "requests_per_minute" },
    Column { header: "in flight", field: "in_flight_max" },
    Column { header: "tokens a day", field: "tokens_per_day" },
    Column { header: "since", field: "created_at" },
    Column { header: "until", field: "expires_at" },
];

impl Issue {
    fn scope(&self) -> KeyScope {
        KeyScope {
            models: self.models.iter().cloned().collect(),
            apis: self.apis.iter().copied().collect::<BTreeSet<_>>(),
            requests_per_minute: self.requests_per_minute,
            in_flight_max: self.in_flight_max,
            tokens_per_day: self.tokens_per_day,
        }
    }
}

impl Key {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            match self.target.server(shared)? {
                Some(server) => self.ask(&server, shared),
                None => self.on_log(shared).await,
            }
        })
    }

    fn ask(self, server: &Server, shared: &Shared) -> Done {
        match self.what {
            What::List => {
                let found: Value = server.get("/api/proxy/keys")?;
                return listed(found["keys"].as_array().cloned().unwrap_or_default(), shared);
            }
            What::Issue(issue) => {
                let mut wish = serde_json::to_value(issue.scope()).unwrap_or_else(|_| json!({}));
                wish["name"] = issue.name.into();
                wish["hours"] = issue.hours.into();
                let made = server.send("POST", "/api/proxy/keys", Some(&wish))?;
                super::print(&format!("{}\n", made["key"].as_str().unwrap_or_default())).map(drop)
            }
            What::Revoke { which } => {
                revoke(server, "/api/proxy/keys", "keys", "key", &which)?;
                say(&format!("key {which} was revoked"))
            }
        }?;
        Ok(Exit::Ok)
    }

    async fn on_log(self, shared: &Shared) -> Done {
        let mut offline = Offline::open(&config(shared)?).await?;
        let done = self.change(&mut offline, shared).await;
        offline.close().await?;
        done
    }

    async fn change(self, offline: &mut Offline, shared: &Shared) -> Done {
        let desk = offline.desk();
        let keys = desk.tokens.iter().filter_map(|(id, token)| Some((*id, token, offline.keys.scope(*id)?)));
        match self.what {
            What::List => {
                let views = keys.map(|(id, token, scope)| serde_json::to_value(ApiKeyView::of(id, token, scope)));
                let views = views.collect::<Result<Vec<_>, _>>();
                listed(views.map_err(|error| CliError::failed("cannot show the keys").caused_by(error))?, shared)
            }
            What::Issue(issue) => {
                let expires_at = issue.hours.map(|hours| offline.now() + Span::hours(i64::from(hours)));
                let scope = issue.scope();
                let (key, secret) = offline.keys.issue_api_key(&scope).await?;
                let issued = ApiKeyIssued { key, name: issue.name, scope: Box::new(scope), expires_at };
                or_destroy(offline, Command::IssueApiKey(issued), key).await?;
                super::print(&format!("{secret}\n"))
            }
            What::Revoke { which } => {
                let ids = keys.filter(|(id, known, _)| id.to_string() == which || known.name == which);
                let id = only(ids.map(|(id, ..)| id).collect(), "key", &which)?;
                offline.want(Command::RevokeToken { token: id }).await?;
                offline.keys.destroy(id).await?;
                say(&format!("key {which} was revoked")).map(|()| Exit::Ok)
            }
        }
    }
}

/// Lists in one field each.
fn listed(mut keys: Vec<Value>, shared: &Shared) -> Done {
    if shared.output != super::output::Output::Json {
        for key in &mut keys {
            for field in ["models", "apis"] {
                let texts = key[field].as_array().cloned().unwrap_or_default();
                let texts: Vec<_> = texts.iter().filter_map(|text| text.as_str()).collect();
                key[field] = if texts.is_empty() { "all".into() } else { texts.join(" ").into() };
            }
            for field in ["requests_per_minute", "in_flight_max", "tokens_per_day"] {
                if key[field] == 0 {
                    key[field] = Value::Null;
                }
            }
        }
    }
    show(KEYS, keys, shared)
}
