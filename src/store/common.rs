//! What both databases say in the same words. This file is compiled once for each (`#[path]`), with the connection and the
//! database that its parent names.

use super::{Adapter, Connection, Database, SNAPSHOT, describe};
use crate::store::models::{self, DayRow, Model, RequestPage, RequestQuery, RequestRow, Rows, Whose};
use crate::store::retention::{self, Due, Limits, Piece};
use crate::store::rows::{
    self, AuditRow, CommitRow, ExtentRow, HeadRow, SavedRow, SealRow, SecretRow, StatusChange, StatusChangeRow,
    StoredAuditRow,
};
use crate::store::{AuditQuery, BUILD, CUT, Checkpoint, Extent, Order, REQUESTS_CUT, ReadCap, Secret, fault};
use async_trait::async_trait;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Pool, QueryBuilder};
use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;
use tidehelm_actors::port::{Depot, LogFault, Saved};
use tidehelm_events::commit::{Commit, Entry, Head, Seal};
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::{CredentialId, NodeId, Position, StreamId};
use tidehelm_events::time::Timestamp;
use tokio::time::timeout;

/// What is known of a commit without what it holds.
macro_rules! extent {
    () => {
        "SELECT first_position, last_position, committed_at, CAST(length(kept) AS BIGINT) AS kept_bytes, \
         CAST(coalesce(length(telemetry), 0) AS BIGINT) AS telemetry_bytes, telemetry_through, reacted_cause, reacted_index \
         FROM commits"
    };
}

pub const HEAD: &str = "SELECT position, hash, epoch, committed_at FROM head WHERE id = 1";

pub async fn head(connection: &mut Connection) -> sqlx::Result<Head> {
    sqlx::query_as::<_, HeadRow>(HEAD).fetch_one(connection).await?.head()
}

/// The end of the log under a later epoch.
pub async fn next_epoch(connection: &mut Connection, node: NodeId) -> sqlx::Result<Head> {
    let sql = "UPDATE head SET epoch = epoch + 1, node = $1 WHERE id = 1 RETURNING position, hash, epoch, committed_at";
    sqlx::query_as::<_, HeadRow>(sql).bind(node.to_string()).fetch_one(connection).await?.head()
}

/// Where the entries end, which is where the head must be.
pub async fn last_entry(connection: &mut Connection) -> sqlx::Result<Option<Head>> {
    let sql =
        "SELECT last_position AS position, hash, epoch, committed_at FROM commits ORDER BY first_position DESC LIMIT 1";
    let commit = sqlx::query_as::<_, HeadRow>(sql).fetch_optional(&mut *connection).await?;
    let sql = "SELECT last_position AS position, last_hash AS hash, epoch, committed_at FROM seals ORDER BY first_position DESC LIMIT 1";
    let seal = sqlx::query_as::<_, HeadRow>(sql).fetch_optional(connection).await?;
    let commit = commit.map(|row| row.head()).transpose()?;
    let seal = seal.map(|row| row.head()).transpose()?;
    Ok(commit.into_iter().chain(seal).max_by_key(|head| head.position))
}

/// The format of the store that is there.
pub async fn format(connection: &mut Connection) -> sqlx::Result<u32> {
    let found: i64 = sqlx::query_scalar("SELECT format FROM meta WHERE id = 1").fetch_one(connection).await?;
    Ok(u32::try_from(found).unwrap_or(u32::MAX))
}

pub async fn set_format(connection: &mut Connection, format: u32, now: Timestamp) -> sqlx::Result<()> {
    let sql = "INSERT INTO meta (id, format, created_at, build) VALUES (1, $1, $2, $3) \
               ON CONFLICT (id) DO UPDATE SET format = excluded.format, build = excluded.build";
    sqlx::query(sql).bind(i64::from(format)).bind(now.0).bind(BUILD).execute(connection).await?;
    Ok(())
}

pub fn telemetry_bytes(commit: &Commit) -> i64 {
    commit.telemetry.as_ref().map_or(0, |blob| rows::signed(blob.len() as u64))
}

pub async fn insert_commit(connection: &mut Connection, new: &Commit, telemetry_through: i64) -> sqlx::Result<()> {
    let sql = "INSERT INTO commits (first_position, last_position, committed_at, format, node, epoch, reacted_cause, \
               reacted_index, kept_count, telemetry_count, kept_hash, telemetry_hash, prev_hash, hash, kept, telemetry, \
               telemetry_through) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    bind_commit(sqlx::query(sql), new).bind(telemetry_through).execute(connection).await.map(drop)
}

/// Binds the columns of a commit to `$1` to `$16`.
pub fn bind_commit<'q>(
    query: Query<'q, Database, <Database as sqlx::Database>::Arguments>,
    new: &'q Commit,
) -> Query<'q, Database, <Database as sqlx::Database>::Arguments> {
    let header = &new.header;
    query
        .bind(rows::signed(header.first.0))
        .bind(rows::signed(header.last.0))
        .bind(header.committed_at.0)
        .bind(i64::from(header.format))
        .bind(header.node.to_string())
        .bind(rows::signed(header.epoch.0))
        .bind(rows::signed(header.reacted.cause.0))
        .bind(i64::from(header.reacted.index))
        .bind(i64::from(header.kept_count))
        .bind(i64::from(header.telemetry_count))
        .bind(&header.kept_hash.0[..])
        .bind(&header.telemetry_hash.0[..])
        .bind(&header.prev_hash.0[..])
        .bind(&new.hash.0[..])
        .bind(&new.kept[..])
        .bind(new.telemetry.as_deref())
}

/// Entries that end after a position, in order: no more than `limit`, and no more bytes than [`ReadCap::BYTES`] unless one
/// commit alone is larger. Wants a snapshot, for a cut may run beside it.
pub async fn entries(connection: &mut Connection, after: Position, limit: usize) -> sqlx::Result<Vec<Entry>> {
    let after = before_entry(connection, after).await?;
    entries_within(connection, after, limit.min(ReadCap::ENTRIES), ReadCap::BYTES).await
}

/// The position itself where an entry ends there, else the one before the entry that holds it.
async fn before_entry(connection: &mut Connection, position: Position) -> sqlx::Result<Position> {
    for sql in [
        "SELECT first_position, last_position FROM commits WHERE first_position <= $1 ORDER BY first_position DESC LIMIT 1",
        "SELECT first_position, last_position FROM seals WHERE first_position <= $1 ORDER BY first_position DESC LIMIT 1",
    ] {
        let query = sqlx::query_as(sql).bind(rows::signed(position.0));
        let row: Option<(i64, i64)> = query.fetch_optional(&mut *connection).await?;
        if let Some((first, _)) = row.filter(|(_, last)| *last > rows::signed(position.0)) {
            return Ok(Position(first.unsigned_abs().saturating_sub(1)));
        }
    }
    Ok(position)
}

/// Entries that begin after a position.
async fn entries_within(
    connection: &mut Connection,
    after: Position,
    limit: usize,
    bytes: u64,
) -> sqlx::Result<Vec<Entry>> {
    let plan = extents(connection, after, limit).await?;
    let mut cap = ReadCap::of(bytes);
    let within: Vec<&Extent> =
        plan.iter().take_while(|extent| cap.takes(extent.kept_bytes + extent.telemetry_bytes)).collect();
    let ends_here = within.len() == plan.len() && plan.len() < limit;
    let through = match within.last() {
        Some(last) if !ends_here => rows::signed(last.first.0),
        _ => i64::MAX,
    };
    let commits = if within.is_empty() { Vec::new() } else { commits(connection, after, through, limit).await? };
    let seals = seals(connection, after, through, limit).await?;
    let mut entries = rows::interleave(commits, seals);
    entries.truncate(limit);
    Ok(entries)
}

/// Where commits begin and end, and how much they hold, without what they hold.
pub async fn extents(connection: &mut Connection, after: Position, limit: usize) -> sqlx::Result<Vec<Extent>> {
    let sql = concat!(extent!(), " WHERE first_position > $1 ORDER BY first_position LIMIT $2");
    let query = sqlx::query_as::<_, ExtentRow>(sql).bind(rows::signed(after.0)).bind(limit as i64);
    query.fetch_all(connection).await?.into_iter().map(ExtentRow::extent).collect()
}

/// The commit that holds a position, or the last one before it.
async fn extent_at(connection: &mut Connection, position: Position) -> sqlx::Result<Option<Extent>> {
    let sql = concat!(extent!(), " WHERE first_position <= $1 ORDER BY first_position DESC LIMIT 1");
    let query = sqlx::query_as::<_, ExtentRow>(sql).bind(rows::signed(position.0));
    query.fetch_optional(connection).await?.map(ExtentRow::extent).transpose()
}

/// The last of the commits after a position for which something holds that holds for none after one for which it does not.
async fn last_extent(
    connection: &mut Connection,
    after: Position,
    holds: impl Fn(&Extent) -> bool,
) -> sqlx::Result<Option<Extent>> {
    let (mut low, mut high) = (after.0, head(connection).await?.position.0);
    let mut found = None;
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match extent_at(connection, Position(middle)).await?.filter(|extent| extent.first > after) {
            Some(extent) if holds(&extent) => {
                low = middle.max(extent.last.0);
                found = Some(extent);
            }
            Some(extent) => high = extent.first.0 - 1,
            None => low = middle,
        }
    }
    Ok(found)
}

/// Where a cut should end: the last commit that is due and where nothing is owed.
async fn due(connection: &mut Connection, now: Timestamp, limits: Limits) -> sqlx::Result<Option<Extent>> {
    let after = cut_through(connection).await?;
    let written = telemetry_written(connection).await?;
    let due = |extent: &Extent| limits.is_due(extent, written, now);
    let Some(mut extent) = last_extent(connection, after, due).await? else { return Ok(None) };
    while !extent.is_drained() {
        match extent_at(connection, Position(extent.first.0 - 1)).await? {
            Some(before) if before.first > after => extent = before,
            _ => return Ok(None),
        }
    }
    Ok(Some(extent))
}

/// Bytes of telemetry that were ever written.
async fn telemetry_written(connection: &mut Connection) -> sqlx::Result<u64> {
    let sql = "SELECT telemetry_bytes FROM head WHERE id = 1";
    let written: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(written.unsigned_abs())
}

/// How far the last cut has come.
pub async fn cut_through(connection: &mut Connection) -> sqlx::Result<Position> {
    Ok(checkpoint(connection, CUT).await?.map_or(Position(0), |known| known.position))
}

/// How many events of telemetry lie after a position and not after the other.
async fn telemetry_between(connection: &mut Connection, after: Position, through: Position) -> sqlx::Result<u64> {
    let sql = "SELECT CAST(coalesce(sum(telemetry_count), 0) AS BIGINT) FROM commits \
               WHERE first_position > $1 AND first_position <= $2 AND telemetry IS NOT NULL";
    let count: i64 =
        sqlx::query_scalar(sql).bind(rows::signed(after.0)).bind(rows::signed(through.0)).fetch_one(connection).await?;
    Ok(count.unsigned_abs())
}

/// Commits whose first position is after the one and not after the other.
pub async fn commits(
    connection: &mut Connection,
    after: Position,
    through: i64,
    limit: usize,
) -> sqlx::Result<Vec<Commit>> {
    let sql = "SELECT first_position, last_position, committed_at, format, node, epoch, reacted_cause, reacted_index, \
               kept_count, telemetry_count, kept_hash, telemetry_hash, prev_hash, hash, kept, telemetry \
               FROM commits WHERE first_position > $1 AND first_position <= $2 ORDER BY first_position LIMIT $3";
    let query = sqlx::query_as::<_, CommitRow>(sql).bind(rows::signed(after.0)).bind(through).bind(limit as i64);
    query.fetch_all(connection).await?.into_iter().map(CommitRow::commit).collect()
}

pub async fn seals(
    connection: &mut Connection,
    after: Position,
    through: i64,
    limit: usize,
) -> sqlx::Result<Vec<Seal>> {
    let sql = "SELECT first_position, last_position, committed_at, epoch, prev_hash, last_hash, commits, counts \
               FROM seals WHERE first_position > $1 AND first_position <= $2 ORDER BY first_position LIMIT $3";
    let query = sqlx::query_as::<_, SealRow>(sql).bind(rows::signed(after.0)).bind(through).bind(limit as i64);
    query.fetch_all(connection).await?.into_iter().map(SealRow::seal).collect()
}

/// The seal that ends right at a position.
pub async fn seal_ending_at(connection: &mut Connection, last: Position) -> sqlx::Result<Option<Seal>> {
    let sql = "SELECT first_position, last_position, committed_at, epoch, prev_hash, last_hash, commits, counts \
               FROM seals WHERE first_position <= $1 ORDER BY first_position DESC LIMIT 1";
    let row = sqlx::query_as::<_, SealRow>(sql).bind(rows::signed(last.0)).fetch_optional(connection).await?;
    Ok(row.map(SealRow::seal).transpose()?.filter(|seal| seal.last == last))
}

/// Removes the commits and seals from `seal.first` to `seal.last` and puts the seal in their place.
pub async fn put_seal(connection: &mut Connection, seal: &Seal) -> sqlx::Result<()> {
    for sql in [
        "DELETE FROM commits WHERE first_position >= $1 AND first_position <= $2",
        "DELETE FROM seals WHERE first_position >= $1 AND first_position <= $2",
    ] {
        let query = sqlx::query(sql).bind(rows::signed(seal.first.0)).bind(rows::signed(seal.last.0));
        query.execute(&mut *connection).await?;
    }
    let sql = "INSERT INTO seals (first_position, last_position, committed_at, epoch, prev_hash, last_hash, commits, counts) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(rows::signed(seal.first.0))
        .bind(rows::signed(seal.last.0))
        .bind(seal.committed_at.0)
        .bind(rows::signed(seal.epoch.0))
        .bind(&seal.prev_hash.0[..])
        .bind(&seal.last_hash.0[..])
        .bind(rows::signed(seal.commits))
        .bind(rows::counts(&seal.counts))
        .execute(connection)
        .await?;
    Ok(())
}

/// Cuts the telemetry of one commit.
pub async fn cut_telemetry(connection: &mut Connection, first: Position) -> sqlx::Result<()> {
    let sql = "UPDATE commits SET telemetry = NULL WHERE first_position = $1";
    sqlx::query(sql).bind(rows::signed(first.0)).execute(connection).await?;
    Ok(())
}

async fn adopt_entry(connection: &mut Connection, entry: &Entry) -> sqlx::Result<()> {
    let end = entry.head();
    let more = match entry {
        Entry::Commit(commit) => telemetry_bytes(commit),
        Entry::Seal(_) => 0,
    };
    let sql = "UPDATE head SET position = $1, hash = $2, committed_at = $3, epoch = $4, telemetry_bytes = telemetry_bytes + $5 \
               WHERE id = 1 RETURNING telemetry_bytes";
    let through = sqlx::query_scalar(sql)
        .bind(rows::signed(end.position.0))
        .bind(&end.hash.0[..])
        .bind(end.committed_at.0)
        .bind(rows::signed(end.epoch.0))
        .bind(more)
        .fetch_one(&mut *connection)
        .await?;
    match entry {
        Entry::Commit(commit) => insert_commit(connection, commit, through).await,
        Entry::Seal(seal) => put_seal(connection, seal).await,
    }
}

pub async fn save_snapshot(connection: &mut Connection, saved: &Saved) -> sqlx::Result<()> {
    let sql = "INSERT INTO snapshots (position, schema, build, at, hash, bytes) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (position) DO UPDATE SET schema = excluded.schema, build = excluded.build, at = excluded.at, \
               hash = excluded.hash, bytes = excluded.bytes";
    save(connection, sql, saved).await
}

/// A base is truth: one that is there stays as it is.
pub async fn save_base(connection: &mut Connection, saved: &Saved) -> sqlx::Result<()> {
    let sql = "INSERT INTO bases (position, schema, build, at, hash, bytes) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (position) DO NOTHING";
    save(connection, sql, saved).await
}

async fn save(connection: &mut Connection, sql: &'static str, saved: &Saved) -> sqlx::Result<()> {
    sqlx::query(sql)
        .bind(rows::signed(saved.position.0))
        .bind(i64::from(saved.schema))
        .bind(&saved.build)
        .bind(saved.at.0)
        .bind(&saved.hash.0[..])
        .bind(&saved.bytes[..])
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn discard(connection: &mut Connection, position: Position) -> sqlx::Result<()> {
    let sql = "DELETE FROM snapshots WHERE position = $1";
    sqlx::query(sql).bind(rows::signed(position.0)).execute(connection).await?;
    Ok(())
}

/// Forgets the bases before the newest whole one.
pub async fn drop_bases_before(connection: &mut Connection, position: Position) -> sqlx::Result<()> {
    let sql = "DELETE FROM bases WHERE position < $1";
    sqlx::query(sql).bind(rows::signed(position.0)).execute(connection).await?;
    Ok(())
}

async fn newest(connection: &mut Connection, at_or_before: Position, schema: u16) -> sqlx::Result<Option<Saved>> {
    let sql = "SELECT position, schema, build, at, hash, bytes FROM snapshots WHERE position <= $1 AND schema = $2 \
               ORDER BY position DESC LIMIT 1";
    let query = sqlx::query_as::<_, SavedRow>(sql).bind(rows::signed(at_or_before.0)).bind(i64::from(schema));
    query.fetch_optional(connection).await?.map(SavedRow::saved).transpose()
}

pub async fn base(connection: &mut Connection) -> sqlx::Result<Option<Saved>> {
    let sql = "SELECT position, schema, build, at, hash, bytes FROM bases ORDER BY position DESC LIMIT 1";
    sqlx::query_as::<_, SavedRow>(sql).fetch_optional(connection).await?.map(SavedRow::saved).transpose()
}

async fn list(connection: &mut Connection) -> sqlx::Result<Vec<(Position, Timestamp)>> {
    let sql = "SELECT position, at FROM snapshots ORDER BY position";
    let rows: Vec<(i64, i64)> = sqlx::query_as(sql).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(position, at)| (Position(position.unsigned_abs()), Timestamp(at))).collect())
}

pub async fn put_secret(connection: &mut Connection, id: CredentialId, secret: &Secret) -> sqlx::Result<()> {
    let sql = "INSERT INTO vault (id, kind, bytes, created_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, bytes = excluded.bytes, created_at = excluded.created_at";
    let query = sqlx::query(sql).bind(id.to_string()).bind(&secret.kind).bind(&secret.bytes[..]);
    query.bind(secret.created_at.0).execute(connection).await?;
    Ok(())
}

pub async fn delete_secret(connection: &mut Connection, id: CredentialId) -> sqlx::Result<bool> {
    let deleted = sqlx::query("DELETE FROM vault WHERE id = $1").bind(id.to_string()).execute(connection).await?;
    Ok(deleted.rows_affected() > 0)
}

async fn secret(connection: &mut Connection, id: CredentialId) -> sqlx::Result<Option<Secret>> {
    let sql = "SELECT kind, bytes, created_at FROM vault WHERE id = $1";
    let row: Option<(String, Vec<u8>, i64)> =
        sqlx::query_as(sql).bind(id.to_string()).fetch_optional(connection).await?;
    Ok(row.map(|(kind, bytes, at)| Secret { kind, bytes, created_at: Timestamp(at) }))
}

async fn secrets(connection: &mut Connection) -> sqlx::Result<Vec<(CredentialId, Secret)>> {
    let sql = "SELECT id, kind, bytes, created_at FROM vault ORDER BY id";
    sqlx::query_as::<_, SecretRow>(sql).fetch_all(connection).await?.into_iter().map(SecretRow::secret).collect()
}

pub async fn checkpoint(connection: &mut Connection, name: &str) -> sqlx::Result<Option<Checkpoint>> {
    let sql = "SELECT position, schema FROM projections WHERE name = $1";
    let row: Option<(i64, i64)> = sqlx::query_as(sql).bind(name).fetch_optional(connection).await?;
    Ok(row.map(|(position, schema)| Checkpoint { position: Position(position.unsigned_abs()), schema: schema as u16 }))
}

pub async fn set_checkpoint(connection: &mut Connection, name: &str, to: Checkpoint) -> sqlx::Result<()> {
    let sql = "INSERT INTO projections (name, position, schema) VALUES ($1, $2, $3) \
               ON CONFLICT (name) DO UPDATE SET position = excluded.position, schema = excluded.schema";
    let query = sqlx::query(sql).bind(name).bind(rows::signed(to.position.0)).bind(i64::from(to.schema));
    query.execute(connection).await?;
    Ok(())
}

pub async fn put_status_change(connection: &mut Connection, change: &StatusChange) -> sqlx::Result<()> {
    let sql = "INSERT INTO status_changes (position, stream_kind, stream_id, at, at_us, old_status, new_status, warnings) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(rows::signed(change.position.0))
        .bind(change.stream.kind())
        .bind(change.stream.key())
        .bind(change.at.to_string())
        .bind(change.at.0)
        .bind(i64::from(change.old.code()))
        .bind(i64::from(change.new.code()))
        .bind(serde_json::json!(change.warnings).to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// So many rows go to the database in one text.
const ROWS_IN_A_TEXT: usize = 5_000;
/// So many requests are removed in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 20_000;

static INSERT_REQUESTS: LazyLock<String> = LazyLock::new(|| insert_sql("requests", &models::REQUEST_COLUMNS));
static ADD_TO_DAYS: LazyLock<String> = LazyLock::new(|| {
    let (key, sums) = models::DAY_COLUMNS.split_at(models::DAY_KEY);
    let added = sums.iter().map(|sum| format!("{sum} = request_days.{sum} + excluded.{sum}"));
    let insert = insert_sql("request_days", &models::DAY_COLUMNS);
    format!("{insert} ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), added.collect::<Vec<_>>().join(", "))
});

/// Inserts rows from a JSON array of objects: one text and one value for any number of rows.
fn insert_sql(table: &str, columns: &[&str]) -> String {
    let names = columns.join(", ");
    format!("INSERT INTO {table} ({names}) SELECT {} WHERE true", super::from_json(table, columns))
}

async fn insert(connection: &mut Connection, sql: &'static str, rows: &[impl serde::Serialize]) -> sqlx::Result<()> {
    for rows in rows.chunks(ROWS_IN_A_TEXT) {
        let text = serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query(sql).bind(text).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn put(connection: &mut Connection, rows: Rows<'_>) -> sqlx::Result<()> {
    match rows {
        Rows::StatusChanges(changes) => {
            for change in changes {
                put_status_change(connection, change).await?;
            }
            Ok(())
        }
        Rows::Requests(rows) => insert(connection, &INSERT_REQUESTS, rows).await,
        Rows::RequestDays(rows) => insert(connection, &ADD_TO_DAYS, rows).await,
    }
}

async fn clear(connection: &mut Connection, model: Model, through: Position) -> sqlx::Result<()> {
    let sql = match model {
        Model::StatusChanges => "DELETE FROM status_changes WHERE position > $1",
        Model::Requests => "DELETE FROM requests WHERE position > $1",
        Model::RequestDays => "DELETE FROM request_days WHERE $1 = $1",
    };
    sqlx::query(sql).bind(rows::signed(through.0)).execute(&mut *connection).await?;
    set_checkpoint(connection, model.name(), Checkpoint { position: through, schema: model.schema() }).await
}

async fn begin_days(connection: &mut Connection, known: &[DayRow], at: Position) -> sqlx::Result<()> {
    let first = known.iter().map(|row| row.day.as_str()).min().unwrap_or("");
    sqlx::query("DELETE FROM request_days WHERE day >= $1").bind(first).execute(&mut *connection).await?;
    put(connection, Rows::RequestDays(known)).await?;
    let model = Model::RequestDays;
    set_checkpoint(connection, model.name(), Checkpoint { position: at, schema: model.schema() }).await
}

async fn forget_requests(connection: &mut Connection, through: Position) -> sqlx::Result<u64> {
    let sql = "SELECT max(position) FROM (SELECT position FROM requests WHERE position <= $1 ORDER BY position LIMIT $2) AS oldest";
    let query = sqlx::query_scalar(sql).bind(rows::signed(through.0)).bind(FORGOTTEN_AT_ONCE);
    let end: Option<i64> = query.fetch_one(&mut *connection).await?;
    let Some(end) = end else { return Ok(0) };
    let gone = sqlx::query("DELETE FROM requests WHERE position <= $1")
        .bind(end)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    let to = Checkpoint { position: Position(end.unsigned_abs()), schema: Model::Requests.schema() };
    set_checkpoint(connection, REQUESTS_CUT, to).await?;
    Ok(gone)
}

/// The rows of a page. Where something narrows, no more than `scan` rows are looked at for them.
async fn requests(connection: &mut Connection, wanted: &RequestQuery) -> sqlx::Result<RequestPage> {
    let (mut from, mut until) = (wanted.after, wanted.before.unwrap_or(Position(i64::MAX.unsigned_abs())));
    let end = if wanted.narrows() { end_of_scan(connection, from, until, wanted).await? } else { None };
    match (end, wanted.order) {
        (Some(end), Order::OldestFirst) => until = end.next(),
        (Some(end), Order::NewestFirst) => from = Position(end.0.saturating_sub(1)),
        (None, _) => {}
    }
    let columns = models::REQUEST_COLUMNS.join(", ");
    let mut sql = QueryBuilder::<Database>::new(format!("SELECT {columns} FROM requests WHERE position > "));
    sql.push_bind(rows::signed(from.0)).push(" AND position < ").push_bind(rows::signed(until.0));
    narrow(&mut sql, wanted);
    sql.push(order_of(wanted.order)).push_bind(wanted.limit as i64);
    let query = sql.build_query_as::<RequestRow>().persistent(false);
    let rows = query.fetch_all(connection).await?;
    let next = match rows.last() {
        Some(last) if rows.len() >= wanted.limit => Some(last.position()),
        _ => end,
    };
    Ok(RequestPage { rows, next })
}

fn order_of(order: Order) -> &'static str {
    match order {
        Order::OldestFirst => " ORDER BY position LIMIT ",
        Order::NewestFirst => " ORDER BY position DESC LIMIT ",
    }
}

/// The last row that may be looked at; none if that is the last one there is.
async fn end_of_scan(
    connection: &mut Connection,
    from: Position,
    until: Position,
    wanted: &RequestQuery,
) -> sqlx::Result<Option<Position>> {
    let mut sql = QueryBuilder::<Database>::new("SELECT position FROM requests WHERE position > ");
    sql.push_bind(rows::signed(from.0)).push(" AND position < ").push_bind(rows::signed(until.0));
    sql.push(order_of(wanted.order)).push("1 OFFSET ").push_bind(wanted.scan.saturating_sub(1) as i64);
    let last: Option<i64> = sql.build_query_scalar().persistent(false).fetch_optional(connection).await?;
    Ok(last.map(|position| Position(position.unsigned_abs())))
}

fn narrow(sql: &mut QueryBuilder<Database>, wanted: &RequestQuery) {
    match wanted.endpoint {
        Some(Whose::Endpoint(id)) => drop(sql.push(" AND endpoint_id = ").push_bind(id.to_string())),
        Some(Whose::Nobody) => drop(sql.push(" AND endpoint_id IS NULL")),
        None => {}
    }
    let mut equals = |column: &str, value: Option<String>| {
        if let Some(value) = value {
            sql.push(format!(" AND {column} = ")).push_bind(value);
        }
    };
    equals("model", wanted.model.clone());
    equals("api", wanted.api.map(|api| models::api_str(api).into()));
    equals("client", wanted.client.clone());
    equals("key_id", wanted.key.map(|id| id.to_string()));
    equals("request_id", wanted.request.map(|id| id.to_string()));
    if let Some(status) = wanted.http_status {
        sql.push(" AND http_status = ").push_bind(i64::from(status));
    }
    if !wanted.outcomes.is_empty() {
        let mut list = sql.push(" AND outcome IN (").separated(", ");
        for outcome in &wanted.outcomes {
            list.push_bind(outcome.as_str());
        }
        list.push_unseparated(")");
    }
}

/// The last request before a time, by halving: what is recorded later stands later.
async fn requests_before(connection: &mut Connection, time: Timestamp) -> sqlx::Result<Option<Position>> {
    let ends: (Option<i64>, Option<i64>) =
        sqlx::query_as("SELECT (SELECT min(position) FROM requests), (SELECT max(position) FROM requests)")
            .fetch_one(&mut *connection)
            .await?;
    let (Some(mut low), Some(mut high)) = ends else { return Ok(None) };
    let sql = "SELECT position, at_us FROM requests WHERE position <= $1 ORDER BY position DESC LIMIT 1";
    let mut found = None;
    while low <= high {
        let middle = low + (high - low) / 2;
        let row: Option<(i64, i64)> = sqlx::query_as(sql).bind(middle).fetch_optional(&mut *connection).await?;
        match row {
            Some((position, at)) if at < time.0 => {
                found = found.max(Some(position));
                low = middle + 1;
            }
            Some((position, _)) => high = position - 1,
            None => low = middle + 1,
        }
    }
    Ok(found.map(|position| Position(position.unsigned_abs())))
}

async fn requests_beyond(connection: &mut Connection, count: u64) -> sqlx::Result<Option<Position>> {
    // No more rows than positions: counting them would walk over each of them.
    let bounds = "SELECT (SELECT min(position) FROM requests), (SELECT max(position) FROM requests)";
    let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(bounds).fetch_one(&mut *connection).await?;
    let span = first.zip(last).map_or(0, |(first, last)| last.abs_diff(first) + 1);
    if span <= count {
        return Ok(None);
    }
    let sql = "SELECT position FROM requests ORDER BY position DESC LIMIT 1 OFFSET $1";
    let found: Option<i64> = sqlx::query_scalar(sql).bind(rows::signed(count)).fetch_optional(connection).await?;
    Ok(found.map(|position| Position(position.unsigned_abs())))
}

async fn request_days(connection: &mut Connection, first: &str, last: &str) -> sqlx::Result<Vec<DayRow>> {
    let columns = models::DAY_COLUMNS.join(", ");
    let sql = format!(
        "SELECT {columns} FROM request_days WHERE day >= $1 AND day <= $2 ORDER BY day, endpoint_id, model, api"
    );
    sqlx::query_as(AssertSqlSafe(sql)).bind(first).bind(last).fetch_all(connection).await
}

async fn status_changes(
    connection: &mut Connection,
    stream: Option<&StreamId>,
    after: Position,
    limit: usize,
) -> sqlx::Result<Vec<StatusChange>> {
    let sql = "SELECT position, stream_kind, stream_id, at_us, old_status, new_status, warnings FROM status_changes \
               WHERE position > $1 AND ($2 = '' OR (stream_kind = $2 AND stream_id = $3)) ORDER BY position LIMIT $4";
    let query = sqlx::query_as::<_, StatusChangeRow>(sql)
        .bind(rows::signed(after.0))
        .bind(stream.map_or("", StreamId::kind))
        .bind(stream.map_or(Cow::Borrowed(""), StreamId::key))
        .bind(limit as i64);
    query.fetch_all(connection).await?.into_iter().map(StatusChangeRow::change).collect()
}

async fn audit(connection: &mut Connection, wanted: &AuditQuery) -> sqlx::Result<Vec<AuditRow>> {
    let mut sql = QueryBuilder::<Database>::new(
        "SELECT position, stream_kind, stream_id, version, event_id, kind, schema, at_us, by, command_id, causation, \
         correlation, CAST(payload AS TEXT) AS payload FROM audit_events WHERE position > ",
    );
    sql.push_bind(rows::signed(wanted.after.0));
    if let Some(before) = wanted.before {
        sql.push(" AND position < ").push_bind(rows::signed(before.0));
    }
    if let Some(stream) = &wanted.stream {
        sql.push(" AND stream_kind = ").push_bind(stream.kind()).push(" AND stream_id = ").push_bind(stream.key());
    }
    if let Some(kind) = &wanted.kind {
        sql.push(" AND kind = ").push_bind(kind.as_str());
    }
    if let Some(by) = &wanted.by {
        sql.push(" AND by = ").push_bind(by.as_str());
    }
    if let Some(command) = wanted.command {
        sql.push(" AND command_id = ").push_bind(command.to_string());
    }
    if let Some(correlation) = wanted.correlation {
        sql.push(" AND correlation = ").push_bind(rows::signed(correlation.0));
    }
    if let Some(from) = wanted.from {
        sql.push(" AND at_us >= ").push_bind(from.0);
    }
    if let Some(until) = wanted.until {
        sql.push(" AND at_us < ").push_bind(until.0);
    }
    sql.push(match wanted.order {
        Order::OldestFirst => " ORDER BY position LIMIT ",
        Order::NewestFirst => " ORDER BY position DESC LIMIT ",
    });
    sql.push_bind(wanted.limit as i64);
    let query = sql.build_query_as::<StoredAuditRow>().persistent(false);
    query.fetch_all(connection).await?.into_iter().map(StoredAuditRow::row).collect()
}

/// What only reads. Clones share a few connections and never wait for the writer.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) pool: Pool<Database>,
    /// Whoever waits longer than this is told that the store does not answer: a driver that fails may never say so.
    pub(super) patience: Duration,
}

impl Reader {
    pub async fn read(&self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        let doing = format!("cannot read the log after position {after}");
        self.ask(&doing, async |connection| {
            sqlx::raw_sql(SNAPSHOT).execute(&mut *connection).await?;
            let entries = entries(connection, after, limit).await?;
            sqlx::raw_sql("COMMIT").execute(connection).await?;
            Ok(entries)
        })
        .await
    }

    pub async fn beginning_after(&self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        let limit = limit.min(ReadCap::ENTRIES);
        let doing = "cannot read the log to check it";
        self.ask(doing, async |connection| entries_within(connection, after, limit, ReadCap::BYTES).await).await
    }

    pub async fn next_beginning(&self, after: Position) -> Result<Option<Position>, LogFault> {
        let sql = "SELECT min(first_position) FROM (SELECT first_position FROM commits WHERE first_position > $1 \
                   UNION ALL SELECT first_position FROM seals WHERE first_position > $1) AS beginnings";
        let after = rows::signed(after.0);
        let found: Option<i64> = self
            .ask("cannot find the next commit", async |connection| {
                sqlx::query_scalar(sql).bind(after).fetch_one(connection).await
            })
            .await?;
        Ok(found.map(|first| Position(first.unsigned_abs())))
    }

    pub async fn head(&self) -> Result<Head, LogFault> {
        self.ask("cannot read the head of the log", async |connection| head(connection).await).await
    }

    pub async fn extents(&self, after: Position, limit: usize) -> Result<Vec<Extent>, LogFault> {
        self.ask("cannot measure the log", async |connection| extents(connection, after, limit).await).await
    }

    pub async fn commit_at(&self, time: Timestamp) -> Result<Option<Extent>, LogFault> {
        let doing = "cannot find the commit of a time";
        let is_before = |extent: &Extent| extent.committed_at <= time;
        self.ask(doing, async |connection| last_extent(connection, Position(0), is_before).await).await
    }

    pub async fn due(&self, now: Timestamp, limits: Limits) -> Result<Option<Due>, LogFault> {
        self.ask("cannot find what is to be cut", async |connection| {
            let Some(extent) = due(connection, now, limits).await? else { return Ok(None) };
            let after = cut_through(connection).await?;
            let events = telemetry_between(connection, after, extent.last).await?;
            Ok((events > 0).then_some(Due { after, through: extent.last, committed_at: extent.committed_at, events }))
        })
        .await
    }

    pub async fn cut_through(&self) -> Result<Position, LogFault> {
        self.ask("cannot read how far the log is cut", async |connection| cut_through(connection).await).await
    }

    pub async fn newest(&self, at_or_before: Position, schema: u16) -> Result<Option<Saved>, LogFault> {
        self.ask("cannot read a snapshot", async |connection| newest(connection, at_or_before, schema).await).await
    }

    pub async fn list(&self) -> Result<Vec<(Position, Timestamp)>, LogFault> {
        self.ask("cannot list the snapshots", async |connection| list(connection).await).await
    }

    pub async fn base(&self) -> Result<Option<Saved>, LogFault> {
        self.ask("cannot read the base of the log", async |connection| base(connection).await).await
    }

    pub async fn secret(&self, id: CredentialId) -> Result<Option<Secret>, LogFault> {
        self.ask("cannot read the vault", async |connection| secret(connection, id).await).await
    }

    pub async fn secrets(&self) -> Result<Vec<(CredentialId, Secret)>, LogFault> {
        self.ask("cannot read the vault", async |connection| secrets(connection).await).await
    }

    pub async fn audit(&self, wanted: &AuditQuery) -> Result<Vec<AuditRow>, LogFault> {
        self.ask("cannot read the audit rows", async |connection| audit(connection, wanted).await).await
    }

    pub async fn checkpoint(&self, name: &str) -> Result<Option<Checkpoint>, LogFault> {
        self.ask("cannot read a checkpoint", async |connection| checkpoint(connection, name).await).await
    }

    pub async fn requests(&self, wanted: &RequestQuery) -> Result<RequestPage, LogFault> {
        self.ask("cannot read the requests", async |connection| requests(connection, wanted).await).await
    }

    pub async fn requests_before(&self, time: Timestamp) -> Result<Option<Position>, LogFault> {
        self.ask("cannot find the requests of a time", async |connection| requests_before(connection, time).await).await
    }

    pub async fn requests_beyond(&self, count: u64) -> Result<Option<Position>, LogFault> {
        self.ask("cannot count the requests", async |connection| requests_beyond(connection, count).await).await
    }

    pub async fn request_days(&self, first: &str, last: &str) -> Result<Vec<DayRow>, LogFault> {
        self.ask("cannot read the sums of days", async |connection| request_days(connection, first, last).await).await
    }

    pub async fn status_changes(
        &self,
        stream: Option<&StreamId>,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StatusChange>, LogFault> {
        let doing = "cannot read the status changes";
        self.ask(doing, async |connection| status_changes(connection, stream, after, limit).await).await
    }

    /// Bytes of telemetry that are not cut yet.
    pub(super) async fn telemetry(&self) -> Result<u64, LogFault> {
        self.ask("cannot measure the telemetry", async |connection| {
            let after = cut_through(connection).await?;
            let Some(first) = extents(connection, after, 1).await?.pop() else { return Ok(0) };
            let written = telemetry_written(connection).await?;
            Ok(written.saturating_sub(first.telemetry_through - first.telemetry_bytes))
        })
        .await
    }

    pub(super) async fn ask<T>(
        &self,
        doing: &str,
        question: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<T>,
    ) -> Result<T, LogFault> {
        let mut connection = self.pool.acquire().await.map_err(|error| fault(doing, &error))?;
        let why = match timeout(self.patience, question(&mut connection)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => describe(&error),
            Err(_) => format!("the store did not answer within {:?}", self.patience),
        };
        // Nobody knows what state it is in.
        drop(connection.detach());
        Err(LogFault::new(doing, why))
    }
}

impl Adapter {
    /// Cuts a piece of what lies before `through`, in one transaction; says how far it came, or none if there was nothing left.
    /// Refuses unless a whole base is there to replace what goes.
    pub async fn cut_piece(&mut self, through: Position) -> Result<Option<Piece>, LogFault> {
        let doing = || format!("cannot cut the telemetry up to position {through}");
        let reader = self.reader();
        let after = reader.cut_through().await?;
        if after >= through {
            return Ok(None);
        }
        match reader.base().await? {
            Some(base) if base.position >= through && base.is_whole() => {}
            _ => return Err(LogFault::new(doing(), "no whole base is there to replace it")),
        }
        let entries = reader
            .ask(&doing(), async |connection| {
                entries_within(connection, after, ReadCap::ENTRIES, retention::PIECE_BYTES).await
            })
            .await?;
        let plan = retention::plan(entries, through).map_err(|error| LogFault::new(doing(), error))?;
        let Some(end) = plan.end else { return Err(LogFault::new(doing(), format!("nothing is there after {after}"))) };
        self.transact(&doing(), async |connection| {
            for first in &plan.cuts {
                cut_telemetry(connection, *first).await?;
            }
            for seal in &plan.seals {
                let before = seal_ending_at(connection, Position(seal.first.0 - 1)).await?;
                put_seal(connection, &retention::joined(before, seal)).await?;
            }
            set_checkpoint(connection, CUT, Checkpoint { position: end, schema: 1 }).await?;
            if end == through {
                drop_bases_before(connection, through).await?;
            }
            Ok(Some(Piece { through: end, events: plan.events, bytes: plan.bytes }))
        })
        .await
    }

    /// Takes over entries of another log as they are: each is checked, and they must go on where this log ends. With them
    /// goes the end of the log, epoch included.
    pub async fn adopt(&mut self, entries: &[Entry], audit: &[Envelope], expected: &Head) -> Result<(), LogFault> {
        let doing = "cannot take over entries of another log";
        let mut end = *expected;
        for entry in entries {
            entry.check(&end).map_err(|error| LogFault::new(doing, error))?;
            end = entry.head();
        }
        let found = self
            .transact(doing, async |connection| {
                let found = head(connection).await?;
                if found == *expected {
                    for entry in entries {
                        adopt_entry(connection, entry).await?;
                    }
                    super::insert_audit(connection, audit).await?;
                }
                Ok(found)
            })
            .await?;
        if found == *expected {
            Ok(())
        } else {
            Err(LogFault::new(doing, format!("the log ends at {}", found.position)))
        }
    }

    /// Saves the fold that replaces what a cut removes.
    pub async fn save_base(&mut self, saved: &Saved) -> Result<(), LogFault> {
        self.transact("cannot save a base", async |connection| save_base(connection, saved).await).await
    }

    pub async fn put_secret(&mut self, id: CredentialId, secret: &Secret) -> Result<(), LogFault> {
        self.transact("cannot write to the vault", async |connection| put_secret(connection, id, secret).await).await
    }

    /// False if there was none.
    pub async fn delete_secret(&mut self, id: CredentialId) -> Result<bool, LogFault> {
        self.transact("cannot delete from the vault", async |connection| delete_secret(connection, id).await).await
    }

    /// Adds to a read model and moves its checkpoint, both or neither.
    pub async fn project(&mut self, rows: Rows<'_>, from: Position, to: Position) -> Result<(), LogFault> {
        let model = rows.model();
        let doing = format!("cannot write the read model {}", model.name());
        let found = self
            .transact(&doing, async |connection| {
                let found = checkpoint(connection, model.name()).await?.map_or(Position(0), |known| known.position);
                if found == from {
                    put(connection, rows).await?;
                    let to = Checkpoint { position: to, schema: model.schema() };
                    set_checkpoint(connection, model.name(), to).await?;
                }
                Ok(found)
            })
            .await?;
        if found == from { Ok(()) } else { Err(LogFault::new(doing, format!("it stands at {found}, not at {from}"))) }
    }

    pub async fn clear(&mut self, model: Model, through: Position) -> Result<(), LogFault> {
        let doing = format!("cannot clear the read model {}", model.name());
        self.transact(&doing, async |connection| clear(connection, model, through).await).await
    }

    pub async fn begin_days(&mut self, known: &[DayRow], at: Position) -> Result<(), LogFault> {
        let doing = "cannot begin the sums of days anew";
        self.transact(doing, async |connection| begin_days(connection, known, at).await).await
    }

    pub async fn forget_requests(&mut self, through: Position) -> Result<u64, LogFault> {
        self.transact("cannot remove old requests", async |connection| forget_requests(connection, through).await).await
    }

    pub async fn forget_days(&mut self, before: &str) -> Result<u64, LogFault> {
        self.transact("cannot remove old days", async |connection| {
            let gone = sqlx::query("DELETE FROM request_days WHERE day < $1").bind(before).execute(connection).await?;
            Ok(gone.rows_affected())
        })
        .await
    }
}

#[async_trait]
impl Depot for Adapter {
    async fn save(&mut self, saved: &Saved) -> Result<(), LogFault> {
        self.transact("cannot save a snapshot", async |connection| save_snapshot(connection, saved).await).await
    }
    async fn newest(&mut self, at_or_before: Position, schema: u16) -> Result<Option<Saved>, LogFault> {
        self.reader().newest(at_or_before, schema).await
    }
    async fn discard(&mut self, position: Position) -> Result<(), LogFault> {
        self.transact("cannot discard a snapshot", async |connection| discard(connection, position).await).await
    }
    async fn list(&mut self) -> Result<Vec<(Position, Timestamp)>, LogFault> {
        self.reader().list().await
    }
    async fn base(&mut self) -> Result<Option<Saved>, LogFault> {
        self.reader().base().await
    }
}
