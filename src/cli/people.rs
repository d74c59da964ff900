//! `tidehelm user` and `tidehelm token`: over a server's API, or on the log of a stopped desk.

use super::Shared;
use super::filter::encoded;
use super::output::{CliError, Column, Done, Exit, print};
use super::target::{Target, block_on, config, desk_of};
use crate::http::people::INVITE_AGE;
use crate::keys::{KeyError, Kind};
use crate::offline::Offline;
use crate::source::Server;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Write};
use tidehelm_events::desk::{Access, Command, Desk};
use tidehelm_events::id::{CredentialId, UserName};
use tidehelm_events::time::{Span, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Looks
    Viewer,
    /// Looks, locks, switches accounts, reads the log's bytes
    Operator,
    /// Everything, users and tokens included
    Admin,
}

impl Role {
    fn access(self) -> Access {
        match self {
            Role::Viewer => Access::Viewer,
            Role::Operator => Access::Operator,
            Role::Admin => Access::Admin,
        }
    }
}

#[derive(Args)]
#[command(
    after_help = "With --url they are asked of a running server, with an admin's token. Without it they are done on the log itself, \
                  while no server runs on it.\n\n\
                  Examples:\n  tidehelm user list\n  tidehelm user invite ann --role operator --url http://127.0.0.1:8787\n  \
                  echo \"$PASSWORD\" | tidehelm user add ann --role admin\n  tidehelm user password ann"
)]
pub struct User {
    #[command(subcommand)]
    what: UserWhat,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum UserWhat {
    /// Everybody who may use the desk, and who is invited
    List,
    /// Add a person; the password is asked for, or read from standard input
    Add {
        #[arg(value_parser = user_name)]
        name: UserName,
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
    },
    /// Invite a person: prints a link that is good once, for 24 hours
    Invite {
        #[arg(value_parser = user_name)]
        name: UserName,
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
    },
    /// Remove a person; sessions end at once
    Remove {
        #[arg(value_parser = user_name)]
        name: UserName,
    },
    /// Give a person another role
    Role {
        #[arg(value_parser = user_name)]
        name: UserName,
        role: Role,
    },
    /// Set a person's password; it is asked for, or read from standard input
    Password {
        #[arg(value_parser = user_name)]
        name: UserName,
    },
}

#[derive(Args)]
#[command(
    after_help = "A token is a key for a program. It is shown once, when it is made; the log holds only its id.\n\n\
                  Examples:\n  tidehelm token create backup-job --role operator\n  tidehelm token create grafana --hours 720 --url http://127.0.0.1:8787\n  \
                  tidehelm token list\n  tidehelm token revoke grafana"
)]
pub struct Token {
    #[command(subcommand)]
    what: TokenWhat,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum TokenWhat {
    /// Every token, without its secret
    List,
    /// Make a token and print it
    Create {
        name: String,
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
        /// It is good for so many hours; without it until it is revoked
        #[arg(long)]
        hours: Option<u32>,
    },
    /// Revoke a token, by its id or its name
    Revoke {
        #[arg(value_name = "TOKEN")]
        which: String,
    },
}

fn user_name(text: &str) -> Result<UserName, tidehelm_events::id::IdError> {
    UserName::new(text)
}

const USERS: &[Column] = &[
    Column { header: "name", field: "name" },
    Column { header: "role", field: "role" },
    Column { header: "state", field: "state" },
    Column { header: "sessions", field: "sessions" },
    Column { header: "since", field: "since" },
    Column { header: "until", field: "expires_at" },
];
const TOKENS: &[Column] = &[
    Column { header: "id", field: "id" },
    Column { header: "name", field: "name" },
    Column { header: "role", field: "role" },
    Column { header: "since", field: "created_at" },
    Column { header: "until", field: "expires_at" },
];

impl User {
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
            UserWhat::List => {
                let found: Value = server.get("/api/users")?;
                let users = found["users"].as_array().into_iter().flatten().map(|user| with(user, "active"));
                let invited = found["invited"].as_array().into_iter().flatten().map(|user| with(user, "invited"));
                return show(USERS, users.chain(invited).collect(), shared);
            }
            UserWhat::Add { name, role } => {
                let password = password(&format!("Password for {name}: "))?;
                let invited =
                    server.send("POST", "/api/invites", Some(&json!({"name": name, "role": role.access()})))?;
                let path = invited["path"].as_str().unwrap_or_default();
                let code = path.split_once("code=").map_or("", |(_, code)| code);
                server.send(
                    "POST",
                    "/api/welcome",
                    Some(&json!({"code": code, "name": name, "password": password})),
                )?;
                say(&format!("{name} was added as {}", role.access().as_str()))
            }
            UserWhat::Invite { name, role } => {
                let invited =
                    server.send("POST", "/api/invites", Some(&json!({"name": name, "role": role.access()})))?;
                super::print(&format!("{}{}\n", server.base(), invited["path"].as_str().unwrap_or_default())).map(drop)
            }
            UserWhat::Remove { name } => {
                server.send("DELETE", &format!("/api/users/{}", encoded(name.as_str())), None)?;
                say(&format!("{name} was removed"))
            }
            UserWhat::Role { name, role } => {
                let path = format!("/api/users/{}/role", encoded(name.as_str()));
                server.send("PUT", &path, Some(&json!({"role": role.access()})))?;
                say(&format!("{name} is {} now", role.access().as_str()))
            }
            UserWhat::Password { name } => {
                let password = password(&format!("New password for {name}: "))?;
                let path = format!("/api/users/{}/password", encoded(name.as_str()));
                server.send("PUT", &path, Some(&json!({"password": password})))?;
                say(&format!("{name} has a new password; sessions have ended"))
            }
        }?;
        Ok(Exit::Ok)
    }

    async fn on_log(self, shared: &Shared) -> Done {
        if let UserWhat::List = self.what {
            return show(USERS, users(&desk_of(shared).await?), shared);
        }
        let mut offline = Offline::open(&config(shared)?).await?;
        let done = self.change(&mut offline, shared).await;
        offline.close().await?;
        done.map(|()| Exit::Ok)
    }

    async fn change(self, offline: &mut Offline, shared: &Shared) -> Result<(), CliError> {
        match self.what {
            UserWhat::List => Ok(()),
            UserWhat::Add { name, role } => {
                let password = password(&format!("Password for {name}: "))?;
                let credential = offline.keys.set_password(password).await.map_err(key_error)?;
                let command = Command::AddUser { name: name.clone(), access: role.access(), credential };
                or_destroy(offline, command, credential).await?;
                say(&format!("{name} was added as {}", role.access().as_str()))
            }
            UserWhat::Invite { name, role } => {
                let expires_at = offline.now() + INVITE_AGE;
                let (credential, code) = offline.keys.issue(Kind::Invite).await?;
                let command = Command::Invite { name, access: role.access(), credential, expires_at };
                or_destroy(offline, command, credential).await?;
                let config = config(shared)?;
                let scheme = if config.http.tls().is_some() { "https" } else { "http" };
                super::print(&format!("{scheme}://{}/#/welcome?code={code}\n", config.http.bind)).map(drop)
            }
            UserWhat::Remove { name } => {
                let desk = offline.desk();
                let theirs = desk.sessions.iter().filter(|(_, session)| session.name == name).map(|(id, _)| *id);
                let behind: Vec<_> = theirs.chain(desk.users.get(&name).map(|user| user.credential)).collect();
                offline.want(Command::RemoveUser { name: name.clone() }).await?;
                for id in behind {
                    offline.keys.destroy(id).await?;
                }
                say(&format!("{name} was removed"))
            }
            UserWhat::Role { name, role } => {
                offline.want(Command::ChangeRole { name: name.clone(), access: role.access() }).await?;
                say(&format!("{name} is {} now", role.access().as_str()))
            }
            UserWhat::Password { name } => {
                let old = offline.desk().users.get(&name).map(|user| user.credential);
                let unknown = || CliError::new(Exit::NotFound, format!("there is no user {name}"));
                let old = old.ok_or_else(unknown)?;
                let password = password(&format!("New password for {name}: "))?;
                let credential = offline.keys.set_password(password).await.map_err(key_error)?;
                let command = Command::ChangePassword { name: name.clone(), credential, keep: None };
                or_destroy(offline, command, credential).await?;
                offline.keys.destroy(old).await?;
                say(&format!("{name} has a new password; sessions have ended"))
            }
        }
    }
}

impl Token {
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
            TokenWhat::List => {
                let found: Value = server.get("/api/tokens")?;
                return show(TOKENS, found["tokens"].as_array().cloned().unwrap_or_default(), shared);
            }
            TokenWhat::Create { name, role, hours } => {
                let mut wish = json!({"name": name, "role": role.access()});
                if let Some(hours) = hours {
                    wish["hours"] = hours.into();
                }
                let made = server.send("POST", "/api/tokens", Some(&wish))?;
                super::print(&format!("{}\n", made["token"].as_str().unwrap_or_default())).map(drop)
            }
            TokenWhat::Revoke { which } => {
                revoke(server, "/api/tokens", "tokens", "token", &which)?;
                say(&format!("token {which} was revoked"))
            }
        }?;
        Ok(Exit::Ok)
    }

    async fn on_log(self, shared: &Shared) -> Done {
        if let TokenWhat::List = self.what {
            return show(TOKENS, tokens(&desk_of(shared).await?), shared);
        }
        let mut offline = Offline::open(&config(shared)?).await?;
        let done = self.change(&mut offline).await;
        offline.close().await?;
        done.map(|()| Exit::Ok)
    }

    async fn change(self, offline: &mut Offline) -> Result<(), CliError> {
        match self.what {
            TokenWhat::List => Ok(()),
            TokenWhat::Create { name, role, hours } => {
                let expires_at = hours.map(|hours| offline.now() + Span::hours(i64::from(hours)));
                let (token, secret) = offline.keys.issue(Kind::Token).await?;
                let command = Command::CreateToken { token, name, access: role.access(), expires_at };
                or_destroy(offline, command, token).await?;
                super::print(&format!("{secret}\n")).map(drop)
            }
            TokenWhat::Revoke { which } => {
                let desk = offline.desk();
                let ids = desk.tokens.iter().filter(|(id, known)| id.to_string() == which || known.name == which);
                let id = only(ids.map(|(id, _)| *id).collect(), "token", &which)?;
                offline.want(Command::RevokeToken { token: id }).await?;
                offline.keys.destroy(id).await?;
                say(&format!("token {which} was revoked"))
            }
        }
    }
}

/// A secret whose event was refused is of no use to anybody.
pub(super) async fn or_destroy(
    offline: &mut Offline,
    command: Command,
    credential: CredentialId,
) -> Result<(), CliError> {
    match offline.want(command).await {
        Ok(_) => Ok(()),
        Err(refused) => {
            offline.keys.destroy(credential).await?;
            Err(refused)
        }
    }
}

/// Takes back the one of a list that has this id or this name.
pub(super) fn revoke(server: &Server, path: &str, list: &str, noun: &str, which: &str) -> Result<(), CliError> {
    let found: Value = server.get(path)?;
    let all = found[list].as_array().cloned().unwrap_or_default();
    let ids = all.iter().filter(|known| known["id"] == *which || known["name"] == *which);
    let id = only(ids.filter_map(|known| known["id"].as_str().map(str::to_string)).collect(), noun, which)?;
    server.send("DELETE", &format!("{path}/{id}"), None).map(drop)
}

/// `noun`: what it is, which is also the command that lists them.
pub(super) fn only<T>(mut found: Vec<T>, noun: &str, wanted: &str) -> Result<T, CliError> {
    match (found.pop(), found.is_empty()) {
        (Some(id), true) => Ok(id),
        (Some(_), false) => {
            let message = format!("several {noun}s are called `{wanted}`");
            Err(CliError::new(Exit::Conflict, message).hint(format!("name it by its id: `tidehelm {noun} list`")))
        }
        (None, _) => Err(CliError::new(Exit::NotFound, format!("there is no {noun} `{wanted}`"))),
    }
}

fn users(desk: &Desk) -> Vec<Value> {
    let active = desk.users.iter().map(|(name, user)| {
        let sessions = desk.sessions.values().filter(|session| session.name == *name).count();
        json!({"name": name, "role": user.access, "state": "active", "sessions": sessions, "since": user.since})
    });
    let invited = desk.invites.values().map(|invite| {
        json!({"name": invite.name, "role": invite.access, "state": "invited", "expires_at": invite.expires_at})
    });
    active.chain(invited).collect()
}

fn tokens(desk: &Desk) -> Vec<Value> {
    let shown = desk.tokens.iter().map(|(id, token)| {
        json!({
            "id": id, "name": token.name, "role": token.access, "created_at": token.created_at, "expires_at": token.expires_at,
        })
    });
    shown.collect()
}

fn with(user: &Value, state: &str) -> Value {
    let mut user = user.clone();
    user["state"] = state.into();
    user
}

pub(super) fn show(columns: &[Column], mut rows: Vec<Value>, shared: &Shared) -> Done {
    if shared.output != super::output::Output::Json {
        for row in &mut rows {
            for field in ["since", "created_at", "expires_at"] {
                if let Some(micros) = row[field].as_i64() {
                    row[field] = Timestamp(micros).to_string().into();
                }
            }
        }
    }
    print(&mut std::io::stdout(), shared.output, columns, &rows)?;
    Ok(Exit::Ok)
}

pub(super) fn say(text: &str) -> Result<(), CliError> {
    super::print(&format!("{text}\n")).map(drop)
}

pub(super) fn key_error(error: KeyError) -> CliError {
    match error {
        KeyError::PasswordLength => CliError::usage(error.to_string()),
        KeyError::Hash(_) | KeyError::Store(_) => CliError::failed(error.to_string()),
        KeyError::NothingSealed => CliError::new(Exit::Conflict, error.to_string()),
        KeyError::Seal(_) | KeyError::Row { .. } => CliError::new(Exit::Blocked, error.to_string()),
    }
}

/// A password that is typed twice and not seen, or the first line of standard input.
fn password(prompt: &str) -> Result<String, CliError> {
    let unread = |error: std::io::Error| CliError::failed("cannot read the password").caused_by(error);
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(unread)?;
        let password = line.trim_end_matches(['\r', '\n']).to_string();
        return match password.is_empty() {
            true => Err(CliError::usage("no password came on standard input")),
            false => Ok(password),
        };
    }
    let terminal = console::Term::stderr();
    let ask = |prompt: &str| {
        let _ = write!(&terminal, "{prompt}");
        terminal.read_secure_line().map_err(unread)
    };
    let (once, again) = (ask(prompt)?, ask("The same again: ")?);
    if once != again {
        return Err(CliError::usage("the two passwords differ; nothing was changed"));
    }
    Ok(once)
}
