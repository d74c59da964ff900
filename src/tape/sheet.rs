//! Tapes as CSV with a header.

use super::line::{COLUMNS, Header, Line};
use super::{Fault, Reading, Word, Words, Written};
use std::fs::File;

pub(super) fn read(file: File, reading: &Reading) -> Result<Words, Fault> {
    let mut reader = csv::ReaderBuilder::new().from_reader(file);
    let mut header = Header::of(reader.headers().map_err(broken)?.iter(), reading)?;
    let words = reader.into_records().zip(1..).map(move |(record, row)| {
        let record = record.map_err(broken)?;
        header.word(row, |place| record.get(place))
    });
    Ok(Box::new(words))
}

fn broken(error: csv::Error) -> Fault {
    Fault::Broken(error.to_string())
}

pub struct Writer {
    out: csv::Writer<File>,
    words: u64,
}

impl Writer {
    pub(super) fn new(file: File) -> Result<Self, Fault> {
        let mut out = csv::Writer::from_writer(file);
        out.write_record(COLUMNS).map_err(not_written)?;
        Ok(Writer { out, words: 0 })
    }
    pub(super) fn push(&mut self, word: &Word) -> Result<(), Fault> {
        self.words += 1;
        self.out.write_record(Line::of(word).cells()).map_err(not_written)
    }
    pub(super) fn finish(mut self) -> Result<Written, Fault> {
        self.out.flush().map_err(|error| not_written(error.into()))?;
        Ok(Written { words: self.words, left_out: 0 })
    }
}

fn not_written(error: csv::Error) -> Fault {
    Fault::NotWritable(format!("the CSV file ({error})"))
}
