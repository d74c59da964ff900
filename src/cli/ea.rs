//! `tidehelm ea`: over a server's API, or on the log of a stopped desk.

use super::Shared;
use super::output::{CliError, Column, Done, Exit};
use super::people::{key_error, or_destroy, say, show};
use super::target::{Target, block_on, config, desk_of};
use crate::offline::Offline;
use crate::pairing::CODE_AGE;
use crate::source::Server;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidehelm_events::desk::{Command, Desk, PairingOpened};
use tidehelm_events::id::{AccountId, CredentialId, IdError, Role};
use tidehelm_events::time::Timestamp;

#[derive(Args)]
#[command(
    after_help = "With --url they are asked of a running server, with an operator's token. Without it they are done on the log \
                  itself, while no server runs on it.\n\n\
                  Examples:\n  tidehelm ea pair --account IC_Markets_12345 --role slave --url http://127.0.0.1:8787\n  \
                  tidehelm ea keys --url http://127.0.0.1:8787\n  tidehelm ea revoke slave/IC_Markets_12345"
)]
pub struct Ea {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum What {
    /// Make a code, and say what to enter in the terminal to fetch its key
    Pair {
        /// Only this account may use the code; needed for one that has had a key before
        #[arg(long, value_name = "ACCOUNT", value_parser = account_id)]
        account: Option<AccountId>,
        /// `master` or `slave`; without it the terminal says which
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Option<Role>,
    },
    /// Every key, without its secret, and the codes that are open
    Keys,
    /// Revoke keys; their terminals are turned away at once and must be paired again
    Revoke {
        /// Its id, or whose it is: slave/IC_Markets_12345. The id of a code that is open ends that
        #[arg(value_name = "KEY", required_unless_present = "all")]
        which: Vec<String>,
        /// Every key, as when the master key is lost
        #[arg(long, conflicts_with = "which")]
        all: bool,
    },
}

fn account_id(text: &str) -> Result<AccountId, IdError> {
    AccountId::new(text)
}
fn role(text: &str) -> Result<Role, IdError> {
    text.parse()
}

const KEYS: &[Column] = &[
    Column { header: "id", field: "id" },
    Column { header: "what", field: "what" },
    Column { header: "role", field: "role" },
    Column { header: "account", field: "account" },
    Column { header: "since", field: "since" },
    Column { header: "until", field: "expires_at" },
    Column { header: "refused", field: "refused" },
];

impl Ea {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            match self.target.server(shared)? {
                Some(server) => ask(self.what, &server, shared),
                None => on_log(self.what, shared).await,
            }
        })
    }
}

fn ask(what: What, server: &Server, shared: &Shared) -> Done {
    match what {
        What::Pair { account, role } => {
            let made = server.send("POST", "/api/ea/pairings", Some(&json!({"account": account, "role": role})))?;
            let (code, expires_at) = (made["code"].as_str().unwrap_or_default(), made["expires_at"].as_i64());
            let pairing = Made { code, account, role, expires_at: Timestamp(expires_at.unwrap_or_default()) };
            say(&pairing.told(server.base()))?;
        }
        What::Keys => {
            let found: Value = server.get("/api/ea/keys")?;
            return show(KEYS, listed(&found), shared);
        }
        What::Revoke { which, all } => {
            let rows = listed(&server.get::<Value>("/api/ea/keys")?);
            for row in chosen(&rows, &which, all)? {
                let kind = if row["what"] == "key" { "keys" } else { "pairings" };
                server.send("DELETE", &format!("/api/ea/{kind}/{}", text(&row["id"])), None)?;
                say(&ended(&row))?;
            }
        }
    }
    Ok(Exit::Ok)
}

async fn on_log(what: What, shared: &Shared) -> Done {
    if let What::Keys = what {
        return show(KEYS, rows(&desk_of(shared).await?), shared);
    }
    let mut offline = Offline::open(&config(shared)?).await?;
    let done = change(what, &mut offline, shared).await;
    offline.close().await?;
    done.map(|()| Exit::Ok)
}

async fn change(what: What, offline: &mut Offline, shared: &Shared) -> Result<(), CliError> {
    match what {
        What::Keys => {}
        What::Pair { account, role } => {
            offline.keys.ready_to_seal().await.map_err(key_error)?;
            let expires_at = offline.now() + CODE_AGE;
            let (pairing, code) = offline.keys.issue_code().await?;
            let opened = PairingOpened { pairing, account: account.clone(), role, expires_at };
            or_destroy(offline, Command::OpenPairing(opened), pairing).await?;
            let config = config(shared)?;
            let scheme = if config.http.tls().is_some() { "https" } else { "http" };
            let made = Made { code: &code.to_string(), account, role, expires_at };
            say(&made.told(&format!("{scheme}://{}", config.http.bind)))?;
            eprintln!("no server runs on this log now: start it before the code expires");
        }
        What::Revoke { which, all } => {
            for row in chosen(&rows(&offline.desk()), &which, all)? {
                let id = text(&row["id"]).parse().map(CredentialId);
                let id = id.map_err(|_| CliError::failed("an id that is no uuid"))?;
                let command = match row["what"] == "key" {
                    true => Command::RevokeKey { key: id },
                    false => Command::CancelPairing { pairing: id },
                };
                offline.want(command).await?;
                offline.keys.destroy(id).await?;
                say(&ended(&row))?;
            }
        }
    }
    Ok(())
}

/// A code, for the person who carries it to the terminal.
struct Made<'a> {
    code: &'a str,
    account: Option<AccountId>,
    role: Option<Role>,
    expires_at: Timestamp,
}

impl Made<'_> {
    fn told(&self, server: &str) -> String {
        let account = self.account.as_ref().map_or("any that has never had a key".into(), ToString::to_string);
        let role = self.role.map_or("as the terminal says", Role::as_str);
        format!(
            "Enter this in the terminal, before {}:\n  desk  {server}\n  code  {}\nIt is good once, for this account: {account}; role: {role}",
            self.expires_at, self.code
        )
    }
}

/// What a server lists, as rows of one table.
fn listed(found: &Value) -> Vec<Value> {
    let all = |list: &str, what: &str, since: &str| {
        let rows = found[list].as_array().cloned().unwrap_or_default();
        rows.into_iter()
            .map(|mut row| {
                row["what"] = what.into();
                row["since"] = row[since].take();
                row
            })
            .collect::<Vec<_>>()
    };
    [all("keys", "key", "issued_at"), all("pairings", "code", "opened_at")].concat()
}

/// The same, of the desk itself.
fn rows(desk: &Desk) -> Vec<Value> {
    let keys = desk.terminal_keys.iter().map(
        |(id, key)| json!({"id": id, "what": "key", "account": key.account, "role": key.role, "since": key.issued_at}),
    );
    let codes = desk.pairings.iter().map(|(id, pairing)| {
        json!({
            "id": id, "what": "code", "account": pairing.account, "role": pairing.role, "since": pairing.opened_at,
            "expires_at": pairing.expires_at,
        })
    });
    keys.chain(codes).collect()
}

/// The rows that are meant; each name must mean one at least.
fn chosen(rows: &[Value], which: &[String], all: bool) -> Result<Vec<Value>, CliError> {
    if all {
        return Ok(rows.iter().filter(|row| row["what"] == "key").cloned().collect());
    }
    let mut found = Vec::new();
    for name in which {
        let is = |row: &&Value| row["id"] == **name || row["what"] == "key" && whose(row) == *name;
        let before = found.len();
        found.extend(rows.iter().filter(is).cloned());
        if found.len() == before {
            let error = CliError::new(Exit::NotFound, format!("there is no key `{name}`"));
            return Err(error.hint("`tidehelm ea keys` lists them"));
        }
    }
    Ok(found)
}

fn ended(row: &Value) -> String {
    match row["what"] == "key" {
        true => format!("the key of {} was revoked", whose(row)),
        false => format!("the code {} is good no longer", text(&row["id"])),
    }
}

fn whose(row: &Value) -> String {
    format!("{}/{}", text(&row["role"]), text(&row["account"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
