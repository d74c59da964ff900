//! Read models in SQL, for people who query them: each is a fold with its checkpoint in the same transaction.
//!
//! One task reads the log once for all of them. Each table has its own checkpoint: one that is behind (emptied, or of another
//! build) takes in what the others have already.

pub mod gather;
#[cfg(test)]
mod tests;

use crate::ambient;
use crate::http::Data;
use crate::store::models::Model;
use crate::store::{Reader, Store};
use gather::{Gathered, begin_anew, day, zone_after};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidehelm_actors::port::{Clock, LogFault};
use tidehelm_events::account::protection::TradingDay;
use tidehelm_events::envelope::Record;
use tidehelm_events::id::{Position, StreamId};
use tidehelm_events::time::Span;

/// Rows wait this long for company.
const PAUSE: Duration = Duration::from_millis(500);
/// Without a row, a checkpoint moves on this often.
const MOVE_EVERY: u64 = 50_000;
/// So many events are read from the log at a time.
const SCAN_MAX: usize = 50_000;
/// Retention lets the log's writer through after each piece.
const BREATH: Duration = Duration::from_millis(20);

/// How far the tables have come, for those who must not overtake them.
#[derive(Debug, Default)]
pub struct Reach(AtomicU64);

impl Reach {
    /// Everything up to here is in the tables whose rows come from what a cut removes, or made no row in them.
    pub fn position(&self) -> Position {
        Position(self.0.load(Ordering::Acquire))
    }
}

/// Follows the log until the desk stops; the next start goes on from the checkpoints.
pub async fn keep(app: Data, mut store: Store) {
    let (mut head, mut stopping) = (app.host.durable.subscribe(), app.stopping.clone());
    let mut tables = None;
    loop {
        match follow(&app, &mut store, &mut tables).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, "a table that follows the log falls behind; trying again");
                tables = None;
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        }
        let seen = tables.as_ref().map_or(Position(0), Tables::looked);
        tokio::select! {
            changed = head.wait_for(|head| head.position > seen) => if changed.is_err() { return },
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Brings the tables to the end of the log; those that are not known yet go on from their checkpoints.
async fn follow(app: &Data, store: &mut Store, known: &mut Option<Tables>) -> Result<(), LogFault> {
    let tables = match known {
        Some(tables) => tables,
        None => known.insert(Tables::open(store, app.host.durable.head().position).await?),
    };
    while tables.looked() < app.host.durable.head().position {
        let from = tables.looked();
        let to = read(app, tables).await?;
        tables.write(store).await?;
        app.tables.0.store(tables.reach().0, Ordering::Release);
        if to <= from {
            return Err(LogFault::new("reading the log for the tables", format!("nothing is there after {from}")));
        }
    }
    app.tables.0.store(tables.reach().0, Ordering::Release);
    Ok(())
}

/// Every table with what waits for it.
pub struct Tables(Vec<Table>);

struct Table {
    model: Model,
    gathered: Gathered,
    /// The log was looked through up to here.
    looked: Position,
    /// As the checkpoint says.
    saved: Position,
}

impl Tables {
    /// Where each table stands. One that is from another build, or ahead of the log, begins anew.
    pub async fn open(store: &mut Store, end: Position) -> Result<Self, LogFault> {
        let mut tables = Vec::new();
        for model in Model::ALL {
            let known = store.reader().checkpoint(model).await?;
            let from = match known.filter(|known| known.schema == model.schema() && known.position <= end) {
                Some(known) => known.position,
                None => begin_anew(store, model).await?,
            };
            tables.push(Table::at(model, from, &store.reader()).await?);
        }
        Ok(Tables(tables))
    }

    /// One table, emptied, to be filled from the log.
    pub async fn anew(store: &mut Store, model: Model) -> Result<Self, LogFault> {
        let from = begin_anew(store, model).await?;
        Ok(Tables(vec![Table::at(model, from, &store.reader()).await?]))
    }

    /// All of the log up to here was looked through for each.
    pub fn looked(&self) -> Position {
        self.0.iter().map(|table| table.looked).min().unwrap_or_default()
    }

    pub fn take_in(&mut self, record: &Record, stream: &StreamId) {
        for table in self.0.iter_mut().filter(|table| table.looked < record.position) {
            table.gathered.take_in(record, stream);
        }
    }

    /// Everything up to a position was taken in.
    pub fn looked_to(&mut self, position: Position) {
        for table in &mut self.0 {
            table.looked = table.looked.max(position);
        }
    }

    /// Writes what waits and says how many rows that was. A table that has nothing to write moves on now and then.
    pub async fn write(&mut self, store: &mut Store) -> Result<usize, LogFault> {
        let mut written = 0;
        for table in &mut self.0 {
            let rows = table.gathered.rows();
            if rows.is_empty() && table.looked.0.saturating_sub(table.saved.0) < MOVE_EVERY {
                continue;
            }
            store.project(rows, table.saved, table.looked).await?;
            written += rows.len();
            table.saved = table.looked;
            table.gathered.taken();
        }
        Ok(written)
    }

    /// Writes what waits, and where each table stands, rows or not.
    pub async fn finish(&mut self, store: &mut Store) -> Result<usize, LogFault> {
        let written = self.write(store).await?;
        for table in self.0.iter_mut().filter(|table| table.saved < table.looked) {
            store.project(table.gathered.rows(), table.saved, table.looked).await?;
            table.saved = table.looked;
        }
        Ok(written)
    }

    fn reach(&self) -> Position {
        let held = self.0.iter().filter(|table| table.model.holds_back_cuts());
        held.map(|table| table.looked).min().unwrap_or_default()
    }
}

impl Table {
    async fn at(model: Model, from: Position, reader: &Reader) -> Result<Self, LogFault> {
        let zone = match model {
            Model::RequestDays => zone_after(reader, from).await?,
            Model::StatusChanges | Model::Requests => TradingDay::default(),
        };
        Ok(Table { model, gathered: Gathered::new(model, zone), looked: from, saved: from })
    }
}

/// Takes in what comes next: from memory where the last events are, else from the log. Says how far that was.
async fn read(app: &Data, tables: &mut Tables) -> Result<Position, LogFault> {
    let after = tables.looked();
    if let Some(batches) = app.host.durable.recent(after) {
        let mut to = after;
        app.host.durable.read(|fold| {
            for batch in &batches {
                for record in batch.records.iter().filter(|record| record.position > after) {
                    if let Some(stream) = fold.truth.names().get(record.stream) {
                        app.metrics.endpoints.take_in(record, stream, &fold.truth);
                        tables.take_in(record, stream);
                    }
                }
                to = batch.head.position;
            }
        });
        tables.looked_to(to);
        return Ok(to);
    }
    let read = app.history.scan(after, SCAN_MAX, |reading| {
        tables.take_in(reading.record, reading.stream);
        true
    });
    let to = read.await.map_err(|error| LogFault::new("reading the log for the tables", error))?;
    tables.looked_to(to);
    Ok(to)
}

/// Removes old requests and days again and again, until the desk stops. Totals do not change: they are not made of these rows.
pub async fn forget(app: Data, mut store: Store) {
    let mut stopping = app.stopping.clone();
    let mut every = tokio::time::interval(app.config.retention.check_every.into());
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        if let Err(error) = forget_old(&app, &mut store).await {
            tracing::warn!(%error, "old requests could not be removed; it will be tried again");
        }
    }
}

async fn forget_old(app: &Data, store: &mut Store) -> Result<(), LogFault> {
    let (keep, now, reader) = (&app.config.retention, app.clock.now(), store.reader());
    let age = |millis: u64| Span::millis(i64::try_from(millis).unwrap_or(i64::MAX));
    // By age first: however long it takes to find out how many there are, or if that fails, what is old goes.
    if let Some(through) = reader.requests_before(now - age(keep.requests_age.get())).await? {
        forget_requests(store, through).await?;
    }
    if let Some(through) = reader.requests_beyond(keep.requests_max).await? {
        forget_requests(store, through).await?;
    }
    let oldest = TradingDay::default().date(now - age(keep.request_days_age.get()));
    store.forget_days(&day(oldest)).await?;
    Ok(())
}

async fn forget_requests(store: &mut Store, through: Position) -> Result<(), LogFault> {
    let (began, mut gone) = (ambient::stopwatch(), 0);
    loop {
        match store.forget_requests(through).await? {
            0 => break,
            some => gone += some,
        }
        tokio::time::sleep(BREATH).await;
    }
    if gone > 0 {
        let millis = began.elapsed().as_millis() as u64;
        tracing::info!(through = through.0, rows = gone, millis, "old requests were removed from their table");
    }
    Ok(())
}
