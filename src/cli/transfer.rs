//! `tidehelm export` and `tidehelm import`

use super::Shared;
use super::filter::Filter;
use super::output::{CliError, Done, Exit};
use super::progress::Progress;
use super::target::{Target, block_on, config};
use crate::ambient;
use crate::export::{Format, Wanted, export};
use crate::import::{ImportError, import};
use crate::store::{Mode, Store, StoreConfig};
use clap::Args;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use tidehelm_actors::port::CommitLog;
use tidehelm_events::id::Position;

#[derive(Args)]
#[command(after_help = "No export holds a secret: hashes of passwords and tokens are in backups only.\n\n\
                  Examples:\n  tidehelm export -o events.jsonl\n  tidehelm export --kind status_changed --from '1 h ago' -o - | jq .payload\n  \
                  tidehelm export --format parquet -o events.parquet\n  tidehelm export --format cloudevents --stream master -o -")]
pub struct Export {
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Events after this position or time
    #[arg(long, value_name = "MOMENT")]
    from: Option<String>,
    /// Events up to this position or time
    #[arg(long, value_name = "MOMENT")]
    to: Option<String>,
    /// Where to; `-` is standard output
    #[arg(long, short = 'o', value_name = "FILE", default_value = "-")]
    out: PathBuf,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    target: Target,
}

impl Export {
    pub fn run(self, shared: &Shared) -> Done {
        let filter = self.filter.wanted()?;
        block_on(async {
            let mut source = self.target.source(shared).await?;
            let after = match &self.from {
                Some(from) => source.moment(Some(from)).await?,
                None => Position(0),
            };
            let wanted = Wanted { after, to: source.moment(self.to.as_deref()).await?, filter };
            let progress = Progress::new("export", wanted.to.0);
            let out = BufWriter::with_capacity(1 << 18, self.open()?);
            let counts = export(&mut source, &wanted, self.format, out, |at| progress.advance_to(at.0)).await?;
            drop(progress);
            if counts.cut > 0 {
                eprintln!("{} events are not in it: retention has cut them", counts.cut);
            }
            eprintln!("{} events exported up to position {}", counts.events, wanted.to);
            Ok(Exit::Ok)
        })
    }

    fn open(&self) -> Result<Box<dyn Write + Send>, CliError> {
        if self.out == Path::new("-") {
            return Ok(Box::new(std::io::stdout()));
        }
        let unopened = |error| CliError::failed(format!("cannot write {}", self.out.display())).caused_by(error);
        Ok(Box::new(File::create(&self.out).map_err(unopened)?))
    }
}

#[derive(Args)]
#[command(
    after_help = "The new log has the same positions, times, ids and answers, and so the same state; its commits are new, and have other hashes. \
                  An export holds no secrets: set passwords anew afterwards.\n\n\
                  Examples:\n  tidehelm import events.jsonl --data new\n  zcat events.jsonl.gz | tidehelm import - --data new\n  \
                  tidehelm import events.jsonl --set store.url=postgres://tidehelm@localhost/desk"
)]
pub struct Import {
    /// A whole export in JSON lines; `-` is standard input
    file: PathBuf,
    /// The hash that the state must have in the end, as `replay` and `verify` print it
    #[arg(long, value_name = "HASH")]
    expect: Option<String>,
}

impl Import {
    pub fn run(self, shared: &Shared) -> Done {
        let config = config(shared)?;
        let lines = self.lines()?;
        block_on(async {
            let mut store = Store::open(&StoreConfig::from(&config), Mode::Write, ambient::wall()).await?;
            let end = store.head().await?.position;
            if end != Position(0) {
                let message = format!("there is a log already, up to position {end}");
                return Err(CliError::new(Exit::Conflict, message).hint("name an empty place: --data NEW-DIR"));
            }
            let progress = Progress::new("import", 0);
            let imported = import(&mut store, lines, |line| progress.advance_to(line)).await;
            drop(progress);
            store.close().await?;
            let fold = imported.map_err(|error| match error {
                ImportError::Line { .. } => CliError::usage(error.to_string())
                    .hint("what came before this line is in the new log; remove it before you try again"),
                ImportError::Store(fault) => fault.into(),
            })?;
            let (position, hash) = (fold.truth.position(), fold.truth.hash().to_string());
            super::print(&format!("{position} events imported; state hash {hash}\n"))?;
            match self.expect.filter(|expected| *expected != hash) {
                None => Ok(Exit::Ok),
                Some(expected) => Err(CliError::new(
                    Exit::VerificationFailed,
                    format!("the state is not the expected one, {expected}"),
                )),
            }
        })
    }

    fn lines(&self) -> Result<Box<dyn Iterator<Item = std::io::Result<String>>>, CliError> {
        if self.file == Path::new("-") {
            return Ok(Box::new(BufReader::new(std::io::stdin()).lines()));
        }
        let unread = |error| CliError::usage(format!("cannot read {}", self.file.display())).caused_by(error);
        Ok(Box::new(BufReader::with_capacity(1 << 18, File::open(&self.file).map_err(unread)?).lines()))
    }
}
