//! `tidehelm state`

use super::Shared;
use super::output::{CliError, Column, Done, Exit, Output, print};
use super::target::{Target, block_on};
use crate::http::accounts::AccountView;
use clap::Args;
use serde_json::Value;
use std::io::Write;
use tidehelm_events::id::StreamId;
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  tidehelm state\n  tidehelm state --at '10m ago'\n  tidehelm state master/IC_Markets_1 --at '2026-01-31 12:00'\n  \
                  tidehelm state desk --at 1234 --output json"
)]
pub struct State {
    /// `desk`, `master/ACCOUNT` or `slave/ACCOUNT`; without it a table of all accounts
    stream: Option<StreamId>,
    /// A position or a time: `1234`, `2026-01-31T12:00:00Z`, `10m ago`
    #[arg(long, value_name = "MOMENT")]
    at: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl State {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            let mut source = self.target.source(shared).await?;
            let position = source.moment(self.at.as_deref()).await?;
            let fold = source.fold_at(position).await?;
            match &self.stream {
                Some(stream) => one(&fold, stream, shared),
                None => accounts(&fold, &mut std::io::stdout(), shared.output),
            }
        })
    }
}

fn one(fold: &Fold, stream: &StreamId, shared: &Shared) -> Done {
    let position = fold.truth.position();
    let unknown = || CliError::new(Exit::NotFound, format!("no stream {stream} was seen up to position {position}"));
    let mut state = fold.truth.describe(stream).ok_or_else(unknown)?;
    state["position"] = position.0.into();
    let mut out = std::io::stdout();
    match shared.output {
        Output::Json => writeln!(out, "{state:#}").map_err(CliError::writing)?,
        Output::Table | Output::Csv => {
            let fields: Vec<Value> =
                fields(&state).into_iter().map(|(field, value)| field_row(&field, &value)).collect();
            let columns = [Column { header: "field", field: "field" }, Column { header: "value", field: "value" }];
            print(&mut out, shared.output, &columns, &fields)?;
        }
    }
    Ok(Exit::Ok)
}

fn field_row(field: &str, value: &Value) -> Value {
    serde_json::json!({"field": field, "value": readable(field, value)})
}

/// Times as people read them; everything else as it is.
pub fn readable(field: &str, value: &Value) -> Value {
    let name = field.rsplit('.').next().unwrap_or(field);
    match value.as_i64() {
        Some(micros) if name.ends_with("_at") || name.ends_with("since") => Timestamp(micros).to_string().into(),
        _ => value.clone(),
    }
}

/// Every value in a state with the path to it: `state.figures.balance`.
pub fn fields(state: &Value) -> Vec<(String, Value)> {
    fn walk(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(object) if !object.is_empty() => {
                for (name, value) in object {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(&path, value, found);
                }
            }
            value => found.push((path.to_string(), value.clone())),
        }
    }
    let mut found = Vec::new();
    walk("", state, &mut found);
    found
}

const ACCOUNTS: &[Column] = &[
    Column { header: "role", field: "role" },
    Column { header: "account", field: "account" },
    Column { header: "enabled", field: "enabled_flag" },
    Column { header: "connection", field: "connection" },
    Column { header: "status", field: "runtime_status" },
    Column { header: "warnings", field: "warnings" },
    Column { header: "balance", field: "balance" },
    Column { header: "equity", field: "equity" },
    Column { header: "positions", field: "open_positions" },
    Column { header: "last heartbeat", field: "heartbeat" },
    Column { header: "follows", field: "follows" },
];

/// Every account, masters first.
pub fn accounts(fold: &Fold, out: &mut dyn Write, output: Output) -> Done {
    let mut accounts: Vec<_> = fold.truth.accounts().map(|(_, account)| AccountView::of(account)).collect();
    accounts.sort_by(|a, b| (a.role, &a.account).cmp(&(b.role, &b.account)));
    match output {
        Output::Json => print(out, output, &[], &accounts)?,
        Output::Table | Output::Csv => {
            let rows: Vec<Value> = accounts.iter().map(account_row).collect();
            print(out, output, ACCOUNTS, &rows)?;
        }
    }
    Ok(Exit::Ok)
}

fn account_row(account: &AccountView) -> Value {
    let mut row = serde_json::to_value(account).unwrap_or_default();
    let status = ["disabled", "enabled", "connected"].get(usize::from(account.runtime_status));
    row["runtime_status"] = (*status.unwrap_or(&"unknown")).into();
    row["warnings"] = listed(account.warning_codes.iter().map(ToString::to_string));
    row["follows"] = listed(account.masters.iter().map(|master| master.account.clone()));
    row["heartbeat"] = account.last_heartbeat_at.map_or(Value::Null, |at| at.to_string().into());
    row
}

fn listed(words: impl Iterator<Item = String>) -> Value {
    let words: Vec<String> = words.collect();
    if words.is_empty() { Value::Null } else { words.join(" ").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_shown_field_by_field() {
        let state = serde_json::json!({"stream": "desk", "state": {"locked": null, "users": {}, "since": 0}});
        let names: Vec<String> = fields(&state).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["state.locked", "state.since", "state.users", "stream"]);
        assert_eq!(readable("state.since", &serde_json::json!(0)), "1970-01-01T00:00:00.000000Z");
    }
}
