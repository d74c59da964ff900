//! Cutting old telemetry and thinning snapshots, while the desk runs. What stays is proved by a base whose hash is in the log.

use crate::history::{HistoryError, fold_at};
use crate::http::Data;
use crate::store::retention::{Due, Keep, Limits, thin};
use crate::store::{Reader, Store};
use tidehelm_actors::node::Order;
use tidehelm_actors::port::{Clock, CommitLog, Depot, LogFault, Saved};
use tidehelm_events::commit::Hash;
use tidehelm_events::desk::{Command as DeskCommand, TelemetryCut};
use tidehelm_events::id::Position;
use tidehelm_events::time::Span;
use tidehelm_events::truth;
use tokio::time::Duration;

/// A cut that is being finished lets the log's writer through after each piece.
const BREATH: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
enum RetentionError {
    #[error(transparent)]
    Store(#[from] LogFault),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("the cut could not be recorded: {0}")]
    Desk(#[from] tidehelm_actors::journal::Fault),
}

/// Looks again and again whether something is due, until the desk stops.
pub async fn keep(app: Data, mut store: Store) {
    let mut stopping = app.stopping.clone();
    let mut every = tokio::time::interval(app.config.retention.check_every.into());
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        if let Err(error) = round(&app, &mut store).await {
            tracing::warn!(%error, "old telemetry could not be cut; it will be tried again");
        }
    }
}

async fn round(app: &Data, store: &mut Store) -> Result<(), RetentionError> {
    let config = &app.config;
    let keep = Keep { hourly: config.snapshots.keep_hourly, daily: config.snapshots.keep_daily, ..Keep::default() };
    for position in thin(&store.list().await?, app.clock.now(), keep) {
        store.discard(position).await?;
    }
    let limits = Limits {
        age: Span::millis(i64::try_from(config.retention.telemetry_age.get()).unwrap_or(i64::MAX)),
        bytes: config.retention.telemetry_size.get(),
        through: app.tables.position(),
    };
    let reader: Reader = store.reader();
    finish(app, store, &reader).await?;
    if app.host.durable.read(|fold| fold.truth.has_quarantined()) {
        return Ok(());
    }
    if let Some(due) = reader.due(app.clock.now(), limits).await? {
        begin(app, store, due).await?;
        finish(app, store, &reader).await?;
    }
    Ok(())
}

/// Saves the base and records the cut. Nothing is removed before both are durable.
async fn begin(app: &Data, store: &mut Store, due: Due) -> Result<(), RetentionError> {
    let fold = fold_at(store, due.through).await?;
    let bytes = fold.to_bytes();
    let (hash, at) = (Hash::of(&bytes), app.clock.now());
    let build = env!("CARGO_PKG_VERSION").to_string();
    let base = Saved { position: due.through, schema: truth::SCHEMA, build, at, hash, bytes };
    store.save_base(&base).await?;
    let cut = TelemetryCut { through: due.through, base_hash: hash, events: due.events };
    let order = Order::own(DeskCommand::NoteCut(cut), at);
    let reply = app.host.ask(order).await?;
    app.host.durable.shows(reply.position, Duration::from_secs(10)).await;
    tracing::info!(through = due.through.0, events = due.events, "telemetry is being cut");
    Ok(())
}

/// Removes what a recorded cut covers, in pieces; goes on with one that a restart interrupted.
async fn finish(app: &Data, store: &mut Store, reader: &Reader) -> Result<(), RetentionError> {
    let through = app.host.durable.read(|fold| fold.truth.desk().map_or(Position(0), |desk| desk.cut_through));
    if reader.cut_through().await? >= through {
        return Ok(());
    }
    let mut events = 0;
    while let Some(piece) = store.cut_piece(through).await? {
        events += piece.events;
        tokio::time::sleep(BREATH).await;
    }
    store.shrink(0).await?;
    let head = store.head().await?;
    tracing::info!(through = through.0, events, position = head.position.0, "telemetry was cut");
    Ok(())
}
