//! `tidehelm load`

use super::fleet::stopped_by_signal;
use super::output::{CliError, Done, Exit, Output};
use super::{Shared, print};
use crate::load::{Options, Report, run};
use crate::source::Server;
use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Args)]
#[command(
    after_help = "Asks as fast as answers come and prints how long they took, by percentiles, and what went wrong, by kinds. With \
                  --token it compares what it counted with what the desk counted meanwhile; exit code 6 where they differ.\n\n\
                  Examples:\n  tidehelm load --key thk_… --model llama-3 --concurrency 64 --seconds 30\n  \
                  tidehelm load --key thk_… --token \"$TOKEN\" --streaming 50\n  \
                  tidehelm load --url http://127.0.0.1:8000 --model llama-3"
)]
pub struct Load {
    /// The desk, or any server with the interface of OpenAI
    #[arg(long, value_name = "URL", env = "TIDEHELM_URL", default_value = "http://127.0.0.1:8787")]
    url: String,
    /// Key of the proxy
    #[arg(long, env = "TIDEHELM_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
    /// Token of the desk, to compare with what it counts
    #[arg(long, env = "TIDEHELM_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    #[arg(long, default_value = "llama-3")]
    model: String,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 16, value_name = "COUNT")]
    concurrency: usize,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// No more than so many requests
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true, value_name = "COUNT")]
    requests: u64,
    /// How many of a hundred want a stream
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    streaming: u32,
    /// Bytes of each question
    #[arg(long, default_value_t = 200, value_name = "BYTES")]
    prompt: usize,
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    threads: usize,
    /// A request that takes longer is given up
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    timeout: f64,
}

/// What the desk counted, ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    total: u64,
    success: u64,
}

impl Load {
    pub fn run(self, shared: &Shared) -> Done {
        let seconds = |what: &str, value: f64| match value > 0.0 && value < 1e7 {
            true => Ok(Duration::from_secs_f64(value)),
            false => Err(CliError::usage(format!("--{what} is above 0 and below ten million"))),
        };
        if self.concurrency == 0 {
            return Err(CliError::usage("--concurrency is 1 or more"));
        }
        let options = Options {
            run_for: seconds("seconds", self.seconds)?,
            answer_within: seconds("timeout", self.timeout)?,
            rest_after_error: Duration::ZERO,
            key: self.key,
            model: self.model,
            concurrency: self.concurrency,
            threads: self.threads,
            requests_max: self.requests,
            streaming: self.streaming,
            prompt_bytes: self.prompt,
            url: self.url.clone(),
        };
        let desk = self.token.as_deref().map(|token| Server::new(&self.url, Some(token))).transpose()?;
        let before = desk.as_ref().map(counted).transpose()?;
        let stop = stopped_by_signal()?;
        let ran = run(&options, stop);
        let report = ran.map_err(|error| CliError::failed(format!("cannot load {}", self.url)).caused_by(error))?;
        let Some((desk, before)) = desk.as_ref().zip(before) else { return show(&report, None, shared) };
        let sent = Counted { total: report.sent, success: report.success };
        let mut since = since(desk, before)?;
        // What it shows comes a moment after the answers.
        for _ in 0..40 {
            if since.total >= sent.total {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            since = self::since(desk, before)?;
        }
        show(&report, Some(since), shared)
    }
}

fn counted(desk: &Server) -> Result<Counted, CliError> {
    let found: Value = desk.get("/api/dashboard/stats")?;
    let number = |name: &str| found["stats"][name].as_u64();
    let (total, success) =
        number("total").zip(number("success")).ok_or_else(|| CliError::failed("it shows no counts"))?;
    Ok(Counted { total, success })
}

fn since(desk: &Server, before: Counted) -> Result<Counted, CliError> {
    let now = counted(desk)?;
    Ok(Counted { total: now.total.saturating_sub(before.total), success: now.success.saturating_sub(before.success) })
}

fn show(report: &Report, desk: Option<Counted>, shared: &Shared) -> Done {
    let equal = desk.is_none_or(|desk| desk == Counted { total: report.sent, success: report.success });
    let text = match shared.output {
        Output::Table => {
            let mut text = report.text();
            if let Some(Counted { total, success }) = desk {
                let verdict = if equal { "the same" } else { "NOT the same" };
                text += &format!("the desk counted {total} meanwhile, {success} good: {verdict}\n");
            }
            text
        }
        Output::Json => {
            let desk = desk.map(|desk| json!({"total": desk.total, "success": desk.success, "equal": equal}));
            format!("{:#}\n", json!({"load": report, "desk": desk}))
        }
        Output::Csv => return Err(CliError::usage("a report of load is no table: --output table or json")),
    };
    print(&text)?;
    Ok(if equal { Exit::Ok } else { Exit::VerificationFailed })
}
