//! What events make of themselves in the tables that follow the log.

use crate::store::models::{DayRow, Model, RequestRow, Rows, finished};
use crate::store::{AuditQuery, Order, Reader, StatusChange, Store};
use std::collections::BTreeMap;
use tidehelm_actors::port::LogFault;
use tidehelm_events::account::protection::TradingDay;
use tidehelm_events::commit::Hash;
use tidehelm_events::desk::{Event as Desk, TelemetryCut};
use tidehelm_events::endpoint::{Api, Event as Of, ProxyChanged, ProxySettings};
use tidehelm_events::envelope::Record;
use tidehelm_events::event::Event;
use tidehelm_events::id::{EndpointId, Position, StreamId};
use tidehelm_events::time::{Timestamp, civil};
use tidehelm_events::view::Fold;
use tidehelm_events::view::endpoints::Bucket;

/// Rows that wait until their table takes them.
#[derive(Debug)]
pub enum Gathered {
    StatusChanges(Vec<StatusChange>),
    Requests(Vec<RequestRow>),
    RequestDays(Box<Days>),
}

/// Sums of days, and the day that it is.
#[derive(Debug, Default)]
pub struct Days {
    zone: TradingDay,
    today: Option<Today>,
    sums: BTreeMap<Key, Bucket>,
    rows: Vec<DayRow>,
}

/// Day, endpoint, model and part of the interface.
type Key = (i64, Option<EndpointId>, String, Api);

#[derive(Debug)]
struct Today {
    date: i64,
    begin: Timestamp,
    end: Timestamp,
}

impl Gathered {
    /// `zone` is the one whose days are counted where the gathering begins.
    pub fn new(model: Model, zone: TradingDay) -> Self {
        match model {
            Model::StatusChanges => Gathered::StatusChanges(Vec::new()),
            Model::Requests => Gathered::Requests(Vec::new()),
            Model::RequestDays => Gathered::RequestDays(Box::new(Days { zone, ..Days::default() })),
        }
    }

    pub fn take_in(&mut self, record: &Record, stream: &StreamId) {
        match self {
            Gathered::StatusChanges(rows) => rows.extend(StatusChange::of(record, stream)),
            Gathered::Requests(rows) => rows.extend(RequestRow::of(record, stream)),
            Gathered::RequestDays(days) => days.take_in(record, stream),
        }
    }

    /// The rows so far.
    pub fn rows(&mut self) -> Rows<'_> {
        match self {
            Gathered::StatusChanges(rows) => Rows::StatusChanges(rows),
            Gathered::Requests(rows) => Rows::Requests(rows),
            Gathered::RequestDays(days) => Rows::RequestDays(days.rows()),
        }
    }

    /// The rows so far are in their table.
    pub fn taken(&mut self) {
        match self {
            Gathered::StatusChanges(rows) => rows.clear(),
            Gathered::Requests(rows) => rows.clear(),
            Gathered::RequestDays(days) => days.sums.clear(),
        }
    }
}

impl Days {
    fn take_in(&mut self, record: &Record, stream: &StreamId) {
        if let Event::Endpoint(Of::ProxyChanged(changed)) = &record.event {
            (self.zone, self.today) = (changed.settings.day(), None);
        }
        let Some((endpoint, finished)) = finished(record, stream) else { return };
        let date = self.date(record.recorded_at);
        // As a row has it: models of requests that came to no endpoint are not told apart.
        let model = endpoint.map(|_| finished.model.clone()).unwrap_or_default();
        self.sums.entry((date, endpoint, model, finished.api)).or_default().take_in(&Bucket::of(finished));
    }

    fn date(&mut self, at: Timestamp) -> i64 {
        match &self.today {
            Some(today) if today.begin <= at && at < today.end => today.date,
            _ => {
                let ((begin, end), date) = (self.zone.around(at), self.zone.date(at));
                self.today = Some(Today { date, begin, end });
                date
            }
        }
    }

    fn rows(&mut self) -> &[DayRow] {
        let row =
            |((date, endpoint, model, api), sum): (&Key, &Bucket)| DayRow::of(day(*date), *endpoint, model, *api, sum);
        self.rows = self.sums.iter().map(row).collect();
        &self.rows
    }
}

/// A day as tables write it: `2026-01-31`.
pub fn day(date: i64) -> String {
    let (year, month, day) = civil(date);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The zone whose days are counted after a position, as the audit rows say, which are kept for ever.
pub async fn zone_after(reader: &Reader, position: Position) -> Result<TradingDay, LogFault> {
    let changed = Event::Endpoint(Of::ProxyChanged(ProxyChanged { settings: Box::default() }));
    let query = AuditQuery {
        before: Some(position.next()),
        stream: Some(StreamId::Proxy),
        kind: Some(changed.kind().name.into()),
        order: Order::NewestFirst,
        limit: 1,
        ..AuditQuery::default()
    };
    let rows = reader.audit(&query).await?;
    let settings = rows.first().map(|row| row.payload["settings"].clone());
    let settings: ProxySettings = match settings {
        Some(settings) => serde_json::from_value(settings)
            .map_err(|error| LogFault::new("reading the zone whose days are counted", error))?,
        None => ProxySettings::default(),
    };
    Ok(settings.day())
}

/// Empties a table as far as the log can fill it again, and says from where it is to be filled: what was cut stays. The sums
/// of days begin with those of the base.
pub async fn begin_anew(store: &mut Store, model: Model) -> Result<Position, LogFault> {
    let reader = store.reader();
    match model {
        Model::StatusChanges => {
            store.clear(model, Position(0)).await?;
            Ok(Position(0))
        }
        Model::Requests => {
            // A cut that is recorded goes on meanwhile: what it is about to remove is in the table only.
            let through = reader.cut_through().await?.max(recorded_cut(&reader).await?);
            store.clear(model, through).await?;
            Ok(through)
        }
        Model::RequestDays => {
            let Some(base) = reader.base().await?.filter(|base| base.is_whole()) else {
                store.clear(model, Position(0)).await?;
                return Ok(Position(0));
            };
            let fold = Fold::from_bytes(&base.bytes)
                .map_err(|error| LogFault::new("reading the base of the log", format!("{error:?}")))?;
            store.begin_days(&days_of(&fold), base.position).await?;
            Ok(base.position)
        }
    }
}

/// How far the newest cut goes that is recorded.
async fn recorded_cut(reader: &Reader) -> Result<Position, LogFault> {
    let cut = TelemetryCut { through: Position(0), base_hash: Hash::ZERO, events: 0 };
    let cut = Event::Desk(Desk::TelemetryCut(cut));
    let query = AuditQuery {
        stream: Some(StreamId::Desk),
        kind: Some(cut.kind().name.into()),
        order: Order::NewestFirst,
        limit: 1,
        ..AuditQuery::default()
    };
    let rows = reader.audit(&query).await?;
    Ok(rows.first().and_then(|row| row.payload["through"].as_u64()).map_or(Position(0), Position))
}

/// Every sum of a day that the read model in memory knows.
pub fn days_of(fold: &Fold) -> Vec<DayRow> {
    let endpoints = &fold.views.endpoints;
    let names = endpoints.models().names();
    let mut rows = BTreeMap::<Key, Bucket>::new();
    for (date, sums) in endpoints.days().range(i64::MIN, i64::MAX) {
        for (row, sum) in sums {
            let model = row.endpoint.and_then(|_| names.get(&row.model)).map(ToString::to_string).unwrap_or_default();
            rows.entry((date, row.endpoint, model, row.api)).or_default().take_in(sum);
        }
    }
    let row =
        |((date, endpoint, model, api), sum): (&Key, &Bucket)| DayRow::of(day(*date), *endpoint, model, *api, sum);
    rows.iter().map(row).collect()
}
