//! Recorded market data: files of what venues said, read and written as CSV, Parquet and `.npz`.
//!
//! A tape is words in the order in which they came in. [`open`] reads one word by word; [`Checked`] refuses or counts what cannot be,
//! by name; [`Recorder`] writes one. `docs/market-data.md` has the columns.

mod check;
mod columns;
mod line;
mod npz;
mod sheet;

#[cfg(test)]
mod tests;

pub use check::{Checked, Flaw, Found, Rules};
pub use line::COLUMNS;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidehelm_events::id::MarketId;
use tidehelm_events::market::Heard;
use tidehelm_events::time::{Span, Timestamp};

/// What was said in which market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub market: Arc<MarketId>,
    pub heard: Heard,
}

/// Words one by one, until the first that cannot be read.
pub type Words = Box<dyn Iterator<Item = Result<Word, Fault>> + Send>;

/// Why a tape cannot be used. Rows count from 1, the header not counted.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("cannot {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no tape: its name ends with none of .csv, .parquet, .npz", .0.display())]
    FormatUnknown(PathBuf),
    #[error("the file cannot be understood: {0}")]
    Broken(String),
    #[error("there is no column `{0}`")]
    ColumnMissing(&'static str),
    #[error("there is no column `market`, and nobody said which market it is")]
    MarketMissing,
    #[error("row {row} has nothing in `{column}`")]
    CellMissing { row: u64, column: &'static str },
    #[error("row {row} has `{found}` in `{column}`: {why}")]
    CellInvalid { row: u64, column: &'static str, found: String, why: String },
    #[error("row {row} {flaw}")]
    Flawed { row: u64, flaw: Flaw },
    #[error("{0} cannot be written there")]
    NotWritable(String),
}

impl Fault {
    /// Stable.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::File { .. } => "FILE",
            Fault::FormatUnknown(_) => "FORMAT_UNKNOWN",
            Fault::Broken(_) => "BROKEN",
            Fault::ColumnMissing(_) => "COLUMN_MISSING",
            Fault::MarketMissing => "MARKET_MISSING",
            Fault::CellMissing { .. } => "CELL_MISSING",
            Fault::CellInvalid { .. } => "CELL_INVALID",
            Fault::Flawed { flaw, .. } => flaw.code(),
            Fault::NotWritable(_) => "NOT_WRITABLE",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Parquet,
    Npz,
}

impl Format {
    pub fn of(path: &Path) -> Result<Self, Fault> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("csv") => Ok(Format::Csv),
            Some("parquet") => Ok(Format::Parquet),
            Some("npz") => Ok(Format::Npz),
            _ => Err(Fault::FormatUnknown(path.to_path_buf())),
        }
    }
}

/// What a file does not say of itself.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Whose words they are, where no column says so.
    pub market: Option<MarketId>,
    /// How long they were on their way, where only the venue's time is in the file.
    pub latency: Span,
}

/// The words of a file, by the end of its name.
pub fn open(path: &Path, reading: &Reading) -> Result<Words, Fault> {
    let format = Format::of(path)?;
    let file = File::open(path).map_err(|source| Fault::File { doing: "open", path: path.to_path_buf(), source })?;
    match format {
        Format::Csv => sheet::read(file, reading),
        Format::Parquet => columns::read(file, reading),
        Format::Npz => npz::read(file, reading),
    }
}

/// How much was written, and how much the format has no room for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub words: u64,
    /// Marks, indices and funding have no place in `.npz`.
    pub left_out: u64,
}

/// A tape that is being written.
pub enum Recorder {
    Csv(Box<sheet::Writer>),
    Parquet(Box<columns::Writer>),
    Npz(Box<npz::Writer>),
}

impl Recorder {
    /// A new file, by the end of its name.
    pub fn create(path: &Path) -> Result<Self, Fault> {
        let format = Format::of(path)?;
        let file = File::create(path);
        let file = file.map_err(|source| Fault::File { doing: "create", path: path.to_path_buf(), source })?;
        Ok(match format {
            Format::Csv => Recorder::Csv(Box::new(sheet::Writer::new(file)?)),
            Format::Parquet => Recorder::Parquet(Box::new(columns::Writer::new(file)?)),
            Format::Npz => Recorder::Npz(Box::new(npz::Writer::new(file))),
        })
    }

    pub fn push(&mut self, word: &Word) -> Result<(), Fault> {
        match self {
            Recorder::Csv(writer) => writer.push(word),
            Recorder::Parquet(writer) => writer.push(word),
            Recorder::Npz(writer) => writer.push(word),
        }
    }

    /// The end of the file. Without it there is none.
    pub fn finish(self) -> Result<Written, Fault> {
        match self {
            Recorder::Csv(writer) => writer.finish(),
            Recorder::Parquet(writer) => writer.finish(),
            Recorder::Npz(writer) => writer.finish(),
        }
    }
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, by how large it is: each is good for the years 1973 to 5138.
fn time_of(number: i64) -> Timestamp {
    let size = number.unsigned_abs();
    Timestamp(if size < 100_000_000_000 {
        number.saturating_mul(1_000_000)
    } else if size < 100_000_000_000_000 {
        number.saturating_mul(1_000)
    } else if size < 100_000_000_000_000_000 {
        number
    } else {
        number.div_euclid(1_000)
    })
}
