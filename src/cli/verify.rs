//! `tidehelm verify`

use super::Shared;
use super::output::{CliError, Column, Done, Exit, Output, print, print_one};
use super::progress::Progress;
use super::target::{Target, block_on};
use crate::http::log::HeadView;
use crate::source::Source;
use crate::verify::{Report, check_file, verify};
use clap::Args;
use std::path::PathBuf;
use tidehelm_actors::port::CommitLog;
use tidehelm_events::commit::Head;

#[derive(Args)]
#[command(
    after_help = "Checked are the chain of hashes and every blob, positions, versions of streams, names, causes and times, that the events fold, \
                  and what stands beside the log: audit rows, read models in SQL, snapshots, the base and its event after a cut, the vault.\n\
                  A chain alone can be recomputed by whoever owns the file: note the head somewhere else, and compare with it.\n\n\
                  Examples:\n  tidehelm verify\n  tidehelm verify --save-head /elsewhere/head.json\n  tidehelm verify --against /elsewhere/head.json\n  \
                  tidehelm verify --data /backups/2026-01-31 --output json"
)]
pub struct Verify {
    /// A head that was noted earlier must still be in the log
    #[arg(long, value_name = "HEAD-FILE")]
    against: Option<PathBuf>,
    /// Note the head in a file, if everything is right
    #[arg(long, value_name = "FILE")]
    save_head: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

impl Verify {
    pub fn run(self, shared: &Shared) -> Done {
        let against = self.against.as_ref().map(noted).transpose()?;
        block_on(async {
            let mut source = self.target.source(shared).await?;
            let report = whole(&mut source, against, shared, &self.target).await?;
            show(&report, shared)?;
            if !report.is_good() {
                let count = report.problems.len();
                return Err(CliError::new(Exit::VerificationFailed, format!("{count} problems in {}", report.place))
                    .hint("nothing was changed; `tidehelm restore` brings back a backup, `tidehelm serve --quarantine STREAM` starts without a stream"));
            }
            if let Some(file) = &self.save_head {
                save(file, &report, &mut source).await?;
            }
            Ok(Exit::Ok)
        })
    }
}

async fn whole(
    source: &mut Source,
    against: Option<Head>,
    shared: &Shared,
    target: &Target,
) -> Result<Report, CliError> {
    let progress = Progress::new("verify", source.head().await?.position.0);
    let mut report = verify(source, against, &progress).await?;
    if target.server(shared)?.is_none() {
        let config = super::target::config(shared)?;
        if config.store.url.is_empty() {
            check_file(&config.data.dir, &mut report).await;
        }
    }
    Ok(report)
}

fn noted(file: &PathBuf) -> Result<Head, CliError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        CliError::usage(format!("cannot read the head in {}: {error}", file.display()))
            .hint("`tidehelm verify --save-head FILE` writes one, `GET /api/log/head` answers one")
    };
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(&error))?;
    let head: HeadView = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    if tidehelm_events::commit::Hash::from_hex(&head.hash).is_none() {
        return Err(unreadable(&"its hash is not 64 hex digits"));
    }
    Ok(head.head())
}

async fn save(file: &PathBuf, report: &Report, source: &mut Source) -> Result<(), CliError> {
    let head = source.head().await?;
    let checked = HeadView { position: report.position, hash: report.hash.clone(), ..HeadView::of(&head) };
    let text = serde_json::to_string_pretty(&checked).unwrap_or_default() + "\n";
    std::fs::write(file, text)
        .map_err(|error| CliError::failed(format!("cannot write {}", file.display())).caused_by(error))
}

const SUMMARY: &[Column] = &[
    Column { header: "checked", field: "place" },
    Column { header: "up to position", field: "position" },
    Column { header: "commits", field: "commits" },
    Column { header: "events", field: "events" },
    Column { header: "events cut", field: "events_cut" },
    Column { header: "streams", field: "streams" },
    Column { header: "audit rows", field: "audit_rows" },
    Column { header: "status changes", field: "status_changes" },
    Column { header: "requests", field: "requests" },
    Column { header: "snapshots", field: "snapshots" },
    Column { header: "seals", field: "seals" },
    Column { header: "bases", field: "bases" },
    Column { header: "credentials", field: "credentials" },
    Column { header: "reactions owed", field: "reactions_owed" },
    Column { header: "head", field: "hash" },
    Column { header: "state hash", field: "state_hash" },
];

pub fn show(report: &Report, shared: &Shared) -> Result<(), CliError> {
    let mut out = std::io::stdout();
    match shared.output {
        Output::Json => print_one(&mut out, shared.output, SUMMARY, report),
        Output::Csv => print(&mut out, shared.output, PROBLEMS, &report.problems),
        Output::Table => {
            print_one(&mut out, shared.output, SUMMARY, report)?;
            for what in &report.not_checkable {
                super::print(&format!("not checkable: {what}\n"))?;
            }
            match report.is_good() {
                true => super::print("everything that was checked is right\n").map(drop),
                false => {
                    super::print("\n")?;
                    print(&mut out, shared.output, PROBLEMS, &report.problems)
                }
            }
        }
    }
}

const PROBLEMS: &[Column] = &[
    Column { header: "commit", field: "at" },
    Column { header: "problem", field: "what" },
    Column { header: "detail", field: "detail" },
];
