//! `tidehelm group` and `tidehelm member`: trade groups and the links of their slaves, over a server's API.

use super::Shared;
use super::filter::encoded;
use super::output::{CliError, Column, Done, Exit, Output, print, print_one};
use super::target::Target;
use crate::source::Server;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::path::Path;
use tidehelm_events::id::{AccountId, IdError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Args)]
#[command(
    after_help = "They are asked of a running server: --url, or TIDEHELM_URL. Settings are JSON, or @FILE; `tidehelm group settings` lists them.\n\n\
                  Examples:\n  tidehelm group list --url http://127.0.0.1:8787\n  tidehelm group create IC_Markets_1 --name Anna --enabled\n  \
                  tidehelm group set IC_Markets_1 --settings '{\"signal_age_max_ms\": 3000}'\n  tidehelm group toggle IC_Markets_1 off"
)]
pub struct Group {
    #[command(subcommand)]
    what: GroupWhat,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum GroupWhat {
    /// Every trade group
    List,
    /// One trade group with its members
    Show {
        #[arg(value_parser = account)]
        master: AccountId,
    },
    /// Give a master a trade group
    Create {
        #[arg(value_parser = account)]
        master: AccountId,
        /// Without it the account's id
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        enabled: bool,
        #[arg(long, value_name = "JSON|@FILE")]
        settings: Option<String>,
    },
    /// Change a trade group's name or settings; what is not said stays
    Set {
        #[arg(value_parser = account)]
        master: AccountId,
        #[arg(long)]
        name: Option<String>,
        /// All of them: what is left out is not set any more
        #[arg(long, value_name = "JSON|@FILE")]
        settings: Option<String>,
        #[command(flatten)]
        seen: Seen,
    },
    /// Switch a master on or off
    Toggle {
        #[arg(value_parser = account)]
        master: AccountId,
        switch: Switch,
    },
    /// Remove a trade group and the links of its members
    Remove {
        #[arg(value_parser = account)]
        master: AccountId,
        #[command(flatten)]
        seen: Seen,
    },
    /// Every setting that copying has, with its meaning and its default
    Settings,
}

#[derive(Args)]
#[command(after_help = "They are asked of a running server: --url, or TIDEHELM_URL.\n\n\
                  Examples:\n  tidehelm member add IC_Markets_1 IC_Markets_2 --enabled\n  \
                  tidehelm member set IC_Markets_1 IC_Markets_2 --settings '{\"volume\": {\"multiplier\": \"0.5\"}}'\n  \
                  tidehelm member toggle IC_Markets_1 IC_Markets_2 off\n  tidehelm member remove IC_Markets_1 IC_Markets_2 --wind-down close_now")]
pub struct Member {
    #[command(subcommand)]
    what: MemberWhat,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum MemberWhat {
    /// Let a slave copy a master
    Add {
        #[arg(value_parser = account)]
        master: AccountId,
        #[arg(value_parser = account)]
        slave: AccountId,
        #[arg(long)]
        enabled: bool,
        #[arg(long, value_name = "JSON|@FILE")]
        settings: Option<String>,
    },
    /// Change a member's settings
    Set {
        #[arg(value_parser = account)]
        master: AccountId,
        #[arg(value_parser = account)]
        slave: AccountId,
        /// All of them: what is left out is not set any more
        #[arg(long, value_name = "JSON|@FILE")]
        settings: String,
        #[command(flatten)]
        seen: Seen,
    },
    /// Switch a member on or off
    Toggle {
        #[arg(value_parser = account)]
        master: AccountId,
        #[arg(value_parser = account)]
        slave: AccountId,
        switch: Switch,
    },
    /// Remove a member
    Remove {
        #[arg(value_parser = account)]
        master: AccountId,
        #[arg(value_parser = account)]
        slave: AccountId,
        /// What becomes of the copies: keep, close_only_by_position, close_only_by_symbol, close_now
        #[arg(long, value_name = "MODE")]
        wind_down: Option<String>,
        #[command(flatten)]
        seen: Seen,
    },
}

#[derive(Args)]
struct Seen {
    /// Only if it is still at this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
}

fn account(text: &str) -> Result<AccountId, IdError> {
    AccountId::new(text)
}

const GROUPS: &[Column] = &[
    Column { header: "master", field: "master_account" },
    Column { header: "name", field: "display_name" },
    Column { header: "enabled", field: "enabled_flag" },
    Column { header: "status", field: "master_runtime_status" },
    Column { header: "warnings", field: "warning_codes" },
    Column { header: "members", field: "member_count" },
    Column { header: "version", field: "version" },
];
const GROUP: &[Column] = &[
    Column { header: "master", field: "master_account" },
    Column { header: "name", field: "display_name" },
    Column { header: "enabled", field: "enabled_flag" },
    Column { header: "status", field: "master_runtime_status" },
    Column { header: "warnings", field: "warning_codes" },
    Column { header: "settings", field: "settings" },
    Column { header: "version", field: "version" },
];
const MEMBERS: &[Column] = &[
    Column { header: "master", field: "trade_group_id" },
    Column { header: "slave", field: "slave_account" },
    Column { header: "enabled", field: "enabled_flag" },
    Column { header: "status", field: "runtime_status" },
    Column { header: "new orders", field: "allow_new_orders" },
    Column { header: "warnings", field: "warning_codes" },
    Column { header: "copies", field: "open_copies" },
    Column { header: "orders", field: "orders_open" },
    Column { header: "settings", field: "slave_settings" },
    Column { header: "version", field: "version" },
];
const FIELDS: &[Column] = &[
    Column { header: "setting", field: "name" },
    Column { header: "default", field: "default" },
    Column { header: "meaning", field: "meaning" },
];

impl Group {
    pub fn run(self, shared: &Shared) -> Done {
        let server = server(&self.target, shared)?;
        let done = match self.what {
            GroupWhat::List => return list(&server, shared),
            GroupWhat::Show { master } => return show(&server.get(&group(&master))?, shared),
            GroupWhat::Settings => {
                let known: Value = server.get("/api/copy-settings")?;
                return table(FIELDS, array(&known["fields"]), shared);
            }
            GroupWhat::Create { master, name, enabled, settings } => {
                let settings = settings.as_deref().map(parsed).transpose()?.unwrap_or_else(|| json!({}));
                let mut wish = json!({"master_account": master, "enabled": enabled, "settings": settings});
                if let Some(name) = name {
                    wish["display_name"] = name.into();
                }
                server.send("POST", "/api/trade-groups", Some(&wish))?
            }
            GroupWhat::Set { master, name, settings, seen } => {
                let known: Value = server.get(&group(&master))?;
                let settings =
                    settings.as_deref().map(parsed).transpose()?.unwrap_or_else(|| known["settings"].clone());
                let name = name.map_or_else(|| known["display_name"].clone(), Value::from);
                let wish = json!({"display_name": name, "settings": settings});
                server.send_seen("PUT", &group(&master), Some(&wish), seen.of(&known))?
            }
            GroupWhat::Toggle { master, switch } => {
                let wish = json!({"enabled": switch == Switch::On});
                server.send("POST", &format!("{}/toggle", group(&master)), Some(&wish))?
            }
            GroupWhat::Remove { master, seen } => {
                let known: Value = server.get(&group(&master))?;
                server.send_seen("DELETE", &group(&master), None, seen.of(&known))?;
                return said(&format!("the trade group of {master} was removed"), shared);
            }
        };
        show(&done, shared)
    }
}

impl Member {
    pub fn run(self, shared: &Shared) -> Done {
        let server = server(&self.target, shared)?;
        let done = match self.what {
            MemberWhat::Add { master, slave, enabled, settings } => {
                let settings = settings.as_deref().map(parsed).transpose()?.unwrap_or_else(|| json!({}));
                let wish = json!({"slave_account": slave, "enabled": enabled, "slave_settings": settings});
                server.send("POST", &format!("{}/members", group(&master)), Some(&wish))?
            }
            MemberWhat::Set { master, slave, settings, seen } => {
                let known: Value = server.get(&member(&master, &slave))?;
                let wish = json!({"slave_settings": parsed(&settings)?});
                server.send_seen("PUT", &member(&master, &slave), Some(&wish), seen.of(&known))?
            }
            MemberWhat::Toggle { master, slave, switch } => {
                let wish = json!({"enabled": switch == Switch::On});
                server.send("POST", &format!("{}/toggle", member(&master, &slave)), Some(&wish))?
            }
            MemberWhat::Remove { master, slave, wind_down, seen } => {
                let known: Value = server.get(&member(&master, &slave))?;
                let query = wind_down.map(|mode| format!("?wind_down={}", encoded(&mode))).unwrap_or_default();
                let path = format!("{}{query}", member(&master, &slave));
                server.send_seen("DELETE", &path, None, seen.of(&known))?;
                return said(&format!("{slave} does not copy {master} any more"), shared);
            }
        };
        one(MEMBERS, &done, shared)
    }
}

impl Seen {
    /// The version that was said, or the one that was just read.
    fn of(&self, known: &Value) -> u64 {
        self.if_version.or(known["version"].as_u64()).unwrap_or(0)
    }
}

fn server(target: &Target, shared: &Shared) -> Result<Server, CliError> {
    target.server(shared)?.ok_or_else(|| {
        CliError::usage("trade groups are changed on a running server")
            .hint("name it: --url http://127.0.0.1:8787, or TIDEHELM_URL")
    })
}

fn group(master: &AccountId) -> String {
    format!("/api/trade-groups/{}", encoded(master.as_str()))
}

fn member(master: &AccountId, slave: &AccountId) -> String {
    format!("{}/members/{}", group(master), encoded(slave.as_str()))
}

/// Settings as they were given: JSON, or a file with it.
fn parsed(text: &str) -> Result<Value, CliError> {
    let text = match text.strip_prefix('@') {
        Some(file) => {
            let unread = |error| CliError::usage(format!("cannot read {file}")).caused_by(error);
            std::fs::read_to_string(Path::new(file)).map_err(unread)?
        }
        None => text.to_string(),
    };
    serde_json::from_str(&text).map_err(|error| CliError::usage("the settings are no JSON").caused_by(error))
}

fn list(server: &Server, shared: &Shared) -> Done {
    let found: Value = server.get("/api/trade-groups")?;
    let mut groups = array(&found["trade_groups"]);
    if shared.output != Output::Json {
        for group in &mut groups {
            group["member_count"] = group["members"].as_array().map_or(0, Vec::len).into();
            group["warning_codes"] = words(&group["warning_codes"]);
        }
    }
    table(GROUPS, groups, shared)
}

/// A group and, for people, its members below it.
fn show(group: &Value, shared: &Shared) -> Done {
    one(GROUP, group, shared)?;
    let members = array(&group["members"]);
    if shared.output != Output::Table || members.is_empty() {
        return Ok(Exit::Ok);
    }
    super::print("\n")?;
    table(MEMBERS, members.iter().map(readable).collect(), shared)
}

fn one(columns: &[Column], record: &Value, shared: &Shared) -> Done {
    let shown = if shared.output == Output::Json { record.clone() } else { readable(record) };
    print_one(&mut std::io::stdout(), shared.output, columns, &shown)?;
    Ok(Exit::Ok)
}

fn table(columns: &[Column], rows: Vec<Value>, shared: &Shared) -> Done {
    print(&mut std::io::stdout(), shared.output, columns, &rows)?;
    Ok(Exit::Ok)
}

fn readable(record: &Value) -> Value {
    let mut record = record.clone();
    record["warning_codes"] = words(&record["warning_codes"]);
    record
}

fn words(list: &Value) -> Value {
    let words: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if words.is_empty() { Value::Null } else { words.join(" ").into() }
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
