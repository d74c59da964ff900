//! How does a command show what it found, and how does it end?
//!
//! Everything is written to a `&mut dyn Write` that may close early: `tidehelm tail | head` ends well and silently.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use crate::config::ConfigError;

/// The form of what a command prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people
    #[default]
    Table,
    /// One array, or one object a line where there is no end to wait for
    Json,
    /// A header and one line a record
    Csv,
}

/// What a command ends with. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Conflict = 4,
    Blocked = 5,
    VerificationFailed = 6,
    Unreachable = 7,
}

/// How a command ends: with a number, or with a number and something to say.
pub type Done = Result<Exit, CliError>;

/// Why a command ends early. With `Exit::Ok` there is nothing to say: the reader of the output has left.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
    pub source: Option<Box<dyn Error + Send + Sync + 'static>>,
}

/// One column of a table or of a CSV file: its header, and the field of the record, `order.volume` for a field within a
/// field. JSON shows whole records and heeds no columns.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub header: &'static str,
    pub field: &'static str,
}

/// Records printed one by one as they come, each out at once.
pub struct Stream<'a> {
    out: &'a mut dyn Write,
    output: Output,
    columns: &'a [Column],
    widths: Vec<usize>,
    begun: bool,
}

/// Reports the end of a command on `stderr` and gives its exit code.
pub fn finish(done: Done, stderr: &mut dyn Write) -> ExitCode {
    let exit = match done {
        Ok(exit) => exit,
        Err(error) => {
            // Without a stderr there is nobody left to tell.
            let _ = error.report(stderr);
            error.exit
        }
    };
    exit.into()
}

/// Prints records that are all there: a table with a header, one JSON array, or a CSV file.
pub fn print<T: Serialize>(
    out: &mut dyn Write,
    output: Output,
    columns: &[Column],
    records: &[T],
) -> Result<(), CliError> {
    match output {
        Output::Table => print_table(out, columns, records)?,
        Output::Json => print_array(out, records)?,
        Output::Csv => {
            let mut stream = Stream::new(out, output, columns);
            stream.begin()?;
            for record in records {
                stream.push(record)?;
            }
        }
    }
    out.flush().map_err(CliError::writing)
}

/// Prints one record: a line for each column, one JSON object, or a CSV file of one line.
pub fn print_one<T: Serialize>(
    out: &mut dyn Write,
    output: Output,
    columns: &[Column],
    record: &T,
) -> Result<(), CliError> {
    match output {
        Output::Table => {
            let headers = columns.iter().map(|column| width(column.header)).max().unwrap_or(0);
            for (column, cell) in columns.iter().zip(cells(columns, record)?) {
                let line = format!("{}  {}", padded(column.header, headers, false), shown(&cell));
                writeln!(out, "{}", line.trim_end()).map_err(CliError::writing)?;
            }
        }
        Output::Json => writeln!(out, "{:#}", value_of(record)?).map_err(CliError::writing)?,
        Output::Csv => return print(out, output, columns, &[record]),
    }
    out.flush().map_err(CliError::writing)
}

impl<'a> Stream<'a> {
    pub fn new(out: &'a mut dyn Write, output: Output, columns: &'a [Column]) -> Self {
        let widths = columns.iter().map(|column| width(column.header)).collect();
        Stream { out, output, columns, widths, begun: false }
    }

    /// Prints one record. A table's columns grow with what they have held so far.
    pub fn push<T: Serialize>(&mut self, record: &T) -> Result<(), CliError> {
        self.begin()?;
        match self.output {
            Output::Table => {
                let cells: Vec<String> = cells(self.columns, record)?.iter().map(shown).collect();
                for (widest, cell) in self.widths.iter_mut().zip(&cells) {
                    *widest = width(cell).max(*widest);
                }
                let right: Vec<bool> = cells.iter().map(|cell| is_number(cell)).collect();
                print_line(self.out, &cells, &self.widths, &right)?;
            }
            Output::Json => print_json_line(self.out, record)?,
            Output::Csv => {
                let cells = cells(self.columns, record)?;
                print_csv_line(self.out, cells.iter().map(|cell| text(cell, "")))?;
            }
        }
        self.out.flush().map_err(CliError::writing)
    }

    /// Prints the header, once, if the form has one.
    fn begin(&mut self) -> Result<(), CliError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        match self.output {
            Output::Table => {
                let headers: Vec<String> = self.columns.iter().map(|column| column.header.into()).collect();
                print_line(self.out, &headers, &self.widths, &vec![false; headers.len()])
            }
            Output::Json => Ok(()),
            Output::Csv => print_csv_line(self.out, self.columns.iter().map(|column| column.field.into())),
        }
    }
}

fn print_table<T: Serialize>(out: &mut dyn Write, columns: &[Column], records: &[T]) -> Result<(), CliError> {
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|column| column.header.into()).collect()];
    for record in records {
        lines.push(cells(columns, record)?.iter().map(shown).collect());
    }
    let in_column = |column: usize| lines.iter().map(move |line| line[column].as_str());
    let widths: Vec<usize> = (0..columns.len()).map(|at| in_column(at).map(width).max().unwrap_or(0)).collect();
    let right: Vec<bool> = (0..columns.len())
        .map(|at| {
            let said = || in_column(at).skip(1).filter(|cell| !matches!(*cell, "" | NOTHING));
            said().next().is_some() && said().all(is_number)
        })
        .collect();
    for line in &lines {
        print_line(out, line, &widths, &right)?;
    }
    Ok(())
}

fn print_array<T: Serialize>(out: &mut dyn Write, records: &[T]) -> Result<(), CliError> {
    if records.is_empty() {
        return writeln!(out, "[]").map_err(CliError::writing);
    }
    for (at, record) in records.iter().enumerate() {
        out.write_all(if at == 0 { b"[\n  " } else { b",\n  " }).map_err(CliError::writing)?;
        out.write_all(&json(record)?).map_err(CliError::writing)?;
    }
    out.write_all(b"\n]\n").map_err(CliError::writing)
}

fn print_line(out: &mut dyn Write, cells: &[String], widths: &[usize], right: &[bool]) -> Result<(), CliError> {
    let line: Vec<String> =
        cells.iter().zip(widths).zip(right).map(|((cell, width), right)| padded(cell, *width, *right)).collect();
    writeln!(out, "{}", line.join("  ").trim_end()).map_err(CliError::writing)
}

fn print_json_line<T: Serialize>(out: &mut dyn Write, record: &T) -> Result<(), CliError> {
    let mut line = json(record)?;
    line.push(b'\n');
    out.write_all(&line).map_err(CliError::writing)
}

fn print_csv_line(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> Result<(), CliError> {
    let mut line = csv::Writer::from_writer(Vec::new());
    let unwritable = |error: csv::Error| CliError::failed("cannot write a line of CSV").caused_by(error);
    line.write_record(cells.collect::<Vec<_>>()).map_err(unwritable)?;
    let line = line.into_inner().map_err(|error| unwritable(error.into_error().into()))?;
    out.write_all(&line).map_err(CliError::writing)
}

fn json<T: Serialize>(record: &T) -> Result<Vec<u8>, CliError> {
    serde_json::to_vec(record).map_err(|error| CliError::failed("cannot show a record").caused_by(error))
}

fn value_of<T: Serialize>(record: &T) -> Result<Value, CliError> {
    serde_json::to_value(record).map_err(|error| CliError::failed("cannot show a record").caused_by(error))
}

fn cells<T: Serialize>(columns: &[Column], record: &T) -> Result<Vec<Value>, CliError> {
    let record = value_of(record)?;
    let cell = |column: &Column| {
        column.field.split('.').try_fold(&record, |value, field| value.get(field)).cloned().unwrap_or(Value::Null)
    };
    Ok(columns.iter().map(cell).collect())
}

/// What a table shows where there is no value: never an empty place, which could be a text, and never 0.
const NOTHING: &str = "-";

fn shown(value: &Value) -> String {
    harmless(&text(value, NOTHING))
}

fn text(value: &Value, nothing: &str) -> String {
    match value {
        Value::Null => nothing.into(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// True for what is read from the right: `12`, `-0.50`. Decimals come as texts, so the text is what is looked at.
fn is_number(cell: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let cell = cell.strip_prefix('-').unwrap_or(cell);
    match cell.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => digits(cell),
    }
}

/// The text with everything escaped that would steer a terminal or turn the order of the letters: names and comments
/// come from strangers.
fn harmless(text: &str) -> String {
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn padded(cell: &str, to: usize, right: bool) -> String {
    let room = " ".repeat(to.saturating_sub(width(cell)));
    if right { room + cell } else { cell.to_owned() + &room }
}

/// How many places the text takes on a terminal: two for East Asian and pictorial letters, none for marks on a letter.
fn width(text: &str) -> usize {
    text.chars().map(places).sum()
}

fn places(c: char) -> usize {
    match c {
        '\u{0300}'..='\u{036f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' => 0,
        '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{feff}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{303e}' | '\u{3041}'..='\u{4dbf}' | '\u{4e00}'..='\u{a4cf}' => 2,
        '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff01}'..='\u{ff60}' => 2,
        '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1f64f}' | '\u{1f680}'..='\u{1f6ff}' => 2,
        '\u{1f900}'..='\u{1f9ff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

impl CliError {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        CliError { exit, message: message.into(), hint: None, source: None }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        CliError::new(Exit::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        CliError::new(Exit::Usage, message)
    }

    /// What the failure to write output means: nothing to say if the reader has left, a failure otherwise (a full disk).
    pub fn writing(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => CliError::new(Exit::Ok, "the reader of the output has left"),
            _ => CliError::failed("cannot write the output").caused_by(error),
        }
    }

    /// The same with a line on what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync + 'static>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Prints the error, its causes and its hint.
    pub fn report(&self, stderr: &mut dyn Write) -> io::Result<()> {
        if self.exit == Exit::Ok {
            return Ok(());
        }
        writeln!(stderr, "error: {}", harmless_lines(&self.message))?;
        let mut cause = self.source();
        while let Some(error) = cause {
            writeln!(stderr, "caused by: {}", harmless_lines(&error.to_string()))?;
            cause = error.source();
        }
        match &self.hint {
            Some(hint) => writeln!(stderr, "hint: {}", harmless_lines(hint)),
            None => Ok(()),
        }
    }
}

fn harmless_lines(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n")
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<tidehelm_actors::port::LogFault> for CliError {
    fn from(fault: tidehelm_actors::port::LogFault) -> Self {
        CliError::failed(fault.to_string())
    }
}

impl From<crate::seal::SealError> for CliError {
    fn from(error: crate::seal::SealError) -> Self {
        use crate::seal::SealError;
        let message = error.to_string();
        match error {
            SealError::Inside { .. } => CliError::usage(message),
            SealError::File { source, .. } => CliError::failed(message).caused_by(source),
            _ => CliError::new(Exit::Blocked, message),
        }
    }
}

impl From<crate::store::StoreError> for CliError {
    fn from(error: crate::store::StoreError) -> Self {
        let exit = match &error {
            crate::store::StoreError::InUse { .. } => Exit::Blocked,
            crate::store::StoreError::Emptied { .. } | crate::store::StoreError::Empty { .. } => {
                Exit::VerificationFailed
            }
            crate::store::StoreError::Missing { .. } | crate::store::StoreError::Absent { .. } => Exit::NotFound,
            _ => Exit::Failed,
        };
        let said = CliError::new(exit, error.to_string());
        match error {
            crate::store::StoreError::File { source, .. } => said.caused_by(source),
            _ => said,
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let message = error.to_string();
        match error {
            ConfigError::File { source, .. } => CliError::usage(message).caused_by(source),
            ConfigError::Problems(_) => {
                CliError::usage(message).hint("`tidehelm config template` prints every setting with its default")
            }
            ConfigError::Exposed(_) => CliError::usage(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::config::Loaded;

    const COLUMNS: &[Column] = &[
        Column { header: "NAME", field: "name" },
        Column { header: "LOTS", field: "order.lots" },
        Column { header: "NOTE", field: "note" },
    ];

    /// A pipe that closes after so many bytes, or fails in another way.
    struct Closing(usize, io::ErrorKind);

    impl Write for Closing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.0 {
                return Err(self.1.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn records() -> Vec<Value> {
        vec![
            json!({"name": "North", "order": {"lots": "0.10"}, "note": "a, \"b\""}),
            json!({"name": "日本", "order": {"lots": 12}, "note": null}),
            json!({"name": "e\u{301}", "order": {}, "note": ["x", 1]}),
        ]
    }

    fn printed(output: Output, records: &[Value]) -> String {
        let mut out = Vec::new();
        print(&mut out, output, COLUMNS, records).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn streamed(output: Output, records: &[Value]) -> String {
        let mut out = Vec::new();
        let mut stream = Stream::new(&mut out, output, COLUMNS);
        for record in records {
            stream.push(record).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_is_as_wide_as_it_looks_and_numbers_stand_right() {
        let expected = "\
NAME   LOTS  NOTE
North  0.10  a, \"b\"
日本     12  -
e\u{301}         -  [\"x\",1]
";
        assert_eq!(printed(Output::Table, &records()), expected);
        assert_eq!(printed(Output::Table, &[]), "NAME  LOTS  NOTE\n");
    }

    #[test]
    fn a_column_with_a_word_in_it_stands_left() {
        let records = [json!({"name": 1, "order": {"lots": "1.2.3"}}), json!({"name": 100, "order": {"lots": "7"}})];
        assert_eq!(printed(Output::Table, &records), "NAME  LOTS   NOTE\n   1  1.2.3  -\n 100  7      -\n");
    }

    #[test]
    fn json_is_one_array_or_one_line_each() {
        let text = printed(Output::Json, &records());
        assert_eq!(serde_json::from_str::<Vec<Value>>(&text).unwrap(), records());
        assert_eq!(text.lines().count(), records().len() + 2);
        assert_eq!(printed(Output::Json, &[]), "[]\n");

        let lines: Vec<Value> =
            streamed(Output::Json, &records()).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, records());
        assert_eq!(streamed(Output::Json, &[]), "");
    }

    #[test]
    fn csv_is_read_back_as_it_was() {
        let text = printed(Output::Csv, &records());
        assert_eq!(text, streamed(Output::Csv, &records()));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), &["name", "order.lots", "note"][..]);
        let lines: Vec<Vec<String>> =
            reader.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!(lines, [["North", "0.10", "a, \"b\""], ["日本", "12", ""], ["e\u{301}", "", "[\"x\",1]"]]);
        assert_eq!(printed(Output::Csv, &[]), "name,order.lots,note\n");
    }

    #[test]
    fn a_streamed_table_has_one_header_and_grows() {
        let records = [json!({"name": "a", "order": {"lots": 1}}), json!({"name": "longer", "order": {"lots": 22}})];
        assert_eq!(streamed(Output::Table, &records), "NAME  LOTS  NOTE\na        1  -\nlonger    22  -\n");
    }

    #[test]
    fn one_record_is_shown_downwards() {
        let mut out = Vec::new();
        print_one(&mut out, Output::Table, COLUMNS, &records()[0]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME  North\nLOTS  0.10\nNOTE  a, \"b\"\n");
        for output in [Output::Json, Output::Csv] {
            let mut out = Vec::new();
            print_one(&mut out, output, COLUMNS, &records()[0]).unwrap();
            assert!(!out.is_empty());
        }
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let record = json!({"name": "\u{1b}[2J\u{202e}x\ny", "order": {"lots": 1}, "note": ""});
        assert_eq!(
            printed(Output::Table, &[record]),
            "NAME                   LOTS  NOTE\n\\u{1b}[2J\\u{202e}x\\ny     1\n"
        );
    }

    #[test]
    fn a_reader_that_leaves_ends_the_command_well_and_silently() {
        for output in [Output::Table, Output::Json, Output::Csv] {
            for room in [0, 3, 20] {
                let mut out = Closing(room, io::ErrorKind::BrokenPipe);
                let error = print(&mut out, output, COLUMNS, &records()).unwrap_err();
                assert_eq!(error.exit, Exit::Ok, "{output:?} {room}");
                let mut stderr = Vec::new();
                error.report(&mut stderr).unwrap();
                assert!(stderr.is_empty());

                let mut out = Closing(room, io::ErrorKind::BrokenPipe);
                let mut stream = Stream::new(&mut out, output, COLUMNS);
                let error = records().iter().find_map(|record| stream.push(record).err()).unwrap();
                assert_eq!(error.exit, Exit::Ok, "{output:?} {room}");
            }
        }
        let mut out = Closing(0, io::ErrorKind::StorageFull);
        assert_eq!(print(&mut out, Output::Csv, COLUMNS, &records()).unwrap_err().exit, Exit::Failed);
    }

    #[test]
    fn the_exit_codes_are_a_promise() {
        let exits = [
            Exit::Ok,
            Exit::Failed,
            Exit::Usage,
            Exit::NotFound,
            Exit::Conflict,
            Exit::Blocked,
            Exit::VerificationFailed,
            Exit::Unreachable,
        ];
        for (code, exit) in exits.into_iter().enumerate() {
            assert_eq!(exit as usize, code);
            let mut stderr = Vec::new();
            let ended = finish(Err(CliError::new(exit, "x")), &mut stderr);
            assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::from(exit as u8)));
            assert_eq!(stderr.is_empty(), exit == Exit::Ok);
        }
        assert_eq!(format!("{:?}", finish(Ok(Exit::Ok), &mut Vec::new())), format!("{:?}", ExitCode::SUCCESS));
    }

    #[test]
    fn an_error_is_reported_with_its_causes_and_its_hint() {
        let mut stderr = Vec::new();
        CliError::new(Exit::Unreachable, "cannot reach the desk\u{7}")
            .caused_by(io::Error::other("refused"))
            .hint("is it started?")
            .report(&mut stderr)
            .unwrap();
        assert_eq!(
            String::from_utf8(stderr).unwrap(),
            "error: cannot reach the desk\\u{7}\ncaused by: refused\nhint: is it started?\n"
        );
    }

    #[test]
    fn a_wrong_configuration_is_a_wrong_usage() {
        let file = Some((Path::new("c.toml"), "[http]\nworkers = 0\nbnid = 1"));
        let error = CliError::from(Loaded::of(file, std::iter::empty(), &[]).unwrap_err());
        let mut stderr = Vec::new();
        error.report(&mut stderr).unwrap();
        assert_eq!(error.exit, Exit::Usage);
        assert_eq!(
            String::from_utf8(stderr).unwrap(),
            "error: the configuration has 2 problems\n  \
             c.toml:2: http.workers: 0 is out of range; expected a whole number from 1 to 256\n  \
             c.toml:3: unknown key http.bnid; did you mean http.bind?\n\
             hint: `tidehelm config template` prints every setting with its default\n"
        );
    }
}
