//! Rows of requests as files have them: lines of CSV, an array of JSON, or Parquet.

use super::RequestView;
use crate::export::{Group, column, levels, longs, texts};
use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::DoubleType;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tidehelm_actors::port::LogFault;

/// Rows that a Parquet file keeps together.
const ROW_GROUP: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A header and a line for each request
    Csv,
    /// One array of objects
    Json,
    /// Columns, compressed: for DuckDB, pandas, Spark and the like
    Parquet,
}

impl Format {
    pub const ALL: [Format; 3] = [Format::Csv, Format::Json, Format::Parquet];

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Parquet => "parquet",
        }
    }
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Json => "application/json",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// A file that is being written; what is written can be taken away.
pub enum Sheet {
    Csv(Box<csv::Writer<Vec<u8>>>),
    /// What is written, and whether that has a row.
    Json(Vec<u8>, bool),
    Parquet(Box<Table>),
}

impl Sheet {
    pub fn new(format: Format) -> Result<Self, LogFault> {
        Ok(match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(COLUMNS).map_err(failed)?;
                Sheet::Csv(Box::new(writer))
            }
            Format::Json => Sheet::Json(b"[".to_vec(), false),
            Format::Parquet => Sheet::Parquet(Box::new(Table::new().map_err(failed)?)),
        })
    }

    pub fn push(&mut self, row: RequestView) -> Result<(), LogFault> {
        match self {
            Sheet::Csv(writer) => writer.write_record(cells(&row)).map_err(failed),
            Sheet::Json(out, has_rows) => {
                out.extend_from_slice(if std::mem::replace(has_rows, true) { b",\n" } else { b"\n" });
                serde_json::to_writer(out, &row).map_err(failed)
            }
            Sheet::Parquet(table) => table.push(row).map_err(failed),
        }
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Result<Bytes, LogFault> {
        match self {
            Sheet::Csv(writer) => {
                writer.flush().map_err(failed)?;
                let whole = std::mem::replace(writer.as_mut(), csv::Writer::from_writer(Vec::new()));
                whole.into_inner().map(Bytes::from).map_err(|error| failed(error.into_error()))
            }
            Sheet::Json(out, _) => Ok(std::mem::take(out).into()),
            Sheet::Parquet(table) => Ok(table.sink.take()),
        }
    }

    /// The end of the file.
    pub fn finish(mut self) -> Result<Bytes, LogFault> {
        match self {
            Sheet::Csv(_) => self.take(),
            Sheet::Json(mut out, _) => {
                out.extend_from_slice(b"\n]\n");
                Ok(out.into())
            }
            Sheet::Parquet(table) => table.finish().map_err(failed),
        }
    }
}

fn failed(error: impl std::fmt::Display) -> LogFault {
    LogFault::new("cannot write the file of requests", error)
}

const COLUMNS: [&str; 17] = [
    "position",
    "at",
    "request",
    "endpoint",
    "endpoint_name",
    "model",
    "api",
    "outcome",
    "http_status",
    "input_tokens",
    "output_tokens",
    "tokens_known",
    "duration_ms",
    "first_byte_ms",
    "ending",
    "client",
    "key",
];

fn cells(row: &RequestView) -> [String; 17] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let millis = |value: f64| value.to_string();
    [
        row.position.to_string(),
        tidehelm_events::time::Timestamp(row.at).to_string(),
        row.request.clone(),
        text(&row.endpoint),
        text(&row.endpoint_name),
        row.model.clone(),
        row.api.clone(),
        row.outcome.clone(),
        row.http_status.map(|status| status.to_string()).unwrap_or_default(),
        row.input_tokens.to_string(),
        row.output_tokens.to_string(),
        row.tokens_known.clone(),
        millis(row.duration_ms),
        row.first_byte_ms.map(millis).unwrap_or_default(),
        row.ending.clone(),
        text(&row.client),
        text(&row.key),
    ]
}

/// Where a Parquet file is written to, and taken from.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A Parquet file, one row group at a time in memory.
pub struct Table {
    writer: SerializedFileWriter<Sink>,
    sink: Sink,
    rows: Vec<RequestView>,
}

impl Table {
    fn new() -> Result<Self, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("tidehelm ", env!("CARGO_PKG_VERSION")).into());
        let sink = Sink::default();
        let writer = SerializedFileWriter::new(sink.clone(), schema()?, Arc::new(properties.build()))?;
        Ok(Table { writer, sink, rows: Vec::new() })
    }

    fn push(&mut self, row: RequestView) -> Result<(), ParquetError> {
        self.rows.push(row);
        if self.rows.len() >= ROW_GROUP { self.flush() } else { Ok(()) }
    }

    fn finish(mut self) -> Result<Bytes, ParquetError> {
        self.flush()?;
        self.writer.close()?;
        Ok(self.sink.take())
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() { Ok(()) } else { write_group(&mut self.writer, &rows) }
    }
}

const TEXT: Physical = Physical::BYTE_ARRAY;

fn schema() -> Result<TypePtr, ParquetError> {
    const REQUIRED: Repetition = Repetition::REQUIRED;
    const OPTIONAL: Repetition = Repetition::OPTIONAL;
    let text = || Some(LogicalType::String);
    let columns = vec![
        column("position", Physical::INT64, None, REQUIRED)?,
        column("at", Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)), REQUIRED)?,
        column("request", TEXT, text(), REQUIRED)?,
        column("endpoint", TEXT, text(), OPTIONAL)?,
        column("endpoint_name", TEXT, text(), OPTIONAL)?,
        column("model", TEXT, text(), REQUIRED)?,
        column("api", TEXT, text(), REQUIRED)?,
        column("outcome", TEXT, text(), REQUIRED)?,
        column("http_status", Physical::INT64, None, OPTIONAL)?,
        column("input_tokens", Physical::INT64, None, REQUIRED)?,
        column("output_tokens", Physical::INT64, None, REQUIRED)?,
        column("tokens_known", TEXT, text(), REQUIRED)?,
        column("duration_ms", Physical::DOUBLE, None, REQUIRED)?,
        column("first_byte_ms", Physical::DOUBLE, None, OPTIONAL)?,
        column("ending", TEXT, text(), REQUIRED)?,
        column("client", TEXT, text(), OPTIONAL)?,
        column("key", TEXT, text(), OPTIONAL)?,
    ];
    Type::group_type_builder("request").with_fields(columns).build().map(Arc::new)
}

/// The columns in the order of the schema.
fn write_group(writer: &mut SerializedFileWriter<Sink>, rows: &[RequestView]) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    let out = &mut group;
    type Text = fn(&RequestView) -> &String;
    type Maybe = fn(&RequestView) -> &Option<String>;
    let all = |text: Text| rows.iter().map(|row| text(row).clone()).collect::<Vec<_>>();
    let some = |text: Maybe| {
        let there = rows.iter().filter_map(|row| text(row).clone()).collect::<Vec<_>>();
        (there, Some(levels(rows, |row| text(row).is_some())))
    };
    longs(out, rows.iter().map(|row| row.position).collect(), None)?;
    longs(out, rows.iter().map(|row| row.at).collect(), None)?;
    texts(out, all(|row| &row.request), None)?;
    for text in [(|row| &row.endpoint) as Maybe, |row| &row.endpoint_name] {
        let (values, levels) = some(text);
        texts(out, values, levels)?;
    }
    for text in [(|row| &row.model) as Text, |row| &row.api, |row| &row.outcome] {
        texts(out, all(text), None)?;
    }
    let statuses = rows.iter().filter_map(|row| row.http_status).collect();
    longs(out, statuses, Some(levels(rows, |row| row.http_status.is_some())))?;
    longs(out, rows.iter().map(|row| row.input_tokens).collect(), None)?;
    longs(out, rows.iter().map(|row| row.output_tokens).collect(), None)?;
    texts(out, all(|row| &row.tokens_known), None)?;
    doubles(out, &rows.iter().map(|row| row.duration_ms).collect::<Vec<_>>(), None)?;
    let first: Vec<f64> = rows.iter().filter_map(|row| row.first_byte_ms).collect();
    doubles(out, &first, Some(levels(rows, |row| row.first_byte_ms.is_some())))?;
    texts(out, all(|row| &row.ending), None)?;
    for text in [(|row| &row.client) as Maybe, |row| &row.key] {
        let (values, levels) = some(text);
        texts(out, values, levels)?;
    }
    group.close().map(drop)
}

fn doubles(group: &mut Group<'_, Sink>, values: &[f64], levels: Option<Vec<i16>>) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    column.typed::<DoubleType>().write_batch(values, levels.as_deref(), None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    fn row(number: i64) -> RequestView {
        RequestView {
            position: number,
            at: 1_700_000_000_000_000 + number,
            request: format!("request {number}"),
            endpoint: (number % 2 == 0).then(|| "id".into()),
            endpoint_name: (number % 2 == 0).then(|| "box, \"the\" one".into()),
            model: "qwen\n3".into(),
            api: "chat_completions".into(),
            outcome: "success".into(),
            http_status: (number % 3 == 0).then_some(200),
            input_tokens: 1,
            output_tokens: 2,
            tokens_known: "reported".into(),
            duration_ms: 1.5,
            first_byte_ms: (number % 5 == 0).then_some(0.25),
            ending: "whole".into(),
            client: None,
            key: None,
        }
    }

    fn file(format: Format, rows: i64) -> (Vec<u8>, usize) {
        let mut sheet = Sheet::new(format).unwrap();
        let (mut file, mut largest) = (Vec::new(), 0);
        for number in 0..rows {
            sheet.push(row(number)).unwrap();
            if number % 1_000 == 999 {
                let piece = sheet.take().unwrap();
                largest = largest.max(piece.len());
                file.extend(piece);
            }
        }
        file.extend(sheet.finish().unwrap());
        (file, largest)
    }

    #[test]
    fn every_row_is_in_the_file_once_whatever_the_pieces() {
        for rows in [0, 1, 2_500, 45_000] {
            let (csv, largest) = file(Format::Csv, rows);
            assert!(largest < 1 << 20);
            let mut read = csv::Reader::from_reader(&csv[..]);
            assert_eq!(read.headers().unwrap(), &COLUMNS[..]);
            let found: Vec<_> = read.records().map(|record| record.unwrap()).collect();
            assert_eq!(found.len() as i64, rows);
            assert!(
                found.iter().enumerate().all(|(at, record)| record[0] == at.to_string() && &record[5] == "qwen\n3")
            );

            let (json, _) = file(Format::Json, rows);
            let found: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap();
            assert_eq!(found.len() as i64, rows);

            let (parquet, _) = file(Format::Parquet, rows);
            let read = SerializedFileReader::new(Bytes::from(parquet)).unwrap();
            assert_eq!(read.metadata().file_metadata().num_rows(), rows);
            let mut names = 0;
            for (at, record) in read.get_row_iter(None).unwrap().enumerate() {
                let text = record.unwrap().to_string();
                assert!(text.starts_with(&format!("{{position: {at}, ")), "{text}");
                names += i64::from(text.contains("box, "));
            }
            assert_eq!(names, (rows + 1) / 2);
        }
    }
}
