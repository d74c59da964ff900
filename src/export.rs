//! Events as other programs read them: a line of JSON each, CloudEvents, or a Parquet file.

use crate::cli::output::CliError;
use crate::http::events::Filter;
use crate::source::Source;
use crate::walk::{Seen, Walk};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::Position;

/// Rows that a Parquet file keeps together.
const ROW_GROUP: usize = 50_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line of JSON for each event; what `import` reads
    Jsonl,
    /// Columns, compressed: for DuckDB, pandas, Spark and the like
    Parquet,
    /// A CloudEvents 1.0 object on each line
    Cloudevents,
}

/// What is to be written.
pub struct Wanted {
    pub after: Position,
    pub to: Position,
    pub filter: Filter,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub events: u64,
    /// Telemetry that was cut and so is not in the file.
    pub cut: u64,
}

/// Writes the events that are wanted, in their order.
pub async fn export<W: Write + Send>(
    source: &mut Source,
    wanted: &Wanted,
    format: Format,
    out: W,
    mut seen: impl FnMut(Position),
) -> Result<Counts, CliError> {
    let mut sheet = Sheet::new(format, out)?;
    let mut walk = Walk::after(source, wanted.after).await?;
    let mut events = 0;
    while walk.position() < wanted.to {
        let step = walk.step(source, |event| {
            if event.record.position > wanted.to || !wanted.filter.passes(event.record, event.stream) {
                return Ok(());
            }
            events += 1;
            sheet.push(event)
        });
        if step.await?.is_none() {
            break;
        }
        seen(walk.position());
    }
    sheet.finish()?;
    Ok(Counts { events, cut: walk.cut })
}

/// A file that is being written.
enum Sheet<W: Write + Send> {
    Jsonl(W),
    Cloudevents(W),
    Parquet(Box<Table<W>>),
}

impl<W: Write + Send> Sheet<W> {
    fn new(format: Format, out: W) -> Result<Self, CliError> {
        Ok(match format {
            Format::Jsonl => Sheet::Jsonl(out),
            Format::Cloudevents => Sheet::Cloudevents(out),
            Format::Parquet => Sheet::Parquet(Box::new(Table::new(out)?)),
        })
    }

    fn push(&mut self, event: &Seen<'_>) -> Result<(), CliError> {
        match self {
            Sheet::Jsonl(out) => write_line(out, &event.envelope()),
            Sheet::Cloudevents(out) => write_line(out, &cloud_event(event)),
            Sheet::Parquet(table) => table.push(event.envelope()),
        }
    }

    fn finish(self) -> Result<(), CliError> {
        match self {
            Sheet::Jsonl(mut out) | Sheet::Cloudevents(mut out) => out.flush().map_err(CliError::writing),
            Sheet::Parquet(table) => table.finish(),
        }
    }
}

fn write_line<T: serde::Serialize>(out: &mut impl Write, value: &T) -> Result<(), CliError> {
    let mut line =
        serde_json::to_vec(value).map_err(|error| CliError::failed("cannot write an event").caused_by(error))?;
    line.push(b'\n');
    out.write_all(&line).map_err(CliError::writing)
}

/// The event as CloudEvents 1.0 has it. Names of extensions are small letters and digits; numbers there have 32 bits, so that
/// positions are texts.
pub fn cloud_event(event: &Seen<'_>) -> Value {
    let envelope = event.envelope();
    let mut value = json!({
        "specversion": "1.0",
        "id": envelope.event_id,
        "source": format!("urn:tidehelm:{}", event.desk),
        "type": format!("tidehelm.{}.v{}", envelope.kind, envelope.schema),
        "subject": envelope.stream,
        "time": envelope.recorded_at.to_string(),
        "datacontenttype": "application/json",
        "data": envelope.payload,
        "sequence": envelope.position.to_string(),
        "streamversion": envelope.version.to_string(),
        "class": envelope.class,
        "by": envelope.by,
        "occurredtime": envelope.occurred_at.to_string(),
        "receivedtime": envelope.received_at.to_string(),
        "correlation": envelope.correlation.to_string(),
    });
    if let Some(cause) = envelope.causation {
        value["causation"] = cause.to_string().into();
    }
    if let Some(command) = envelope.command_id {
        value["commandid"] = command.to_string().into();
    }
    value
}

/// A Parquet file, one row group at a time in memory.
struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: Vec<Envelope>,
}

impl<W: Write + Send> Table<W> {
    fn new(out: W) -> Result<Self, CliError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("tidehelm ", env!("CARGO_PKG_VERSION")).into());
        let schema = schema().map_err(failed)?;
        let writer = SerializedFileWriter::new(out, schema, Arc::new(properties.build())).map_err(failed)?;
        Ok(Table { writer, rows: Vec::new() })
    }

    fn push(&mut self, row: Envelope) -> Result<(), CliError> {
        self.rows.push(row);
        if self.rows.len() >= ROW_GROUP { self.flush() } else { Ok(()) }
    }

    fn finish(mut self) -> Result<(), CliError> {
        self.flush()?;
        self.writer.close().map(drop).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), CliError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        write_group(&mut self.writer, &rows).map_err(failed)
    }
}

fn failed(error: ParquetError) -> CliError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => CliError::writing(*io),
            Err(source) => CliError::failed("cannot write the Parquet file").caused_by(source),
        },
        error => CliError::failed("cannot write the Parquet file").caused_by(error),
    }
}

const TEXT: Physical = Physical::BYTE_ARRAY;

pub(crate) fn column(
    name: &str,
    physical: Physical,
    logical: Option<LogicalType>,
    repetition: Repetition,
) -> Result<TypePtr, ParquetError> {
    let column = Type::primitive_type_builder(name, physical).with_logical_type(logical).with_repetition(repetition);
    column.build().map(Arc::new)
}

fn schema() -> Result<TypePtr, ParquetError> {
    let time = || Some(LogicalType::timestamp(true, TimeUnit::MICROS));
    let text = || Some(LogicalType::String);
    const REQUIRED: Repetition = Repetition::REQUIRED;
    const OPTIONAL: Repetition = Repetition::OPTIONAL;
    let columns = vec![
        column("position", Physical::INT64, None, REQUIRED)?,
        column("stream", TEXT, text(), REQUIRED)?,
        column("version", Physical::INT64, None, REQUIRED)?,
        column("event_id", TEXT, text(), REQUIRED)?,
        column("kind", TEXT, text(), REQUIRED)?,
        column("schema", Physical::INT32, None, REQUIRED)?,
        column("class", TEXT, text(), REQUIRED)?,
        column("occurred_at", Physical::INT64, time(), REQUIRED)?,
        column("received_at", Physical::INT64, time(), REQUIRED)?,
        column("recorded_at", Physical::INT64, time(), REQUIRED)?,
        column("command_id", TEXT, text(), OPTIONAL)?,
        column("causation", Physical::INT64, None, OPTIONAL)?,
        column("correlation", Physical::INT64, None, REQUIRED)?,
        column("by", TEXT, text(), REQUIRED)?,
        column("payload", TEXT, Some(LogicalType::Json), REQUIRED)?,
    ];
    Type::group_type_builder("event").with_fields(columns).build().map(Arc::new)
}

/// The columns in the order of the schema.
fn write_group<W: Write + Send>(writer: &mut SerializedFileWriter<W>, rows: &[Envelope]) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    longs(&mut group, rows.iter().map(|row| number(row.position.0)).collect(), None)?;
    texts(&mut group, rows.iter().map(|row| row.stream.to_string()).collect(), None)?;
    longs(&mut group, rows.iter().map(|row| number(row.version.0)).collect(), None)?;
    texts(&mut group, rows.iter().map(|row| row.event_id.to_string()).collect(), None)?;
    texts(&mut group, rows.iter().map(|row| row.kind.clone()).collect(), None)?;
    if let Some(mut column) = group.next_column()? {
        let values: Vec<i32> = rows.iter().map(|row| i32::from(row.schema)).collect();
        column.typed::<Int32Type>().write_batch(&values, None, None)?;
        column.close()?;
    }
    texts(&mut group, rows.iter().map(|row| format!("{:?}", row.class).to_lowercase()).collect(), None)?;
    for time in [|row: &Envelope| row.occurred_at, |row: &Envelope| row.received_at, |row: &Envelope| row.recorded_at] {
        longs(&mut group, rows.iter().map(|row| time(row).0).collect(), None)?;
    }
    let commands = rows.iter().filter_map(|row| row.command_id).map(|id| id.to_string()).collect();
    texts(&mut group, commands, Some(levels(rows, |row| row.command_id.is_some())))?;
    let causes = rows.iter().filter_map(|row| row.causation).map(|cause| number(cause.0)).collect();
    longs(&mut group, causes, Some(levels(rows, |row| row.causation.is_some())))?;
    longs(&mut group, rows.iter().map(|row| number(row.correlation.0)).collect(), None)?;
    texts(&mut group, rows.iter().map(|row| row.by.clone()).collect(), None)?;
    texts(&mut group, rows.iter().map(|row| row.payload.to_string()).collect(), None)?;
    group.close().map(drop)
}

pub(crate) type Group<'a, W> = parquet::file::writer::SerializedRowGroupWriter<'a, W>;

pub(crate) fn longs<W: Write + Send>(
    group: &mut Group<'_, W>,
    values: Vec<i64>,
    levels: Option<Vec<i16>>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    column.typed::<Int64Type>().write_batch(&values, levels.as_deref(), None)?;
    column.close()
}

pub(crate) fn texts<W: Write + Send>(
    group: &mut Group<'_, W>,
    values: Vec<String>,
    levels: Option<Vec<i16>>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    let values: Vec<ByteArray> = values.into_iter().map(|text| ByteArray::from(text.into_bytes())).collect();
    column.typed::<ByteArrayType>().write_batch(&values, levels.as_deref(), None)?;
    column.close()
}

/// Which rows have a value: 1, and which have none: 0.
pub(crate) fn levels<T>(rows: &[T], has: impl Fn(&T) -> bool) -> Vec<i16> {
    rows.iter().map(|row| i16::from(has(row))).collect()
}
