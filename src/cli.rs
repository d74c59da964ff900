//! The command line: one file per command under `cli/`.

pub mod output;
pub mod progress;
pub mod time;

mod alert;
mod backup;
mod config;
mod demo;
mod diff;
mod doctor;
mod ea;
mod endpoint;
mod events;
mod filter;
mod fleet;
mod groups;
mod key;
mod load;
mod manual;
mod migrate;
mod overview;
mod people;
mod rebuild;
mod replay;
mod requests;
mod secrets;
mod serve;
mod snapshot;
mod state;
mod status;
mod stop;
mod tail;
mod target;
mod top;
mod trace;
mod transfer;
mod upstream;
mod verify;
mod why;

use clap::{Args, CommandFactory, Parser, Subcommand};
use output::{CliError, Done, Exit, Output};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "tidehelm",
    version,
    about = "A self-hosted, event-sourced control plane for automated trading",
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 conflict, 5 blocked, 6 verification failed, 7 unreachable.\n\
                  Examples:\n  tidehelm serve\n  tidehelm tail --follow\n  tidehelm verify\n  tidehelm state master/IC_Markets_1 --at '10m ago'"
)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
pub struct Shared {
    /// Settings file; without it `tidehelm.toml` in the current directory, if there is one
    #[arg(long, global = true, value_name = "FILE", env = "TIDEHELM_CONFIG")]
    pub config: Option<PathBuf>,
    /// One setting, such as `http.bind=127.0.0.1:9000`; may be given again
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = crate::config::assignment)]
    pub set: Vec<(String, String)>,
    /// The data directory
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How results are written
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Output,
}

impl Shared {
    pub fn load(&self, more: &[(&str, Option<String>)]) -> Result<crate::config::Loaded, CliError> {
        let mut flags = self.set.clone();
        let data = ("data.dir", self.data.as_ref().map(|dir| dir.display().to_string()));
        for (key, value) in more.iter().chain([&data]) {
            flags.extend(value.clone().map(|value| (key.to_string(), value)));
        }
        let usual = PathBuf::from("tidehelm.toml");
        let file = self.config.clone().or_else(|| usual.exists().then_some(usual));
        Ok(crate::config::Loaded::load(file.as_deref(), crate::config::environment(), &flags)?)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run the desk: store, actors, API and page
    Serve(serve::Serve),
    /// A desk with simulated terminals, in a directory that is gone afterwards
    Demo(demo::Demo),
    /// Simulated terminals and brokers for a desk, and whether every slave holds what it should
    Fleet(fleet::Fleet),
    /// The last events of the log, and with --follow those that come
    Tail(tail::Tail),
    /// Look at single events
    Events(events::Events),
    /// The whole chain of an event or command: what caused what
    Trace(trace::Trace),
    /// Why a trade was copied or was not, with its orders and how long they took
    Why(why::Why),
    /// The state of a stream, or a table of all accounts, now or as it was
    State(state::State),
    /// What changed between two moments
    Diff(diff::Diff),
    /// Fold the log from its start and say what was in it
    Replay(replay::Replay),
    /// Check every commit, and everything that follows from them
    Verify(verify::Verify),
    /// Write events to a file that other programs read: jsonl, parquet or cloudevents
    Export(transfer::Export),
    /// Begin a new log with the events of an export
    Import(transfer::Import),
    /// Build a read model anew from the log
    Rebuild(rebuild::Rebuild),
    /// Copy the whole store, as it is at one moment, beside a running server
    Backup(backup::Backup),
    /// Put a backup in the place of a data directory
    Restore(backup::Restore),
    /// Move the log to another store, such as PostgreSQL
    Migrate(migrate::Migrate),
    /// How a server, or a data directory, is
    Status(status::Status),
    /// Open nothing more; with --degree also cancel what waits, or close everything
    Stop(stop::Stop),
    /// Take STOP back
    Resume(stop::Resume),
    /// Accounts and rates, again and again
    Top(top::Top),
    /// Endpoints, and what their requests add up to
    Overview(overview::Overview),
    /// Requests that ended: list them, or write them to a file
    Requests(Box<requests::Requests>),
    /// Look at the disk, the clock, the port and the store, and say what is wrong
    Doctor(doctor::Doctor),
    /// Write a snapshot now, so that the next start reads less
    Snapshot(snapshot::Snapshot),
    /// Trade groups: masters with their settings
    Group(groups::Group),
    /// Members of trade groups: slaves that copy a master
    Member(groups::Member),
    /// What is raised, who hears of it, and whether they did
    Alert(alert::Alert),
    /// Endpoints: upstream services that the desk watches
    Endpoint(endpoint::Endpoint),
    /// People who may use the desk
    User(people::User),
    /// Keys for programs
    Token(people::Token),
    /// Keys of the proxy's clients: issue, list, revoke
    Key(key::Key),
    /// Load for the proxy, or for any server with the interface of OpenAI
    Load(load::Load),
    /// Keys of terminals: pair, list, revoke
    Ea(ea::Ea),
    /// What is sealed, and the master key that opens it
    Secrets(secrets::Secrets),
    /// Show, check or write settings
    Config(config::Config),
    /// Completions for a shell
    Completions(manual::Completions),
    /// The manual as pages for `man`
    Man(manual::Man),
    /// A simulated LLM server, for tests and load
    #[command(hide = true)]
    Upstream(upstream::Simulated),
    /// Print the OpenAPI document
    #[command(hide = true)]
    Openapi,
}

/// Runs the command line and says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    output::finish(run(cli), &mut std::io::stderr())
}

fn run(cli: Cli) -> Done {
    match cli.command {
        Command::Serve(command) => command.run(&cli.shared),
        Command::Demo(command) => command.run(&cli.shared),
        Command::Fleet(command) => command.run(&cli.shared),
        Command::Tail(command) => command.run(&cli.shared),
        Command::Events(command) => command.run(&cli.shared),
        Command::Trace(command) => command.run(&cli.shared),
        Command::Why(command) => command.run(&cli.shared),
        Command::State(command) => command.run(&cli.shared),
        Command::Diff(command) => command.run(&cli.shared),
        Command::Replay(command) => command.run(&cli.shared),
        Command::Verify(command) => command.run(&cli.shared),
        Command::Export(command) => command.run(&cli.shared),
        Command::Import(command) => command.run(&cli.shared),
        Command::Rebuild(command) => command.run(&cli.shared),
        Command::Backup(command) => command.run(&cli.shared),
        Command::Restore(command) => command.run(&cli.shared),
        Command::Migrate(command) => command.run(&cli.shared),
        Command::Status(command) => command.run(&cli.shared),
        Command::Stop(command) => command.run(&cli.shared),
        Command::Resume(command) => command.run(&cli.shared),
        Command::Top(command) => command.run(&cli.shared),
        Command::Overview(command) => command.run(&cli.shared),
        Command::Requests(command) => command.run(&cli.shared),
        Command::Doctor(command) => command.run(&cli.shared),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Snapshot(command) => command.run(&cli.shared),
        Command::Group(command) => command.run(&cli.shared),
        Command::Member(command) => command.run(&cli.shared),
        Command::Alert(command) => command.run(&cli.shared),
        Command::Endpoint(command) => command.run(&cli.shared),
        Command::User(command) => command.run(&cli.shared),
        Command::Token(command) => command.run(&cli.shared),
        Command::Key(command) => command.run(&cli.shared),
        Command::Load(command) => command.run(&cli.shared),
        Command::Ea(command) => command.run(&cli.shared),
        Command::Secrets(command) => command.run(&cli.shared),
        Command::Config(command) => command.run(&cli.shared),
        Command::Upstream(command) => command.run(&cli.shared),
        Command::Openapi => print(&crate::http::spec::json()),
    }
}

pub(crate) use filter::encoded;

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Done {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes()).map_err(CliError::writing)?;
    Ok(Exit::Ok)
}

/// The command line as clap knows it, for completions and the manual.
pub fn command() -> clap::Command {
    Cli::command()
}
