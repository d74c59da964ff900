//! `tidehelm secrets`: over a server's API, or on a data directory.

use super::Shared;
use super::output::{CliError, Column, Done, Exit, Output, print};
use super::people::{key_error, say};
use super::target::{Target, block_on, config};
use crate::ambient;
use crate::keys::{Survey, survey};
use crate::offline::Offline;
use crate::seal::MasterFile;
use crate::source::Server;
use crate::store::{Mode, Store, StoreConfig};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidehelm_events::desk::{Command, SecretsResealed};

#[derive(Args)]
#[command(
    after_help = "The keys of terminals must be usable again, so they are sealed with a master key. That lies in a file of its own, \
                  outside the data directory (secrets.master_key_file), and in no backup.\n\
                  With --url they are asked of a running server, with an admin's token. Without it, `status` reads beside a \
                  server, and `rotate` wants it stopped.\n\n\
                  Examples:\n  tidehelm secrets status\n  tidehelm secrets rotate --url http://127.0.0.1:8787"
)]
pub struct Secrets {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum What {
    /// Which master key there is, and whether everything that is sealed can be opened
    Status,
    /// Make a new master key and seal everything anew with it
    Rotate,
}

impl Secrets {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            match (self.target.server(shared)?, self.what) {
                (Some(server), What::Status) => report(server.get("/api/secrets")?, shared),
                (Some(server), What::Rotate) => ask_rotation(&server),
                (None, What::Status) => {
                    let found = look(&config(shared)?).await?;
                    report(serde_json::to_value(&found).unwrap_or_default(), shared)
                }
                (None, What::Rotate) => rotate(shared).await,
            }
        })
    }
}

/// How it stands in a data directory or a database, beside a running server.
async fn look(config: &crate::config::Config) -> Result<Survey, CliError> {
    let master = MasterFile::of(config)?;
    let store = Store::open(&StoreConfig::from(config), Mode::ReadOnly, ambient::wall()).await?;
    let found = survey(&store.reader(), &master).await?;
    store.close().await?;
    Ok(found)
}

fn report(found: Value, shared: &Shared) -> Done {
    let columns = [Column { header: "what", field: "what" }, Column { header: "is", field: "is" }];
    match shared.output {
        Output::Json => super::print(&format!("{found:#}\n")).map(drop)?,
        _ => print(&mut std::io::stdout(), shared.output, &columns, &lines(&found))?,
    }
    let unreadable = found["unreadable"].as_u64().unwrap_or(0);
    match (unreadable, found["trouble"].as_str()) {
        (0, None) => Ok(Exit::Ok),
        (0, Some(trouble)) => Err(CliError::new(Exit::Blocked, trouble)),
        (count, _) => Err(CliError::new(Exit::Blocked, format!("{count} sealed values cannot be opened"))),
    }
}

fn lines(found: &Value) -> Vec<Value> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToString::to_string);
    let mut lines = vec![
        json!({"what": "master key file", "is": found["master_key_file"]}),
        json!({"what": "master key", "is": found["master_key"].as_str().unwrap_or("none")}),
        json!({"what": "sealed values", "is": found["sealed"].to_string()}),
    ];
    for (master, count) in found["sealed_with"].as_object().into_iter().flatten() {
        lines.push(json!({"what": format!("sealed with {master}"), "is": count.to_string()}));
    }
    lines.push(json!({"what": "cannot be opened", "is": found["unreadable"].to_string()}));
    for reason in found["reasons"].as_array().into_iter().flatten().chain(Some(&found["trouble"])) {
        if !reason.is_null() {
            lines.push(json!({"what": "because", "is": text(reason)}));
        }
    }
    if found["rotating"] == true {
        lines.push(json!({"what": "rotation", "is": "was interrupted: `tidehelm secrets rotate` goes on with it"}));
    }
    lines
}

fn ask_rotation(server: &Server) -> Done {
    let done = server.send("POST", "/api/secrets/rotate", None)?;
    let text = |name: &str| done[name].as_str().unwrap_or_default().to_string();
    tell(&done["sealed"].to_string(), &text("master_key"), &text("kept"))
}

async fn rotate(shared: &Shared) -> Done {
    let mut offline = Offline::open(&config(shared)?).await?;
    let rotated = offline.keys.rotate().await.map_err(key_error);
    let noted = match rotated {
        Ok(resealed) => {
            let note = SecretsResealed { master_key: resealed.master.to_string(), sealed: resealed.count };
            offline.want(Command::NoteResealed(note)).await.map(|_| resealed)
        }
        Err(error) => Err(error),
    };
    offline.close().await?;
    let resealed = noted?;
    tell(&resealed.count.to_string(), &resealed.master.to_string(), &resealed.kept.display().to_string())
}

fn tell(count: &str, master: &str, kept: &str) -> Done {
    say(&format!(
        "{count} values are sealed with master key {master} now\n\
         The one before is in {kept}: backups that were made before need it. Destroy it once you need none of them."
    ))?;
    Ok(Exit::Ok)
}
