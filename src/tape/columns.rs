//! Tapes as Parquet: prices and sizes as decimals, times as timestamps.

use super::line::{Header, Line};
use super::{Fault, Reading, Word, Words, Written};
use crate::export::{column, levels, longs, texts};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};
use rust_decimal::Decimal;
use std::fs::File;
use std::sync::Arc;
use tidehelm_events::market::number::PLACES;

/// Rows that the file keeps together.
const ROW_GROUP: usize = 50_000;

pub(super) fn read(file: File, reading: &Reading) -> Result<Words, Fault> {
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let schema = reader.metadata().file_metadata().schema_descr().root_schema_ptr();
    let mut header = Header::of(schema.get_fields().iter().map(|field| field.name()), reading)?;
    let rows = RowIter::from_file_into(Box::new(reader));
    let words = rows.zip(1..).map(move |(row, number)| {
        let cells = cells(&row.map_err(broken)?, number)?;
        header.word(number, |place| cells.get(place)?.as_deref())
    });
    Ok(Box::new(words))
}

fn broken(error: ParquetError) -> Fault {
    Fault::Broken(error.to_string())
}

/// The cells of a row as texts, so that there is one way to understand them.
fn cells(row: &Row, number: u64) -> Result<Vec<Option<String>>, Fault> {
    let text = |(name, field): (&String, &Field)| {
        Ok(Some(match field {
            Field::Null => return Ok(None),
            Field::Str(text) => text.clone(),
            Field::Double(value) => decimal(*value, name, number)?,
            // The shortest text that means this float and no other.
            Field::Float(value) => decimal(value.to_string().parse().unwrap_or(f64::NAN), name, number)?,
            Field::TimestampMillis(millis) => millis.saturating_mul(1_000).to_string(),
            Field::TimestampMicros(micros) => micros.to_string(),
            other => other.to_string(),
        }))
    };
    row.get_column_iter().map(text).collect()
}

/// A float as a decimal of nine places: the nearest to the shortest text that means this float.
pub(super) fn decimal(value: f64, name: &str, row: u64) -> Result<String, Fault> {
    let text = format!("{value}");
    let read = text.parse::<Decimal>().map(|exact| exact.round_dp(PLACES).normalize().to_string());
    read.map_err(|_| Fault::CellInvalid {
        row,
        column: "number",
        found: text,
        why: format!("`{name}` is no price or size"),
    })
}

fn schema() -> Result<TypePtr, ParquetError> {
    let time = || Some(LogicalType::timestamp(true, TimeUnit::MICROS));
    let text = || Some(LogicalType::String);
    let number = |name: &str| {
        Type::primitive_type_builder(name, Physical::INT64)
            .with_logical_type(Some(LogicalType::decimal(PLACES as i32, 18)))
            .with_precision(18)
            .with_scale(PLACES as i32)
            .with_repetition(Repetition::OPTIONAL)
            .build()
            .map(Arc::new)
    };
    const REQUIRED: Repetition = Repetition::REQUIRED;
    const OPTIONAL: Repetition = Repetition::OPTIONAL;
    let columns = vec![
        column("market", Physical::BYTE_ARRAY, text(), REQUIRED)?,
        column("kind", Physical::BYTE_ARRAY, text(), REQUIRED)?,
        column("source_at", Physical::INT64, time(), REQUIRED)?,
        column("received_at", Physical::INT64, time(), REQUIRED)?,
        number("bid")?,
        number("bid_size")?,
        number("ask")?,
        number("ask_size")?,
        column("id", Physical::BYTE_ARRAY, text(), OPTIONAL)?,
        column("side", Physical::BYTE_ARRAY, text(), OPTIONAL)?,
        number("price")?,
        number("size")?,
        column("type", Physical::BYTE_ARRAY, text(), OPTIONAL)?,
        number("rate")?,
        column("due_at", Physical::INT64, time(), OPTIONAL)?,
        column("after", Physical::INT64, None, OPTIONAL)?,
        column("seq", Physical::INT64, None, OPTIONAL)?,
        column("bids", Physical::BYTE_ARRAY, text(), OPTIONAL)?,
        column("asks", Physical::BYTE_ARRAY, text(), OPTIONAL)?,
    ];
    Type::group_type_builder("word").with_fields(columns).build().map(Arc::new)
}

pub struct Writer {
    out: SerializedFileWriter<File>,
    lines: Vec<Line>,
    words: u64,
}

impl Writer {
    pub(super) fn new(file: File) -> Result<Self, Fault> {
        let open = || {
            let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
            let properties = WriterProperties::builder().set_compression(compression).build();
            SerializedFileWriter::new(file, schema()?, Arc::new(properties))
        };
        Ok(Writer { out: open().map_err(not_written)?, lines: Vec::new(), words: 0 })
    }

    pub(super) fn push(&mut self, word: &Word) -> Result<(), Fault> {
        let line = Line::of(word);
        let numbers = line.quote.iter().chain([&line.price, &line.size, &line.rate]).flatten();
        if numbers.into_iter().any(|units| units.unsigned_abs() >= 1_000_000_000_000_000_000) {
            return Err(Fault::NotWritable("a price or size of a thousand million or more".into()));
        }
        self.words += 1;
        self.lines.push(line);
        if self.lines.len() >= ROW_GROUP { self.write_group() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<Written, Fault> {
        self.write_group()?;
        self.out.close().map_err(not_written)?;
        Ok(Written { words: self.words, left_out: 0 })
    }

    fn write_group(&mut self) -> Result<(), Fault> {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() { Ok(()) } else { self.try_group(&lines).map_err(not_written) }
    }

    /// The columns in the order of the schema.
    fn try_group(&mut self, lines: &[Line]) -> Result<(), ParquetError> {
        let mut group = self.out.next_row_group()?;
        texts(&mut group, lines.iter().map(|line| line.market.clone()).collect(), None)?;
        texts(&mut group, lines.iter().map(|line| line.kind.to_string()).collect(), None)?;
        longs(&mut group, lines.iter().map(|line| line.source_at.0).collect(), None)?;
        longs(&mut group, lines.iter().map(|line| line.received_at.0).collect(), None)?;
        let some_longs = |group: &mut crate::export::Group<'_, File>, of: &dyn Fn(&Line) -> Option<i64>| {
            longs(group, lines.iter().filter_map(of).collect(), Some(levels(lines, |line| of(line).is_some())))
        };
        let some_texts = |group: &mut crate::export::Group<'_, File>, of: &dyn Fn(&Line) -> Option<String>| {
            texts(group, lines.iter().filter_map(of).collect(), Some(levels(lines, |line| of(line).is_some())))
        };
        for place in 0..4 {
            some_longs(&mut group, &|line| line.quote[place])?;
        }
        some_texts(&mut group, &|line| line.id.clone())?;
        some_texts(&mut group, &|line| line.side.map(String::from))?;
        some_longs(&mut group, &|line| line.price)?;
        some_longs(&mut group, &|line| line.size)?;
        some_texts(&mut group, &|line| line.deal.map(String::from))?;
        some_longs(&mut group, &|line| line.rate)?;
        some_longs(&mut group, &|line| line.due_at)?;
        some_longs(&mut group, &|line| line.after.map(|number| number as i64))?;
        some_longs(&mut group, &|line| line.seq.map(|number| number as i64))?;
        some_texts(&mut group, &|line| line.bids.clone())?;
        some_texts(&mut group, &|line| line.asks.clone())?;
        group.close().map(drop)
    }
}

fn not_written(error: ParquetError) -> Fault {
    Fault::NotWritable(format!("the Parquet file ({error})"))
}
