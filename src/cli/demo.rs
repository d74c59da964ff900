//! `tidehelm demo`: a desk, a fleet and simulated LLM servers, in a directory that is gone afterwards.

mod models;

use super::Shared;
use super::fleet::{Load, show, stopped_by_signal};
use super::output::{CliError, Done, Exit};
use crate::ambient;
use crate::fleet::run::run;
use crate::source::Server;
use clap::Args;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tidehelm_terminal::client::Addresses;

#[derive(Args)]
#[command(
    after_help = "Prints the link to the desk as soon as it runs. Ends with ctrl-c, or after --minutes; nothing is left of it then.\n\n\
                  Examples:\n  tidehelm demo\n  tidehelm demo --slaves 200 --chaos --minutes 10"
)]
pub struct Demo {
    /// Address that the desk listens on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    bind: String,
    /// Without LLM servers and those who ask them
    #[arg(long)]
    no_models: bool,
    #[command(flatten)]
    load: Load,
}

impl Demo {
    pub fn run(self, shared: &Shared) -> Done {
        let stop = stopped_by_signal()?;
        let directory = Directory::new()?;
        let desk = Desk::start(&directory.0, &self.bind)?;
        let admin = Admin::welcome(&desk)?;
        let token = admin.token()?;
        eprintln!("The desk is at {}\nOpen this link once to come in as an admin:\n  {}\n", desk.url, admin.link()?);
        let options = self.load.options(desk.addresses.clone(), None)?;
        let server = Server::new(&desk.url, Some(&token))?;
        let models = match self.no_models {
            true => None,
            false => {
                eprintln!("3 simulated LLM servers answer behind {}/v1; one of them comes and goes", desk.url);
                Some(models::Models::start(&admin, &desk.url, options.seed)?)
            }
        };
        let mut tell = |text: &str| eprintln!("{text}");
        let report = run(&options, Some(&server), &stop, &mut tell)?;
        drop(models);
        drop(desk);
        show(&report, shared.output)
    }
}

/// A directory of ours alone, removed with all that is in it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Directory, CliError> {
        let path = std::env::temp_dir().join(format!("tidehelm-demo-{}", ambient::uuid().simple()));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = builder.create(&path);
        made.map_err(|error| CliError::failed(format!("cannot make {}", path.display())).caused_by(error))?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is in the system's directory for what may be.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// This program again, on the demo's data and with no settings of ours.
fn tidehelm(data: &Path) -> Result<Command, CliError> {
    let program = std::env::current_exe();
    let mut command = Command::new(program.map_err(|error| CliError::failed("cannot find myself").caused_by(error))?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDEHELM_") {
            command.env_remove(name);
        }
    }
    command.current_dir(data).stdin(Stdio::null());
    Ok(command)
}

/// The first admin comes in by the one-time link, makes a token for the fleet, and invites whoever looks on.
struct Admin {
    agent: ureq::Agent,
    url: String,
    cookie: String,
}

impl Admin {
    fn welcome(desk: &Desk) -> Result<Admin, CliError> {
        let code = desk.greeting.split_once("/#/welcome?code=").and_then(|(_, rest)| rest.split_whitespace().next());
        let code = code.ok_or_else(|| CliError::failed("the desk printed no link for the first admin"))?;
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        let mut admin = Admin { agent, url: desk.url.clone(), cookie: String::new() };
        let password = ambient::uuid().simple().to_string();
        let (_, cookie) = admin.post("/api/welcome", &json!({"code": code, "name": "demo", "password": password}))?;
        admin.cookie = cookie;
        Ok(admin)
    }

    fn token(&self) -> Result<String, CliError> {
        self.text("/api/tokens", &json!({"name": "fleet", "role": "operator"}), "token")
    }

    /// A one-time link that makes whoever opens it an admin.
    fn link(&self) -> Result<String, CliError> {
        let path = self.text("/api/invites", &json!({"name": "you", "role": "admin"}), "path")?;
        Ok(format!("{}{path}", self.url))
    }

    fn text(&self, path: &str, body: &Value, field: &str) -> Result<String, CliError> {
        let (answer, _) = self.post(path, body)?;
        let text = answer[field].as_str().map(str::to_string);
        text.ok_or_else(|| CliError::failed(format!("the desk answered {path} with {answer}")))
    }

    /// The answer, and the cookie that came with it.
    fn post(&self, path: &str, body: &Value) -> Result<(Value, String), CliError> {
        let request = self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let request = if self.cookie.is_empty() { request } else { request.header("cookie", &self.cookie) };
        let failed = |error: ureq::Error| CliError::failed(format!("the desk does not answer {path}")).caused_by(error);
        let mut response = request.send(body.to_string()).map_err(failed)?;
        let cookie = response.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap_or_default().to_string();
        let text = response.body_mut().read_to_string().map_err(failed)?;
        if response.status().as_u16() >= 400 {
            return Err(CliError::failed(format!("the desk says no to {path}: {text}")));
        }
        Ok((serde_json::from_str(&text).unwrap_or_default(), cookie))
    }
}

struct Desk {
    child: Child,
    greeting: String,
    url: String,
    addresses: Addresses,
}

impl Desk {
    fn start(directory: &Path, bind: &str) -> Result<Desk, CliError> {
        let mut command = tidehelm(directory)?;
        command.arg("serve").arg("--data").arg(directory.join("data")).args(["--bind", bind]);
        for socket in ["uplink", "session", "feed"] {
            command.args(["--set", &format!("terminals.{socket}=tcp://127.0.0.1:0")]);
        }
        let log = std::fs::File::create(directory.join("desk.log"));
        let log = log.map_err(|error| CliError::failed("cannot write the desk's log").caused_by(error))?;
        let started = command.stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = started.map_err(|error| CliError::failed("cannot start the desk").caused_by(error))?;
        let greeting = child.stdout.take().map(read_greeting).unwrap_or_default();
        let mut desk = Desk { child, url: String::new(), addresses: addresses(&greeting), greeting };
        let url = desk.greeting.lines().find_map(|line| line.strip_prefix("Tidehelm is at "));
        match url {
            Some(url) if !desk.addresses.session.is_empty() => desk.url = url.to_string(),
            _ => {
                let log = std::fs::read_to_string(directory.join("desk.log")).unwrap_or_default();
                return Err(CliError::new(Exit::Failed, format!("the desk did not start:\n{}", log.trim())));
            }
        }
        Ok(desk)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Its data go with it, so that nothing is lost by not asking.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the desk says up to the link for the first admin. The rest is read by nobody, and need not be.
fn read_greeting(out: std::process::ChildStdout) -> String {
    let mut text = String::new();
    for line in BufReader::new(out).lines().map_while(Result::ok) {
        text.push_str(&line);
        text.push('\n');
        if line.contains("/#/welcome?code=") {
            break;
        }
    }
    text
}

/// Where terminals are answered: `Terminals speak to session tcp://…, uplink tcp://…, feed tcp://…`.
fn addresses(greeting: &str) -> Addresses {
    let line = greeting.lines().find_map(|line| line.strip_prefix("Terminals speak to ")).unwrap_or_default();
    let of = |name: &str| {
        let parts = line.split(", ").filter_map(|part| part.strip_prefix(name));
        parts.filter_map(|list| list.split_whitespace().next()).next().unwrap_or_default().to_string()
    };
    Addresses { session: of("session "), uplink: of("uplink ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_greeting() {
        let said = "Tidehelm is at http://127.0.0.1:1\nTerminals speak to session tcp://127.0.0.1:2 ipc:///x, uplink tcp://127.0.0.1:3, feed tcp://127.0.0.1:4\n";
        let found = addresses(said);
        assert_eq!((found.session.as_str(), found.uplink.as_str()), ("tcp://127.0.0.1:2", "tcp://127.0.0.1:3"));
        assert_eq!(addresses("nothing").session, "");
    }
}
