//! `tidehelm stop` and `tidehelm resume`

use super::Shared;
use super::output::{CliError, Column, Done, Exit, Output, print_one};
use super::target::Target;
use crate::source::Server;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tidehelm_events::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Degree {
    /// Nothing is opened
    Pause,
    /// Pending orders are cancelled, too
    Cancel,
    /// And everything that was copied is closed
    Flatten,
}

impl Degree {
    fn as_str(self) -> &'static str {
        match self {
            Degree::Pause => "pause",
            Degree::Cancel => "cancel",
            Degree::Flatten => "flatten",
        }
    }
}

#[derive(Args)]
#[command(
    after_help = "It works while the log cannot be written, too: then by the emergency log, and the answer says so. Where not even \
                        that can be written, nothing is opened, pending orders are cancelled, and the exit code is 1.\n\n\
                        Examples:\n  tidehelm stop --reason 'news in an hour' --url http://127.0.0.1:8787\n  \
                        tidehelm stop --degree flatten --reason 'prices are wrong'"
)]
pub struct Stop {
    /// How far it goes
    #[arg(long, value_enum, default_value = "pause")]
    degree: Degree,
    /// Why: 1 to 500 characters, kept for ever
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
#[command(after_help = "What was closed stays closed; what is opened from now on is copied again.\n\n\
                        Examples:\n  tidehelm resume --reason 'news are over' --url http://127.0.0.1:8787")]
pub struct Resume {
    /// Why: 1 to 500 characters, kept for ever
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    target: Target,
}

const STOPPED: &[Column] = &[
    Column { header: "degree", field: "degree" },
    Column { header: "went as far as", field: "acted" },
    Column { header: "recorded in", field: "recorded" },
    Column { header: "orders given", field: "orders" },
    Column { header: "position", field: "position" },
];
const STATE: &[Column] = &[
    Column { header: "stopped", field: "stopped" },
    Column { header: "degree", field: "degree" },
    Column { header: "reason", field: "reason" },
    Column { header: "since", field: "since" },
    Column { header: "orders without a result", field: "orders_open" },
    Column { header: "position", field: "position" },
];

impl Stop {
    pub fn run(self, shared: &Shared) -> Done {
        let body = json!({"degree": self.degree.as_str(), "reason": self.reason});
        let answer = server(&self.target, shared)?.send("POST", "/api/stop", Some(&body))?;
        print_one(&mut std::io::stdout(), shared.output, STOPPED, &answer)?;
        match answer["recorded"].as_str() {
            Some("nowhere") => Err(CliError::failed("STOP is on record nowhere: a restart before the log is back forgets it")
                .hint("nothing is opened and pending orders are cancelled; close positions at the broker if they have to go, and press it again")),
            _ => Ok(Exit::Ok),
        }
    }
}

impl Resume {
    pub fn run(self, shared: &Shared) -> Done {
        let answer =
            server(&self.target, shared)?.send("POST", "/api/resume", Some(&json!({"reason": self.reason})))?;
        show(shared, answer)
    }
}

fn show(shared: &Shared, mut state: Value) -> Done {
    if let (true, Some(micros)) = (shared.output != Output::Json, state["since"].as_i64()) {
        state["since"] = Timestamp(micros).to_string().into();
    }
    print_one(&mut std::io::stdout(), shared.output, STATE, &state)?;
    Ok(Exit::Ok)
}

fn server(target: &Target, shared: &Shared) -> Result<Server, CliError> {
    target.server(shared)?.ok_or_else(|| {
        CliError::usage("STOP is asked of a running server")
            .hint("give its address: --url http://127.0.0.1:8787, or TIDEHELM_URL")
    })
}
