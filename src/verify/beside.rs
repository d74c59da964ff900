//! Rows that stand beside the log and follow from it: each must be there, once, and say what its event says.

use super::Report;
use crate::store::{AuditQuery, AuditRow, Model, Order, Reader, RequestQuery, RequestRow, StatusChange};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use tidehelm_actors::port::LogFault;
use tidehelm_events::envelope::{Class, Record};
use tidehelm_events::id::{DeskId, Position, StreamId};

const PAGE: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Audit,
    StatusChanges,
    Requests,
}

/// A table, read in step with the log.
pub struct Beside {
    reader: Reader,
    table: Table,
    rows: VecDeque<(Position, Value)>,
    /// Rows up to here were removed by retention, or follow from what was cut.
    begins: Position,
    /// Read up to here.
    after: Position,
    /// The table reaches no further.
    through: Position,
    /// Runs of positions of which the log says nothing, by their beginnings.
    unknown: BTreeMap<Position, Position>,
    pub seen: u64,
}

/// The audit row that an event must have; none for what is not business.
fn audit_row(record: &Record, desk: DeskId, stream: &StreamId) -> Option<Value> {
    let business = record.event.class() == Class::Business;
    business.then(|| shown(&AuditRow::of(&record.envelope(desk, stream))))
}

impl Beside {
    pub fn audit(reader: Reader, through: Position) -> Self {
        Beside::new(reader, Table::Audit, through)
    }

    /// A read model, as far as its checkpoint says that it is filled; none where it is of another build, or has no rows of its
    /// own for single events.
    pub async fn model(reader: Reader, model: Model, head: Position) -> Result<Option<Self>, LogFault> {
        let table = match model {
            Model::StatusChanges => Table::StatusChanges,
            Model::Requests => Table::Requests,
            Model::RequestDays => return Ok(None),
        };
        let known = reader.checkpoint(model).await?.filter(|known| known.schema == model.schema());
        let Some(known) = known else { return Ok(None) };
        let begins = match table {
            Table::Requests => reader.cut_through().await?.max(reader.requests_cut_through().await?),
            Table::Audit | Table::StatusChanges => Position(0),
        };
        let beside = Beside::new(reader, table, known.position.min(head));
        Ok(Some(Beside { begins, after: begins, ..beside }))
    }

    fn new(reader: Reader, table: Table, through: Position) -> Self {
        let (begins, after) = (Position(0), Position(0));
        Beside { reader, table, rows: VecDeque::new(), begins, after, through, unknown: BTreeMap::new(), seen: 0 }
    }

    /// Notes how many rows were right.
    pub fn count(&self, report: &mut Report) {
        match self.table {
            Table::Audit => report.audit_rows = self.seen,
            Table::StatusChanges => report.status_changes = self.seen,
            Table::Requests => report.requests = self.seen,
        }
    }

    /// The row that an event must have here, if it must have one.
    pub fn row(&self, record: &Record, desk: DeskId, stream: &StreamId) -> Option<Value> {
        match self.table {
            Table::Audit => audit_row(record, desk, stream),
            Table::StatusChanges => StatusChange::of(record, stream).map(|change| change_shown(&change)),
            Table::Requests => RequestRow::of(record, stream).map(|row| request_shown(&row)),
        }
    }

    pub fn pass_over(&mut self, range: RangeInclusive<Position>) {
        self.unknown.insert(*range.start(), *range.end());
    }

    /// The next event that must have a row.
    pub async fn expect(&mut self, position: Position, row: Value, report: &mut Report) {
        if position > self.through || position <= self.begins {
            return;
        }
        self.drop_before(position, report).await;
        match self.rows.front() {
            Some((found, _)) if *found == position => {
                let (_, found) = self.rows.pop_front().unwrap_or_default();
                self.seen += 1;
                self.compare(position, &row, &found, report);
            }
            _ if self.after >= position && self.broken(position) => {}
            _ => report.problem(position, self.what(), format!("the {} of event {position} is missing", self.name())),
        }
    }

    /// Rows that are left over belong to nothing.
    pub async fn end(&mut self, report: &mut Report) {
        self.drop_before(self.through.next(), report).await;
    }

    async fn drop_before(&mut self, position: Position, report: &mut Report) {
        loop {
            while let Some((found, _)) = self.rows.front().filter(|(found, _)| *found < position) {
                let found = *found;
                if !self.broken(found) {
                    report.problem(
                        found,
                        self.what(),
                        format!("the {} at position {found} belongs to no event", self.name()),
                    );
                }
                self.rows.pop_front();
            }
            if !self.rows.is_empty() || self.after >= position {
                return;
            }
            self.fill(position, report).await;
        }
    }

    /// Reads the next rows. Where one of them cannot be read, it is looked for by its position.
    async fn fill(&mut self, wanted: Position, report: &mut Report) {
        let before = self.through.next();
        let page = self.page(self.after, before, PAGE).await;
        match page {
            Ok(rows) => {
                self.after = if rows.len() < PAGE { before } else { rows.last().map_or(before, |row| row.0) };
                self.rows.extend(rows);
            }
            Err(_) => {
                let mut single = self.page(self.after, before, 1).await;
                let mut at = self.after.next();
                if single.is_err() {
                    at = wanted;
                    single = self.page(Position(wanted.0 - 1), wanted.next(), 1).await;
                }
                match single {
                    Ok(rows) => {
                        self.after = rows.first().map_or(wanted, |row| row.0);
                        self.rows.extend(rows);
                    }
                    Err(fault) => {
                        report.problem(at, self.what(), format!("the {} at position {at}: {}", self.name(), fault.why));
                        self.pass_over(at..=at);
                        self.after = at;
                    }
                }
            }
        }
    }

    async fn page(&self, after: Position, before: Position, limit: usize) -> Result<Vec<(Position, Value)>, LogFault> {
        match self.table {
            Table::Audit => {
                let query = AuditQuery { after, before: Some(before), limit, ..AuditQuery::default() };
                let rows = self.reader.audit(&query).await?;
                Ok(rows.iter().map(|row| (row.position, shown(row))).collect())
            }
            Table::Requests => {
                let query = RequestQuery {
                    after,
                    before: Some(before),
                    limit,
                    order: Order::OldestFirst,
                    ..RequestQuery::default()
                };
                let rows = self.reader.requests(&query).await?.rows;
                Ok(rows.iter().map(|row| (row.position(), request_shown(row))).collect())
            }
            Table::StatusChanges => {
                let rows = self.reader.status_changes(None, after, limit).await?;
                Ok(rows
                    .iter()
                    .filter(|row| row.position < before)
                    .map(|row| (row.position, change_shown(row)))
                    .collect())
            }
        }
    }

    fn compare(&self, position: Position, expected: &Value, found: &Value, report: &mut Report) {
        let (Value::Object(expected), Value::Object(found)) = (expected, found) else { return };
        let differing = expected.iter().filter(|(field, value)| found.get(*field) != Some(value));
        let fields: Vec<&str> = differing.map(|(field, _)| field.as_str()).collect();
        if !fields.is_empty() {
            let why = format!("the {} of event {position} says something else: {}", self.name(), fields.join(", "));
            report.problem(position, self.what(), why);
        }
    }

    fn broken(&self, position: Position) -> bool {
        self.unknown.range(..=position).next_back().is_some_and(|(_, end)| *end >= position)
    }

    fn what(&self) -> &'static str {
        match self.table {
            Table::Audit => "audit_row",
            Table::StatusChanges => "status_changes",
            Table::Requests => "requests",
        }
    }

    fn name(&self) -> &'static str {
        match self.table {
            Table::Audit => "audit row",
            Table::StatusChanges => "row in status_changes",
            Table::Requests => "row in requests",
        }
    }
}

fn shown(row: &AuditRow) -> Value {
    serde_json::to_value(row).unwrap_or_default()
}

fn request_shown(row: &RequestRow) -> Value {
    serde_json::to_value(row).unwrap_or_default()
}

fn change_shown(row: &StatusChange) -> Value {
    json!({"stream": row.stream, "at": row.at, "old": row.old, "new": row.new, "warnings": row.warnings})
}
